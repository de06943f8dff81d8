/* transfer_encode.c - from Lua values to the bytes of a message (transfer_format.h).
 *
 * One pass over the values. What has a name in other states is written by it; functions are written
 * in transfer_encode_function.c. */
#include "core/class.h"
#include "core/error.h"
#include "core/function_index.h"
#include "core/transfer_encoder.h"

#include <assert.h>
#include <lauxlib.h>

enum { RUN_GAP_MAX = 8 }; /* nils between two elements of a run */

/* ---- numbers ---- */

static inline void put_integer(struct encoder *e, lua_Integer value) {
  if (value >= 0 && value <= INLINE_INTEGER_MAX) {
    encoder_put_byte(e, (int)value);
  } else if (value == (int8_t)value) {
    encoder_put_fixed(e, LEAD_INT8, &(int8_t){(int8_t)value}, sizeof(int8_t));
  } else if (value == (int16_t)value) {
    encoder_put_fixed(e, LEAD_INT16, &(int16_t){(int16_t)value}, sizeof(int16_t));
  } else if (value == (int32_t)value) {
    encoder_put_fixed(e, LEAD_INT32, &(int32_t){(int32_t)value}, sizeof(int32_t));
  } else {
    encoder_put_fixed(e, LEAD_INT64, &(int64_t){value}, sizeof(int64_t));
  }
}

static void put_number(struct encoder *e, int index) {
  if (lua_isinteger(e->L, index)) {
    put_integer(e, lua_tointeger(e->L, index));
    return;
  }
  lua_Number number = lua_tonumber(e->L, index);
  encoder_put_fixed(e, LEAD_FLOAT, &number, sizeof number);
}

/* ---- tables ---- */

/* The position of the next pair, whose key stands at `key`, in the run that has come to `last`; 0
 * when it is not part of it. */
static inline lua_Integer place_in_run(lua_State *L, int key, lua_Integer last, size_t border) {
  if (!lua_isinteger(L, key)) return 0;
  lua_Integer at = lua_tointeger(L, key);
  return at > last && at - last <= RUN_GAP_MAX && (size_t)at <= border ? at : 0;
}

/* Writes the elements 1 to n as far as lua_next gives them first and in order, as it does for all
 * of a table's array part. True when a pair is left on the stack: that and what follows it is not
 * in the run. */
static bool encode_run(struct encoder *e, int table, int key) {
  lua_State *L = e->L;
  size_t border = lua_rawlen(L, table);
  size_t width = encoder_varint_width(border);
  encoder_claim(e, width);
  size_t at = e->out->len;
  e->out->len += width;
  lua_Integer last = 0, next = 0;
  bool more;
  while ((more = lua_next(L, table)) && (next = place_in_run(L, key, last, border)) > 0) {
    while (++last < next) encoder_put_byte(e, LEAD_NIL);
    if (lua_isinteger(L, key + 1))
      put_integer(e, lua_tointeger(L, key + 1));
    else
      encoder_put_value(e, key + 1);
    lua_settop(L, key);
  }
  encoder_write_varint(e->out->data + at, width, (size_t)last);
  return more;
}

/* Writes the pair at `key` and all that follow; gives their number. */
static size_t encode_pairs(struct encoder *e, int table, int key) {
  lua_State *L = e->L;
  size_t count = 0;
  do {
    encoder_put_value(e, key);
    encoder_put_value(e, key + 1);
    lua_settop(L, key);
    count++;
  } while (lua_next(L, table));
  encoder_put_byte(e, LEAD_NIL);
  return count;
}

static int size_byte(size_t count) {
  int log2 = 0;
  while (((size_t)1 << log2) < count) log2++;
  assert(log2 <= SIZE_MAX_LOG2);
  return 1 + log2;
}

static void encode_entries(struct encoder *e, int table) {
  size_t size_at = e->out->len + 1;
  encoder_put_fixed(e, LEAD_TABLE, "", 1);
  struct transfer_step step = {.up = e->step, .key = lua_gettop(e->L) + 1};
  e->step = &step;
  e->depth++;
  lua_pushnil(e->L);
  if (encode_run(e, table, step.key))
    e->out->data[size_at] = (char)size_byte(encode_pairs(e, table, step.key));
  e->depth--;
  e->step = step.up;
}

/* Writes what the metatable on top of the stack makes of the table, and pops it; false when it has
 * no name in other states. */
static bool put_class(struct encoder *e, int table) {
  lua_State *L = e->L;
  struct module_path path;
  const char *name;
  bool has_name = true;
  if (class_is_array(L, table)) {
    encoder_put_byte(e, LEAD_ARRAY);
  } else if ((name = class_name(L, table))) {
    encoder_put_byte(e, LEAD_CLASS);
    encoder_put_string(e, name, strlen(name));
  } else if (module_find(L, -1, &path)) {
    encoder_put_byte(e, LEAD_MODULE_CLASS);
    encoder_put_path(e, &path);
  } else {
    has_name = false;
  }
  lua_pop(L, 1);
  return has_name;
}

static void encode_table(struct encoder *e, int index) {
  const void *object = lua_topointer(e->L, index);
  struct seen *slot = encoder_find(e, object);
  if (encoder_put_ref(e, slot)) return;
  luaL_checkstack(e->L, ENCODE_SLOTS, "transfer");
  if (encoder_put_module(e, index, slot) || encoder_refuse_depth(e, index)) return;
  if (lua_getmetatable(e->L, index) && !put_class(e, index)) {
    if (!encoder_put_app(e, index, slot)) encoder_refuse(e, index, "table with a metatable", "");
    return;
  }
  encoder_set(e, slot, (struct seen){object, (uint32_t)encoder_position(e), 0});
  encode_entries(e, index);
}

/* ---- userdata ---- */

/* Writes a value by what its kind makes of it; false when that cannot send it. */
static bool put_kind(struct encoder *e, int index, const struct transfer_kind *kind) {
  size_t start = e->out->len;
  encoder_put_byte(e, LEAD_KIND);
  encoder_put_string(e, kind->name, strlen(kind->name));
  size_t begun = encoder_begin_length(e);
  int top = lua_gettop(e->L);
  if (!kind->encode(e->L, index, e->out)) {
    e->out->len = start;
    return false;
  }
  assert(lua_gettop(e->L) == top);
  (void)top;
  encoder_end_length(e, begun);
  return true;
}

static void encode_userdata(struct encoder *e, int index) {
  lua_State *L = e->L;
  if (class_is_null(L, index)) {
    encoder_put_byte(e, LEAD_NULL);
    return;
  }
  luaL_checkstack(L, LUA_MINSTACK, "transfer");
  const void *object = lua_topointer(L, index);
  struct seen *slot = encoder_find(e, object);
  if (encoder_put_ref(e, slot)) return;
  const char *name = class_name(L, index);
  const struct transfer_kind *kind = name ? transfer_kind_find(L, name) : NULL;
  uint32_t offset = (uint32_t)encoder_position(e);
  if (kind && put_kind(e, index, kind))
    encoder_set(e, slot, (struct seen){object, offset, 0});
  else
    encoder_refuse(e, index, "userdata", "");
}

/* ---- any value ---- */

void encoder_put_value(struct encoder *e, int index) {
  size_t len;
  const char *text;
  switch (lua_type(e->L, index)) {
  case LUA_TNUMBER:
    put_number(e, index);
    break;
  case LUA_TSTRING:
    text = lua_tolstring(e->L, index, &len);
    encoder_put_string(e, text, len);
    break;
  case LUA_TTABLE:
    encode_table(e, index);
    break;
  case LUA_TBOOLEAN:
    encoder_put_byte(e, lua_toboolean(e->L, index) ? LEAD_TRUE : LEAD_FALSE);
    break;
  case LUA_TNIL:
    encoder_put_byte(e, LEAD_NIL);
    break;
  case LUA_TUSERDATA:
    encode_userdata(e, index);
    break;
  case LUA_TFUNCTION:
    encoder_put_function(e, index);
    break;
  default:
    encoder_refuse(e, index, luaL_typename(e->L, index), "");
  }
}

/* Writes a message; where `has_function`, the first value is the function that the others are for.
 */
static void encode(lua_State *L, int first, int count, const char *what, bool has_function,
                   struct buffer *out) {
  assert(first > 0 && count >= 0 && first + count - 1 <= lua_gettop(L));
  struct encoder e;
  encoder_init(&e, L, what, out);
  luaL_checkstack(L, ENCODE_SLOTS, "transfer");
  int top = lua_gettop(L);
  encoder_put_varint(&e, (size_t)count * 2);
  for (int i = 0; i < count; i++) {
    e.number = has_function ? i : i + 1;
    e.what = e.number == 0 ? "function" : what;
    encoder_put_value(&e, first + i);
  }
  lua_settop(L, top);
}

void transfer_encode(lua_State *L, int first, int count, const char *what, struct buffer *out) {
  encode(L, first, count, what, false, out);
}

void transfer_encode_named(lua_State *L, int index, const char *name, struct buffer *out) {
  struct encoder e;
  encoder_init(&e, L, name, out);
  luaL_checkstack(L, ENCODE_SLOTS, "transfer");
  int top = lua_gettop(L);
  encoder_put_varint(&e, 2);
  encoder_put_value(&e, index);
  lua_settop(L, top);
}

void transfer_encode_call(lua_State *L, int function, int nargs, struct buffer *out) {
  encode(L, function, nargs + 1, "argument", true, out);
}

/* ---- errors as values ---- */

/* Pushes a table with the fields of the one at `index`, whose metatable is the app's. Where that
 * has a text of its own, the copy is an error of ours with this text as message. */
static void push_plain_error(lua_State *L, int index) {
  lua_newtable(L);
  int copy = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, copy);
  }
  if (luaL_getmetafield(L, index, "__tostring") == LUA_TNIL) return;
  lua_pushliteral(L, "message");
  if (lua_rawget(L, copy) == LUA_TNIL) {
    lua_pushliteral(L, "message");
    error_push_text(L, index);
    lua_rawset(L, copy);
  }
  lua_settop(L, copy);
  class_push(L, CLASS_ERROR);
  lua_setmetatable(L, copy);
}

static bool has_foreign_metatable(lua_State *L, int index) {
  struct module_path path;
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  bool has_path = module_find(L, -1, &path);
  lua_pop(L, 1);
  return !has_path && !class_name(L, index);
}

void transfer_encode_error(lua_State *L, int index, const char *traceback, struct buffer *out) {
  struct encoder e;
  encoder_init(&e, L, "error", out);
  e.lenient = true;
  luaL_checkstack(L, ENCODE_SLOTS, "transfer");
  int top = lua_gettop(L);
  int error = lua_absindex(L, index);
  if (has_foreign_metatable(L, error)) {
    push_plain_error(L, error);
    error = lua_gettop(L);
  }
  encoder_put_varint(&e, 2 * 2);
  encoder_put_value(&e, error);
  if (traceback)
    encoder_put_string(&e, traceback, strlen(traceback));
  else
    encoder_put_byte(&e, LEAD_NIL);
  lua_settop(L, top);
}
