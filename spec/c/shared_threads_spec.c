/* shared_threads_spec.c - a shared table used by many threads at once; and what waits at its gates.
 *
 * Counts that must come out tell whether something was lost; under ThreadSanitizer the rest is
 * looked at too. The second half runs Lua in fibers, while a gate is kept closed from here. */
#include "worker_fixture.h"

#include "core/snapshot.h"
#include "lib/shared_store.h"
#include "lib/shared_walk.h"

enum { THREADS = 6, ROUNDS = 5000, KEYS = 50 };

struct bench {
  struct shared_budget budget;
  struct shared_table *table;
  _Atomic(uint64_t) now_ns;
  _Atomic(int) next_index;
  _Atomic(int) swaps;
};

static void run_threads(struct bench *bench, const struct shared_options *options,
                        uv_thread_cb body) {
  uv_thread_t threads[THREADS];
  bench->budget.bytes_max = 1 << 20;
  bench->table = shared_table_create("spec", options, &bench->budget);
  for (int i = 0; i < THREADS; i++) assert_int_equal(uv_thread_create(&threads[i], body, bench), 0);
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
}

static struct shared_call call_for(struct bench *bench, int64_t key) {
  return (struct shared_call){.table = bench->table,
                              .key = shared_table_key(bench->table, NULL, 0, key),
                              .now_ns = atomic_fetch_add(&bench->now_ns, 1),
                              .waits = true};
}

static struct shared_value integer(int64_t number) {
  return (struct shared_value){.type = SHARED_INTEGER, .integer = number};
}

static void add_to_all(void *context) {
  struct bench *bench = context;
  for (int i = 0; i < ROUNDS; i++) {
    struct shared_call call = call_for(bench, i % KEYS);
    struct shared_value by = integer(1);
    if (shared_table_add(&call, &by, 0) != SHARED_DONE) abort();
  }
}

static void loses_no_addition(void **state) {
  (void)state;
  struct bench bench = {.now_ns = 0};
  run_threads(&bench, &(struct shared_options){0}, add_to_all);
  int64_t sum = 0;
  for (int i = 0; i < KEYS; i++) {
    struct shared_call call = call_for(&bench, i);
    struct shared_found found;
    assert_int_equal(shared_table_get(&call, &found), SHARED_DONE);
    sum += found.value.integer;
  }
  assert_int_equal(sum, THREADS * ROUNDS);
  shared_table_destroy_all(&bench.budget);
}

static void swap_one(void *context) {
  struct bench *bench = context;
  for (int i = 0; i < ROUNDS; i++) {
    struct shared_call call = call_for(bench, 1);
    struct shared_found found;
    if (shared_table_get(&call, &found) != SHARED_DONE) abort();
    int64_t before = found.version > 0 ? found.value.integer : 0;
    const struct shared_put what = {
        .value = integer(before + 1), .when = SHARED_IF_VERSION, .version = found.version};
    if (shared_table_put(&call, &what) == SHARED_DONE) atomic_fetch_add(&bench->swaps, 1);
  }
}

static void swaps_only_what_nobody_has_changed(void **state) {
  (void)state;
  struct bench bench = {.now_ns = 0};
  run_threads(&bench, &(struct shared_options){0}, swap_one);
  struct shared_call call = call_for(&bench, 1);
  struct shared_found found;
  assert_int_equal(shared_table_get(&call, &found), SHARED_DONE);
  assert_int_equal(found.value.integer, atomic_load(&bench.swaps));
  assert_in_range(atomic_load(&bench.swaps), ROUNDS, THREADS * ROUNDS);
  shared_table_destroy_all(&bench.budget);
}

/* Everything at once: strings of many lengths that come, go, expire and are evicted. */
static void hammer(void *context) {
  struct bench *bench = context;
  unsigned seed = (unsigned)atomic_fetch_add(&bench->next_index, 1);
  char bytes[1000] = {0};
  for (int i = 0; i < ROUNDS; i++) {
    int what = rand_r(&seed) % 10;
    struct shared_call call = call_for(bench, rand_r(&seed) % (KEYS * 20));
    if (what < 5) {
      size_t len = (size_t)(rand_r(&seed) % (int)sizeof bytes);
      struct shared_put put = {
          .value = {.type = SHARED_STRING, .blob = blob_create(bytes, len)},
          .due_ns = what < 2 ? 0 : call.now_ns + (uint64_t)(rand_r(&seed) % 5000) + 1};
      if (shared_table_put(&call, &put) != SHARED_DONE) shared_value_release(&put.value);
    } else if (what < 8) {
      struct shared_found found;
      if (shared_table_get(&call, &found) != SHARED_DONE) abort();
      shared_value_release(&found.value);
    } else if (what == 8) {
      const struct shared_put nothing = {.when = SHARED_ALWAYS};
      if (shared_table_put(&call, &nothing) != SHARED_DONE) abort();
    } else if (i % 50 == 0) {
      struct shared_walk walk = {0};
      if (shared_walk_on(&call, &walk) != SHARED_DONE) abort();
      shared_walk_finish(&walk);
    }
  }
}

static void expect_empty_after(struct bench *bench) {
  for (int i = 0; i < KEYS * 20; i++) {
    struct shared_call call = call_for(bench, i);
    const struct shared_put nothing = {.when = SHARED_ALWAYS};
    assert_int_equal(shared_table_put(&call, &nothing), SHARED_DONE);
  }
  assert_int_equal(shared_table_used_bytes(bench->table), 0);
  assert_int_equal(atomic_load(&bench->budget.used_bytes), 0);
  shared_table_destroy_all(&bench->budget);
}

static void stays_whole_under_all_operations(void **state) {
  (void)state;
  struct bench bench = {.now_ns = 0};
  run_threads(&bench, &(struct shared_options){0}, hammer);
  expect_empty_after(&bench);
}

static void stays_whole_while_it_evicts(void **state) {
  (void)state;
  struct bench bench = {.now_ns = 0};
  run_threads(&bench, &(struct shared_options){.bytes_max = 50000, .evicts = true}, hammer);
  assert_in_range(shared_table_used_bytes(bench.table), 0, 50000);
  expect_empty_after(&bench);
}

static void stays_whole_when_it_is_full(void **state) {
  (void)state;
  struct bench bench = {.now_ns = 0};
  run_threads(&bench, &(struct shared_options){.bytes_max = 50000}, hammer);
  assert_in_range(shared_table_used_bytes(bench.table), 0, 50000);
  expect_empty_after(&bench);
}

/* ---- fibers at a closed gate ---- */

struct site {
  struct fixture *fixture;
  struct snapshot *snapshot;
  struct shared_table *table;
};

static int start_site(void **state) {
  struct site *site = memory_alloc_zero(sizeof *site);
  site->fixture = fixture_start(0, 0);
  site->snapshot = snapshot_create("/tmp");
  site->fixture->worker.snapshot = site->snapshot;
  expect_chunk(site->fixture, "t = require 'perilune.shared' 'x'");
  enum shared_store_problem problem;
  site->table = shared_store_find(shared_store_of(&site->fixture->worker), "x", NULL, &problem);
  assert_non_null(site->table);
  *state = site;
  return 0;
}

static int stop_site(void **state) {
  struct site *site = *state;
  fixture_stop(site->fixture);
  snapshot_destroy(site->snapshot);
  free(site);
  return 0;
}

static void close_gates(struct site *site) {
  for (uint32_t i = 0; shared_table_shard(site->table, i); i++)
    assert_true(gate_try(&shared_table_shard(site->table, i)->gate));
}

static void open_gates(struct site *site) {
  for (uint32_t i = 0; shared_table_shard(site->table, i); i++)
    gate_leave(&shared_table_shard(site->table, i)->gate);
}

static void open_gates_later(void *context) {
  uv_sleep(20);
  open_gates(context);
}

static void lets_the_loop_go_on_while_a_gate_is_closed(void **state) {
  static const char *const chunks[] = {
      "eq(t:get 'a', 1)",
      "t:set('b', {1})",
      "eq(t:incr 'c', 1)",
      "eq(t:add('d', 1), true)",
      "t:delete 'e'",
      "eq(t:update('f', function(v) return (v or 0) + 1 end), 1)",
      "eq(#t:keys() > 0, true)",
      "eq(t:ttl 'a', nil)",
      "eq(t:wait('a', 30, 2), 1)",
      "fails('timeout', 'in time', t.wait, t, 'nothing', 0.001)",
  };
  struct site *site = *state;
  struct run runs[array_len(chunks)], other;
  expect_chunk(site->fixture, "t:set('a', 1)");
  close_gates(site);
  for (size_t i = 0; i < array_len(chunks); i++) start_run(site->fixture, &runs[i], chunks[i]);
  settle(site->fixture);
  for (size_t i = 0; i < array_len(chunks); i++) assert_int_equal(runs[i].ended, 0);
  start_run(site->fixture, &other, "sleep(0.001)");
  turn_until(site->fixture, other.ended);
  expect_done(&other);
  open_gates(site);
  for (size_t i = 0; i < array_len(chunks); i++) {
    turn_until(site->fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  expect_chunk(site->fixture, "eq(t:get('b')[1], 1) eq(t:get 'f', 1)");
}

/* What a closer does must be done, cancelled or not, closed gate or not. */
static void does_what_it_is_to_do_when_cancelled(void **state) {
  struct site *site = *state;
  struct run run;
  start_run(site->fixture, &run, "t:incr 'a'");
  close_gates(site);
  settle(site->fixture);
  uv_thread_t thread;
  fiber_cancel(run.fiber, "enough"); /* from now on it waits with its thread */
  assert_int_equal(uv_thread_create(&thread, open_gates_later, site), 0);
  turn_until(site->fixture, run.ended);
  uv_thread_join(&thread);
  expect_done(&run);
  expect_chunk(site->fixture, "eq(t:get 'a', 1)");
}

static void forgets_who_does_not_wait_any_more(void **state) {
  struct site *site = *state;
  struct run run;
  expect_chunk(site->fixture, "for _ = 1, 100 do pcall(t.wait, t, 'a', 0) end");
  start_run(site->fixture, &run, "t:wait 'a'");
  settle(site->fixture);
  close_gates(site);
  fiber_cancel(run.fiber, "enough"); /* while the gate is closed: it leaves a note */
  turn_until(site->fixture, run.ended);
  expect_failed(&run, "cancelled: enough");
  open_gates(site);
  uint32_t count = 0;
  for (uint32_t i = 0; shared_table_shard(site->table, i); i++)
    count += shared_table_shard(site->table, i)->entry_count;
  assert_int_equal(count, 0);
}

/* A state that ends while it waits: whoever changes the value later wakes nobody. */
static void survives_the_end_of_who_waits(void **state) {
  struct site *site = *state;
  struct run run;
  start_run(site->fixture, &run, "t:wait 'a'");
  settle(site->fixture);
  struct shared_store *store = shared_store_retain(shared_store_of(&site->fixture->worker));
  fixture_finish_worker(site->fixture);
  struct shared_call call = {
      .table = site->table, .key = shared_table_key(site->table, "a", 1, 0), .waits = true};
  const struct shared_put what = {.value = integer(1)};
  assert_int_equal(shared_table_put(&call, &what), SHARED_DONE);
  shared_store_release(store);
}

#define site_test(name) cmocka_unit_test_setup_teardown(name, start_site, stop_site)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loses_no_addition),
      cmocka_unit_test(swaps_only_what_nobody_has_changed),
      cmocka_unit_test(stays_whole_under_all_operations),
      cmocka_unit_test(stays_whole_while_it_evicts),
      cmocka_unit_test(stays_whole_when_it_is_full),
      site_test(lets_the_loop_go_on_while_a_gate_is_closed),
      site_test(does_what_it_is_to_do_when_cancelled),
      site_test(forgets_who_does_not_wait_any_more),
      site_test(survives_the_end_of_who_waits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
