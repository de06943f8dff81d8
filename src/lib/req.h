/* req.h - `req`, the request as a handler sees it.
 *
 * A userdata that holds its own copy of the request in one block, so it lives as long as Lua wants
 * and can be sent to another state; tables (params, query, headers) are made when asked for. */
#ifndef LIB_REQ_H
#define LIB_REQ_H

#include "base/buffer.h"
#include "base/list.h"
#include "core/timer.h"
#include "http/exchange.h"

#include <lua.h>
#include <stdbool.h>

#define CLASS_REQ "perilune.req"

struct instance;
struct agenda;
struct delivery;
struct req;
struct worker;

/* What a `req` needs of the request while it is being handled. Sources are never freed while the
 * state lives; the number tells whether it is still the same request. */
struct req_source {
  uint64_t number;
  struct exchange *exchange;
  uint64_t id;
  const char *route; /* pattern, terminated */
  const char *line;  /* where it is written, file:line; NULL without a route */
  struct fiber *handler;
  bool has_closers;      /* req:once has made something to close (lib/once.h) */
  bool failed;           /* the handler or what is around it did; its tasks are told */
  uint8_t reached;       /* enum task_when: the point that the request has come to */
  struct agenda *agenda; /* of req.tasks; NULL until it is asked for; a reference is held here */
  struct delivery *delivery; /* of its response object, if there is one; a reference is held here */

  struct list body_waiting;  /* fiber.link: for more of the body */
  struct list drain_waiting; /* fiber.link: for the client to take more */
  struct list remotes;       /* remote.link */
  struct buffer chunk;       /* of the body, on its way to Lua */

  struct timers *timers;     /* the clock of its app */
  struct instance *instance; /* of the app: fiber.instance */
  bool is_event_stream;      /* the response is: it ends when the client ends its side */
  bool wrote;                /* since keep_alive last fired */
  uint64_t keep_alive_ns;
  struct timer keep_alive;
};

/* Where a `req` comes from. */
struct req_origin {
  struct req_source *source; /* not to be looked into unless is_here */
  uint64_t number;           /* of the request at the source */
  uint64_t home;             /* number of the worker that the source belongs to */
  bool is_here;              /* and that is this one */
  bool streams_body;         /* the body is at the source, else here: */
  struct slice body;
};

/* [owner] Registers the class in a state. */
void req_open(lua_State *L);

/* [owner] Pushes a `req` of the source. Raises when out of memory. */
void req_push(lua_State *L, struct req_source *source);

/* [owner] Makes the function on top of the stack (popped) a method of every `req` of the state. */
void req_add_method(lua_State *L, const char *name);

/* [owner] The `req` at `index`. Raises when there is none: `method` was called with a dot. */
struct req *req_check(lua_State *L, int index, const char *method);

/* [owner] Raises when the body of the `req` is streamed. */
void req_check_buffered(lua_State *L, const struct req *req);

/* [owner] The agenda of the request while it lasts, made when there is none; NULL in other states
 * and, but for a `req` with a body, after the handler. */
struct agenda *req_take_agenda(struct req *req);

/* [owner] Pushes `req.tasks`, also where the request is handled elsewhere. */
void req_push_tasks(lua_State *L, struct req *req);

/* [owner] What the `req` at `index` comes from. Raises as req_check. */
struct req_origin req_find_origin(lua_State *L, int index, const char *method);

/* [owner] The value of the first header field called `name`, in any case, of the `req` at `index`;
 * its data is NULL when there is none. */
struct slice req_find_field(lua_State *L, int index, struct slice name);

/* [owner] Pushes the table of what is kept with the `req` at `index`. */
void req_push_kept(lua_State *L, int index);

/* [owner] Lets temporary files be made for the request of the `req` at `index` until it and its
 * tasks have ended; gives its id. A copy in another state relies on the one that was sent. */
uint64_t req_open_files(lua_State *L, int index);

/* [owner] Raises an abort with `status` and a detail; `format` as lua_pushfstring. */
NO_RETURN void req_abort(lua_State *L, int status, const char *format, ...);

/* [any thread] Writes the id of a request as text of 16 digits. */
void req_format_id(char out[17], uint64_t id);

#endif
