/* call.c - the caller's side of a call.
 *
 * The box is a userdata that owns the call from the first byte of its arguments on, so an error
 * anywhere (what cannot be sent, a cancelled wait, memory) gives it back through __gc. */
#include "core/call.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/ask.h"
#include "core/call_run.h"
#include "core/context.h"
#include "core/error.h"
#include "core/module.h"
#include "core/transfer.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define BOX_CLASS "perilune.call"

struct call_box {
  struct call *call;
  bool submitted;
  int index;           /* of the box on the stack, while it is awaited */
  struct fiber *fiber; /* the one it is offered to */
  uint64_t timeout_ns; /* from when it is awaited on; 0: none */
  uint64_t due_ns;     /* on the clock of who awaits it; 0: none */
  struct timer told;   /* its time is over, and where it is will be known soon */
};

/* An ask of the function that has its result but goes on. */
struct offer {
  struct ask ask;
  struct call *call;
  struct buffer results;
  struct call_target target;
  bool accepted;
};

void call_free(struct call *call) {
  if (atomic_fetch_sub_explicit(&call->references, 1, memory_order_acq_rel) > 1) return;
  if (call->host) call->host->release(call->host);
  buffer_finish(&call->payload);
  buffer_finish(&call->result);
  free(call);
}

/* Ends the caller's interest in the call, whatever its state. */
static void drop(struct call_box *box) {
  struct call *call = box->call;
  box->call = NULL;
  if (call && timer_is_started(&box->told)) timer_stop(&call->caller->timers, &box->told);
  if (box->fiber) box->fiber->offered = NULL;
  box->fiber = NULL;
  if (!call) return;
  if (call->offer) ask_answer(&call->offer->ask);
  call->offer = NULL;
  if (!box->submitted || call->done)
    call_free(call);
  else
    call->host->abandon(call->host, call);
}

static int release_box(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

void call_drop(lua_State *L, int index) {
  drop(luaL_checkudata(L, index, BOX_CLASS));
}

void call_drop_offered(struct fiber *fiber) {
  if (fiber->offered) drop(fiber->offered);
}

void call_open(lua_State *L) {
  luaL_newmetatable(L, BOX_CLASS);
  lua_pushcfunction(L, release_box);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

static struct call_box *push_box(lua_State *L) {
  struct call_box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct call_box){0};
  luaL_setmetatable(L, BOX_CLASS);
  box->call = memory_alloc_zero(sizeof *box->call);
  list_init(&box->call->link);
  list_init(&box->call->nested);
  atomic_init(&box->call->references, 1);
  return box;
}

/* Without a place the function is below its arguments and sent along. */
static void write_payload(lua_State *L, const struct place *place, int first, int nargs,
                          struct buffer *payload) {
  uint32_t len = place ? (uint32_t)place->identity_len : 0;
  buffer_add(payload, &len, sizeof len);
  if (place) buffer_add(payload, place->identity, len);
  context_write(L, payload);
  if (place)
    transfer_encode(L, first, nargs, "argument", payload);
  else
    transfer_encode_call(L, first - 1, nargs, payload);
}

static NO_RETURN void raise_refused(lua_State *L, const struct call *call, uv_err error) {
  const char *noun = call->host->noun, *name = call->pool;
  if (error == UV_ENOBUFS) error_raise(L, "full", "the queue of %s '%s' is full", noun, name);
  if (error == UV_ELOOP)
    error_raise(L, "full", "%s '%s' cannot take this call: its threads wait for calls like it",
                noun, name);
  if (error == UV_ENOENT && place_is_loading(L))
    luaL_error(L, "there is no %s '%s' while the app loads: use app:on_start", noun, name);
  if (error == UV_ENOENT) luaL_error(L, "there is no %s '%s' in this app", noun, name);
  if (error == UV_ENOTCONN)
    luaL_error(L, "%s '%s' has not started yet: use app:on_start", noun, name);
  if (error == UV_ESHUTDOWN) luaL_error(L, "%s '%s' has been stopped", noun, name);
  if (error == UV_ECANCELED)
    luaL_error(L, "%s '%s' has ended: the app is not served any more", noun, name);
  luaL_error(L, "%s '%s' cannot start a thread: %s", noun, name, uv_strerror(error));
  abort();
}

/* While an app loads its loops are not there, or, in a later state, not to be disturbed. */
static void check_loop(lua_State *L, const struct place *place) {
  if (place_is_loading(L))
    luaL_error(L, "a background function cannot be called while the app loads: use app:on_start");
  if (!place->host) luaL_error(L, "there is no loop '%s' in this app", place->loop);
}

/* The pool of a call that names none. */
static const char *default_pool(lua_State *L) {
  const struct call *around = worker_of(L)->role->runs_blocking ? call_run_find(L) : NULL;
  return around ? around->pool : "default";
}

/* The queue that a call goes to; `pool`: where the place does not say. */
static void choose_queue(struct call *call, const struct place *place, const char *pool) {
  call->pool = pool;
  if (place && place->pool) call->pool = place->pool;
  if (!place || !place->loop) return;
  call->pool = place->loop;
  call->calls_max = place->calls_max;
}

/* Where the request of the running code is handled; without one, at least its event loop. */
static struct call_target find_origin(lua_State *L) {
  const struct call *around = call_run_find(L);
  if (around) return around->origin;
  const struct worker *worker = worker_of(L);
  const struct fiber *fiber = worker->running;
  struct call_target origin = {.home = worker->number};
  if (fiber) origin.data = fiber->source, origin.number = fiber->request;
  return origin;
}

/* Pushes the box of a call with the `nargs` values on top of the stack. */
static struct call_box *prepare(lua_State *L, struct call_host *host, const struct place *place,
                                int nargs) {
  struct worker *worker = worker_of(L);
  const struct fiber *fiber = worker->running;
  int first = lua_gettop(L) - nargs + 1;
  if (place && place->loop) check_loop(L, place);
  struct call_box *box = push_box(L);
  struct call *call = box->call;
  call->host = host;
  call->host->retain(call->host);
  call->caller = worker;
  call->request = fiber ? fiber->request : 0;
  if (worker->process->write_task) worker->process->write_task(L, call->task, sizeof call->task);
  call->origin = find_origin(L);
  write_payload(L, place, first, nargs, &call->payload);
  return box;
}

void call_prepare(lua_State *L, struct place *place, int nargs, const char *pool) {
  int first = lua_gettop(L) - nargs + 1;
  struct call_box *box = prepare(L, place->host, place, nargs);
  choose_queue(box->call, place, pool);
  box->timeout_ns = place->timeout_ns;
  if (nargs > 0) lua_replace(L, first);
  lua_settop(L, first);
}

void call_prepare_function(lua_State *L, struct call_host *host, int nargs, const char *pool,
                           uint64_t timeout_ns) {
  int function = lua_gettop(L) - nargs;
  const struct place *place = place_of(L, function);
  struct call_box *box = prepare(L, place ? place->host : host, place, nargs);
  choose_queue(box->call, place, default_pool(L));
  if (pool && !(place && place->loop)) box->call->pool = pool;
  box->timeout_ns = timeout_ns;
  if (place && place->timeout_ns && (!timeout_ns || place->timeout_ns < timeout_ns))
    box->timeout_ns = place->timeout_ns;
  lua_replace(L, function);
  lua_settop(L, function);
}

void call_set_task(lua_State *L, int index, const char *name) {
  struct call_box *box = luaL_checkudata(L, index, BOX_CLASS);
  snprintf(box->call->task, sizeof box->call->task, "%s", name);
}

void call_copy(lua_State *L, int index) {
  const struct call_box *from = luaL_checkudata(L, index, BOX_CLASS);
  const struct call *call = from->call;
  struct call_box *box = push_box(L);
  box->timeout_ns = from->timeout_ns;
  box->call->host = call->host;
  box->call->host->retain(box->call->host);
  box->call->pool = call->pool;
  box->call->caller = call->caller;
  box->call->request = call->request;
  memcpy(box->call->task, call->task, sizeof call->task);
  buffer_add(&box->call->payload, call->payload.data, call->payload.len);
}

void call_submit(lua_State *L, int index) {
  struct call_box *box = luaL_checkudata(L, index, BOX_CLASS);
  if (box->submitted) return;
  uv_err error = box->call->host->submit(box->call->host, box->call);
  if (error) raise_refused(L, box->call, error);
  box->submitted = true;
}

enum call_way call_find_way(lua_State *L, const struct place *place, struct call_host *host,
                            const char *pool) {
  const struct worker *worker = worker_of(L);
  if (place && place->loop) return call_runs_here(worker, place) ? CALL_INLINE : CALL_CROSSES;
  if (!worker->role->runs_blocking) return CALL_CROSSES;
  const struct fiber *fiber = fiber_running(L);
  const struct call *around = call_run_find(L);
  if (!around || around->host != host) return CALL_INLINE;
  enum call_way way = host->choose(host, around, pool, fiber != fiber->run->main);
  bool can_wait = lua_isyieldable(L) && fiber->unyieldable == 0;
  return way == CALL_CROSSES_TO_SPARE && !can_wait ? CALL_INLINE : way;
}

/* Of a loop's call, what the function has spawned is not waited for. */
const struct fiber *call_find_root(lua_State *L) {
  bool runs_blocking = worker_of(L)->role->runs_blocking;
  const struct fiber *fiber = fiber_running(L);
  const struct call *around = call_run_find(L);
  if (!around) return runs_blocking ? NULL : fiber;
  return runs_blocking || fiber == fiber->run->main ? around->root : NULL;
}

bool call_submit_nested(lua_State *L, int index, enum call_way way) {
  struct call_box *box = luaL_checkudata(L, index, BOX_CLASS);
  struct call *call = box->call;
  const struct call *around = call_run_find(L);
  call->root = call_find_root(L);
  call->chain = around ? around->chain : 0;
  call->innermost = around ? around->innermost : 0;
  call->spare = way == CALL_CROSSES_TO_SPARE;
  uv_err error = call->host->submit(call->host, call);
  box->submitted = error == 0;
  if (!error) return true;
  bool may_run_here = worker_of(L)->role->runs_blocking && around && around->host == call->host;
  if (!may_run_here || (error != UV_EAGAIN && error != UV_ELOOP)) raise_refused(L, call, error);
  drop(box);
  return false;
}

struct call *call_around(const struct call *call) {
  const struct fiber *fiber = call->ticket.fiber;
  return fiber && fiber->run ? fiber->run->call : NULL;
}

static void deliver_result(struct message *message, void *owner) {
  (void)owner;
  struct call *call = container_of(message, struct call, message);
  if (call->abandoned) {
    call_free(call);
    return;
  }
  call->done = true;
  if (call->ticket.fiber) fiber_wake(call->ticket);
}

struct inbox *call_return(struct call *call) {
  struct inbox *inbox = &call->caller->inbox;
  call->state = CALL_DONE;
  call->runner = NULL;
  if (call->abandoned) {
    call_free(call);
    return NULL;
  }
  if (call->kind == CALL_RAISED && !call->told) buffer_clear(&call->result);
  call->message.deliver = deliver_result;
  inbox_add(inbox, &call->message);
  return inbox;
}

/* It is told here: the state that had no memory need not be able to. */
static lua_nret raise_out_of_memory(lua_State *L, struct call *call) {
  size_t limit = worker_of(L)->process->settings->memory_limit_bytes;
  const char *noun = call->host->noun;
  buffer_add_byte(&call->result, '\0');
  if (limit)
    error_push(L, "memory",
               "not enough memory: a Lua state of %s '%s' has reached its memory limit of %I bytes",
               noun, call->pool, (LUAI_UACINT)limit);
  else
    error_push(L, "memory", "not enough memory in a Lua state of %s '%s'", noun, call->pool);
  if (call->result.len > 1) fiber_set_trail(L, -1, call->result.data);
  return lua_error(L);
}

/* Raises the error of a call that is done. */
static lua_nret raise_error(lua_State *L, struct call *call) {
  if (call->kind == CALL_OUT_OF_MEMORY) return raise_out_of_memory(L, call);
  if (call->result.len == 0)
    error_raise(L, "cancelled", "the call was not run: its %s stopped or had no memory for it",
                call->host->noun);
  transfer_decode_error(L, call->result.data, call->result.len); /* error, traceback */
  const char *traceback = lua_tostring(L, -1);
  fiber_set_trail(L, -2, traceback);
  fiber_set_joined(L, true); /* if it has others, they came with it */
  lua_pop(L, 1);
  return lua_error(L);
}

static lua_nret finish_await(lua_State *L, struct call_box *box);

static int module_of_result_ended(lua_State *L, int status, lua_KContext context) {
  module_end_require(L, status);
  return finish_await(L, (struct call_box *)context);
}

/* The results of a call that is done, once the modules that they name are loaded. */
static lua_nret finish_await(lua_State *L, struct call_box *box) {
  struct call *call = box->call;
  if (call->kind != CALL_RETURNED) return raise_error(L, call);
  int results = transfer_decode_loaded(L, call->result.data, call->result.len);
  if (results == TRANSFER_NOT_LOADED)
    return module_require(L, (lua_KContext)box, module_of_result_ended);
  drop(box);
  return results;
}

/* The results that are offered, the first of them with the box, which keeps the call. */
static lua_nret take_offer(lua_State *L, struct call_box *box) {
  struct offer *offer = box->call->offer;
  int results = transfer_decode(L, offer->results.data, offer->results.len);
  buffer_finish(&offer->results);
  box->timeout_ns = 0; /* its function has given its result in time */
  lua_pushvalue(L, box->index);
  lua_setfield(L, -results - 1, "call");
  struct fiber *fiber = fiber_running(L);
  call_drop_offered(fiber);
  fiber->offered = box;
  box->fiber = fiber;
  return results;
}

/* Pushes where the function was when its time was over, or nil. */
static void push_place_of_end(lua_State *L, struct call_box *box) {
  struct call *call = box->call;
  char text[STUCK_TRACEBACK_BYTES + STUCK_WHERE_BYTES];
  if (call->done && call->kind == CALL_RAISED && call->result.len > 0) {
    transfer_decode_error(L, call->result.data, call->result.len); /* error, traceback */
    lua_remove(L, -2);
  } else if (!call->done && call->host->find &&
             call->host->find(call->host, call, text, sizeof text)) {
    lua_pushstring(L, text);
  } else {
    lua_pushnil(L);
  }
}

static lua_nret raise_timeout(lua_State *L, struct call_box *box) {
  error_push(L, "timeout", "timeout after %f s",
             (lua_Number)box->timeout_ns / (lua_Number)NS_PER_SECOND);
  push_place_of_end(L, box);
  fiber_set_trail(L, -2, lua_tostring(L, -1));
  lua_pop(L, 1);
  drop(box);
  return lua_error(L);
}

static void wake_to_raise(struct timer *timer) {
  fiber_wake(container_of(timer, struct call_box, told)->call->ticket);
}

static int place_told(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct call_box *box = (struct call_box *)context;
  timer_stop(&box->call->caller->timers, &box->told);
  if (fiber_was_cancelled(L)) {
    drop(box);
    fiber_check_cancelled(L);
  }
  return raise_timeout(L, box);
}

/* Lua code is interrupted within milliseconds, and its error tells where it was; what is stuck in C
 * is told of STUCK_MS later. More is not waited for, on a clock that nobody moves. */
static lua_nret time_out(lua_State *L, struct call_box *box) {
  static const char waits_for[] = "the end of a blocking function whose time is over";
  struct call *call = box->call;
  bool ends = !call->done && !call->offer && call->host->expire;
  if (!ends || !call->host->expire(call->host, call)) return raise_timeout(L, box);
  struct fiber *fiber = fiber_begin_wait(L, waits_for);
  call->ticket = fiber_ticket(fiber);
  uint64_t due_ns = uv_hrtime() + STUCK_WAIT_MS * NS_PER_MS;
  timer_start(&call->caller->timers, &box->told, due_ns, wake_to_raise);
  return fiber_park(L, fiber, waits_for, (lua_KContext)box, place_told);
}

static int await_woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  struct call_box *box = (struct call_box *)context;
  if (fiber_was_cancelled(L)) {
    drop(box);
    fiber_check_cancelled(L);
  }
  if (box->due_ns && timers_now(fiber_running(L)->timers) >= box->due_ns) {
    return time_out(L, box);
  }
  if (!box->call->done) return take_offer(L, box);
  return finish_await(L, box);
}

static lua_nret await(lua_State *L, struct call_box *box, int index) {
  const char *waits_for = box->call->host->function;
  if (box->call->done) return finish_await(L, box);
  struct fiber *fiber = fiber_begin_wait(L, waits_for);
  box->call->ticket = fiber_ticket(fiber);
  box->index = lua_absindex(L, index);
  box->due_ns = box->timeout_ns ? timers_now(fiber->timers) + box->timeout_ns : 0;
  if (!box->due_ns) return fiber_park(L, fiber, waits_for, (lua_KContext)box, await_woken);
  return fiber_park_until(L, fiber, waits_for, box->due_ns, (lua_KContext)box, await_woken);
}

lua_nret call_await(lua_State *L, int index) {
  return await(L, luaL_checkudata(L, index, BOX_CLASS), index);
}

/* ---- offers ---- */

static void destroy_offer(struct ask *ask) {
  struct offer *offer = container_of(ask, struct offer, ask);
  buffer_finish(&offer->results);
  free(offer);
}

/* On the caller's thread. */
static void serve_offer(struct ask *ask) {
  struct offer *offer = container_of(ask, struct offer, ask);
  if (!ask_is_wanted(ask, offer->call)) {
    ask_answer(ask);
    return;
  }
  offer->call->offer = offer;
  fiber_wake(offer->call->ticket);
}

lua_nret call_offer(lua_State *L, int count, lua_KFunction k) {
  struct fiber *fiber = fiber_begin_wait(L, "the response");
  struct call *call = call_run_find(L);
  transfer_encode(L, lua_gettop(L) - count + 1, count, "result", &call->result);
  struct offer *offer = memory_alloc_zero(sizeof *offer);
  offer->ask.serve = serve_offer;
  offer->ask.destroy = destroy_offer;
  offer->call = call;
  offer->results = call->result;
  call->result = (struct buffer){0};
  return ask_send(L, fiber, &offer->ask, "the response", k);
}

struct call_target call_offered(lua_State *L, lua_KContext context) {
  struct offer *offer = (struct offer *)context;
  ask_end(L, &offer->ask);
  struct call_target target = offer->target;
  bool accepted = offer->accepted;
  ask_destroy(&offer->ask);
  if (!accepted) error_raise(L, "disconnected", "nobody waits for this response any more");
  return target;
}

lua_nret call_accept(lua_State *L, int index, struct call_target target) {
  struct call_box *box = luaL_checkudata(L, index, BOX_CLASS);
  if (!box->call || !box->call->offer) return luaL_error(L, "this response has been used before");
  struct offer *offer = box->call->offer;
  box->call->offer = NULL;
  offer->target = target;
  offer->accepted = true;
  ask_answer(&offer->ask);
  return await(L, box, index);
}

static int inline_ended(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L);
}

/* Hands the call of a marked function over, its arguments on the stack; leaves them there and gives
 * false when it is to go inline after all. */
static bool submit_marked(lua_State *L, struct place *place, int nargs, enum call_way way) {
  const struct fiber *fiber = fiber_begin_wait(L, place->host->function);
  if (worker_of(L)->role->runs_blocking) {
    luaL_checkstack(L, nargs + 1, "too many arguments");
    for (int i = 1; i <= nargs; i++) lua_pushvalue(L, i);
  }
  call_prepare(L, place, nargs, default_pool(L));
  const struct call_box *box = lua_touserdata(L, -1);
  box->call->takes_offer = fiber->takes_offers;
  if (call_submit_nested(L, -1, way)) return true;
  lua_settop(L, nargs);
  return false;
}

bool call_runs_here(const struct worker *worker, const struct place *place) {
  if (!place->loop) return worker->role->runs_blocking;
  return worker->loop_name && strcmp(worker->loop_name, place->loop) == 0;
}

int call_marked(lua_State *L) {
  int nargs = lua_gettop(L);
  struct place *place = lua_touserdata(L, lua_upvalueindex(2));
  if (place->loop) check_loop(L, place);
  enum call_way way = call_find_way(L, place, place->host, place->pool);
  if (way != CALL_INLINE && submit_marked(L, place, nargs, way)) return call_await(L, -1);
  lua_pushvalue(L, lua_upvalueindex(3));
  lua_insert(L, 1);
  lua_callk(L, nargs, LUA_MULTRET, 0, inline_ended);
  return inline_ended(L, LUA_OK, 0);
}

static int module_of_call_ended(lua_State *L, int status, lua_KContext context) {
  (void)context;
  module_end_require(L, status);
  lua_callk(L, call_push_function(L, call_run_find(L)), LUA_MULTRET, 0, inline_ended);
  return inline_ended(L, LUA_OK, 0);
}

/* load_and_run(name): requires the module, which may wait, and then runs the call */
static int load_and_run(lua_State *L) {
  return module_require(L, 0, module_of_call_ended);
}

int call_push_function(lua_State *L, const struct call *call) {
  const struct buffer *payload = &call->payload;
  uint32_t len;
  memcpy(&len, payload->data, sizeof len);
  const char *identity = payload->data + sizeof len;
  const char *context = identity + len;
  const char *values = context + context_read(L, context);
  size_t values_len = payload->len - (size_t)(values - payload->data);
  int top = lua_gettop(L);
  if (len > 0) place_push_found(L, identity, len);
  int count = transfer_decode_loaded(L, values, values_len);
  if (count != TRANSFER_NOT_LOADED) return len > 0 ? count : count - 1;
  lua_pushcfunction(L, load_and_run);
  lua_insert(L, -2);
  if (len > 0) lua_remove(L, top + 1);
  return 1;
}
