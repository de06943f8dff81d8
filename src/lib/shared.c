/* shared.c - tables by name, and their methods; update and wait have files of their own.
 *
 * A state has one handle for each table of the app that it has loaded. */
#include "lib/shared.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "core/timer.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/named.h"
#include "lib/options.h"
#include "lib/shared_method.h"
#include "lib/shared_store.h"
#include "lib/shared_update.h"
#include "lib/shared_wait.h"
#include "lib/shared_walk.h"
#include "lib/sync.h"

#include <string.h>

#define CLASS      "shared"
#define WALK_CLASS "perilune.shared.walk"

/* Registry keys: the constructor; handles by name. */
static const char constructor_key = 0, handles_key = 0;

/* ---- values ---- */

static int get(lua_State *L);
static int set(lua_State *L);
static int add(lua_State *L);
static int incr(lua_State *L);
static int delete_key(lua_State *L);
static int ttl(lua_State *L);

static int get_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 2);
  return get(L);
}

/* get(self, key) -> value or nil */
static int get(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "get");
  struct shared_found found;
  lua_settop(L, 2);
  if (shared_method_get(L, &call, &found) == SHARED_BUSY)
    return shared_method_wait(L, &call, get_again);
  return shared_method_give(L, &found.value, get_again);
}

/* Puts the value at 3. */
static enum shared_result put(lua_State *L, struct shared_call *call, struct shared_put *put) {
  put->value = shared_convert_in(L, 3);
  enum shared_result result = shared_table_put(call, put);
  if (result != SHARED_DONE) shared_value_release(&put->value);
  return result;
}

static int set_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 4);
  return set(L);
}

/* set(self, key, value, [ttl]) */
static int set(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "set");
  struct shared_put what = {.when = SHARED_ALWAYS, .due_ns = shared_method_due(L, 4, &call)};
  lua_settop(L, 4);
  enum shared_result result = put(L, &call, &what);
  if (result == SHARED_BUSY) return shared_method_wait(L, &call, set_again);
  if (result != SHARED_DONE) shared_method_raise(L, &call, result);
  return 0;
}

static int add_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 4);
  return add(L);
}

/* add(self, key, value, [ttl]) -> whether it was set: nothing was there */
static int add(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "add");
  luaL_argcheck(L, !lua_isnoneornil(L, 3), 3, "a value expected, got nil");
  struct shared_put what = {.when = SHARED_IF_ABSENT, .due_ns = shared_method_due(L, 4, &call)};
  lua_settop(L, 4);
  enum shared_result result = put(L, &call, &what);
  if (result == SHARED_BUSY) return shared_method_wait(L, &call, add_again);
  if (result != SHARED_DONE && result != SHARED_REFUSED) shared_method_raise(L, &call, result);
  lua_pushboolean(L, result == SHARED_DONE);
  return 1;
}

static int incr_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 4);
  return incr(L);
}

/* incr(self, key, [by], [ttl_if_new]) -> the sum */
static int incr(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "incr");
  uint64_t due_ns = shared_method_due(L, 4, &call);
  struct shared_value by = {.type = SHARED_INTEGER, .integer = 1};
  lua_settop(L, 4);
  if (!lua_isnil(L, 3)) {
    luaL_checktype(L, 3, LUA_TNUMBER);
    by = shared_convert_in(L, 3);
  }
  enum shared_result result = shared_table_add(&call, &by, due_ns);
  if (result == SHARED_BUSY) return shared_method_wait(L, &call, incr_again);
  if (result != SHARED_DONE) shared_method_raise(L, &call, result);
  shared_convert_out(L, lua_upvalueindex(SHARED_SCRATCH), &by);
  return 1;
}

static int delete_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 2);
  return delete_key(L);
}

/* delete(self, key) */
static int delete_key(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "delete");
  const struct shared_put nothing = {.when = SHARED_ALWAYS};
  lua_settop(L, 2);
  if (shared_table_put(&call, &nothing) == SHARED_BUSY)
    return shared_method_wait(L, &call, delete_again);
  return 0;
}

static int ttl_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 2);
  return ttl(L);
}

/* ttl(self, key) -> seconds until it expires, or nil */
static int ttl(lua_State *L) {
  struct shared_call call = shared_method_begin_key(L, "ttl");
  struct shared_found found;
  lua_settop(L, 2);
  if (shared_table_get(&call, &found) == SHARED_BUSY)
    return shared_method_wait(L, &call, ttl_again);
  shared_value_release(&found.value);
  if (found.due_ns == 0) return 0;
  lua_pushnumber(L, (lua_Number)(found.due_ns - call.now_ns) / (lua_Number)NS_PER_SECOND);
  return 1;
}

/* ---- keys; stack: the table, the walk ---- */

static int end_walk(lua_State *L) {
  shared_walk_finish(lua_touserdata(L, 1));
  return 0;
}

static lua_nret push_keys(lua_State *L, struct shared_walk *walk) {
  struct shared_key key;
  size_t at = 0;
  lua_newtable(L);
  class_set_array(L, -1);
  for (lua_Integer i = 1; shared_walk_read(walk, &at, &key); i++) {
    if (key.text)
      lua_pushlstring(L, key.text, key.len);
    else
      lua_pushinteger(L, key.integer);
    lua_rawseti(L, -2, i);
  }
  shared_walk_finish(walk);
  return 1;
}

static lua_nret walk_on(lua_State *L);

static int walk_again(lua_State *L, int status, lua_KContext context) {
  shared_method_begin_again(L, status, context, 2);
  return walk_on(L);
}

static lua_nret walk_on(lua_State *L) {
  struct shared_call call = shared_method_begin(L, "keys");
  struct shared_walk *walk = lua_touserdata(L, 2);
  if (shared_walk_on(&call, walk) == SHARED_BUSY) return shared_method_wait(L, &call, walk_again);
  return push_keys(L, walk);
}

/* keys(self) -> a list */
static int keys(lua_State *L) {
  shared_method_begin(L, "keys");
  lua_settop(L, 1);
  struct shared_walk *walk = lua_newuserdatauv(L, sizeof *walk, 1);
  *walk = (struct shared_walk){0};
  luaL_setmetatable(L, WALK_CLASS);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1); /* it needs the table to its end */
  return walk_on(L);
}

/* ---- handles ---- */

static const struct shared_handle *check_handle(lua_State *L, const char *method) {
  return sync_check(L, CLASS, method);
}

static int release_handle(lua_State *L) {
  struct shared_handle *handle = lua_touserdata(L, 1);
  shared_store_release(handle->store);
  *handle = (struct shared_handle){0};
  return 0;
}

static int describe(lua_State *L) {
  const struct shared_handle *handle = check_handle(L, "__tostring");
  lua_pushfstring(L, "shared table: %s, %I bytes", shared_table_name(handle->table),
                  (LUAI_UACINT)shared_table_used_bytes(handle->table));
  return 1;
}

/* The options at 2; false: there are none. */
static bool read_options(lua_State *L, struct shared_options *options) {
  static const char *const names[] = {"max_memory", "evict", NULL};
  options_check(L, 2, names);
  *options = (struct shared_options){0};
  if (lua_isnoneornil(L, 2)) return false;
  options->bytes_max = (size_t)options_bytes(L, 2, "max_memory", SIZE_MAX);
  if (options->bytes_max == 0) luaL_error(L, "option \"max_memory\" is a number of bytes above 0");
  if (options->bytes_max == SIZE_MAX) options->bytes_max = 0;
  if (lua_getfield(L, 2, "evict") != LUA_TNIL) {
    const char *evict = lua_tostring(L, -1);
    if (!evict || strcmp(evict, "lru") != 0)
      luaL_error(L, "option \"evict\" is \"lru\", not %s", luaL_tolstring(L, -1, NULL));
    if (options->bytes_max == 0)
      luaL_error(L, "option \"evict\" needs max_memory: what is to be made room for");
    options->evicts = true;
  }
  lua_pop(L, 1);
  return true;
}

static NO_RETURN void raise_problem(lua_State *L, enum shared_store_problem problem,
                                    const char *name) {
  if (problem == SHARED_STORE_DIFFERS)
    luaL_error(L, "shared table \"%s\" was made with other options", name);
  error_raise(L, "full", "there are %d shared tables already: \"%s\" cannot be made",
              SHARED_TABLES_MAX, name);
}

static void fill_handle(lua_State *L, struct shared_handle *handle, const char *name,
                        const struct shared_options *options) {
  struct shared_store *store = shared_store_of(worker_of(L));
  enum shared_store_problem problem;
  if (!store) luaL_error(L, "shared tables belong to an app, and there is none");
  handle->table = shared_store_find(store, name, options, &problem);
  if (!handle->table) raise_problem(L, problem, name);
  handle->store = shared_store_retain(store);
}

/* Pushes the handle that there is for a name, if it is one of this app's. */
static bool push_known(lua_State *L, const char *name) {
  const struct shared_handle *handle = named_push(L, &handles_key, name);
  if (handle && handle->store && handle->store == shared_store_of(worker_of(L))) return true;
  lua_pop(L, 1);
  return false;
}

/* shared(name, [options]) -> the table of that name */
static int find_table(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  struct shared_options options;
  luaL_argcheck(L, len > 0 && len <= SHARED_NAME_BYTES_MAX && strlen(name) == len, 1,
                "the name of a table has 1 to 255 bytes, none of them zero");
  bool has_options = read_options(L, &options);
  if (!has_options && push_known(L, name)) return 1;
  struct shared_handle *handle = sync_push(L, sizeof *handle, SYNC_OWN_CLASS);
  fill_handle(L, handle, name, has_options ? &options : NULL);
  named_add(L, &handles_key, name);
  return 1;
}

/* ---- crossing ---- */

static bool encode(lua_State *L, int index, struct buffer *out) {
  const struct shared_handle *handle = lua_touserdata(L, index);
  if (!handle->table) return false;
  buffer_add_text(out, shared_table_name(handle->table));
  return true;
}

static void decode(lua_State *L, const char *data, size_t len) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &constructor_key) == LUA_TNIL) {
    lua_pop(L, 1);
    shared_open(L);
  }
  lua_pushlstring(L, data, len);
  lua_call(L, 1, 1);
}

void shared_open_transfer(lua_State *L) {
  static const struct transfer_kind kind = {SHARED_CLASS, encode, decode};
  transfer_register(L, &kind);
}

/* ---- the module ---- */

int shared_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"get", get},
                                     {"set", set},
                                     {"add", add},
                                     {"incr", incr},
                                     {"update", shared_update},
                                     {"delete", delete_key},
                                     {"ttl", ttl},
                                     {"keys", keys},
                                     {"wait", shared_wait},
                                     {"__tostring", describe},
                                     {"__gc", release_handle},
                                     {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &constructor_key) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  shared_wait_open(L);
  luaL_newmetatable(L, WALK_CLASS);
  lua_pushcfunction(L, end_walk);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  shared_convert_push_scratch(L);
  sync_push_class(L, CLASS, methods, 1);
  class_register(L, SHARED_CLASS);
  lua_pushcclosure(L, find_table, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &constructor_key);
  return 1;
}
