/* http.c - requests as fibers.
 *
 * The course of a request: handle() records it; start() makes its fiber; run() calls the handler;
 * returned() answers and lets the after_route tasks go, or failed() answers for an error;
 * streamed() ends a response that a function has written; sent() lets the after_response tasks go.
 */
#include "roles/http.h"

#include "base/log.h"
#include "core/call.h"
#include "core/error.h"
#include "core/fiber.h"
#include "http/answer.h"
#include "http/status.h"
#include "lib/delivery.h"
#include "lib/develop.h"
#include "lib/failure.h"
#include "lib/once.h"
#include "lib/remote.h"
#include "lib/reply.h"
#include "lib/req.h"
#include "lib/schedule.h"
#include "lib/stream.h"
#include "lib/task_response.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define LEFT "the client has left"

/* What a worker of this role has. */
struct state {
  struct list services; /* http_service.link */
  struct list arrived;  /* run.link: requests without a fiber yet */
  struct list spare;    /* run.link */
  struct reply_scratch scratch;
  uint64_t first_id;
};

/* One request on its way; reused, never freed while the Lua state lives. */
struct run {
  struct list link;
  struct http_service *service;
  struct req_source source;
  struct scope scope; /* of the handler, when its route has a timeout */
  bool has_timeout;
  bool answered;  /* or, streamed, begun */
  bool dismissed; /* its event stream was ended from outside, which is no failure */
  bool is_sent;   /* sent() has come before the handler's end */
  bool is_closing;
};

static struct state *state_of(struct worker *worker) {
  return worker->role_data;
}

/* ---- the end of a request ---- */

/* `kind` and `traceback` may be NULL. */
static void log_run(const struct run *run, enum log_level level, const char *message,
                    const char *error, const char *kind, const char *traceback) {
  const struct request *request = &run->source.exchange->request;
  char id[17];
  req_format_id(id, run->source.id);
  const struct failure failure = {.method = method_name(request->method),
                                  .target = request_target(request),
                                  .request = id,
                                  .handler = run->source.line,
                                  .error = error,
                                  .kind = kind,
                                  .traceback = traceback};
  failure_log(run->service->worker->process->log, level, message, &failure);
}

/* The error is at 1. */
static void log_failed(lua_State *L, const struct run *run, const char *traceback) {
  const char *kind = error_kind(L, 1);
  log_run(run, LOG_ERROR, "handler failed", error_push_text(L, 1), kind, traceback);
}

static void reach(struct run *run, enum task_when when) {
  run->source.reached = (uint8_t)when;
  if (run->source.agenda) schedule_agenda_reach(run->source.agenda, when, run->source.failed);
}

/* The client has sent or taken something, or is gone. */
static void wake(struct req_source *source) {
  fiber_wake_all(&source->body_waiting);
  fiber_wake_all(&source->drain_waiting);
  if (UNLIKELY(!list_is_empty(&source->remotes))) remote_serve(source);
}

static void give_back(struct run *run) {
  schedule_agenda_leave(run->source.agenda);
  run->source.agenda = NULL;
  struct exchange *exchange = run->source.exchange;
  run->source.exchange = NULL;
  wake(&run->source);
  if (run->source.chunk.cap > 0) buffer_finish(&run->source.chunk);
  list_push_front(&state_of(run->service->worker)->spare, &run->link);
  exchange_release(exchange);
}

/* The request is over when its response is out, if somebody waits for that, and all that it has
 * made is closed. */
static void end_if_over(struct run *run) {
  bool waits_for_sent = (run->source.agenda || run->source.delivery) && !run->is_sent;
  if (!run->source.handler && !run->is_closing && !waits_for_sent) give_back(run);
}

static void sent(struct exchange *exchange) {
  struct run *run = exchange->owner;
  delivery_settle(run->source.delivery, exchange->delivered);
  run->source.delivery = NULL;
  reach(run, TASK_AFTER_RESPONSE);
  run->is_sent = true;
  end_if_over(run);
}

/* What the server itself answers when the one that was asked has failed. */
static void answer_error(struct run *run) {
  run->answered = true;
  if (run->source.exchange->status != 0)
    answer_default(run->source.exchange);
  else
    exchange_respond_status(run->source.exchange, STATUS_INTERNAL_SERVER_ERROR,
                            (struct slice){"", 0});
}

static void respond_status(struct run *run, int status, struct slice block) {
  run->answered = true;
  exchange_respond_status(run->source.exchange, status, block);
}

/* There is no room now; the client may try again. */
static void answer_full(struct run *run) {
  static const char block[] = "Retry-After: 1\r\n";
  respond_status(run, 503, (struct slice){block, sizeof block - 1});
}

/* What req:once made. */
static void closed(struct fiber *fiber) {
  struct run *run = fiber->data;
  run->is_closing = false;
  end_if_over(run);
}

static void ended(struct fiber *fiber) {
  struct run *run = fiber->data;
  if (!run->answered) {
    run->source.failed = true;
    log_run(run, LOG_ERROR, "handler failed", "no memory was left to tell the error", NULL,
            fiber->traceback);
    answer_error(run);
  }
  if (run->source.reached < TASK_AFTER_ROUTE) reach(run, TASK_AFTER_ROUTE);
  if (run->source.exchange->state == EXCHANGE_STREAMED) exchange_cut(run->source.exchange);
  call_drop_offered(fiber);
  stream_stop_keeping(&run->source);
  run->source.number++;
  run->source.handler = NULL;
  if (run->source.agenda) run->source.agenda->handler = NULL;
  static const struct fiber_kind closing = {once_close_all, .ended = closed};
  run->is_closing = once_start_closing(fiber->worker, &run->source, &closing, run);
  end_if_over(run);
}

/* ---- the handler ---- */

/* Ends the event stream of a request, or does nothing. */
static void dismiss(struct run *run, const char *reason) {
  if (!run->source.is_event_stream || !run->source.handler) return;
  run->dismissed = true;
  fiber_cancel(run->source.handler, reason);
}

/* Ends the route's timeout; gives whether its time was over. */
static bool end_timeout(struct run *run) {
  if (!run->has_timeout) return false;
  run->has_timeout = false;
  bool expired = scope_is_expired(&run->scope);
  scope_pop(&run->scope);
  return expired;
}

static int streamed(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  exchange_end(((struct run *)context)->source.exchange);
  return 0;
}

static int write_stream(lua_State *L, int status, lua_KContext context) {
  (void)status;
  lua_callk(L, stream_push(L, 1, &((struct run *)context)->source), 0, context, streamed);
  return streamed(L, LUA_OK, context);
}

/* Whether tasks may ask for the response. */
static bool has_tasks(const struct run *run) {
  return run->source.agenda && run->source.agenda->unfinished > 1;
}

/* Makes a response object of the results, which are the stack. */
static void make_object(lua_State *L, struct run *run) {
  int count = lua_gettop(L);
  if (count == 1 && lua_istable(L, 1) && reply_is_object(L, 1)) return;
  if (count == 0) {
    reply_push_status(L, STATUS_NO_CONTENT);
    return;
  }
  reply_push(L, 1, count, "the handler", STATUS_OK, &state_of(run->service->worker)->scratch);
  lua_replace(L, 1);
  lua_settop(L, 1);
}

/* The error at 1 was answered with a status: that is the response. */
static int keep_answer(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  if (reply_push_abort(L, 1, &state_of(run->service->worker)->scratch) == 0)
    reply_push_status(L, run->source.exchange->response_status);
  int object = lua_gettop(L);
  lua_pushvalue(L, 1);
  lua_setfield(L, object, "error");
  delivery_settle(run->source.delivery, false);
  run->source.delivery = NULL;
  run->source.delivery = delivery_attach(L, object);
  task_response_set(L, run->source.agenda, object);
  return 0;
}

/* The error at 1 was answered. */
static void end_failed(lua_State *L, struct run *run) {
  lua_pushcfunction(L, keep_answer);
  lua_pushvalue(L, 1);
  if (has_tasks(run) && lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  reach(run, TASK_AFTER_ROUTE);
}

static int returned(lua_State *L, int status, lua_KContext context) {
  struct run *run = (struct run *)context;
  (void)status;
  if (UNLIKELY(run->service->worker->process->shows_errors)) develop_look(L, &run->source);
  if (UNLIKELY(run->has_timeout) && scope_is_expired(&run->scope))
    error_raise(L, "timeout", "the handler has returned after its time was over");
  if (has_tasks(run)) make_object(L, run);
  if (lua_istable(L, 1) && reply_is_object(L, 1)) run->source.delivery = delivery_attach(L, 1);
  if (has_tasks(run)) task_response_set(L, run->source.agenda, 1);
  bool streams = reply_results(L, 1, lua_gettop(L), run->source.exchange,
                               &state_of(run->service->worker)->scratch);
  end_timeout(run);
  run->answered = true;
  reach(run, TASK_AFTER_ROUTE);
  if (LIKELY(!streams)) return 0;
  stream_keep_alive(L, 1, &run->source);
  if (run->service->draining) dismiss(run, "the server stops");
  if (exchange_has_left(run->source.exchange)) dismiss(run, LEFT);
  if (UNLIKELY(has_tasks(run)))
    return fiber_go_behind(L, "the tasks that begin before its stream", context, write_stream);
  return write_stream(L, LUA_OK, context);
}

/* NULL when no handler was found: the app is asked for the answer. */
static const struct route *route_of(const struct run *run) {
  if (UNLIKELY(run->source.exchange->status != 0)) return NULL;
  return &run->service->table->routes[run->source.exchange->match.route];
}

static void start_timeout(struct fiber *fiber, struct run *run) {
  uint32_t timeout_ms = route_of(run)->timeout_ms;
  if (LIKELY(timeout_ms == 0)) return;
  run->scope = (struct scope){0};
  run->has_timeout = true;
  scope_push(fiber, &run->scope, timers_now(fiber->timers) + timeout_ms * NS_PER_MS, false);
}

static int run_handler(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  start_timeout(fiber_running(L), run);
  lua_rawgeti(L, LUA_REGISTRYINDEX, run->service->handlers[run->source.exchange->match.route]);
  req_push(L, &run->source);
  lua_callk(L, 1, LUA_MULTRET, (lua_KContext)run, returned);
  return returned(L, LUA_OK, (lua_KContext)run);
}

/* ---- answers without a handler ---- */

static int status_returned(lua_State *L, int status, lua_KContext context) {
  struct run *run = (struct run *)context;
  if (!lua_isnoneornil(L, 1)) return returned(L, status, context);
  run->answered = true;
  answer_default(run->source.exchange);
  reach(run, TASK_AFTER_ROUTE);
  return 0;
}

static int run_status(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  struct exchange *exchange = run->source.exchange;
  char names[ANSWER_ALLOW_BYTES];
  struct slice allowed = answer_allow(exchange, names);
  lua_rawgeti(L, LUA_REGISTRYINDEX, run->service->statuses);
  lua_rawgeti(L, 1, exchange->status);
  lua_remove(L, 1);
  req_push(L, &run->source);
  if (allowed.len > 0)
    lua_pushlstring(L, allowed.data, allowed.len);
  else
    lua_pushnil(L);
  lua_callk(L, 2, LUA_MULTRET, (lua_KContext)run, status_returned);
  return status_returned(L, LUA_OK, (lua_KContext)run);
}

/* ---- failures ---- */

/* answer_abort(error) -> the status that was answered, 0 when the error is no abort */
static int answer_abort(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  lua_pushinteger(
      L, reply_abort(L, 1, run->source.exchange, &state_of(run->service->worker)->scratch));
  return 1;
}

/* The error at 1 ended the function that wrote the response. */
static void fail_stream(lua_State *L, struct run *run, const char *traceback) {
  struct exchange *exchange = run->source.exchange;
  const char *kind = error_kind(L, 1);
  bool has_left = !exchange->connection || (kind && strcmp(kind, "disconnected") == 0);
  if (run->dismissed || has_left) {
    exchange_end(exchange);
    return;
  }
  run->source.failed = true;
  log_failed(L, run, traceback);
  exchange_cut(exchange);
}

/* Answers with the error at 1 while the app is being developed; else false. */
static bool answer_shown(lua_State *L, struct run *run, const char *traceback) {
  const struct worker *worker = run->service->worker;
  if (LIKELY(!worker->process->shows_errors) || !route_of(run)) return false;
  run->answered =
      develop_answer_error(L, &run->source, &state_of(run->service->worker)->scratch, traceback);
  return run->answered;
}

/* The error at 1 ended the handler. A full queue is the load's fault, not the handler's: one line,
 * since there may be many. */
static void answer_failed(lua_State *L, struct run *run, const char *traceback) {
  const char *kind = error_kind(L, 1);
  if (kind && strcmp(kind, "full") == 0) {
    log_run(run, LOG_WARN, "refused with 503", error_push_text(L, 1), NULL, NULL);
    answer_full(run);
    return;
  }
  bool has_left = exchange_has_left(run->source.exchange);
  if (kind && strcmp(kind, "cancelled") == 0 && has_left && !fiber_is_joined(L, 1))
    log_run(run, LOG_INFO, "handler cancelled", error_push_text(L, 1), NULL, NULL);
  else if (kind && strcmp(kind, "disconnected") == 0 && has_left)
    log_run(run, LOG_INFO, "handler ended", error_push_text(L, 1), NULL, NULL);
  else
    log_failed(L, run, traceback);
  if (!answer_shown(L, run, traceback)) answer_error(run);
}

static int asked(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

/* The time of the route was over before its handler. */
static int answer_timed_out(lua_State *L, struct run *run, const char *traceback) {
  const bool *statuses = run->service->hub.statuses;
  run->source.failed = true;
  log_run(run, LOG_WARN, "handler timed out", error_push_text(L, 1), NULL, traceback);
  if (statuses && statuses[STATUS_SERVICE_UNAVAILABLE - HUB_STATUS_MIN]) {
    run->source.exchange->status = STATUS_SERVICE_UNAVAILABLE;
    lua_pushcfunction(L, run_status);
    lua_callk(L, 0, 0, 0, asked);
    return 0;
  }
  respond_status(run, STATUS_SERVICE_UNAVAILABLE, (struct slice){"", 0});
  end_failed(L, run);
  return 0;
}

/* Stack: the error. An abort that cannot be answered is told by what is wrong with it. */
static int failed(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct run *run = fiber->data;
  bool timed_out = end_timeout(run);
  if (run->source.exchange->state == EXCHANGE_STREAMED) {
    fail_stream(L, run, fiber->traceback);
    return 0;
  }
  if (run->answered) { /* the answer stands; what failed came after it */
    log_failed(L, run, fiber->traceback);
    return 0;
  }
  if (timed_out) return answer_timed_out(L, run, fiber->traceback);
  lua_pushcfunction(L, answer_abort);
  lua_pushvalue(L, 1);
  int status = 0;
  if (lua_pcall(L, 1, 1, 0) == LUA_OK)
    status = (int)lua_tointeger(L, -1);
  else
    lua_copy(L, -1, 1);
  run->source.failed = run->source.failed || status == 0 || status >= STATUS_BAD_REQUEST;
  run->answered = status != 0;
  if (!run->answered) answer_failed(L, run, fiber->traceback);
  end_failed(L, run);
  return 0;
}

/* ---- the start of a request ---- */

static struct run *take_run(struct state *state) {
  struct list *link = list_pop(&state->spare);
  if (link) return container_of(link, struct run, link);
  struct run *run = memory_alloc_zero(sizeof *run);
  list_init(&run->link);
  list_init(&run->source.body_waiting);
  list_init(&run->source.drain_waiting);
  list_init(&run->source.remotes);
  return run;
}

static void handle(struct exchange *exchange) {
  struct http_service *service = exchange->hub->owner;
  struct state *state = state_of(service->worker);
  struct run *run = take_run(state);
  run->service = service;
  run->source.exchange = exchange;
  run->answered = run->source.failed = run->dismissed = run->is_sent = false;
  run->source.reached = TASK_NOW;
  exchange->owner = run;
  list_push(&state->arrived, &run->link);
}

/* The client has ended its side; a handler runs to its end all the same, unless its route says
 * otherwise. */
static void half_closed(struct exchange *exchange) {
  struct run *run = exchange->owner;
  dismiss(run, LEFT);
  const struct route *route = route_of(run);
  bool cancels = !run->answered && run->source.handler && route && route->cancel_on_disconnect;
  if (cancels) fiber_cancel(run->source.handler, LEFT);
}

static void gone(struct exchange *exchange) {
  struct run *run = exchange->owner;
  wake(&run->source);
  half_closed(exchange);
}

static void body_came(struct exchange *exchange) {
  wake(&((struct run *)exchange->owner)->source);
}

static void drained(struct exchange *exchange) {
  wake(&((struct run *)exchange->owner)->source);
}

static void start(struct run *run) {
  static const struct fiber_kind handler = {run_handler, failed, .ended = ended, .answers = true};
  static const struct fiber_kind on_status = {run_status, failed, .ended = ended, .answers = true};
  struct worker *worker = run->service->worker;
  const struct route *route = route_of(run);
  struct fiber *fiber = fiber_create(worker, route ? &handler : &on_status);
  if (!fiber) {
    answer_full(run);
    give_back(run);
    return;
  }
  run->source.id = state_of(worker)->first_id + ++worker->request_count;
  run->source.exchange->id = run->source.id;
  run->source.route = route ? route->pattern : "";
  run->source.line = route ? route->source : NULL;
  run->source.handler = fiber;
  fiber->data = run;
  fiber->timers = run->source.timers = run->service->clock;
  fiber->takes_offers = true;
  fiber->name = route ? route->pattern : "on_status";
  fiber->request = run->source.id;
  fiber->source = &run->source;
  fiber->instance = run->source.instance = run->service->instance;
  fiber_start(fiber, 0);
  if (UNLIKELY(exchange_has_left(run->source.exchange))) half_closed(run->source.exchange);
  fiber_resume_first(fiber);
}

void http_begin(struct worker *worker) {
  struct list *link;
  while ((link = list_pop(&state_of(worker)->arrived))) start(container_of(link, struct run, link));
}

static void flush(struct worker *worker) {
  struct list *services = &state_of(worker)->services;
  for (struct list *link = services->next; link != services; link = link->next) {
    struct hub *hub = &container_of(link, struct http_service, link)->hub;
    hub_flush(hub);
    if (worker->process->has_metrics) hub_publish(hub, &worker->metrics);
  }
}

/* Writing makes room for further pipelined requests, which the next turn handles. */
void http_turn(struct worker *worker) {
  flush(worker);
  worker->again = !list_is_empty(&state_of(worker)->arrived);
}

const struct worker_role http_role = {.name = "http",
                                      .stalls_matter = true,
                                      .runs_blocking = false,
                                      .begin = http_begin,
                                      .turn = http_turn};

void http_init(struct worker *worker) {
  struct state *state = memory_alloc_zero(sizeof *state);
  list_init(&state->services);
  list_init(&state->arrived);
  list_init(&state->spare);
  if (getrandom(&state->first_id, sizeof state->first_id, 0) < 0) state->first_id = uv_hrtime();
  worker->role = &http_role;
  worker->role_data = state;
}

void http_finish(struct worker *worker) {
  struct state *state = state_of(worker);
  struct list *link;
  while ((link = list_pop(&state->spare))) free(container_of(link, struct run, link));
  reply_finish(&state->scratch);
  free(state);
  worker->role_data = NULL;
}

const struct hub_calls http_calls = {.handle = handle,
                                     .gone = gone,
                                     .half_closed = half_closed,
                                     .body = body_came,
                                     .drained = drained,
                                     .sent = sent};

void http_dismiss_streams(struct http_service *service) {
  struct list *fibers = &service->worker->fibers;
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    const struct fiber *fiber = container_of(link, struct fiber, live);
    struct run *run = fiber->kind->ended == ended ? fiber->data : NULL;
    if (run && run->service == service) dismiss(run, "the server stops");
  }
}

struct list *http_services(struct worker *worker) {
  return &state_of(worker)->services;
}

bool http_close(struct worker *worker) {
  struct list *services = &state_of(worker)->services;
  bool idle = true;
  for (struct list *link = services->next; link != services; link = link->next) {
    struct http_service *service = container_of(link, struct http_service, link);
    http_service_close(service);
    idle = idle && http_service_is_idle(service);
  }
  return idle;
}
