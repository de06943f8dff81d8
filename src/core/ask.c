/* ask.c - the two journeys of an ask, and who frees it.
 *
 * The call's host guards both: its lock says whether the caller still wants the call (else its
 * worker may be gone), and whether the one who asked still waits (else its worker may be gone). */
#include "core/ask.h"

#include "core/call.h"
#include "core/call_run.h"
#include "core/error.h"
#include "core/worker.h"

void ask_destroy(struct ask *ask) {
  struct call_host *host = ask->_host;
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

static void deliver_question(struct message *message, void *owner) {
  (void)owner;
  struct ask *ask = container_of(message, struct ask, message);
  ask->serve(ask);
}

bool ask_is_possible(lua_State *L) {
  return call_run_find(L) != NULL;
}

bool ask_reaches(lua_State *L, const struct worker *worker) {
  const struct call *call = call_run_find(L);
  return call && call->caller == worker;
}

/* False when nobody waits for the call any more. */
static bool post(struct ask *ask, struct call *call) {
  ask->_host = call->host;
  ask->_host->retain(ask->_host);
  ask->_host->lock(ask->_host);
  bool wanted = !call->abandoned;
  if (wanted) inbox_post(&call->caller->inbox, &ask->message);
  ask->_host->unlock(ask->_host);
  return wanted;
}

lua_nret ask_send(lua_State *L, struct fiber *fiber, struct ask *ask, const char *waits_for,
                  lua_KFunction k) {
  ask->message.deliver = deliver_question;
  ask->_asker = fiber->worker;
  ask->_ticket = fiber_ticket(fiber);
  struct call *call = call_run_find(L);
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
  bool wanted = !ask->_orphaned;
  ask->message.deliver = deliver_answer;
  if (wanted) inbox_post(&ask->_asker->inbox, &ask->message);
  host->unlock(host);
  if (!wanted) ask_destroy(ask);
}
