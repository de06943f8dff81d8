/* logger.c - log.debug, info, warn, error: a message and a table of fields.
 *
 * Fields come in the order of their names, so that equal calls give equal lines. Values that are
 * neither text, number nor boolean are written as tostring gives them. */
#include "lib/logger.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "lib/req.h"

#include <lauxlib.h>
#include <stdlib.h>

static int compare_keys(const void *a, const void *b) {
  return strcmp(((const struct log_field *)a)->key, ((const struct log_field *)b)->key);
}

/* The field of the key at -2 and the value at -1; leaves its text on the stack below them. */
static struct log_field read_field(lua_State *L) {
  const char *key = lua_tostring(L, -2);
  if (lua_isboolean(L, -1)) return log_boolean(key, lua_toboolean(L, -1));
  if (lua_isinteger(L, -1)) return log_integer(key, lua_tointeger(L, -1));
  if (lua_type(L, -1) == LUA_TNUMBER) return log_number(key, lua_tonumber(L, -1));
  size_t len;
  const char *text = luaL_tolstring(L, -1, &len);
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

static int write_line(lua_State *L, enum log_level level) {
  const char *message = luaL_checkstring(L, 1);
  const struct log *log = worker_of(L)->process->log;
  struct log_field fields[LOG_FIELDS_MAX + 1];
  char id[17];
  if (!log_enabled(log, level)) return 0;
  size_t count = read_fields(L, 2, fields);
  const struct fiber *fiber = fiber_running(L);
  if (fiber && fiber->request) {
    req_format_id(id, fiber->request);
    fields[count++] = log_text("request", id);
  }
  log_write(log, level, message, fields, count);
  return 0;
}

static int write_debug(lua_State *L) {
  return write_line(L, LOG_DEBUG);
}
static int write_info(lua_State *L) {
  return write_line(L, LOG_INFO);
}
static int write_warn(lua_State *L) {
  return write_line(L, LOG_WARN);
}
static int write_error(lua_State *L) {
  return write_line(L, LOG_ERROR);
}

int logger_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"debug", write_debug},
                                       {"info", write_info},
                                       {"warn", write_warn},
                                       {"error", write_error},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
