/* fs.h - perilune.fs: files and directories for Lua code, which never block an event loop.
 *
 * Errors are of kind "fs". Relative paths are relative to the app's directory. */
#ifndef LIB_FS_H
#define LIB_FS_H

#include <lua.h>

/* [owner] Loader of perilune.native.fs: { functions = { read = ..., open = ..., ... },
 * watcher = function }; lua/perilune/fs.lua makes the module of it. */
int fs_open(lua_State *L);

#endif
