/* fs_handle.c - owning and handing over, opening and closing.
 *
 * Where the owner stops waiting, its operation goes on, and the next one waits for that first.
 * Whatever may raise comes after the file was handed over. */
#include "lib/fs_handle.h"

#include "core/class.h"
#include "core/opened.h"
#include "core/worker.h"
#include "lib/fs_error.h"
#include "lib/sync.h"

#include <lauxlib.h>
#include <string.h>

#define CLASS_FILE "perilune.fs.file"

enum { AT_PATH = 1 };

/* ---- owning; the handle is at 1 ---- */

/* Closes what nobody uses any more, and waits for nothing. */
static void shut(struct fs_handle *handle, struct worker *worker) {
  struct fs_file *file = handle->file;
  if (!file) return;
  if (!file->offload.running && file->fd >= 0) {
    file->operation = FS_CLOSE;
    offload_start(&file->offload, worker);
  }
  handle->file = NULL;
  offload_drop(&file->offload);
}

void fs_handle_hand_over(struct fs_handle *handle) {
  struct fiber *next = sync_first(&handle->_waiting);
  handle->_is_owned = next != NULL;
  if (next) sync_wake(next);
}

void fs_handle_shut_if_done(lua_State *L, struct fs_handle *handle) {
  if (handle->is_closed && !handle->_is_owned) shut(handle, worker_of(L));
}

void fs_handle_pass_on(lua_State *L, struct fs_handle *handle) {
  fs_handle_hand_over(handle);
  fs_handle_shut_if_done(L, handle);
}

const char *fs_handle_push_path(lua_State *L) {
  lua_getiuservalue(L, 1, AT_PATH);
  return lua_tostring(L, -1);
}

lua_nret fs_handle_fail(lua_State *L, struct fs_handle *handle) {
  uv_err error = handle->file->error;
  fs_handle_pass_on(L, handle);
  fs_error_push(L, error, fs_handle_push_path(L), NULL);
  return lua_error(L);
}

static lua_nret proceed(lua_State *L, const struct fs_method *method);

/* The owner's wait for an operation that was given up. */
static int ended_before(lua_State *L, int status, lua_KContext context) {
  (void)status;
  if (fiber_was_cancelled(L)) fs_handle_pass_on(L, lua_touserdata(L, 1));
  fiber_check_cancelled(L);
  return proceed(L, (const struct fs_method *)context);
}

static lua_nret proceed(lua_State *L, const struct fs_method *method) {
  struct fs_handle *handle = lua_touserdata(L, 1);
  if (handle->is_closed) {
    fs_handle_pass_on(L, handle);
    return luaL_error(L, "%s: the file is closed", method->what);
  }
  struct offload *offload = &handle->file->offload;
  if (offload->running)
    return offload_wait(L, fiber_running(L), offload, method->what, (lua_KContext)method,
                        ended_before);
  handle->_method = method;
  return method->step(L, handle, false);
}

static int handed(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return proceed(L, (const struct fs_method *)context);
}

static lua_nret own(lua_State *L, const struct fs_method *method) {
  struct fs_handle *handle = lua_touserdata(L, 1);
  if (handle->_is_owned)
    return fiber_park_in(L, fiber_running(L), &handle->_waiting, method->what, (lua_KContext)method,
                         handed);
  handle->_is_owned = true;
  return proceed(L, method);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return own(L, (const struct fs_method *)context);
}

lua_nret fs_handle_call(lua_State *L, const struct fs_method *method) {
  const struct fs_handle *handle = lua_touserdata(L, 1);
  if (handle->is_closed) return luaL_error(L, "%s: the file is closed", method->what);
  fiber_begin_wait(L, method->what);
  if (fiber_must_pause(L)) return fiber_pause(L, method->what, (lua_KContext)method, paused);
  return own(L, method);
}

static int operated(lua_State *L, int status, lua_KContext context) {
  struct fs_handle *handle = lua_touserdata(L, 1);
  (void)status;
  (void)context;
  if (fiber_was_cancelled(L)) fs_handle_pass_on(L, handle);
  fiber_check_cancelled(L);
  return handle->_method->step(L, handle, true);
}

lua_nret fs_handle_operate(lua_State *L, struct fs_handle *handle, enum fs_operation operation) {
  struct offload *offload = &handle->file->offload;
  handle->file->operation = operation;
  offload_start(offload, worker_of(L));
  if (!offload->running) return handle->_method->step(L, handle, true);
  return offload_wait(L, fiber_running(L), offload, handle->_method->what, 0, operated);
}

struct fs_handle *fs_handle_check(lua_State *L, const char *method) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_FILE) != 0)
    luaL_error(L, "file.%s was called without its file: use a colon (file:%s)", method, method);
  return lua_touserdata(L, 1);
}

/* ---- opening ---- */

lua_nret fs_handle_open_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  if (!has_run) return fs_handle_operate(L, handle, FS_OPEN);
  if (handle->file->error) return fs_handle_fail(L, handle);
  handle->is_closed = false;
  handle->opened = opened_add(L, OPENED_FILE);
  fs_handle_pass_on(L, handle);
  lua_settop(L, 1);
  return 1;
}

static int open_paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return fs_handle_open_step(L, lua_touserdata(L, 1), false);
}

struct fs_handle *fs_handle_push(lua_State *L, int path) {
  struct fs_handle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = (struct fs_handle){.is_closed = true};
  list_init(&handle->_waiting);
  class_push(L, CLASS_FILE);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, path);
  lua_setiuservalue(L, -2, AT_PATH);
  return handle;
}

lua_nret fs_handle_start(lua_State *L, const struct fs_method *method) {
  lua_replace(L, 1);
  lua_settop(L, 1);
  struct fs_handle *handle = lua_touserdata(L, 1);
  handle->_is_owned = true;
  handle->_method = method;
  fiber_begin_wait(L, method->what);
  if (fiber_must_pause(L)) return fiber_pause(L, method->what, 0, open_paused);
  return fs_handle_open_step(L, handle, false);
}

/* ---- closing ---- */

static lua_nret end_close(lua_State *L, struct fs_handle *handle, lua_KContext is_explicit) {
  uv_err error = handle->file->offload.running ? 0 : handle->file->error;
  fs_handle_pass_on(L, handle);
  if (!error || !is_explicit) return 0;
  fs_error_push(L, error, fs_handle_push_path(L), NULL);
  return lua_error(L);
}

/* Closing goes on when nobody waits for it any more. */
static int closed(lua_State *L, int status, lua_KContext is_explicit) {
  struct fs_handle *handle = lua_touserdata(L, 1);
  (void)status;
  if (!is_explicit || !fiber_was_cancelled(L)) return end_close(L, handle, is_explicit);
  fs_handle_pass_on(L, handle);
  fiber_check_cancelled(L);
  return 0;
}

static lua_nret close_step(lua_State *L, struct fs_handle *handle, lua_KContext is_explicit);

static int ended_before_close(lua_State *L, int status, lua_KContext is_explicit) {
  struct fs_handle *handle = lua_touserdata(L, 1);
  (void)status;
  if (!fiber_was_cancelled(L)) return close_step(L, handle, is_explicit);
  fs_handle_pass_on(L, handle);
  if (is_explicit) fiber_check_cancelled(L);
  return 0;
}

static lua_nret close_step(lua_State *L, struct fs_handle *handle, lua_KContext is_explicit) {
  struct offload *offload = &handle->file->offload;
  struct fiber *fiber = fiber_running(L);
  if (offload->running)
    return offload_wait(L, fiber, offload, "file:close", is_explicit, ended_before_close);
  handle->file->operation = FS_CLOSE;
  offload_start(offload, worker_of(L));
  if (offload->running) return offload_wait(L, fiber, offload, "file:close", is_explicit, closed);
  return end_close(L, handle, is_explicit);
}

static int handed_to_close(lua_State *L, int status, lua_KContext is_explicit) {
  (void)status;
  if (!fiber_was_cancelled(L)) return close_step(L, lua_touserdata(L, 1), is_explicit);
  if (is_explicit) fiber_check_cancelled(L);
  return 0;
}

lua_nret fs_handle_close(lua_State *L, bool is_explicit) {
  struct fs_handle *handle = fs_handle_check(L, "close");
  lua_settop(L, 1);
  if (handle->is_closed) return 0;
  handle->is_closed = true;
  opened_close(&handle->opened);
  struct fiber *fiber = fiber_running(L);
  if (!fiber || !lua_isyieldable(L) || fiber->unyieldable > 0) {
    fs_handle_shut_if_done(L, handle);
    return 0;
  }
  if (handle->_is_owned)
    return fiber_park_in(L, fiber, &handle->_waiting, "file:close", is_explicit, handed_to_close);
  handle->_is_owned = true;
  return close_step(L, handle, is_explicit);
}

static int leave_scope(lua_State *L) {
  return fs_handle_close(L, false);
}

static int collect(lua_State *L) {
  struct fs_handle *handle = lua_touserdata(L, 1);
  handle->is_closed = true;
  opened_collect(&handle->opened);
  shut(handle, worker_of(L));
  return 0;
}

static int describe(lua_State *L) {
  const struct fs_handle *handle = fs_handle_check(L, "path");
  lua_pushfstring(L, "file: %s%s", fs_handle_push_path(L), handle->is_closed ? " (closed)" : "");
  return 1;
}

void fs_handle_register(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__tostring", describe}, {"__close", leave_scope}, {"__gc", collect}, {NULL, NULL}};
  luaL_setfuncs(L, metamethods, 0);
  class_register(L, CLASS_FILE);
}
