/* transfer_spec.c - every kind of value from one Lua state to another, and what is refused.
 *
 * A chunk makes values in one state, another chunk gets them as `...` in the other state and says
 * whether they are right. Random values, damaged messages and failing allocations are in
 * transfer_random_spec.c. */
#include "transfer_pair.h"

#include "base/limits.h"

#include <sys/mman.h>

static void scalars(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return", "return select('#', ...) == 0");
  assert_crosses(pair, "return nil, true, false",
                 "local a, b, c = ... return a == nil and b == true and c == false");
  assert_crosses(pair, "return null", "return rawequal(..., null)");
  assert_crosses(pair, "return nil, 1, nil, nil", "return select('#', ...) == 4");
  assert_crosses(pair, "return table.unpack({}, 1, 1000)", "return select('#', ...) == 1000");
}

static void integers(void **state) {
  struct pair *pair = *state;
  static const char list[] = "local list = {}\n"
                             "for bits = 0, 63 do\n"
                             "  for by = -2, 2 do\n"
                             "    list[#list + 1] = (1 << bits) + by\n"
                             "    list[#list + 1] = -(1 << bits) + by\n"
                             "  end\n"
                             "end\n"
                             "list[#list + 1] = math.mininteger\n"
                             "list[#list + 1] = math.maxinteger\n";
  char code[1024], check[1024];
  snprintf(code, sizeof code, "%s return list, table.unpack(list)", list);
  snprintf(check, sizeof check,
           "%s local got = ...\n"
           "for i, v in ipairs(list) do\n"
           "  local single = select(i + 1, ...)\n"
           "  if math.type(got[i]) ~= 'integer' or got[i] ~= v or single ~= v then return end\n"
           "end\n"
           "return #got == #list",
           list);
  assert_crosses(pair, code, check);
}

static void floats(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return 1.0, 0.1, -1e300, 5e-324, 2^53",
                 "local a, b, c, d, e = ...\n"
                 "return math.type(a) == 'float' and a == 1 and b == 0.1 and c == -1e300\n"
                 "  and d == 5e-324 and math.type(e) == 'float' and e == 2^53");
  assert_crosses(pair, "return 0/0, 1/0, -1/0, -0.0",
                 "local nan, inf, minf, zero = ...\n"
                 "return nan ~= nan and inf == 1/0 and minf == -1/0 and 1/zero == -1/0");
}

static void strings(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return '', 'a\\0b', '\\0', '\\255\\254'",
                 "local a, b, c, d = ...\n"
                 "return a == '' and b == 'a\\0b' and c == '\\0' and d == '\\255\\254'");
  assert_crosses(pair, "local list = {} for n = 0, 300 do list[n] = ('x'):rep(n) end return list",
                 "for n = 0, 300 do if (...)[n] ~= ('x'):rep(n) then return end end return true");
  assert_crosses(pair, "return ('\\0y'):rep(1 << 20)", "return ... == ('\\0y'):rep(1 << 20)");
}

static void tables(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return {}", "return type(...) == 'table' and next(...) == nil");
  assert_crosses(pair, "return { 1, 'two', { 3.5, { false } }, name = { deep = { er = true } } }",
                 "local t = ...\n"
                 "return #t == 3 and t[1] == 1 and t[2] == 'two' and t[3][1] == 3.5 and\n"
                 "  t[3][2][1] == false and t.name.deep.er == true");
  assert_crosses(pair, "return { [1.5] = 1, [true] = 2, [false] = 3, [-1] = 4, [0] = 5, [''] = 6 }",
                 "local t = ... return t[1.5] == 1 and t[true] == 2 and t[false] == 3 and\n"
                 "  t[-1] == 4 and t[0] == 5 and t[''] == 6");
  assert_crosses(pair, "local k = {} return { [k] = k, [null] = null }",
                 "local t = ... local k for key in pairs(t) do\n"
                 "  if type(key) == 'table' then k = key end end\n"
                 "return t[k] == k and rawequal(t[null], null)");
}

static void runs_of_elements(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return { 1, nil, 3 }, { nil, nil, 3 }, table.pack(nil, 2, nil)",
                 "local a, b, c = ...\n"
                 "return #a == 3 and a[1] == 1 and a[2] == nil and a[3] == 3 and\n"
                 "  #b == 3 and b[3] == 3 and c.n == 3 and c[2] == 2");
  assert_crosses(pair, "local t = {} for i = 3000, 1, -1 do t[i] = i end t.x = 1 return t",
                 "local t = ... for i = 1, 3000 do if t[i] ~= i then return end end\n"
                 "return #t == 3000 and t.x == 1");
  assert_crosses(pair, "local t = {} for i = 0, 62 do t[1 << i] = i end return t",
                 "local t, n = ..., 0 for k, i in pairs(t) do\n"
                 "  if k ~= 1 << i then return end n = n + 1 end return n == 63");
  assert_crosses(pair,
                 "local t = table.move({}, 1, 0, 1) t[1], t[100], t[50] = 1, 100, 50 return t",
                 "local t = ... return t[1] == 1 and t[50] == 50 and t[100] == 100");
}

static void gaps_cost_little(void **state) {
  struct pair *pair = *state;
  enum { FEW_BYTES = 24 };
  assert_crosses(pair, "return { table.unpack({ 1, [5000] = 5000 }, 1, 5000) }",
                 "local t, n = ..., 0 for _ in pairs(t) do n = n + 1 end\n"
                 "return n == 2 and t[1] == 1 and t[5000] == 5000");
  assert_true(pair->buffer.len < FEW_BYTES);
}

static void large_tables(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "local t = {} for i = 1, 100000 do t[i] = i * i end return t",
                 "local t = ... for i = 1, 100000 do if t[i] ~= i * i then return end end\n"
                 "return #t == 100000");
  assert_crosses(pair, "local t = {} for i = 1, 20000 do t['key' .. i] = { i } end return t, t",
                 "local t, u = ...\n"
                 "for i = 1, 20000 do if t['key' .. i][1] ~= i then return end end\n"
                 "return t == u");
}

static void shared_references(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "local t = {} t.self = t t[1] = t return t",
                 "local t = ... return t.self == t and t[1] == t");
  assert_crosses(pair, "local s = { 1 } return { s, s }, s, {}, {}",
                 "local t, s, e, f = ... return t[1] == s and t[2] == s and e ~= f");
  assert_crosses(pair, "local a, b = {}, {} a.b, b.a = b, a return a, b",
                 "local a, b = ... return a.b == b and b.a == a");
  assert_crosses(pair, "local b = box(7) return b, { b, box(7) }",
                 "local b, t = ...\n"
                 "return rawequal(t[1], b) and not rawequal(t[2], b) and unbox(b) == 7");
}

static void classes(void **state) {
  struct pair *pair = *state;
  static const char hostile[] =
      "for _, e in ipairs { 'index', 'newindex', 'len', 'pairs', 'eq' } do\n"
      "  getmetatable(class('hostile', {}))['__' .. e] = error\n"
      "end\n";
  pair_run(pair->from, hostile);
  pair_run(pair->to, hostile);
  assert_crosses(pair, "return class('hostile', { 1, 2, x = { 3 } })",
                 "local t = ...\n"
                 "return getmetatable(t) == getmetatable(class('hostile', {})) and\n"
                 "  rawlen(t) == 2 and rawget(t, 'x')[1] == 3");
  assert_crosses(pair, "return array {}, array { array { 1 } }, { 1 }",
                 "local a, b, c = ... local meta = getmetatable(array {})\n"
                 "return getmetatable(a) == meta and getmetatable(b) == meta and\n"
                 "  getmetatable(b[1]) == meta and b[1][1] == 1 and getmetatable(c) == nil");
  assert_crosses(pair, "local c = class('loop', array {}) c.c = c return { c }, c",
                 "local t, c = ... return t[1] == c and c.c == c and\n"
                 "  getmetatable(c).__name == 'loop'");
}

static void errors_as_arguments(void **state) {
  struct pair *pair = *state;
  error_push(pair->from, "timeout", "after %d s", 5);
  assert_int_equal(pair_encode(pair), LUA_OK);
  assert_int_equal(pair_decode(pair, pair->buffer.data, pair->buffer.len), LUA_OK);
  assert_string_equal(error_kind(pair->to, 1), "timeout");
  assert_string_equal(luaL_tolstring(pair->to, 1, NULL), "after 5 s");
  lua_settop(pair->to, 0);
}

static void registered_kinds(void **state) {
  struct pair *pair = *state;
  assert_crosses(pair, "return box(5), print, { print }",
                 "local b, p, t = ... return unbox(b) == 5 and p == print and t[1] == print");
  assert_refused(pair, "return { box(1), box(-1) }",
                 "argument 1[2] (userdata) cannot be sent to another Lua state");
  assert_refused(pair, "return nil, homeless()",
                 "argument 2 (function) cannot be sent to another Lua state");
  lua_State *bare = luaL_newstate();
  *(void **)lua_getextraspace(bare) = NULL; /* it is no worker's */
  pair_run(pair->from, "return box(1)");
  assert_int_equal(pair_encode(pair), LUA_OK);
  struct slice message = {.data = pair->buffer.data, .len = pair->buffer.len};
  lua_pushlightuserdata(bare, &message);
  lua_pushcclosure(bare, l_decode, 1);
  assert_int_equal(lua_pcall(bare, 0, LUA_MULTRET, 0), LUA_ERRRUN);
  assert_transfer_error(bare, "this Lua state cannot receive a value of kind 'spec.box'");
  lua_close(bare);
}

static void refusals_name_the_path(void **state) {
  struct pair *pair = *state;
  assert_refused(pair, "return 1, { db = io.stdout }",
                 "argument 2.db (userdata) cannot be sent to another Lua state");
  assert_refused(pair, "return { rows = { 1, 2, { f = homeless() } } }",
                 "argument 1.rows[3].f (function) cannot be sent to another Lua state");
  assert_refused(pair, "return coroutine.create(print)",
                 "argument 1 (thread) cannot be sent to another Lua state");
  assert_refused(pair, "return { o = setmetatable({}, {}) }",
                 "argument 1.o (table with a metatable) cannot be sent to another Lua state");
  assert_refused(
      pair,
      "return { ['a b\\n'] = { [true] = { [1.5] = { [{}] = print == 1, [0] = io.stdin } } } }",
      "argument 1[\"a b?\"][true][1.5][0] (userdata) cannot be sent to another Lua state");
  assert_refused(pair, "return { [io.stdout] = 1 }",
                 "argument 1[userdata] (userdata) cannot be sent to another Lua state");
  assert_refused(pair, "return { [{ io.stdout }] = 1 }",
                 "argument 1[table][1] (userdata) cannot be sent to another Lua state");
  lua_settop(pair->from, 0);
  lua_pushlightuserdata(pair->from, pair);
  assert_int_equal(pair_encode(pair), LUA_ERRRUN);
  assert_transfer_error(pair->from, "argument 1 (userdata) cannot be sent to another Lua state");
}

static void long_paths_are_cut(void **state) {
  struct pair *pair = *state;
  assert_refused(
      pair, "return { [('k'):rep(100)] = print == 1 or homeless() }",
      "argument 1[\"kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk...\"]"
      " (function) cannot be sent to another Lua state");
  lua_settop(pair->from, 0);
  pair_run(pair->from, "local t = { homeless() } for i = 1, 100 do t = { next = t } end return t");
  assert_int_equal(pair_encode(pair), LUA_ERRRUN);
  const char *message = luaL_tolstring(pair->from, -1, NULL);
  assert_non_null(strstr(message, "argument 1.next.next.next."));
  assert_non_null(strstr(message, "... (function) cannot be sent"));
  assert_true(strlen(message) < 400);
}

static void nesting_has_a_limit(void **state) {
  struct pair *pair = *state;
  char code[160];
  static const char chain[] =
      "local t = { 'end' } for i = 2, %d do t = { t } end return t, 'after'";
  snprintf(code, sizeof code, chain, TRANSFER_DEPTH_MAX);
  assert_crosses(pair, code,
                 "local t, after = ... while type(t) == 'table' do t = t[1] end\n"
                 "return t == 'end' and after == 'after'");
  snprintf(code, sizeof code, chain, TRANSFER_DEPTH_MAX + 1);
  lua_settop(pair->from, 0);
  pair_run(pair->from, code);
  assert_int_equal(pair_encode(pair), LUA_ERRRUN);
  assert_string_equal(error_kind(pair->from, -1), "transfer");
  const char *message = luaL_tolstring(pair->from, -1, NULL);
  assert_non_null(strstr(message, "argument 1[1][1]"));
  assert_non_null(strstr(
      message, "(table) cannot be sent to another Lua state: nested deeper than 200 levels"));
}

static void messages_have_a_limit(void **state) {
  struct pair *pair = *state;
  char *space = mmap(NULL, TRANSFER_BYTES_MAX, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_ptr_not_equal(space, MAP_FAILED);
  enum { LEFT = 64 };
  struct pair full = {.buffer = {space, TRANSFER_BYTES_MAX - LEFT, TRANSFER_BYTES_MAX}};
  lua_pushlightuserdata(pair->from, &full);
  lua_pushcclosure(pair->from, l_encode, 1);
  pair_run(pair->from, "return { a = 'fits', b = 1, list = { 1, ('x'):rep(100) } }");
  assert_int_equal(lua_pcall(pair->from, 1, 0, 0), LUA_ERRRUN);
  const char *message = luaL_tolstring(pair->from, -1, NULL);
  assert_non_null(strstr(message, "argument 1.list[2] cannot be sent to another Lua state: the "
                                  "message would be larger than 2146435072 bytes"));
  assert_true(full.buffer.len <= TRANSFER_BYTES_MAX);
  munmap(space, TRANSFER_BYTES_MAX);
}

static void messages_append(void **state) {
  struct pair *pair = *state;
  buffer_clear(&pair->buffer);
  buffer_add_text(&pair->buffer, "head");
  lua_settop(pair->from, 0);
  pair_run(pair->from, "local t = {} return { t, t }, t, 'skipped'");
  transfer_encode(pair->from, 1, 2, "result", &pair->buffer);
  assert_int_equal(lua_gettop(pair->from), 3);
  size_t len = pair->buffer.len;
  assert_memory_equal(pair->buffer.data, "head", 4);
  assert_int_equal(pair_decode(pair, pair->buffer.data + 4, len - 4), LUA_OK);
  assert_int_equal(lua_gettop(pair->to), 2);
  lua_rawgeti(pair->to, 1, 2);
  assert_true(lua_rawequal(pair->to, 2, 3));
}

static void error_values(void **state) {
  struct pair *pair = *state;
  assert_error_crosses(pair, "return 'app.lua:3: oops'", "stack traceback:\n\t...",
                       "local e, t = ...\n"
                       "return e == 'app.lua:3: oops' and t == 'stack traceback:\\n\\t...'");
  assert_error_crosses(pair, "return nil", NULL, "local e, t = ... return e == nil and t == nil");
  assert_error_crosses(pair, "return 42", NULL, "return math.type(...) == 'integer'");
  assert_error_crosses(pair, "return class('perilune.error', { kind = 'x', message = 'y' })", NULL,
                       "return tostring((...)) == 'y' and (...).kind == 'x'");
  assert_error_crosses(
      pair,
      "local e = { code = 7, db = io.stdout, deep = { f = homeless() } } e.me = e\n"
      "return e",
      NULL,
      "local e = ... return e.code == 7 and e.me == e and\n"
      "  e.db:find('^file %(0x') and e.deep.f:find('^%a+: ')");
  assert_error_crosses(pair, "return io.stdout", NULL, "return (...):find('^file %(0x')");
  assert_error_crosses(pair, "return coroutine.create(print)", NULL,
                       "return (...):find('^thread: 0x')");
  assert_error_crosses(pair, "return print", NULL, "return ... == print");
}

static void error_values_with_metatables(void **state) {
  struct pair *pair = *state;
  assert_error_crosses(pair, "return setmetatable({ code = 1 }, { __index = error })", NULL,
                       "return (...).code == 1 and getmetatable((...)) == nil");
  assert_error_crosses(pair,
                       "return setmetatable({ code = 1 }, { __tostring = function(e)\n"
                       "  return 'code ' .. e.code end })",
                       NULL,
                       "local e = ...\n"
                       "return e.code == 1 and e.message == 'code 1' and tostring(e) == 'code 1'");
  assert_error_crosses(pair,
                       "return setmetatable({ message = 'm' }, { __tostring = function()\n"
                       "  return 'text' end })",
                       NULL, "return (...).message == 'm'");
  assert_error_crosses(pair, "return setmetatable({ 1 }, { __tostring = error })", NULL,
                       "return (...)[1] == 1 and (...).message:find 'cannot be told'");
  assert_error_crosses(pair,
                       "local bad = setmetatable({}, { __tostring = error })\n"
                       "return { bad = bad, n = 1, good = setmetatable({}, { __tostring =\n"
                       "  function() return 'good' end }) }",
                       NULL,
                       "local e = ... return e.bad == '(error object is a table value)' and\n"
                       "  e.n == 1 and e.good == 'good'");
  assert_error_crosses(pair, "local t = {} for i = 1, 300 do t = { t } end return t", NULL,
                       "local t = ... while type(t) == 'table' do t = t[1] end\n"
                       "return t:find('^table: 0x')");
}

static int l_decode_error(lua_State *L) {
  const struct slice *message = lua_touserdata(L, 1);
  transfer_decode_error(L, message->data, message->len);
  return 2;
}

static void other_messages_are_no_errors(void **state) {
  struct pair *pair = *state;
  lua_settop(pair->from, 0);
  pair_run(pair->from, "return 1, 2, 3");
  assert_int_equal(pair_encode(pair), LUA_OK);
  struct slice message = {.data = pair->buffer.data, .len = pair->buffer.len};
  for (int i = 0; i < 2; i++, message = (struct slice){0}) {
    lua_pushcfunction(pair->to, l_decode_error);
    lua_pushlightuserdata(pair->to, &message);
    assert_int_equal(lua_pcall(pair->to, 1, 2, 0), LUA_ERRRUN);
    assert_transfer_error(pair->to, "a message from another Lua state is damaged");
  }
}

int main(void) {
#define SPEC(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
  const struct CMUnitTest tests[] = {
      SPEC(scalars),
      SPEC(integers),
      SPEC(floats),
      SPEC(strings),
      SPEC(tables),
      SPEC(runs_of_elements),
      SPEC(gaps_cost_little),
      SPEC(large_tables),
      SPEC(shared_references),
      SPEC(classes),
      SPEC(errors_as_arguments),
      SPEC(registered_kinds),
      SPEC(refusals_name_the_path),
      SPEC(long_paths_are_cut),
      SPEC(nesting_has_a_limit),
      SPEC(messages_have_a_limit),
      SPEC(messages_append),
      SPEC(error_values),
      SPEC(error_values_with_metatables),
      SPEC(other_messages_are_no_errors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
