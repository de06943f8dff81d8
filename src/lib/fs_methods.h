/* fs_methods.h - fs.open and fs.tempfile: an open file in Lua.
 *
 *   file:read(n | "line" | "all")   nil at the end, but for "all"
 *   file:lines(), file:chunks(n)    iterators
 *   file:write(text), file:seek(whence, offset), file:size(), file:truncate(size), file:sync()
 *   file:close(), <close>, file.path */
#ifndef LIB_FS_METHODS_H
#define LIB_FS_METHODS_H

#include <lua.h>

/* [owner] Adds `open` and `tempfile` to the table on top. */
void fs_methods_open(lua_State *L);

#endif
