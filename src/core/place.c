/* place.c - identities of marked functions.
 *
 * The first part of an identity is where the function is written and a hash of its code, or the
 * name it was given; the second a hash of its code and primitive upvalues, looked at only where
 * several marks share the first (a factory that marks what it returns). */
#include "core/place.h"

#include "base/hash.h"
#include "core/call.h"
#include "core/code.h"
#include "core/error.h"
#include "core/instance.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE_CLASS "perilune.place"

/* Keys of tables of the instance: marked functions (first part -> list); known loops. */
static const char marks_key = 0;
static const char loops_key = 0;

/* ---- identities ---- */

/* Adds a primitive value to the hash; false for any other. */
static bool hash_value(lua_State *L, int index, uint64_t *hash) {
  int type = lua_type(L, index);
  *hash = hash_add(*hash, &type, sizeof type);
  size_t len;
  switch (type) {
  case LUA_TNIL:
    return true;
  case LUA_TBOOLEAN: {
    int truth = lua_toboolean(L, index);
    *hash = hash_add(*hash, &truth, sizeof truth);
    return true;
  }
  case LUA_TNUMBER: {
    int is_integer = lua_isinteger(L, index); /* 1 and 1.0 are different, and so are 2^53 and + 1 */
    lua_Integer integer = is_integer ? lua_tointeger(L, index) : 0;
    lua_Number number = is_integer ? 0 : lua_tonumber(L, index);
    *hash = hash_add(*hash, &is_integer, sizeof is_integer);
    *hash = hash_add(*hash, &integer, sizeof integer);
    *hash = hash_add(*hash, &number, sizeof number);
    return true;
  }
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, index, &len);
    *hash = hash_add(*hash, &len, sizeof len);
    *hash = hash_add(*hash, text, len);
    return true;
  }
  default:
    return false;
  }
}

/* Hash of the code (a name says nothing of it) and the primitive upvalues; `only_primitive` tells
 * whether there were no others. */
static uint64_t hash_function(lua_State *L, int index, uint64_t code, bool *only_primitive) {
  uint64_t hash = code;
  *only_primitive = true;
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, index, i)) != NULL; i++) {
    bool is_environment = strcmp(name, "_ENV") == 0;
    if (!is_environment && !hash_value(L, -1, &hash)) *only_primitive = false;
    lua_pop(L, 1);
  }
  return hash;
}

/* What stands behind '#' is not shown. A function may be marked twice, for different places. */
static void push_first_part(lua_State *L, int index, uint64_t code,
                            const struct place_options *options) {
  const char *loop = options->loop ? options->loop : "";
  if (options->name) {
    lua_pushfstring(L, "name:%s#%s", options->name, loop);
    return;
  }
  lua_Debug debug;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &debug);
  char hash[20];
  snprintf(hash, sizeof hash, "%016llx", (unsigned long long)code);
  lua_pushfstring(L, "%s:%d#%s%s", debug.source, debug.linedefined, hash, loop);
}

const char *place_push_title(lua_State *L, const char *identity) {
  if (*identity == '@') identity++;
  lua_pushlstring(L, identity, strcspn(identity, "#"));
  return lua_tostring(L, -1);
}

static uint64_t second_part(const struct place *place) {
  uint64_t hash;
  memcpy(&hash, place->identity + place->identity_len - sizeof hash, sizeof hash);
  return hash;
}

static void set_identity(struct place *place, const char *first, size_t len, uint64_t second) {
  place->identity_len = len + 1 + sizeof second;
  place->identity = memory_alloc(place->identity_len);
  memcpy(place->identity, first, len + 1);
  memcpy(place->identity + len + 1, &second, sizeof second);
}

/* ---- marks ---- */

static void set_host(struct call_host **at, struct call_host *host) {
  if (host) host->retain(host);
  if (*at) (*at)->release(*at);
  *at = host;
}

static int release_place(lua_State *L) {
  struct place *place = lua_touserdata(L, 1);
  set_host(&place->host, NULL);
  free(place->pool);
  free(place->loop);
  free(place->called);
  free(place->identity);
  place->pool = place->loop = place->called = place->identity = NULL;
  return 0;
}

void place_open(lua_State *L) {
  luaL_newmetatable(L, PLACE_CLASS);
  lua_pushcfunction(L, release_place);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void place_begin_load(lua_State *L, struct call_host *host) {
  instance_shown(L)->loading = true;
  instance_set_host(L, host);
}

void place_end_load(lua_State *L) {
  instance_shown(L)->loading = false;
}

bool place_is_loading(lua_State *L) {
  return instance_shown(L)->loading;
}

struct call_host *place_host(lua_State *L) {
  return instance_shown(L)->host;
}

void place_push_marks(lua_State *L) {
  instance_push_table(L, &marks_key);
}

void place_push_loops(lua_State *L) {
  instance_push_table(L, &loops_key);
}

static void note_loop(lua_State *L, const char *name) {
  place_push_loops(L);
  luaL_getsubtable(L, -1, name);
  lua_pop(L, 2);
}

/* Pushes the place, with the host that the load gave. */
static struct place *push_place(lua_State *L, const struct place_options *options) {
  struct place *place = lua_newuserdatauv(L, sizeof *place, 0);
  *place = (struct place){.timeout_ns = options->timeout_ns, .calls_max = options->calls_max};
  luaL_setmetatable(L, PLACE_CLASS);
  if (options->pool) place->pool = memory_copy(options->pool, strlen(options->pool));
  if (options->loop) place->loop = memory_copy(options->loop, strlen(options->loop));
  struct call_host *host = place_host(L);
  set_host(&place->host, host && place->loop ? host->loops : host);
  return place;
}

/* Raises when a mark in the list on top has the same identity; gives true when that mark does the
 * same thing: it is of the same function, or nothing else than code and primitive upvalues makes
 * it up. */
static bool is_known(lua_State *L, const struct place *place, int function, bool only_primitive) {
  for (lua_Integer i = 1; lua_rawgeti(L, -1, i) != LUA_TNIL; i++) {
    const struct place *other = place_of(L, -1);
    place_push_function(L, -1);
    bool is_same = lua_rawequal(L, -1, function);
    lua_pop(L, 2);
    if (second_part(other) != second_part(place)) continue;
    if (is_same || only_primitive) return true;
    luaL_error(L,
               "two marked functions cannot be told apart: %s; give each a name: "
               "%s{ name = \"...\" }, fn)",
               place_push_title(L, place->identity),
               place->loop ? "perilune.background(name, " : "perilune.blocking(");
  }
  lua_pop(L, 1);
  return false;
}

static void check_may_mark(lua_State *L, const struct place_options *options) {
  if (place_is_loading(L)) return;
  luaL_error(L,
             "perilune.%s marks functions while the app loads, not later: require the module at "
             "the top of app.lua%s",
             options->loop ? "background" : "blocking",
             options->loop ? "" : ", or call async.run_blocking(fn, ...)");
}

void place_mark(lua_State *L, int index, const struct place_options *options) {
  index = lua_absindex(L, index);
  check_may_mark(L, options);
  if (lua_iscfunction(L, index))
    luaL_error(L, place_of(L, index) ? "the function is marked already"
                                     : "a C function cannot be marked: wrap it in a Lua function");
  if (options->loop) note_loop(L, options->loop);
  struct place *place = push_place(L, options);
  uint64_t code = code_hash(L, index);
  push_first_part(L, index, code, options);
  bool only_primitive;
  size_t len;
  const char *first = lua_tolstring(L, -1, &len);
  set_identity(place, first, len, hash_function(L, index, code, &only_primitive));

  place_push_marks(L);
  luaL_getsubtable(L, -1, first);
  bool known = is_known(L, place, index, only_primitive);
  lua_pushvalue(L, index);
  lua_pushvalue(L, -5);
  lua_pushvalue(L, options->timed ? options->timed : index);
  lua_pushcclosure(L, call_marked, 3);
  if (!known) {
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, (lua_Integer)lua_rawlen(L, -3) + 1);
  }
  lua_insert(L, -5);
  lua_pop(L, 4);
}

struct place *place_of(lua_State *L, int index) {
  if (lua_tocfunction(L, index) != call_marked) return NULL;
  lua_getupvalue(L, index, 2);
  struct place *place = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return place;
}

void place_push_function(lua_State *L, int index) {
  lua_getupvalue(L, index, 1);
}

void place_push_inline(lua_State *L, int index) {
  lua_getupvalue(L, index, 3);
}

/* Leaves the marked function on top of the list at -1, or gives false. */
static bool find_mark(lua_State *L, const char *identity, size_t len) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    const struct place *place = place_of(L, -1);
    if (count == 1) return true;
    if (place->identity_len == len && memcmp(place->identity, identity, len) == 0) return true;
    lua_pop(L, 1);
  }
  return false;
}

void place_push_marked(lua_State *L, const char *identity, size_t len) {
  bool found = instance_find_table(L, &marks_key) && lua_getfield(L, -1, identity) == LUA_TTABLE &&
               find_mark(L, identity, len);
  if (!found)
    error_raise(L, "transfer",
                "this Lua state has no marked function %s: it was marked in one state only, or the "
                "states loaded different code",
                place_push_title(L, identity));
  lua_replace(L, -3);
  lua_pop(L, 1);
}

void place_push_found(lua_State *L, const char *identity, size_t len) {
  place_push_marked(L, identity, len);
  place_push_function(L, -1);
  lua_remove(L, -2);
}
