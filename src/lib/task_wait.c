/* task_wait.c - the block of a question, and the fiber that answers on the task's worker.
 *
 * The block has two owners: the box of the one who asks, and the message, from its sending until it
 * is back or has nowhere to go. Either may be the last, on any thread. */
#include "lib/task_wait.h"

#include "core/call.h"
#include "core/directory.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/schedule_remote.h"
#include "lib/task.h"
#include "lib/task_handle.h"
#include "lib/task_registry.h"

#include <lauxlib.h>
#include <stdlib.h>

#define WAIT_CLASS "perilune.task.remote.wait"

static void drop_wait(struct task_wait *wait) {
  if (atomic_fetch_sub_explicit(&wait->owners, 1, memory_order_acq_rel) > 1) return;
  buffer_finish(&wait->bytes);
  free(wait);
}

/* ---- on the task's worker ---- */

void task_wait_push_fields(lua_State *L, int task) {
  static const char *const names[] = {"id",   "name",    "status", "error",   "traceback",
                                      "args", "results", "late",   "attempt", "progress"};
  lua_createtable(L, 0, array_len(names));
  for (size_t i = 0; i < array_len(names); i++) {
    lua_getfield(L, task, names[i]);
    lua_setfield(L, -2, names[i]);
  }
}

static void deliver_answer(struct message *message, void *owner) {
  (void)owner;
  struct task_wait *wait = container_of(message, struct task_wait, message);
  if (!wait->is_orphaned) fiber_wake(wait->ticket);
  drop_wait(wait);
}

static void send_answer(struct worker *worker, struct task_wait *wait) {
  wait->message.deliver = deliver_answer;
  if (!directory_post(worker->process->directory, wait->asker, &wait->message)) drop_wait(wait);
}

/* There will be no answer from this worker any more. */
static void send_loss(struct worker *worker, struct task_wait *wait) {
  wait->is_lost = true;
  send_answer(worker, wait);
}

static int task_ended(lua_State *L, int status, lua_KContext context) {
  struct task_wait *wait = (struct task_wait *)context;
  (void)status;
  wait->has_ended = wait->question == ASKS_END;
  transfer_encode(L, 1, lua_gettop(L), "result", &wait->bytes);
  wait->returned = true;
  return 0;
}

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

/* Stack: task_handle_wait, the task. */
static void turn_into_method(lua_State *L, const char *name) {
  lua_getfield(L, 2, "started");
  lua_getfield(L, -1, name);
  lua_replace(L, 1);
  lua_replace(L, 2);
}

static int give(struct task_wait *wait) {
  wait->returned = true;
  return 0;
}

static int set_progress(lua_State *L, struct task_wait *wait) {
  transfer_decode(L, wait->bytes.data, wait->bytes.len);
  lua_setfield(L, 2, "progress");
  buffer_clear(&wait->bytes);
  transfer_encode(L, 1, 0, "result", &wait->bytes);
  return give(wait);
}

static int wait_here(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct task_wait *wait = fiber->data;
  lua_settop(L, 0);
  lua_pushcfunction(L, task_handle_wait);
  task_registry_push(L, wait->task.id);
  if (lua_isnil(L, -1) && schedule_remote_expects(worker_of(L), wait->task.id))
    return fiber_pause(L, "task:wait", 0, looked_again);
  if (lua_isnil(L, -1))
    return luaL_error(L, "the task has ended long ago and is not known any more");
  const struct task *task = task_at(L, -1);
  switch (wait->question) {
  case ASKS_FIELDS:
    task_wait_push_fields(L, 2);
    transfer_encode_error(L, -1, NULL, &wait->bytes);
    return give(wait);
  case ASKS_FIELD:
    lua_pushfstring(L, "task.%s", wait->name);
    lua_getfield(L, 2, wait->name);
    transfer_encode_named(L, 4, lua_tostring(L, 3), &wait->bytes);
    return give(wait);
  case ASKS_TO_SET:
    return set_progress(L, wait);
  case ASKS_EVENT:
    turn_into_method(L, wait->name);
    break;
  case ASKS_CALL:
    turn_into_call(L, fiber);
    break;
  case ASKS_END:
    if (wait->root && task->fiber) task_check_root_wait(L, task, wait->root);
    break;
  }
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
  struct task_wait *wait = fiber->data;
  task_registry_push(L, wait->task.id);
  const struct task *task = lua_isnil(L, -1) ? NULL : task_at(L, -1);
  wait->has_ended = wait->question == ASKS_END && task && !task->fiber;
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
  struct task_wait *wait = container_of(message, struct task_wait, message);
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

/* ---- on the worker that asks ---- */

static int release_wait(lua_State *L) {
  struct task_wait **box = lua_touserdata(L, 1);
  struct task_wait *wait = *box;
  *box = NULL;
  if (!wait) return 0;
  wait->is_orphaned = true;
  drop_wait(wait);
  return 0;
}

struct task_wait *task_wait_push(lua_State *L, struct fiber *fiber, const struct task_home *home) {
  struct task_wait **box = lua_newuserdatauv(L, sizeof(struct task_wait *), 0);
  *box = NULL;
  luaL_setmetatable(L, WAIT_CLASS);
  struct task_wait *wait = *box = memory_alloc_zero(sizeof **box);
  atomic_init(&wait->owners, 1);
  wait->task = *home;
  wait->asker = fiber->worker->number;
  wait->message.deliver = deliver_wait;
  wait->ticket = fiber_ticket(fiber);
  wait->root = call_find_root(L);
  return wait;
}

bool task_wait_send(struct worker *worker, struct task_wait *wait) {
  atomic_fetch_add_explicit(&wait->owners, 1, memory_order_relaxed);
  bool is_sent = directory_post(worker->process->directory, wait->task.worker, &wait->message);
  if (!is_sent) drop_wait(wait);
  return is_sent;
}

void task_wait_open(lua_State *L) {
  luaL_newmetatable(L, WAIT_CLASS);
  lua_pushcfunction(L, release_wait);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
