/* client_spec.c - perilune.http in fibers of a real worker, against a blocking server in threads.
 *
 * Each test has a worker and a server of its own. Most run one Lua chunk in a fiber; what fails in
 * it fails the test. Teardown checks that nothing of curl is left: the loop closes, the server's
 * threads see their clients leave. */
#include "core/directory.h"
#include "core/fiber.h"
#include "core/watchdog.h"
#include "core/worker.h"
#include "lib/client.h"

#include "base/log.h"
#include "base/settings.h"
#include "core/error.h"
#include "core/interrupt.h"

#include "client_server.h"

#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TICK_MS = 2, LIMIT_MS = 20000 };

struct site {
  struct settings settings;
  struct log log;
  struct watchdog watchdog;
  struct directory directory;
  struct process process;
  struct worker worker;
  struct server server;
  struct timer tick;
  bool finished;
};

struct run {
  const char *chunk;
  bool done;
  bool failed;
};

static const char prelude[] =
    "function eq(a, b) if a ~= b then error(tostring(a) .. ' ~= ' .. tostring(b), 2) end end\n"
    "function has(text, part) if not text:find(part, 1, true) then\n"
    "  error('no ' .. part .. ' in ' .. text, 2) end end\n"
    "function lacks(text, part) if text:lower():find(part:lower(), 1, true) then\n"
    "  error(part .. ' in ' .. text, 2) end end\n"
    "function fails(kind, part, fn, ...) local ok, err = pcall(fn, ...)\n"
    "  if ok then error('did not fail', 2) end\n"
    "  eq(type(err) == 'table' and err.kind or 'misuse', kind)\n"
    "  has(tostring(err), part) return err end\n";

static int open_libs(lua_State *L) {
  luaL_requiref(L, "perilune.http", client_open, 0);
  lua_setglobal(L, "http");
  if (luaL_dostring(L, prelude)) lua_error(L);
  return 0;
}

static const struct worker_role spec_role = {.name = "spec"};

static int start_site(void **state) {
  struct site *site = memory_alloc_zero(sizeof *site);
  settings_init(&site->settings);
  log_init(&site->log, STDERR_FILENO, LOG_FORMAT_TEXT, LOG_WARN);
  assert_int_equal(interrupt_install(), 0);
  assert_int_equal(watchdog_start(&site->watchdog, 0, 0), 0);
  directory_init(&site->directory);
  site->process = (struct process){.settings = &site->settings,
                                   .log = &site->log,
                                   .watchdog = &site->watchdog,
                                   .directory = &site->directory,
                                   .lua_dir = ".",
                                   .open_libs = open_libs};
  site->worker.role = &spec_role;
  site->worker.process = &site->process;
  assert_int_equal(worker_init(&site->worker), 0);
  server_start(&site->server);
  lua_pushfstring(site->worker.L, "http://127.0.0.1:%d", site->server.port);
  lua_setglobal(site->worker.L, "base");
  *state = site;
  return 0;
}

static void finish_worker(struct site *site) {
  if (!site->finished) worker_finish(&site->worker);
  site->finished = true;
}

static int stop_site(void **state) {
  struct site *site = *state;
  finish_worker(site);
  server_stop(&site->server);
  watchdog_stop(&site->watchdog);
  directory_finish(&site->directory);
  settings_finish(&site->settings);
  free(site);
  return 0;
}

/* ---- running chunks ---- */

static int chunk_ended(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}

static int run_chunk(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  if (luaL_loadbufferx(L, run->chunk, strlen(run->chunk), "=chunk", "t")) return lua_error(L);
  lua_callk(L, 0, 0, 0, chunk_ended);
  return 0;
}

static int run_failed(lua_State *L) {
  struct fiber *fiber = fiber_running(L);
  struct run *run = fiber->data;
  run->failed = true;
  print_error("%s\n%s\n", luaL_tolstring(L, 1, NULL), fiber->traceback);
  return 0;
}

static void run_ended(struct fiber *fiber) {
  ((struct run *)fiber->data)->done = true;
}

static struct fiber *start_run(struct site *site, struct run *run, const char *chunk) {
  *run = (struct run){.chunk = chunk};
  static const struct fiber_kind kind = {run_chunk, run_failed, .ended = run_ended};
  struct fiber *fiber = fiber_create(&site->worker, &kind);
  assert_non_null(fiber);
  fiber->data = run;
  fiber_start(fiber, 0);
  return fiber;
}

static void no_action(struct timer *timer) {
  (void)timer;
}

/* One turn, which waits TICK_MS at most. */
static void turn(struct site *site) {
  struct timers *timers = &site->worker.timers;
  timer_start(timers, &site->tick, timers_now(timers) + TICK_MS * NS_PER_MS, no_action);
  worker_turn(&site->worker);
  timer_stop(timers, &site->tick);
}

#define turn_until(site, condition)                                                                \
  do {                                                                                             \
    uint64_t limit_ns = uv_hrtime() + LIMIT_MS * NS_PER_MS;                                        \
    while (!(condition)) {                                                                         \
      assert_true(uv_hrtime() < limit_ns);                                                         \
      turn(site);                                                                                  \
    }                                                                                              \
  } while (0)

static void expect(void **state, const char *chunk) {
  struct site *site = *state;
  struct run run;
  start_run(site, &run, chunk);
  turn_until(site, run.done);
  assert_false(run.failed);
}

/* ---- responses ---- */

static void gives_status_headers_and_body(void **state) {
  expect(state, "local res = http.get(base .. '/hello')\n"
                "eq(res.status, 200) eq(res.body, 'Hello') eq(res.url, base .. '/hello')\n"
                "assert(math.type(res.elapsed) == 'float' and res.elapsed > 0)\n"
                "local h = res.headers\n"
                "eq(h['content-type'], 'text/plain') eq(h['Content-TYPE'], 'text/plain')\n"
                "eq(h['x-a'], '1, 2') eq(h['X-Folded']:gsub('%s+', ' '), 'one two')\n"
                "eq(h['x-empty'], '') eq(h['x-none'], nil) eq(h[1], nil)\n"
                "for name in pairs(h) do eq(name, name:lower()) end\n"
                "local cookies = res:header_all('SET-COOKIE')\n"
                "eq(#cookies, 2) eq(cookies[1], 'a=1; Expires=Mon, 1 Jan') eq(cookies[2], 'b=2')\n"
                "eq(#res:header_all('x-none'), 0) eq(res:header_all('x-empty')[1], '')\n");
}

static void reads_chunks_and_early_hints(void **state) {
  expect(state, "local res = http.get(base .. '/chunked')\n"
                "eq(res.body, 'abcdefg') eq(res.headers['x-t'], nil)\n"
                "res = http.get(base .. '/early')\n"
                "eq(res.status, 200) eq(res.body, 'ok') eq(res.headers.link, nil)\n"
                "res = http.get(base .. '/nothing')\n"
                "eq(res.status, 204) eq(res.body, '')\n"
                "res = http.head(base .. '/head')\n"
                "eq(res.body, '') eq(res.headers['content-length'], '12345')\n");
}

static void decodes_json(void **state) {
  expect(state, "local res = http.get(base .. '/json')\n"
                "local value = res:json()\n"
                "eq(value.a[1], 1) eq(math.type(value.a[2]), 'float') eq(value.b, nil)\n"
                "eq(tostring(res:json { null = true }.b), 'null')\n"
                "local bad = http.get(base .. '/hello')\n"
                "fails('json', '', bad.json, bad)\n"
                "fails('misuse', 'use a colon: response:json()', bad.json)\n"
                "fails('misuse', 'use a colon', bad.raise_for_status, {})\n"
                "fails('misuse', 'unknown option \"nul\"', res.json, res, { nul = true })\n");
}

static void raises_for_status(void **state) {
  expect(state, "local res = http.get(base .. '/hello')\n"
                "assert(res:raise_for_status() == res)\n"
                "local bad = http.get(base .. '/missing')\n"
                "eq(bad.status, 404)\n"
                "local err = fails('http', '404 Not Found from ' .. base .. '/missing',\n"
                "                  bad.raise_for_status, bad)\n"
                "eq(err.status, 404) assert(err.response == bad)\n");
}

/* ---- requests ---- */

static void sends_headers_and_query(void **state) {
  expect(
      state,
      "local req = http.get(base .. '/echo?z=1', { query = { b = { 'x y', '&' }, a = 5, c = true,\n"
      "  ['\\u{e9}'] = '~' }, headers = { ['X-One'] = '1', ['X-List'] = { 'a', 'b' },\n"
      "  ['X-Empty'] = '', ['X-Blank'] = ' ' } }).body\n"
      "has(req:lower(), 'get /echo?z=1&a=5&b=x%20y&b=%26&c=true&%c3%a9=~ http/1.1\\r\\n')\n"
      "has(req, '\\r\\nX-One: 1\\r\\n') has(req, '\\r\\nX-List: a\\r\\nX-List: b\\r\\n')\n"
      "has(req, '\\r\\nX-Empty:\\r\\n') has(req, '\\r\\nX-Blank:\\r\\n') has(req, "
      "'\\r\\nUser-Agent: perilune/')\n"
      "lacks(req, 'content-type') lacks(req, 'expect') lacks(req, 'content-length')\n"
      "has(http.get(base .. '/echo?a b#part').body, 'GET /echo?a+b HTTP')\n");
}

static void sends_bodies(void **state) {
  expect(state,
         "local req = http.post(base .. '/echo', { json = { a = { 1, 2 } } }).body\n"
         "has(req, 'POST /echo HTTP/1.1\\r\\n') has(req, '\\r\\nContent-Type: "
         "application/json\\r\\n')\n"
         "has(req, '\\r\\n\\r\\n{\"a\":[1,2]}')\n"
         "req = http.post(base .. '/echo', { json = false,\n"
         "  headers = { ['content-type'] = 'text/x' } }).body\n"
         "has(req, '\\r\\n\\r\\nfalse') has(req, 'content-type: text/x\\r\\n')\n"
         "lacks(req, 'application/json')\n"
         "req = http.post(base .. '/echo', { form = { b = 'x&y', a = '1' } }).body\n"
         "has(req, '\\r\\nContent-Type: application/x-www-form-urlencoded\\r\\n')\n"
         "has(req, '\\r\\n\\r\\na=1&b=x%26y')\n"
         "req = http.put(base .. '/echo', { body = 'a\\0b' }).body\n"
         "has(req, 'PUT /echo') has(req, '\\r\\n\\r\\na\\0b') lacks(req, 'content-type')\n"
         "req = http.post(base .. '/echo').body\n"
         "has(req, '\\r\\nContent-Length: 0\\r\\n') lacks(req, 'content-type')\n"
         "has(http.patch(base .. '/echo').body, '\\r\\nContent-Length: 0\\r\\n')\n"
         "req = http.delete(base .. '/echo').body\n"
         "has(req, 'DELETE /echo') lacks(req, 'content-length')\n"
         "has(http.options(base .. '/echo').body, 'OPTIONS /echo')\n"
         "req = http.request { method = 'propfind', url = base .. '/echo', body = 'x' }.body\n"
         "has(req, 'PROPFIND /echo') has(req, '\\r\\n\\r\\nx')\n"
         "has(http.request { url = base .. '/echo' }.body, 'GET /echo')\n");
}

static void refuses_misuse(void **state) {
  expect(state,
         "local url = base .. '/hello'\n"
         "local function no(part, opts) fails('misuse', part, http.post, url, opts) end\n"
         "no('unknown option \"timeot\" (did you mean \"timeout\"?)', { timeot = 1 })\n"
         "no('\"multipart\" has no parts', { multipart = {} })\n"
         "no('CR, LF or NUL', { headers = { a = 'x\\r\\ny' } })\n"
         "no('CR, LF or NUL', { headers = { a = { 'x', 'y\\0' } } })\n"
         "no('no header name', { headers = { ['a b'] = 'x' } })\n"
         "no('no header name', { headers = { ['a:\\r\\n'] = 'x' } })\n"
         "no('one is a number', { headers = { 'a: b' } })\n"
         "no('a table that is no list', { headers = { a = { b = 'c' } } })\n"
         "no('not a table', { query = { a = { {} } } })\n"
         "no('one body: \"json\" or \"body\"', { json = 1, body = '' })\n"
         "no('\"body\" is a string or a function', { body = 5 })\n"
         "no('\"timeout\" is a number of seconds above 0, not 0.0', { timeout = 0 })\n"
         "no('\"timeout\" is a number of seconds above 0', { timeout = '1' })\n"
         "no('\"connect_timeout\" is', { connect_timeout = 0/0 })\n"
         "no('\"verify\" is true or false', { verify = 'no' })\n"
         "fails('misuse', 'HEAD request has no body', http.head, url, { body = 'x' })\n"
         "fails('misuse', 'use a dot: http.get', http.get, http, url)\n"
         "fails('misuse', 'use a dot', http.request, http, { url = url })\n"
         "fails('misuse', 'the URL has a CR, LF or NUL', http.get, url .. '\\0')\n"
         "fails('misuse', '\"url\" is a string', http.request, {})\n"
         "fails('misuse', 'no request method', http.request, { url = url, method = 'A B' })\n"
         "fails('json', 'function', http.post, url, { json = print })\n"
         "fails('http', 'Bad scheme', http.get, 'example.com')\n"
         "eq(fails('http', 'neither http nor https', http.get, 'ftp://127.0.0.1/').code, 1)\n");
  struct site *site = *state;
  assert_int_equal(atomic_load(&site->server.requests), 0);
}

/* ---- redirects and connections ---- */

static void follows_redirects_when_asked(void **state) {
  expect(state, "local function follow(path, method, body)\n"
                "  return http.request { url = base .. path, method = method, body = body,\n"
                "    follow_redirects = true } end\n"
                "local res = http.get(base .. '/redirect')\n"
                "eq(res.status, 302) eq(res.headers.location, '/hello') eq(res.body, 'old')\n"
                "res = follow('/redirect')\n"
                "eq(res.status, 200) eq(res.body, 'Hello') eq(res.url, base .. '/hello')\n"
                "eq(res.headers['x-old'], nil) eq(res.headers['x-a'], '1, 2')\n"
                "local req = follow('/found', 'POST', 'body').body\n"
                "has(req, 'GET /echo') lacks(req, 'body')\n"
                "req = follow('/found', 'PUT', 'body').body\n"
                "has(req, 'PUT /echo') has(req, '\\r\\n\\r\\nbody')\n"
                "req = follow('/other', 'PUT', 'body').body\n"
                "has(req, 'GET /echo') lacks(req, 'body')\n"
                "has(follow('/other', 'DELETE').body, 'GET /echo')\n"
                "req = follow('/same', 'POST', 'body').body\n"
                "has(req, 'POST /echo') has(req, '\\r\\n\\r\\nbody')\n"
                "eq(fails('http', 'redirects', follow, '/loop').code, 47)\n"
                "eq(fails('http', base .. '/file', follow, '/file').code, 1)\n");
}

static void keeps_connections(void **state) {
  expect(state, "for i = 1, 5 do eq(http.get(base .. '/connection').body, '1') end\n");
}

static void runs_many_at_once(void **state) {
  struct site *site = *state;
  static struct run runs[SERVER_CROWD];
  for (int i = 0; i < SERVER_CROWD; i++)
    start_run(site, &runs[i], "eq(http.get(base .. '/crowd').body, 'all')");
  for (int i = 0; i < SERVER_CROWD; i++) {
    turn_until(site, runs[i].done);
    assert_false(runs[i].failed);
  }
  assert_int_equal(atomic_load(&site->server.connection_count), SERVER_CROWD);
}

static void waits_inside_coroutines(void **state) {
  expect(state, "local next_body = coroutine.wrap(function()\n"
                "  for i = 1, 3 do coroutine.yield(http.get(base .. '/hello').body .. i) end\n"
                "end)\n"
                "eq(next_body(), 'Hello1') eq(next_body(), 'Hello2') eq(next_body(), 'Hello3')\n");
}

/* ---- failures ---- */

static void raises_failures(void **state) {
  expect(state, "eq(fails('http', 'GET ' .. base .. '/cut: ', http.get, base .. '/cut').code, 18)\n"
                "fails('http', '/junk: ', http.get, base .. '/junk')\n"
                "fails('http', 'larger than 64 MiB', http.get, base .. '/big')\n"
                "fails('http', 'larger than 256 KiB', http.get, base .. '/big-head')\n"
                "local secret = base:gsub('//', '//user:secret@') .. '/cut?token=secret'\n"
                "lacks(tostring(fails('http', '/cut: ', http.get, secret)), 'secret')\n"
                "eq(http.get(base .. '/hello').body, 'Hello')\n");
}

static void raises_when_refused(void **state) {
  struct site *site = *state;
  int port;
  close(server_listen(1, &port));
  lua_pushinteger(site->worker.L, port);
  lua_setglobal(site->worker.L, "port");
  expect(state, "local err = fails('http', 'connect', http.get, 'http://127.0.0.1:' .. port)\n"
                "eq(err.code, 7)\n");
}

static void times_out(void **state) {
  struct site *site = *state;
  expect(state, "fails('timeout', 'GET ' .. base .. '/never: no complete response within 0.05 s',\n"
                "      http.get, base .. '/never', { timeout = 0.05 })\n"
                "fails('timeout', '', http.get, base .. '/never', { timeout = 1e-9 })\n"
                "eq(http.get(base .. '/hello', { timeout = math.huge }).body, 'Hello')\n");
  turn_until(site, atomic_load(&site->server.deserted) == 1);
}

/* A socket whose queue is full: the kernel drops further connection attempts. */
static void times_out_connecting(void **state) {
  struct site *site = *state;
  int port, fill[4], fd = server_listen(0, &port);
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  for (size_t i = 0; i < array_len(fill); i++) {
    fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    connect(fill[i], (struct sockaddr *)&address, sizeof address);
  }
  lua_pushinteger(site->worker.L, port);
  lua_setglobal(site->worker.L, "port");
  expect(state, "fails('timeout', 'no connection within 0.05 s', http.get,\n"
                "      'http://127.0.0.1:' .. port, { connect_timeout = 0.05 })\n");
  for (size_t i = 0; i < array_len(fill); i++) close(fill[i]);
  close(fd);
}

static void times_out_on_the_real_clock(void **state) {
  struct site *site = *state;
  struct timers manual;
  struct run run;
  timers_init_manual(&manual, 1);
  struct fiber *fiber =
      start_run(site, &run, "fails('timeout', '', http.get, base .. '/never', { timeout = 0.02 })");
  fiber->timers = &manual;
  turn_until(site, run.done);
  assert_false(run.failed);
  timers_finish(&manual);
}

/* ---- dropped requests ---- */

static void is_dropped_when_cancelled(void **state) {
  struct site *site = *state;
  struct run run;
  struct fiber *fiber = start_run(site, &run,
                                  "fails('cancelled', 'spec', http.get, base .. '/never')\n"
                                  "fails('cancelled', 'spec', http.get, base .. '/hello')\n");
  turn_until(site, atomic_load(&site->server.requests) == 1);
  fiber_cancel(fiber, "spec");
  turn_until(site, run.done);
  assert_false(run.failed);
  turn_until(site, atomic_load(&site->server.deserted) == 1);
  assert_int_equal(atomic_load(&site->server.requests), 1);
}

static void is_dropped_with_its_state(void **state) {
  struct site *site = *state;
  struct run runs[3];
  start_run(site, &runs[0], "http.get(base .. '/hello') http.get(base .. '/never')");
  start_run(site, &runs[1], "http.post(base .. '/never', { body = ('x'):rep(1000) })");
  start_run(site, &runs[2], "coroutine.wrap(function() http.get(base .. '/never') end)()");
  turn_until(site, atomic_load(&site->server.requests) == 4);
  finish_worker(site);
  assert_false(runs[0].done || runs[1].done || runs[2].done);
}

static void cannot_wait_outside_of_a_fiber(void **state) {
  struct site *site = *state;
  lua_State *L = site->worker.L;
  assert_int_not_equal(luaL_dostring(L, "http.get(base)"), LUA_OK);
  assert_non_null(strstr(lua_tostring(L, -1), "http.get cannot wait outside of a task"));
  lua_pop(L, 1);
}

/* ---- files ---- */

enum { HELD_THREADS = 8 }; /* twice as many as libuv has */

struct held {
  uv_sem_t gate;
  uv_work_t works[HELD_THREADS];
  int ended;
};

static void hold_thread(uv_work_t *work) {
  struct held *held = work->data;
  uv_sem_wait(&held->gate);
}

static void thread_is_free(uv_work_t *work, int status) {
  struct held *held = work->data;
  assert_int_equal(status, 0);
  held->ended++;
}

/* From now on what is to be done on another thread waits. */
static void hold_threads(struct site *site, struct held *held) {
  *held = (struct held){0};
  assert_int_equal(uv_sem_init(&held->gate, 0), 0);
  for (int i = 0; i < HELD_THREADS; i++) {
    held->works[i].data = held;
    uv_queue_work(&site->worker.loop, &held->works[i], hold_thread, thread_is_free);
  }
}

static void free_threads(struct site *site, struct held *held) {
  for (int i = 0; i < HELD_THREADS; i++) uv_sem_post(&held->gate);
  turn_until(site, held->ended == HELD_THREADS);
  uv_sem_destroy(&held->gate);
}

static void make_file(struct site *site, char path[static 32]) {
  snprintf(path, 32, "/tmp/client_spec_XXXXXX");
  int fd = mkstemp(path);
  assert_true(fd >= 0 && write(fd, "what is in it", 13) == 13);
  close(fd);
  lua_pushstring(site->worker.L, path);
  lua_setglobal(site->worker.L, "path");
}

static const char sends_a_file[] =
    "has(http.post(base .. '/echo', { multipart = { a = { path = path } } }).body, 'is in it')";

/* Nothing of a file is done on the loop's thread: without others the request stays where it is. */
static void reads_files_on_other_threads(void **state) {
  struct site *site = *state;
  struct held held;
  char path[32];
  make_file(site, path);
  hold_threads(site, &held);
  expect(state, "eq(http.get(base .. '/hello').body, 'Hello')\n"
                "fails('timeout', 'no complete response within 0.05 s', http.post,\n"
                "  base .. '/echo', { timeout = 0.05, multipart = { a = { path = path } } })\n");
  assert_int_equal(atomic_load(&site->server.requests), 1);
  free_threads(site, &held);
  expect(state, sends_a_file);
  unlink(path);
}

static void lets_files_go_when_cancelled(void **state) {
  struct site *site = *state;
  struct held held;
  struct run runs[2];
  char path[32];
  make_file(site, path);
  hold_threads(site, &held);
  static const char chunk[] = "fails('cancelled', 'spec', http.post, base .. '/echo',\n"
                              "  { multipart = { a = { path = path }, b = { path = path } } })\n";
  struct fiber *fiber = start_run(site, &runs[0], chunk);
  start_run(site, &runs[1], sends_a_file); /* its state ends before its file is read */
  turn(site);
  fiber_cancel(fiber, "spec");
  turn_until(site, runs[0].done);
  assert_false(runs[0].failed);
  for (int i = 0; i < HELD_THREADS; i++) uv_sem_post(&held.gate);
  finish_worker(site);
  assert_int_equal(held.ended, HELD_THREADS);
  assert_int_equal(atomic_load(&site->server.requests), 0);
  uv_sem_destroy(&held.gate);
  unlink(path);
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_site, stop_site)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(gives_status_headers_and_body),
      test(reads_chunks_and_early_hints),
      test(decodes_json),
      test(raises_for_status),
      test(sends_headers_and_query),
      test(sends_bodies),
      test(refuses_misuse),
      test(follows_redirects_when_asked),
      test(keeps_connections),
      test(runs_many_at_once),
      test(waits_inside_coroutines),
      test(raises_failures),
      test(raises_when_refused),
      test(times_out),
      test(times_out_connecting),
      test(times_out_on_the_real_clock),
      test(is_dropped_when_cancelled),
      test(is_dropped_with_its_state),
      test(cannot_wait_outside_of_a_fiber),
      test(reads_files_on_other_threads),
      test(lets_files_go_when_cancelled),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
