/* shared_method.h - what the methods of shared tables begin and end with.
 *
 * Where a gate is closed a method parks and begins anew with its arguments, which are still on the
 * stack. So it does when a value names a module that is to be required first. */
#ifndef LIB_SHARED_METHOD_H
#define LIB_SHARED_METHOD_H

#include "core/fiber.h"
#include "lib/shared_convert.h"

#include <lua.h>

struct shared_store;

#define SHARED_CLASS "perilune.shared"

/* What a table is in Lua. */
struct shared_handle {
  struct shared_store *store; /* a reference */
  struct shared_table *table;
};

/* The upvalue of all methods behind that of their class: the state's scratch. */
enum { SHARED_SCRATCH = 2 };

/* [owner] The call of a method that is running: checks the table at 1; and the key at 2 if there
 * is to be one. */
struct shared_call shared_method_begin(lua_State *L, const char *method);
struct shared_call shared_method_begin_key(lua_State *L, const char *method);

/* [owner] When what is set now expires: the seconds at argument `index`; 0: never. */
uint64_t shared_method_due(lua_State *L, int index, const struct shared_call *call);

/* [owner] Finds a value; the scratch is made ready for it. */
enum shared_result shared_method_get(lua_State *L, struct shared_call *call,
                                     struct shared_found *found);

/* [owner] Pushes a value and gives it as the result; or requires the module that it names, and goes
 * on in `k`, which begins with shared_method_begin_again. */
lua_nret shared_method_give(lua_State *L, const struct shared_value *value, lua_KFunction k);

/* [owner] Requires the module whose name is on top; `k` as above. */
lua_nret shared_method_require(lua_State *L, lua_KFunction k);

/* [owner] Waits at the gate of the call; `k` as above. */
lua_nret shared_method_wait(lua_State *L, const struct shared_call *call, lua_KFunction k);

/* [owner] First in those continuations: the stack is that of `nargs` arguments again. */
void shared_method_begin_again(lua_State *L, int status, lua_KContext context, int nargs);

/* [owner] Raises what a result says that is neither done nor busy. */
NO_RETURN void shared_method_raise(lua_State *L, const struct shared_call *call,
                                   enum shared_result result);

#endif
