/* function_index_spec.c - what an app's functions are when they cross: the other state's own.
 *
 * Two states load the same app from a directory; `is_there` is a global that tells the second one
 * apart. Values are sent from `here` and looked at in `there`. Nothing calls a blocking function,
 * so the host of the marks only counts. */
#include "worker_fixture.h"

#include "core/call.h"
#include "core/error.h"
#include "core/instance.h"
#include "core/place.h"
#include "core/snapshot.h"
#include "core/transfer.h"

#include <sys/stat.h>

struct crossing {
  char dir[64];
  struct snapshot *snapshot;
  struct fixture *here, *there;
  struct call_host host;
  int references;
  struct buffer message;
};

static const char app_text[] =
    "local perilune = require 'perilune'\n"
    "local shop = require 'shop'\n"
    "local json = require 'perilune.json'\n"
    "local app = perilune.app { name = 'index' }\n"
    "local inner = perilune.app { name = 'inner' }\n"
    "app:mount('/inner', inner)\n"
    "local count = 0\n"
    "local function bump() count = count + 1 return count end\n"
    "local deep = { { tool = function() return 'tool', bump() end } }\n"
    "local function handler() return bump(), deep, json end\n"
    "app:get('/', function() return handler() end)\n"
    "local marked = perilune.blocking(function() return bump() end)\n"
    "local timed = perilune.blocking({ timeout = 5 }, function() return 'timed' end)\n"
    "local function part() return is_there end\n"
    "function helper() return part() end\n"
    "helper_part = { part }\n"
    "local large = {}\n"
    "for i = 1, 1001 do large[i] = i end\n"
    "large[500] = function() return 'large' end\n"
    "local a, b = function() return 'a' end, function() return 'b' end\n"
    "local twins = { function() return 1 end, function() return 1 end }\n"
    "app:get('/more', function() return a, b, twins, large, marked, timed end)\n"
    "parts = { app = app, inner = inner, bump = bump, tool = deep[1].tool, handler = handler,\n"
    "  marked = marked, timed = timed, large = large[500], a = a, b = b, twins = twins,\n"
    "  shop = shop }\n"
    "return app\n";

static const char shop_text[] =
    "local shop = { Cart = {} }\n"
    "shop.Cart.__index = shop.Cart\n"
    "function shop.Cart:size() return #self, is_there end\n"
    "function shop.make(n) return function() return n, is_there end end\n"
    "shop.single = shop.make(1)\n"
    "function shop.factory(n) return function() n = n + 1 return n end end\n"
    "shop.first, shop.second = shop.factory(10), shop.factory(20)\n"
    "if not is_there then shop.only_here = function() return 'only here' end end\n"
    "function shop.pick(n) return function() return 'picked' .. n end end\n"
    "shop.picked = shop.pick(1)\n"
    "if is_there then shop.picked_too = shop.pick(2) end\n"
    "shop.compiled = load('return function() return 5 end', '=compiled')()\n"
    "return shop\n";

/* ---- the states ---- */

static void retain(struct call_host *host) {
  container_of(host, struct crossing, host)->references++;
}

static void release(struct call_host *host) {
  container_of(host, struct crossing, host)->references--;
}

static void write_file(const struct crossing *crossing, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", crossing->dir, name);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs(text, file) >= 0);
  assert_int_equal(fclose(file), 0);
}

static void remove_file(const struct crossing *crossing, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", crossing->dir, name);
  remove(path);
}

/* is_marked(value) -> whether it is a marked function */
static int is_marked(lua_State *L) {
  lua_pushboolean(L, place_of(L, 1) != NULL);
  return 1;
}

static struct fixture *load(struct crossing *crossing, bool is_there) {
  struct fixture *fixture = fixture_start(0, 0);
  lua_State *L = fixture->worker.L;
  fixture->worker.snapshot = crossing->snapshot;
  lua_pushboolean(L, is_there);
  lua_setglobal(L, "is_there");
  lua_register(L, "is_marked", is_marked);
  place_begin_load(L, &crossing->host);
  expect_chunk(fixture, "require 'perilune.load'() shop = parts.shop");
  place_end_load(L);
  return fixture;
}

static int start_crossing(void **state) {
  struct crossing *crossing = memory_alloc_zero(sizeof *crossing);
  snprintf(crossing->dir, sizeof crossing->dir, "/tmp/perilune-index-XXXXXX");
  assert_non_null(mkdtemp(crossing->dir));
  write_file(crossing, "app.lua", app_text);
  write_file(crossing, "shop.lua", shop_text);
  write_file(crossing, "late.lua",
             "local late = { n = 5 } function late.f() return late.n end\n"
             "return late\n");
  crossing->snapshot = snapshot_create(crossing->dir);
  crossing->host = (struct call_host){.retain = retain, .release = release};
  crossing->here = load(crossing, false);
  crossing->there = load(crossing, true);
  *state = crossing;
  return 0;
}

static int stop_crossing(void **state) {
  struct crossing *crossing = *state;
  fixture_stop(crossing->here);
  fixture_stop(crossing->there);
  assert_int_equal(crossing->references, 0);
  snapshot_destroy(crossing->snapshot);
  remove_file(crossing, "app.lua");
  remove_file(crossing, "shop.lua");
  remove_file(crossing, "late.lua");
  rmdir(crossing->dir);
  buffer_finish(&crossing->message);
  free(crossing);
  return 0;
}

/* ---- sending ---- */

static int l_encode(lua_State *L) {
  struct crossing *crossing = lua_touserdata(L, lua_upvalueindex(1));
  transfer_encode(L, 1, lua_gettop(L), "argument", &crossing->message);
  return 0;
}

static int l_decode(lua_State *L) {
  const struct crossing *crossing = lua_touserdata(L, lua_upvalueindex(1));
  return transfer_decode(L, crossing->message.data, crossing->message.len);
}

static void push_function(lua_State *L, lua_CFunction function, struct crossing *crossing) {
  lua_settop(L, 0);
  lua_pushlightuserdata(L, crossing);
  lua_pushcclosure(L, function, 1);
}

static void encode(struct crossing *crossing, const char *code) {
  lua_State *L = crossing->here->worker.L;
  buffer_clear(&crossing->message);
  push_function(L, l_encode, crossing);
  if (luaL_dostring(L, code)) fail_msg("%s: %s", code, lua_tostring(L, -1));
  if (lua_pcall(L, lua_gettop(L) - 1, 0, 0)) fail_msg("%s: %s", code, luaL_tolstring(L, -1, NULL));
}

/* What the chunk `code` gives here, the chunk `check` gets as `...` there; it gives true. */
static void expect_crosses(struct crossing *crossing, const char *code, const char *check) {
  lua_State *L = crossing->there->worker.L;
  encode(crossing, code);
  push_function(L, l_decode, crossing);
  if (lua_pcall(L, 0, LUA_MULTRET, 0)) fail_msg("%s: %s", code, luaL_tolstring(L, -1, NULL));
  if (luaL_loadstring(L, check)) fail_msg("%s: %s", check, lua_tostring(L, -1));
  lua_insert(L, 1);
  if (lua_pcall(L, lua_gettop(L) - 1, 1, 0)) fail_msg("%s: %s", check, lua_tostring(L, -1));
  if (!lua_toboolean(L, -1)) fail_msg("%s does not give %s", code, check);
  lua_settop(L, 0);
}

static void expect_refused_there(struct crossing *crossing, const char *code, const char *part) {
  lua_State *L = crossing->there->worker.L;
  encode(crossing, code);
  push_function(L, l_decode, crossing);
  assert_int_equal(lua_pcall(L, 0, LUA_MULTRET, 0), LUA_ERRRUN);
  assert_string_equal(error_kind(L, -1), "transfer");
  const char *text = luaL_tolstring(L, -1, NULL);
  if (!strstr(text, part)) fail_msg("no '%s' in '%s'", part, text);
  lua_settop(L, 0);
}

static void run_here(struct crossing *crossing, const char *code) {
  lua_State *L = crossing->here->worker.L;
  if (luaL_dostring(L, code)) fail_msg("%s: %s", code, lua_tostring(L, -1));
  lua_settop(L, 0);
}

/* ---- functions of the app ---- */

static void what_exists_once_is_the_other_states_own(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(
      crossing,
      "return parts.bump, parts.tool, parts.handler, shop.make, shop.single, parts.a,\n"
      "  parts.b",
      "local bump, tool, handler, make, single, a, b = ...\n"
      "return bump == parts.bump and tool == parts.tool and handler == parts.handler and\n"
      "  make == shop.make and single == shop.single and a == parts.a and b == parts.b");
  expect_crosses(crossing, "return { parts.bump, [parts.bump] = { parts.bump } }",
                 "local t = ... return t[1] == parts.bump and t[parts.bump][1] == parts.bump");
}

static void it_has_the_upvalues_of_its_state(void **state) {
  struct crossing *crossing = *state;
  run_here(crossing, "parts.bump() parts.bump()");
  expect_crosses(crossing, "return parts.bump", "return (...)() == 1 and parts.bump() == 2");
  run_here(crossing, "assert(parts.bump() == 3)");
}

static void closures_of_later_cross_as_code(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(crossing, "return shop.make(7)",
                 "local f = ... local n, there = f() return f ~= shop.single and n == 7 and there");
  run_here(crossing, "old = shop.single shop.single = shop.make(2)");
  expect_crosses(crossing, "return shop.single, old",
                 "local new, old = ...\n"
                 "return new ~= shop.single and new() == 2 and old == shop.single");
  run_here(crossing, "old = nil collectgarbage() collectgarbage()");
  expect_crosses(crossing, "return shop.single", "return ... ~= shop.single and (...)() == 2");
  expect_crosses(crossing,
                 "local n = 5 return function() n = n + 1 return n, parts.bump() end, parts.bump",
                 "local f, bump = ... local n, count = f()\n"
                 "return n == 6 and count == 1 and bump == parts.bump");
}

static void what_exists_several_times_crosses_as_code(void **state) {
  struct crossing *crossing = *state;
  run_here(crossing, "assert(shop.first() == 11)");
  expect_crosses(crossing, "return shop.first, shop.second",
                 "local one, two = ...\n"
                 "return one ~= shop.first and one() == 12 and two() == 21 and shop.first() == 11");
  expect_crosses(crossing, "return parts.twins[1]",
                 "local f = ... return f() == 1 and f ~= parts.twins[1] and f ~= parts.twins[2]");
}

static void what_another_state_has_not_or_more_than_once_is_refused(void **state) {
  struct crossing *crossing = *state;
  char where[128];
  snprintf(where, sizeof where, "this Lua state has no function %s/shop.lua:8: ", crossing->dir);
  expect_refused_there(crossing, "return shop.only_here", where);
  snprintf(where, sizeof where, "this Lua state has made several functions of %s/shop.lua:9, ",
           crossing->dir);
  expect_refused_there(crossing, "return { x = shop.picked }", where);
}

static void large_tables_and_compiled_text_are_not_looked_into(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(crossing, "return parts.large, shop.compiled",
                 "local large, compiled = ...\n"
                 "return large ~= parts.large and large() == 'large' and compiled() == 5 and\n"
                 "  compiled ~= shop.compiled");
}

static void marked_functions_arrive_as_marked(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(crossing, "return parts.marked, { parts.timed }, parts.marked",
                 "local marked, t, again = ...\n"
                 "return marked == parts.marked and is_marked(marked) and t[1] == parts.timed and\n"
                 "  again == marked");
  expect_crosses(crossing, "local m = parts.marked return function() return m end",
                 "return (...)() == parts.marked");
}

static void global_functions_are_the_other_states_own(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(crossing, "return helper, require, pcall",
                 "local h, r, p = ... return h == helper and h() and r == require and p == pcall");
  expect_crosses(crossing, "return helper_part[1]", "return ... == helper_part[1]");
  run_here(crossing, "function helper() return 'another' end");
  expect_crosses(crossing, "return helper", "return ... ~= helper and (...)() == 'another'");
}

/* ---- what else has a name ---- */

static void apps_cross_as_the_other_states_own(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(crossing,
                 "local app = parts.app\n"
                 "return app, { parts.inner }, function() return app end, app",
                 "local app, t, f, again = ...\n"
                 "return app == parts.app and t[1] == parts.inner and f() == app and again == app");
}

static void modules_of_the_app_cross_by_name(void **state) {
  struct crossing *crossing = *state;
  run_here(crossing, "late = require 'late'");
  expect_crosses(crossing, "return shop, late",
                 "local s, late = ...\n"
                 "return s == shop and late == package.loaded.late and late.n == 5");
  expect_crosses(crossing,
                 "return late.f, require 'perilune.json', require('perilune.json').encode",
                 "local f, json, encode = ...\n"
                 "return f() == 5 and json == require 'perilune.json' and encode == json.encode");
}

static void a_module_that_waits_while_it_loads_is_refused_where_it_arrives(void **state) {
  struct crossing *crossing = *state;
  static const char preload[] = "package.preload.waits = function()\n"
                                "  if is_there then require('perilune.async').sleep(1) end\n"
                                "  return {} end";
  run_here(crossing, preload);
  expect_chunk(crossing->there, preload);
  expect_chunk(crossing->here, "waits = require 'waits'");
  expect_refused_there(crossing, "return waits", "what is required at the top of app.lua");
}

static void classes_of_the_app_cross_by_path(void **state) {
  struct crossing *crossing = *state;
  expect_crosses(crossing, "return setmetatable({ 1, 2 }, shop.Cart)",
                 "local size, there = (...):size()\n"
                 "return size == 2 and there and getmetatable(...) == shop.Cart");
}

static int l_encode_error(lua_State *L) {
  struct crossing *crossing = lua_touserdata(L, lua_upvalueindex(1));
  transfer_encode_error(L, 1, NULL, &crossing->message);
  return 0;
}

static int l_decode_error(lua_State *L) {
  const struct crossing *crossing = lua_touserdata(L, lua_upvalueindex(1));
  transfer_decode_error(L, crossing->message.data, crossing->message.len);
  lua_pop(L, 1);
  return 1;
}

/* An error always arrives: what it names and is not there is told by a text. */
static void errors_arrive_without_what_is_not_there(void **state) {
  struct crossing *crossing = *state;
  lua_State *here = crossing->here->worker.L, *there = crossing->there->worker.L;
  run_here(crossing, "package.preload.only = function() return { Class = {} } end require 'only'");
  push_function(here, l_encode_error, crossing);
  assert_int_equal(luaL_dostring(here,
                                 "return { code = 7, f = shop.only_here, only = package.loaded"
                                 ".only, many = shop.picked, own = parts.bump, object = "
                                 "setmetatable({ 1 }, package.loaded.only.Class) }"),
                   LUA_OK);
  assert_int_equal(lua_pcall(here, 1, 0, 0), LUA_OK);
  push_function(there, l_decode_error, crossing);
  assert_int_equal(lua_pcall(there, 0, 1, 0), LUA_OK);
  lua_setglobal(there, "err");
  expect_chunk(crossing->there,
               "eq(err.code, 7) eq(err.own, parts.bump) has(err.f, 'function: ')\n"
               "has(err.f, 'shop.lua:8') has(err.many, 'shop.lua:9') eq(err.only, 'only')\n"
               "eq(err.object[1], 1) eq(getmetatable(err.object), nil)");
}

/* ---- the life of the index ---- */

static void begin_anew(struct fixture *fixture) {
  instance_begin(fixture->worker.L, fixture->worker.snapshot);
}

static void it_is_forgotten_with_the_marks(void **state) {
  struct crossing *crossing = *state;
  begin_anew(crossing->here);
  expect_crosses(crossing, "return parts.bump", "return ... ~= parts.bump and (...)() == 1");
  begin_anew(crossing->there);
  expect_crosses(crossing, "return shop.make", "return ... ~= shop.make");
}

static void there_is_none_without_an_app(void **state) {
  struct crossing *crossing = *state;
  encode(crossing, "return parts.bump");
  begin_anew(crossing->there);
  lua_State *L = crossing->there->worker.L;
  push_function(L, l_decode, crossing);
  assert_int_equal(lua_pcall(L, 0, LUA_MULTRET, 0), LUA_ERRRUN);
  assert_string_equal(error_kind(L, -1), "transfer");
  lua_settop(L, 0);
  expect_refused_there(crossing, "return parts.app", "no app is loaded in this Lua state");
}

int main(void) {
#define test(name) cmocka_unit_test_setup_teardown(name, start_crossing, stop_crossing)
  const struct CMUnitTest tests[] = {
      test(what_exists_once_is_the_other_states_own),
      test(it_has_the_upvalues_of_its_state),
      test(closures_of_later_cross_as_code),
      test(what_exists_several_times_crosses_as_code),
      test(what_another_state_has_not_or_more_than_once_is_refused),
      test(large_tables_and_compiled_text_are_not_looked_into),
      test(marked_functions_arrive_as_marked),
      test(global_functions_are_the_other_states_own),
      test(apps_cross_as_the_other_states_own),
      test(modules_of_the_app_cross_by_name),
      test(a_module_that_waits_while_it_loads_is_refused_where_it_arrives),
      test(classes_of_the_app_cross_by_path),
      test(errors_arrive_without_what_is_not_there),
      test(it_is_forgotten_with_the_marks),
      test(there_is_none_without_an_app),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
