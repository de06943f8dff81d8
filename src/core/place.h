/* place.h - where a function runs: marks made while an app loads, known in every state.
 *
 * A mark gives a function an identity (file, line, code and primitive upvalues) by which every
 * state that has loaded the same files finds its own copy. A marked function is a plain Lua
 * function; calling it runs it where it belongs. */
#ifndef CORE_PLACE_H
#define CORE_PLACE_H

#include "base/base.h"

#include <lua.h>
#include <stdbool.h>

struct call_host;

/* The mark of one function in one state; lives as long as the marked function. */
struct place {
  struct call_host *host; /* runs its calls */
  char *pool;             /* owned; NULL: the pool that the caller chooses */
  char *loop;             /* owned; of a background function, NULL for a blocking one */
  int calls_max;          /* that its loop may have when it is called; 0: the default */
  uint64_t timeout_ns;    /* 0: none */
  char *called;           /* owned; kept by core/function_name.c; NULL: not asked for yet */
  char *identity;         /* owned */
  size_t identity_len;
};

struct place_options {
  const char *pool, *loop, *name; /* may be NULL */
  int calls_max;                  /* 0: the default */
  uint64_t timeout_ns;            /* 0: none */
  int timed;                      /* stack index of what runs it with its timeout; 0: it has none */
};

/* [owner] Prepares a state. */
void place_open(lua_State *L);

/* [owner] Marks are allowed from begin to end: the calls of what is marked go to `host`. */
void place_begin_load(lua_State *L, struct call_host *host);
void place_end_load(lua_State *L);
bool place_is_loading(lua_State *L);

/* [owner] The host that the last load gave, NULL before the first. */
struct call_host *place_host(lua_State *L);

/* [owner] Pushes how a message names the place with that identity: "apps/x/app.lua:12", or the name
 * it was given. */
const char *place_push_title(lua_State *L, const char *identity);

/* [owner] Pushes all marks, for the function index: a table of lists. */
void place_push_marks(lua_State *L);

/* [owner] Pushes the loops that this state knows, for the framework: name to table. A mark of a
 * background function makes the loop known. */
void place_push_loops(lua_State *L);

/* [owner] Pushes a marked function for the function at `index`. Raises after the load has ended,
 * and when the mark cannot be told from another one. */
void place_mark(lua_State *L, int index, const struct place_options *options);

/* [owner] The place of the value at `index`, or NULL when it is not a marked function. */
struct place *place_of(lua_State *L, int index);

/* [owner] Pushes the function that was marked, for the marked function at `index`. */
void place_push_function(lua_State *L, int index);

/* [owner] The same, or, where it has a timeout, what runs it with that. */
void place_push_inline(lua_State *L, int index);

/* [owner] Pushes this state's marked function with that identity; the function that was marked so.
 * They raise kind "transfer" when there is none. */
void place_push_marked(lua_State *L, const char *identity, size_t len);
void place_push_found(lua_State *L, const char *identity, size_t len);

#endif
