/* ask.c - the two journeys of an ask, and who frees it.
 *
 * The call's host guards both: its lock says whether the caller still wants the call (else its
 * worker may be gone), and whether the one who asked still waits (else its worker may be gone). */
#include "core/ask.h"

#include "core/call.h"
#include "core/call_run.h"
#include "core/error.h"
#include "core/worker.h"

static void refer_to(struct ask *ask, struct call *call) {
  if (call) atomic_fetch_add_explicit(&call->references, 1, memory_order_relaxed);
  if (ask->_call) call_free(ask->_call);
  ask->_call = call;
}

void ask_destroy(struct ask *ask) {
  struct call_host *host = ask->_host;
  refer_to(ask, NULL);
  ask->destroy(ask);
  if (host) host->release(host);
}

/* Back with the one who asked. */
static void deliver_answer(struct message *message, void *owner) {
  (void)owner;
  struct ask *ask = container_of(message, struct ask, message);
  ask->_is_back = true;
  if (ask->_orphaned)
    ask_destroy(ask);
  else
    fiber_wake(ask->_ticket);
}

/* False when nobody waits for the call any more. */
static bool post(struct ask *ask, struct call *call) {
  struct call_host *host = call->host; /* once it is posted the call may go */
  refer_to(ask, call);
  host->lock(host);
  struct inbox *inbox = call->abandoned ? NULL : &call->caller->inbox;
  if (inbox) inbox_add(inbox, &ask->message);
  host->unlock(host);
  if (inbox) inbox_wake(inbox);
  return inbox != NULL;
}

static bool is_abandoned(struct call *call) {
  call->host->lock(call->host);
  bool abandoned = call->abandoned;
  call->host->unlock(call->host);
  return abandoned;
}

/* While the call is wanted a fiber of this worker waits for it. */
static void deliver_question(struct message *message, void *owner) {
  struct ask *ask = container_of(message, struct ask, message);
  if (!ask->home || ask->home == ((const struct worker *)owner)->number) {
    ask->serve(ask);
    return;
  }
  bool wanted = !ask_is_given_up(ask) && !is_abandoned(ask->_call);
  struct call *around = wanted ? call_around(ask->_call) : NULL;
  if (!around || !post(ask, around)) ask_answer(ask);
}

bool ask_is_possible(lua_State *L) {
  return call_run_find(L) != NULL;
}

lua_nret ask_send(lua_State *L, struct fiber *fiber, struct ask *ask, const char *waits_for,
                  lua_KFunction k) {
  ask->message.deliver = deliver_question;
  ask->_asker = fiber->worker;
  ask->_ticket = fiber_ticket(fiber);
  struct call *call = call_run_find(L);
  if (call) {
    ask->_host = call->host;
    call->host->retain(call->host);
  }
  if (!call || !post(ask, call)) {
    ask_destroy(ask);
    error_raise(L, "disconnected", "the request has ended");
  }
  return fiber_park(L, fiber, waits_for, (lua_KContext)ask, k);
}

void ask_end(lua_State *L, struct ask *ask) {
  if (!fiber_was_cancelled(L)) return;
  if (ask->_is_back) { /* cancelled between the answer and this */
    ask_destroy(ask);
  } else {
    ask->_host->lock(ask->_host);
    ask->_orphaned = true;
    ask->_host->unlock(ask->_host);
  }
  fiber_check_cancelled(L);
}

/* While the one who asked waits its call is not over, so there is a call to look at. */
bool ask_is_wanted(struct ask *ask, const struct call *call) {
  ask->_host->lock(ask->_host);
  bool wanted = !ask->_orphaned && !call->abandoned;
  ask->_host->unlock(ask->_host);
  return wanted;
}

bool ask_is_given_up(struct ask *ask) {
  ask->_host->lock(ask->_host);
  bool is_given_up = ask->_orphaned;
  ask->_host->unlock(ask->_host);
  return is_given_up;
}

void ask_answer(struct ask *ask) {
  struct call_host *host = ask->_host;
  host->lock(host);
  struct inbox *inbox = ask->_orphaned ? NULL : &ask->_asker->inbox;
  ask->message.deliver = deliver_answer;
  if (inbox) inbox_add(inbox, &ask->message);
  host->unlock(host);
  if (inbox)
    inbox_wake(inbox);
  else
    ask_destroy(ask);
}
