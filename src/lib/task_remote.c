/* task_remote.c - the two sides of a handle on a task of another worker.
 *
 * A wait travels to the task's worker, where a fiber waits for the task and sends results or error
 * back. The block of a wait has two owners: the box of the one who waits, and the message, from its
 * sending until it is back or has nowhere to go. Either may be the last, on any thread. */
#include "lib/task_remote.h"

#include "core/call.h"
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

#include <inttypes.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_CLASS "perilune.task.remote.wait"

/* Where a task is. */
struct home {
  uint64_t worker; /* number in the directory */
  uint64_t id;
};

struct wait {
  struct message message;
  _Atomic(int) owners; /* the box, and the message while it is under way */
  struct home task;
  uint64_t asker;           /* number of the worker that waits */
  const struct fiber *root; /* what waits for the code that waits; call.root */
  bool looks; /* it does not wait for the end: the answer is what the task is like now */
  bool calls; /* nor does it then: the task's function is called once more */
  bool has_timeout;
  double timeout_s;

  /* the answer */
  struct buffer bytes; /* results, fields, or the error; empty: no memory */
  bool is_lost;        /* the thread has ended meanwhile: there is no answer */
  bool returned;
  bool has_ended; /* the task has, so that it is its error */

  /* the asker's own */
  struct ticket ticket;
  bool is_orphaned; /* the box has let go: nobody is to be woken */
};

static void drop_wait(struct wait *wait) {
  if (atomic_fetch_sub_explicit(&wait->owners, 1, memory_order_acq_rel) > 1) return;
  buffer_finish(&wait->bytes);
  free(wait);
}

/* ---- on the task's worker ---- */

static void deliver_answer(struct message *message, void *owner) {
  (void)owner;
  struct wait *wait = container_of(message, struct wait, message);
  if (!wait->is_orphaned) fiber_wake(wait->ticket);
  drop_wait(wait);
}

static void send_answer(struct worker *worker, struct wait *wait) {
  wait->message.deliver = deliver_answer;
  if (!directory_post(worker->process->directory, wait->asker, &wait->message)) drop_wait(wait);
}

/* There will be no answer from this worker any more. */
static void send_loss(struct worker *worker, struct wait *wait) {
  wait->is_lost = true;
  send_answer(worker, wait);
}

static int task_ended(lua_State *L, int status, lua_KContext context) {
  struct wait *wait = (struct wait *)context;
  (void)status;
  wait->has_ended = !wait->calls;
  transfer_encode(L, 1, lua_gettop(L), "result", &wait->bytes);
  wait->returned = true;
  return 0;
}

static void push_fields(lua_State *L, int task);
static int wait_here(lua_State *L);

static int looked_again(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return wait_here(L);
}

/* Stack: task_handle_wait, the task. Its function runs as if the task's fiber called it. */
static void turn_into_call(lua_State *L, struct fiber *fiber) {
  const struct task *task = task_at(L, 2);
  lua_pushcfunction(L, task_handle_call);
  lua_replace(L, 1);
  if (!task->fiber) return;
  fiber->request = task->fiber->request;
  fiber->source = task->fiber->source;
  fiber->instance = task->fiber->instance;
  fiber->timers = task->fiber->timers;
}

static int wait_here(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct wait *wait = fiber->data;
  lua_settop(L, 0);
  lua_pushcfunction(L, task_handle_wait);
  task_registry_push(L, wait->task.id);
  if (lua_isnil(L, -1) && schedule_remote_expects(worker_of(L), wait->task.id))
    return fiber_pause(L, "task:wait", 0, looked_again);
  if (lua_isnil(L, -1))
    return luaL_error(L, "the task has ended long ago and is not known any more");
  if (wait->looks) {
    push_fields(L, 2);
    transfer_encode_error(L, -1, NULL, &wait->bytes);
    wait->returned = true;
    return 0;
  }
  const struct task *task = task_at(L, -1);
  if (wait->calls)
    turn_into_call(L, fiber);
  else if (wait->root && task->fiber)
    task_check_root_wait(L, task, wait->root);
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
  task_registry_push(L, wait->task.id);
  const struct task *task = lua_isnil(L, -1) ? NULL : task_at(L, -1);
  wait->has_ended = task && !task->fiber && !wait->calls;
  buffer_clear(&wait->bytes);
  transfer_encode_error(L, 1, fiber->traceback, &wait->bytes);
  return 0;
}

static void wait_ended(struct fiber *fiber) {
  send_answer(fiber->worker, fiber->data);
}

static void wait_lost(struct fiber *fiber) {
  send_loss(fiber->worker, fiber->data);
}

static void deliver_wait(struct message *message, void *owner) {
  struct worker *worker = owner;
  struct wait *wait = container_of(message, struct wait, message);
  static const struct fiber_kind kind = {wait_here, wait_failed, .ended = wait_ended,
                                         .lost = wait_lost};
  if (!worker->L) {
    send_loss(worker, wait);
    return;
  }
  struct fiber *fiber = fiber_create(worker, &kind);
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
  schedule_remote_cancel(worker, cancel->id, cancel->reason);
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
  wait->is_orphaned = true;
  drop_wait(wait);
  return 0;
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

static int give_results(lua_State *L, const struct wait *wait) {
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
  const struct wait *wait = (const struct wait *)context;
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

/* Pushes a box with a wait of the fiber. */
static struct wait *push_wait(lua_State *L, struct fiber *fiber, const struct home *home) {
  struct wait **box = lua_newuserdatauv(L, sizeof(struct wait *), 0);
  *box = NULL;
  luaL_setmetatable(L, WAIT_CLASS);
  struct wait *wait = *box = memory_alloc_zero(sizeof **box);
  atomic_init(&wait->owners, 1);
  wait->task = *home;
  wait->asker = fiber->worker->number;
  wait->message.deliver = deliver_wait;
  wait->ticket = fiber_ticket(fiber);
  wait->root = call_find_root(L);
  return wait;
}

/* False when the task's worker has ended. */
static bool send_wait(struct worker *worker, struct wait *wait) {
  atomic_fetch_add_explicit(&wait->owners, 1, memory_order_relaxed);
  bool is_sent = directory_post(worker->process->directory, wait->task.worker, &wait->message);
  if (!is_sent) drop_wait(wait);
  return is_sent;
}

/* Sends a wait to the task's worker, and waits itself. */
static lua_nret await_answer(lua_State *L, struct fiber *fiber, struct wait *wait,
                             const char *waits_for) {
  if (!send_wait(fiber->worker, wait)) raise_disconnected(L);
  return fiber_park(L, fiber, waits_for, (lua_KContext)wait, waited);
}

static int wait_remotely(lua_State *L) {
  const struct home *home = check_handle(L, "wait");
  bool has_timeout = !lua_isnoneornil(L, 2);
  if (has_timeout) options_check_seconds(L, 2);
  double timeout_s = has_timeout ? lua_tonumber(L, 2) : 0;
  struct fiber *fiber = fiber_begin_wait(L, "task:wait");
  lua_settop(L, 1);
  struct wait *wait = push_wait(L, fiber, home);
  wait->has_timeout = has_timeout;
  wait->timeout_s = timeout_s;
  return await_answer(L, fiber, wait, "task:wait");
}

static int call_remotely(lua_State *L) {
  const struct home *home = check_handle(L, "call");
  struct fiber *fiber = fiber_begin_wait(L, "task:call");
  lua_settop(L, 1);
  struct wait *wait = push_wait(L, fiber, home);
  wait->calls = true;
  return await_answer(L, fiber, wait, "task:call");
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
  const struct wait *wait = (const struct wait *)context;
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

/* What a task has on its own thread alone. */
static void check_is_sent(lua_State *L, const char *key) {
  static const struct {
    const char *name, *instead;
  } unsent[] = {
      {"fn", "call the function by its own name"},
      {"config", "send along what is needed of it as an argument"},
      {"response", "read it in the task, and give it as its result"},
      {"started", "look at task.status, or task.attempt"},
  };
  for (size_t i = 0; i < array_len(unsent); i++)
    if (strcmp(key, unsent[i].name) == 0)
      luaL_error(L, "task.%s is there on the thread of the task alone: %s", key, unsent[i].instead);
}

/* Methods, what never changes, and what does: asked for where the task is, if code can wait here.
 */
static int index_handle(lua_State *L) {
  static const char *const fixed[] = {"id", "name", "args", NULL};
  const struct home *home = check_handle(L, "wait");
  const char *key = luaL_checkstring(L, 2);
  lua_settop(L, 2);
  check_is_sent(L, key);
  if (luaL_getmetafield(L, 1, key) != LUA_TNIL) return 1;
  for (size_t i = 0; fixed[i]; i++)
    if (strcmp(key, fixed[i]) == 0) return push_field(L);
  struct fiber *fiber = fiber_running(L);
  bool can_wait = fiber && fiber->unyieldable == 0 && lua_isyieldable(L);
  if (!is_open(L) || !can_wait) return push_field(L);
  struct wait *wait = push_wait(L, fiber, home);
  wait->looks = true;
  if (!send_wait(fiber->worker, wait)) return push_field(L);
  return fiber_park(L, fiber, "task.status", (lua_KContext)wait, looked);
}

/* ---- finding one ---- */

/* Reads what task_handle_push_id has written; false when it is nothing of the kind. */
static bool read_id(const char *text, struct home *home) {
  int length = 0;
  int count = sscanf(text, "%16" SCNx64 "%" SCNx64 "%n", &home->id, &home->worker, &length);
  return count == 2 && text[length] == '\0' && strspn(text, "0123456789abcdef") == (size_t)length;
}

/* Stack: the scheduler, the id, the handle, the box. */
static int found(lua_State *L, int status, lua_KContext context) {
  (void)status;
  const struct wait *wait = (const struct wait *)context;
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
  struct home home;
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
  struct wait *wait = push_wait(L, fiber, &home);
  wait->looks = true;
  if (!send_wait(fiber->worker, wait)) {
    lua_pushnil(L);
    return 1;
  }
  return fiber_park(L, fiber, "tasks:find", (lua_KContext)wait, found);
}

static int set_field(lua_State *L) {
  check_handle(L, "wait");
  return luaL_error(L, "task.%s cannot be set: the task is one of another thread",
                    luaL_tolstring(L, 2, NULL));
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
  static const char *const names[] = {"id",   "name",    "status", "error",   "traceback",
                                      "args", "results", "late",   "attempt", "progress"};
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

void task_remote_push(lua_State *L, uint64_t worker, uint64_t id) {
  struct home *handle = lua_newuserdatauv(L, sizeof *handle, HANDLE_VALUES);
  *handle = (struct home){worker, id};
  class_push(L, CLASS_TASK_REMOTE);
  lua_setmetatable(L, -2);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, HANDLE_FIELDS);
}

static bool encode_task(lua_State *L, int index, struct buffer *out) {
  struct home home = {worker_of(L)->number, task_handle_id(L, index)};
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
  luaL_newlib(L, functions);
  class_register(L, CLASS_TASK_REMOTE);
  luaL_newmetatable(L, WAIT_CLASS);
  lua_pushcfunction(L, release_wait);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 2);
  transfer_register(L, &task_kind);
  transfer_register(L, &handle_kind);
}
