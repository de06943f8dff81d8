/* call_run.c - counting who refers to a run.
 *
 * All on the thread that runs the call. */
#include "core/call_run.h"

#include "core/fiber.h"

#include <assert.h>
#include <stdlib.h>

static void release(struct call_run *run) {
  if (--run->users == 0) free(run);
}

struct call_run *call_run_begin(struct call *call) {
  struct call_run *run = memory_alloc_zero(sizeof *run);
  *run = (struct call_run){.call = call, .users = 1};
  return run;
}

void call_run_end(struct call_run *run) {
  if (!run) return;
  run->call = NULL;
  release(run);
}

void call_run_give(struct fiber *fiber, struct call_run *run) {
  if (fiber->run == run) return;
  assert(!fiber->run);
  fiber->run = run;
  run->users++;
}

void call_run_leave(struct fiber *fiber) {
  struct call_run *run = fiber->run;
  fiber->run = NULL;
  release(run);
}

struct call *call_run_find(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  return fiber && fiber->run ? fiber->run->call : NULL;
}
