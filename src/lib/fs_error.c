/* fs_error.c - the table of an error of kind "fs".
 *
 * Texts and codes are libuv's, which are those of every platform. */
#include "lib/fs_error.h"

#include "core/error.h"

#include <uv.h>

enum { TEXT_BYTES = 128 };

/* Gives the error on top of the stack its fields. */
static void set_fields(lua_State *L, uv_err error, const char *path) {
  char name[TEXT_BYTES];
  lua_pushstring(L, uv_err_name_r(error, name, sizeof name));
  lua_setfield(L, -2, "code");
  lua_pushstring(L, path);
  lua_setfield(L, -2, "path");
}

void fs_error_push_text(lua_State *L, uv_err error, const char *text, const char *path) {
  error_push(L, "fs", "%s: %s", text, path);
  set_fields(L, error, path);
}

void fs_error_push(lua_State *L, uv_err error, const char *path, const char *to) {
  char text[TEXT_BYTES];
  (void)uv_strerror_r(error, text, sizeof text);
  if (!to) {
    fs_error_push_text(L, error, text, path);
    return;
  }
  error_push(L, "fs", "%s: %s -> %s", text, path, to);
  set_fields(L, error, path);
  lua_pushstring(L, to);
  lua_setfield(L, -2, "to");
}
