/* log_value.c - a table, level by level, bounded in depth, items and bytes.
 *
 * A __tostring may change any table: so the keys of one are collected first, in a list that keeps
 * them, and each value is looked up when its turn comes. */
#include "lib/log_value.h"

#include "base/escape.h"
#include "base/limits.h"
#include "base/number.h"
#include "core/class.h"
#include "core/error.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

struct key {
  struct slice text;
  bool is_number;
  lua_Number number;
};

struct printer {
  lua_State *L;
  struct buffer *out;
  size_t end; /* of `out`: what would come behind it is cut */
};

static void add_value(struct printer *printer, int depth);

static void add_text(struct printer *printer, const char *text, size_t len) {
  buffer_add_byte(printer->out, '"');
  escape_add(printer->out, text, len, ESCAPE_JSON);
  buffer_add_byte(printer->out, '"');
}

static void add_number(struct printer *printer) {
  lua_State *L = printer->L;
  struct buffer *out = printer->out;
  lua_Number number = lua_tonumber(L, -1);
  if (lua_isinteger(L, -1))
    out->len +=
        number_format_integer(buffer_reserve(out, NUMBER_TEXT_BYTES_MAX), lua_tointeger(L, -1));
  else if (isfinite(number))
    out->len += number_format_float(buffer_reserve(out, NUMBER_TEXT_BYTES_MAX), number);
  else
    buffer_add_text(out, isnan(number) ? "\"nan\"" : number > 0 ? "\"inf\"" : "\"-inf\"");
}

/* ---- tables ---- */

/* Numbers before texts, each in their order. */
static int compare_keys(const void *a, const void *b) {
  const struct key *one = a, *other = b;
  if (one->is_number != other->is_number) return one->is_number ? -1 : 1;
  if (one->is_number) return one->number < other->number ? -1 : one->number > other->number;
  size_t len = one->text.len < other->text.len ? one->text.len : other->text.len;
  int order = memcmp(one->text.data, other->text.data, len);
  return order ? order : one->text.len < other->text.len ? -1 : one->text.len > other->text.len;
}

/* Collects keys of the table on top, which are texts or numbers; gives how many, LOG_ITEMS_MAX + 1
 * when there are more. Pushes a list that keeps the texts. */
static int collect_keys(lua_State *L, struct key *keys) {
  int table = lua_gettop(L), count = 0;
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pop(L, 1);
    int type = lua_type(L, -1);
    if (type != LUA_TSTRING && type != LUA_TNUMBER) continue;
    if (count == LOG_ITEMS_MAX) {
      lua_pop(L, 1);
      return count + 1;
    }
    struct key *key = &keys[count++];
    *key = (struct key){.is_number = type == LUA_TNUMBER, .number = lua_tonumber(L, -1)};
    if (key->is_number) continue;
    key->text.data = lua_tolstring(L, -1, &key->text.len);
    lua_pushvalue(L, -1);
    lua_rawseti(L, table + 1, count);
  }
  return count;
}

static bool is_full(const struct printer *printer) {
  return printer->out->len >= printer->end;
}

static void add_more(struct printer *printer, bool is_list, bool is_first) {
  if (!is_first) buffer_add_byte(printer->out, ',');
  buffer_add_text(printer->out, is_list ? "\"...\"" : "\"...\":\"...\"");
}

static void add_key(struct printer *printer, const struct key *key) {
  lua_State *L = printer->L;
  size_t len = key->text.len;
  const char *text = key->text.data;
  if (key->is_number) {
    lua_Integer integer;
    if (lua_numbertointeger(key->number, &integer) && (lua_Number)integer == key->number)
      lua_pushinteger(L, integer);
    else
      lua_pushnumber(L, key->number);
    text = lua_tolstring(L, -1, &len);
  }
  add_text(printer, text, len);
  buffer_add_byte(printer->out, ':');
  if (key->is_number) lua_pop(L, 1);
}

/* Pushes the value of a key of the table at `table`. */
static void push_value(lua_State *L, int table, const struct key *key) {
  if (key->is_number)
    lua_pushnumber(L, key->number);
  else
    lua_pushlstring(L, key->text.data, key->text.len);
  lua_rawget(L, table);
}

static void add_list(struct printer *printer, int table, lua_Integer length, int depth) {
  lua_State *L = printer->L;
  buffer_add_byte(printer->out, '[');
  for (lua_Integer i = 1; i <= length; i++) {
    if (i > LOG_ITEMS_MAX || is_full(printer)) {
      add_more(printer, true, i == 1);
      break;
    }
    if (i > 1) buffer_add_byte(printer->out, ',');
    lua_rawgeti(L, table, i);
    add_value(printer, depth + 1);
    lua_pop(L, 1);
  }
  buffer_add_byte(printer->out, ']');
}

static void add_object(struct printer *printer, int table, const struct key *keys, int count,
                       int depth) {
  lua_State *L = printer->L;
  buffer_add_byte(printer->out, '{');
  for (int i = 0; i < count; i++) {
    if (i == LOG_ITEMS_MAX || is_full(printer)) {
      add_more(printer, false, i == 0);
      break;
    }
    if (i > 0) buffer_add_byte(printer->out, ',');
    add_key(printer, &keys[i]);
    push_value(L, table, &keys[i]);
    add_value(printer, depth + 1);
    lua_pop(L, 1);
  }
  buffer_add_byte(printer->out, '}');
}

/* Whether the keys, in order, are those of a list. */
static bool is_list(lua_State *L, int table, const struct key *keys, int count) {
  lua_Integer length = (lua_Integer)lua_rawlen(L, table);
  if (count == 0) return class_is_array(L, table);
  if (count > LOG_ITEMS_MAX) return length >= count;
  return length == count && keys[0].is_number && keys[count - 1].is_number && keys[0].number == 1 &&
         keys[count - 1].number == (lua_Number)count;
}

static void add_table(struct printer *printer, int depth) {
  lua_State *L = printer->L;
  int table = lua_gettop(L);
  if (depth == LOG_DEPTH_MAX) {
    buffer_add_text(printer->out, "\"...\"");
    return;
  }
  struct key keys[LOG_ITEMS_MAX];
  int count = collect_keys(L, keys);
  qsort(keys, (size_t)(count < LOG_ITEMS_MAX ? count : LOG_ITEMS_MAX), sizeof *keys, compare_keys);
  if (is_list(L, table, keys, count))
    add_list(printer, table, (lua_Integer)lua_rawlen(L, table), depth);
  else
    add_object(printer, table, keys, count, depth);
  lua_settop(L, table);
}

/* ---- any value ---- */

/* What an object says of itself. */
static void add_told(struct printer *printer) {
  lua_State *L = printer->L;
  size_t len;
  error_push_text(L, -1);
  const char *text = lua_tolstring(L, -1, &len);
  add_text(printer, text, len);
  lua_pop(L, 1);
}

static bool tells_itself(lua_State *L) {
  if (luaL_getmetafield(L, -1, "__tostring") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* Adds the value on top, which stays there. */
static void add_value(struct printer *printer, int depth) {
  lua_State *L = printer->L;
  size_t len;
  luaL_checkstack(L, LUA_MINSTACK, "log");
  switch (lua_type(L, -1)) {
  case LUA_TNIL:
    buffer_add_text(printer->out, "null");
    return;
  case LUA_TBOOLEAN:
    buffer_add_text(printer->out, lua_toboolean(L, -1) ? "true" : "false");
    return;
  case LUA_TNUMBER:
    add_number(printer);
    return;
  case LUA_TSTRING: {
    const char *text = lua_tolstring(L, -1, &len);
    add_text(printer, text, len);
    return;
  }
  case LUA_TTABLE:
    if (!tells_itself(L)) {
      add_table(printer, depth);
      return;
    }
    break;
  default:
    if (!class_is_null(L, -1)) break;
    buffer_add_text(printer->out, "null");
    return;
  }
  add_told(printer);
}

void log_value_add(lua_State *L, int index, struct buffer *out) {
  struct printer printer = {.L = L, .out = out, .end = out->len + LOG_TABLE_BYTES_MAX};
  lua_pushvalue(L, index);
  add_value(&printer, 0);
  lua_pop(L, 1);
}
