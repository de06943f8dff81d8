/* fs_error.h - errors of kind "fs": what the system said, and of which file.
 *
 * They have `code` ("ENOENT"), `path` as the app gave it and, of operations on two files, `to`. */
#ifndef LIB_FS_ERROR_H
#define LIB_FS_ERROR_H

#include "base/base.h"

#include <lua.h>

/* [owner] Pushes "no such file or directory: data/x.txt"; `to` may be NULL. */
void fs_error_push(lua_State *L, uv_err error, const char *path, const char *to);

/* [owner] Pushes an error with this text in place of the system's. */
void fs_error_push_text(lua_State *L, uv_err error, const char *text, const char *path);

#endif
