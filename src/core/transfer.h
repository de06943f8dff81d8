/* transfer.h - Lua values as bytes, from one Lua state to another of the same process.
 *
 * A message holds a list of values: nil, booleans, numbers, strings, tables (cycles and shared
 * references kept within the message), with a metatable if that is a class (core/class.h) or in a
 * module, functions, modules, and userdata that was registered here. Everything else is refused by
 * an error of kind "transfer" that names the path to it. Access is raw: no metamethod runs. The
 * bytes are native and good in this process only. */
#ifndef CORE_TRANSFER_H
#define CORE_TRANSFER_H

#include "base/buffer.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* How all userdata of one class cross. Both calls have LUA_MINSTACK free slots. */
struct transfer_kind {
  const char *name; /* class name of the metatable */

  /* Appends what stands for the value at `index`; false when this one cannot cross (what was
   * appended is dropped then). May raise. Leaves the stack as it was. */
  bool (*encode)(lua_State *L, int index, struct buffer *out);

  /* Pushes one value made from the bytes that encode() appended. May raise. */
  void (*decode)(lua_State *L, const char *data, size_t len);
};

/* [owner] Teaches this state a kind; `kind` must outlive the state. A name that was registered
 * before gets the new one. */
void transfer_register(lua_State *L, const struct transfer_kind *kind);

/* [owner] Appends a message with the `count` values from the absolute index `first` on, nils
 * included. Raises kind "transfer" when one cannot cross or `out` would grow past
 * TRANSFER_BYTES_MAX; `what` ("argument", "result") opens the path in that error. `out` is the
 * caller's, and must be owned by something a raise does not skip; what it holds then is junk. */
void transfer_encode(lua_State *L, int first, int count, const char *what, struct buffer *out);

/* [owner] As transfer_encode, for the function at the absolute index `function` and the `nargs`
 * arguments above it; arguments are counted from 1 in errors, the function is named so. */
void transfer_encode_call(lua_State *L, int function, int nargs, struct buffer *out);

/* [owner] Pushes the values of one message and gives their number. Raises kind "transfer" when the
 * bytes are no message, or name what this state does not have. May require modules. */
int transfer_decode(lua_State *L, const char *data, size_t len);

/* [owner] As transfer_decode, but requires nothing: where the message names a module that is not
 * loaded, pushes its name and gives TRANSFER_NOT_LOADED. It is to be required, which may wait, and
 * this called again. */
enum { TRANSFER_NOT_LOADED = -1 };
int transfer_decode_loaded(lua_State *L, const char *data, size_t len);

/* [owner] As transfer_encode, one value, which has a name in errors and no number. */
void transfer_encode_named(lua_State *L, int index, const char *name, struct buffer *out);

/* [owner] Appends a message with an error value and its traceback (may be NULL). An error always
 * crosses: what cannot is replaced by its text, in fields too; a table with a metatable of the
 * app's crosses as its fields, without it. Raises only when `out` would grow too large or memory
 * runs out. */
void transfer_encode_error(lua_State *L, int index, const char *traceback, struct buffer *out);

/* [owner] Pushes the error value and the traceback (nil where there was none) of such a message.
 * What it names and this state does not have is replaced by its text; a class is left out. Raises
 * when the bytes are no such message. */
void transfer_decode_error(lua_State *L, const char *data, size_t len);

#endif
