/* sync.h - what semaphore, mutex, event and channel share: their classes, and who waits.
 *
 * Each is a userdata with lists of the fibers that wait for it. It stays at 1 of the C function
 * that waits, so it lives as long as somebody does. What a fiber is handed is put on the stack of
 * the coroutine that it waits in (fiber.parked_co; a C function has LUA_MINSTACK slots), before it
 * is woken: its continuation finds it there, or does not. Finalizers may call what never waits. */
#ifndef LIB_SYNC_H
#define LIB_SYNC_H

#include "base/list.h"
#include "core/fiber.h"

#include <lauxlib.h>
#include <lua.h>

/* Upvalues of the methods of a class: its metatable, and that of what belongs to it. */
enum { SYNC_OWN_CLASS = 1, SYNC_PART_CLASS };

/* [owner] Pushes the metatable of a new class. The methods get it as their first upvalue, the
 * `count` values on top of the stack (popped) as further ones; those named __x are metamethods. */
void sync_push_class(lua_State *L, const char *name, const luaL_Reg methods[], int count);

/* [owner] Pops the metatable of a class, and makes `create` the constructor `name` of the module
 * table that is on top then. */
void sync_add_constructor(lua_State *L, const char *name, lua_CFunction create);

/* [owner] For methods and constructors: pushes a zeroed userdata of the class that is that upvalue,
 * with one user value. */
void *sync_push(lua_State *L, size_t bytes, int class);

/* [owner] For methods: the userdata at 1, of their own class; raises "use a colon" when it is
 * another value. */
void *sync_check(lua_State *L, const char *class, const char *method);

/* [owner] First in a continuation: raises kind "cancelled" when the wait ended so. A deadline that
 * has passed meanwhile cancels from here on; else the hook would raise before the code has stored
 * what it was handed. Gives the running fiber. */
struct fiber *sync_end_wait(lua_State *L);

/* [owner] Parks the running fiber last in a list, for SYNC_FOREVER or so many nanoseconds; the
 * continuation gets that number. */
#define SYNC_FOREVER (-1)
lua_nret sync_park(lua_State *L, struct list *waiting, const char *what, lua_KContext limit_ns,
                   lua_KFunction k);

/* [owner] The limit for sync_park that is argument `index`: seconds, or none. */
lua_KContext sync_check_limit(lua_State *L, int index);

/* [owner] Appends ", N waiting" and `what` to the string on top of the stack, if anyone is. */
void sync_add_waiting(lua_State *L, const struct list *waiting, const char *what);

/* [owner] The fiber that has waited longest, or NULL. */
static inline struct fiber *sync_first(const struct list *waiting) {
  return list_is_empty(waiting) ? NULL : container_of(waiting->next, struct fiber, link);
}

/* [owner] Wakes the fiber that has waited longest. */
static inline void sync_wake(struct fiber *first) {
  fiber_wake(fiber_ticket(first));
}

#endif
