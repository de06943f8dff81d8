/* checks.c - live tasks that belong to no app, stalls, what is open, the log of a spec.
 *
 * A spec's own fiber runs while it asks, so it is never among those that are left. */
#include "lib/checks.h"

#include "base/buffer.h"
#include "core/coverage.h"
#include "core/fiber.h"
#include "core/log_keeper.h"
#include "core/opened.h"
#include "core/stall.h"
#include "core/stress.h"
#include "core/worker.h"
#include "lib/running.h"
#include "lib/task.h"

#include <lauxlib.h>
#include <string.h>

/* Pushes { task=, made=, text= } of a task and the fiber that runs it. */
static void push_row(lua_State *L, struct fiber *fiber, int task) {
  lua_createtable(L, 0, 3);
  int row = lua_gettop(L);
  lua_pushvalue(L, task);
  lua_setfield(L, row, "task");
  if (task_push_maker(L, task)) lua_setfield(L, row, "made");
  lua_settop(L, row);
  if (fiber->state == FIBER_PARKED)
    running_push_wait(L, fiber);
  else
    task_push_name(L, task);
  lua_setfield(L, row, "text");
}

/* tasks() -> a list of the tasks that live and belong to no app */
static int tasks(lua_State *L) {
  const struct worker *worker = worker_of(L);
  const struct list *fibers = &worker->fibers;
  lua_Integer count = 0;
  lua_settop(L, 0);
  lua_newtable(L);
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    struct fiber *fiber = container_of(link, struct fiber, live);
    if (fiber->instance || fiber == worker->running || !task_push_of(L, fiber)) continue;
    push_row(L, fiber, 2);
    lua_rawseti(L, 1, ++count);
    lua_settop(L, 1);
  }
  return 1;
}

/* was_read(task) -> whether somebody has got its error */
static int was_read(lua_State *L) {
  const struct task *task = task_at(L, 1);
  luaL_argexpected(L, task, 1, "task");
  lua_pushboolean(L, task->was_read);
  return 1;
}

/* watch_stalls(): begins to measure, and forgets what was */
static int watch_stalls(lua_State *L) {
  stall_watch(worker_of(L));
  return 0;
}

/* skip_stall(): what this resume has done so far does not count */
static int skip_stall(lua_State *L) {
  struct worker *worker = worker_of(L);
  if (worker->stall.is_watched) stall_begin(worker);
  return 0;
}

/* end_stalls() -> the seconds of the worst, and where it was; measures no more */
static int end_stalls(lua_State *L) {
  struct worker *worker = worker_of(L);
  if (worker->stall.is_watched) stall_end(worker, "the spec");
  stall_unwatch(worker);
  lua_pushnumber(L, (lua_Number)worker->stall.worst_ns / (lua_Number)NS_PER_SECOND);
  lua_pushstring(L, worker->stall.place);
  return 2;
}

/* shuffle(seed): from now on fibers of this worker, and of workers that begin later, are woken in
 * an order that the seed gives */
static int shuffle(lua_State *L) {
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 1);
  stress_set_seed(worker_of(L), seed + (seed == 0));
  return 0;
}

/* ---- what is open ---- */

static struct opened_list *check_opened(lua_State *L) {
  struct opened_list *list = worker_of(L)->process->opened;
  if (!list) luaL_error(L, "what is open is noted for specs only");
  return list;
}

/* watch_opened(): notes what is opened from now on, and forgets what was */
static int watch_opened(lua_State *L) {
  opened_watch(check_opened(L), worker_of(L));
  return 0;
}

/* unwatch_opened(): notes no more */
static int unwatch_opened(lua_State *L) {
  opened_unwatch(check_opened(L));
  return 0;
}

/* settle_opened(): collects garbage where that says more of what is open */
static int settle_opened(lua_State *L) {
  opened_settle(L);
  return 0;
}

/* push_opened(buffer) -> the list */
static int push_opened(lua_State *L) {
  static const char *const checks[] = {[OPENED_FILE] = "files",
                                       [OPENED_WATCH] = "watches",
                                       [OPENED_DATABASE] = "databases",
                                       [OPENED_SUBSCRIPTION] = "subscriptions",
                                       [OPENED_STREAM] = "streams"};
  const struct buffer *buffer = lua_touserdata(L, 1);
  size_t count = buffer->len / sizeof(struct opened_row);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    struct opened_row row;
    memcpy(&row, buffer->data + i * sizeof row, sizeof row);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, checks[row.kind]);
    lua_setfield(L, 3, "check");
    lua_pushstring(L, row.line);
    lua_setfield(L, 3, "line");
    lua_pushboolean(L, row.is_of_app);
    lua_setfield(L, 3, "is_of_app");
    lua_pushboolean(L, row.state == OPENED_COLLECTED);
    lua_setfield(L, 3, "is_collected");
    lua_rawseti(L, 2, (lua_Integer)i + 1);
  }
  return 1;
}

/* Calls a function with the buffer, which is freed; gives its result. */
static int convert(lua_State *L, lua_CFunction function, struct buffer *buffer) {
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, buffer);
  int status = lua_pcall(L, 1, 1, 0);
  buffer_finish(buffer);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* opened() -> a list of what was opened since watch_opened, and not closed: { check=, line=,
 * is_of_app=, is_collected= } */
static int opened(lua_State *L) {
  struct buffer rows = {0};
  opened_list(check_opened(L), &rows);
  return convert(L, push_opened, &rows);
}

/* is_of_app() -> whether a handler, hook or task of an app runs */
static int is_of_app(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  lua_pushboolean(L, fiber && fiber->instance);
  return 1;
}

/* ---- the log of a spec ---- */

static struct log_keeper *check_keeper(lua_State *L) {
  struct log_keeper *keeper = worker_of(L)->process->log_keeper;
  if (!keeper) luaL_error(L, "the log is kept for specs only");
  return keeper;
}

/* keep_log(passes_on): keeps the log's lines from now on; they reach standard error too, or not */
static int keep_log(lua_State *L) {
  log_keeper_begin(check_keeper(L), lua_toboolean(L, 1));
  return 0;
}

/* end_log(): keeps no more */
static int end_log(lua_State *L) {
  log_keeper_end(check_keeper(L));
  return 0;
}

/* push_lines(buffer) -> the list */
static int push_lines(lua_State *L) {
  const struct buffer *lines = lua_touserdata(L, 1);
  lua_Integer count = 0;
  lua_newtable(L);
  for (size_t at = 0; at < lines->len;) {
    uint32_t len;
    memcpy(&len, lines->data + at, sizeof len);
    at += sizeof len;
    lua_pushlstring(L, lines->data + at, len);
    lua_rawseti(L, 2, ++count);
    at += len;
  }
  return 1;
}

/* take_log() -> a list of what was kept, each with its traceback; how many lines are missing */
static int take_log(lua_State *L) {
  struct buffer lines = {0};
  uint64_t dropped = log_keeper_take(check_keeper(L), &lines);
  convert(L, push_lines, &lines);
  lua_pushinteger(L, (lua_Integer)dropped);
  return 2;
}

enum { COUNTING_SLOWNESS = 10 };

/* slowness() -> how much longer things may take: under sanitizers, or while lines are counted */
static int slowness(lua_State *L) {
  bool counts = coverage_is_on(worker_of(L)->process);
  lua_pushinteger(L, stall_slowness() * (counts ? COUNTING_SLOWNESS : 1));
  return 1;
}

int checks_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"tasks", tasks},
                                       {"was_read", was_read},
                                       {"watch_stalls", watch_stalls},
                                       {"skip_stall", skip_stall},
                                       {"end_stalls", end_stalls},
                                       {"shuffle", shuffle},
                                       {"watch_opened", watch_opened},
                                       {"unwatch_opened", unwatch_opened},
                                       {"settle_opened", settle_opened},
                                       {"opened", opened},
                                       {"is_of_app", is_of_app},
                                       {"keep_log", keep_log},
                                       {"take_log", take_log},
                                       {"end_log", end_log},
                                       {"slowness", slowness},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
