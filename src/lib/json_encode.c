/* json_encode.c - one pass over the value, straight into the caller's buffer.
 *
 * The Lua stack is the path: the root, and then for each level the key and the value under it. So
 * a path costs nothing until an error needs it. Recursion is bounded by JSON_DEPTH_MAX. A cycle is
 * met early by comparing each table with one ancestor, the one whose level is the last power of
 * two: once that ancestor is inside the cycle, it is seen again within one round. */
#include "lib/json_encode.h"

#include "base/limits.h"
#include "base/number.h"
#include "core/class.h"
#include "core/error.h"
#include "lib/json_parse.h"
#include "lib/json_path.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct encoder {
  lua_State *L;
  struct buffer *out;
  int indent;                 /* spaces of a level; 0: all in one line */
  struct json_sorter *sorter; /* NULL: the order of the table */
  size_t start;               /* length of `out` before */
  int root;          /* stack slot; the value of level n is at root + 2n, its key just below */
  const void *array; /* metatable of arrays, NULL until a metatable was met */
};

enum { WORD_BYTES = sizeof(uint64_t), HALF_BYTES = sizeof(uint32_t), ESCAPE_BYTES_MAX = 6 };

/* Room beside the bytes of a string: two quotes and one escape. */
enum { STRING_EXTRA_BYTES = 2 + ESCAPE_BYTES_MAX };

#define EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* What follows the backslash, for each byte that needs an escape. */
static const char escapes[256] = {
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
    'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
    'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

static void encode_value(struct encoder *encoder, int level);

/* Raises; the level says how much of the path is meant. */
static NO_RETURN void fail(struct encoder *encoder, int level, const char *why) {
  lua_State *L = encoder->L;
  json_path_push(L, encoder->root, level);
  error_raise(L, "json", "cannot encode %s: %s", lua_tostring(L, -1), why);
}

/* High bit set in each byte of the result that is zero in `word`; exact up to the first one. */
static inline uint64_t zero_bytes(uint64_t word) {
  return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

static inline bool needs_escape(uint64_t word) {
  uint64_t control = (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);
  return (control | zero_bytes(word ^ EACH_BYTE('"')) | zero_bytes(word ^ EACH_BYTE('\\'))) != 0;
}

static char *put_escape(char *to, unsigned char byte) {
  static const char digits[] = "0123456789abcdef";
  *to++ = '\\';
  *to++ = escapes[byte];
  if (escapes[byte] != 'u') return to;
  *to++ = '0';
  *to++ = '0';
  *to++ = digits[byte >> 4];
  *to++ = digits[byte & 0xF];
  return to;
}

/* Copies one word, as far as it needs no escape at all; adds its bytes to `seen`. */
static inline bool put_word(char *to, const char *from, uint64_t *seen) {
  uint64_t word;
  memcpy(&word, from, sizeof(word));
  if (needs_escape(word)) return false;
  memcpy(to, &word, sizeof(word));
  *seen |= word;
  return true;
}

/* As put_word, for a string of four to seven bytes: its two ends, which may overlap. */
static inline bool put_halves(char *to, const char *from, size_t len, uint64_t *seen) {
  uint32_t low, high;
  memcpy(&low, from, sizeof(low));
  memcpy(&high, from + len - sizeof(high), sizeof(high));
  uint64_t word = low | (uint64_t)high << 32;
  if (needs_escape(word)) return false;
  memcpy(to, &low, sizeof(low));
  memcpy(to + len - sizeof(high), &high, sizeof(high));
  *seen |= word;
  return true;
}

/* Copies the start of a string that needs no escape, in large steps; gives its length. */
static inline size_t put_plain(char *to, const char *from, size_t len, uint64_t *seen) {
  if (len < HALF_BYTES) return 0;
  if (len < WORD_BYTES) return put_halves(to, from, len, seen) ? len : 0;
  size_t done = 0;
  for (; len - done >= WORD_BYTES; done += WORD_BYTES) {
    if (!put_word(to + done, from + done, seen)) return done;
  }
  size_t last = len - WORD_BYTES;
  return put_word(to + last, from + last, seen) ? len : done;
}

/* Appends the rest of a string, from its byte `done` on, which goes to `to`; escapes what needs it.
 * Gives the end. */
static char *put_rest(struct buffer *out, char *to, const char *from, size_t done, size_t len,
                      uint64_t *seen) {
  while (done < len) {
    unsigned char byte = (unsigned char)from[done++];
    *seen |= byte;
    if (!escapes[byte]) {
      *to++ = (char)byte;
      continue;
    }
    out->len = (size_t)(to - out->data);
    to = put_escape(buffer_reserve(out, len - done + STRING_EXTRA_BYTES), byte);
    size_t plain = put_plain(to, from + done, len - done, seen);
    to += plain;
    done += plain;
  }
  return to;
}

/* Appends a string; false when it is not UTF-8. */
static inline bool put_string(struct buffer *out, const char *data, size_t len) {
  uint64_t seen = 0;
  char *to = buffer_reserve(out, len + STRING_EXTRA_BYTES);
  *to++ = '"';
  size_t plain = put_plain(to, data, len, &seen);
  to += plain;
  if (plain < len) to = put_rest(out, to, data, plain, len, &seen);
  *to++ = '"';
  out->len = (size_t)(to - out->data);
  return LIKELY(!(seen & EACH_BYTE(0x80))) || json_parse_is_utf8(data, len);
}

static void encode_string(struct encoder *encoder, int level) {
  size_t len;
  const char *data = lua_tolstring(encoder->L, -1, &len);
  if (put_string(encoder->out, data, len)) return;
  fail(encoder, level, "the string is not valid UTF-8");
}

static void encode_number(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  struct buffer *out = encoder->out;
  char *to = buffer_reserve(out, NUMBER_TEXT_BYTES_MAX);
  if (lua_isinteger(L, -1)) {
    out->len += number_format_integer(to, lua_tointeger(L, -1));
    return;
  }
  lua_Number number = lua_tonumber(L, -1);
  if (isnan(number)) fail(encoder, level, "nan has no JSON form");
  if (isinf(number)) fail(encoder, level, "inf has no JSON form");
  out->len += number_format_float(to, number);
}

/* Whether the table on top, whose metatable has no other say, is marked as an array. */
static inline bool is_marked(struct encoder *encoder) {
  lua_State *L = encoder->L;
  if (LIKELY(!lua_getmetatable(L, -1))) return false;
  if (!encoder->array) {
    class_push_array(L);
    encoder->array = lua_topointer(L, -1);
    lua_pop(L, 1);
  }
  bool marked = lua_topointer(L, -1) == encoder->array;
  lua_pop(L, 1);
  return marked;
}

static void check_length(struct encoder *encoder, int level) {
  if (encoder->out->len - encoder->start <= JSON_TEXT_BYTES_MAX) return;
  fail(encoder, level, "the text is too long");
}

/* ---- lines ---- */

static void add_line(struct encoder *encoder, int level) {
  size_t spaces = (size_t)(encoder->indent * level);
  char *to = buffer_reserve(encoder->out, spaces + 1);
  *to = '\n';
  memset(to + 1, ' ', spaces);
  encoder->out->len += spaces + 1;
}

/* Before an item of the list or object at `level`. */
static inline void begin_item(struct encoder *encoder, int level) {
  if (UNLIKELY(encoder->indent > 0)) add_line(encoder, level + 1);
}

/* The comma behind the last item becomes the closing bracket. */
static void close_with(struct encoder *encoder, int level, char bracket) {
  struct buffer *out = encoder->out;
  if (LIKELY(encoder->indent == 0)) {
    out->data[out->len - 1] = bracket;
    return;
  }
  out->len--;
  add_line(encoder, level);
  buffer_add_byte(out, bracket);
}

/* ---- sorted keys: the texts of the members are put in order when the object is complete ---- */

/* The text of a member, with its comma; the key is the table's. */
struct member {
  struct slice key;
  size_t begin, len;
};

static int compare_members(const void *a, const void *b) {
  const struct slice *one = &((const struct member *)a)->key;
  const struct slice *other = &((const struct member *)b)->key;
  int order = memcmp(one->data, other->data, one->len < other->len ? one->len : other->len);
  if (order != 0) return order;
  return one->len < other->len ? -1 : one->len > other->len;
}

/* Sorts the members of the object that begin behind the first `before` bytes of the list, and takes
 * them off it. */
static void sort_members(struct encoder *encoder, size_t before) {
  struct json_sorter *sorter = encoder->sorter;
  struct member *members = (struct member *)(void *)(sorter->members.data + before);
  size_t count = (sorter->members.len - before) / sizeof *members;
  size_t begin = members[0].begin;
  char *text = encoder->out->data;
  qsort(members, count, sizeof *members, compare_members);
  buffer_clear(&sorter->text);
  for (size_t i = 0; i < count; i++)
    buffer_add(&sorter->text, text + members[i].begin, members[i].len);
  memcpy(text + begin, sorter->text.data, sorter->text.len);
  sorter->members.len = before;
}

/* Raises for the key of the pair on top, which the table at `level` must not have: a list, or an
 * object, as its first key said. */
static NO_RETURN void fail_key(struct encoder *encoder, int level, bool is_list) {
  lua_State *L = encoder->L;
  const char *why;
  int type = lua_type(L, -2);
  if (type != LUA_TSTRING && type != LUA_TNUMBER) {
    why = lua_pushfstring(L, "a %s cannot be a key in JSON", lua_typename(L, type));
  } else if (type == LUA_TNUMBER && is_list) {
    why = lua_pushfstring(L, "a list cannot have the key %s", luaL_tolstring(L, -2, NULL));
  } else if (class_is_array(L, encoder->root + 2 * level)) {
    json_path_push_key(L, -2);
    why = lua_pushfstring(L, "a list cannot have the key %s", lua_tostring(L, -1));
  } else {
    why = "a table with both strings and numbers as keys has no JSON form";
  }
  fail(encoder, level, why);
}

/* Whether the pair on top is the length that a marked array says itself, as async.map does: then
 * holes are null. */
static bool is_own_length(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  return lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), "n") == 0 &&
         lua_isinteger(L, -1) && class_is_array(L, encoder->root + 2 * level);
}

/* The length of the list on top, whose keys did not come in order; raises when they are not
 * 1 to n. */
static lua_Integer list_length(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  lua_Integer count = 0, last = 0, own = -1;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (is_own_length(encoder, level)) {
      own = lua_tointeger(L, -1);
      continue;
    }
    lua_Integer key = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (key < 1) fail_key(encoder, level, true);
    if (key > last) last = key;
    count++;
  }
  if (own >= last) return own;
  if (count == last) return count;
  fail(encoder, level,
       lua_pushfstring(L, "a list with holes: its last key is %I, but it has %I items",
                       (LUAI_UACINT)last, (LUAI_UACINT)count));
}

/* Goes on with a list from item `i`, by index; its holes are null. The key and the value on top are
 * dropped. */
static void encode_by_index(struct encoder *encoder, int level, lua_Integer i) {
  lua_State *L = encoder->L;
  lua_pop(L, 2);
  lua_Integer length = list_length(encoder, level);
  for (; i <= length; i++) {
    begin_item(encoder, level);
    lua_pushinteger(L, i);
    if (lua_rawgeti(L, -2, i) == LUA_TNIL)
      buffer_add_text(encoder->out, "null");
    else
      encode_value(encoder, level + 1);
    buffer_add_byte(encoder->out, ',');
    lua_pop(L, 2);
    check_length(encoder, level);
  }
}

/* Encodes the list below the first pair on top; takes the pair off. */
static void encode_list(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  buffer_add_byte(encoder->out, '[');
  lua_Integer i = 1;
  do {
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) != i) {
      encode_by_index(encoder, level, i);
      break;
    }
    begin_item(encoder, level);
    encode_value(encoder, level + 1);
    buffer_add_byte(encoder->out, ',');
    lua_pop(L, 1);
    i++;
  } while (lua_next(L, -2));
  struct buffer *out = encoder->out;
  if (out->data[out->len - 1] == '[')
    buffer_add_byte(out, ']');
  else
    close_with(encoder, level, ']');
}

/* Encodes the pair on top, a member of the object at `level`, with its comma. */
static inline struct slice encode_member(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  struct buffer *out = encoder->out;
  struct slice key;
  if (lua_type(L, -2) != LUA_TSTRING) fail_key(encoder, level, false);
  begin_item(encoder, level);
  key.data = lua_tolstring(L, -2, &key.len);
  if (!put_string(out, key.data, key.len)) fail(encoder, level + 1, "the key is not valid UTF-8");
  buffer_add_byte(out, ':');
  if (UNLIKELY(encoder->indent > 0)) buffer_add_byte(out, ' ');
  encode_value(encoder, level + 1);
  buffer_add_byte(out, ',');
  return key;
}

/* As encode_object, in the order of the keys' bytes. */
static void encode_sorted(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  struct buffer *out = encoder->out, *members = &encoder->sorter->members;
  size_t before = members->len;
  do {
    struct member member = {.begin = out->len};
    member.key = encode_member(encoder, level);
    member.len = out->len - member.begin;
    buffer_add(members, &member, sizeof member);
    lua_pop(L, 1);
  } while (lua_next(L, -2));
  sort_members(encoder, before);
}

/* Encodes the object below the first pair on top; takes the pair off. */
static void encode_object(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  buffer_add_byte(encoder->out, '{');
  if (UNLIKELY(encoder->sorter != NULL)) {
    encode_sorted(encoder, level);
  } else {
    do {
      encode_member(encoder, level);
      lua_pop(L, 1);
    } while (lua_next(L, -2));
  }
  close_with(encoder, level, '}');
}

/* Raises at the first table of the path that is one of its own ancestors; there is one. */
static NO_RETURN void fail_cycle(struct encoder *encoder, int level) {
  int first = 1;
  for (bool found = false; !found && first < level; first += !found) {
    for (int i = 0; !found && i < first; i++) {
      found = lua_rawequal(encoder->L, encoder->root + 2 * first, encoder->root + 2 * i);
    }
  }
  fail(encoder, first, "a table that contains itself");
}

/* Raises when the table at `level` is too deep, or the ancestor that stands for all of them (see
 * the head of this file). */
static void check_nesting(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  int ancestor = level > 1;
  while (ancestor > 0 && ancestor * 2 < level) ancestor *= 2;
  if (lua_rawequal(L, encoder->root + 2 * level, encoder->root + 2 * ancestor)) {
    fail_cycle(encoder, level);
  }
  if (level < JSON_DEPTH_MAX) return;
  fail(encoder, level, lua_pushfstring(L, "nested deeper than %d", (int)JSON_DEPTH_MAX));
}

static void encode_table(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  luaL_checkstack(L, LUA_MINSTACK, "JSON");
  bool marked = is_marked(encoder);
  lua_pushnil(L);
  if (!lua_next(L, -2)) {
    buffer_add_text(encoder->out, marked ? "[]" : "{}");
    return;
  }
  if (level > 0) check_nesting(encoder, level);
  if (marked || lua_type(L, -2) == LUA_TNUMBER)
    encode_list(encoder, level);
  else
    encode_object(encoder, level);
  check_length(encoder, level);
}

/* Encodes the value on top, which stays there. */
static void encode_value(struct encoder *encoder, int level) {
  lua_State *L = encoder->L;
  int type = lua_type(L, -1);
  switch (type) {
  case LUA_TSTRING:
    encode_string(encoder, level);
    return;
  case LUA_TNUMBER:
    encode_number(encoder, level);
    return;
  case LUA_TTABLE:
    encode_table(encoder, level);
    return;
  case LUA_TBOOLEAN:
    buffer_add_text(encoder->out, lua_toboolean(L, -1) ? "true" : "false");
    return;
  case LUA_TUSERDATA:
    if (!class_is_null(L, -1)) break;
    buffer_add_text(encoder->out, "null");
    return;
  case LUA_TNIL:
    fail(encoder, level, "nil has no JSON form (perilune.null is null)");
  default:
    break;
  }
  fail(encoder, level, lua_pushfstring(L, "a %s has no JSON form", lua_typename(L, type)));
}

void json_encode_as(lua_State *L, int index, struct buffer *out, int indent,
                    struct json_sorter *sorter) {
  luaL_checkstack(L, LUA_MINSTACK, "JSON");
  lua_pushvalue(L, index);
  if (sorter) buffer_clear(&sorter->members);
  struct encoder encoder = {.L = L,
                            .out = out,
                            .indent = indent,
                            .sorter = sorter,
                            .start = out->len,
                            .root = lua_gettop(L)};
  encode_value(&encoder, 0);
  lua_pop(L, 1);
}

void json_encode(lua_State *L, int index, struct buffer *out) {
  json_encode_as(L, index, out, 0, NULL);
}
