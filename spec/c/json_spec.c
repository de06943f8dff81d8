/* json_spec.c - perilune.json as Lua code sees it, the C doors, and memory that runs out.
 *
 * Each spec has a Lua state of its own; what is about Lua values is written in Lua. The allocator
 * of that state counts its bytes, so a leak is seen, and can be told to refuse from the n-th
 * request on. Memory of C is watched by the address sanitizer. */
#include "base/base.h"
#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "lib/json.h"

#include <lauxlib.h>
#include <lualib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct heap {
  size_t used_bytes;
  long grants; /* requests that are still granted; negative: all */
};

struct site {
  lua_State *L;
  struct heap heap;
};

static const char helpers[] =
    "json = require 'perilune.json'\n"
    "function fails(want, f, ...)\n"
    "  local ok, err = pcall(f, ...)\n"
    "  assert(not ok, 'no error')\n"
    "  assert(tostring(err):find(want, 1, true), tostring(err) .. ' does not say: ' .. want)\n"
    "  return err\n"
    "end\n"
    "function bad(text, want) assert(fails(want, json.decode, text).kind == 'json') end\n"
    "function no(value, want)\n"
    "  local err = fails(want, json.encode, value)\n"
    "  assert(err.kind == 'json' and err.message == tostring(err))\n"
    "end\n"
    "function is(text, value)\n"
    "  local got = json.encode(value)\n"
    "  assert(got == text, got .. ' instead of ' .. text)\n"
    "end\n"
    "function round(text, want) is(want or text, json.decode(text)) end\n";

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  struct heap *heap = context;
  if (!block) old_size = 0;
  if (new_size == 0) {
    heap->used_bytes -= old_size;
    free(block);
    return NULL;
  }
  if (new_size > old_size && heap->grants == 0) return NULL;
  if (new_size > old_size && heap->grants > 0) heap->grants--;
  void *grown = realloc(block, new_size);
  if (grown) heap->used_bytes += new_size - old_size;
  return grown;
}

static void site_open(struct site *site) {
  *site = (struct site){.heap = {.grants = -1}};
  site->L = lua_newstate(allocate, &site->heap);
  assert_non_null(site->L);
}

static void site_close(struct site *site) {
  site->heap.grants = -1;
  lua_close(site->L);
  assert_int_equal(site->heap.used_bytes, 0);
}

/* Runs Lua code with the helpers above in a state of its own. */
static void run(const char *code) {
  struct site site;
  site_open(&site);
  luaL_openlibs(site.L);
  luaL_requiref(site.L, "perilune.json", luaopen_perilune_json, 0);
  if (luaL_dostring(site.L, helpers) || luaL_loadbuffer(site.L, code, strlen(code), "=spec") ||
      lua_pcall(site.L, 0, 0, 0)) {
    fail_msg("%s", luaL_tolstring(site.L, -1, NULL));
  }
  site_close(&site);
}

static void encodes_scalars(void **state) {
  (void)state;
  run("is('true', true) is('false', false) is('null', json.null) is('\"\"', '')\n"
      "is('0', 0) is('-1', -1) is('1234567890', 1234567890)\n"
      "is('9223372036854775807', math.maxinteger) is('-9223372036854775808', math.mininteger)\n"
      "is('5.0', 5.0) is('-5.5', -5.5) is('0.0', 0.0) is('-0.0', -0.0) is('0.1', 0.1)\n"
      "is('0.30000000000000004', 0.1 + 0.2) is('1000000000000000.0', 1e15) is('1e+16', 1e16)\n"
      "is('9007199254740994.0', 2.0^53 + 2) is('5e-324', 5e-324) is('1e-06', 1e-6)\n"
      "is('1.7976931348623157e+308', 1.7976931348623157e308)");
}

static void floats_come_back_the_same(void **state) {
  (void)state;
  run("local x = 0x9E3779B97F4A7C15\n"
      "for i = 1, 20000 do\n"
      "  x = x ~ (x << 13) x = x ~ (x >> 7) x = x ~ (x << 17)\n"
      "  local f = string.unpack('d', string.pack('j', x))\n"
      "  if f == f and math.abs(f) ~= math.huge then\n"
      "    local g = json.decode(json.encode(f))\n"
      "    assert(g == f and math.type(g) == 'float', json.encode(f))\n"
      "  end\n"
      "  f = (x % 2000001 - 1000000) / 1000\n"
      "  local g = json.decode(json.encode(f))\n"
      "  assert(g == f and math.type(g) == 'float', json.encode(f))\n"
      "end");
}

static void escapes_what_must_be_escaped(void **state) {
  (void)state;
  run("is([[\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f]] .. '\\127\"',\n"
      "   '\"\\\\/\\b\\f\\n\\r\\t\\0\\31\\127')\n"
      "is('\"\\u{E9}\\u{1F600}\"', '\\u{E9}\\u{1F600}')\n"
      "for len = 0, 40 do\n" /* each byte that needs it at each place of each length */
      "  is('\"' .. ('x'):rep(len) .. '\"', ('x'):rep(len))\n"
      "  for at = 1, len do\n"
      "    for byte, want in pairs { ['\"'] = '\\\\\"', ['\\\\'] = '\\\\\\\\', ['\\n'] = '\\\\n',\n"
      "                              ['\\1'] = '\\\\u0001', ['\\u{E9}'] = '\\u{E9}' } do\n"
      "      local left, right = ('a'):rep(at - 1), ('b'):rep(len - at)\n"
      "      is('\"' .. left .. want .. right .. '\"', left .. byte .. right)\n"
      "    end\n"
      "    no(('a'):rep(at - 1) .. '\\xFF' .. ('b'):rep(len - at), 'not valid UTF-8')\n"
      "  end\n"
      "end\n"
      "for i = 0, 127 do local c = string.char(i) assert(json.decode(json.encode(c)) == c) end\n"
      "local all = ('\\1'):rep(10000) is('\"' .. ('\\\\u0001'):rep(10000) .. '\"', all)");
}

static void encodes_tables(void **state) {
  (void)state;
  run("is('{}', {}) is('[]', json.array()) is('[]', json.array {}) is('[1,2,3]', { 1, 2, 3 })\n"
      "is('{\"a\":[{\"b\":[]}]}', { a = { { b = json.array() } } })\n"
      "local hashed = {} for i = 20, 1, -1 do hashed[i] = i end\n"
      "is('[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]', hashed)\n"
      "local t = setmetatable({ 1 }, { __index = error, __pairs = error, __len = error })\n"
      "is('[1]', t)\n"
      "local shared = { 1 } is('[[1],[1]]', { shared, shared })\n"
      "local t = {} assert(json.array(t) == t) is('[]', t)\n"
      "is('{\"1\":2}', { ['1'] = 2 })");
}

/* As async.map gives its results. */
static void takes_the_length_of_an_array_from_its_n(void **state) {
  (void)state;
  run("is('[]', json.array { n = 0 }) is('[1,2]', json.array { 1, 2, n = 2 })\n"
      "is('[null,null]', json.array { n = 2 })\n"
      "is('[1,null,[3],null]', json.array { 1, nil, { 3 }, n = 4 })\n"
      "is('[[],[null]]', { json.array { n = 0 }, json.array { n = 1 } })\n"
      "is('{\"a\":[]}', { a = json.array { n = 0 } })\n"
      "is('[1,2,3]', json.array { 1, 2, 3, n = 2 })\n"
      "no({ 1, 2, n = 2 }, 'value: a table with both strings and numbers')\n"
      "no(json.array { 1, n = 'x' }, 'a list cannot have the key \"n\"')\n"
      "no(json.array { 1, n = 2.5 }, 'a list cannot have the key \"n\"')\n"
      "no(json.array { 1, nil, 3, n = 2 }, 'a list with holes')\n"
      "no(json.array { n = 2, a = 1 }, 'a list cannot have the key \"a\"')\n");
}

static void refuses_with_the_path(void **state) {
  (void)state;
  run("no({ users = { {}, { photo = print } } },\n"
      "   'cannot encode value.users[2].photo: a function has no JSON form')\n"
      "no(nil, 'value: nil has no JSON form') no(io.stdout, 'value: a userdata has no JSON form')\n"
      "no({ coroutine.create(print) }, 'value[1]: a thread has no JSON form')\n"
      "no({ x = 0/0 }, 'value.x: nan') no({ 1, -1/0 }, 'value[2]: inf')\n"
      "no({ 1, 2, nil, 4 }, 'value: a list with holes: its last key is 4, but it has 3 items')\n"
      "no({ [7] = 1 }, 'a list with holes') no({ [0] = 1 }, 'a list cannot have the key 0')\n"
      "no({ l = { 1, 2, a = 3 } }, 'value.l: a table with both strings and num')\n"
      "no(json.array { a = 1 }, 'a list cannot have the key \"a\"')\n"
      "no({ [1.5] = 1 }, 'cannot have the key 1.5') no({ [true] = 1 }, 'a boolean cannot be a "
      "key')\n"
      "no({ a = 1, [2] = 2 }, 'a table with both') no({ [{}] = 1 }, 'a table cannot be a key')\n"
      "no({ a = '\\xFF' }, 'value.a: the string is not valid UTF-8')\n"
      "no({ ['c\\xFF'] = 1 }, [[value[\"c\\xFF\"]: the key is not valid UTF-8]])\n"
      "no({ ['a b'] = { ['end\"'] = print } }, [[value[\"a b\"][\"end\\\"\"]: a function]])\n"
      "no({ [('k'):rep(1000)] = print }, [[value[\"]] .. ('k'):rep(64) .. [[...\"]: a function]])");
}

static void refuses_cycles_and_depth(void **state) {
  (void)state;
  run("for n = 0, 20 do\n" /* a chain of n tables whose last one leads back to the m-th */
      "  for m = 0, n do\n"
      "    local chain = {}\n"
      "    for i = 0, n do chain[i] = {} end\n"
      "    for i = 0, n - 1 do chain[i].k = chain[i + 1] end\n"
      "    chain[n].k = chain[m]\n"
      "    local path = n + 1 <= 16 and ('.k'):rep(n + 1) or ('.k'):rep(16) .. '...'\n"
      "    no(chain[0], 'cannot encode value' .. path .. ': a table that contains itself')\n"
      "  end\n"
      "end\n"
      "local function nest(n) local t = { 1 } for _ = 2, n do t = { t } end return t end\n"
      "is(('['):rep(1000) .. '1' .. (']'):rep(1000), nest(1000))\n"
      "no(nest(1001), 'nested deeper than 1000')\n"
      "round(('['):rep(1000) .. '1' .. (']'):rep(1000))\n"
      "bad(('['):rep(1001) .. '1' .. (']'):rep(1001), 'nest too deep')\n"
      "bad(('{\"a\":'):rep(100000), 'nest too deep')");
}

static void decodes_values(void **state) {
  (void)state;
  run("round('true') round('\"x\"') round('[]') round('{}') round('[[],{}]') round(' 1 ', '1')\n"
      "round('5.0') round('5') round('-0.0') round('1e2', '100.0') round('[1,2.5,\"a\"]')\n"
      "round('9223372036854775807') round('-9223372036854775808')\n"
      "round('9223372036854775808', '9.223372036854776e+18')\n"
      "round('-9223372036854775809', '-9.223372036854776e+18')\n"
      "round('[18446744073709551615,18446744073709551616,7]',\n"
      "      '[1.8446744073709552e+19,1.8446744073709552e+19,7]')\n"
      "round('[\"\\\\\"100000000000000000000\",100000000000000000000.5,100000000000000000000]',\n"
      "      '[\"\\\\\"100000000000000000000\",1e+20,1e+20]')\n"
      "round('1e-400', '0.0') round('{\"a\":1,\"a\":2}', '{\"a\":2}')\n"
      "assert(math.type(json.decode '3') == 'integer' and math.type(json.decode '3.0') == "
      "'float')\n"
      "assert(json.decode [[\"\\u00e9\\ud83d\\ude00\\u0000\\/\"]] == '\\u{E9}\\u{1F600}\\0/')\n"
      "local long = ('\\u{E9}x'):rep(300000) assert(json.decode(json.encode(long)) == long)\n"
      "assert(json.decode(json.encode { '' })[1] == '')");
}

static void decodes_nulls(void **state) {
  (void)state;
  run("local null = json.null\n"
      "assert(tostring(null) == 'null' and null == json.decode 'null')\n"
      "local t = json.decode '{\"a\":null,\"b\":[null,1]}'\n"
      "assert(t.a == nil and t.b[1] == null and #t.b == 2)\n"
      "for _, keep in ipairs { true, null } do\n"
      "  assert(json.decode('{\"a\":null}', { null = keep }).a == null)\n"
      "end\n"
      "assert(json.decode('{\"a\":null}', { null = false }).a == nil)\n"
      "assert(json.decode('{\"a\":1,\"a\":null}').a == nil)");
}

static void keys_do_not_mix(void **state) {
  (void)state;
  run("local keys = { '' }\n" /* all lengths around what is remembered, differing in one byte */
      "for len = 1, 20 do\n"
      "  for at = 1, len do\n"
      "    for _, byte in ipairs { 'a', 'b', '\\0' } do\n"
      "      keys[#keys + 1] = ('x'):rep(at - 1) .. byte .. ('x'):rep(len - at)\n"
      "    end\n"
      "  end\n"
      "end\n"
      "for i = 1, 600 do keys[#keys + 1] = 'key' .. i end\n"
      "local object = {} for i, key in ipairs(keys) do object[key] = i end\n"
      "local text = json.encode(object)\n"
      "for _ = 1, 2 do\n"
      "  local got, count = json.decode(text), 0\n"
      "  for key, i in pairs(got) do count = count + 1 assert(keys[i] == key) end\n"
      "  assert(count == #keys)\n"
      "  collectgarbage()\n"
      "end");
}

static void says_where_a_text_is_wrong(void **state) {
  (void)state;
  run("bad('', 'line 1, column 1 (byte 1): expected a value, but the text ends')\n"
      "bad('{\"a\":\\n\\n  tru}', 'invalid JSON at line 3, column 3 (byte 10): expected a value')\n"
      "bad('[1,]', '(byte 4): expected a value') bad('[1 2]', \"(byte 4): expected ',' or ']'\")\n"
      "bad('{\"a\" 1}', \"(byte 6): expected ':'\") bad('{a:1}', 'expected a key in double "
      "quotes')\n"
      "bad('{\"a\":1', \"expected ',' or '}', but the text ends\")\n"
      "bad('{\"a\":1,}', '(byte 8): expected a key') bad('1 2', 'more text behind the value')\n"
      "bad('01', 'leading zero') bad('1.', 'expected a digit') bad('-', 'expected a digit')\n"
      "bad('+1', 'expected a value') bad('NaN', 'expected a value') bad('nul', 'expected a "
      "value')\n"
      "bad('1e400', 'the number is too large') bad('[-1e999]', '(byte 2): the number is too "
      "large')\n"
      "bad('[1e400,100000000000000000000]', '(byte 2)') bad('\"a', 'expected the end of the "
      "string')\n"
      "bad('\"\\n\"', 'control character') bad('\"\\xFF\"', '(byte 2): invalid UTF-8')\n"
      "bad('\"\\xED\\xA0\\x80\"', 'invalid UTF-8') bad('\"\\xC0\\x80\"', 'invalid UTF-8')\n"
      "bad('[1]\\0', 'more text') bad('\\xEF\\xBB\\xBF1', 'expected a value')\n"
      "bad([[\"\\q\"]], 'unknown escape') bad([[\"\\u12g4\"]], 'four hex digits')\n"
      "for _, half in ipairs { [[\"\\ud800\"]], [[\"\\udc00\"]], [[\"\\ud800\\u0041\"]],\n"
      "                        [[\"\\ud800\\ud800\"]] } do bad(half, 'half of a surrogate pair') "
      "end");
}

static void checks_arguments(void **state) {
  (void)state;
  run("local function plain(want, ...) assert(type(fails(want, ...)) == 'string') end\n"
      "plain('unknown option \"nul\" (did you mean \"null\"?)', json.decode, '1', { nul = true })\n"
      "plain('options have names', json.decode, '1', { true })\n"
      "plain('option \"null\" is true or perilune.null, not a number', json.decode, '1', {null = "
      "1})\n"
      "plain('string expected, got number', json.decode, 1) plain('value expected', json.encode)\n"
      "plain('unknown option \"null\"', json.encode, 1, { null = true }) plain('table expected', "
      "json.array, 1)\n"
      "plain('spec:', function() json.decode('1', { nul = true }) end)");
}

/* A finalizer that encodes and decodes while a decode runs. */
static void may_be_entered_from_finalizers(void **state) {
  (void)state;
  run("local text, runs = '{\"a\":[1,2,3],\"key\":{\"b\":\"text\"}}', 0\n"
      "local function litter()\n"
      "  setmetatable({}, { __gc = function()\n"
      "    runs = runs + 1\n"
      "    assert(json.decode('[\"other\",{\"a\":7}]')[2].a == 7 and json.encode { 7 } == '[7]')\n"
      "  end })\n"
      "end\n"
      "local list = {}\n"
      "for i = 1, 200 do list[i] = text end\n"
      "local all = '[' .. table.concat(list, ',') .. ']'\n"
      "collectgarbage('setpause', 100)\n"
      "for i = 1, 300 do\n"
      "  litter()\n"
      "  for _, value in ipairs(json.decode(all)) do\n"
      "    assert(value.a[3] == 3 and value.key.b == 'text')\n"
      "  end\n"
      "  assert(json.encode { 'x', i } == '[\"x\",' .. i .. ']')\n"
      "end\n"
      "assert(runs > 10)");
}

static void doors_leave_one_value(void **state) {
  (void)state;
  struct site site;
  struct buffer out = {0};
  site_open(&site);
  assert_true(json_try_decode(site.L, "{\"a\":null,\"b\":[]}", 17, JSON_KEEP_NULL));
  assert_int_equal(lua_gettop(site.L), 1);
  lua_getfield(site.L, 1, "a");
  assert_true(class_is_null(site.L, -1));
  lua_getfield(site.L, 1, "b");
  assert_true(class_is_array(site.L, -1));
  buffer_add_text(&out, "body: ");
  json_encode(site.L, -1, &out);
  assert_int_equal(lua_gettop(site.L), 3);
  assert_int_equal(out.len, strlen("body: []"));
  assert_memory_equal(out.data, "body: []", out.len);
  assert_false(json_try_decode(site.L, "[1,", 2, 0));
  assert_int_equal(lua_gettop(site.L), 4);
  assert_non_null(strstr(lua_tostring(site.L, -1), "expected ',' or ']'"));
  buffer_finish(&out);
  site_close(&site);
}

/* Decodes the text that is argument 1, and encodes what that gives. Argument 2: the buffer. */
static int decode_and_encode(lua_State *L) {
  size_t len;
  const char *text = lua_tolstring(L, 1, &len);
  json_decode(L, text, len, 0);
  json_encode(L, -1, lua_touserdata(L, 2));
  lua_settop(L, 2);
  return luaopen_perilune_json(L);
}

/* Runs decode_and_encode with `grants` allocations and gives its status. */
static int run_with_grants(const char *text, long grants, struct buffer *out) {
  struct site site;
  site_open(&site);
  lua_checkstack(site.L, LUA_MINSTACK);
  lua_pushcfunction(site.L, decode_and_encode);
  lua_pushstring(site.L, text);
  lua_pushlightuserdata(site.L, out);
  site.heap.grants = grants;
  int status = lua_pcall(site.L, 2, 1, 0);
  if (status == LUA_ERRMEM) assert_string_equal(lua_tostring(site.L, -1), "not enough memory");
  if (status == LUA_ERRRUN) assert_string_equal(error_kind(site.L, -1), "json");
  site_close(&site);
  return status;
}

/* With ever more allocations granted: "not enough memory", until it ends as it should. */
static void assert_survives(const char *text, int status_wanted) {
  long grants = 0;
  for (int status = LUA_ERRMEM; status == LUA_ERRMEM; grants++) {
    struct buffer out = {0};
    status = run_with_grants(text, grants, &out);
    if (status != LUA_ERRMEM) assert_int_equal(status, status_wanted);
    buffer_finish(&out);
  }
  assert_true(grants > 10);
}

static void memory_may_run_out_anywhere(void **state) {
  (void)state;
  assert_survives("[1,2.5,\"some text that is longer than forty bytes, to be no short string\","
                  "{\"a\":null,\"key\":{\"b\":[[[[]]],true]}},null]",
                  LUA_OK);
  assert_survives(
      "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[7]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", LUA_OK);
  assert_survives("{\"wide\":[100000000000000000000]}", LUA_OK);
  assert_survives("[1,2,", LUA_ERRRUN);
}

/* After a decode that failed for want of memory the state decodes as before. */
static void works_after_memory_ran_out(void **state) {
  (void)state;
  for (long grants = 0; grants < 20; grants++) {
    struct site site;
    struct buffer out = {0};
    site_open(&site);
    for (int round = 0; round < 2; round++) {
      lua_settop(site.L, 0);
      lua_pushcfunction(site.L, decode_and_encode);
      lua_pushliteral(site.L, "{\"a\":[{\"b\":1}]}");
      lua_pushlightuserdata(site.L, &out);
      buffer_clear(&out);
      site.heap.grants = round == 0 ? grants : -1;
      int status = lua_pcall(site.L, 2, 1, 0);
      if (round == 1) assert_int_equal(status, LUA_OK);
    }
    assert_int_equal(out.len, strlen("{\"a\":[{\"b\":1}]}"));
    buffer_finish(&out);
    site_close(&site);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(encodes_scalars),
      cmocka_unit_test(floats_come_back_the_same),
      cmocka_unit_test(escapes_what_must_be_escaped),
      cmocka_unit_test(encodes_tables),
      cmocka_unit_test(takes_the_length_of_an_array_from_its_n),
      cmocka_unit_test(refuses_with_the_path),
      cmocka_unit_test(refuses_cycles_and_depth),
      cmocka_unit_test(decodes_values),
      cmocka_unit_test(decodes_nulls),
      cmocka_unit_test(keys_do_not_mix),
      cmocka_unit_test(says_where_a_text_is_wrong),
      cmocka_unit_test(checks_arguments),
      cmocka_unit_test(may_be_entered_from_finalizers),
      cmocka_unit_test(doors_leave_one_value),
      cmocka_unit_test(memory_may_run_out_anywhere),
      cmocka_unit_test(works_after_memory_ran_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
