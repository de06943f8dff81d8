/* fiber.h - a coroutine that the scheduler runs, and the four doors to it.
 *
 * start: fiber_create, then fiber_start. park: a C function ends in `return fiber_park(...)`.
 * wake: fiber_wake with the ticket of the wait; a stale ticket is dropped. cancel: fiber_cancel.
 * Fibers run only in their worker's turn. The body runs under lua_pcallk in a trampoline, so no
 * error leaves a fiber; its coroutine is used again by the next one. */
#ifndef CORE_FIBER_H
#define CORE_FIBER_H

#include "base/base.h"
#include "base/list.h"
#include "core/scope.h"

#include <lua.h>
#include <stdbool.h>

typedef int lua_nret; /* number of results left on the Lua stack */

struct call_run;
struct instance;
struct worker;

enum fiber_state { FIBER_IDLE, FIBER_NEW, FIBER_READY, FIBER_RUNNING, FIBER_PARKED, FIBER_ENDED };

/* Names one wait of one fiber. Fibers are never freed while their worker lives, so a ticket may
 * be kept for any time. */
struct ticket {
  struct fiber *fiber;
  uint64_t wait;
};

/* What a fiber runs; the C functions run on its coroutine. `kept` values at the bottom of fiber->co
 * live as long as the fiber. */
struct fiber_kind {
  /* The body: gets the arguments. NULL: behind the kept values are a function of Lua and its
   * arguments, and that is the body. */
  lua_CFunction entry;
  lua_CFunction failed;   /* may be NULL; gets the kept values and the error that ended the body */
  lua_CFunction returned; /* may be NULL; gets the kept values and results, where there are any */
  /* May be NULL: called before the body; what it gives is run in its place, with the kept values
   * before the arguments. */
  lua_CFunction (*begin)(struct fiber *fiber);
  void (*ended)(struct fiber *fiber); /* may be NULL; the last thing, no Lua */
  void (*lost)(struct fiber *fiber);  /* may be NULL: the state is gone before the fiber's end */
  int kept;
  bool answers; /* an abort is an answer, and needs no traceback */
};

struct fiber {
  struct list link; /* worker.ready, worker.idle_fibers, or those that wait for the same thing */
  struct list live; /* worker.fibers, from create to end */
  struct worker *worker;
  lua_State *co;
  lua_State *parked_co; /* the coroutine that parked: fiber->co or one nested in it */
  int co_ref;
  int nargs; /* for the next resume */

  uint64_t wait;         /* number of the current wait */
  const char *waits_for; /* static text; NULL while it does not wait */
  struct timer timer;    /* of the current wait */
  struct timers *timers; /* the clock it lives on */

  struct scope *scope; /* innermost; NULL: none */
  struct scope *base;  /* kept by scope.c, as the next four */
  uint64_t interrupt_ns;
  struct scope *interrupted;
  unsigned interrupts, interrupted_at;

  const struct fiber_kind *kind;
  void *data;
  const char *name;          /* for logs; borrowed for the fiber's life; NULL: none */
  uint64_t created_ns;       /* uv_hrtime of the turn that made it */
  uint64_t request;          /* id of the request it runs for; 0: none */
  void *source;              /* of that request, while it lasts: lib/req.h; NULL: none */
  struct instance *instance; /* of an app, whose handler, hook or task it is; NULL: of none */
  struct instance *loads;    /* that it loads, or NULL; kept by instance.c */

  struct call_run *run;      /* the call whose code it runs; kept by call_run.c; NULL: none */
  struct call_box *offered;  /* the last that goes on after its result; kept by call.c */
  char *traceback;           /* of the error that ended the body, owned */
  struct fiber_trail *trail; /* of the last error that brought one from elsewhere, owned */

  struct fiber *under;  /* of the scheduled task that it runs for; or NULL; kept by lib/task.c */
  uint32_t under_life;  /* what that fiber's life was */
  uint32_t life;        /* counts the fibers that this struct has been: it is used again */
  int context;          /* kept by context.c */
  unsigned unyieldable; /* resumes of nested coroutines across a C boundary */
  uint8_t state;        /* enum fiber_state */
  bool woken_cancelled; /* the last wait ended by cancellation */
  bool waits_inside;    /* for what only another fiber of this worker can bring about */
  bool succeeded;       /* the body has ended, and not by an error */
  bool co_given_out;    /* coroutine.running() gave it to Lua: not to be used again */
  bool cancelled;       /* kept by scope.c, as the next */
  bool insist;
  bool cancel_taken;   /* one that another thread asked for: its code is ending */
  bool context_shared; /* kept by context.c */
  bool shielded;       /* what it runs survives the shutdown: the server waits for it */
  bool is_generic;     /* its name says only what kind it is: its function says more */
  bool takes_offers;   /* blocking functions it calls may go on after their result: core/call.h */
};

/* [owner] A new fiber on the clock of the worker's app, or that of the running fiber; NULL when its
 * Lua state is out of memory. Push its arguments on fiber->co, then start it. */
struct fiber *fiber_create(struct worker *worker, const struct fiber_kind *kind);

/* [owner] Gives back a new fiber that is not to be started after all. */
void fiber_discard(struct fiber *fiber);

/* [owner] Makes a new fiber ready, behind those that are; on fiber->co are the kept values and
 * `nargs` arguments (for kinds without entry the function is below them and not counted). */
void fiber_start(struct fiber *fiber, int nargs);

/* [owner] The fiber whose code runs on this worker, or NULL. */
struct fiber *fiber_running(lua_State *L);

/* [owner] The running fiber, about to wait. Raises when code at this place cannot wait: outside a
 * fiber, or below a C function that cannot be suspended. `what` is what would wait. */
struct fiber *fiber_begin_wait(lua_State *L, const char *what);

/* [owner] The ticket of the wait that comes next, or is going on. */
struct ticket fiber_ticket(struct fiber *fiber);

/* [owner] Suspends the running fiber; the C function returns what this returns, and goes on in `k`
 * once woken. `waits_for` is static text. In a cancelled scope it only lets others run. */
lua_nret fiber_park(lua_State *L, struct fiber *fiber, const char *waits_for, lua_KContext context,
                    lua_KFunction k);

/* [owner] As fiber_park, until the fiber's clock reaches `due_ns` at the latest. */
lua_nret fiber_park_until(lua_State *L, struct fiber *fiber, const char *waits_for, uint64_t due_ns,
                          lua_KContext context, lua_KFunction k);

/* [owner] A timer_fn for fiber->timer, when a wait registers elsewhere and has a time limit too. */
void fiber_wake_by_timer(struct timer *timer);

/* [owner] As fiber_park, last in the list `waiting` (fiber.link). */
lua_nret fiber_park_in(lua_State *L, struct fiber *fiber, struct list *waiting,
                       const char *waits_for, lua_KContext context, lua_KFunction k);

/* [owner] As fiber_park_in, for what only another fiber of this worker can bring about: a circle of
 * such waits is a deadlock (core/deadlock.h). */
lua_nret fiber_park_inside(lua_State *L, struct fiber *fiber, struct list *waiting,
                           const char *waits_for, lua_KContext context, lua_KFunction k);

/* [owner] For operations that wait only sometimes, before they look: whether the running fiber must
 * pause now, because it is cancelled or has done many without a wait. Raises kind "cancelled" where
 * code cannot wait. */
bool fiber_must_pause(lua_State *L);

/* [owner] Lets others run; `k` begins with fiber_check_cancelled. */
lua_nret fiber_pause(lua_State *L, const char *waits_for, lua_KContext context, lua_KFunction k);

/* [owner] Lets those run that are ready now, whatever the order of wakes. */
lua_nret fiber_go_behind(lua_State *L, const char *waits_for, lua_KContext context,
                         lua_KFunction k);

/* [owner] Wakes all that are parked in a list, in order. */
void fiber_wake_all(struct list *waiting);

/* [owner] Makes the fiber of the ticket ready; false when that wait is over already. */
bool fiber_wake(struct ticket ticket);

/* [owner] Wakes a fiber that waits inside a cancelled scope; called by scope.c. */
void fiber_wake_cancelled(struct fiber *fiber);

/* [owner] For continuations: raises kind "cancelled" when the wait ended by cancellation. Clean up
 * what the wait had registered before, with fiber_was_cancelled. */
void fiber_check_cancelled(lua_State *L);
bool fiber_was_cancelled(lua_State *L);

/* [owner] Pushes, or raises, the error of a cancelled scope; NULL: without a reason. */
void fiber_push_cancelled(lua_State *L, const struct scope *scope);
NO_RETURN void fiber_raise_cancelled(lua_State *L, const struct scope *scope);

/* [owner] Cancels a fiber, whatever it does; one that has ended is left alone. */
void fiber_cancel(struct fiber *fiber, const char *reason);

/* [owner] Remembers where the error at `index`, about to be raised, came from; joined to the
 * traceback when it ends the fiber. */
void fiber_set_trail(lua_State *L, int index, const char *traceback);

/* [owner] That text, for the error at `index`, or NULL; borrowed until the next one is set. */
const char *fiber_find_trail(lua_State *L, int index);

/* [owner] Forgets that text: what comes now has nothing to do with it. */
void fiber_drop_trail(struct fiber *fiber);

/* [owner] Whether the error at `index` has a trail that is joined; that error, or NULL; and the
 * mark of the trail that is there. */
bool fiber_is_joined(lua_State *L, int index);
const void *fiber_joined_error(const struct fiber *fiber);
void fiber_set_joined(lua_State *L, bool is_joined);

/* [owner] A message handler for lua_pcallk: makes the traceback the trail of the error, gives the
 * error. */
int fiber_save_trail(lua_State *L);

/* [owner] Pushes the traceback of `L` from `level` on, joined with the trail of the error at
 * `index`. */
void fiber_push_traceback(lua_State *L, int index, int level);

/* [owner] Resumes a ready fiber: the scheduler's own door. */
void fiber_resume(struct fiber *fiber);

/* [owner] Resumes a fiber that was just started when it is the only one that is ready: its turn has
 * come anyway, and the next fiber finds its memory in the cache. In the worker's turn only. */
void fiber_resume_first(struct fiber *fiber);

/* [owner] Resumes an app's coroutine from inside a fiber, or outside any: coroutine.c's door. As
 * lua_resume. */
int fiber_resume_nested(lua_State *L, lua_State *co, int nargs, int *nresults);

/* [owner] Runs the closers of a suspended app's coroutine: as lua_resetthread. */
int fiber_close_nested(lua_State *L, lua_State *co);

/* [owner] Tells the watchdog from when on the running code is to be interrupted. */
void fiber_publish(struct fiber *fiber);

#endif
