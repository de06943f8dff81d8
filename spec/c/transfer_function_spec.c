/* transfer_function_spec.c - functions, modules and what is in them, from one Lua state to another.
 *
 * The two states have no app: what an app's functions have instead of code is in
 * function_index_spec.c. A closure is made in one state and run in the other. */
#include "transfer_pair.h"

#include "base/limits.h"
#include "core/module.h"

/* ---- code ---- */

static void closures_run_in_the_other_state(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return function() end", "return select('#', (...)()) == 0");
  assert_crosses(pair, "return function(...) return select('#', ...), ... end",
                 "local n, a, b, c = (...)(1, nil, 'x') return n == 3 and a == 1 and c == 'x'");
  assert_crosses(pair,
                 "return function(t) local n = 0 for i = 1, 10 do if i == 5 then goto done end\n"
                 "  n = n + i end ::done:: return n, 'a\\0b', ('x'):rep(300), 1.5, 1 << 40,\n"
                 "  math.mininteger end",
                 "local n, s, long, f, i, min = (...)()\n"
                 "return n == 10 and s == 'a\\0b' and #long == 300 and f == 1.5 and i == 1 << 40\n"
                 "  and min == math.mininteger");
  assert_crosses(pair,
                 "return function(a) return function(b)\n"
                 "  return (function(...) return ... end)(a, b) end end",
                 "local a, b = (...)(1)(2) return a == 1 and b == 2");
  assert_crosses(
      pair,
      "return function() local closed = 0\n"
      "  do local x <close> = setmetatable({}, { __close = function() closed = 1 end })\n"
      "  end return closed end",
      "return (...)() == 1");
}

static void upvalues_are_copied(void **state) {
  struct pair *pair = *state;
  pair_run(pair->from, "local n = 5 function bump() n = n + 1 return n end");
  assert_crosses(pair, "return bump", "bumped = ... return bumped() == 6 and bumped() == 7");
  pair_run(pair->from, "assert(bump() == 6)");
  assert_crosses(pair, "return bump", "return (...)() == 7 and bumped() == 8");
  assert_crosses(pair,
                 "local a, b, c, d, e = 1, 'two', { 3 }, nil, null\n"
                 "return function() return a, b, c[1], d, e end",
                 "local a, b, c, d, e = (...)()\n"
                 "return a == 1 and b == 'two' and c == 3 and d == nil and rawequal(e, null)");
  assert_crosses(pair,
                 "local code, names = {}, {}\n"
                 "for i = 1, 199 do names[i] = 'v' .. i code[i] = ('local v%d = %d'):format(i, i)\n"
                 "end\n"
                 "return load(table.concat(code, ' ') .. ' return function() return ' ..\n"
                 "  table.concat(names, ' + ') .. ' end')()",
                 "return (...)() == 199 * 200 // 2");
}

/* lua_load gives the first upvalue the globals, whatever it is. */
static void an_upvalue_that_is_nil_stays_nil(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "local x return function() return x end", "return (...)() == nil");
  assert_crosses(pair, "local x return function(v) x = v end, function() return x end",
                 "local set, get = ... local before = get() set(5)\n"
                 "return before == nil and get() == 5");
}

static void the_globals_are_those_of_the_other_state(void **state) {
  struct pair *pair = *state;
  pair_run(pair->from, "place = 'from'");
  pair_run(pair->to, "place = 'to'");
  assert_crosses(pair, "return function() return place end, _G, { _G, _ENV }",
                 "local f, g, t = ...\n"
                 "return f() == 'to' and rawequal(g, _G) and t[1] == _G and t[2] == _G");
  assert_crosses(pair, "return function(v) place = v end",
                 "(...)('set') local is = place == 'set' place = 'to' return is");
  pair_run(pair->from, "assert(place == 'from')");
  assert_crosses(pair, "local _ENV = { place = 'own' } return function() return place end",
                 "return (...)() == 'own'");
}

static void an_environment_stands_for_the_globals(void **state) {
  struct pair *pair = *state;
  pair_run(
      pair->from,
      "environment = setmetatable({}, { __index = _G, __newindex = error }) return environment");
  assert_refused(pair, "return environment",
                 "argument 1 (table with a metatable) cannot be sent to another Lua state");
  pair_run(pair->from, "return environment");
  module_set_environment(pair->from, -1);
  pair_run(pair->to, "place = 'to'");
  assert_crosses(pair, "local _ENV = environment return function() return place end, _ENV",
                 "local f, env = ... return f() == 'to' and rawequal(env, _G)");
}

static void shared_upvalues_stay_shared(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair,
                 "local n = 1\n"
                 "local function get() return n end\n"
                 "return get, { add = function(by) n = n + by end }, get",
                 "local get, t, again = ...\n"
                 "t.add(4)\n"
                 "return get() == 5 and again == get");
  assert_crosses(pair,
                 "local a, b = 1, 2\n"
                 "return function() return a, b end, function(x, y) b, a = y, x end,\n"
                 "  function() local c = a a = b b = c end",
                 "local get, set, swap = ...\n"
                 "set(7, 8) swap() local a, b = get()\n"
                 "return a == 8 and b == 7");
  assert_crosses(
      pair,
      "local list = {}\n"
      "for i = 1, 3 do list[i] = { function() return i end, function() i = i * 10 end }\n"
      "end return list",
      "local list = ... list[2][2]()\n"
      "return list[1][1]() == 1 and list[2][1]() == 20 and list[3][1]() == 3");
  assert_crosses(pair,
                 "local n = 0 local function inner() n = n + 1 return n end\n"
                 "return function() return inner() + n end, inner",
                 "local outer, inner = ... return outer() == 2 and inner() == 2");
}

static void recursion(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair,
                 "local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end\n"
                 "return fib",
                 "return (...)(15) == 610");
  assert_crosses(pair,
                 "local even, odd\n"
                 "function even(n) return n == 0 or odd(n - 1) end\n"
                 "function odd(n) return n ~= 0 and even(n - 1) end\n"
                 "return odd, even",
                 "local odd, even = ...\n"
                 "return odd(7) and not odd(8) and even(100)");
  assert_crosses(pair, "local t = {} t.self, t.f = t, function() return t, t.f end return t",
                 "local t = ... local u, f = t.f() return u == t and f == t.f");
  assert_crosses(
      pair,
      "local f function f() return f end local t = { [f] = f } return function() return\n"
      "  t, f end",
      "local t, f = (...)() return t[f] == f and f() == f");
}

static void functions_are_values_like_others(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair,
                 "local function f() return 'f' end\n"
                 "return { f, f, name = f, [f] = 'key', { [print] = print } }, f",
                 "local t, f = ...\n"
                 "return t[1] == f and t[2] == f and t.name == f and t[f] == 'key' and\n"
                 "  f() == 'f' and t[3][print] == print");
  assert_crosses(pair,
                 "local function make(n) return function() return n end end\n"
                 "return { [make(1)] = 1, [make(2)] = 2, [make(3)] = 3 }",
                 "local n = 0 for f, v in pairs(...) do if f() ~= v then return end n = n + 1 end\n"
                 "return n == 3");
  assert_crosses(pair,
                 "local many = {} for i = 1, 100 do many[i] = function() return i end end\n"
                 "return many",
                 "for i, f in ipairs(...) do if f() ~= i then return end end\n"
                 "return #(...) == 100");
}

static void code_keeps_its_lines_and_names(void **state) {
  struct pair *pair = *state;
  assert_crosses(
      pair,
      "return load('local config = 1\\n'..\n"
      "  'return function(wanted)\\n  error(wanted .. config)\\nend', '@app/file.lua')()",
      "local f = ...\n"
      "local info = debug.getinfo(f, 'S')\n"
      "local ok, err = pcall(f, 'x')\n"
      "return info.source == '@app/file.lua' and info.linedefined == 2 and\n"
      "  err == 'app/file.lua:3: x1' and debug.getupvalue(f, 2) == 'config' and\n"
      "  debug.getlocal(f, 1) == 'wanted'");
}

/* ---- modules ---- */

static void modules_cross_by_name(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return string, { io, t = table }, string",
                 "local s, t, again = ...\n"
                 "return s == string and t[1] == io and t.t == table and again == string");
  assert_crosses(pair, "local str = string return function() return str end",
                 "return (...)() == string");
  static const char preload[] = "package.preload['shop.cart'] = function(name)\n"
                                "  loads = (loads or 0) + 1 return { name = name } end\n"
                                "package.preload.callable = function()\n"
                                "  return function() return 'called' end end";
  pair_run(pair->from, preload);
  pair_run(pair->to, preload);
  pair_run(pair->from, "module_note 'shop.cart'"); /* as our require does; it is not there yet */
  pair_run(pair->from, "cart, callable = require 'shop.cart', require 'callable'\n"
                       "module_note 'shop.cart' module_note 'callable'");
  assert_crosses(pair, "return cart, { cart }, callable",
                 "local c, t, f = ...\n"
                 "return c == package.loaded['shop.cart'] and t[1] == c and loads == 1 and\n"
                 "  c.name == 'shop.cart' and f == package.loaded.callable and f() == 'called'");
  assert_crosses(pair, "return cart", "return ... == require 'shop.cart' and loads == 1");
}

/* What package.loaded does not have any more is a table like any other. */
static void unloaded_modules_are_copied(void **state) {
  struct pair *pair = *state;
  pair_run(pair->from, "package.loaded.gone = { 1 } module_note 'gone' gone = package.loaded.gone\n"
                       "package.loaded.gone = nil");
  assert_crosses(pair, "return gone", "return (...)[1] == 1 and not package.loaded.gone");
  pair_run(pair->from, "package.loaded.gone = { 2 }");
  assert_crosses(pair, "return gone", "return (...)[1] == 1 and not package.loaded.gone");
}

static void modules_that_cannot_be_loaded_are_refused(void **state) {
  struct pair *pair = *state;
  pair_run(pair->from, "package.loaded.only_here = {} module_note 'only_here'");
  lua_settop(pair->from, 0);
  pair_run(pair->from, "return package.loaded.only_here");
  assert_int_equal(pair_encode(pair), LUA_OK);
  assert_int_equal(pair_decode(pair, pair->buffer.data, pair->buffer.len), LUA_ERRRUN);
  assert_string_equal(error_kind(pair->to, -1), "transfer");
  const char *text = luaL_tolstring(pair->to, -1, NULL);
  assert_non_null(strstr(text, "module 'only_here' was sent to a Lua state that cannot load it"));
  assert_non_null(strstr(text, "module 'only_here' not found"));
  assert_non_null(strstr(text, "top of app.lua"));
  pair_run(pair->to, "require = nil");
  assert_not_received(pair, "return package.loaded.only_here",
                      "this Lua state cannot load module 'only_here'");
}

static void functions_of_modules_cross_by_path(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return print, string.format, { math.floor, [type] = io.open }, print",
                 "local p, f, t, again = ...\n"
                 "return p == print and f == string.format and t[1] == math.floor and\n"
                 "  t[type] == io.open and again == print");
  static const char lib[] = "package.loaded.lib = { f = function() return 'f', count end,\n"
                            "  inner = { g = string.gsub, h = function() return 'h' end,\n"
                            "    deeper = { i = function() return 'i' end } } }\n"
                            "module_note 'lib'\n"
                            "lib = package.loaded.lib";
  pair_run(pair->from, lib);
  pair_run(pair->to, lib);
  assert_crosses(pair, "return lib.f, lib.inner.h, { lib.inner.h }",
                 "local f, h, t = ... return f == lib.f and h == lib.inner.h and t[1] == h");
  assert_crosses(pair, "return lib.inner, lib.inner.deeper.i",
                 "local inner, i = ...\n"
                 "return inner ~= lib.inner and inner.h == lib.inner.h and\n"
                 "  i ~= lib.inner.deeper.i and i() == 'i' and inner.deeper.i == i");
}

/* Never another function than the one that was sent. */
static void a_path_that_leads_elsewhere_is_refused(void **state) {
  struct pair *pair = *state;
  static const char lib[] = "package.loaded.lib = { f = function() return %d end, g = print }\n"
                            "module_note 'lib' lib = package.loaded.lib";
  char here[128], there[128];
  snprintf(here, sizeof here, lib, 1);
  snprintf(there, sizeof there, lib, 2);
  pair_run(pair->from, here);
  pair_run(pair->to, there);
  assert_not_received(pair, "return lib.f",
                      "lib.f is not the same in this Lua state as where it was sent");
  pair_run(pair->to, "string.upper, math.sin, os.time = string.lower, function() end, nil");
  assert_not_received(pair, "return string.upper",
                      "string.upper is not the same in this Lua state as where it was sent");
  assert_not_received(pair, "return math.sin",
                      "math.sin is not the same in this Lua state as where it was sent");
  assert_not_received(pair, "return os.time", "this Lua state has no os.time");
  pair_run(pair->to, "package.loaded.string = string.rep");
  assert_not_received(pair, "return string.lower", "this Lua state has no string.lower");
  assert_not_received(pair, "return string",
                      "string is not the same in this Lua state as where it was sent");
}

/* A function that was put into a module later than the rest is not the module's. */
static void functions_put_into_modules_later_cross_as_code(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return string.rep", "return ... == string.rep");
  pair_run(pair->from, "local n = 3 function string.rep() return n end");
  assert_crosses(pair, "return string.rep", "return ... ~= string.rep and (...)() == 3");
}

/* ---- classes ---- */

static void classes_in_modules_cross_by_path(void **state) {
  struct pair *pair = *state;
  static const char model[] =
      "local User = {} User.__index = User\n"
      "function User.new(name) return setmetatable({ name = name }, User) end\n"
      "function User:greet() return 'I am ' .. self.name .. count end\n"
      "package.loaded['models.user'] = User\n"
      "local shapes = { Circle = {} } shapes.Circle.__index = shapes.Circle\n"
      "function shapes.Circle:area() return self.r * 2 end\n"
      "package.loaded.shapes = shapes module_note 'models.user' module_note 'shapes'\n"
      "count = %d";
  char here[768], there[768];
  snprintf(here, sizeof here, model, 1);
  snprintf(there, sizeof there, model, 2);
  pair_run(pair->from, here);
  pair_run(pair->to, there);
  assert_crosses(pair, "return package.loaded['models.user'].new 'Ann'",
                 "local u = ... return u:greet() == 'I am Ann2' and\n"
                 "  getmetatable(u) == package.loaded['models.user']");
  assert_crosses(pair,
                 "local c = setmetatable({ r = 2 }, package.loaded.shapes.Circle) c.me = c\n"
                 "return c, { c }",
                 "local c, t = ... return c:area() == 4 and t[1] == c and c.me == c");
  pair_run(pair->to, "package.loaded.shapes.Circle = nil");
  assert_not_received(pair, "return setmetatable({}, package.loaded.shapes.Circle)",
                      "this Lua state has no shapes.Circle");
  pair_run(pair->to, "package.loaded.shapes.Circle = print");
  assert_not_received(pair, "return setmetatable({}, package.loaded.shapes.Circle)",
                      "shapes.Circle is not a class in this Lua state");
  assert_refused(pair, "return { x = setmetatable({}, { __index = string }) }",
                 "argument 1.x (table with a metatable) cannot be sent to another Lua state");
}

/* ---- what cannot cross ---- */

static void refusals_name_the_upvalue(void **state) {
  struct pair *pair = *state;
  assert_refused(pair, "local db = io.stdout return function() return db end",
                 "argument 1.upvalue db (userdata) cannot be sent to another Lua state");
  assert_refused(pair,
                 "local config = { db = { io.stdout } }\n"
                 "local function open() return config end\n"
                 "return 1, { handlers = { 1, function() return open() end } }",
                 "argument 2.handlers[2].upvalue open.upvalue config.db[1] (userdata) cannot be"
                 " sent to another Lua state");
  assert_refused(pair, "local co = coroutine.create(print) return function() return co end",
                 "argument 1.upvalue co (thread) cannot be sent to another Lua state");
  assert_refused(pair, "return coroutine.wrap(print)",
                 "argument 1 (function) cannot be sent to another Lua state");
  assert_refused(pair, "local next_one = homeless() return function() return next_one() end",
                 "argument 1.upvalue next_one (function) cannot be sent to another Lua state");
  assert_refused(pair, "return { [function() return pair end] = homeless() }",
                 "argument 1[function] (function) cannot be sent to another Lua state");
  assert_refused(pair, "local o = setmetatable({}, {}) return { [function() return o end] = 1 }",
                 "argument 1[function].upvalue o (table with a metatable) cannot be sent to another"
                 " Lua state");
}

static int l_encode_call(lua_State *L) {
  struct pair *pair = lua_touserdata(L, lua_upvalueindex(1));
  transfer_encode_call(L, 1, lua_gettop(L) - 1, &pair->buffer);
  return 0;
}

static void assert_call_refused(struct pair *pair, const char *code, const char *message) {
  lua_State *L = pair->from;
  buffer_clear(&pair->buffer);
  lua_settop(L, 0);
  lua_pushlightuserdata(L, pair);
  lua_pushcclosure(L, l_encode_call, 1);
  pair_run(L, code);
  assert_int_equal(lua_pcall(L, lua_gettop(L) - 1, 0, 0), LUA_ERRRUN);
  assert_transfer_error(L, message);
}

static void a_call_names_its_function_and_counts_its_arguments(void **state) {
  struct pair *pair = *state;
  assert_call_refused(pair, "local db = io.stdout return function() return db end",
                      "function.upvalue db (userdata) cannot be sent to another Lua state");
  assert_call_refused(pair, "return homeless()",
                      "function (function) cannot be sent to another Lua state");
  assert_call_refused(pair, "return print, 1, { io.stdout }",
                      "argument 2[1] (userdata) cannot be sent to another Lua state");
}

static void nesting_has_a_limit(void **state) {
  struct pair *pair = *state;
  static const char chain[] = "local f = function() return 'end' end\n"
                              "for _ = 2, %d do local g = f f = function() return g end end\n"
                              "return f";
  char code[160];
  snprintf(code, sizeof code, chain, TRANSFER_DEPTH_MAX);
  assert_crosses(pair, code,
                 "local f = ... while type(f) == 'function' do f = f() end return f == 'end'");
  snprintf(code, sizeof code, chain, TRANSFER_DEPTH_MAX + 1);
  lua_settop(pair->from, 0);
  pair_run(pair->from, code);
  assert_int_equal(pair_encode(pair), LUA_ERRRUN);
  const char *message = luaL_tolstring(pair->from, -1, NULL);
  assert_non_null(strstr(message, "argument 1.upvalue g.upvalue g."));
  assert_non_null(strstr(message, "(function) cannot be sent to another Lua state: nested deeper "
                                  "than 200 levels"));
}

/* ---- in errors ---- */

static void errors_keep_the_functions_that_can_cross(void **state) {
  struct pair *pair = *state;
  assert_error_crosses(pair,
                       "local n, db = 5, io.stdout\n"
                       "local function whole() n = n + 1 return n end\n"
                       "local function broken() return db end\n"
                       "return { whole = whole, again = whole, print = print, broken = broken,\n"
                       "  above = function() return broken end, homeless = homeless() }",
                       NULL,
                       "local e = ...\n"
                       "return e.whole() == 6 and e.again == e.whole and e.print == print and\n"
                       "  e.broken:find('^function: 0x') and e.above:find('^function: 0x') and\n"
                       "  e.homeless:find('^function: ')");
  assert_error_crosses(pair, "return function() return 7 end", NULL, "return (...)() == 7");
  assert_error_crosses(pair, "return string", NULL, "return ... == string");
}

static void errors_keep_their_class(void **state) {
  struct pair *pair = *state;
  static const char model[] = "local Failure = {} Failure.__index = Failure\n"
                              "function Failure:__tostring() return 'failed: ' .. self.why end\n"
                              "package.loaded.failure = Failure module_note 'failure'";
  pair_run(pair->from, model);
  pair_run(pair->to, model);
  assert_error_crosses(pair, "return setmetatable({ why = 'x' }, package.loaded.failure)", NULL,
                       "local e = ... return tostring(e) == 'failed: x' and e.message == nil and\n"
                       "  getmetatable(e) == package.loaded.failure");
}

/* ---- the seal ---- */

static void code_of_another_process_is_refused(void **state) {
  struct pair *pair = *state;
  static const unsigned char other_key[CODE_KEY_BYTES] = "another process";
  code_open(pair->to, other_key);
  assert_not_received(pair, "return function() end",
                      "the code of a function is not from this process");
}

static void code_needs_a_key(void **state) {
  struct pair *pair = *state;
  lua_State *bare = luaL_newstate();
  *(void **)lua_getextraspace(bare) = NULL; /* it is no worker's */
  luaL_openlibs(bare);
  assert_int_equal(luaL_dostring(bare, "return print, function() end"), LUA_OK);
  transfer_encode(bare, 1, 1, "argument", &pair->buffer);
  lua_pushlightuserdata(bare, pair);
  lua_pushcclosure(bare, l_encode, 1);
  lua_pushvalue(bare, 2);
  assert_int_equal(lua_pcall(bare, 1, 0, 0), LUA_ERRRUN);
  assert_transfer_error(bare, "argument 1 (function) cannot be sent to another Lua state");
  lua_close(bare);
}

int main(void) {
#define SPEC(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
  const struct CMUnitTest tests[] = {
      SPEC(closures_run_in_the_other_state),
      SPEC(upvalues_are_copied),
      SPEC(an_upvalue_that_is_nil_stays_nil),
      SPEC(the_globals_are_those_of_the_other_state),
      SPEC(an_environment_stands_for_the_globals),
      SPEC(shared_upvalues_stay_shared),
      SPEC(recursion),
      SPEC(functions_are_values_like_others),
      SPEC(code_keeps_its_lines_and_names),
      SPEC(modules_cross_by_name),
      SPEC(unloaded_modules_are_copied),
      SPEC(modules_that_cannot_be_loaded_are_refused),
      SPEC(functions_of_modules_cross_by_path),
      SPEC(a_path_that_leads_elsewhere_is_refused),
      SPEC(functions_put_into_modules_later_cross_as_code),
      SPEC(classes_in_modules_cross_by_path),
      SPEC(refusals_name_the_upvalue),
      SPEC(a_call_names_its_function_and_counts_its_arguments),
      SPEC(nesting_has_a_limit),
      SPEC(errors_keep_the_functions_that_can_cross),
      SPEC(errors_keep_their_class),
      SPEC(code_of_another_process_is_refused),
      SPEC(code_needs_a_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
