/* fs_each.h - fs.each: the names in a directory one by one, however many there are.
 *
 * `for name, type in fs.each(path, { recursive =, type = }) do`: a few hundred names are read at
 * once, in the order in which the directory has them. The loop closes the directory, however it
 * ends. */
#ifndef LIB_FS_EACH_H
#define LIB_FS_EACH_H

#include "lib/tree.h"

#include <lua.h>

/* [owner] Adds `each` to the table on top. */
void fs_each_open(lua_State *L);

/* [any thread] "file", "directory", "link" or "other". */
const char *fs_each_type_name(enum tree_type type);

/* [owner] The option "type" of the options at `index`: enum tree_type, or TREE_ANY. */
int fs_each_check_type(lua_State *L, int index);

#endif
