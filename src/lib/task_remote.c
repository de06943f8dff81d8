/* task_remote.c - a handle on a task of another worker.
 *
 * What never changes of the task is in the handle; all else is asked of the task (task_wait.h) when
 * code wants to know it. */
#include "lib/task_remote.h"

#include "core/class.h"
#include "core/directory.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/options.h"
#include "lib/schedule_remote.h"
#include "lib/task.h"
#include "lib/task_handle.h"
#include "lib/task_registry.h"
#include "lib/task_wait.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STARTED_CLASS "perilune.task.remote.started"

struct cancel {
  struct message message;
  uint64_t id;
  char *reason; /* may be NULL */
};

static void destroy_cancel(struct cancel *cancel) {
  free(cancel->reason);
  free(cancel);
}

static void deliver_cancel(struct message *message, void *owner) {
  struct worker *worker = owner;
  struct cancel *cancel = container_of(message, struct cancel, message);
  for (struct list *link = worker->fibers.next; link != &worker->fibers; link = link->next) {
    struct task *task = task_of(container_of(link, struct fiber, live));
    if (!task || task->id != cancel->id) continue;
    task_cancel(task, cancel->reason);
    break;
  }
  schedule_remote_cancel(worker, cancel->id, cancel->reason);
  destroy_cancel(cancel);
}

/* ---- the handle ---- */

enum { HANDLE_FIELDS = 1, HANDLE_VALUES = HANDLE_FIELDS };

static struct task_home *check_handle(lua_State *L, const char *method) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_TASK_REMOTE) != 0)
    luaL_error(L, "task.%s was called without its task: use a colon (task:%s)", method, method);
  return lua_touserdata(L, 1);
}

/* Notes in the handle's fields how the task has ended; results or error are on top. What else has
 * changed is asked for again. */
static void note_end(lua_State *L, const char *status, const char *field) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_pushstring(L, status);
  lua_setfield(L, -2, "status");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, field);
  lua_pushnil(L);
  lua_setfield(L, -2, "attempt");
  lua_pop(L, 1);
}

static int give_results(lua_State *L, const struct task_wait *wait) {
  int first = lua_gettop(L) + 1;
  int count = transfer_decode(L, wait->bytes.data, wait->bytes.len);
  if (!wait->has_ended) return count;
  luaL_checkstack(L, 3, "too many results");
  lua_createtable(L, count, 1);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, count);
  lua_setfield(L, -2, "n");
  note_end(L, "done", "results");
  lua_pop(L, 1);
  return count;
}

static NO_RETURN void raise_disconnected(lua_State *L) {
  error_raise(L, "disconnected", "the thread that the task lived on has ended");
}

/* Stack: the handle, the box. */
static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  const struct task_wait *wait = (const struct task_wait *)context;
  fiber_check_cancelled(L);
  if (wait->returned) return give_results(L, wait);
  if (wait->is_lost) raise_disconnected(L);
  if (wait->bytes.len == 0) return luaL_error(L, "not enough memory");
  transfer_decode_error(L, wait->bytes.data, wait->bytes.len);
  fiber_set_trail(L, -2, lua_tostring(L, -1));
  lua_pop(L, 1);
  const char *kind = error_kind(L, -1);
  if (wait->has_ended)
    note_end(L, kind && strcmp(kind, "cancelled") == 0 ? "cancelled" : "failed", "error");
  return lua_error(L);
}

/* Sends a wait to the task's worker, and waits itself. */
static lua_nret await_answer(lua_State *L, struct fiber *fiber, struct task_wait *wait,
                             const char *waits_for) {
  if (!task_wait_send(fiber->worker, wait)) raise_disconnected(L);
  return fiber_park(L, fiber, waits_for, (lua_KContext)wait, waited);
}

static int wait_remotely(lua_State *L) {
  const struct task_home *home = check_handle(L, "wait");
  bool has_timeout = !lua_isnoneornil(L, 2);
  if (has_timeout) options_check_seconds(L, 2);
  double timeout_s = has_timeout ? lua_tonumber(L, 2) : 0;
  struct fiber *fiber = fiber_begin_wait(L, "task:wait");
  lua_settop(L, 1);
  struct task_wait *wait = task_wait_push(L, fiber, home);
  wait->has_timeout = has_timeout;
  wait->timeout_s = timeout_s;
  return await_answer(L, fiber, wait, "task:wait");
}

static int call_remotely(lua_State *L) {
  const struct task_home *home = check_handle(L, "call");
  struct fiber *fiber = fiber_begin_wait(L, "task:call");
  lua_settop(L, 1);
  struct task_wait *wait = task_wait_push(L, fiber, home);
  wait->question = ASKS_CALL;
  return await_answer(L, fiber, wait, "task:call");
}

static int cancel_remotely(lua_State *L) {
  const struct task_home *home = check_handle(L, "cancel");
  size_t len;
  const char *reason = luaL_optlstring(L, 2, NULL, &len);
  struct cancel *cancel = memory_alloc_zero(sizeof *cancel);
  cancel->message.deliver = deliver_cancel;
  cancel->id = home->id;
  if (reason) cancel->reason = memory_copy(reason, len);
  struct directory *directory = worker_of(L)->process->directory;
  if (!directory_post(directory, home->worker, &cancel->message)) destroy_cancel(cancel);
  return 0;
}

/* Stack: the handle, the key. */
static int push_field(lua_State *L) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  return 1;
}

/* Stack: the handle, the key, the box. */
static int looked(lua_State *L, int status, lua_KContext context) {
  (void)status;
  const struct task_wait *wait = (const struct task_wait *)context;
  fiber_check_cancelled(L);
  if (wait->returned) {
    transfer_decode_error(L, wait->bytes.data, wait->bytes.len);
    lua_pop(L, 1); /* no traceback */
    lua_setiuservalue(L, 1, HANDLE_FIELDS);
  }
  return push_field(L);
}

/* Whether the task may have changed since it was last looked at. */
static bool is_open(lua_State *L) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_getfield(L, -1, "status");
  const char *status = lua_tostring(L, -1);
  bool is_open = status && (strcmp(status, "waiting") == 0 || strcmp(status, "running") == 0);
  bool is_known = lua_getfield(L, -2, "attempt") != LUA_TNIL;
  lua_pop(L, 3);
  return is_open || !is_known;
}

/* ---- started, in another state ---- */

/* Stack: the event, a limit of time or nothing. */
static lua_nret ask_event(lua_State *L, const char *name, const char *waits_for) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, STARTED_CLASS) != 0)
    luaL_error(L, "event.%s was called without its event: use a colon (event:%s)", name, name);
  bool has_timeout = !lua_isnoneornil(L, 2);
  if (has_timeout) options_check_seconds(L, 2);
  double timeout_s = has_timeout ? lua_tonumber(L, 2) : 0;
  struct fiber *fiber = fiber_begin_wait(L, waits_for);
  lua_getiuservalue(L, 1, 1);
  struct task_wait *wait = task_wait_push(L, fiber, lua_touserdata(L, -1));
  wait->question = ASKS_EVENT;
  wait->name = name;
  wait->has_timeout = has_timeout;
  wait->timeout_s = timeout_s;
  return await_answer(L, fiber, wait, waits_for);
}

static int wait_for_start(lua_State *L) {
  return ask_event(L, "wait", "event:wait");
}

static int is_started(lua_State *L) {
  lua_settop(L, 1);
  return ask_event(L, "is_set", "event:is_set");
}

static int push_started(lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  class_push(L, STARTED_CLASS);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* ---- fields ---- */

/* Fields that are asked for each time: they may be what cannot be sent. */
static const char *find_asked(const char *key) {
  static const char *const asked[] = {"fn", "config", "response"};
  for (size_t i = 0; i < array_len(asked); i++)
    if (strcmp(key, asked[i]) == 0) return asked[i];
  return NULL;
}

static lua_nret ask_field(lua_State *L, const struct task_home *home, const char *name) {
  struct fiber *fiber = fiber_begin_wait(L, lua_pushfstring(L, "task.%s", name));
  struct task_wait *wait = task_wait_push(L, fiber, home);
  wait->question = ASKS_FIELD;
  wait->name = name;
  return await_answer(L, fiber, wait, "a field of a task");
}

/* Methods, what never changes, and what does: asked for where the task is, if code can wait here.
 */
static int index_handle(lua_State *L) {
  static const char *const fixed[] = {"id", "name", "args", NULL};
  const struct task_home *home = check_handle(L, "wait");
  const char *key = luaL_checkstring(L, 2);
  const char *asked = find_asked(key);
  lua_settop(L, 2);
  if (asked) return ask_field(L, home, asked);
  if (strcmp(key, "started") == 0) return push_started(L);
  if (luaL_getmetafield(L, 1, key) != LUA_TNIL) return 1;
  for (size_t i = 0; fixed[i]; i++)
    if (strcmp(key, fixed[i]) == 0) return push_field(L);
  struct fiber *fiber = fiber_running(L);
  bool can_wait = fiber && fiber->unyieldable == 0 && lua_isyieldable(L);
  if (!is_open(L) || !can_wait) return push_field(L);
  struct task_wait *wait = task_wait_push(L, fiber, home);
  wait->question = ASKS_FIELDS;
  if (!task_wait_send(fiber->worker, wait)) return push_field(L);
  return fiber_park(L, fiber, "task.status", (lua_KContext)wait, looked);
}

/* ---- finding one ---- */

/* Reads what task_handle_push_id has written; false when it is nothing of the kind. */
static bool read_id(const char *text, struct task_home *home) {
  int length = 0;
  int count = sscanf(text, "%16" SCNx64 "%" SCNx64 "%n", &home->id, &home->worker, &length);
  return count == 2 && text[length] == '\0' && strspn(text, "0123456789abcdef") == (size_t)length;
}

/* Stack: the scheduler, the id, the handle, the box. */
static int found(lua_State *L, int status, lua_KContext context) {
  (void)status;
  const struct task_wait *wait = (const struct task_wait *)context;
  fiber_check_cancelled(L);
  lua_settop(L, 3);
  if (!wait->returned) {
    lua_pushnil(L);
    return 1;
  }
  transfer_decode_error(L, wait->bytes.data, wait->bytes.len);
  lua_pop(L, 1); /* no traceback */
  lua_setiuservalue(L, 3, HANDLE_FIELDS);
  return 1;
}

int task_remote_find(lua_State *L) {
  struct task_home home;
  bool is_id = read_id(luaL_checkstring(L, 2), &home);
  lua_settop(L, 2);
  if (!is_id) {
    lua_pushnil(L);
    return 1;
  }
  if (home.worker == worker_of(L)->number) {
    task_registry_push(L, home.id);
    return 1;
  }
  struct fiber *fiber = fiber_begin_wait(L, "tasks:find");
  lua_newtable(L);
  task_remote_push(L, home.worker, home.id);
  struct task_wait *wait = task_wait_push(L, fiber, &home);
  wait->question = ASKS_FIELDS;
  if (!task_wait_send(fiber->worker, wait)) {
    lua_pushnil(L);
    return 1;
  }
  return fiber_park(L, fiber, "tasks:find", (lua_KContext)wait, found);
}

/* Stack: the handle, the key, the value. */
static int set_field(lua_State *L) {
  const struct task_home *home = check_handle(L, "wait");
  const char *key = luaL_tolstring(L, 2, NULL);
  if (strcmp(key, "progress") != 0)
    return luaL_error(L, "a task has no field \"%s\" that can be set: only progress", key);
  struct fiber *fiber = fiber_begin_wait(L, "task.progress");
  struct task_wait *wait = task_wait_push(L, fiber, home);
  wait->question = ASKS_TO_SET;
  transfer_encode_named(L, 3, "task.progress", &wait->bytes);
  return await_answer(L, fiber, wait, "task.progress");
}

static int describe(lua_State *L) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_getfield(L, -1, "name");
  lua_getfield(L, -2, "status");
  lua_pushfstring(L, "task: %s (%s)", lua_tostring(L, -2), lua_tostring(L, -1));
  return 1;
}

/* ---- crossing ---- */

/* The fields are on top, popped. What cannot cross of them is its text. */
static void write_handle(lua_State *L, const struct task_home *home, struct buffer *out) {
  buffer_add(out, home, sizeof *home);
  transfer_encode_error(L, -1, NULL, out);
  lua_pop(L, 1);
}

void task_remote_push(lua_State *L, uint64_t worker, uint64_t id) {
  struct task_home *handle = lua_newuserdatauv(L, sizeof *handle, HANDLE_VALUES);
  *handle = (struct task_home){worker, id};
  class_push(L, CLASS_TASK_REMOTE);
  lua_setmetatable(L, -2);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, HANDLE_FIELDS);
}

static bool encode_task(lua_State *L, int index, struct buffer *out) {
  struct task_home home = {worker_of(L)->number, task_handle_id(L, index)};
  task_wait_push_fields(L, index);
  write_handle(L, &home, out);
  return true;
}

static bool encode_handle(lua_State *L, int index, struct buffer *out) {
  const struct task_home *home = lua_touserdata(L, index);
  lua_getiuservalue(L, index, HANDLE_FIELDS);
  write_handle(L, home, out);
  return true;
}

static void decode_task(lua_State *L, const char *data, size_t len) {
  struct task_home home;
  if (len < sizeof home) error_raise(L, "transfer", "these bytes are no task");
  memcpy(&home, data, sizeof home);
  if (home.worker == worker_of(L)->number) {
    task_registry_push(L, home.id);
    if (!lua_isnil(L, -1)) return;
    lua_pop(L, 1);
  }
  transfer_decode_error(L, data + sizeof home, len - sizeof home);
  lua_pop(L, 1); /* no traceback */
  task_remote_push(L, home.worker, home.id);
}

static const struct transfer_kind task_kind = {CLASS_TASK, encode_task, decode_task};
static const struct transfer_kind handle_kind = {CLASS_TASK_REMOTE, encode_handle, decode_task};

void task_remote_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", wait_remotely},
                                       {"call", call_remotely},
                                       {"cancel", cancel_remotely},
                                       {"__index", index_handle},
                                       {"__newindex", set_field},
                                       {"__tostring", describe},
                                       {NULL, NULL}};
  static const luaL_Reg event_functions[] = {
      {"wait", wait_for_start}, {"is_set", is_started}, {NULL, NULL}};
  luaL_newlib(L, functions);
  class_register(L, CLASS_TASK_REMOTE);
  lua_pop(L, 1);
  task_wait_open(L);
  luaL_newlib(L, event_functions);
  lua_pushvalue(L, -1);
  lua_setfield(L, -2, "__index");
  class_register(L, STARTED_CLASS);
  lua_pop(L, 1);
  transfer_register(L, &task_kind);
  transfer_register(L, &handle_kind);
}
