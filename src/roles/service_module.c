/* service_module.c - the handle behind test.client().
 *
 *   local service = native.open(dir, has_clock, settings); (load the app)
 *   service:prepare(app); local task = service:spawn(fn, ...)   for hooks
 *   service:start_loops(), until they are no more :has_busy_loops(); local port = service:listen()
 *   service:close(), :cancel(), :settle_loops() and :settle(), until there is no more
 *   :has_requests(), :has_tasks(), :has_busy_loops() and :has_calls(); service:resume_loops() for
 *   hooks; service:stop_loops(); service:destroy(). As a server ends: first :drain(), then
 *   :refuse_tasks() and :cancel_left() for :cancel(); :totals() */
#include "roles/service_module.h"

#include "base/settings.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/place.h"
#include "core/snapshot.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "http/listener.h"
#include "lib/schedule_watch.h"
#include "lib/task.h"
#include "roles/app_pools.h"
#include "roles/background.h"
#include "roles/http.h"
#include "roles/pool.h"
#include "roles/task_totals.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLE_CLASS "perilune.service"

/* Field of the registry: those that have not been destroyed, handle -> true. */
#define OPEN_HANDLES "perilune.services"

/* 100 years: longer is for ever. */
#define SECONDS_MAX 3.2e9

#define TOTALS_FIELDS 10 /* of the table, with those that Lua adds */

struct handle {
  struct instance *instance; /* NULL: it has been destroyed, or was not opened */
  struct snapshot *snapshot;
  struct pools *pools;
  struct background *background;
  struct route_table *table;
  struct http_service *service;
  struct clock *clock;    /* of all that are open and have one; NULL: real time */
  struct task_end end;    /* of its tasks */
  struct buffer places;   /* where tasks were cancelled, as text */
  struct buffer settings; /* until the snapshot has them */
  bool open;
};

static struct handle *check_handle(lua_State *L) {
  return luaL_checkudata(L, 1, HANDLE_CLASS);
}

/* The clock that other open handles are on, or NULL. */
static struct clock *find_clock(lua_State *L) {
  struct clock *clock = NULL;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, OPEN_HANDLES);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    const struct handle *other = lua_touserdata(L, -2);
    if (other->clock) clock = other->clock;
  }
  lua_pop(L, 1);
  return clock;
}

/* The app, its threads and the running fiber live on a clock that moves by itself. */
static void give_clock(lua_State *L, struct handle *handle) {
  handle->clock = find_clock(L);
  if (!handle->clock) handle->clock = clock_create(worker_of(L));
  pools_set_clock(handle->pools, handle->clock);
  background_set_clock(handle->background, handle->clock);
  fiber_running(L)->timers = clock_timers(handle->clock);
}

/* The table at `index` (nil: they stay as they are) is app.settings from now on, in the app's
 * threads too. */
static void read_settings(lua_State *L, struct handle *handle, int index) {
  if (lua_isnil(L, index)) return;
  transfer_encode_named(L, index, "settings", &handle->settings);
  snapshot_set_settings(handle->snapshot, &handle->settings);
}

static void note_open(lua_State *L, int index, bool is_open) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, OPEN_HANDLES);
  lua_pushvalue(L, index);
  if (is_open)
    lua_pushboolean(L, true);
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* open(dir, has_clock, settings) -> a handle */
static int open_service(lua_State *L) {
  const char *dir = luaL_checkstring(L, 1);
  lua_settop(L, 3);
  struct worker *worker = worker_of(L);
  if (worker->role->begin != http_role.begin)
    return luaL_error(L, "an app can be served from specs only");
  struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (struct handle){0};
  luaL_setmetatable(L, HANDLE_CLASS);
  handle->snapshot = snapshot_create(dir);
  read_settings(L, handle, 3);
  handle->instance = instance_begin(L, handle->snapshot);
  handle->instance->end = &handle->end;
  instance_watch_load(L, handle->instance);
  handle->pools = pools_create(worker->process, handle->snapshot);
  handle->background =
      background_create(worker->process, handle->snapshot, pools_host(handle->pools));
  if (lua_toboolean(L, 2)) give_clock(L, handle);
  note_open(L, lua_gettop(L), true);
  handle->open = true;
  place_begin_load(L, pools_host(handle->pools));
  return 1;
}

/* check(self, app): raises what serve would raise of its routes and pools */
static int check(lua_State *L) {
  struct handle *handle = check_handle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  route_table_destroy(route_table_create(L, 2));
  app_pools_read(L, 2, handle->pools);
  return 0;
}

/* prepare(self, app): ends the load */
static int prepare(lua_State *L) {
  struct handle *handle = check_handle(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  place_end_load(L);
  handle->table = route_table_create(L, 2);
  app_pools_read(L, 2, handle->pools);
  background_read(L, handle->background);
  handle->service = http_service_create(L, 2, handle->table);
  instance_watch_load(L, NULL);
  return 0;
}

static struct handle *check_service(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (!handle->service) luaL_error(L, "no app is served");
  return handle;
}

/* listen(self) -> port */
static int listen_on_loopback(lua_State *L) {
  struct handle *handle = check_service(L);
  int fd;
  uint16_t port;
  char message[LISTENER_MESSAGE_BYTES];
  if (listener_bind("127.0.0.1", 0, 1, &fd, &port, message) != 0)
    return luaL_error(L, "%s", message);
  uv_err error = http_service_listen(handle->service, fd);
  if (error) return luaL_error(L, "cannot listen: %s", uv_strerror(error));
  lua_pushinteger(L, port);
  return 1;
}

/* spawn(self, fn, ...) -> a task that belongs to the app, with what it spawns */
static int spawn(lua_State *L) {
  struct handle *handle = check_service(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct fiber *fiber = task_spawn(L, lua_gettop(L) - 2)->fiber;
  fiber->instance = handle->instance;
  fiber->timers = handle->service->clock;
  return 1;
}

/* watch(self, fn): is asked before the app schedules a task, and told after it: schedule_watch.h */
static int watch(lua_State *L) {
  const struct handle *handle = check_service(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  schedule_watch_set(L, handle->instance);
  return 0;
}

static int close_service(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (!handle->open) return 0;
  handle->open = false;
  handle->instance->loading = false;
  if (handle->service) http_service_close(handle->service);
  return 0;
}

/* Whether a fiber is a handler, a hook or a task of the app; the running one asks. */
static bool is_of_app(const struct handle *handle, const struct fiber *fiber) {
  bool is_running = fiber == fiber->worker->running;
  return fiber->instance == handle->instance && !is_running;
}

/* cancel(self): handlers and tasks of the app */
static int cancel(lua_State *L) {
  const struct handle *handle = check_handle(L);
  struct list *fibers = &worker_of(L)->fibers;
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (is_of_app(handle, fiber)) fiber_cancel(fiber, "the test client is closed");
  }
  return 0;
}

/* has_tasks(self) -> whether a handler or task of the app is left */
static int has_tasks(lua_State *L) {
  const struct handle *handle = check_handle(L);
  struct list *fibers = &worker_of(L)->fibers;
  bool has = false;
  for (struct list *link = fibers->next; link != fibers && !has; link = link->next)
    has = is_of_app(handle, container_of(link, struct fiber, live));
  lua_pushboolean(L, has);
  return 1;
}

/* settle(self): begins to end what runs in the pools */
static int settle(lua_State *L) {
  pools_settle(check_handle(L)->pools, NULL, NULL);
  return 0;
}

/* has_calls(self) -> whether settle has not come to its end */
static int has_calls(lua_State *L) {
  lua_pushboolean(L, pools_are_settling(check_handle(L)->pools));
  return 1;
}

/* push_calls(buffer) -> the list */
static int push_calls(lua_State *L) {
  const struct buffer *calls = lua_touserdata(L, 1);
  lua_Integer count = 0;
  lua_newtable(L);
  for (size_t at = 0; at < calls->len;) {
    uint32_t len;
    memcpy(&len, calls->data + at, sizeof len);
    lua_pushlstring(L, calls->data + at + sizeof len, len);
    if (len > 0)
      place_push_title(L, lua_tostring(L, -1));
    else
      lua_pushliteral(L, "a function of async.run_blocking");
    lua_rawseti(L, 2, ++count);
    lua_settop(L, 2);
    at += sizeof len + len;
  }
  return 1;
}

/* busy_calls(self) -> a list: the functions of the calls that run or wait in the pools */
static int busy_calls(lua_State *L) {
  struct buffer calls = {0};
  pools_list_calls(check_handle(L)->pools, &calls);
  lua_pushcfunction(L, push_calls);
  lua_pushlightuserdata(L, &calls);
  int status = lua_pcall(L, 1, 1, 0);
  buffer_finish(&calls);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* start_loops(self), settle_loops(self), stop_loops(self): begin to start them, to end what they
 * run, to end them */
static int start_loops(lua_State *L) {
  background_start(check_service(L)->background, NULL, NULL);
  return 0;
}

static int settle_loops(lua_State *L) {
  background_settle(check_handle(L)->background, NULL, NULL);
  return 0;
}

static int stop_loops(lua_State *L) {
  background_stop(check_handle(L)->background, NULL, NULL);
  return 0;
}

/* resume_loops(self): they take calls again */
static int resume_loops(lua_State *L) {
  background_resume(check_handle(L)->background);
  return 0;
}

/* has_busy_loops(self) -> whether what was begun with them last has not come to its end; then what
 * went wrong with them so far, or nil */
static int has_busy_loops(lua_State *L) {
  struct background *background = check_handle(L)->background;
  char problem[BACKGROUND_PROBLEM_BYTES];
  lua_pushboolean(L, background_is_busy(background));
  if (!background_problem(background, problem, sizeof problem)) return 1;
  lua_pushstring(L, problem);
  return 2;
}

/* has_requests(self) -> whether one is left, or a connection */
static int has_requests(lua_State *L) {
  const struct handle *handle = check_handle(L);
  lua_pushboolean(L, handle->service && !http_service_is_idle(handle->service));
  return 1;
}

/* ---- the end, as a server has it ---- */

/* limits(self) -> seconds for the requests in flight, and for all of it */
static int limits(lua_State *L) {
  const struct settings *settings = worker_of(L)->process->settings;
  lua_pushnumber(L, (lua_Number)settings->drain_timeout_ms / 1000);
  lua_pushnumber(L, (lua_Number)settings->shutdown_timeout_ms / 1000);
  return 2;
}

static int drain(lua_State *L) {
  http_service_drain(check_service(L)->service);
  return 0;
}

/* has_exchanges(self) -> whether a request is being answered */
static int has_exchanges(lua_State *L) {
  const struct hub *hub = &check_service(L)->service->hub;
  lua_pushboolean(L, hub->exchange_count > 0 || hub->jobs.count > 0 || hub->file_count > 0);
  return 1;
}

/* refuse_tasks(self): none is scheduled any more; what is cancelled is noted with its line */
static int refuse_tasks(lua_State *L) {
  check_service(L);
  check_handle(L)->end.closed = true;
  return 0;
}

/* cancel_left(self): what is not shielded, and once it is overdue the rest */
static int cancel_left(lua_State *L) {
  const struct handle *handle = check_handle(L);
  struct worker *worker = worker_of(L);
  bool is_overdue = handle->end.overdue;
  for (struct list *link = worker->fibers.next; link != &worker->fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (!is_of_app(handle, fiber) || (fiber->shielded && !is_overdue)) continue;
    fiber_cancel(fiber, is_overdue ? WORKER_OVERDUE : WORKER_STOPS);
  }
  return 0;
}

/* interrupt(self): it has taken too long */
static int interrupt(lua_State *L) {
  struct handle *handle = check_handle(L);
  handle->end.overdue = true;
  background_interrupt(handle->background);
  return cancel_left(L);
}

/* Stack: the table on top. */
static void set_totals(lua_State *L, const struct task_totals *totals) {
  const struct {
    const char *name;
    int64_t value;
  } rows[] = {{"scheduled", totals->scheduled}, {"done", totals->done},
              {"failed", totals->failed},       {"cancelled", totals->cancelled},
              {"dropped", totals->dropped},     {"unfinished", task_totals_unfinished(totals)},
              {"shielded", totals->shielded}};
  for (size_t i = 0; i < array_len(rows); i++) {
    lua_pushinteger(L, rows[i].value);
    lua_setfield(L, -2, rows[i].name);
  }
}

/* totals(self) -> what has become of its tasks; all loops have ended */
static int totals(lua_State *L) {
  struct handle *handle = check_service(L);
  struct task_totals totals = {0};
  size_t count = background_workers(handle->background, NULL, 0) + 1;
  lua_settop(L, 1);
  const struct worker **workers = lua_newuserdatauv(L, count * sizeof *workers, 0);
  const struct task_end **ends = lua_newuserdatauv(L, count * sizeof *ends, 0);
  background_workers(handle->background, workers + 1, count - 1);
  task_totals_add(&totals, &handle->instance->metrics);
  ends[0] = &handle->end;
  for (size_t i = 1; i < count; i++) {
    task_totals_add(&totals, &workers[i]->metrics);
    ends[i] = &workers[i]->tasks.end;
  }
  lua_createtable(L, 0, TOTALS_FIELDS);
  set_totals(L, &totals);
  buffer_clear(&handle->places);
  task_totals_list_places(ends, count, &handle->places);
  lua_pushlstring(L, handle->places.data, handle->places.len);
  lua_setfield(L, -2, "cancelled_at");
  return 1;
}

/* ---- time ---- */

static struct clock *check_clock(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (!handle->clock) luaL_error(L, "this client is on the real clock");
  return handle->clock;
}

/* set_automatic(self, is_automatic): whether the clock moves by itself; nothing on the real one */
static int set_automatic(lua_State *L) {
  const struct handle *handle = check_handle(L);
  if (handle->clock) clock_set_automatic(handle->clock, lua_toboolean(L, 2));
  return 0;
}

/* now(self) -> seconds on its clock */
static int now(lua_State *L) {
  const struct timers *timers = clock_timers(check_clock(L));
  lua_pushnumber(L, (lua_Number)timers_now(timers) / (lua_Number)NS_PER_SECOND);
  return 1;
}

/* time(self) -> seconds on its clock, or on the real one, from any time on */
static int tell_time(lua_State *L) {
  const struct handle *handle = check_handle(L);
  const struct timers *timers = handle->clock ? clock_timers(handle->clock) : &worker_of(L)->timers;
  lua_pushnumber(L, (lua_Number)timers_now(timers) / (lua_Number)NS_PER_SECOND);
  return 1;
}

static uint64_t check_ns(lua_State *L, int index) {
  lua_Number seconds = luaL_checknumber(L, index);
  luaL_argcheck(L, seconds >= 0 && seconds <= SECONDS_MAX, index, "seconds, from 0 on");
  return (uint64_t)ceil(seconds * (lua_Number)NS_PER_SECOND);
}

/* advance(self, seconds, limit) -> whether all has come to rest: it waits for that, `limit` seconds
 * of real time, or however long it takes */
static int advance(lua_State *L) {
  struct clock *clock = check_clock(L);
  uint64_t by_ns = check_ns(L, 2);
  return clock_advance(L, clock, by_ns, lua_isnoneornil(L, 3) ? 0 : check_ns(L, 3));
}

/* step(self, seconds, limit): as advance, to the next timer at most */
static int step(lua_State *L) {
  struct clock *clock = check_clock(L);
  uint64_t by_ns = check_ns(L, 2), next_ns = clock_next(clock);
  return clock_advance(L, clock, by_ns < next_ns ? by_ns : next_ns, check_ns(L, 3));
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_running(L)->timers = (struct timers *)context;
  fiber_check_cancelled(L);
  return 0;
}

/* pause(seconds): a sleep in real time, whatever clock the fiber lives on */
static int pause_fiber(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  struct fiber *fiber = fiber_begin_wait(L, "the test client");
  struct timers *timers = fiber->timers;
  fiber->timers = &fiber->worker->timers;
  uint64_t due_ns = uv_hrtime() + (uint64_t)(seconds * (lua_Number)NS_PER_SECOND);
  return fiber_park_until(L, fiber, "the test client", due_ns, (lua_KContext)timers, paused);
}

/* fail(kind, message): raises an error of Perilune's */
static int fail(lua_State *L) {
  error_raise(L, luaL_checkstring(L, 1), "%s", luaL_checkstring(L, 2));
}

/* settings() -> a fresh copy of those of the process, whatever app is shown */
static int process_settings(lua_State *L) {
  struct slice message = worker_of(L)->process->app_settings;
  if (message.len > 0) return transfer_decode(L, message.data, message.len);
  lua_newtable(L);
  return 1;
}

/* set_variable(name, value): of the environment; nil: there is none of that name */
static int set_variable(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  int failed = lua_isnoneornil(L, 2) ? unsetenv(name) : setenv(name, luaL_checkstring(L, 2), 1);
  return failed ? luaL_error(L, "\"%s\" is no name of a variable", name) : 0;
}

/* The app's marks go with their pools: nothing may call them any more. What a spec left open is
 * destroyed with the state, after http_close. */
static int destroy(lua_State *L) {
  struct handle *handle = check_handle(L);
  if (!handle->instance) {
    snapshot_destroy(handle->snapshot);
    handle->snapshot = NULL;
    buffer_finish(&handle->settings);
    return 0;
  }
  note_open(L, 1, false);
  if (handle->open) close_service(L);
  struct fiber *fiber = fiber_running(L);
  if (fiber && fiber->loads == handle->instance) instance_watch_load(L, NULL);
  if (handle->service) {
    lua_pushnil(L);
    schedule_watch_set(L, handle->instance);
    http_service_destroy(handle->service);
  }
  instance_end(L, handle->instance);
  handle->instance = NULL;
  handle->service = NULL;
  background_destroy(handle->background);
  handle->background = NULL;
  pools_destroy(handle->pools);
  handle->pools = NULL;
  struct clock *clock = handle->clock;
  handle->clock = NULL;
  if (clock && !find_clock(L)) clock_stop(clock);
  route_table_destroy(handle->table);
  handle->table = NULL;
  snapshot_destroy(handle->snapshot);
  handle->snapshot = NULL;
  buffer_finish(&handle->end.cancelled_at);
  buffer_finish(&handle->places);
  return 0;
}

int service_module_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"check", check},
                                     {"prepare", prepare},
                                     {"spawn", spawn},
                                     {"listen", listen_on_loopback},
                                     {"close", close_service},
                                     {"cancel", cancel},
                                     {"settle", settle},
                                     {"has_requests", has_requests},
                                     {"has_tasks", has_tasks},
                                     {"has_calls", has_calls},
                                     {"busy_calls", busy_calls},
                                     {"destroy", destroy},
                                     {"start_loops", start_loops},
                                     {"settle_loops", settle_loops},
                                     {"resume_loops", resume_loops},
                                     {"stop_loops", stop_loops},
                                     {"has_busy_loops", has_busy_loops},
                                     {"set_automatic", set_automatic},
                                     {"now", now},
                                     {"watch", watch},
                                     {"advance", advance},
                                     {"step", step},
                                     {"time", tell_time},
                                     {"limits", limits},
                                     {"drain", drain},
                                     {"has_exchanges", has_exchanges},
                                     {"refuse_tasks", refuse_tasks},
                                     {"cancel_left", cancel_left},
                                     {"interrupt", interrupt},
                                     {"totals", totals},
                                     {NULL, NULL}};
  luaL_newmetatable(L, HANDLE_CLASS);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, destroy);
  lua_setfield(L, -2, "__gc");
  lua_pushcfunction(L, destroy);
  lua_setfield(L, -2, "__close");
  lua_pop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushcfunction(L, open_service);
  lua_setfield(L, -2, "open");
  lua_pushcfunction(L, process_settings);
  lua_setfield(L, -2, "settings");
  lua_pushcfunction(L, pause_fiber);
  lua_setfield(L, -2, "pause");
  lua_pushcfunction(L, fail);
  lua_setfield(L, -2, "fail");
  lua_pushcfunction(L, set_variable);
  lua_setfield(L, -2, "set_variable");
  return 1;
}
