/* code.h - the code of Lua functions: its hash, and as bytes that only this process can have made.
 *
 * What lua_dump gives crosses between states with its debug information. Lua does not check what it
 * loads, so the bytes begin with a seal: their MAC under a key that the process drew at its start.
 * Bytes without the right seal are never loaded. The bytes need no memory but their own. */
#ifndef CORE_CODE_H
#define CORE_CODE_H

#include "base/buffer.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

enum { CODE_KEY_BYTES = 32 };

/* [owner] Gives a state the key; it must outlive the state. Without one no code is sealed. */
void code_open(lua_State *L, const unsigned char key[CODE_KEY_BYTES]);

/* [owner] A hash of the code of the Lua function at `index`: file, lines, instructions, constants,
 * names. Equal for all closures of one function in all states. */
uint64_t code_hash(lua_State *L, int index);

/* [owner] Appends the sealed code of the Lua function at `index`; false when this state has no
 * key. */
bool code_write(lua_State *L, int index, struct buffer *out);

/* [owner] Pushes a new closure of sealed code; its upvalues are to be set, all of them. Raises kind
 * "transfer" when the seal is not right, or this state has no key. */
void code_push(lua_State *L, const char *data, size_t len);

#endif
