/* call.h - a call of a marked function that another worker runs.
 *
 * The caller's side: arguments become bytes, a host (pools or loops) takes the call, the fiber
 * waits, results or error come back as bytes through the inbox. A caller that is cancelled, or
 * collected, abandons the call; whoever runs it is told and frees it.
 *
 * A call may offer its result and go on: the caller gets the result at once, with the box in its
 * field `call`, and either accepts, which lets the function go on to its end, or drops the call. */
#ifndef CORE_CALL_H
#define CORE_CALL_H

#include "base/base.h"
#include "base/buffer.h"
#include "base/list.h"
#include "core/fiber.h"
#include "core/inbox.h"
#include "core/place.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

struct call_host;

/* Something that means something on one worker alone. */
struct call_target {
  void *data;
  uint64_t number;
  uint64_t home; /* number of that worker */
};

/* How a call goes that is made in the code of another call. */
enum call_way {
  CALL_INLINE,
  CALL_CROSSES,         /* to its pool, where it may have to wait */
  CALL_CROSSES_TO_SPARE /* if a thread is still idle when it gets there: call.spare */
};

enum call_state { CALL_QUEUED, CALL_RUNNING, CALL_DONE };
enum call_result { CALL_RETURNED, CALL_RAISED, CALL_OUT_OF_MEMORY };

enum { CALL_TASK_BYTES = 64 };

struct call {
  struct message message; /* to the worker that runs it, and back */
  struct list link;       /* the queue of its host */
  struct call_host *host;
  _Atomic(unsigned) references; /* the host's or caller's, and those of asks on their way */
  const char *pool; /* or loop, its name: owned by the place; once it is submitted by the host */
  int calls_max;    /* that the loop may have with this one; 0: as its host has it */
  uint64_t id;      /* of this call, not 0 */
  uint64_t request; /* the request it is made for */
  char task[CALL_TASK_BYTES]; /* the name of the task that it belongs to, cut; "": none */
  struct call_target origin; /* on the event loop that it comes from: the source of that request, or
                                NULL, and its id */
  bool takes_offer;          /* its caller knows what to do with an offer */
  bool spare;         /* only a thread that is idle, or may be started, takes it: UV_EAGAIN */
  uint64_t innermost; /* id of the pool's call around what it calls; until it is taken by a pool:
                         around its caller; 0: none */
  const struct fiber *root; /* on an event loop: what waits for it, or for the call around it, and
                               so on; NULL: nothing does. Not to be looked into elsewhere */
  uint64_t chain;           /* the pools that it is in, a bit for each: kept by the host */
  struct buffer payload;    /* identity length, identity, arguments; or 0, function, arguments */
  struct buffer result;     /* results, or the error; out of memory: a traceback, or nothing */
  enum call_result kind;
  bool told; /* the runner's own: the error has been written to the end */

  struct worker *caller; /* whose inbox gets the result */

  /* guarded by the host's lock */
  enum call_state state;
  bool abandoned;
  void *runner;
  void *queue;        /* the host's own, as all below: where it waits */
  void *waiter;       /* the runner whose call waits for it */
  struct list nested; /* there */
  uint64_t queued_ns, started_ns;

  /* the caller's thread alone */
  bool done;
  struct offer *offer; /* not accepted yet */
  struct ticket ticket;
};

/* What can be asked of a loop from any state. */
enum call_order { CALL_ORDER_CANCEL_ALL, CALL_ORDER_STOP };

/* What runs calls; implemented by roles/pool.c and roles/background.c. */
struct call_host {
  const char *noun;        /* what has the queues: "pool" or "loop" */
  const char *function;    /* what it runs: "a blocking function" */
  struct call_host *loops; /* of pools, a reference: what runs the app's background functions; or
                              NULL; set before a thread runs */
  /* [any thread] Takes the call: 0, or UV_ENOBUFS when the queue is full, UV_ENOENT when there is
   * no such pool or loop, UV_ELOOP when all who could run it would wait for each other,
   * UV_ECANCELED when the host has ended, UV_ESHUTDOWN when the loop has, UV_ENOTCONN when it has
   * not started, UV_EAGAIN when no thread is to spare, or why no thread could be started. */
  uv_err (*submit)(struct call_host *host, struct call *call);
  /* [any thread] Of pools: the way of a call to `pool` (NULL: that of `around`) in the code of
   * `around`, by a child of its fiber or by that itself. */
  enum call_way (*choose)(struct call_host *host, const struct call *around, const char *pool,
                          bool is_child);
  /* [any thread] May be NULL: the time of the caller is over. Stops the call if it runs, and gives
   * whether it does: then it ends soon, or is stuck and `find` tells where. It is not given up
   * yet. */
  bool (*expire)(struct call_host *host, struct call *call);
  /* [any thread] Whether it is known where the call is stuck: that as text. */
  bool (*find)(struct call_host *host, struct call *call, char *text, size_t size);
  /* [any thread] The caller is gone: stops the call where it is; the host frees it. */
  void (*abandon)(struct call_host *host, struct call *call);
  /* [any thread] Calls and marks refer to a host and keep its memory; a stopped host refuses
   * calls. */
  void (*retain)(struct call_host *host);
  void (*release)(struct call_host *host);
  /* [any thread] Guards the fields of calls that say so; nothing is waited for inside. */
  void (*lock)(struct call_host *host);
  void (*unlock)(struct call_host *host);
  /* [any thread] Of loops: orders something of the loop with that name; false: there is none. */
  bool (*order)(struct call_host *host, const char *name, enum call_order order);
};

/* [owner] Makes a call of the function of `place` with the `nargs` values on top of the stack
 * (popped); pushes a box that owns the caller's side. `pool` is used when the place names none.
 * Raises kind "transfer". */
void call_prepare(lua_State *L, struct place *place, int nargs, const char *pool);

/* [owner] As call_prepare, for the function below the `nargs` values, which is popped too. One that
 * is not marked is sent along, to `host`. `pool` (NULL: the function's own, or "default") lives
 * until the call is submitted; `timeout_ns` (0: none) counts from when it is awaited. */
void call_prepare_function(lua_State *L, struct call_host *host, int nargs, const char *pool,
                           uint64_t timeout_ns);

/* [owner] Says that the call in the box at `index`, which is not submitted, is that of a task. */
void call_set_task(lua_State *L, int index, const char *name);

/* [owner] Pushes the box of a new call with the payload of the one in the box at `index`, which is
 * not done. */
void call_copy(lua_State *L, int index);

/* [owner] Hands the call in the box at `index` to its host; handed over already, it is left alone.
 * Raises kind "full". */
void call_submit(lua_State *L, int index);

/* [owner] The way of a call that the running fiber makes and waits for, of a function with a
 * `place` (NULL: none) by `host`, in `pool` (NULL: none is named). */
enum call_way call_find_way(lua_State *L, const struct place *place, struct call_host *host,
                            const char *pool);

/* [owner] What waits, on an event loop, for what the running fiber does: call.root. */
const struct fiber *call_find_root(lua_State *L);

/* [owner] As call_submit, for a call that the running fiber waits for and that is not inline.
 * False: it is to go inline after all; its box is of no use then. */
bool call_submit_nested(lua_State *L, int index, enum call_way way);

/* [owner] On the caller's thread: the call in whose code `call` is waited for, or NULL. */
struct call *call_around(const struct call *call);

/* [owner] Gives up the call in the box at `index`, wherever it is; twice is harmless. */
void call_drop(lua_State *L, int index);

/* [owner] Waits for the call in the box at `index` and gives its results, or raises its error; kind
 * "timeout" when its time is over before. To be returned from a C function. */
lua_nret call_await(lua_State *L, int index);

/* [owner] For the runner: offers the `count` values on top of the stack, the first of them a table,
 * as the results and waits; `k` must begin with call_offered and its context. */
lua_nret call_offer(lua_State *L, int count, lua_KFunction k);

/* [owner] For the runner: what the caller said when it accepted. Raises when it did not. */
struct call_target call_offered(lua_State *L, lua_KContext context);

/* [owner] Accepts the offer of the call in the box at `index` and waits for its end; its results
 * are dropped. Raises its error. To be returned from a C function. */
lua_nret call_accept(lua_State *L, int index, struct call_target target);

/* [owner] Drops what a fiber was offered and has not accepted; at the fiber's end. */
void call_drop_offered(struct fiber *fiber);

/* [owner] Whether functions with that place run on this worker. */
bool call_runs_here(const struct worker *worker, const struct place *place);

/* [owner] The C function behind every marked function (upvalues: the function, its place, what runs
 * it inline): runs it inline where that is its place, else through its host, and waits. */
int call_marked(lua_State *L);

/* [owner] For the runner, in the run of the call: reads the payload; pushes the function and its
 * arguments and gives their number. Called, it may first require modules that the arguments name.
 * Raises. */
int call_push_function(lua_State *L, const struct call *call);

/* [any thread] For the host: frees a call, once nobody refers to it. */
void call_free(struct call *call);

/* [any thread] For the host: a call is over: sends it back to its caller, or frees it when that is
 * gone. An error that was not told to the end is none. Under the host's lock; gives the caller's
 * inbox, to be woken without it, or NULL. */
struct inbox *call_return(struct call *call);

/* [owner] Registers the box in a new state. */
void call_open(lua_State *L);

#endif
