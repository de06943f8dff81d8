/* sqlite_handle.c - the classes, and how their values cross.
 *
 * A handle crosses as the number of its database, a transaction as that and the number of its unit.
 * What has ended meanwhile arrives as closed. */
#include "lib/sqlite_handle.h"

#include "core/class.h"
#include "core/context.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/opened.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/sqlite_database.h"
#include "lib/sqlite_registry.h"
#include "lib/sqlite_unit.h"

#include <lauxlib.h>
#include <string.h>

/* ---- values ---- */

static void set_class(lua_State *L, const char *class) {
  class_push(L, class);
  lua_setmetatable(L, -2);
}

struct sqlite_handle *sqlite_handle_push(lua_State *L, struct sqlite_database *database,
                                         bool nulls) {
  struct sqlite_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
  *handle = (struct sqlite_handle){.nulls = nulls};
  set_class(L, CLASS_SQLITE_DATABASE);
  if (database) sqlite_database_retain(database);
  handle->database = database;
  return handle;
}

struct sqlite_transaction *sqlite_handle_push_transaction(lua_State *L, struct sqlite_unit *unit,
                                                          bool nulls) {
  struct sqlite_transaction *transaction = lua_newuserdatauv(L, sizeof *transaction, 1);
  *transaction = (struct sqlite_transaction){.nulls = nulls};
  set_class(L, CLASS_SQLITE_TRANSACTION);
  transaction->unit = unit;
  return transaction;
}

static bool is_class(lua_State *L, int index, const char *class) {
  const char *name = lua_isuserdata(L, index) ? class_name(L, index) : NULL;
  return name && strcmp(name, class) == 0;
}

struct sqlite_handle *sqlite_handle_check(lua_State *L, const char *method) {
  if (!is_class(L, 1, CLASS_SQLITE_DATABASE))
    luaL_error(L, "db.%s was called without its database: use a colon (db:%s)", method, method);
  return lua_touserdata(L, 1);
}

/* ---- where a call belongs ---- */

void sqlite_handle_push_key(lua_State *L, const struct sqlite_database *database) {
  lua_pushfstring(L, "perilune.sqlite.%I", (LUAI_UACINT)database->id);
}

/* The unit that the running fiber is in, or NULL. */
static struct sqlite_unit *find_unit(lua_State *L, const struct sqlite_database *database) {
  struct sqlite_unit *unit = NULL;
  if (!context_push(L)) return NULL;
  sqlite_handle_push_key(L, database);
  lua_rawget(L, -2);
  if (is_class(L, -1, CLASS_SQLITE_TRANSACTION))
    unit = ((struct sqlite_transaction *)lua_touserdata(L, -1))->unit;
  lua_pop(L, 2);
  return unit;
}

struct sqlite_target sqlite_handle_check_target(lua_State *L, const char *method) {
  if (!is_class(L, 1, CLASS_SQLITE_TRANSACTION)) {
    const struct sqlite_handle *handle = sqlite_handle_check(L, method);
    struct sqlite_database *database = handle->database;
    if (!database) luaL_error(L, "the database is closed");
    return (struct sqlite_target){database, find_unit(L, database), handle->nulls};
  }
  const struct sqlite_transaction *transaction = lua_touserdata(L, 1);
  struct sqlite_unit *unit = transaction->unit;
  if (!unit || !sqlite_unit_is_open(unit)) luaL_error(L, "the transaction has ended");
  struct sqlite_unit *own = find_unit(L, unit->database);
  if (own && sqlite_unit_is_within(own, unit)) unit = own;
  return (struct sqlite_target){unit->database, unit, transaction->nulls};
}

/* ---- blobs ---- */

int sqlite_handle_blob(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  lua_settop(L, 1);
  lua_newuserdatauv(L, 0, 1);
  set_class(L, CLASS_SQLITE_BLOB);
  lua_insert(L, 1);
  lua_setiuservalue(L, 1, 1);
  return 1;
}

bool sqlite_handle_read_blob(lua_State *L, int index, struct slice *bytes) {
  if (!is_class(L, index, CLASS_SQLITE_BLOB)) return false;
  lua_getiuservalue(L, index, 1); /* the blob keeps it */
  bytes->data = lua_tolstring(L, -1, &bytes->len);
  lua_pop(L, 1);
  return true;
}

static int describe_blob(lua_State *L) {
  struct slice bytes = {0};
  sqlite_handle_read_blob(L, 1, &bytes);
  lua_pushfstring(L, "blob: %I bytes", (LUAI_UACINT)bytes.len);
  return 1;
}

/* ---- ends ---- */

static int release_handle(lua_State *L) {
  struct sqlite_handle *handle = lua_touserdata(L, 1);
  opened_collect(&handle->opened);
  if (handle->database) sqlite_database_release(handle->database);
  handle->database = NULL;
  return 0;
}

static int close_handle(lua_State *L) {
  opened_close(&sqlite_handle_check(L, "close")->opened);
  return release_handle(L);
}

static int release_transaction(lua_State *L) {
  struct sqlite_transaction *transaction = lua_touserdata(L, 1);
  scope_pop(&transaction->shield);
  if (transaction->unit && transaction->is_owner) sqlite_unit_abort(transaction->unit);
  sqlite_unit_release(transaction->unit);
  transaction->unit = NULL;
  return 0;
}

/* The function that ran in it has ended: what it has not committed is rolled back. What is in the
 * fiber's context is what was there before. */
static int close_transaction(lua_State *L) {
  struct sqlite_transaction *transaction = lua_touserdata(L, 1);
  if (!transaction->is_owner) return 0;
  scope_pop(&transaction->shield);
  if (transaction->unit) sqlite_unit_abort(transaction->unit);
  const struct fiber *fiber = fiber_running(L);
  if (!fiber || fiber != transaction->fiber || fiber->life != transaction->life) return 0;
  context_push_own(L);
  sqlite_handle_push_key(L, transaction->unit->database);
  lua_getiuservalue(L, 1, 1);
  lua_rawset(L, -3);
  return 0;
}

static int describe_handle(lua_State *L) {
  const struct sqlite_handle *handle = lua_touserdata(L, 1);
  lua_pushfstring(L, "sqlite: %s", handle->database ? handle->database->path : "closed");
  return 1;
}

static int describe_transaction(lua_State *L) {
  const struct sqlite_transaction *transaction = lua_touserdata(L, 1);
  bool is_open = transaction->unit && sqlite_unit_is_open(transaction->unit);
  lua_pushfstring(L, "transaction: %s", is_open ? "open" : "ended");
  return 1;
}

/* ---- crossing ---- */

struct crossing {
  uint64_t database, unit;
  bool nulls;
};

/* Who closes a database that is known in several states cannot be told. */
static bool encode_handle(lua_State *L, int index, struct buffer *out) {
  struct sqlite_handle *handle = lua_touserdata(L, index);
  opened_close(&handle->opened);
  struct crossing crossing = {.nulls = handle->nulls};
  if (handle->database) crossing.database = handle->database->id;
  buffer_add(out, &crossing, sizeof crossing);
  return true;
}

static struct crossing read_crossing(lua_State *L, const char *data, size_t len) {
  struct crossing crossing;
  if (len != sizeof crossing) error_raise(L, "transfer", "these bytes are no database");
  memcpy(&crossing, data, sizeof crossing);
  return crossing;
}

static void decode_handle(lua_State *L, const char *data, size_t len) {
  const struct crossing crossing = read_crossing(L, data, len);
  struct sqlite_handle *handle = sqlite_handle_push(L, NULL, crossing.nulls);
  struct sqlite_registry *registry = worker_of(L)->process->databases;
  handle->database = sqlite_registry_find(registry, crossing.database);
}

static bool encode_transaction(lua_State *L, int index, struct buffer *out) {
  const struct sqlite_transaction *transaction = lua_touserdata(L, index);
  struct crossing crossing = {.nulls = transaction->nulls};
  struct sqlite_unit *unit = transaction->unit;
  if (unit) {
    crossing.database = unit->database->id;
    sqlite_database_lock(unit->database);
    const struct sqlite_unit *open = sqlite_unit_find_open(unit);
    crossing.unit = open ? open->id : 0;
    sqlite_database_unlock(unit->database);
  }
  buffer_add(out, &crossing, sizeof crossing);
  return true;
}

static void decode_transaction(lua_State *L, const char *data, size_t len) {
  const struct crossing crossing = read_crossing(L, data, len);
  struct sqlite_registry *registry = worker_of(L)->process->databases;
  struct sqlite_transaction *transaction = sqlite_handle_push_transaction(L, NULL, crossing.nulls);
  struct sqlite_database *database = sqlite_registry_find(registry, crossing.database);
  if (!database) return;
  transaction->unit = sqlite_database_find_unit(database, crossing.unit);
  sqlite_database_release(database);
}

static bool encode_blob(lua_State *L, int index, struct buffer *out) {
  struct slice bytes = {0};
  sqlite_handle_read_blob(L, index, &bytes);
  buffer_add(out, bytes.data, bytes.len);
  return true;
}

static void decode_blob(lua_State *L, const char *data, size_t len) {
  lua_newuserdatauv(L, 0, 1);
  set_class(L, CLASS_SQLITE_BLOB);
  lua_pushlstring(L, len ? data : "", len);
  lua_setiuservalue(L, -2, 1);
}

/* ---- the state ---- */

/* Pops the table of methods. */
static void open_class(lua_State *L, const char *name, const luaL_Reg metamethods[]) {
  lua_newtable(L);
  luaL_setfuncs(L, metamethods, 0);
  lua_insert(L, -2);
  lua_setfield(L, -2, "__index");
  class_register(L, name);
  lua_pop(L, 1);
}

void sqlite_handle_open(lua_State *L) {
  static const luaL_Reg database[] = {{"__gc", release_handle},
                                      {"__close", close_handle},
                                      {"__tostring", describe_handle},
                                      {NULL, NULL}};
  static const luaL_Reg transaction[] = {{"__gc", release_transaction},
                                         {"__close", close_transaction},
                                         {"__tostring", describe_transaction},
                                         {NULL, NULL}};
  static const luaL_Reg blob[] = {{"__tostring", describe_blob}, {NULL, NULL}};
  static const struct transfer_kind kinds[] = {
      {CLASS_SQLITE_DATABASE, encode_handle, decode_handle},
      {CLASS_SQLITE_TRANSACTION, encode_transaction, decode_transaction},
      {CLASS_SQLITE_BLOB, encode_blob, decode_blob}};
  open_class(L, CLASS_SQLITE_TRANSACTION, transaction);
  lua_pushcfunction(L, close_handle);
  lua_setfield(L, -2, "close");
  open_class(L, CLASS_SQLITE_DATABASE, database);
  lua_newtable(L);
  open_class(L, CLASS_SQLITE_BLOB, blob);
  for (size_t i = 0; i < array_len(kinds); i++) transfer_register(L, &kinds[i]);
}
