/* offload_spec.c - code on libuv's threads while fibers wait: ends, cancellation, letting go.
 *
 * The code of a job waits for a byte in a pipe, so that a spec decides when it ends. */
#include "worker_fixture.h"

#include "core/offload.h"

#include <stdatomic.h>

struct job {
  struct offload offload;
  int gate[2];
  _Atomic(int) runs;
  int *destroyed;
};

static void run_job(struct offload *offload) {
  struct job *job = container_of(offload, struct job, offload);
  char byte;
  assert_int_equal(read(job->gate[0], &byte, 1), 1);
  atomic_fetch_add(&job->runs, 1);
}

static void destroy_job(struct offload *offload) {
  struct job *job = container_of(offload, struct job, offload);
  ++*job->destroyed;
  close(job->gate[0]);
  close(job->gate[1]);
  free(job);
}

static struct job *make_job(struct fixture *fixture, int *destroyed) {
  struct job *job = memory_alloc_zero(sizeof *job);
  assert_int_equal(pipe(job->gate), 0);
  job->destroyed = destroyed;
  offload_init(&job->offload, run_job, destroy_job);
  lua_pushlightuserdata(fixture->worker.L, job);
  lua_setglobal(fixture->worker.L, "job");
  return job;
}

static void open_gate(struct job *job) {
  assert_int_equal(write(job->gate[1], "x", 1), 1);
}

static int waited(lua_State *L, int status, lua_KContext context) {
  struct job *job = (struct job *)context;
  (void)status;
  fiber_check_cancelled(L);
  assert_false(job->offload.running);
  lua_pushinteger(L, atomic_load(&job->runs));
  return 1;
}

/* work(job) -> how often its code has run; starts it unless it runs */
static int work(lua_State *L) {
  struct job *job = lua_touserdata(L, 1);
  struct fiber *fiber = fiber_begin_wait(L, "work");
  if (!job->offload.running) offload_start(&job->offload, worker_of(L));
  if (!job->offload.running) return waited(L, LUA_OK, (lua_KContext)job);
  return offload_wait(L, fiber, &job->offload, "work", (lua_KContext)job, waited);
}

static int open_libs(lua_State *L) {
  fixture_open_libs(L);
  lua_register(L, "work", work);
  return 0;
}

static int start_with_work(void **state) {
  *state = fixture_start_with(open_libs, 0, 0);
  return 0;
}

#define offload_test(name) cmocka_unit_test_setup_teardown(name, start_with_work, stop_fixture)

static void lets_others_run_meanwhile(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  start_run(fixture, &run, "eq(work(job), 1) trace 'worked'");
  expect_chunk(fixture, "trace 'other '");
  assert_int_equal(run.ended, 0);
  open_gate(job);
  turn_until(fixture, run.ended);
  expect_done(&run);
  expect_trace(fixture, "other worked");
  offload_drop(&job->offload);
  assert_int_equal(destroyed, 1);
}

static void can_run_again(void **state) {
  struct fixture *fixture = *state;
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  for (int i = 0; i < 3; i++) open_gate(job);
  expect_chunk(fixture, "for i = 1, 3 do eq(work(job), i) end");
  offload_drop(&job->offload);
  assert_int_equal(destroyed, 1);
}

static void wakes_all_that_wait(void **state) {
  struct fixture *fixture = *state;
  struct run runs[3];
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  for (int i = 0; i < 3; i++) start_run(fixture, &runs[i], "eq(work(job), 1)");
  settle(fixture);
  open_gate(job);
  for (int i = 0; i < 3; i++) {
    turn_until(fixture, runs[i].ended);
    expect_done(&runs[i]);
  }
  offload_drop(&job->offload);
}

static void goes_on_when_a_waiter_is_cancelled(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  struct fiber *fiber = start_run(fixture, &run, "work(job)");
  settle(fixture);
  fiber_cancel(fiber, "spec");
  turn_until(fixture, run.ended);
  expect_failed(&run, "spec");
  assert_true(job->offload.running);
  open_gate(job);
  turn_until(fixture, !job->offload.running);
  assert_int_equal(atomic_load(&job->runs), 1);
  offload_drop(&job->offload);
}

static void is_destroyed_when_its_code_has_ended(void **state) {
  struct fixture *fixture = *state;
  struct run run;
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  struct fiber *fiber = start_run(fixture, &run, "work(job)");
  settle(fixture);
  fiber_cancel(fiber, "spec");
  turn_until(fixture, run.ended);
  expect_failed(&run, "spec");
  offload_drop(&job->offload);
  settle(fixture);
  assert_int_equal(destroyed, 0);
  open_gate(job);
  turn_until(fixture, destroyed == 1);
  offload_drop(NULL);
}

static void ends_with_its_worker(void **state) {
  struct fixture *fixture = *state;
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  offload_start(&job->offload, &fixture->worker);
  offload_drop(&job->offload);
  open_gate(job);
  fixture_finish_worker(fixture);
  assert_int_equal(destroyed, 1);
}

static void runs_inline_in_a_pool_worker(void **state) {
  struct fixture *fixture = *state;
  int destroyed = 0;
  struct job *job = make_job(fixture, &destroyed);
  fixture->role.runs_blocking = true;
  open_gate(job);
  expect_chunk(fixture, "eq(work(job), 1)");
  offload_drop(&job->offload);
  assert_int_equal(destroyed, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      offload_test(lets_others_run_meanwhile),
      offload_test(can_run_again),
      offload_test(wakes_all_that_wait),
      offload_test(goes_on_when_a_waiter_is_cancelled),
      offload_test(is_destroyed_when_its_code_has_ended),
      offload_test(ends_with_its_worker),
      offload_test(runs_inline_in_a_pool_worker),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
