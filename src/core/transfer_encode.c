/* transfer_encode.c - from Lua values to the bytes of a message (transfer_format.h).
 *
 * One pass over the values. Tables are known by address in a small hash that starts inside the
 * encoder and moves into a userdata when it grows, so a raise leaks nothing and a flat table costs
 * no allocation. Where the encoder stands is a chain of steps on the C stack, read only when a path
 * must be told. */
#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "core/transfer_format.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>

enum {
  SEEN_FIRST = 16,  /* slots inside the encoder; a power of two */
  SEEN_GROWTH = 4,  /* times as many slots when half are in use; a power of two */
  RUN_GAP_MAX = 8,  /* nils between two elements of a run */
  ENCODE_SLOTS = 8, /* Lua stack used by one level of tables */
};

static_assert(TRANSFER_BYTES_MAX <= UINT32_MAX, "the length of a kind's bytes");

struct seen {
  const void *object; /* NULL: free */
  size_t offset;      /* of its lead byte in the message */
};

struct encoder {
  lua_State *L;
  struct buffer *out;
  size_t start;                     /* where the message begins in `out` */
  const char *what;                 /* "argument", "result", "error" */
  int number;                       /* of the value being written, from 1; 0: there is only one */
  int depth;                        /* tables around it */
  bool lenient;                     /* what cannot cross is replaced by its text */
  const struct transfer_step *step; /* innermost */

  /* Set up by the first object. */
  struct seen *seen; /* NULL before */
  size_t seen_mask, seen_count;
  int seen_index; /* stack slot of the userdata that `seen` grew into */
  struct seen seen_first[SEEN_FIRST];
};

/* ---- errors ---- */

NO_RETURN static void raise_refused(struct encoder *e, const char *type, const char *why) {
  struct transfer_path path;
  transfer_path_write(&path, e->L, e->what, e->number, e->step);
  error_raise(e->L, "transfer", "%s (%s) cannot be sent to another Lua state%s", path.text, type,
              why);
}

NO_RETURN static void raise_too_large(struct encoder *e) {
  struct transfer_path path;
  transfer_path_write(&path, e->L, e->what, e->number, e->step);
  error_raise(e->L, "transfer",
              "%s cannot be sent to another Lua state: the message would be larger than %I bytes",
              path.text, (lua_Integer)TRANSFER_BYTES_MAX);
}

/* ---- bytes ---- */

/* Room for `len` more bytes, which the caller adds to the length. */
static inline char *claim(struct encoder *e, size_t len) {
  if (UNLIKELY(e->out->len + len > TRANSFER_BYTES_MAX)) raise_too_large(e);
  return buffer_reserve(e->out, len);
}

static inline size_t position(const struct encoder *e) {
  return e->out->len - e->start;
}

static inline void put_lead(struct encoder *e, int lead) {
  *claim(e, 1) = (char)lead;
  e->out->len++;
}

static inline void put_fixed(struct encoder *e, int lead, const void *data, size_t len) {
  char *at = claim(e, 1 + len);
  *at = (char)lead;
  memcpy(at + 1, data, len);
  e->out->len += 1 + len;
}

static size_t varint_width(size_t value) {
  size_t width = 1;
  while (value >>= 7) width++;
  return width;
}

/* Writes a varint in exactly `width` bytes, which may be more than it needs. */
static void write_varint(char *at, size_t width, size_t value) {
  for (; width > 1; width--, value >>= 7) *at++ = (char)((value & 0x7F) | 0x80);
  *at = (char)value;
}

static void put_varint(struct encoder *e, size_t value) {
  size_t width = varint_width(value);
  write_varint(claim(e, width), width, value);
  e->out->len += width;
}

static inline void put_integer(struct encoder *e, lua_Integer value) {
  if (value >= 0 && value <= INLINE_INTEGER_MAX) {
    put_lead(e, (int)value);
  } else if (value == (int8_t)value) {
    put_fixed(e, LEAD_INT8, &(int8_t){(int8_t)value}, sizeof(int8_t));
  } else if (value == (int16_t)value) {
    put_fixed(e, LEAD_INT16, &(int16_t){(int16_t)value}, sizeof(int16_t));
  } else if (value == (int32_t)value) {
    put_fixed(e, LEAD_INT32, &(int32_t){(int32_t)value}, sizeof(int32_t));
  } else {
    put_fixed(e, LEAD_INT64, &(int64_t){value}, sizeof(int64_t));
  }
}

static void put_number(struct encoder *e, int index) {
  if (lua_isinteger(e->L, index)) {
    put_integer(e, lua_tointeger(e->L, index));
    return;
  }
  lua_Number number = lua_tonumber(e->L, index);
  put_fixed(e, LEAD_FLOAT, &number, sizeof number);
}

static void put_string(struct encoder *e, const char *text, size_t len) {
  if (len <= SHORT_BYTES_MAX) {
    put_fixed(e, LEAD_SHORT + (int)len, text, len);
    return;
  }
  put_lead(e, LEAD_STRING);
  put_varint(e, len);
  memcpy(claim(e, len), text, len);
  e->out->len += len;
}

/* ---- what was written before ---- */

static void begin_objects(struct encoder *e) {
  if (e->seen) return;
  assert(e->depth == 0);
  luaL_checkstack(e->L, ENCODE_SLOTS, "transfer");
  memset(e->seen_first, 0, sizeof e->seen_first);
  e->seen = e->seen_first;
  e->seen_mask = SEEN_FIRST - 1;
  e->seen_count = 0;
  lua_pushnil(e->L);
  e->seen_index = lua_gettop(e->L);
}

static inline size_t hash_address(const void *address) {
  uint64_t mixed = (uint64_t)(uintptr_t)address * 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio */
  return (size_t)(mixed >> 32);
}

/* The slot of an object, or the free one where it would go. */
static struct seen *find_seen(struct encoder *e, const void *object) {
  size_t at = hash_address(object) & e->seen_mask;
  while (e->seen[at].object && e->seen[at].object != object) at = (at + 1) & e->seen_mask;
  return &e->seen[at];
}

static void grow_seen(struct encoder *e) {
  struct seen *old = e->seen;
  size_t slots = e->seen_mask + 1;
  size_t bytes = slots * SEEN_GROWTH * sizeof(struct seen);
  e->seen = lua_newuserdatauv(e->L, bytes, 0);
  memset(e->seen, 0, bytes);
  e->seen_mask = slots * SEEN_GROWTH - 1;
  for (size_t i = 0; i < slots; i++)
    if (old[i].object) *find_seen(e, old[i].object) = old[i];
  lua_replace(e->L, e->seen_index);
}

static void set_seen(struct encoder *e, struct seen *slot, const void *object, size_t offset) {
  *slot = (struct seen){.object = object, .offset = offset};
  if (++e->seen_count * 2 > e->seen_mask) grow_seen(e);
}

/* Writes a reference to the object whose lead byte is at `offset`, and marks that as shared. */
static void put_ref(struct encoder *e, size_t offset) {
  put_lead(e, LEAD_REF);
  put_varint(e, offset);
  char *message = e->out->data + e->start;
  message[offset] |= LEAD_SHARED_BIT;
  message[0] |= 1;
}

/* ---- values ---- */

static void encode_value(struct encoder *e, int index);

static int text_of(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Writes the text of a value, whatever its __tostring does. */
static void put_text(struct encoder *e, int index) {
  lua_State *L = e->L;
  luaL_checkstack(L, 2, "transfer");
  lua_pushcfunction(L, text_of);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    put_string(e, text, len);
  } else {
    char text[64];
    int len = snprintf(text, sizeof text, "(error object is a %s value)", luaL_typename(L, index));
    put_string(e, text, (size_t)len);
  }
  lua_pop(L, 1);
}

static void refuse(struct encoder *e, int index, const char *type, const char *why) {
  if (!e->lenient) raise_refused(e, type, why);
  put_text(e, index);
}

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
  size_t width = varint_width(border);
  claim(e, width);
  size_t at = e->out->len;
  e->out->len += width;
  lua_Integer last = 0, next = 0;
  bool more;
  while ((more = lua_next(L, table)) && (next = place_in_run(L, key, last, border)) > 0) {
    while (++last < next) put_lead(e, LEAD_NIL);
    if (lua_isinteger(L, key + 1))
      put_integer(e, lua_tointeger(L, key + 1));
    else
      encode_value(e, key + 1);
    lua_settop(L, key);
  }
  write_varint(e->out->data + at, width, (size_t)last);
  return more;
}

/* Writes the pair at `key` and all that follow; gives their number. */
static size_t encode_pairs(struct encoder *e, int table, int key) {
  lua_State *L = e->L;
  size_t count = 0;
  do {
    encode_value(e, key);
    encode_value(e, key + 1);
    lua_settop(L, key);
    count++;
  } while (lua_next(L, table));
  put_lead(e, LEAD_NIL);
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
  put_fixed(e, LEAD_TABLE, "", 1);
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
  lua_pop(e->L, 1);
  if (class_is_array(e->L, table)) {
    put_lead(e, LEAD_ARRAY);
    return true;
  }
  const char *name = class_name(e->L, table);
  if (!name) return false;
  put_lead(e, LEAD_CLASS);
  put_string(e, name, strlen(name));
  return true;
}

static void refuse_depth(struct encoder *e, int index) {
  char why[64];
  snprintf(why, sizeof why, ": nested deeper than %d tables", TRANSFER_DEPTH_MAX);
  refuse(e, index, "table", why);
}

static void encode_table(struct encoder *e, int index) {
  begin_objects(e);
  const void *object = lua_topointer(e->L, index);
  struct seen *slot = find_seen(e, object);
  if (slot->object) {
    put_ref(e, slot->offset);
    return;
  }
  luaL_checkstack(e->L, ENCODE_SLOTS, "transfer");
  if (e->depth == TRANSFER_DEPTH_MAX) {
    refuse_depth(e, index);
  } else if (lua_getmetatable(e->L, index) && !put_class(e, index)) {
    refuse(e, index, "table with a metatable", "");
  } else {
    set_seen(e, slot, object, position(e));
    encode_entries(e, index);
  }
}

/* Writes a value by what its kind makes of it; false when that cannot send it. */
static bool put_kind(struct encoder *e, int index, const struct transfer_kind *kind) {
  size_t start = e->out->len;
  uint32_t len = 0;
  put_lead(e, LEAD_KIND);
  put_string(e, kind->name, strlen(kind->name));
  memcpy(claim(e, sizeof len), &len, sizeof len);
  e->out->len += sizeof len;
  size_t body = e->out->len;
  int top = lua_gettop(e->L);
  if (!kind->encode(e->L, index, e->out)) {
    e->out->len = start;
    return false;
  }
  assert(lua_gettop(e->L) == top && e->out->len >= body);
  (void)top;
  if (e->out->len > TRANSFER_BYTES_MAX) raise_too_large(e);
  len = (uint32_t)(e->out->len - body);
  memcpy(e->out->data + body - sizeof len, &len, sizeof len);
  return true;
}

static void encode_kind(struct encoder *e, int index) {
  lua_State *L = e->L;
  if (class_is_null(L, index)) {
    put_lead(e, LEAD_NULL);
    return;
  }
  begin_objects(e);
  luaL_checkstack(L, LUA_MINSTACK, "transfer");
  const void *object = lua_topointer(L, index);
  struct seen *slot = find_seen(e, object);
  if (slot->object) {
    put_ref(e, slot->offset);
    return;
  }
  const char *name = lua_isfunction(L, index) ? TRANSFER_FUNCTION : class_name(L, index);
  const struct transfer_kind *kind = name ? transfer_kind_find(L, name) : NULL;
  size_t offset = position(e);
  if (kind && put_kind(e, index, kind))
    set_seen(e, slot, object, offset);
  else
    refuse(e, index, luaL_typename(L, index), "");
}

static void encode_value(struct encoder *e, int index) {
  size_t len;
  const char *text;
  switch (lua_type(e->L, index)) {
  case LUA_TNUMBER:
    put_number(e, index);
    break;
  case LUA_TSTRING:
    text = lua_tolstring(e->L, index, &len);
    put_string(e, text, len);
    break;
  case LUA_TTABLE:
    encode_table(e, index);
    break;
  case LUA_TBOOLEAN:
    put_lead(e, lua_toboolean(e->L, index) ? LEAD_TRUE : LEAD_FALSE);
    break;
  case LUA_TNIL:
    put_lead(e, LEAD_NIL);
    break;
  case LUA_TUSERDATA:
  case LUA_TFUNCTION:
    encode_kind(e, index);
    break;
  default:
    refuse(e, index, luaL_typename(e->L, index), "");
  }
}

static void encoder_init(struct encoder *e, lua_State *L, const char *what, struct buffer *out) {
  e->L = L;
  e->out = out;
  e->start = out->len;
  e->what = what;
  e->number = 0;
  e->depth = 0;
  e->lenient = false;
  e->step = NULL;
  e->seen = NULL;
}

void transfer_encode(lua_State *L, int first, int count, const char *what, struct buffer *out) {
  assert(first > 0 && count >= 0 && first + count - 1 <= lua_gettop(L));
  struct encoder e;
  encoder_init(&e, L, what, out);
  luaL_checkstack(L, ENCODE_SLOTS, "transfer");
  int top = lua_gettop(L);
  put_varint(&e, (size_t)count * 2);
  for (int i = 0; i < count; i++) {
    e.number = i + 1;
    encode_value(&e, first + i);
  }
  lua_settop(L, top);
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
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  lua_pop(L, 1);
  return !class_name(L, index);
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
  put_varint(&e, 2 * 2);
  encode_value(&e, error);
  if (traceback)
    put_string(&e, traceback, strlen(traceback));
  else
    put_lead(&e, LEAD_NIL);
  lua_settop(L, top);
}
