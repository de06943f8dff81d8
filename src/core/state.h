/* state.h - a Lua state with a memory limit, and Perilune's own base functions in it.
 *
 * The limit is decision 7's: a new object that would cross it is refused once, which makes Lua
 * collect; if the state is still above MEMORY_FULL_PERCENT of it after that, it counts as full and
 * "not enough memory" is raised in the code that asked. What grows may overshoot a little. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "core/slab.h"

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

struct worker;

struct memory {
  size_t used_bytes;
  size_t limit_bytes; /* 0: no limit */
  bool collecting;    /* the last allocation was refused; Lua collects and asks again */
  struct slab slab;
};

/* [owner] A new state for the worker, its libraries open; NULL when it does not fit the limit. */
lua_State *state_create(struct worker *worker);

/* [owner] Closes the state; accepts NULL. */
void state_destroy(lua_State *L);

/* [owner] Marks a coroutine as inside a wait (the app cannot resume or close it), and asks. */
void state_set_waiting(lua_State *co, bool waiting);
bool state_is_waiting(lua_State *co);

/* [owner] Marks a coroutine as ended by an error, and asks. */
void state_set_failed(lua_State *co);
bool state_is_failed(lua_State *co);

/* [owner] Writes the stack of `L` from `level` on, a line "file:line: in name" with `indent` before
 * it for each of at most `levels` levels, as far as it fits; gives the length, without the NUL.
 * Allocates nothing in Lua. */
size_t state_write_traceback(lua_State *L, int level, int levels, const char *indent, char *text,
                             size_t size);

/* [owner] Pushes the table with weak keys at `key` of the registry, made when first asked for. */
void state_push_weak_table(lua_State *L, const void *key);

/* [owner] Pushes 'module.name' of the function at the absolute index `function`, or gives false: it
 * is in no loaded module. */
bool state_push_module_name(lua_State *L, int function);

#define STATE_UNNAMED_FUNCTION "a C function"

/* [owner] The name of the C function at a stack level of `L`, or STATE_UNNAMED_FUNCTION; pushed. */
const char *state_push_function_name(lua_State *L, lua_Debug *debug);

#endif
