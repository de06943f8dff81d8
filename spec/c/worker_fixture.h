/* worker_fixture.h - a worker with its watchdog, and Lua chunks run in fibers of it.
 *
 * Chunks find async.* as globals, `eq`, `has` and `fails` to expect with, `trace(text)` to leave
 * marks, `park(n)` to wait for a ticket, `scope(seconds, shield)` and `clock` where it is manual.
 * Included by one spec file each, so everything is static. */
#ifndef SPEC_WORKER_FIXTURE_H
#define SPEC_WORKER_FIXTURE_H

#include "core/directory.h"
#include "core/fiber.h"
#include "core/interrupt.h"
#include "core/watchdog.h"
#include "core/worker.h"

#include "base/log.h"
#include "base/settings.h"
#include "lib/sqlite_registry.h"
#include "libs.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { TICK_MS = 2, LIMIT_MS = 60000, TRACE_BYTES = 512, TICKETS_MAX = 8 };

struct fixture {
  struct settings settings;
  struct log log;
  int log_fd; /* a file in memory */
  struct watchdog watchdog;
  struct directory directory;
  struct process process;
  struct worker_role role;
  struct worker worker;
  struct timer tick;
  struct timers clock; /* manual; fibers are put on it by use_clock */
  struct ticket tickets[TICKETS_MAX];
  char trace[TRACE_BYTES];
  bool finished;
};

/* A chunk in a fiber, and how it ended. */
struct run {
  const char *chunk;
  struct fiber *fiber;
  int ended, failed;
  char error[1024];
  char *traceback;
};

static const char fixture_prelude[] =
    "for name, fn in pairs(require 'perilune.async') do _G[name] = fn end\n"
    "function eq(a, b) if a ~= b then error(tostring(a) .. ' ~= ' .. tostring(b), 2) end end\n"
    "function has(text, part) if not tostring(text):find(part, 1, true) then\n"
    "  error('no ' .. part .. ' in ' .. tostring(text), 2) end end\n"
    "function fails(kind, part, fn, ...) local ok, err = pcall(fn, ...)\n"
    "  if ok then error('did not fail', 2) end\n"
    "  eq(type(err) == 'table' and err.kind or 'misuse', kind)\n"
    "  has(tostring(err), part) return err end\n"
    "function closing(fn) return setmetatable({}, { __close = fn }) end\n";

static inline struct fixture *fixture_of(lua_State *L) {
  return worker_of(L)->role_data;
}

/* ---- functions for chunks ---- */

static inline int fixture_trace(lua_State *L) {
  char *trace = fixture_of(L)->trace;
  const char *text = luaL_checkstring(L, 1);
  size_t len = strlen(trace);
  assert_true(len + strlen(text) < TRACE_BYTES);
  snprintf(trace + len, TRACE_BYTES - len, "%s", text);
  return 0;
}

static inline int fixture_woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return 0;
}

/* park(n): the ticket of the wait is left at n. */
static inline int fixture_park(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  struct fiber *fiber = fiber_begin_wait(L, "park");
  fixture_of(L)->tickets[n] = fiber_ticket(fiber);
  return fiber_park(L, fiber, "park", 0, fixture_woken);
}

static inline int fixture_pop_scope(lua_State *L) {
  scope_pop(luaL_checkudata(L, 1, "spec.scope"));
  return 0;
}

/* scope(seconds | nil, shield) -> a scope that is popped when closed or collected */
static inline int fixture_push_scope(lua_State *L) {
  lua_Number seconds = luaL_optnumber(L, 1, 0);
  bool shield = lua_toboolean(L, 2);
  struct fiber *fiber = fiber_running(L);
  struct scope *scope = lua_newuserdatauv(L, sizeof *scope, 0);
  *scope = (struct scope){0};
  luaL_setmetatable(L, "spec.scope");
  uint64_t wait_ns = (uint64_t)(seconds * (lua_Number)NS_PER_SECOND);
  scope_push(fiber, scope, wait_ns ? timers_now(fiber->timers) + wait_ns : 0, shield);
  return 1;
}

static inline int fixture_cancel_scope(lua_State *L) {
  scope_cancel(luaL_checkudata(L, 1, "spec.scope"), luaL_optstring(L, 2, NULL));
  return 0;
}

/* cancel_me(reason) */
static inline int fixture_cancel_me(lua_State *L) {
  fiber_cancel(fiber_running(L), luaL_optstring(L, 1, NULL));
  return 0;
}

static inline int fixture_use_clock(lua_State *L) {
  fiber_running(L)->timers = &fixture_of(L)->clock;
  return 0;
}

static inline int fixture_open_libs(lua_State *L) {
  static const luaL_Reg functions[] = {{"trace", fixture_trace},
                                       {"park", fixture_park},
                                       {"scope", fixture_push_scope},
                                       {"cancel_scope", fixture_cancel_scope},
                                       {"cancel_me", fixture_cancel_me},
                                       {"use_clock", fixture_use_clock},
                                       {NULL, NULL}};
  libs_open(L);
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  luaL_newmetatable(L, "spec.scope");
  lua_pushcfunction(L, fixture_pop_scope);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, fixture_pop_scope);
  lua_setfield(L, -2, "__gc");
  if (luaL_dostring(L, fixture_prelude)) lua_error(L);
  lua_settop(L, 0);
  return 0;
}

/* ---- life ---- */

static inline void fixture_init_process(struct fixture *fixture, lua_CFunction open_libs) {
  fixture->log_fd = memfd_create("log", MFD_CLOEXEC);
  log_init(&fixture->log, fixture->log_fd, LOG_FORMAT_JSON, LOG_WARN);
  assert_int_equal(interrupt_install(), 0);
  directory_init(&fixture->directory);
  fixture->process = (struct process){.settings = &fixture->settings,
                                      .log = &fixture->log,
                                      .watchdog = &fixture->watchdog,
                                      .directory = &fixture->directory,
                                      .databases = sqlite_registry_create(&fixture->directory),
                                      .lua_dir = "lua",
                                      .open_libs = open_libs};
}

static inline struct fixture *fixture_start_with(lua_CFunction open_libs, uint64_t stall_warn_ms,
                                                 uint64_t stall_kill_ms) {
  struct fixture *fixture = memory_alloc_zero(sizeof *fixture);
  settings_init(&fixture->settings);
  fixture_init_process(fixture, open_libs);
  assert_int_equal(watchdog_start(&fixture->watchdog, stall_warn_ms, stall_kill_ms), 0);
  timers_init_manual(&fixture->clock, NS_PER_SECOND);
  fixture->role = (struct worker_role){.name = "spec", .stalls_matter = true};
  fixture->worker.role = &fixture->role;
  fixture->worker.role_data = fixture;
  fixture->worker.process = &fixture->process;
  assert_int_equal(worker_init(&fixture->worker), 0);
  return fixture;
}

static inline struct fixture *fixture_start(uint64_t stall_warn_ms, uint64_t stall_kill_ms) {
  return fixture_start_with(fixture_open_libs, stall_warn_ms, stall_kill_ms);
}

static inline void fixture_finish_worker(struct fixture *fixture) {
  if (!fixture->finished) worker_finish(&fixture->worker);
  fixture->finished = true;
}

static inline void fixture_stop(struct fixture *fixture) {
  fixture_finish_worker(fixture);
  timers_finish(&fixture->clock);
  watchdog_stop(&fixture->watchdog);
  sqlite_registry_destroy(fixture->process.databases);
  directory_finish(&fixture->directory);
  settings_finish(&fixture->settings);
  close(fixture->log_fd);
  free(fixture);
}

static inline int start_fixture(void **state) {
  *state = fixture_start(0, 0);
  return 0;
}

static inline int stop_fixture(void **state) {
  fixture_stop(*state);
  return 0;
}

/* What has been logged so far; the caller owns it. */
static inline char *read_log(const struct fixture *fixture) {
  off_t size = lseek(fixture->log_fd, 0, SEEK_END);
  char *text = memory_alloc_zero((size_t)size + 1);
  assert_int_equal(pread(fixture->log_fd, text, (size_t)size, 0), size);
  return text;
}

/* ---- running chunks ---- */

static inline int fixture_chunk_ended(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

static inline int fixture_run_chunk(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  if (luaL_loadbufferx(L, run->chunk, strlen(run->chunk), "=chunk", "t")) return lua_error(L);
  lua_callk(L, 0, 0, 0, fixture_chunk_ended);
  return 0;
}

static inline int fixture_run_failed(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct run *run = fiber->data;
  run->failed++;
  snprintf(run->error, sizeof run->error, "%s", luaL_tolstring(L, -1, NULL));
  if (fiber->traceback) run->traceback = strdup(fiber->traceback);
  return 0;
}

static inline void fixture_run_ended(struct fiber *fiber) {
  ((struct run *)fiber->data)->ended++;
}

static const struct fiber_kind fixture_kind = {fixture_run_chunk, fixture_run_failed,
                                               .ended = fixture_run_ended};

/* A fiber that will run the chunk; not started. */
static inline struct fiber *make_run(struct fixture *fixture, struct run *run, const char *chunk) {
  *run = (struct run){.chunk = chunk};
  run->fiber = fiber_create(&fixture->worker, &fixture_kind);
  assert_non_null(run->fiber);
  run->fiber->data = run;
  return run->fiber;
}

static inline struct fiber *start_run(struct fixture *fixture, struct run *run, const char *chunk) {
  fiber_start(make_run(fixture, run, chunk), 0);
  return run->fiber;
}

static inline void fixture_no_action(struct timer *timer) {
  (void)timer;
}

/* One turn, which waits TICK_MS at most. */
static inline void turn(struct fixture *fixture) {
  struct timers *timers = &fixture->worker.timers;
  timer_start(timers, &fixture->tick, timers_now(timers) + TICK_MS * NS_PER_MS, fixture_no_action);
  worker_turn(&fixture->worker);
  timer_stop(timers, &fixture->tick);
  timers_run(&fixture->clock);
}

#define turn_until(fixture, condition)                                                             \
  do {                                                                                             \
    uint64_t limit_ns = uv_hrtime() + LIMIT_MS * NS_PER_MS;                                        \
    while (!(condition)) {                                                                         \
      assert_true(uv_hrtime() < limit_ns);                                                         \
      turn(fixture);                                                                               \
    }                                                                                              \
  } while (0)

/* Runs until nothing is ready: everything waits or has ended. */
static inline void settle(struct fixture *fixture) {
  do turn(fixture);
  while (!list_is_empty(&fixture->worker.ready));
}

static inline void advance(struct fixture *fixture, uint64_t by_ns) {
  do {
    by_ns = timers_advance(&fixture->clock, by_ns);
    timers_run(&fixture->clock);
    settle(fixture);
  } while (by_ns > 0);
}

/* Moves the clock and fires what is due; no fiber runs. */
static inline void pass_time(struct fixture *fixture, uint64_t by_ns) {
  timers_advance(&fixture->clock, by_ns);
  timers_run(&fixture->clock);
}

static inline void expect_done(struct run *run) {
  if (run->failed) print_error("%s\n%s\n", run->error, run->traceback ? run->traceback : "");
  free(run->traceback);
  run->traceback = NULL;
  assert_int_equal(run->failed, 0);
  assert_int_equal(run->ended, 1);
}

static inline void expect_failed(struct run *run, const char *part) {
  free(run->traceback);
  run->traceback = NULL;
  assert_int_equal(run->failed, 1);
  assert_int_equal(run->ended, 1);
  if (!strstr(run->error, part)) fail_msg("no '%s' in '%s'", part, run->error);
}

/* Runs a chunk to its end, which is no error. */
static inline void expect_chunk(struct fixture *fixture, const char *chunk) {
  struct run run;
  start_run(fixture, &run, chunk);
  turn_until(fixture, run.ended);
  expect_done(&run);
}

/* Runs a chunk outside of any fiber, where nothing can wait. */
static inline void expect_outside(struct fixture *fixture, const char *chunk) {
  lua_State *L = fixture->worker.L;
  if (luaL_dostring(L, chunk)) fail_msg("%s", lua_tostring(L, -1));
  lua_settop(L, 0);
}

static inline void expect_trace(struct fixture *fixture, const char *text) {
  assert_string_equal(fixture->trace, text);
  fixture->trace[0] = '\0';
}

/* Bytes of the Lua state after a full collection. */
static inline size_t lua_bytes(struct fixture *fixture) {
  lua_gc(fixture->worker.L, LUA_GCCOLLECT);
  lua_gc(fixture->worker.L, LUA_GCCOLLECT);
  return fixture->worker.memory.used_bytes;
}

/* Runs a chunk twice: the second time it leaves no memory behind. */
static inline void expect_no_leak(struct fixture *fixture, const char *chunk) {
  expect_chunk(fixture, chunk);
  size_t before = lua_bytes(fixture);
  expect_chunk(fixture, chunk);
  assert_in_range(lua_bytes(fixture), 0, before + 4096);
}

#define fixture_test(name) cmocka_unit_test_setup_teardown(name, start_fixture, stop_fixture)

#endif
