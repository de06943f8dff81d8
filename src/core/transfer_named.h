/* transfer_named.h - what a message names instead of holding it; private to core/transfer*.c.
 *
 * A name stands for the receiving state's own: a module or what is in one, a function of the app,
 * a marked function, an app. */
#ifndef CORE_TRANSFER_NAMED_H
#define CORE_TRANSFER_NAMED_H

#include "core/module.h"
#include "core/transfer_format.h"

/* The strings are on the Lua stack. */
struct transfer_named {
  enum transfer_lead lead; /* LEAD_MODULE, _MODULE_CLASS, _INDEXED, _MARKED or _APP */
  struct module_path path; /* of what is in a module */
  uint64_t number;         /* fingerprint of that; identity of a function; number of an app */
  struct slice text;       /* title of a function; identity of a marked one */
};

/* [owner] Pushes what is named. Raises kind "transfer" when this state does not have it, or has
 * something else in its place. */
void transfer_named_push(lua_State *L, const struct transfer_named *named);

/* [owner] As transfer_named_push, but pushes a text that tells what was named, and gives false,
 * when this state does not have it. */
bool transfer_named_push_lenient(lua_State *L, const struct transfer_named *named);

#endif
