/* schedule_remote.c - orders: written where the task is scheduled, carried out where it will run.
 *
 * An order is carried out by a fiber, since what it names may have to be loaded first. When it
 * cannot be, the task is one that fails with the reason, so that whoever has the handle is told. */
#include "lib/schedule_remote.h"

#include "base/log.h"
#include "core/context.h"
#include "core/directory.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/function_name.h"
#include "core/module.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/req.h"
#include "lib/task.h"
#include "lib/task_handle.h"
#include "lib/task_registry.h"
#include "lib/task_remote.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define BOX_CLASS "perilune.order"

struct order {
  struct message message;
  struct schedule_home home;
  enum task_when when;
  uint64_t id;           /* of the task */
  char *maker;           /* the line that schedules it: "app.lua:12"; NULL: unknown */
  struct buffer bytes;   /* context; function and arguments */
  struct buffer options; /* empty: none */
  bool is_cancelled;     /* the task is, before it is there */
  char *reason;          /* may be NULL */
};

static void destroy_order(struct order *order) {
  free(order->maker);
  free(order->reason);
  buffer_finish(&order->bytes);
  buffer_finish(&order->options);
  free(order);
}

/* ---- where it is carried out ---- */

static struct agenda *find_agenda(const struct order *order) {
  return schedule_agenda_find(order->home.source, order->home.request);
}

/* Pushes what the order would have been given to here. */
static void push_scheduler(lua_State *L, const struct order *order) {
  if (order->home.source)
    schedule_push(L, find_agenda(order), order->when);
  else if (!schedule_push_app(L, order->when))
    luaL_error(L, "nothing can be scheduled: no app is served on this event loop");
}

/* Stack: the function and its arguments, from `first` on; what schedules; the scheduler. */
static int carry_out(lua_State *L, struct order *order, int first) {
  if (order->options.len > 0) {
    transfer_decode(L, order->options.data, order->options.len);
    schedule_set_options(L, -2);
  }
  lua_rotate(L, first, 2);
  lua_call(L, lua_gettop(L) - first, 1);
  struct task *task = task_at(L, -1);
  task->id = order->id;
  task_registry_add(L, -1);
  if (order->maker) task_set_maker(L, -1, order->maker);
  if (order->is_cancelled) task_cancel(task, order->reason);
  return 0;
}

static int module_ended(lua_State *L, int status, lua_KContext context);

static int receive_again(lua_State *L, struct order *order) {
  int first = lua_gettop(L) + 1;
  size_t len = context_read(L, order->bytes.data);
  luaL_checkstack(L, LUA_MINSTACK, "order");
  if (transfer_decode_loaded(L, order->bytes.data + len, order->bytes.len - len) ==
      TRANSFER_NOT_LOADED)
    return module_require(L, (lua_KContext)order, module_ended);
  lua_pushcfunction(L, schedule_method);
  push_scheduler(L, order);
  return carry_out(L, order, first);
}

static int module_ended(lua_State *L, int status, lua_KContext context) {
  module_end_require(L, status);
  return receive_again(L, (struct order *)context);
}

static int receive(lua_State *L) {
  return receive_again(L, fiber_running(L)->data);
}

/* Upvalue: the reason. */
static int raise_reason(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  return lua_error(L);
}

/* Stack: the error. */
static int receive_failed(lua_State *L) {
  struct order *order = fiber_running(L)->data;
  lua_settop(L, 1);
  buffer_finish(&order->options);
  lua_pushcclosure(L, raise_reason, 1);
  lua_pushcfunction(L, schedule_beyond_limit);
  schedule_push(L, find_agenda(order), TASK_NOW);
  return carry_out(L, order, 1);
}

static void received(struct fiber *fiber) {
  destroy_order(fiber->data);
}

static const struct fiber_kind receiver = {receive, receive_failed, .ended = received};

static struct order *find_order(struct worker *worker, uint64_t id) {
  for (struct list *link = worker->fibers.next; link != &worker->fibers; link = link->next) {
    const struct fiber *fiber = container_of(link, struct fiber, live);
    struct order *order = fiber->data;
    if (fiber->kind == &receiver && order->id == id) return order;
  }
  return NULL;
}

bool schedule_remote_expects(struct worker *worker, uint64_t id) {
  return find_order(worker, id) != NULL;
}

void schedule_remote_cancel(struct worker *worker, uint64_t id, const char *reason) {
  struct order *order = find_order(worker, id);
  if (!order || order->is_cancelled) return;
  order->is_cancelled = true;
  if (reason) order->reason = memory_copy(reason, strlen(reason));
}

static void deliver_order(struct message *message, void *owner) {
  struct worker *worker = owner;
  struct order *order = container_of(message, struct order, message);
  struct fiber *fiber = worker->L ? fiber_create(worker, &receiver) : NULL;
  if (!fiber) { /* no memory: nobody is left to tell but the log */
    log_write(worker->process->log, LOG_ERROR, "a task was lost: not enough memory", NULL, 0);
    destroy_order(order);
    return;
  }
  const struct req_source *source = order->home.source;
  fiber->data = order;
  fiber->name = "tasks:schedule of another state";
  fiber->request = order->home.request;
  if (source) {
    fiber->instance = source->instance;
    fiber->timers = source->timers;
  }
  fiber_start(fiber, 0);
}

/* ---- where it is given ---- */

static int release_box(lua_State *L) {
  struct order **box = lua_touserdata(L, 1);
  if (*box) destroy_order(*box);
  *box = NULL;
  return 0;
}

static struct order **push_box(lua_State *L) {
  struct order **box = lua_newuserdatauv(L, sizeof(struct order *), 0);
  *box = NULL;
  luaL_setmetatable(L, BOX_CLASS);
  *box = memory_alloc_zero(sizeof **box);
  return box;
}

/* Text of the line of Lua that calls; nothing when there is none. */
static void note_maker(lua_State *L, struct order *order) {
  luaL_where(L, 1);
  size_t len;
  const char *where = lua_tolstring(L, -1, &len);
  if (len > 2) order->maker = memory_copy(where, len - 2); /* without ": " */
  lua_pop(L, 1);
}

/* Pushes what the handle has of the task. */
static void push_fields(lua_State *L, const struct order *order, int function, int nargs,
                        int options) {
  lua_createtable(L, 0, 4);
  int fields = lua_gettop(L);
  task_handle_push_id(L, order->home.worker, order->id);
  lua_setfield(L, fields, "id");
  if (!options || lua_getfield(L, options, "name") != LUA_TSTRING) {
    lua_settop(L, fields);
    function_name_push(L, function);
  }
  lua_setfield(L, fields, "name");
  lua_pushliteral(L, "waiting");
  lua_setfield(L, fields, "status");
  lua_createtable(L, nargs, 1);
  for (int i = 1; i <= nargs; i++) {
    lua_pushvalue(L, function + i);
    lua_rawseti(L, fields + 1, i);
  }
  lua_pushinteger(L, nargs);
  lua_setfield(L, fields + 1, "n");
  lua_setfield(L, fields, "args");
  lua_settop(L, fields);
}

void schedule_remote(lua_State *L, const struct schedule_home *home, enum task_when when,
                     int function, int options) {
  int nargs = lua_gettop(L) - function;
  luaL_checkstack(L, LUA_MINSTACK, "too many arguments");
  struct order **box = push_box(L);
  struct order *order = *box;
  order->message.deliver = deliver_order;
  order->home = *home;
  order->when = when;
  order->id = task_handle_random_id(L);
  note_maker(L, order);
  context_write(L, &order->bytes);
  transfer_encode_call(L, function, nargs, &order->bytes);
  if (options) transfer_encode_named(L, options, "options", &order->options);
  push_fields(L, order, function, nargs, options);
  task_remote_push(L, home->worker, order->id);
  if (!directory_post(worker_of(L)->process->directory, home->worker, &order->message))
    error_raise(L, "disconnected",
                "nothing can be scheduled: the event loop of the request has ended");
  *box = NULL;
}

void schedule_remote_open(lua_State *L) {
  luaL_newmetatable(L, BOX_CLASS);
  lua_pushcfunction(L, release_box);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
