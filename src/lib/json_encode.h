/* json_encode.h - Lua values to JSON text, strictly.
 *
 * A table is an array when its keys are 1 to n or it has the array mark, an object when all its
 * keys are strings, and `{}` when it is empty without the mark; its metatable has no say but the
 * mark. perilune.null is null. Floats keep a '.' or an exponent (`5.0`) and are as short as reads
 * back the same. Refused: functions and other kinds without a JSON form, mixed and sparse tables,
 * keys of other kinds, nan and inf, invalid UTF-8, cycles, nesting deeper than JSON_DEPTH_MAX. */
#ifndef LIB_JSON_ENCODE_H
#define LIB_JSON_ENCODE_H

#include "base/buffer.h"

#include <lua.h>

/* Memory that sorting needs; zeroed before its first use, and its owner finishes both buffers. */
struct json_sorter {
  struct buffer members, text;
};

/* [owner] Appends the JSON text of the value at `index` to `out`, which stays the caller's: when
 * this raises, `out` has part of the text and must be finished by who owns it. Raises kind "json"
 * naming the path: `cannot encode value.users[2].photo: a function has no JSON form`. Calls no
 * Lua code, and no finalizer runs in it. */
void json_encode(lua_State *L, int index, struct buffer *out);

/* [owner] As json_encode, each item on a line of its own when `indent` (spaces for each level) is
 * not 0, and the members of objects by the bytes of their keys unless `sorter` is NULL. */
void json_encode_as(lua_State *L, int index, struct buffer *out, int indent,
                    struct json_sorter *sorter);

#endif
