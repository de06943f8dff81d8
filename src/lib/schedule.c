/* schedule.c - `req.tasks`: agendas of requests, schedulers and definitions.
 *
 * A scheduler is an agenda, a timing and options. `tasks.after_route` is the same agenda with
 * another timing, `tasks:task{...}` the same with other options; no call changes an existing one.
 */
#include "lib/schedule.h"

#include "base/log.h"
#include "core/call.h"
#include "core/call_run.h"
#include "core/class.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/req.h"
#include "lib/schedule_remote.h"
#include "lib/schedule_watch.h"
#include "lib/spool.h"
#include "lib/task.h"
#include "lib/task_label.h"
#include "lib/task_options.h"
#include "lib/task_remote.h"
#include "lib/task_report.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* ---- agendas ---- */

struct agenda *schedule_agenda_of(struct req_source *source) {
  struct fiber *handler = source->handler;
  if (source->agenda || !handler) return source->agenda;
  struct agenda *agenda = source->agenda = memory_alloc_zero(sizeof *agenda);
  agenda->references = agenda->unfinished = 1;
  agenda->worker = handler->worker;
  agenda->request = handler->request;
  agenda->handler = handler;
  agenda->reached = source->reached;
  agenda->failed = source->failed;
  agenda->response = LUA_NOREF;
  for (size_t i = 0; i < array_len(agenda->waiting); i++) list_init(&agenda->waiting[i]);
  return agenda;
}

struct agenda *schedule_agenda_find(struct req_source *source, uint64_t request) {
  bool is_live = source && source->exchange && source->id == request;
  return is_live ? schedule_agenda_of(source) : NULL;
}

void schedule_agenda_release(struct agenda *agenda) {
  if (!agenda || --agenda->references > 0) return;
  luaL_unref(agenda->worker->L, LUA_REGISTRYINDEX, agenda->response);
  free(agenda);
}

void schedule_agenda_open_files(struct agenda *agenda) {
  if (agenda->unfinished == 0) return;
  agenda->has_files = true;
  spool_open(agenda->worker->process->spool, agenda->request);
}

void schedule_agenda_leave(struct agenda *agenda) {
  if (!agenda) return;
  if (--agenda->unfinished == 0 && agenda->has_files)
    spool_close(agenda->worker->process->spool, agenda->request, &agenda->worker->loop);
  schedule_agenda_release(agenda);
}

/* A task of a request that is not over yet belongs to it until its end. */
static void join_agenda(struct task *task, struct agenda *agenda) {
  if (!agenda || agenda->unfinished == 0) return;
  task->agenda = agenda;
  agenda->unfinished++;
  agenda->references++;
}

void schedule_start(struct task *task) {
  list_remove(&task->fiber->link);
  task->waits = false;
  task_start(task);
}

void schedule_join_parent(struct task *task) {
  const struct fiber *parent = task->fiber->worker->running;
  const struct task *of_parent = parent ? task_of(parent) : NULL;
  if (UNLIKELY(of_parent && of_parent->agenda)) join_agenda(task, of_parent->agenda);
}

/* ---- points ---- */

static bool is_wanted(enum task_outcome outcome, bool failed) {
  return outcome == TASK_OUTCOME_ANY || failed == (outcome == TASK_OUTCOME_FAILURE);
}

/* A task for a failure that was none is no loss. */
static void report_dropped(const struct agenda *agenda, unsigned count) {
  struct worker *worker = agenda->worker;
  struct log *log = worker->process->log;
  if (count == 0) return;
  if (agenda->failed) metrics_add(&worker->metrics, METRIC_TASKS_DROPPED, count);
  if (!log_enabled(log, LOG_DEBUG)) return;
  char id[17];
  req_format_id(id, agenda->request);
  const struct log_field fields[] = {log_text("request", id), log_integer("tasks", count)};
  log_write(log, LOG_DEBUG,
            agenda->failed ? "tasks dropped: the handler failed"
                           : "tasks dropped: the handler did not fail",
            fields, array_len(fields));
}

/* The tasks that wait for `at` start; only those that are dropped, unless it is reached. */
static unsigned start_waiting(struct agenda *agenda, enum task_when at) {
  unsigned dropped = 0;
  struct list *waiting = &agenda->waiting[at];
  for (struct list *link = waiting->next, *next; link != waiting; link = next) {
    next = link->next;
    struct task *task = task_of(container_of(link, struct fiber, link));
    task->dropped = !is_wanted(task->outcome, agenda->failed);
    if (task->dropped) dropped++;
    if (task->dropped || at <= agenda->reached) schedule_start(task);
  }
  return dropped;
}

void schedule_agenda_reach(struct agenda *agenda, enum task_when when, bool failed) {
  unsigned dropped = 0;
  agenda->references++;
  agenda->reached = when;
  agenda->failed = failed;
  enum task_when last = failed ? TASK_AFTER_RESPONSE : when;
  for (enum task_when at = TASK_AFTER_ROUTE; at <= last; at++) dropped += start_waiting(agenda, at);
  report_dropped(agenda, dropped);
  schedule_agenda_release(agenda);
}

/* ---- schedulers ---- */

struct scheduler {
  struct agenda *agenda; /* a reference; NULL: every point counts as reached */
  enum task_when when;
  bool is_remote;            /* for the request at home[0], on another worker */
  bool is_apps;              /* it is app.tasks, or made of it */
  struct instance *instance; /* of that app while it is served; NULL: that of the caller */
  struct timers *timers;     /* of that app's clock */
  struct schedule_home home[];
};

/* Its options, and app.tasks when it is made of that. */
enum { SCHEDULER_OPTIONS = 1, SCHEDULER_APP, SCHEDULER_VALUES = SCHEDULER_APP };

/* Registry key: a table from instances to their app.tasks. */
static const char apps_key = 0;

static struct scheduler *push_scheduler(lua_State *L, size_t size, enum task_when when) {
  struct scheduler *scheduler = lua_newuserdatauv(L, size, SCHEDULER_VALUES);
  *scheduler = (struct scheduler){.when = when};
  class_push(L, CLASS_SCHEDULER);
  lua_setmetatable(L, -2);
  return scheduler;
}

/* Pushes app.tasks of an instance and gives it; pushes nothing and gives NULL when there is none.
 */
static struct scheduler *push_of_app(lua_State *L, const struct instance *instance) {
  if (!instance) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &apps_key);
  lua_rawgetp(L, -1, instance);
  lua_remove(L, -2);
  struct scheduler *scheduler = lua_touserdata(L, -1);
  if (!scheduler) lua_pop(L, 1);
  return scheduler;
}

static struct scheduler *push_local(lua_State *L, struct agenda *agenda, enum task_when when) {
  struct scheduler *scheduler = push_scheduler(L, sizeof *scheduler, when);
  scheduler->agenda = agenda;
  if (agenda) agenda->references++;
  return scheduler;
}

void schedule_push(lua_State *L, struct agenda *agenda, enum task_when when) {
  const struct fiber *fiber = fiber_running(L);
  push_local(L, agenda, when);
  if (!fiber || !push_of_app(L, fiber->instance)) return;
  lua_getiuservalue(L, -1, SCHEDULER_OPTIONS);
  lua_setiuservalue(L, -3, SCHEDULER_OPTIONS);
  lua_pop(L, 1);
}

void schedule_push_remote(lua_State *L, const struct schedule_home *home, enum task_when when) {
  struct scheduler *scheduler = push_scheduler(L, sizeof *scheduler + sizeof *home, when);
  scheduler->is_remote = true;
  scheduler->home[0] = *home;
}

/* Pushes one for the same request, or app, and with the same options as that at `index`. */
static void push_with_timing(lua_State *L, int index, enum task_when when) {
  const struct scheduler *from = lua_touserdata(L, index);
  if (from->is_remote)
    schedule_push_remote(L, from->home, when);
  else
    push_local(L, from->agenda, when)->is_apps = from->is_apps;
  lua_getiuservalue(L, index, SCHEDULER_OPTIONS);
  lua_setiuservalue(L, -2, SCHEDULER_OPTIONS);
  if (!from->is_apps) return;
  if (lua_getiuservalue(L, index, SCHEDULER_APP) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, index);
  }
  lua_setiuservalue(L, -2, SCHEDULER_APP);
}

bool schedule_push_app(lua_State *L, enum task_when when) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &apps_key);
  lua_pushnil(L);
  if (!lua_next(L, -2)) {
    lua_pop(L, 1);
    return false;
  }
  push_with_timing(L, lua_gettop(L), when);
  lua_replace(L, -4);
  lua_pop(L, 2);
  return true;
}

void schedule_set_options(lua_State *L, int index) {
  index = lua_absindex(L, index);
  int table = lua_gettop(L);
  int base = lua_getiuservalue(L, index, SCHEDULER_OPTIONS) == LUA_TUSERDATA ? table + 1 : 0;
  task_options_push(L, table, base);
  lua_setiuservalue(L, index, SCHEDULER_OPTIONS);
  lua_settop(L, table - 1);
}

static int release_scheduler(lua_State *L) {
  struct scheduler *scheduler = lua_touserdata(L, 1);
  schedule_agenda_release(scheduler->agenda);
  scheduler->agenda = NULL;
  return 0;
}

/* The scheduler at `index`, or NULL when it is none. */
static struct scheduler *scheduler_at(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  bool is_one = lua_topointer(L, -1) == worker_of(L)->tasks.scheduler_metatable;
  lua_pop(L, 1);
  return is_one ? lua_touserdata(L, index) : NULL;
}

static struct scheduler *check_scheduler(lua_State *L, const char *method) {
  struct scheduler *scheduler = scheduler_at(L, 1);
  if (!scheduler)
    luaL_error(L, "%s was called without its tasks: use a colon (tasks:%s)", method, method);
  return scheduler;
}

/* ---- scheduling ---- */

/* Pushes the prepared call of a blocking function and gives its index; 0 for a plain one. */
static int push_call(lua_State *L, int function) {
  struct place *place = place_of(L, function);
  if (!place || call_runs_here(worker_of(L), place)) return 0;
  int nargs = lua_gettop(L) - function;
  luaL_checkstack(L, nargs + 1, "too many arguments");
  for (int i = 1; i <= nargs; i++) lua_pushvalue(L, function + i);
  call_prepare(L, place, nargs, TASK_POOL);
  lua_insert(L, function);
  return function;
}

/* Puts the scheduler's options at `index` and gives them, or NULL: it has none. */
static const struct task_options *insert_options(lua_State *L, int index) {
  if (lua_getiuservalue(L, 1, SCHEDULER_OPTIONS) == LUA_TUSERDATA) {
    lua_insert(L, index);
    return lua_touserdata(L, index);
  }
  lua_pop(L, 1);
  return NULL;
}

/* Where tasks go from a thread of a pool: to the request of the running call, or the event loop
 * that it comes from. Raises where code belongs to no call. */
static struct schedule_home find_loop(lua_State *L, const char *what) {
  const struct call *call = call_run_find(L);
  if (!call)
    luaL_error(L, "%s: code of a pool that belongs to no call has no event loop to run tasks on",
               what);
  return (struct schedule_home){call->origin.home, call->origin.data, call->origin.number};
}

/* Stack: the scheduler, the function, its arguments. */
static int schedule_elsewhere(lua_State *L, const struct schedule_home *home, enum task_when when) {
  bool has_options = insert_options(L, 2) != NULL;
  if (has_options) {
    task_options_push_copy(L, 2);
    lua_replace(L, 2);
  }
  schedule_remote(L, home, when, has_options ? 3 : 2, has_options ? 2 : 0);
  return 1;
}

/* The app's own scheduler, that of the scheduler at 1. Raises where no app is served. */
static const struct scheduler *find_home(lua_State *L, const struct scheduler *scheduler) {
  if (!scheduler->is_apps) return NULL;
  const struct scheduler *home = scheduler;
  if (lua_getiuservalue(L, 1, SCHEDULER_APP) == LUA_TUSERDATA) home = lua_touserdata(L, -1);
  lua_pop(L, 1);
  const struct fiber *fiber = fiber_running(L);
  bool is_served = home->instance || (fiber && fiber->instance);
  if (!is_served)
    luaL_error(L, "app.tasks works while the app is served: run it with `perilune serve`, or in a "
                  "spec with test.client()");
  return home->instance ? home : NULL;
}

/* Whether what is scheduled starts now, or is dropped now: its point is reached, or the handler has
 * ended as it does not want it to. */
static bool has_passed(const struct scheduler *scheduler, const struct task_options *options,
                       bool *is_dropped) {
  const struct agenda *agenda = scheduler->agenda;
  *is_dropped = false;
  if (!agenda || scheduler->when == TASK_NOW) return true;
  enum task_outcome outcome = options ? options->outcome : TASK_OUTCOME_SUCCESS;
  bool is_reached = agenda->reached >= scheduler->when;
  bool is_told = is_reached || (agenda->failed && agenda->reached >= TASK_AFTER_ROUTE);
  *is_dropped = is_told && !is_wanted(outcome, agenda->failed);
  return is_reached || *is_dropped;
}

/* Whether a value from `first` on may be another one, inside, when it is sent again. */
static bool has_changeable(lua_State *L, int first) {
  for (int i = first; i <= lua_gettop(L); i++)
    if (lua_type(L, i) > LUA_TSTRING) return true;
  return false;
}

/* Puts a copy of the call at `box`, whose arguments are behind `index` and the function, at `index`
 * and gives that, or 0: none will be needed. */
static int insert_copy(lua_State *L, int box, const struct task_options *options, int index) {
  bool is_sent_again = options && (options->retries > 0 || options->has_on_error);
  if (!box || !(is_sent_again || has_changeable(L, index + 1))) return 0;
  call_copy(L, box);
  lua_insert(L, index);
  return index;
}

/* Lets a spec that watches the app put another function in the place of that at 2. */
static void ask_watcher(lua_State *L, const struct instance *instance) {
  int options = lua_gettop(L) + 1;
  bool has_options = lua_getiuservalue(L, 1, SCHEDULER_OPTIONS) == LUA_TUSERDATA;
  schedule_watch_ask(L, instance, 2, has_options ? options : 0);
  lua_settop(L, options - 1);
}

static const char *name_of(enum task_when when) {
  static const char *const names[] = {"now", "after_route", "after_response"};
  return names[when];
}

/* Stack: the scheduler, the function, its arguments. */
static int schedule_here(lua_State *L, const struct scheduler *scheduler,
                         const struct scheduler *home) {
  bool is_dropped;
  const struct fiber *scheduling = fiber_running(L);
  struct instance *instance = home ? home->instance : scheduling ? scheduling->instance : NULL;
  bool is_watched = UNLIKELY(worker_of(L)->tasks.watchers > 0);
  if (is_watched) ask_watcher(L, instance);
  int box = push_call(L, 2);
  int function = box ? box + 1 : 2;
  const struct task_options *options = insert_options(L, function);
  int options_at = options ? function++ : 0;
  int copy = insert_copy(L, box, options, function);
  if (copy) function++;
  bool passed = has_passed(scheduler, options, &is_dropped);
  bool is_queued_now = box && passed && !is_dropped && (!options || options->delay_ns == 0);
  if (box) task_label_give(L, box, function, options_at);
  if (is_queued_now) call_submit(L, box);
  struct task *task = task_push(L, lua_gettop(L) - function, options_at, copy);
  task->scheduled = true;
  instance_count_tasks(worker_of(L), instance, METRIC_TASKS_SCHEDULED);
  task->late = scheduler->when != TASK_NOW && passed;
  task->dropped = is_dropped;
  task_make_fiber(L, box);
  task->fiber->shielded = task->shielded;
  if (home) {
    task->fiber->instance = home->instance;
    task->fiber->timers = home->timers;
  }
  join_agenda(task, scheduler->agenda);
  if (passed) {
    task_start(task);
  } else {
    assert(task->agenda);
    task->waits = true;
    list_push(&scheduler->agenda->waiting[scheduler->when], &task->fiber->link);
  }
  if (is_dropped) report_dropped(scheduler->agenda, 1);
  if (task->shielded) task_report_shielded(L);
  if (is_watched) schedule_watch_tell(L, instance, name_of(scheduler->when));
  return 1;
}

int schedule_method(lua_State *L) {
  struct scheduler *scheduler = check_scheduler(L, "schedule");
  if (place_is_loading(L))
    return luaL_error(L, "nothing can be scheduled while the app loads: use app:on_start");
  task_check_callable(L, 2, "a task is a function and its arguments");
  if (scheduler->is_remote) return schedule_elsewhere(L, scheduler->home, scheduler->when);
  if (worker_of(L)->role->runs_blocking) {
    struct schedule_home home = find_loop(L, "app.tasks");
    home.source = NULL;
    return schedule_elsewhere(L, &home, scheduler->when);
  }
  const struct scheduler *home = find_home(L, scheduler);
  task_report_check_open(L);
  task_check_room(L);
  return schedule_here(L, scheduler, home);
}

int schedule_beyond_limit(lua_State *L) {
  return schedule_here(L, lua_touserdata(L, 1), NULL);
}

/* task(self, options) -> a scheduler with these options over those it has */
static int define(lua_State *L) {
  const struct scheduler *scheduler = check_scheduler(L, "task");
  lua_settop(L, 2);
  push_with_timing(L, 1, scheduler->when);
  int base = lua_getiuservalue(L, 1, SCHEDULER_OPTIONS) == LUA_TUSERDATA ? lua_gettop(L) : 0;
  task_options_push(L, 2, base);
  lua_setiuservalue(L, 3, SCHEDULER_OPTIONS);
  lua_settop(L, 3);
  return 1;
}

/* find(self, id) -> the task with that id, of whatever thread; nil when there is none */
static int find(lua_State *L) {
  check_scheduler(L, "find");
  return task_remote_find(L);
}

/* Upvalue: the methods. Lua code can call it with anything. */
static int index_scheduler(lua_State *L) {
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  luaL_argexpected(L, scheduler_at(L, 1), 1, "tasks");
  const char *key = luaL_checkstring(L, 2);
  enum task_when when = TASK_NOW;
  if (strcmp(key, "after_route") == 0) when = TASK_AFTER_ROUTE;
  if (strcmp(key, "after_response") == 0) when = TASK_AFTER_RESPONSE;
  if (when == TASK_NOW) return 0;
  push_with_timing(L, 1, when);
  return 1;
}

/* Schedulers are equal when what they schedule belongs to the same request, at the same point, with
 * the same options. */
static int equals(lua_State *L) {
  const struct scheduler *a = scheduler_at(L, 1), *b = scheduler_at(L, 2);
  bool is_same = a && b && a->agenda && a->agenda == b->agenda && a->when == b->when;
  if (is_same) {
    lua_getiuservalue(L, 1, SCHEDULER_OPTIONS);
    lua_getiuservalue(L, 2, SCHEDULER_OPTIONS);
    is_same = lua_rawequal(L, -1, -2);
  }
  lua_pushboolean(L, is_same);
  return 1;
}

/* ---- apps ---- */

int schedule_make(lua_State *L) {
  push_local(L, NULL, TASK_NOW)->is_apps = true;
  return 1;
}

void schedule_begin_app(lua_State *L, int index, struct timers *timers) {
  struct instance *instance = instance_shown(L);
  index = lua_absindex(L, index);
  lua_pushliteral(L, "tasks");
  lua_rawget(L, index);
  struct scheduler *scheduler = scheduler_at(L, -1);
  if (scheduler) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &apps_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, instance);
    lua_pop(L, 1);
    scheduler->instance = instance;
    scheduler->timers = timers;
  }
  lua_pop(L, 1);
}

void schedule_end_app(lua_State *L, const struct instance *instance) {
  struct scheduler *scheduler = push_of_app(L, instance);
  if (!scheduler) return;
  scheduler->instance = NULL;
  scheduler->timers = NULL;
  lua_pop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &apps_key);
  lua_pushnil(L);
  lua_rawsetp(L, -2, instance);
  lua_pop(L, 1);
}

/* The agenda of the request that a fiber runs for; NULL: none, or all of it has ended. */
static struct agenda *find_agenda(const struct fiber *fiber) {
  const struct task *task = task_of(fiber);
  struct agenda *agenda = schedule_agenda_find(fiber->source, fiber->request);
  if (!agenda && task) agenda = task->agenda;
  return agenda;
}

int schedule_current(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  if (place_is_loading(L))
    return luaL_error(L, "perilune.tasks belongs to what runs: while the app loads use "
                         "app:on_start, or keep app.tasks");
  const struct call *call = call_run_find(L);
  bool is_elsewhere = call && call->origin.data && call->origin.home != worker_of(L)->number;
  if (is_elsewhere || worker_of(L)->role->runs_blocking) {
    const struct schedule_home home = find_loop(L, "perilune.tasks");
    schedule_push_remote(L, &home, TASK_NOW);
    return 1;
  }
  struct agenda *agenda = fiber ? find_agenda(fiber) : NULL;
  if (agenda)
    schedule_push(L, agenda, TASK_NOW);
  else if (!fiber || !push_of_app(L, fiber->instance))
    return luaL_error(L,
                      "perilune.tasks: no app is served here: use it in what the app runs, under "
                      "`perilune serve` or in a spec with test.client()");
  return 1;
}

void schedule_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"schedule", schedule_method}, {"task", define}, {"find", find}, {"__eq", equals},
      {"__gc", release_scheduler},   {NULL, NULL}};
  luaL_newlib(L, functions);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, index_scheduler, 1);
  lua_setfield(L, -2, "__index");
  worker_of(L)->tasks.scheduler_metatable = lua_topointer(L, -1);
  class_register(L, CLASS_SCHEDULER);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &apps_key);
  lua_pop(L, 1);
}
