/* logger.c - log.debug, info, warn, error: a message and a table of fields.
 *
 * Fields come in the order of their names, so that equal calls give equal lines. Tables are written
 * as JSON, whatever is in them; all else, and tables that have a __tostring, as that gives them. */
#include "lib/logger.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/call.h"
#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/log_value.h"
#include "lib/req.h"
#include "lib/task_label.h"

#include <lauxlib.h>
#include <stdlib.h>

#define TEXT_CLASS "perilune.log.text"

static int compare_keys(const void *a, const void *b) {
  return strcmp(((const struct log_field *)a)->key, ((const struct log_field *)b)->key);
}

static int finish_text(lua_State *L) {
  buffer_finish(lua_touserdata(L, 1));
  return 0;
}

/* Pushes an empty buffer that its userdata owns. */
static struct buffer *push_text(lua_State *L) {
  struct buffer *text = lua_newuserdatauv(L, sizeof *text, 0);
  *text = (struct buffer){0};
  luaL_setmetatable(L, TEXT_CLASS);
  return text;
}

/* Whether the value on top is a table that says nothing of itself, or null. */
static bool is_data(lua_State *L) {
  if (!lua_istable(L, -1)) return class_is_null(L, -1);
  if (luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* The field of the key at -2 and the value at -1; leaves its text on the stack below them. */
static struct log_field read_field(lua_State *L) {
  const char *key = lua_tostring(L, -2);
  if (lua_isboolean(L, -1)) return log_boolean(key, lua_toboolean(L, -1));
  if (lua_isinteger(L, -1)) return log_integer(key, lua_tointeger(L, -1));
  if (lua_type(L, -1) == LUA_TNUMBER) return log_number(key, lua_tonumber(L, -1));
  size_t len;
  if (is_data(L)) {
    struct buffer *text = push_text(L);
    log_value_add(L, lua_gettop(L) - 1, text);
    lua_insert(L, -3);
    return log_json(key, text->data, text->len);
  }
  if (lua_type(L, -1) == LUA_TSTRING)
    lua_pushvalue(L, -1);
  else
    error_push_text(L, -1);
  const char *text = lua_tolstring(L, -1, &len);
  lua_insert(L, -3);
  return log_bytes(key, text, len);
}

static size_t read_fields(lua_State *L, int index, struct log_field *fields) {
  size_t count = 0;
  if (lua_isnoneornil(L, index)) return 0;
  luaL_checktype(L, index, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "fields are a table of name to value; there is a key that is a %s",
                 luaL_typename(L, -2));
    if (count == LOG_FIELDS_MAX) luaL_error(L, "more than %d fields", LOG_FIELDS_MAX);
    luaL_checkstack(L, 4, "too many fields");
    fields[count++] = read_field(L);
  }
  qsort(fields, count, sizeof *fields, compare_keys);
  return count;
}

static const char *const names[] = {
    [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};

/* Raises for what cannot be a message; upvalue 1 is the module. */
static const char *check_message(lua_State *L, const char *name) {
  if (lua_rawequal(L, 1, lua_upvalueindex(1)))
    luaL_error(L, "use a dot: log.%s(message, fields)", name);
  if (lua_type(L, 1) != LUA_TSTRING && lua_type(L, 1) != LUA_TNUMBER)
    luaL_error(L, "log.%s takes a message and a table of fields: the message is a %s", name,
               luaL_typename(L, 1));
  return lua_tostring(L, 1);
}

/* log.info(message, fields) and its like; upvalues: the module, the level */
static int write_line(lua_State *L) {
  enum log_level level = (enum log_level)lua_tointeger(L, lua_upvalueindex(2));
  const char *message = check_message(L, names[level]);
  const struct log *log = worker_of(L)->process->log;
  struct log_field fields[LOG_FIELDS_MAX + 2];
  char id[17], task[CALL_TASK_BYTES];
  if (!log_enabled(log, level)) return 0;
  size_t count = read_fields(L, 2, fields);
  if (task_label_write(L, task, sizeof task)) fields[count++] = log_text("task", task);
  const struct fiber *fiber = fiber_running(L);
  if (fiber && fiber->request) {
    req_format_id(id, fiber->request);
    fields[count++] = log_text("request", id);
  }
  log_write(log, level, message, fields, count);
  return 0;
}

int logger_open(lua_State *L) {
  luaL_newmetatable(L, TEXT_CLASS);
  lua_pushcfunction(L, finish_text);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_createtable(L, 0, array_len(names));
  for (size_t level = 0; level < array_len(names); level++) {
    lua_pushvalue(L, -1);
    lua_pushinteger(L, (lua_Integer)level);
    lua_pushcclosure(L, write_line, 2);
    lua_setfield(L, -2, names[level]);
  }
  return 1;
}
