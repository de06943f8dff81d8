/* json_decode.c - from the parser's tape to Lua values.
 *
 * The tape has the sizes of arrays and objects, so each table is made once at its size. The walk is
 * C only: a Lua error may leave it anywhere, since all memory belongs to the parser, and the parser
 * to a userdata on the stack. Each state keeps one parser; one that is in use (a finalizer decodes
 * while we do) or was left by an error is replaced by a new one. */
#include "lib/json_decode.h"

#include "base/base.h"
#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "lib/json_fault.h"
#include "lib/json_parse.h"

#include <assert.h>
#include <lauxlib.h>
#include <limits.h>
#include <string.h>

static const char parser_key;

/* Keys of objects that were met lately, so that the keys of the next object are not hashed and
 * interned again: their bytes as two words, and their length plus 1, or 0 for none. */
enum { KEY_BYTES_MAX = 16, KEYS_MAX = 256, KEY_HASH_SHIFT = 64 - 8 };
#define KEY_HASH_FACTOR UINT64_C(0x9E3779B97F4A7C15)

static_assert(KEYS_MAX == UINT64_C(1) << (64 - KEY_HASH_SHIFT), "a hash is a slot of keys");

struct key {
  uint64_t low, high;
  size_t len;
};

/* The userdata that owns a parser; its user value is the array of the strings of `keys`. `parser`
 * is NULL before the first text and after a long one. */
struct parser_box {
  struct json_parser *parser;
  bool is_busy;
  struct key keys[KEYS_MAX];
};

struct decoder {
  lua_State *L;
  const char *strings;
  struct key *keys;
  int key_strings; /* stack slot of their strings */
  int array;       /* stack slot of the metatable of arrays */
  int null;        /* stack slot of perilune.null */
  bool keep_null;  /* in objects */
};

/* A word of the tape: kind in the top byte; of a string its place, of arrays and objects 24 bits of
 * count and 32 bits of index. */
enum { TAPE_KIND_SHIFT = 56, TAPE_COUNT_SHIFT = 32, TAPE_COUNT_MASK = 0xFFFFFF };
#define TAPE_INDEX_MASK UINT64_C(0x00FFFFFFFFFFFFFF)

static inline enum json_tape_kind kind_of(uint64_t word) {
  return (enum json_tape_kind)(word >> TAPE_KIND_SHIFT);
}

/* Exact, or TAPE_COUNT_MASK when there are that many or more. */
static inline int count_of(uint64_t word) {
  return (int)((word >> TAPE_COUNT_SHIFT) & TAPE_COUNT_MASK);
}

static int parser_gc(lua_State *L) {
  struct parser_box *box = lua_touserdata(L, 1);
  json_parse_destroy(box->parser);
  box->parser = NULL;
  return 0;
}

/* Sets `__gc` each time: a first time may have raised in between. */
static void push_parser_metatable(lua_State *L) {
  luaL_newmetatable(L, "perilune.json parser");
  lua_pushcfunction(L, parser_gc);
  lua_setfield(L, -2, "__gc");
}

/* Pushes the userdata of a parser that is free. */
static struct parser_box *push_parser(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &parser_key);
  struct parser_box *box = lua_touserdata(L, -1);
  if (!box || box->is_busy) {
    lua_pop(L, 1);
    push_parser_metatable(L);
    box = lua_newuserdatauv(L, sizeof(*box), 1);
    *box = (struct parser_box){0};
    lua_insert(L, -2);
    lua_setmetatable(L, -2);
    lua_createtable(L, KEYS_MAX, 0);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &parser_key);
  }
  if (!box->parser) box->parser = json_parse_create();
  if (!box->parser) luaL_error(L, "not enough memory");
  return box;
}

/* Frees what a long text needed. */
static void release_parser(struct parser_box *box) {
  box->is_busy = false;
  if (json_parse_capacity(box->parser) <= JSON_KEEP_BYTES_MAX) return;
  json_parse_destroy(box->parser);
  box->parser = NULL;
}

/* The bytes of the string that `word` stands for. */
static inline struct slice string_of(const struct decoder *decoder, uint64_t word) {
  const char *at = decoder->strings + (word & TAPE_INDEX_MASK);
  uint32_t len;
  memcpy(&len, at, sizeof(len));
  return (struct slice){.data = at + sizeof(len), .len = len};
}

static inline void push_string(struct decoder *decoder, uint64_t word) {
  struct slice string = string_of(decoder, word);
  lua_pushlstring(decoder->L, string.data, string.len);
}

/* The word at `at`, of which only the first `count` bytes (1 to 8) count. */
static inline uint64_t first_bytes(const char *at, size_t count) {
  uint64_t word;
  memcpy(&word, at, sizeof(word));
  unsigned others = (unsigned)(sizeof(word) - count) * CHAR_BIT;
  return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word << others : word >> others;
}

/* The length is at most KEY_BYTES_MAX; two words may be read from the tape wherever a string is. */
static inline struct key key_of(struct slice string) {
  size_t half = sizeof(uint64_t), len = string.len;
  struct key key = {.len = len + 1};
  if (len > 0) key.low = first_bytes(string.data, len < half ? len : half);
  if (len > half) key.high = first_bytes(string.data + half, len - half);
  return key;
}

/* Pushes the string of a key, from the ones met before if it is among them. */
static void push_key(struct decoder *decoder, uint64_t word) {
  lua_State *L = decoder->L;
  struct slice string = string_of(decoder, word);
  if (string.len > KEY_BYTES_MAX) {
    lua_pushlstring(L, string.data, string.len);
    return;
  }
  struct key key = key_of(string);
  uint64_t hash = (key.low ^ (key.high + key.len) * KEY_HASH_FACTOR) * KEY_HASH_FACTOR;
  size_t slot = hash >> KEY_HASH_SHIFT;
  struct key *known = &decoder->keys[slot];
  if (LIKELY(known->low == key.low && known->high == key.high && known->len == key.len)) {
    lua_rawgeti(L, decoder->key_strings, (lua_Integer)slot + 1);
    return;
  }
  lua_pushlstring(L, string.data, string.len);
  lua_pushvalue(L, -1);
  lua_rawseti(L, decoder->key_strings, (lua_Integer)slot + 1);
  *known = key;
}

static lua_Number float_of(uint64_t word) {
  double value;
  memcpy(&value, &word, sizeof(value));
  return value;
}

static const uint64_t *push_value(struct decoder *decoder, const uint64_t *at);

/* Pushes the array that starts at `at`; gives the word behind it. */
static const uint64_t *push_array(struct decoder *decoder, const uint64_t *at) {
  lua_State *L = decoder->L;
  luaL_checkstack(L, LUA_MINSTACK, "JSON");
  lua_createtable(L, count_of(*at), 0);
  lua_pushvalue(L, decoder->array);
  lua_setmetatable(L, -2);
  at++;
  for (lua_Integer i = 1; kind_of(*at) != JSON_TAPE_ARRAY_END; i++) {
    at = push_value(decoder, at);
    lua_rawseti(L, -2, i);
  }
  return at + 1;
}

/* Pushes the object that starts at `at`; gives the word behind it. A null that is left out is set
 * to nil, so that it also takes away an earlier member of that name. */
static const uint64_t *push_object(struct decoder *decoder, const uint64_t *at) {
  lua_State *L = decoder->L;
  luaL_checkstack(L, LUA_MINSTACK, "JSON");
  lua_createtable(L, 0, count_of(*at));
  at++;
  while (kind_of(*at) != JSON_TAPE_OBJECT_END) {
    push_key(decoder, *at++);
    if (kind_of(*at) == JSON_TAPE_NULL && !decoder->keep_null) {
      lua_pushnil(L);
      at++;
    } else {
      at = push_value(decoder, at);
    }
    lua_rawset(L, -3);
  }
  return at + 1;
}

/* Pushes the value that starts at `at`; gives the word behind it. */
static const uint64_t *push_value(struct decoder *decoder, const uint64_t *at) {
  lua_State *L = decoder->L;
  switch (kind_of(*at)) {
  case JSON_TAPE_STRING:
    push_string(decoder, *at);
    return at + 1;
  case JSON_TAPE_INTEGER:
    lua_pushinteger(L, (lua_Integer)at[1]);
    return at + 2;
  case JSON_TAPE_UNSIGNED:
    lua_pushnumber(L, (lua_Number)at[1]);
    return at + 2;
  case JSON_TAPE_FLOAT:
    lua_pushnumber(L, float_of(at[1]));
    return at + 2;
  case JSON_TAPE_TRUE:
    lua_pushboolean(L, 1);
    return at + 1;
  case JSON_TAPE_FALSE:
    lua_pushboolean(L, 0);
    return at + 1;
  case JSON_TAPE_NULL:
    lua_pushvalue(L, decoder->null);
    return at + 1;
  case JSON_TAPE_ARRAY:
    return push_array(decoder, at);
  case JSON_TAPE_OBJECT:
    return push_object(decoder, at);
  case JSON_TAPE_ROOT:
  case JSON_TAPE_ARRAY_END:
  case JSON_TAPE_OBJECT_END:
    break;
  }
  luaL_error(L, "JSON tape: unexpected word");
  return NULL;
}

/* Pushes the value of the tape; `box` is the userdata on top. */
static void push_root(lua_State *L, struct parser_box *box, const struct json_tape *tape,
                      unsigned flags) {
  lua_getiuservalue(L, -1, 1);
  class_push_array(L);
  class_push_null(L);
  int top = lua_gettop(L);
  struct decoder decoder = {.L = L,
                            .strings = tape->strings,
                            .keys = box->keys,
                            .key_strings = top - 2,
                            .array = top - 1,
                            .null = top,
                            .keep_null = (flags & JSON_KEEP_NULL) != 0};
  push_value(&decoder, tape->words + 1);
}

/* Whether `digits` (of a number, without sign) fit neither an int64_t nor a uint64_t for sure. */
static bool is_wide(const char *digits, size_t len, bool negative) {
  static const char negative_max[] = "9223372036854775808";
  size_t wide_len = sizeof(negative_max) - 1;
  if (len != wide_len) return len > wide_len;
  return negative && memcmp(digits, negative_max, wide_len) > 0;
}

/* Copies one string, from its opening quote on; gives the byte behind it. */
static const char *copy_string(luaL_Buffer *out, const char *at, const char *end) {
  const char *start = at++;
  while (at < end && *at != '"') at += *at == '\\' && end - at > 1 ? 2 : 1;
  if (at < end) at++;
  luaL_addlstring(out, start, (size_t)(at - start));
  return at;
}

/* Copies one number; an integer that is too wide gets an exponent, so that it is read as a float.
 */
static const char *copy_number(luaL_Buffer *out, const char *at, const char *end) {
  const char *start = at;
  if (*at == '-') at++;
  const char *digits = at;
  while (at < end && *at >= '0' && *at <= '9') at++;
  bool widen = is_wide(digits, (size_t)(at - digits), *start == '-');
  bool whole = at == end || !memchr(".eE", *at, 3);
  while (at < end && *at && strchr("0123456789.eE+-", *at)) at++;
  luaL_addlstring(out, start, (size_t)(at - start));
  if (widen && whole) luaL_addstring(out, "e0");
  return at;
}

/* Pushes the text with each integer that no 64-bit type holds written as a float: the parser
 * refuses them, but JSON allows them and other programs write them (10^20). */
static const char *push_widened(lua_State *L, const char *text, size_t len, size_t *widened_len) {
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  const char *end = text + len;
  for (const char *at = text; at < end;) {
    if (*at == '"')
      at = copy_string(&out, at, end);
    else if (*at == '-' || (*at >= '0' && *at <= '9'))
      at = copy_number(&out, at, end);
    else
      luaL_addchar(&out, *at++);
  }
  luaL_pushresult(&out);
  return lua_tolstring(L, -1, widened_len);
}

static void push_reason(lua_State *L, enum json_parse_result result, const char *text, size_t len) {
  struct json_fault fault;
  if (result == JSON_PARSE_TOO_LONG) {
    lua_pushliteral(L, "invalid JSON: the text is too long");
  } else if (json_fault_find(text, len, &fault)) {
    lua_pushfstring(L, "invalid JSON at line %I, column %I (byte %I): %s%s",
                    (LUAI_UACINT)fault.line, (LUAI_UACINT)fault.column, (LUAI_UACINT)fault.byte,
                    fault.what, fault.is_at_end ? ", but the text ends" : "");
  } else {
    lua_pushliteral(L, "invalid JSON");
  }
}

static enum json_parse_result parse(lua_State *L, struct parser_box *box, const char *text,
                                    size_t len, struct json_tape *tape) {
  enum json_parse_result result = json_parse_text(box->parser, text, len, tape);
  if (LIKELY(result != JSON_PARSE_NUMBER)) return result;
  size_t widened_len;
  const char *widened = push_widened(L, text, len, &widened_len);
  return json_parse_text(box->parser, widened, widened_len, tape);
}

bool json_try_decode(lua_State *L, const char *text, size_t len, unsigned flags) {
  luaL_checkstack(L, LUA_MINSTACK, "JSON");
  int bottom = lua_gettop(L) + 1;
  struct parser_box *box = push_parser(L);
  struct json_tape tape;
  box->is_busy = true;
  enum json_parse_result result = parse(L, box, text, len, &tape);
  if (result == JSON_PARSE_NO_MEMORY) luaL_error(L, "not enough memory");
  lua_settop(L, bottom);
  if (result == JSON_PARSE_OK)
    push_root(L, box, &tape, flags);
  else
    push_reason(L, result, text, len);
  release_parser(box);
  lua_replace(L, bottom);
  lua_settop(L, bottom);
  return result == JSON_PARSE_OK;
}

void json_decode(lua_State *L, const char *text, size_t len, unsigned flags) {
  if (!json_try_decode(L, text, len, flags)) error_raise(L, "json", "%s", lua_tostring(L, -1));
}
