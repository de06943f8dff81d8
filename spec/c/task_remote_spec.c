/* task_remote_spec.c - waits for tasks of a worker that ends, and of one who ends while waiting.
 *
 * Two workers on one thread, so that the tests say who runs, and when. What a wait leaves behind
 * is for the sanitizer to find. */
#include "worker_fixture.h"

#include "lib/task_remote.h"

struct pair {
  struct fixture *asker;
  struct worker home; /* where the task is */
  bool has_ended;
};

/* handle(id) -> the task of another worker, as it has come here */
static int push_handle(lua_State *L) {
  unsigned long long id, worker;
  assert_int_equal(sscanf(luaL_checkstring(L, 1), "%16llx%llx", &id, &worker), 2);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "running");
  lua_setfield(L, -2, "status");
  task_remote_push(L, worker, id);
  return 1;
}

static void end_home(struct pair *pair) {
  if (!pair->has_ended) worker_finish(&pair->home);
  pair->has_ended = true;
}

static void turn_home(struct pair *pair) {
  struct timers *timers = &pair->home.timers;
  struct timer tick = {0};
  timer_start(timers, &tick, timers_now(timers) + TICK_MS * NS_PER_MS, fixture_no_action);
  worker_turn(&pair->home);
  timer_stop(timers, &tick);
}

/* A task that sleeps, in a worker of its own; its id is a global of the one who asks. */
static int start_pair(void **state) {
  struct pair *pair = memory_alloc_zero(sizeof *pair);
  struct run run;
  pair->asker = fixture_start(0, 0);
  pair->home = (struct worker){
      .role = &pair->asker->role, .role_data = pair->asker, .process = &pair->asker->process};
  assert_int_equal(worker_init(&pair->home), 0);
  run = (struct run){.chunk = "id = spawn(sleep, 1000).id"};
  run.fiber = fiber_create(&pair->home, &fixture_kind);
  run.fiber->data = &run;
  fiber_start(run.fiber, 0);
  while (!run.ended) turn_home(pair);
  expect_done(&run);
  lua_getglobal(pair->home.L, "id");
  lua_pushstring(pair->asker->worker.L, lua_tostring(pair->home.L, -1));
  lua_setglobal(pair->asker->worker.L, "id");
  lua_pop(pair->home.L, 1);
  lua_register(pair->asker->worker.L, "handle", push_handle);
  *state = pair;
  return 0;
}

static int stop_pair(void **state) {
  struct pair *pair = *state;
  end_home(pair);
  fixture_stop(pair->asker);
  free(pair);
  return 0;
}

static void expect_end(struct pair *pair, struct run *run) {
  turn_until(pair->asker, run->ended);
  expect_done(run);
}

static const char fails_to_wait[] =
    "local task = handle(id)\n"
    "fails('disconnected', 'the thread that the task lived on has ended', task.wait, task)\n"
    "eq(task.status, 'running')\n"
    "fails('disconnected', 'the thread', task.call, task)\n";

static void a_wait_that_has_not_arrived_is_disconnected(void **state) {
  struct pair *pair = *state;
  struct run run;
  start_run(pair->asker, &run, fails_to_wait);
  settle(pair->asker);
  end_home(pair);
  expect_end(pair, &run);
}

static void a_wait_that_has_begun_is_disconnected(void **state) {
  struct pair *pair = *state;
  struct run run;
  start_run(pair->asker, &run, fails_to_wait);
  settle(pair->asker);
  turn_home(pair);
  end_home(pair);
  expect_end(pair, &run);
}

static void a_wait_for_one_that_has_ended_is_disconnected(void **state) {
  struct pair *pair = *state;
  struct run run;
  end_home(pair);
  start_run(pair->asker, &run, fails_to_wait);
  expect_end(pair, &run);
}

/* Its fields are those that it came with. */
static void a_look_that_has_not_arrived_gives_what_is_known(void **state) {
  struct pair *pair = *state;
  struct run run;
  start_run(pair->asker, &run, "eq(handle(id).status, 'running')");
  settle(pair->asker);
  end_home(pair);
  expect_end(pair, &run);
}

/* The answer has nowhere to go while the box of the one who waited is still there. */
static void one_who_ends_keeps_its_wait_to_the_end(void **state) {
  struct pair *pair = *state;
  struct worker *asker = &pair->asker->worker;
  struct run run;
  start_run(pair->asker, &run, "local task = handle(id) task:wait()");
  settle(pair->asker);
  turn_home(pair);
  directory_remove(&pair->asker->directory, asker);
  worker_cancel_all(&pair->home, "the end");
  while (!list_is_empty(&pair->home.fibers)) turn_home(pair);
  assert_int_equal(run.ended, 0);
  fixture_finish_worker(pair->asker);
}

static void one_who_has_ended_is_answered_in_vain(void **state) {
  struct pair *pair = *state;
  struct run run;
  start_run(pair->asker, &run, "local task = handle(id) task:wait()");
  settle(pair->asker);
  fixture_finish_worker(pair->asker);
  turn_home(pair);
  end_home(pair);
  assert_int_equal(run.ended, 0);
}

#define spec(test) cmocka_unit_test_setup_teardown(test, start_pair, stop_pair)

int main(void) {
  const struct CMUnitTest tests[] = {
      spec(a_wait_that_has_not_arrived_is_disconnected),
      spec(a_wait_that_has_begun_is_disconnected),
      spec(a_wait_for_one_that_has_ended_is_disconnected),
      spec(a_look_that_has_not_arrived_gives_what_is_known),
      spec(one_who_ends_keeps_its_wait_to_the_end),
      spec(one_who_has_ended_is_answered_in_vain),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
