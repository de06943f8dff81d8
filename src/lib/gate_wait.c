/* gate_wait.c - a note at the gate that becomes a message to the fiber's worker.
 *
 * Whoever leaves the gate posts it; a worker that has ended meanwhile gets nothing. */
#include "lib/gate_wait.h"

#include "core/directory.h"
#include "core/worker.h"

#include <stdlib.h>

struct waiter {
  struct gate_note note;
  struct message message;
  struct directory *directory;
  uint64_t worker;
  struct ticket ticket;
};

bool gate_wait_blocks(lua_State *L) {
  const struct worker *worker = worker_of(L);
  const struct fiber *fiber = worker->running;
  if (worker->role->runs_blocking || !fiber || fiber->cancelled) return true;
  return fiber->unyieldable > 0 || !lua_isyieldable(L);
}

bool gate_wait_enter(lua_State *L, struct gate *gate) {
  if (gate_try(gate)) return true;
  if (!gate_wait_blocks(L)) return false;
  gate_enter(gate);
  return true;
}

static void deliver(struct message *message, void *owner) {
  struct waiter *waiter = container_of(message, struct waiter, message);
  const struct worker *worker = owner;
  if (worker->L) fiber_wake(waiter->ticket);
  free(waiter);
}

static void run(struct gate_note *note) {
  struct waiter *waiter = container_of(note, struct waiter, note);
  if (!directory_post(waiter->directory, waiter->worker, &waiter->message)) free(waiter);
}

lua_nret gate_wait(lua_State *L, struct gate *gate, lua_KContext context, lua_KFunction k) {
  struct fiber *fiber = fiber_running(L);
  struct waiter *waiter = memory_alloc_zero(sizeof *waiter);
  waiter->note.run = run;
  waiter->message.deliver = deliver;
  waiter->directory = fiber->worker->process->directory;
  waiter->worker = fiber->worker->number;
  waiter->ticket = fiber_ticket(fiber);
  if (!gate_try_or_note(gate, &waiter->note)) return fiber_park(L, fiber, "a gate", context, k);
  gate_leave(gate);
  free(waiter);
  return k(L, LUA_YIELD, context);
}
