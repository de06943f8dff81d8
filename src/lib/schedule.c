/* schedule.c - `req.tasks`: agendas of requests, schedulers and definitions.
 *
 * A scheduler is an agenda, a timing and options. `tasks.after_route` is the same agenda with
 * another timing, `tasks:task{...}` the same with other options; no call changes an existing one.
 */
#include "lib/schedule.h"

#include "core/call.h"
#include "core/class.h"
#include "core/fiber.h"
#include "core/place.h"
#include "core/worker.h"
#include "lib/options.h"
#include "lib/schedule_remote.h"
#include "lib/spool.h"
#include "lib/task.h"
#include "lib/task_remote.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* ---- agendas ---- */

struct agenda *schedule_agenda_create(struct fiber *handler) {
  struct agenda *agenda = memory_alloc_zero(sizeof *agenda);
  agenda->references = agenda->unfinished = 1;
  agenda->worker = handler->worker;
  agenda->request = handler->request;
  agenda->handler = handler;
  for (size_t i = 0; i < array_len(agenda->waiting); i++) list_init(&agenda->waiting[i]);
  return agenda;
}

void schedule_agenda_release(struct agenda *agenda) {
  if (agenda && --agenda->references == 0) free(agenda);
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

unsigned schedule_agenda_reach(struct agenda *agenda, enum task_when when, bool failed) {
  unsigned dropped = 0;
  agenda->references++;
  agenda->reached = failed ? TASK_AFTER_RESPONSE : when;
  for (enum task_when at = TASK_AFTER_ROUTE; at <= agenda->reached; at++) {
    while (!list_is_empty(&agenda->waiting[at])) {
      struct task *task = task_of(container_of(agenda->waiting[at].next, struct fiber, link));
      task->dropped = failed;
      dropped += failed;
      schedule_start(task);
    }
  }
  schedule_agenda_release(agenda);
  return dropped;
}

/* ---- schedulers ---- */

struct scheduler {
  struct agenda *agenda; /* a reference; NULL: every point counts as reached */
  enum task_when when;
  bool is_remote; /* for the request at home[0], on another worker */
  struct schedule_home home[];
};

enum { SCHEDULER_OPTIONS = 1, SCHEDULER_VALUES = SCHEDULER_OPTIONS };

static struct scheduler *push_scheduler(lua_State *L, size_t size, enum task_when when) {
  struct scheduler *scheduler = lua_newuserdatauv(L, size, SCHEDULER_VALUES);
  *scheduler = (struct scheduler){.when = when};
  class_push(L, CLASS_SCHEDULER);
  lua_setmetatable(L, -2);
  return scheduler;
}

void schedule_push(lua_State *L, struct agenda *agenda, enum task_when when) {
  struct scheduler *scheduler = push_scheduler(L, sizeof *scheduler, when);
  scheduler->agenda = agenda;
  if (agenda) agenda->references++;
}

void schedule_push_remote(lua_State *L, const struct schedule_home *home, enum task_when when) {
  struct scheduler *scheduler = push_scheduler(L, sizeof *scheduler + sizeof *home, when);
  scheduler->is_remote = true;
  scheduler->home[0] = *home;
}

/* Pushes one for the same request. */
static void push_with_timing(lua_State *L, const struct scheduler *scheduler, enum task_when when) {
  if (scheduler->is_remote)
    schedule_push_remote(L, scheduler->home, when);
  else
    schedule_push(L, scheduler->agenda, when);
}

void schedule_set_options(lua_State *L, int index) {
  lua_setiuservalue(L, index, SCHEDULER_OPTIONS);
}

static int release_scheduler(lua_State *L) {
  struct scheduler *scheduler = lua_touserdata(L, 1);
  schedule_agenda_release(scheduler->agenda);
  scheduler->agenda = NULL;
  return 0;
}

static struct scheduler *check_scheduler(lua_State *L, const char *method) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_SCHEDULER) != 0)
    luaL_error(L, "%s was called without its tasks: use a colon (tasks:%s)", method, method);
  return lua_touserdata(L, 1);
}

/* Pushes the prepared call of a blocking function and gives its index; 0 for a plain one. */
static int push_call(lua_State *L, int function, bool at_once) {
  struct place *place = place_of(L, function);
  if (!place || call_runs_here(worker_of(L), place)) return 0;
  int nargs = lua_gettop(L) - function;
  luaL_checkstack(L, nargs + 1, "too many arguments");
  for (int i = 1; i <= nargs; i++) lua_pushvalue(L, function + i);
  call_prepare(L, place, nargs, "tasks");
  if (at_once) call_submit(L, -1);
  lua_insert(L, function);
  return function;
}

/* Puts the scheduler's options at `index` and gives that, or 0: it has none. */
static int insert_options(lua_State *L, int index) {
  if (lua_getiuservalue(L, 1, SCHEDULER_OPTIONS) == LUA_TTABLE) {
    lua_insert(L, index);
    return index;
  }
  lua_pop(L, 1);
  return 0;
}

/* Stack: the scheduler, the function, its arguments. */
static int schedule_elsewhere(lua_State *L, const struct scheduler *scheduler) {
  int options = insert_options(L, 2);
  schedule_remote(L, scheduler->home, scheduler->when, options ? 3 : 2, options);
  return 1;
}

int schedule_method(lua_State *L) {
  struct scheduler *scheduler = check_scheduler(L, "schedule");
  if (place_is_loading(L))
    return luaL_error(L, "nothing can be scheduled while the app loads: use app:on_start");
  task_check_callable(L, 2, "a task is a function and its arguments");
  if (scheduler->is_remote) return schedule_elsewhere(L, scheduler);
  bool passed = !scheduler->agenda || scheduler->agenda->reached >= scheduler->when;
  int box = push_call(L, 2, passed);
  int function = box ? box + 1 : 2;
  int options = insert_options(L, function);
  if (options) function++;
  struct task *task = task_push(L, lua_gettop(L) - function, options);
  task->scheduled = true;
  task_make_fiber(L, box);
  join_agenda(task, scheduler->agenda);
  if (passed) {
    task->late = scheduler->when != TASK_NOW;
    task_start(task);
    return 1;
  }
  assert(task->agenda);
  task->waits = true;
  list_push(&scheduler->agenda->waiting[scheduler->when], &task->fiber->link);
  return 1;
}

/* The value of an option on top of the stack. */
static void check_option(lua_State *L, const char *name) {
  if (lua_isnil(L, -1)) return;
  if (strcmp(name, "name") == 0 && lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option \"name\" is a string, not a %s", luaL_typename(L, -1));
  bool is_off = lua_isboolean(L, -1) && !lua_toboolean(L, -1);
  if (strcmp(name, "on_error") == 0 && !lua_isfunction(L, -1) && !is_off)
    luaL_error(L, "option \"on_error\" is a function or false, not a %s", luaL_typename(L, -1));
}

/* task(self, options) -> a scheduler with these options over those it has */
static int define(lua_State *L) {
  static const char *const names[] = {"name", "on_error", NULL};
  struct scheduler *scheduler = check_scheduler(L, "task");
  options_check(L, 2, names);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  push_with_timing(L, scheduler, scheduler->when);
  lua_newtable(L);
  for (size_t i = 0; names[i]; i++) {
    bool inherits = lua_getfield(L, 2, names[i]) == LUA_TNIL;
    if (inherits && lua_getiuservalue(L, 1, SCHEDULER_OPTIONS) == LUA_TTABLE) {
      lua_getfield(L, -1, names[i]);
      lua_replace(L, 5);
    }
    lua_settop(L, 5);
    check_option(L, names[i]);
    lua_setfield(L, 4, names[i]);
  }
  lua_setiuservalue(L, 3, SCHEDULER_OPTIONS);
  return 1;
}

/* find(self, id) -> the task with that id, of whatever thread; nil when there is none */
static int find(lua_State *L) {
  check_scheduler(L, "find");
  return task_remote_find(L);
}

static int index_scheduler(lua_State *L) {
  const struct scheduler *scheduler = lua_touserdata(L, 1);
  const char *key = luaL_checkstring(L, 2);
  enum task_when when = TASK_NOW;
  if (strcmp(key, "after_route") == 0) when = TASK_AFTER_ROUTE;
  if (strcmp(key, "after_response") == 0) when = TASK_AFTER_RESPONSE;
  if (when == TASK_NOW) {
    if (luaL_getmetafield(L, 1, key) == LUA_TNIL) return 0;
    return 1;
  }
  push_with_timing(L, scheduler, when);
  if (lua_getiuservalue(L, 1, SCHEDULER_OPTIONS) != LUA_TNIL)
    lua_setiuservalue(L, -2, SCHEDULER_OPTIONS);
  else
    lua_pop(L, 1);
  return 1;
}

void schedule_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"schedule", schedule_method}, {"task", define}, {"find", find}, {"__index", index_scheduler},
      {"__gc", release_scheduler},   {NULL, NULL}};
  luaL_newlib(L, functions);
  class_register(L, CLASS_SCHEDULER);
  lua_pop(L, 1);
}
