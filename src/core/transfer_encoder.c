/* transfer_encoder.c - the bytes of a message that is being written, and what is in it already.
 *
 * Where the encoder stands is a chain of steps on the C stack, read only when a path must be
 * told. */
#include "core/transfer_encoder.h"

#include "core/error.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdio.h>

enum { SEEN_GROWTH = 4 }; /* times as many slots when half are in use; a power of two */

static_assert(TRANSFER_BYTES_MAX <= UINT32_MAX, "offsets, and lengths of a kind's bytes");

void encoder_init(struct encoder *e, lua_State *L, const char *what, struct buffer *out) {
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

/* ---- errors ---- */

NO_RETURN static void raise_refused(struct encoder *e, const char *type, const char *why) {
  struct transfer_path path;
  transfer_path_write(&path, e->L, e->what, e->number, e->step);
  error_raise(e->L, "transfer", "%s (%s) cannot be sent to another Lua state%s", path.text, type,
              why);
}

void encoder_raise_too_large(struct encoder *e) {
  struct transfer_path path;
  transfer_path_write(&path, e->L, e->what, e->number, e->step);
  error_raise(e->L, "transfer",
              "%s cannot be sent to another Lua state: the message would be larger than %I bytes",
              path.text, (lua_Integer)TRANSFER_BYTES_MAX);
}

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
    encoder_put_string(e, text, len);
  } else {
    char text[64];
    int len = snprintf(text, sizeof text, "(error object is a %s value)", luaL_typename(L, index));
    encoder_put_string(e, text, (size_t)len);
  }
  lua_pop(L, 1);
}

void encoder_refuse(struct encoder *e, int index, const char *type, const char *why) {
  if (!e->lenient) raise_refused(e, type, why);
  put_text(e, index);
}

bool encoder_refuse_depth(struct encoder *e, int index) {
  char why[64];
  if (e->depth < TRANSFER_DEPTH_MAX) return false;
  snprintf(why, sizeof why, ": nested deeper than %d levels", TRANSFER_DEPTH_MAX);
  encoder_refuse(e, index, luaL_typename(e->L, index), why);
  return true;
}

/* ---- bytes ---- */

size_t encoder_varint_width(size_t value) {
  size_t width = 1;
  while (value >>= 7) width++;
  return width;
}

void encoder_write_varint(char *at, size_t width, size_t value) {
  for (; width > 1; width--, value >>= 7) *at++ = (char)((value & 0x7F) | 0x80);
  *at = (char)value;
}

void encoder_put_varint(struct encoder *e, size_t value) {
  size_t width = encoder_varint_width(value);
  encoder_write_varint(encoder_claim(e, width), width, value);
  e->out->len += width;
}

void encoder_put_string(struct encoder *e, const char *text, size_t len) {
  if (len <= SHORT_BYTES_MAX) {
    encoder_put_fixed(e, LEAD_SHORT + (int)len, text, len);
    return;
  }
  encoder_put_byte(e, LEAD_STRING);
  encoder_put_varint(e, len);
  memcpy(encoder_claim(e, len), text, len);
  e->out->len += len;
}

size_t encoder_begin_length(struct encoder *e) {
  encoder_claim(e, sizeof(uint32_t));
  e->out->len += sizeof(uint32_t);
  return e->out->len;
}

void encoder_end_length(struct encoder *e, size_t begun) {
  assert(e->out->len >= begun);
  if (e->out->len > TRANSFER_BYTES_MAX) encoder_raise_too_large(e);
  uint32_t len = (uint32_t)(e->out->len - begun);
  memcpy(e->out->data + begun - sizeof len, &len, sizeof len);
}

/* ---- what was written before ---- */

static void begin_objects(struct encoder *e) {
  assert(e->depth == 0);
  luaL_checkstack(e->L, ENCODE_SLOTS, "transfer");
  memset(e->seen_first, 0, sizeof e->seen_first);
  e->seen = e->seen_first;
  e->seen_mask = SEEN_FIRST - 1;
  e->seen_count = 0;
  lua_pushnil(e->L);
  e->seen_index = lua_gettop(e->L);
  module_push_names(e->L);
  e->names = e->seen_index + 1;
}

static inline size_t hash_address(const void *address) {
  uint64_t mixed = (uint64_t)(uintptr_t)address * 0x9E3779B97F4A7C15u; /* 2^64 / golden ratio */
  return (size_t)(mixed >> 32);
}

struct seen *encoder_find(struct encoder *e, const void *object) {
  if (!e->seen) begin_objects(e);
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
    if (old[i].object) *encoder_find(e, old[i].object) = old[i];
  lua_replace(e->L, e->seen_index);
}

void encoder_set(struct encoder *e, struct seen *slot, struct seen what) {
  *slot = what;
  if (++e->seen_count * 2 > e->seen_mask) grow_seen(e);
}

void encoder_share(struct encoder *e, size_t offset) {
  char *message = e->out->data + e->start;
  message[offset] |= LEAD_SHARED_BIT;
  message[0] |= 1;
}

bool encoder_put_ref(struct encoder *e, const struct seen *slot) {
  if (!slot->object) return false;
  encoder_put_byte(e, LEAD_REF);
  encoder_put_varint(e, slot->offset);
  encoder_share(e, slot->offset);
  return true;
}
