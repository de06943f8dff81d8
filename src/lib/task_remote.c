/* task_remote.c - the two sides of a handle on a task of another worker.
 *
 * A wait travels to the task's worker, where a fiber waits for the task and sends results or error
 * back. The block of a wait belongs to the message while that is on its way, and after that to the
 * box of the one who waits; one who has stopped waiting leaves it to the message. */
#include "lib/task_remote.h"

#include "core/class.h"
#include "core/directory.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/options.h"
#include "lib/task.h"
#include "lib/task_handle.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_CLASS "perilune.task.remote.wait"

/* Registry key: the tasks of this state that have been sent, by id (weak values). */
static const char sent_key = 0;

/* Where a task is. */
struct home {
  uint64_t worker; /* number in the directory */
  uint64_t id;
};

struct wait {
  struct message message;
  struct home task;
  uint64_t asker; /* number of the worker that waits */
  bool has_timeout;
  double timeout_s;

  /* the answer */
  struct buffer bytes; /* results, or the error; empty: no memory */
  bool returned;
  bool has_ended; /* the task has, so that it is its error */

  /* the asker's own */
  struct ticket ticket;
  bool is_back, is_orphaned;
};

static void destroy_wait(struct wait *wait) {
  buffer_finish(&wait->bytes);
  free(wait);
}

/* ---- on the task's worker ---- */

static void deliver_answer(struct message *message, void *owner) {
  (void)owner;
  struct wait *wait = container_of(message, struct wait, message);
  wait->is_back = true;
  if (wait->is_orphaned)
    destroy_wait(wait);
  else
    fiber_wake(wait->ticket);
}

static void send_answer(struct worker *worker, struct wait *wait) {
  wait->message.deliver = deliver_answer;
  if (!directory_post(worker->process->directory, wait->asker, &wait->message)) destroy_wait(wait);
}

/* Pushes the task with that id; nil when it has ended and nobody keeps it. */
static void push_sent(lua_State *L, uint64_t id) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sent_key);
  lua_rawgeti(L, -1, (lua_Integer)id);
  lua_remove(L, -2);
}

static int task_ended(lua_State *L, int status, lua_KContext context) {
  struct wait *wait = (struct wait *)context;
  (void)status;
  wait->has_ended = true;
  transfer_encode(L, 1, lua_gettop(L), "result", &wait->bytes);
  wait->returned = true;
  return 0;
}

static int wait_here(lua_State *L) {
  struct wait *wait = fiber_running(L)->data;
  lua_pushcfunction(L, task_handle_wait);
  push_sent(L, wait->task.id);
  if (lua_isnil(L, -1)) return luaL_error(L, "the task has ended, and nobody has kept it");
  int nargs = 1;
  if (wait->has_timeout) {
    lua_pushnumber(L, wait->timeout_s);
    nargs++;
  }
  lua_callk(L, nargs, LUA_MULTRET, (lua_KContext)wait, task_ended);
  return task_ended(L, LUA_OK, (lua_KContext)wait);
}

static int wait_failed(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct wait *wait = fiber->data;
  push_sent(L, wait->task.id);
  const struct task *task = lua_isnil(L, -1) ? NULL : task_at(L, -1);
  wait->has_ended = task && !task->fiber;
  buffer_clear(&wait->bytes);
  transfer_encode_error(L, 1, fiber->traceback, &wait->bytes);
  return 0;
}

static void wait_ended(struct fiber *fiber) {
  send_answer(fiber->worker, fiber->data);
}

static void deliver_wait(struct message *message, void *owner) {
  struct worker *worker = owner;
  struct wait *wait = container_of(message, struct wait, message);
  static const struct fiber_kind kind = {wait_here, wait_failed, .ended = wait_ended};
  struct fiber *fiber = worker->L ? fiber_create(worker, &kind) : NULL;
  if (!fiber) {
    send_answer(worker, wait);
    return;
  }
  fiber->data = wait;
  fiber->name = "task:wait of another state";
  fiber_start(fiber, 0);
}

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
  destroy_cancel(cancel);
}

/* ---- the handle ---- */

enum { HANDLE_FIELDS = 1, HANDLE_VALUES = HANDLE_FIELDS };

static struct home *check_handle(lua_State *L, const char *method) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_TASK_REMOTE) != 0)
    luaL_error(L, "task.%s was called without its task: use a colon (task:%s)", method, method);
  return lua_touserdata(L, 1);
}

static int release_wait(lua_State *L) {
  struct wait **box = lua_touserdata(L, 1);
  struct wait *wait = *box;
  *box = NULL;
  if (!wait) return 0;
  if (wait->is_back)
    destroy_wait(wait);
  else
    wait->is_orphaned = true;
  return 0;
}

/* Notes in the handle's fields how the task has ended; results or error are on top. */
static void note_end(lua_State *L, const char *status, const char *field) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_pushstring(L, status);
  lua_setfield(L, -2, "status");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, field);
  lua_pop(L, 1);
}

static int give_results(lua_State *L, const struct wait *wait) {
  int first = lua_gettop(L) + 1;
  int count = transfer_decode(L, wait->bytes.data, wait->bytes.len);
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

/* Stack: the handle, the box. */
static int waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  const struct wait *wait = (const struct wait *)context;
  fiber_check_cancelled(L);
  if (wait->returned) return give_results(L, wait);
  if (wait->bytes.len == 0) return luaL_error(L, "not enough memory");
  transfer_decode_error(L, wait->bytes.data, wait->bytes.len);
  fiber_set_trail(L, -2, lua_tostring(L, -1));
  lua_pop(L, 1);
  const char *kind = error_kind(L, -1);
  if (wait->has_ended)
    note_end(L, kind && strcmp(kind, "cancelled") == 0 ? "cancelled" : "failed", "error");
  return lua_error(L);
}

/* Pushes a box with a zeroed wait. */
static struct wait *push_wait(lua_State *L) {
  struct wait **box = lua_newuserdatauv(L, sizeof(struct wait *), 0);
  *box = NULL;
  luaL_setmetatable(L, WAIT_CLASS);
  *box = memory_alloc_zero(sizeof **box);
  return *box;
}

static int wait_remotely(lua_State *L) {
  const struct home *home = check_handle(L, "wait");
  bool has_timeout = !lua_isnoneornil(L, 2);
  if (has_timeout) options_check_seconds(L, 2);
  double timeout_s = has_timeout ? lua_tonumber(L, 2) : 0;
  struct fiber *fiber = fiber_begin_wait(L, "task:wait");
  struct worker *worker = fiber->worker;
  lua_settop(L, 1);
  struct wait *wait = push_wait(L);
  wait->task = *home;
  wait->asker = worker->number;
  wait->has_timeout = has_timeout;
  wait->timeout_s = timeout_s;
  wait->message.deliver = deliver_wait;
  wait->ticket = fiber_ticket(fiber);
  if (!directory_post(worker->process->directory, home->worker, &wait->message)) {
    wait->is_back = true;
    error_raise(L, "disconnected", "the thread that the task lived on has ended");
  }
  return fiber_park(L, fiber, "task:wait", (lua_KContext)wait, waited);
}

static int cancel_remotely(lua_State *L) {
  const struct home *home = check_handle(L, "cancel");
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

static int index_handle(lua_State *L) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  return luaL_getmetafield(L, 1, luaL_checkstring(L, 2)) == LUA_TNIL ? 0 : 1;
}

static int describe(lua_State *L) {
  lua_getiuservalue(L, 1, HANDLE_FIELDS);
  lua_getfield(L, -1, "name");
  lua_getfield(L, -2, "status");
  lua_pushfstring(L, "task: %s (%s)", lua_tostring(L, -2), lua_tostring(L, -1));
  return 1;
}

/* ---- crossing ---- */

static void push_fields(lua_State *L, int task) {
  static const char *const names[] = {"id",        "name", "status",  "error",
                                      "traceback", "args", "results", "late"};
  lua_createtable(L, 0, array_len(names));
  for (size_t i = 0; i < array_len(names); i++) {
    lua_getfield(L, task, names[i]);
    lua_setfield(L, -2, names[i]);
  }
}

/* The fields are on top, popped. What cannot cross of them is its text. */
static void write_handle(lua_State *L, const struct home *home, struct buffer *out) {
  buffer_add(out, home, sizeof *home);
  transfer_encode_error(L, -1, NULL, out);
  lua_pop(L, 1);
}

static bool encode_task(lua_State *L, int index, struct buffer *out) {
  struct task *task = lua_touserdata(L, index);
  struct home home = {worker_of(L)->number, task_handle_id(L, task)};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &sent_key);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, (lua_Integer)home.id);
  lua_pop(L, 1);
  push_fields(L, index);
  write_handle(L, &home, out);
  return true;
}

static bool encode_handle(lua_State *L, int index, struct buffer *out) {
  const struct home *home = lua_touserdata(L, index);
  lua_getiuservalue(L, index, HANDLE_FIELDS);
  write_handle(L, home, out);
  return true;
}

static void decode_task(lua_State *L, const char *data, size_t len) {
  struct home home;
  if (len < sizeof home) error_raise(L, "transfer", "these bytes are no task");
  memcpy(&home, data, sizeof home);
  if (home.worker == worker_of(L)->number) {
    push_sent(L, home.id);
    if (!lua_isnil(L, -1)) return;
    lua_pop(L, 1);
  }
  struct home *handle = lua_newuserdatauv(L, sizeof *handle, HANDLE_VALUES);
  *handle = home;
  class_push(L, CLASS_TASK_REMOTE);
  lua_setmetatable(L, -2);
  transfer_decode_error(L, data + sizeof home, len - sizeof home);
  lua_pop(L, 1); /* no traceback */
  lua_setiuservalue(L, -2, HANDLE_FIELDS);
}

static const struct transfer_kind task_kind = {CLASS_TASK, encode_task, decode_task};
static const struct transfer_kind handle_kind = {CLASS_TASK_REMOTE, encode_handle, decode_task};

void task_remote_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"wait", wait_remotely},
                                       {"cancel", cancel_remotely},
                                       {"__index", index_handle},
                                       {"__tostring", describe},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  class_register(L, CLASS_TASK_REMOTE);
  luaL_newmetatable(L, WAIT_CLASS);
  lua_pushcfunction(L, release_wait);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sent_key);
  lua_pop(L, 2);
  transfer_register(L, &task_kind);
  transfer_register(L, &handle_kind);
}
