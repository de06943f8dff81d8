/* call_run.h - a call, as the fibers that run it know it.
 *
 * Every fiber that the code of a call starts belongs to its run, as it has its request: so each
 * finds whom to ask (core/ask.h), however many calls run on its worker. Fibers may outlive the
 * call; then there is nobody to ask any more. */
#ifndef CORE_CALL_RUN_H
#define CORE_CALL_RUN_H

#include <lua.h>

struct call;
struct fiber;

struct call_run {
  struct call *call;  /* NULL: it has ended */
  struct fiber *main; /* runs the function that was called; the others are its children */
  unsigned users;     /* fibers, and the one who began it */
};

/* [owner] Begins the run of a call. */
struct call_run *call_run_begin(struct call *call);

/* [owner] The call is over, whatever still runs of it. Accepts NULL. */
void call_run_end(struct call_run *run);

/* [owner] Gives a new fiber its run; one that has it already is left alone. */
void call_run_give(struct fiber *fiber, struct call_run *run);

/* [owner] A fiber that has one has ended. */
void call_run_leave(struct fiber *fiber);

/* [owner] The call that the running code belongs to; NULL: none, or it has ended. */
struct call *call_run_find(lua_State *L);

#endif
