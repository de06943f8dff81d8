/* task_registry_spec.c - tasks that can be found by their ids: while they live, and for a while.
 *
 * Ids are asked for in chunks; what is found is looked at by the number that the id begins with. */
#include "worker_fixture.h"

#include "base/limits.h"
#include "lib/task.h"
#include "lib/task_registry.h"

/* find(id) -> the task, or nil */
static int find(lua_State *L) {
  char digits[17];
  snprintf(digits, sizeof digits, "%s", luaL_checkstring(L, 1));
  task_registry_push(L, strtoull(digits, NULL, 16));
  return 1;
}

static void run_here(struct fixture *fixture, const char *chunk) {
  lua_register(fixture->worker.L, "find", find);
  expect_chunk(fixture, chunk);
}

static void finds_a_task_that_lives(void **state) {
  run_here(*state, "local task = spawn(sleep, 1000)\n"
                   "local id = task.id\n"
                   "eq(find(id), task)\n"
                   "eq(find('0000000000000001'), nil)\n"
                   "task:cancel()\n");
}

static void keeps_one_that_has_ended(void **state) {
  if (STRESS) skip(); /* it is kept for 20 ms */
  run_here(*state, "local id = spawn(function() return 7 end).id\n"
                   "checkpoint() checkpoint()\n"
                   "collectgarbage()\n"
                   "eq(find(id):wait(), 7)\n"
                   "local task = spawn(checkpoint)\n"
                   "task:wait()\n"
                   "eq(find(task.id), task)\n");
}

static void forgets_the_oldest_of_many(void **state) {
  char chunk[512];
  snprintf(chunk, sizeof chunk,
           "local ids = {}\n"
           "for i = 1, %d do\n"
           "  local task = spawn(function() end)\n"
           "  ids[i] = task.id\n"
           "  if i %% 1000 == 0 then task:wait() end\n"
           "end\n"
           "checkpoint() checkpoint()\n"
           "for i = 1, 10 do eq(find(ids[i]), nil) end\n"
           "eq(find(ids[11]) ~= nil, true)\n"
           "eq(find(ids[#ids]).status, 'done')\n",
           TASKS_KEPT_MAX + 10);
  if (STRESS) skip(); /* for which the first ones are forgotten in time */
  run_here(*state, chunk);
}

/* Waits until it is so: the time that it is kept for is short in the stress build only. */
static void forgets_one_in_time(void **state) {
  if (!STRESS) skip();
  run_here(*state, "local id = spawn(function() end).id\n"
                   "while find(id) do sleep(0.001) end\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(finds_a_task_that_lives),
      fixture_test(keeps_one_that_has_ended),
      fixture_test(forgets_the_oldest_of_many),
      fixture_test(forgets_one_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
