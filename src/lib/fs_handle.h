/* fs_handle.h - who may use an open file.
 *
 * A method owns the file from its first step to its end; others wait in line and are handed it in
 * order. What is closed meanwhile is an error for those in line. All functions are called with the
 * handle at 1 of the stack. */
#ifndef LIB_FS_HANDLE_H
#define LIB_FS_HANDLE_H

#include "lib/fs_file.h"

#include <lua.h>

struct fs_method;
struct opened;

struct fs_handle {
  struct fs_file *file; /* NULL: closed and gone */
  uint64_t bytes_max;   /* of one read */
  bool is_closed;       /* or not open yet */
  struct opened *opened;

  /* From here on for fs_handle.c only. */
  bool _is_owned;
  const struct fs_method *_method; /* of the owner */
  struct list _waiting;            /* fiber.link: those in line */
};

struct fs_method {
  const char *what; /* waits: "file:read" */

  /* Called by the owner while no operation runs; has_run: after the one that it has started. */
  lua_nret (*step)(lua_State *L, struct fs_handle *handle, bool has_run);
};

/* [owner] Pushes a handle that is not open; the path as the app gave it is at `path`. */
struct fs_handle *fs_handle_push(lua_State *L, int path);

/* [owner] Gives the class of handles, on top of the stack, its name and what closes one. */
void fs_handle_register(lua_State *L);

/* [owner] Opens handle->file, of the handle on top of the stack. To be returned, as what follows.
 */
lua_nret fs_handle_start(lua_State *L, const struct fs_method *method);

/* [owner] The step of the methods that open a file. */
lua_nret fs_handle_open_step(lua_State *L, struct fs_handle *handle, bool has_run);

/* [owner] The handle at 1; raises "use a colon" when it is another value. */
struct fs_handle *fs_handle_check(lua_State *L, const char *method);

/* [owner] Runs a method, once it is its turn; its arguments have been checked. */
lua_nret fs_handle_call(lua_State *L, const struct fs_method *method);

/* [owner] In a step: starts an operation. */
lua_nret fs_handle_operate(lua_State *L, struct fs_handle *handle, enum fs_operation operation);

/* [owner] In a step: hands the file over; then, when it was closed meanwhile, closes it. Between
 * the two what was read is still there. */
void fs_handle_hand_over(struct fs_handle *handle);
void fs_handle_shut_if_done(lua_State *L, struct fs_handle *handle);

/* [owner] Both of them. */
void fs_handle_pass_on(lua_State *L, struct fs_handle *handle);

/* [owner] In a step: ends the method with the error of the operation. */
lua_nret fs_handle_fail(lua_State *L, struct fs_handle *handle);

/* [owner] Pushes the path as the app gave it. */
const char *fs_handle_push_path(lua_State *L);

/* [owner] Waits until the file is closed, where it can; it is closed to others from now on. */
lua_nret fs_handle_close(lua_State *L, bool is_explicit);

#endif
