/* pool_fixture.h - an app with blocking functions in a temporary directory, its pools, and a
 * caller.
 *
 * The app is loaded into the caller's state as into the pools'. `count(n)` and `await(n, least)`
 * are how tests and pool threads know of each other: counters of the process, waited for in turns.
 * Included by one spec file each, so everything is static. */
#ifndef SPEC_POOL_FIXTURE_H
#define SPEC_POOL_FIXTURE_H

#include "worker_fixture.h"

#include "core/call.h"
#include "core/place.h"
#include "core/snapshot.h"
#include "roles/pool.h"

#include <stdatomic.h>
#include <sys/stat.h>

enum { COUNTERS = 8 };

/* Counters: the app's loads, calls begun, calls ended, closers run; the gate that calls wait for.
 */
enum { LOADS, BEGUN, ENDED, CLOSED, GATE };

static _Atomic(int) counters[COUNTERS];

static const char pool_app[] =
    "local perilune = require 'perilune'\n"
    "local async = require 'perilune.async'\n"
    "LOADS, BEGUN, ENDED, CLOSED, GATE = 0, 1, 2, 3, 4\n"
    "count(LOADS)\n"
    "if fail_load then fail_load() end\n"
    "local blocking = perilune.blocking\n"
    "local function closer() return setmetatable({}, { __close = function() count(CLOSED) end }) "
    "end\n"
    "echo = blocking(function(...) return ... end)\n"
    "add = blocking(function(a, b) return a + b end)\n"
    "raise = blocking(function(err) error(err, 0) end)\n"
    "raise_here = blocking(function(text)\n"
    "  error(text)\n"
    "end)\n"
    "sum_up = blocking(function(list) local s = 0 for _, n in ipairs(list) do s = s + n end\n"
    "  return s end)\n"
    "run = blocking(function(text, ...) return assert(load(text))(...) end)\n"
    "run_video = blocking({ pool = 'video' }, function(text) return assert(load(text))() end)\n"
    "run_in_a = blocking({ pool = 'a' }, function(...) return run_text(...) end)\n"
    "run_in_b = blocking({ pool = 'b' }, function(...) return run_text(...) end)\n"
    "run_in_c = blocking({ pool = 'c' }, function(...) return run_text(...) end)\n"
    "function run_text(text, ...) return assert(load(text))(...) end\n"
    "nowhere = blocking({ pool = 'nowhere' }, function() end)\n"
    "outer = blocking(function(a) return 'outer', add(a, 1) end)\n"
    "gated = blocking(function(...) count(BEGUN) await(GATE, 1) count(ENDED) return ... end)\n"
    "waits = blocking(function()\n"
    "  local c <close> = closer() count(BEGUN) async.sleep(1000) count(ENDED) end)\n"
    "swallows = blocking(function()\n"
    "  local c <close> = closer() count(BEGUN)\n"
    "  for _ = 1, 3 do pcall(async.sleep, 1000) end async.sleep(0) count(ENDED) end)\n"
    "computes = blocking(function()\n"
    "  local c <close> = closer() count(BEGUN) while true do end end)\n"
    "insists = blocking(function()\n"
    "  local c <close> = closer() count(BEGUN)\n"
    "  while true do pcall(function() while true do end end) end end)\n"
    "local function hold_in_c()\n"
    "  hold(GATE, 1)\n"
    "  count(ENDED)\n"
    "  return 'held'\n"
    "end\n"
    "holds = blocking(function()\n"
    "  global = 'kept' count(BEGUN) local held = hold_in_c() return held end)\n"
    "spawns = blocking(function()\n"
    "  for i = 1, 3 do async.spawn(function()\n"
    "    local c <close> = closer() count(BEGUN) async.sleep(1000) count(ENDED) end) end\n"
    "  async.checkpoint() return 'spawned' end)\n"
    "return perilune.app { name = 'pool' }\n";

struct site {
  char dir[64];
  struct fixture *fixture;
  struct snapshot *snapshot;
  struct pools *pools;
};

/* count(n): adds one to a counter of the process */
static inline int pool_count(lua_State *L) {
  atomic_fetch_add(&counters[luaL_checkinteger(L, 1)], 1);
  return 0;
}

static inline int pool_counter(lua_State *L) {
  lua_pushinteger(L, atomic_load(&counters[luaL_checkinteger(L, 1)]));
  return 1;
}

static inline int pool_await(lua_State *L);

static inline int pool_waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return pool_await(L);
}

/* await(n, least): lets others run until the counter has reached it */
static inline int pool_await(lua_State *L) {
  if (atomic_load(&counters[luaL_checkinteger(L, 1)]) >= luaL_checkinteger(L, 2)) return 0;
  struct fiber *fiber = fiber_begin_wait(L, "await");
  uint64_t due_ns = timers_now(fiber->timers) + NS_PER_MS;
  return fiber_park_until(L, fiber, "await", due_ns, 0, pool_waited);
}

/* hold(n, least): as await, but stuck in C */
static inline int pool_hold(lua_State *L) {
  while (atomic_load(&counters[luaL_checkinteger(L, 1)]) < luaL_checkinteger(L, 2)) usleep(1000);
  return 0;
}

static inline int pool_open_libs(lua_State *L) {
  fixture_open_libs(L);
  lua_register(L, "count", pool_count);
  lua_register(L, "counter", pool_counter);
  lua_register(L, "await", pool_await);
  lua_register(L, "hold", pool_hold);
  return 0;
}

static inline void write_app(struct site *site, const char *text) {
  char path[128];
  snprintf(site->dir, sizeof site->dir, "/tmp/perilune-pool-XXXXXX");
  assert_non_null(mkdtemp(site->dir));
  snprintf(path, sizeof path, "%s/app.lua", site->dir);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static inline void remove_app(struct site *site) {
  char path[128];
  snprintf(path, sizeof path, "%s/app.lua", site->dir);
  remove(path);
  rmdir(site->dir);
}

/* Loads the app into a caller's state. */
static inline void load_app_into(struct fixture *fixture, struct site *site) {
  fixture->worker.snapshot = site->snapshot;
  place_begin_load(fixture->worker.L, pools_host(site->pools));
  expect_chunk(fixture, "require 'perilune.load'()");
  place_end_load(fixture->worker.L);
}

static inline struct site *start_pools(int threads_max, int calls_max) {
  struct site *site = memory_alloc_zero(sizeof *site);
  for (int i = 0; i < COUNTERS; i++) atomic_store(&counters[i], 0);
  write_app(site, pool_app);
  site->fixture = fixture_start_with(pool_open_libs, 0, 0);
  site->fixture->settings.pool_threads = threads_max;
  site->fixture->settings.pool_calls_max = calls_max;
  site->fixture->settings.pool_idle_ms = 30000;
  site->snapshot = snapshot_create(site->dir);
  site->pools = pools_create(&site->fixture->process, site->snapshot);
  load_app_into(site->fixture, site);
  return site;
}

static inline void destroy_pools(struct site *site) {
  pools_destroy(site->pools);
  site->pools = NULL;
}

/* Whichever of the caller and the pools ends first, nothing may be left. */
static inline int stop_site(void **state) {
  struct site *site = *state;
  destroy_pools(site);
  fixture_stop(site->fixture);
  snapshot_destroy(site->snapshot);
  remove_app(site);
  free(site);
  return 0;
}

static inline int start_site(void **state) {
  *state = start_pools(3, 100);
  return 0;
}

/* One thread, and room for two calls that wait. */
static inline int start_narrow_site(void **state) {
  *state = start_pools(1, 2);
  return 0;
}

static inline void expect_call(struct site *site, const char *chunk) {
  expect_chunk(site->fixture, chunk);
}

static inline int counted(int counter) {
  return atomic_load(&counters[counter]);
}

#define turn_until_counted(site, counter, least)                                                   \
  turn_until((site)->fixture, counted(counter) >= (least))

#define site_test(name)   cmocka_unit_test_setup_teardown(name, start_site, stop_site)
#define narrow_test(name) cmocka_unit_test_setup_teardown(name, start_narrow_site, stop_site)

#endif
