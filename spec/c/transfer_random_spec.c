/* transfer_random_spec.c - messages under stress: random values, damaged bytes, no memory.
 *
 * Values come from Lua's generator with a fixed seed and are compared by a canonical text of what
 * each state has. Damaged messages must give a value or an error of kind "transfer", within a
 * limit on memory; a state without memory must raise and stay whole. */
#include "transfer_pair.h"

#define VALUES       100
#define CORRUPTIONS  100000
#define SAMPLE_BYTES 2048
/* What one damaged message may make a state allocate beyond what it has. */
#define DAMAGE_BYTES_MAX ((size_t)1024 * 1024)

static const char generator[] =
    "math.randomseed(20240)\n"
    "local random, known = math.random, nil\n"
    "local special = { 0.0, -0.0, 1/0, -1/0, 0/0, 5e-324, math.maxinteger, math.mininteger,\n"
    "  null, true, false, '', print }\n"
    "local lengths = { 1, 5, 63, 64, 127, 128, 300, 20000 }\n"
    "local function text()\n"
    "  local bytes = {}\n"
    "  for i = 1, lengths[random(#lengths)] do bytes[i] = string.char(random(0, 255)) end\n"
    "  return table.concat(bytes)\n"
    "end\n"
    "local function scalar()\n"
    "  local kind = random(6)\n"
    "  if kind == 1 then return random(0) >> random(0, 63) end\n"
    "  if kind == 2 then return -random(0, 70000) end\n"
    "  if kind == 3 then return random() * 10.0 ^ random(-300, 300) end\n"
    "  if kind == 4 then return 'name' .. random(10) end\n"
    "  if kind == 5 then return special[random(#special)] end\n"
    "  return random(30) == 1 and text() or random(0, 200)\n"
    "end\n"
    "local value\n"
    "local function new_table(depth)\n"
    "  local t = {}\n"
    "  known[#known + 1] = t\n"
    "  for i = 1, random(0, 12) do\n"
    "    if random(8) > 1 then t[i] = value(depth + 1) end\n"
    "  end\n"
    "  for _ = 1, random(0, 8) do\n"
    "    local k = scalar()\n"
    "    if k == k then t[k] = value(depth + 1) end\n"
    "  end\n"
    "  if random(6) == 1 then t[value(9)] = 1 end\n"
    "  if random(8) == 1 then t[new_table(depth + 1)] = value(9) end\n"
    "  local mark = random(10)\n"
    "  if mark == 1 then array(t) elseif mark == 2 then class('class' .. random(3), t) end\n"
    "  return t\n"
    "end\n"
    "local function new_function(depth)\n"
    "  local a, b, c = value(depth + 1), nil, nil\n"
    "  local function get() return a, b, c end\n"
    "  local function set(x) a, c = x, a return get, print end\n"
    "  known[#known + 1], known[#known + 2] = get, set\n"
    "  b, c = known[random(#known)], value(depth + 1)\n"
    "  return random(2) == 1 and get or set\n"
    "end\n"
    "function value(depth)\n"
    "  if depth > 4 or random(3) > 1 then\n"
    "    local v repeat v = scalar() until v == v or depth < 9\n"
    "    return v\n"
    "  end\n"
    "  if random(10) == 1 and #known > 0 then return known[random(#known)] end\n"
    "  if random(6) == 1 then return new_function(depth) end\n"
    "  return new_table(depth)\n"
    "end\n"
    "function make_values()\n"
    "  known = {}\n"
    "  local list = { n = random(0, 5) }\n"
    "  for i = 1, list.n do list[i] = value(0) end\n"
    "  return table.unpack(list, 1, list.n)\n"
    "end\n";

/* A message with every lead byte in it. */
static const char sample[] =
    "local t = { 1, -1, 300, 70000, 1 << 40, 0.5, 'short', ('long'):rep(20), nil, true, false,\n"
    "  null, array { 1 }, class('perilune.error', { kind = 'x', message = 'y' }), box(3), print }\n"
    "t.self, t.box, t.print = t, t[15], print\n"
    "local function again(n) return again, t end\n"
    "t.again, t.peer, t.format, t.math = again, function() return again end, string.format, math\n"
    "for i = 1, 5 do t['key ' .. i] = { i, name = 'n' .. i } end\n"
    "return nil, t, t.self, { t[14] }, 'end'";

/* The canonical text of all values on the stack, which is emptied. */
static char *describe(lua_State *L) {
  lua_getglobal(L, "describe");
  lua_insert(L, 1);
  assert_int_equal(lua_pcall(L, lua_gettop(L) - 1, 1, 0), LUA_OK);
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  char *copy = memory_copy(text, len);
  lua_settop(L, 0);
  return copy;
}

static void random_values_arrive_as_they_were(void **state) {
  struct pair *pair = *state;
  pair_run(pair->from, generator);
  for (int i = 0; i < VALUES; i++) {
    pair_send(pair, "given = table.pack(make_values()) return table.unpack(given, 1, given.n)");
    pair_run(pair->from, "return table.unpack(given, 1, given.n)");
    assert_int_equal(lua_gettop(pair->from), lua_gettop(pair->to));
    char *sent = describe(pair->from), *got = describe(pair->to);
    assert_string_equal(sent, got);
    free(sent);
    free(got);
  }
}

static void encode_sample(struct pair *pair) {
  lua_settop(pair->from, 0);
  pair_run(pair->from, sample);
  assert_int_equal(pair_encode(pair), LUA_OK);
  assert_in_range(pair->buffer.len, 256, SAMPLE_BYTES);
}

static void assert_decodes_or_refuses(struct pair *pair, const char *data, size_t len) {
  if (pair_decode(pair, data, len) == LUA_OK) return;
  const char *kind = error_kind(pair->to, -1);
  if (!kind) fail_msg("%s", luaL_tolstring(pair->to, -1, NULL));
  assert_string_equal(kind, "transfer");
}

static void truncated_messages_are_refused(void **state) {
  struct pair *pair = *state;
  encode_sample(pair);
  for (size_t len = 1; len < pair->buffer.len; len++) {
    char *cut = memory_resize(memory_copy(pair->buffer.data, len), len);
    assert_decodes_or_refuses(pair, cut, len);
    assert_true(lua_istable(pair->to, -1)); /* the error: no message is the start of another */
    assert_non_null(error_kind(pair->to, -1));
    free(cut);
  }
  buffer_add_byte(&pair->buffer, 0);
  assert_int_equal(pair_decode(pair, pair->buffer.data, pair->buffer.len), LUA_ERRRUN);
}

static void corrupted_messages_do_no_harm(void **state) {
  struct pair *pair = *state;
  struct tally *memory = &pair->memory[1];
  encode_sample(pair);
  size_t len = pair->buffer.len;
  char *bytes = memory_resize(memory_copy(pair->buffer.data, len), len);
  uint64_t seed = 1;
  for (int i = 0; i < CORRUPTIONS; i++) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    size_t at = (size_t)(seed >> 33) % len;
    char kept = bytes[at];
    bytes[at] = (char)(kept ^ (char)(1 + (seed >> 24) % 255));
    memory->limit_bytes = memory->used_bytes + DAMAGE_BYTES_MAX;
    assert_decodes_or_refuses(pair, bytes, len);
    bytes[at] = kept;
  }
  memory->limit_bytes = 0;
  assert_int_equal(pair_decode(pair, bytes, len), LUA_OK);
  free(bytes);
}

/* Lengths and counts that promise far more than there is. */
static void absurd_lengths_are_refused(void **state) {
  struct pair *pair = *state;
  static const struct slice messages[] = {
      {"\x02\xC0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F", 11},             /* string */
      {"\x02\xC0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 12},         /* string, 64 bits */
      {"\x02\xC0\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 14}, /* endless varint */
      {"\x02\xCA\x00\xFF\xFF\xFF\x7F", 7},                              /* run */
      {"\x02\xCA\x20\x00\xC1", 5},                                      /* pairs */
      {"\x02\xCA\xFF\x00\xC1", 5},                                      /* more pairs */
      {"\xFE\xFF\xFF\x7F\xC1", 5},                                      /* values */
      {"\x02\xCD\x88spec.box\xFF\xFF\xFF\xFF", 15},                     /* bytes of a kind */
      {"\x03\xCE\x01", 3},                                              /* reference */
      {"\x02\xCE\x01", 3},                                              /* and no table of them */
      {"\x02\xFF", 2},                                                  /* lead byte */
      {"\x02\xCA\x01\x00\xC8\x00\x00\x00\x00\x00\x00\xF8\x7F\x01\xC1", 15}, /* key NaN */
  };
  struct tally *memory = &pair->memory[1];
  for (size_t i = 0; i < array_len(messages); i++) {
    memory->limit_bytes = memory->used_bytes + DAMAGE_BYTES_MAX;
    assert_int_equal(pair_decode(pair, messages[i].data, messages[i].len), LUA_ERRRUN);
    assert_string_equal(error_kind(pair->to, -1), "transfer");
  }
  memory->limit_bytes = 0;
}

/* As deep and as wide as the bytes allow: each table promises all that is left. */
static void nested_promises_are_refused(void **state) {
  struct pair *pair = *state;
  enum { BYTES = 100000 };
  char *bytes = memory_alloc(BYTES);
  memset(bytes, 1, BYTES);
  bytes[0] = 2;
  for (int i = 0; i < 150; i++) memcpy(bytes + 1 + i * 5, "\xCA\x00\xD0\x86\x03", 5);
  struct tally *memory = &pair->memory[1];
  memory->limit_bytes = memory->used_bytes + 4 * DAMAGE_BYTES_MAX;
  assert_int_equal(pair_decode(pair, bytes, BYTES), LUA_ERRRUN);
  assert_string_equal(error_kind(pair->to, -1), "transfer");
  for (int i = 0; i < 1000; i++) memcpy(bytes + 1 + i * 3, "\xCA\x00\x01", 3); /* only deep */
  assert_int_equal(pair_decode(pair, bytes, BYTES), LUA_ERRRUN);
  assert_string_equal(error_kind(pair->to, -1), "transfer");
  free(bytes);
}

/* --- no memory --- */

static int l_encode_error(lua_State *L) {
  struct pair *pair = lua_touserdata(L, lua_upvalueindex(1));
  transfer_encode_error(L, 1, "traceback", &pair->buffer);
  return 0;
}

static int l_decode_pair(lua_State *L) {
  struct pair *pair = lua_touserdata(L, lua_upvalueindex(1));
  return transfer_decode(L, pair->buffer.data, pair->buffer.len);
}

/* Calls `function` on the values that `code` gives, in a state whose n-th request for memory and
 * all after it fail, for every n until there are enough. Gives how often it failed. */
static int count_failures(struct pair *pair, lua_State *L, struct tally *memory,
                          lua_CFunction function, const char *code, bool clear) {
  int failures = 0;
  for (long n = 0;; n++) {
    lua_settop(L, 0);
    lua_pushlightuserdata(L, pair);
    lua_pushcclosure(L, function, 1);
    pair_run(L, code);
    lua_gc(L, LUA_GCCOLLECT);
    if (clear) buffer_clear(&pair->buffer);
    memory->failing = true;
    memory->left = n;
    int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
    bool enough = memory->left >= 0;
    memory->failing = false;
    if (status == LUA_OK) {
      if (enough) return failures;
      continue;
    }
    failures++;
    assert_int_equal(status, LUA_ERRMEM);
    assert_string_equal(lua_tostring(L, -1), "not enough memory");
  }
}

static const char many_tables[] =
    "local t = { box(1), print, null } for i = 1, 200 do t[i + 3] = { i, k = array {} } end\n"
    "for i = 1, 20 do t['f' .. i] = function() return i, t, print end end\n"
    "local deep = {} for i = 1, 150 do deep = { deep } end\n"
    "return t, deep, class('fresh', t[4])";

static void encoding_without_memory_raises(void **state) {
  struct pair *pair = *state;
  assert_true(count_failures(pair, pair->from, &pair->memory[0], l_encode, many_tables, true) > 2);
  assert_int_equal(pair_decode(pair, pair->buffer.data, pair->buffer.len), LUA_OK);
}

static void decoding_without_memory_raises(void **state) {
  struct pair *pair = *state;
  pair_run(pair->from, many_tables);
  assert_int_equal(pair_encode(pair), LUA_OK);
  int failures = count_failures(pair, pair->to, &pair->memory[1], l_decode_pair, "return", false);
  assert_true(failures > 400);
  assert_int_equal(lua_gettop(pair->to), 3);
}

static void errors_without_memory_raise_or_cross(void **state) {
  struct pair *pair = *state;
  static const char error[] =
      "local e = { { {} }, f = pairs, g = function() return io.stdout end, bad = setmetatable({}, "
      "{ __tostring = error }) }\n"
      "for i = 1, 50 do e[i] = setmetatable({}, { __name = 'Name' .. i }) end\n"
      "return setmetatable(e, { __tostring = function() return ('text'):rep(20) end })";
  assert_true(count_failures(pair, pair->from, &pair->memory[0], l_encode_error, error, true) > 2);
  assert_int_equal(pair_decode(pair, pair->buffer.data, pair->buffer.len), LUA_OK);
  assert_int_equal(lua_gettop(pair->to), 2);
}

int main(void) {
#define SPEC(name) cmocka_unit_test_setup_teardown(name, pair_setup, pair_teardown)
  const struct CMUnitTest tests[] = {
      SPEC(random_values_arrive_as_they_were), SPEC(truncated_messages_are_refused),
      SPEC(corrupted_messages_do_no_harm),     SPEC(absurd_lengths_are_refused),
      SPEC(nested_promises_are_refused),       SPEC(encoding_without_memory_raises),
      SPEC(decoding_without_memory_raises),    SPEC(errors_without_memory_raise_or_cross),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
