/* transfer_decode.c - from the bytes of a message (transfer_format.h) to Lua values.
 *
 * Trusts nothing: every length is held against the bytes that are left, nesting has a bound, and
 * all tables of a message together are made no larger than its bytes can fill. A message that
 * breaks the format raises kind "transfer". All values under construction are on the Lua stack. */
#include "base/limits.h"
#include "core/class.h"
#include "core/code.h"
#include "core/error.h"
#include "core/transfer_named.h"

#include <assert.h>
#include <lauxlib.h>
#include <limits.h>

enum {
  DECODE_SLOTS = 8,    /* Lua stack used by one level of tables */
  VALUES_MAX = 1000000 /* in one message: what a Lua stack can hold */
};

struct decoder {
  lua_State *L;
  const char *start, *at, *end;
  size_t entries; /* that tables may still be made for */
  int depth;      /* tables and functions around the value being read */
  bool lenient;   /* what this state does not have is replaced by its text */
  int not_loaded; /* stack slot for the name of a module that is not loaded; 0: it is required */
  int refs;       /* stack slot of the table of shared values by offset; 0: the message has none */
};

static void decode_value(struct decoder *d);

NO_RETURN static void raise_malformed(struct decoder *d) {
  error_raise(d->L, "transfer", "a message from another Lua state is damaged");
}

static inline const char *take(struct decoder *d, size_t len) {
  if (UNLIKELY((size_t)(d->end - d->at) < len)) raise_malformed(d);
  const char *data = d->at;
  d->at += len;
  return data;
}

static inline int take_byte(struct decoder *d) {
  return (unsigned char)*take(d, 1);
}

static size_t take_varint(struct decoder *d) {
  uint64_t value = 0;
  for (int i = 0; i < VARINT_BYTES_MAX; i++) {
    uint64_t byte = (uint64_t)take_byte(d);
    value |= (byte & 0x7F) << (7 * i);
    if (byte < 0x80) return (size_t)value;
  }
  raise_malformed(d);
}

/* Keeps the value on top of the stack for the references to it. */
static void share(struct decoder *d, size_t offset) {
  if (d->refs == 0) raise_malformed(d);
  lua_pushvalue(d->L, -1);
  lua_rawseti(d->L, d->refs, (lua_Integer)offset);
}

static void push_ref(struct decoder *d) {
  size_t offset = take_varint(d);
  if (d->refs == 0 || lua_rawgeti(d->L, d->refs, (lua_Integer)offset) == LUA_TNIL)
    raise_malformed(d);
}

static inline void push_string(struct decoder *d, size_t len) {
  const char *data = take(d, len);
  lua_pushlstring(d->L, data, len);
}

/* Counts entries that a new table gets room for. */
static void spend(struct decoder *d, size_t entries) {
  if (entries > d->entries || entries > INT_MAX) raise_malformed(d);
  d->entries -= entries;
}

static void decode_run(struct decoder *d, size_t count) {
  lua_State *L = d->L;
  for (size_t i = 1; i <= count; i++) {
    decode_value(d);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
}

static void decode_pairs(struct decoder *d) {
  lua_State *L = d->L;
  for (;;) {
    decode_value(d);
    if (lua_isnil(L, -1)) break;
    if (lua_type(L, -1) == LUA_TNUMBER && !lua_rawequal(L, -1, -1)) raise_malformed(d); /* NaN */
    decode_value(d);
    lua_rawset(L, -3);
  }
  lua_pop(L, 1);
}

/* What follows LEAD_TABLE; `offset` is where that was, 0 unless it is shared. */
static void decode_table(struct decoder *d, size_t offset) {
  lua_State *L = d->L;
  luaL_checkstack(L, DECODE_SLOTS, "transfer");
  if (++d->depth > TRANSFER_DEPTH_MAX) raise_malformed(d);
  int size = take_byte(d);
  if (size > 1 + SIZE_MAX_LOG2) raise_malformed(d);
  size_t pairs = size == 0 ? 0 : (size_t)1 << (size - 1);
  size_t run = take_varint(d);
  spend(d, run);
  spend(d, pairs);
  lua_createtable(L, (int)run, (int)pairs);
  if (offset > 0) share(d, offset);
  decode_run(d, run);
  if (size > 0) decode_pairs(d);
  d->depth--;
}

/* Replaces the metatable on top of the stack by the table that follows, with it. */
static void decode_marked_table(struct decoder *d) {
  lua_State *L = d->L;
  size_t offset = (size_t)(d->at - d->start);
  int lead = take_byte(d);
  if (lead != LEAD_TABLE && lead != LEAD_TABLE_SHARED) raise_malformed(d);
  decode_table(d, lead == LEAD_TABLE_SHARED ? offset : 0);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
}

/* Pushes a value that must be a string. */
static const char *decode_name(struct decoder *d) {
  int lead = d->at < d->end ? (unsigned char)*d->at : LEAD_NIL;
  if (lead < LEAD_SHORT || lead > LEAD_STRING) raise_malformed(d);
  decode_value(d);
  return lua_tostring(d->L, -1);
}

static void decode_class(struct decoder *d) {
  lua_State *L = d->L;
  luaL_checkstack(L, DECODE_SLOTS, "transfer");
  class_push(L, decode_name(d));
  lua_remove(L, -2);
  decode_marked_table(d);
}

static void decode_array(struct decoder *d) {
  luaL_checkstack(d->L, DECODE_SLOTS, "transfer");
  class_push_array(d->L);
  decode_marked_table(d);
}

/* ---- what has a name ---- */

static uint64_t take_u64(struct decoder *d) {
  uint64_t value;
  memcpy(&value, take(d, sizeof value), sizeof value);
  return value;
}

/* They push the strings, which keeps them. */
static struct slice decode_text(struct decoder *d) {
  struct slice text;
  decode_name(d);
  text.data = lua_tolstring(d->L, -1, &text.len);
  return text;
}

static void decode_path(struct decoder *d, struct module_path *path) {
  path->module = decode_name(d);
  path->count = take_byte(d);
  if (path->count > MODULE_FIELDS_MAX) raise_malformed(d);
  for (int i = 0; i < path->count; i++) path->fields[i] = decode_name(d);
}

/* Whether the module has to be loaded first; notes it, and pushes false in the place of what is in
 * it. */
static bool awaits_module(struct decoder *d, const struct module_path *path) {
  lua_State *L = d->L;
  if (d->not_loaded == 0 || !path->module || module_is_loaded(L, path->module)) return false;
  lua_pushstring(L, path->module);
  lua_replace(L, d->not_loaded);
  lua_pushboolean(L, false);
  return true;
}

/* Pushes what is named by the bytes behind `lead`; something else, and gives false, when that is
 * not here and the decoder does not raise. */
static bool decode_named(struct decoder *d, enum transfer_lead lead) {
  lua_State *L = d->L;
  luaL_checkstack(L, DECODE_SLOTS, "transfer");
  int below = lua_gettop(L);
  struct transfer_named named = {.lead = lead};
  if (lead == LEAD_MODULE || lead == LEAD_MODULE_CLASS) decode_path(d, &named.path);
  if (lead == LEAD_MODULE || lead == LEAD_INDEXED) named.number = take_u64(d);
  if (lead == LEAD_APP) named.number = take_varint(d);
  if (lead == LEAD_INDEXED || lead == LEAD_MARKED) named.text = decode_text(d);
  bool is_here = !awaits_module(d, &named.path);
  if (is_here && d->lenient)
    is_here = transfer_named_push_lenient(L, &named);
  else if (is_here)
    transfer_named_push(L, &named);
  lua_insert(L, below + 1);
  lua_settop(L, below + 1);
  return is_here;
}

static void decode_module_class(struct decoder *d) {
  if (!decode_named(d, LEAD_MODULE_CLASS)) {
    lua_pop(d->L, 1);
    lua_pushnil(d->L);
  }
  decode_marked_table(d);
}

/* ---- code ---- */

/* Makes the upvalue one that a function read before has, too. */
static void join_upvalue(struct decoder *d, int function, int number) {
  lua_State *L = d->L;
  size_t offset = take_varint(d);
  int other = take_byte(d);
  bool is_code =
      offset < (size_t)(d->end - d->start) && (unsigned char)d->start[offset] == LEAD_CODE_SHARED;
  if (!is_code || d->refs == 0) raise_malformed(d);
  lua_rawgeti(L, d->refs, (lua_Integer)offset);
  if (!lua_isfunction(L, -1) || lua_iscfunction(L, -1) || !lua_getupvalue(L, -1, other))
    raise_malformed(d);
  lua_pop(L, 1);
  lua_upvaluejoin(L, function, number, -1, other);
  lua_pop(L, 1);
}

/* What follows LEAD_CODE; `offset` is where that was, 0 unless it is shared. */
static void decode_code(struct decoder *d, size_t offset) {
  lua_State *L = d->L;
  lua_Debug debug;
  luaL_checkstack(L, DECODE_SLOTS, "transfer");
  if (++d->depth > TRANSFER_DEPTH_MAX) raise_malformed(d);
  uint32_t len;
  memcpy(&len, take(d, sizeof len), sizeof len);
  code_push(L, take(d, len), len);
  int function = lua_gettop(L);
  if (offset > 0) share(d, offset);
  lua_pushvalue(L, function);
  lua_getinfo(L, ">u", &debug);
  if (take_byte(d) != debug.nups) raise_malformed(d);
  for (int i = 1; i <= debug.nups; i++) {
    if (d->at < d->end && (unsigned char)*d->at == LEAD_UPVALUE) {
      d->at++;
      join_upvalue(d, function, i);
      continue;
    }
    decode_value(d);
    lua_setupvalue(L, function, i);
  }
  d->depth--;
}

/* ---- userdata ---- */

static void decode_kind(struct decoder *d) {
  lua_State *L = d->L;
  luaL_checkstack(L, LUA_MINSTACK, "transfer");
  const char *name = decode_name(d);
  const struct transfer_kind *kind = transfer_kind_find(L, name);
  if (!kind) error_raise(L, "transfer", "this Lua state cannot receive a value of kind '%s'", name);
  uint32_t len;
  memcpy(&len, take(d, sizeof len), sizeof len);
  int top = lua_gettop(L);
  const char *data = take(d, len);
  kind->decode(L, data, len);
  assert(lua_gettop(L) == top + 1);
  lua_remove(L, top);
}

static void decode_float(struct decoder *d) {
  lua_Number number;
  memcpy(&number, take(d, sizeof number), sizeof number);
  lua_pushnumber(d->L, number);
}

/* An object of which nothing that follows can refer to a part. */
static void decode_whole(struct decoder *d, enum transfer_lead lead) {
  if (lead == LEAD_KIND)
    decode_kind(d);
  else
    decode_named(d, lead);
}

static void decode_object(struct decoder *d, enum transfer_lead lead) {
  lua_State *L = d->L;
  size_t offset = lead & LEAD_SHARED_BIT ? (size_t)(d->at - d->start) - 1 : 0;
  switch (lead) {
  case LEAD_NIL:
    lua_pushnil(L);
    return;
  case LEAD_FALSE:
  case LEAD_TRUE:
    lua_pushboolean(L, lead == LEAD_TRUE);
    return;
  case LEAD_FLOAT:
    decode_float(d);
    return;
  case LEAD_STRING:
    push_string(d, take_varint(d));
    return;
  case LEAD_NULL:
    class_push_null(L);
    return;
  case LEAD_TABLE:
  case LEAD_TABLE_SHARED:
    decode_table(d, offset);
    return;
  case LEAD_ARRAY:
    decode_array(d);
    return;
  case LEAD_CLASS:
    decode_class(d);
    return;
  case LEAD_MODULE_CLASS:
    decode_module_class(d);
    return;
  case LEAD_CODE:
  case LEAD_CODE_SHARED:
    decode_code(d, offset);
    return;
  case LEAD_KIND:
  case LEAD_MODULE:
  case LEAD_INDEXED:
  case LEAD_MARKED:
  case LEAD_APP:
    decode_whole(d, lead);
    return;
  case LEAD_KIND_SHARED:
  case LEAD_MODULE_SHARED:
  case LEAD_INDEXED_SHARED:
  case LEAD_MARKED_SHARED:
  case LEAD_APP_SHARED:
    decode_whole(d, (enum transfer_lead)(lead - LEAD_SHARED_BIT));
    share(d, offset);
    return;
  case LEAD_REF:
    push_ref(d);
    return;
  case LEAD_SHORT:
  case LEAD_INT8:
  case LEAD_INT16:
  case LEAD_INT32:
  case LEAD_INT64:
  case LEAD_UPVALUE:
    break; /* read before by decode_value, or decode_code */
  }
  raise_malformed(d);
}

static lua_Integer take_integer(struct decoder *d, enum transfer_lead lead) {
  int8_t i8;
  int16_t i16;
  int32_t i32;
  int64_t i64;
  if (lead == LEAD_INT8) return memcpy(&i8, take(d, sizeof i8), sizeof i8), i8;
  if (lead == LEAD_INT16) return memcpy(&i16, take(d, sizeof i16), sizeof i16), i16;
  if (lead == LEAD_INT32) return memcpy(&i32, take(d, sizeof i32), sizeof i32), i32;
  return memcpy(&i64, take(d, sizeof i64), sizeof i64), i64;
}

static void decode_value(struct decoder *d) {
  int lead = take_byte(d);
  if (lead <= INLINE_INTEGER_MAX) {
    lua_pushinteger(d->L, lead);
  } else if (lead < LEAD_STRING) {
    push_string(d, (size_t)(lead - LEAD_SHORT));
  } else if (lead >= LEAD_INT8 && lead <= LEAD_INT64) {
    lua_pushinteger(d->L, take_integer(d, (enum transfer_lead)lead));
  } else {
    decode_object(d, (enum transfer_lead)lead);
  }
}

/* Pushes the values of a message, read as `d` says. */
static int decode(struct decoder *d, const char *data, size_t len) {
  lua_State *L = d->L;
  luaL_checkstack(L, DECODE_SLOTS, "transfer");
  if (len == 0) raise_malformed(d);
  d->start = d->at = data;
  d->end = data + len;
  d->entries = len;
  size_t head = take_varint(d);
  size_t count = head / 2;
  if (count > VALUES_MAX || count > (size_t)(d->end - d->at)) raise_malformed(d);
  luaL_checkstack(L, (int)count + DECODE_SLOTS, "transfer");
  if (head % 2 == 1) {
    lua_newtable(L);
    d->refs = lua_gettop(L);
  }
  for (size_t i = 0; i < count; i++) decode_value(d);
  if (d->at != d->end) raise_malformed(d);
  if (d->refs != 0) lua_remove(L, d->refs);
  return (int)count;
}

int transfer_decode(lua_State *L, const char *data, size_t len) {
  struct decoder d = {.L = L};
  return decode(&d, data, len);
}

int transfer_decode_loaded(lua_State *L, const char *data, size_t len) {
  luaL_checkstack(L, DECODE_SLOTS, "transfer");
  lua_pushnil(L);
  struct decoder d = {.L = L, .not_loaded = lua_gettop(L)};
  int count = decode(&d, data, len);
  if (lua_isnil(L, d.not_loaded)) {
    lua_remove(L, d.not_loaded);
    return count;
  }
  lua_settop(L, d.not_loaded);
  return TRANSFER_NOT_LOADED;
}

void transfer_decode_error(lua_State *L, const char *data, size_t len) {
  enum { ERROR_AND_TRACEBACK = 2 };
  struct decoder d = {.L = L, .lenient = true};
  if (decode(&d, data, len) != ERROR_AND_TRACEBACK) raise_malformed(&d);
}
