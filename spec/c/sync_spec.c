/* sync_spec.c - what semaphore, mutex, event and channel have in common, and what they refuse.
 *
 * How they say that they were misused, what they call themselves, that none crosses to another Lua
 * state, and that operations which need not wait take turns. */
#include "worker_fixture.h"

#include "base/limits.h"
#include "core/transfer.h"

static void say_use_a_colon(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(
      fixture,
      "local objects = {\n"
      "  semaphore = semaphore(1), mutex = mutex(), event = event(), channel = channel(),\n"
      "  guard = mutex():lock() }\n"
      "local methods = {\n"
      "  semaphore = { 'acquire', 'release', 'with' }, mutex = { 'lock' },\n"
      "  event = { 'set', 'clear', 'is_set', 'wait' }, guard = { 'unlock' },\n"
      "  channel = { 'send', 'receive', 'close', 'each' } }\n"
      "for class, names in pairs(methods) do\n"
      "  for _, name in ipairs(names) do\n"
      "    local said = ('%s.%s was called without its %s: use a colon (%s:%s)'):format(\n"
      "      class, name, class, class, name)\n"
      "    local method = objects[class][name]\n"
      "    fails('misuse', said, method) fails('misuse', said, method, 5)\n"
      "    fails('misuse', said, method, {}) fails('misuse', said, method, io.stdout)\n"
      "    fails('misuse', said, method, class == 'event' and mutex() or event())\n"
      "    has(select(2, pcall(function() method(nil) end)), 'chunk:')\n"
      "  end\n"
      "end\n");
}

static void check_their_arguments(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture,
               "fails('misuse', '(number expected, got no value)', semaphore)\n"
               "fails('misuse', 'a whole number from 0 to 1000000000 expected, got -1',\n"
               "  semaphore, -1)\n"
               "fails('misuse', 'expected, got 1000000001', semaphore, 1000000001)\n"
               "fails('misuse', 'number has no integer representation', semaphore, 1.5)\n"
               "fails('misuse', '(number expected, got table)', channel, {})\n"
               "fails('misuse', 'a whole number from 0 to 10000000 expected, got 10000001',\n"
               "  channel, 10000001)\n"
               "fails('misuse', 'expected, got -1', channel, -1)\n"
               "local s, e, c = semaphore(1), event(), channel(1)\n"
               "fails('misuse', '(function expected, got no value)', s.with, s)\n"
               "fails('misuse', '(number expected, got string)', e.wait, e, 'soon')\n"
               "fails('misuse', 'a number of seconds expected, got nan', e.wait, e, 0 / 0)\n"
               "fails('misuse', '(number expected, got table)', c.receive, c, {})\n"
               "fails('misuse', 'nil cannot be sent', c.send, c, nil)\n"
               "fails('misuse', 'nil cannot be sent', c.send, c)\n"
               "eq(tostring(s), 'semaphore: 1 free') eq(tostring(c), 'channel: 0 of 1')\n");
}

static void name_themselves_and_have_no_fields(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(fixture, "for name, object in pairs { semaphore = semaphore(1), mutex = mutex(),\n"
                        "    event = event(), channel = channel(), guard = mutex():lock() } do\n"
                        "  eq(getmetatable(object).__name, 'perilune.' .. name)\n"
                        "  has(tostring(object), name .. ': ')\n"
                        "  eq(object.capacity, nil) eq(object.__gc, nil)\n"
                        "  eq(pcall(function() return #object end), false)\n"
                        "  eq(pcall(function() object.field = 1 end), false)\n"
                        "end\n");
}

/* Upvalue 1: a buffer. */
static int send_to_another_state(lua_State *L) {
  transfer_encode(L, 1, 1, "argument", lua_touserdata(L, lua_upvalueindex(1)));
  return 0;
}

static void do_not_cross_to_another_state(void **state) {
  struct fixture *fixture = *state;
  struct buffer out = {0};
  lua_pushlightuserdata(fixture->worker.L, &out);
  lua_pushcclosure(fixture->worker.L, send_to_another_state, 1);
  lua_setglobal(fixture->worker.L, "cross");
  expect_chunk(
      fixture,
      "for _, object in ipairs { semaphore(1), mutex(), event(), channel() } do\n"
      "  fails('transfer', '(userdata) cannot be sent to another Lua state', cross, object)\n"
      "end\n");
  buffer_finish(&out);
}

/* The other fiber has its turn when OPERATIONS_MAX of them are done. */
static void let_others_run_between_operations(void **state) {
  struct fixture *fixture = *state;
  static const char *const operations[] = {
      "channel(1):send(1)",     "closed:receive()", "closed:each()()", "s:acquire()",
      "s:with(function() end)", "mutex():lock()",   "set:wait()",      "pcall(set.wait, set, 1)",
  };
  expect_outside(fixture, "closed, set, s = channel(), event(), semaphore(1000000)\n"
                          "closed:close() set:set()");
  for (size_t i = 0; i < array_len(operations); i++) {
    char chunk[256];
    struct run busy, other;
    snprintf(chunk, sizeof chunk, "over, n = false, 0 while not over do %s n = n + 1 end",
             operations[i]);
    start_run(fixture, &busy, chunk);
    start_run(fixture, &other, "over = true");
    turn(fixture);
    expect_done(&other);
    expect_done(&busy);
    snprintf(chunk, sizeof chunk, "eq(n, %d)", OPERATIONS_MAX + 1);
    expect_outside(fixture, chunk);
  }
}

/* Where code can wait, and in a callback of C, where it cannot. */
static void raise_at_once_in_a_cancelled_scope(void **state) {
  struct fixture *fixture = *state;
  expect_chunk(
      fixture,
      "local closed, set, s, m, c = channel(), event(), semaphore(1), mutex(), channel(1)\n"
      "closed:close() set:set()\n"
      "local function here(fn, ...) return fn(...) end\n"
      "local function in_c(...)\n"
      "  local call = table.pack(...)\n"
      "  string.gsub('x', 'x', function() call[1](table.unpack(call, 2)) end)\n"
      "end\n"
      "local function try(...) fails('cancelled', 'cancelled: spec', ...) end\n"
      "do\n"
      "  local x <close> = scope() cancel_scope(x, 'spec')\n"
      "  for _, run in ipairs { here, in_c } do\n"
      "    try(run, c.send, c, 1) try(run, closed.receive, closed) try(run, closed:each())\n"
      "    try(run, s.acquire, s) try(run, s.with, s, print)\n"
      "    try(run, m.lock, m) try(run, set.wait, set)\n"
      "  end\n"
      "  s:release() c:close() set:clear()\n"
      "end\n"
      "eq(tostring(s), 'semaphore: 2 free') eq(tostring(m), 'mutex: free')\n"
      "eq(tostring(c), 'channel: 0 of 1, closed') eq(set:is_set(), false)\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      fixture_test(say_use_a_colon),
      fixture_test(check_their_arguments),
      fixture_test(name_themselves_and_have_no_fields),
      fixture_test(do_not_cross_to_another_state),
      fixture_test(let_others_run_between_operations),
      fixture_test(raise_at_once_in_a_cancelled_scope),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
