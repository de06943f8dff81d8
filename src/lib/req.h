/* req.h - `req`, the request as a handler sees it.
 *
 * A userdata that holds its own copy of the request in one block, so it lives as long as Lua wants
 * and can be sent to another state; tables (params, query, headers) are made when asked for. */
#ifndef LIB_REQ_H
#define LIB_REQ_H

#include "http/exchange.h"

#include <lua.h>
#include <stdbool.h>

#define CLASS_REQ "perilune.req"

struct agenda;

/* What a `req` needs of the request while it is being handled. Sources are never freed while the
 * state lives; the number tells whether it is still the same request. */
struct req_source {
  uint64_t number;
  struct exchange *exchange;
  uint64_t id;
  const char *route; /* pattern, terminated */
  struct fiber *handler;
  struct agenda *agenda; /* of req.tasks; NULL until it is asked for; a reference is held here */
};

/* [owner] Registers the class in a state. */
void req_open(lua_State *L);

/* [owner] Pushes a `req` of the source. Raises when out of memory. */
void req_push(lua_State *L, struct req_source *source);

/* [any thread] Writes the id of a request as text of 16 digits. */
void req_format_id(char out[17], uint64_t id);

#endif
