/* coverage.h - `perilune test --coverage`: luacov's hook in every coroutine of every state.
 *
 * luacov counts lines in a state of Lua; each has its own. Coroutines inherit the hook from the one
 * that makes them, those made in C too. States save what they have counted into one file, one
 * state at a time. Off, which it is everywhere else, it costs nothing. */
#ifndef CORE_COVERAGE_H
#define CORE_COVERAGE_H

#include <lua.h>
#include <stdbool.h>

struct coverage;
struct process;

/* [owner] Off at first. The caller owns it, and destroys it when no state is left; accepts NULL. */
struct coverage *coverage_create(void);
void coverage_destroy(struct coverage *coverage);

/* [any thread] Whether lines are counted. */
bool coverage_is_on(const struct process *process);

/* [owner] A new state begins to count, if it is on; is about to be closed: saves. Outside of
 * fibers; raise nothing. */
void coverage_start(lua_State *L);
void coverage_save(lua_State *L);

/* [owner] Pushes the table of perilune.native.coverage; gives 1. */
int coverage_open(lua_State *L);

#endif
