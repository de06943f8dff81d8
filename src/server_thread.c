/* server_thread.c - the worker's side of a server.
 *
 * What comes by message only sets a field or starts a fiber; turn() looks at how far things are and
 * reports it. */
#include "server_thread.h"

#include "core/directory.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/place.h"
#include "core/require.h"
#include "core/snapshot.h"
#include "http/connection.h"
#include "http/notice.h"
#include "lib/life.h"
#include "roles/app_pools.h"
#include "roles/background.h"
#include "roles/http.h"
#include "roles/pool.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What an HTTP worker runs while the server stops: nothing else has this id. */
#define STOP_ID UINT64_MAX

static struct server_thread *thread_of(struct worker *worker) {
  return container_of(worker, struct server_thread, worker);
}

static void send_report(struct server_thread *thread, enum server_report report) {
  inbox_post(&thread->shared->inbox, &thread->reports[report].message);
}

static void set_problem(struct server_thread *thread, const char *text) {
  free(thread->problem);
  thread->problem = memory_copy(text, strlen(text));
}

static bool is_first(const struct server_thread *thread) {
  return thread->worker.index == 0;
}

/* ---- steps: what a thread does by itself, each in a fiber of its own ---- */

enum step {
  STEP_LOAD,
  STEP_STATE,
  STEP_LOOPS, /* waits for them */
  STEP_START,
  STEP_WORKER,
  STEP_EVERY,
  STEP_READY,
  STEP_STOP
};

static const char *const step_names[] = {"load",      "on_state", "loops", "on_start",
                                         "on_worker", "every",    "ready", "on_stop"};

static void start_step(struct server_thread *thread, enum step step);

/* Stack: the app. */
static int app_loaded(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct server_thread *thread = thread_of(worker_of(L));
  struct server_shared *shared = thread->shared;
  if (!shared->table) {
    shared->table = route_table_create(L, 1);
    app_pools_read(L, 1, shared->pools);
    background_read(L, shared->background);
  }
  thread->service = http_service_create(L, 1, shared->table);
  thread->app = luaL_ref(L, LUA_REGISTRYINDEX);
  thread->step_done = true;
  return 0;
}

static int load_app(lua_State *L) {
  require_push_caller(L);
  lua_pushliteral(L, "perilune.load");
  lua_pushstring(L, thread_of(worker_of(L))->shared->load_error);
  lua_callk(L, 2, 1, 0, app_loaded);
  return app_loaded(L, LUA_OK, 0);
}

/* On top of the stack: nil, or which hook failed and why. */
static int hooks_run(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct server_thread *thread = thread_of(worker_of(L));
  const char *problem = lua_tostring(L, -1);
  if (problem) set_problem(thread, problem);
  thread->step_done = !problem;
  return 0;
}

static int run_hooks(lua_State *L) {
  const struct server_thread *thread = thread_of(worker_of(L));
  lua_rawgeti(L, LUA_REGISTRYINDEX, thread->app);
  int count = thread->step == STEP_STATE
                  ? life_push_state(L, 1, "http", "http", thread->worker.index + 1)
                  : life_push(L, 1, step_names[thread->step]);
  lua_callk(L, count, 1, 0, hooks_run);
  return hooks_run(L, LUA_OK, 0);
}

/* Stack: the error. */
static int step_failed(lua_State *L) {
  if (!lua_isstring(L, 1)) {
    const char *dir = snapshot_shown_dir(worker_of(L)->snapshot);
    lua_pushfstring(L, "%s/app.lua raised %s", dir, error_push_text(L, 1));
  }
  set_problem(thread_of(worker_of(L)), lua_tostring(L, -1));
  return 0;
}

static void end_step(struct server_thread *thread) {
  if (thread->step == STEP_LOAD) place_end_load(thread->worker.L);
  if (!thread->step_done && !thread->problem) set_problem(thread, "not enough memory");
  if (thread->step == STEP_STOP) {
    thread->stop_failed = !thread->step_done;
    thread->may_end = true;
    return;
  }
  if (!thread->step_done) {
    send_report(thread, SERVER_FAILED);
    return;
  }
  if (thread->step == STEP_START) thread->has_started = true;
  if (!thread->stopping) start_step(thread, (enum step)thread->step + 1);
}

static void step_ended(struct fiber *fiber) {
  end_step(thread_of(fiber->worker));
}

/* Whether a step is done by the first thread alone. */
static bool is_once(enum step step) {
  return step == STEP_LOOPS || step == STEP_START || step == STEP_EVERY;
}

static void start_step(struct server_thread *thread, enum step step) {
  while (is_once(step) && !is_first(thread)) step++;
  free(thread->problem);
  thread->problem = NULL;
  thread->step = (int)step;
  thread->step_done = false;
  if (step == STEP_LOOPS || step == STEP_READY) {
    send_report(thread, step == STEP_READY ? SERVER_READY : SERVER_LOADED);
    return;
  }
  static const struct fiber_kind load = {load_app, step_failed, .ended = step_ended};
  static const struct fiber_kind hooks = {run_hooks, step_failed, .ended = step_ended};
  struct fiber *fiber = fiber_create(&thread->worker, step == STEP_LOAD ? &load : &hooks);
  if (!fiber) {
    end_step(thread);
    return;
  }
  fiber->name = step_names[step];
  fiber->instance = thread->worker.instance;
  fiber_start(fiber, 0);
}

/* ---- running ---- */

static void cancel_left(struct server_thread *thread) {
  if (atomic_load(&thread->overdue))
    worker_cancel_all(&thread->worker, WORKER_OVERDUE);
  else
    worker_cancel_unshielded(&thread->worker, WORKER_STOPS);
}

/* Cancels what still runs; when nothing does, the first thread waits for the others. */
static void turn_stopping(struct server_thread *thread, bool idle) {
  struct worker *worker = &thread->worker;
  if (thread->step == STEP_STOP && !thread->may_end) return;
  if (!list_is_empty(&worker->fibers)) {
    cancel_left(thread);
  } else if (idle && thread->may_end) {
    worker->stopped = true;
  } else if (idle && !thread->quiet) {
    thread->quiet = true;
    send_report(thread, SERVER_QUIET);
  }
}

static void turn(struct worker *worker) {
  struct server_thread *thread = thread_of(worker);
  http_turn(worker);
  bool idle = !thread->service || http_service_is_idle(thread->service);
  if (thread->draining && !thread->drained && idle) {
    thread->drained = true;
    send_report(thread, SERVER_DRAINED);
  }
  if (thread->stopping) turn_stopping(thread, idle);
}

/* Asked of code that computes, once the server stops; it may be what keeps the message that says so
 * from being delivered. */
static const char *find_reason(struct worker *worker, const struct fiber *fiber) {
  worker->tasks.end.closed = true;
  worker->tasks.end.overdue = atomic_load(&thread_of(worker)->overdue);
  if (worker->tasks.end.overdue) return WORKER_OVERDUE;
  return fiber->shielded ? NULL : WORKER_STOPS;
}

static const struct worker_role server_role = {.name = "http",
                                               .stalls_matter = true,
                                               .runs_blocking = false,
                                               .cancels = find_reason,
                                               .begin = http_begin,
                                               .turn = turn};

void server_thread_run(void *context) {
  struct server_thread *thread = context;
  struct worker *worker = &thread->worker;
  http_init(worker);
  worker->role = &server_role;
  uv_err error = worker_init(worker);
  if (error) {
    set_problem(thread, uv_strerror(error));
    send_report(thread, SERVER_FAILED);
  } else {
    atomic_store(&worker->heartbeat.call, STOP_ID);
    send_report(thread, SERVER_OPEN);
    place_begin_load(worker->L, pools_host(thread->shared->pools));
    start_step(thread, STEP_LOAD);
    worker_run(worker);
    if (thread->service) http_service_destroy(thread->service);
    thread->service = NULL;
  }
  worker_finish(worker);
  http_finish(worker);
  send_report(thread, SERVER_ENDED);
}

/* ---- while an app is being developed ---- */

struct notification {
  struct message message;
  struct server_thread *thread;
  struct notice *notice;
};

static void deliver_notice(struct message *message, void *owner) {
  struct notification *notification = container_of(message, struct notification, message);
  struct server_thread *thread = notification->thread;
  (void)owner;
  notice_destroy(thread->notice);
  thread->notice = notification->notice;
  if (thread->service) thread->service->hub.notice = thread->notice;
  free(notification);
}

/* A connection on its way to another thread. */
struct passage {
  struct message message;
  int fd;
  bool is_unix;
};

static void deliver_connection(struct message *message, void *owner) {
  struct passage *passage = container_of(message, struct passage, message);
  struct server_thread *thread = thread_of(owner);
  if (thread->service && !thread->draining && !thread->stopping)
    connection_adopt(&thread->service->hub, passage->fd, passage->is_unix);
  else
    close(passage->fd);
  free(passage);
}

static void hand_over(struct hub *hub, int fd, bool is_unix) {
  const struct http_service *service = hub->owner;
  const struct server_thread *thread = thread_of(service->worker);
  struct passage *passage = memory_alloc_zero(sizeof *passage);
  *passage =
      (struct passage){.message = {.deliver = deliver_connection}, .fd = fd, .is_unix = is_unix};
  struct directory *directory = thread->shared->process->directory;
  if (directory_post(directory, thread->successor, &passage->message)) return;
  close(fd);
  free(passage);
}

/* ---- messages from the main thread ---- */

static void deliver_proceed(struct message *message, void *owner) {
  struct server_thread *thread = container_of(message, struct server_thread, proceed);
  (void)owner;
  if (!thread->stopping) start_step(thread, STEP_START);
}

static void deliver_listen(struct message *message, void *owner) {
  struct server_thread *thread = container_of(message, struct server_thread, listen);
  (void)owner;
  uv_err error = http_service_listen(thread->service, thread->fd);
  if (error) {
    set_problem(thread, uv_strerror(error));
    send_report(thread, SERVER_FAILED);
    return;
  }
  send_report(thread, SERVER_LISTENING);
}

static void deliver_drain(struct message *message, void *owner) {
  struct server_thread *thread = container_of(message, struct server_thread, drain);
  (void)owner;
  thread->draining = true;
  if (thread->service && thread->successor) thread->service->hub.calls.hand_over = hand_over;
  if (thread->service) http_service_drain(thread->service);
  send_report(thread, SERVER_CLOSED);
}

static void deliver_stop(struct message *message, void *owner) {
  struct server_thread *thread = container_of(message, struct server_thread, stop);
  (void)owner;
  thread->stopping = true;
  thread->may_end = !is_first(thread);
  if (thread->service) http_service_close(thread->service);
  thread->worker.tasks.end.closed = true;
  cancel_left(thread);
}

static void deliver_interrupt(struct message *message, void *owner) {
  struct server_thread *thread = container_of(message, struct server_thread, interrupt);
  (void)owner;
  thread->worker.tasks.end.overdue = true;
  worker_cancel_all(&thread->worker, WORKER_OVERDUE);
}

/* What runs from now on is not to be interrupted. */
static void deliver_close(struct message *message, void *owner) {
  struct server_thread *thread = container_of(message, struct server_thread, close);
  (void)owner;
  atomic_store(&thread->worker.heartbeat.call, 0);
  if (thread->has_started)
    start_step(thread, STEP_STOP);
  else
    thread->may_end = true;
}

/* ---- the main thread's side ---- */

static void deliver_report(struct message *message, void *owner) {
  struct server_report_message *report =
      container_of(message, struct server_report_message, message);
  struct server_thread *thread = report->thread;
  (void)owner;
  thread->shared->take_report(thread->shared, thread,
                              (enum server_report)(report - thread->reports));
}

static void post(struct server_thread *thread, struct message *message) {
  inbox_post(&thread->worker.inbox, message);
}

void server_thread_init(struct server_thread *thread, struct server_shared *shared, int index) {
  thread->shared = shared;
  thread->worker.index = index;
  thread->worker.process = shared->process;
  thread->worker.snapshot = shared->snapshot;
  thread->proceed.deliver = deliver_proceed;
  thread->listen.deliver = deliver_listen;
  thread->drain.deliver = deliver_drain;
  thread->stop.deliver = deliver_stop;
  thread->interrupt.deliver = deliver_interrupt;
  thread->close.deliver = deliver_close;
  for (size_t i = 0; i < array_len(thread->reports); i++)
    thread->reports[i] =
        (struct server_report_message){.message = {.deliver = deliver_report}, .thread = thread};
}

void server_thread_proceed(struct server_thread *thread) {
  post(thread, &thread->proceed);
}

void server_thread_listen(struct server_thread *thread) {
  thread->listens = true;
  post(thread, &thread->listen);
}

void server_thread_drain(struct server_thread *thread) {
  post(thread, &thread->drain);
}

void server_thread_notify(struct server_thread *thread, const char *text) {
  struct notification *notification = memory_alloc_zero(sizeof *notification);
  *notification = (struct notification){
      .message = {.deliver = deliver_notice}, .thread = thread, .notice = notice_create(text)};
  post(thread, &notification->message);
}

void server_thread_succeed(struct server_thread *thread, const struct server_thread *successor) {
  thread->successor = successor->worker.number;
}

void server_thread_stop(struct server_thread *thread) {
  if (!thread->open || thread->stop_posted) return;
  thread->stop_posted = true;
  atomic_store(&thread->worker.heartbeat.cancel, STOP_ID);
  post(thread, &thread->stop);
}

void server_thread_interrupt(struct server_thread *thread) {
  if (!thread->stop_posted) return;
  atomic_store(&thread->overdue, true);
  struct directory *directory = thread->shared->process->directory;
  directory_post(directory, thread->worker.number, &thread->interrupt); /* unless it has ended */
}

void server_thread_close(struct server_thread *thread) {
  post(thread, &thread->close);
}

void server_thread_finish(struct server_thread *thread) {
  free(thread->problem);
  notice_destroy(thread->notice);
  buffer_finish(&thread->worker.tasks.end.cancelled_at);
  if (thread->fd > 0 && !thread->listens) close(thread->fd);
}
