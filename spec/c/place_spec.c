/* place_spec.c - identities of marked functions, the same in every state and never mixed up.
 *
 * Two states mark the functions of the same chunks, in whatever order; what one state calls by its
 * identity must be the other's copy of that very function. The host of the calls only counts. */
#include "worker_fixture.h"

#include "core/call.h"
#include "core/instance.h"
#include "core/place.h"

struct counting_host {
  struct call_host host;
  int references;
};

/* References to the host that are not of marks: both states remember who their app is loaded for.
 */
enum { OF_LOADS = 2 };

struct pair {
  struct fixture *here, *there;
  struct counting_host host;
};

static void retain(struct call_host *host) {
  container_of(host, struct counting_host, host)->references++;
}

static void release(struct call_host *host) {
  container_of(host, struct counting_host, host)->references--;
}

/* mark(fn, name | nil, pool | nil) -> the marked function */
static int mark(lua_State *L) {
  const struct place_options options = {.pool = luaL_optstring(L, 3, NULL),
                                        .name = luaL_optstring(L, 2, NULL)};
  place_mark(L, 1, &options);
  return 1;
}

/* identity(value) -> string, or nil when it is not marked */
static int identity(lua_State *L) {
  const struct place *place = place_of(L, 1);
  if (!place) return 0;
  lua_pushlstring(L, place->identity, place->identity_len);
  return 1;
}

static int marked_function(lua_State *L) {
  place_push_function(L, 1);
  return 1;
}

/* found(identity) -> this state's function */
static int found(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  place_push_found(L, text, len);
  assert_int_equal(lua_gettop(L), 2);
  return 1;
}

static int begin_load(lua_State *L) {
  place_begin_load(L, (struct call_host *)lua_touserdata(L, lua_upvalueindex(1)));
  return 0;
}

static int end_load(lua_State *L) {
  place_end_load(L);
  return 0;
}

static int forget(lua_State *L) {
  struct instance *before = instance_shown(L);
  struct call_host *host = lua_touserdata(L, lua_upvalueindex(1));
  instance_begin(L, worker_of(L)->snapshot);
  instance_end(L, before);
  place_begin_load(L, host);
  return 0;
}

static int is_loading(lua_State *L) {
  lua_pushboolean(L, place_is_loading(L));
  return 1;
}

static struct fixture *start_state(struct pair *pair) {
  static const luaL_Reg functions[] = {
      {"mark", mark},     {"identity", identity},     {"marked_function", marked_function},
      {"found", found},   {"begin_load", begin_load}, {"end_load", end_load},
      {"forget", forget}, {"is_loading", is_loading}, {NULL, NULL}};
  struct fixture *fixture = fixture_start(0, 0);
  lua_State *L = fixture->worker.L;
  lua_pushglobaltable(L);
  lua_pushlightuserdata(L, &pair->host.host);
  luaL_setfuncs(L, functions, 1);
  lua_pop(L, 1);
  instance_begin(L, NULL); /* not the first one, which stays */
  place_begin_load(L, &pair->host.host);
  return fixture;
}

static int start_pair(void **state) {
  struct pair *pair = memory_alloc_zero(sizeof *pair);
  pair->host.host = (struct call_host){.retain = retain, .release = release};
  pair->here = start_state(pair);
  pair->there = start_state(pair);
  *state = pair;
  return 0;
}

static int stop_pair(void **state) {
  struct pair *pair = *state;
  fixture_stop(pair->here);
  fixture_stop(pair->there);
  assert_int_equal(pair->host.references, 0);
  free(pair);
  return 0;
}

static void load(struct fixture *fixture, const char *chunk) {
  lua_State *L = fixture->worker.L;
  if (luaL_loadbufferx(L, chunk, strlen(chunk), "@app.lua", "t") || lua_pcall(L, 0, 0, 0))
    fail_msg("%s", lua_tostring(L, -1));
}

/* Both states run `chunk`, which leaves marked functions in the global list `all`. What `here`
 * identifies must be found in `there`, and call what has the same answer. */
static void expect_all_found(struct pair *pair, const char *chunk, const char *chunk_there) {
  lua_State *here = pair->here->worker.L, *there = pair->there->worker.L;
  load(pair->here, chunk);
  load(pair->there, chunk_there);
  lua_getglobal(here, "all");
  int count = (int)lua_rawlen(here, -1);
  assert_true(count > 0);
  for (int i = 1; i <= count; i++) {
    size_t len;
    lua_rawgeti(here, -1, i);
    const struct place *place = place_of(here, -1);
    assert_non_null(place);
    lua_pushcfunction(there, found);
    lua_pushlstring(there, place->identity, place->identity_len);
    place_push_function(here, -1);
    if (lua_pcall(there, 1, 1, 0) || lua_pcall(there, 0, 1, 0) || lua_pcall(here, 0, 1, 0))
      fail_msg("%s", lua_tostring(there, -1));
    const char *expected = luaL_tolstring(here, -1, &len);
    assert_string_equal(luaL_tolstring(there, -1, NULL), expected);
    assert_int_equal(lua_type(there, -2), lua_type(here, -2));
    lua_settop(there, 0);
    lua_settop(here, 1);
  }
  lua_settop(here, 0);
}

static void expect_same(struct pair *pair, const char *chunk) {
  expect_all_found(pair, chunk, chunk);
}

/* ---- marks ---- */

static void is_a_plain_function(void **state) {
  struct pair *pair = *state;
  load(pair->here, "local function f() end\n"
                   "local m = mark(f)\n"
                   "assert(type(m) == 'function' and m ~= f)\n"
                   "assert(marked_function(m) == f)\n"
                   "assert(identity(m) and not identity(f) and not identity(print))\n"
                   "assert(not identity(nil) and not identity(5) and not identity({}))\n"
                   "assert(is_loading()) end_load() assert(not is_loading())\n");
  assert_int_equal(pair->host.references, OF_LOADS + 1);
}

static void is_made_while_the_app_loads(void **state) {
  struct pair *pair = *state;
  load(pair->here, "end_load()\n"
                   "fails('misuse', 'async.run_blocking', mark, function() end)\n"
                   "begin_load()\n"
                   "local m = mark(function() end)\n"
                   "fails('misuse', 'marked already', mark, m)\n"
                   "fails('misuse', 'a C function cannot be marked', mark, print)\n");
}

static void keeps_the_pool(void **state) {
  struct pair *pair = *state;
  lua_State *L = pair->here->worker.L;
  load(pair->here, "a, b = mark(function() end, nil, 'video'), mark(function() end)");
  lua_getglobal(L, "a");
  assert_string_equal(place_of(L, -1)->pool, "video");
  lua_getglobal(L, "b");
  assert_null(place_of(L, -1)->pool);
  lua_settop(L, 0);
}

static void is_released_when_collected(void **state) {
  struct pair *pair = *state;
  load(pair->here, "for i = 1, 100 do mark(function() return i end) end");
  assert_int_equal(pair->host.references, OF_LOADS + 100);
  load(pair->here, "forget() collectgarbage() collectgarbage()");
  assert_int_equal(pair->host.references, OF_LOADS);
}

/* ---- identities ---- */

static void finds_functions_by_line_and_code(void **state) {
  expect_same(*state, "all = { mark(function() return 1 end),\n"
                      "  mark(function() return 2 end), mark(function() return 3 end),\n"
                      "  mark(function(a) return a end) }\n"
                      "local function named() return 'named' end\n"
                      "all[5] = mark(named)\n");
}

/* pairs() gives other states another order. */
static void finds_functions_marked_in_another_order(void **state) {
  static const char chunk[] =
      "all = {}\n"
      "local list = { 'a', 'b', 'c', 'd' }\n"
      "local from, to, step = 1, 4, 1 if %s then from, to, step = 4, 1, -1 end\n"
      "for i = from, to, step do local name = list[i]\n"
      "  all[#all + 1] = mark(function() return name end) end";
  char here[512], there[512];
  snprintf(here, sizeof here, chunk, "nil  ");
  snprintf(there, sizeof there, chunk, "true ");
  expect_all_found(*state, here, there);
}

static void tells_primitive_upvalues_apart(void **state) {
  expect_same(*state,
              "all = {}\n"
              "local function make(x, y) return mark(function() return tostring(x) ..\n"
              "  tostring(y) end) end\n"
              "for _, x in ipairs { 1, 2, 1.0, 1.5, '1', '1.0', '', 'a', true, false, math.huge,\n"
              "    1 << 53, (1 << 53) + 1, 2.0 ^ 53, math.maxinteger, math.mininteger, -0.0, 0.0,\n"
              "    0 } do\n"
              "  all[#all + 1] = make(x)\n"
              "  all[#all + 1] = make(nil, x)\n"
              "  all[#all + 1] = make(x, x)\n"
              "end\n"
              "all[#all + 1] = make('ab', 'c')\n"
              "all[#all + 1] = make('a', 'bc')\n"
              "all[#all + 1] = make('a\\4\\0\\0\\0b', 'c')\n"
              "all[#all + 1] = make('a', 'b\\4\\0\\0\\0c')\n"
              "all[#all + 1] = make()\n");
}

static void takes_equal_ones_for_one(void **state) {
  expect_same(*state, "local function make(x) return mark(function() return x end) end\n"
                      "all = { make(1), make(1), make('x'), make('x') }\n"
                      "local function once() return all end\n"
                      "local t = {}\n"
                      "local function holds() return t and 'holds' end\n"
                      "all[5], all[6] = mark(holds), mark(holds)\n");
}

static void asks_for_a_name_where_it_cannot_tell(void **state) {
  struct pair *pair = *state;
  load(pair->here, "local function make(t, name) return mark(function() return t.x end, name) end\n"
                   "make { x = 1 }\n"
                   "local err = fails('misuse', 'cannot be told apart', make, { x = 2 })\n"
                   "has(err, 'app.lua:1') has(err, 'name = ')\n");
  expect_same(pair,
              "all = {}\n"
              "local function make(t, name) return mark(function() return t.x end, name) end\n"
              "for i = 1, 5 do all[i] = make({ x = i }, 'name' .. i) end\n");
}

/* A name that was given twice: never the wrong function. */
static void tells_functions_of_one_name_apart_or_refuses_them(void **state) {
  struct pair *pair = *state;
  expect_same(pair, "all = { mark(function() return 'first' end, 'same'),\n"
                    "  mark(function() return 'second' end, 'same'),\n"
                    "  mark(function(x) return 'third' end, 'same') }\n");
  load(pair->here, "local function make(t) return mark(function() return t end, 'tables') end\n"
                   "make {}\n"
                   "fails('misuse', 'cannot be told apart', make, {})\n");
}

static void does_not_find_what_was_not_marked_here(void **state) {
  struct pair *pair = *state;
  load(pair->here, "id = identity(mark(function() return 1 end))");
  lua_State *here = pair->here->worker.L, *there = pair->there->worker.L;
  size_t len;
  lua_getglobal(here, "id");
  const char *text = lua_tolstring(here, -1, &len);
  lua_pushlstring(there, text, len);
  lua_setglobal(there, "id");
  load(pair->there, "fails('transfer', 'no marked function', found, id)");
  load(pair->there, "mark(function() return 1 end) assert(found(id)() == 1)");
  load(pair->there, "forget() fails('transfer', 'different code', found, id)");
  load(pair->there, "mark(function() return 2 end) fails('transfer', '', found, id)");
  lua_settop(here, 0);
}

static void starts_with_its_place_or_its_name(void **state) {
  struct pair *pair = *state;
  load(pair->here, "id = identity(mark(function() end))\n"
                   "has(id, 'app.lua:1')\n"
                   "eq(identity(mark(function() end, 'name')):sub(1, 9), 'name:name')\n");
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_pair, stop_pair)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(is_a_plain_function),
      test(is_made_while_the_app_loads),
      test(keeps_the_pool),
      test(is_released_when_collected),
      test(finds_functions_by_line_and_code),
      test(finds_functions_marked_in_another_order),
      test(tells_primitive_upvalues_apart),
      test(takes_equal_ones_for_one),
      test(asks_for_a_name_where_it_cannot_tell),
      test(tells_functions_of_one_name_apart_or_refuses_them),
      test(does_not_find_what_was_not_marked_here),
      test(starts_with_its_place_or_its_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
