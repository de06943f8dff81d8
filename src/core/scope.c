/* scope.c - the stack of scopes of a fiber, and what it says about the running code.
 *
 * Whatever changes the stack or a scope on it ends in refresh(), which leaves two answers in the
 * fiber: is it cancelled, and from when on is computing code interrupted. */
#include "core/scope.h"

#include "base/limits.h"
#include "core/fiber.h"
#include "core/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Of a scope whose time is limited. */
struct deadline {
  struct scope *scope;
  uint64_t due_ns; /* on the clock of `timers` */
  struct timers *timers;
  struct timer timer;
};

static uint64_t grace_end(void) {
  return uv_hrtime() + INTERRUPT_GRACE_MS * NS_PER_MS;
}

static void refresh(struct fiber *fiber) {
  bool runs = fiber->worker->running == fiber;
  fiber->cancelled = false;
  fiber->interrupt_ns = HEARTBEAT_NEVER;
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    if (scope->cause != SCOPE_OPEN) {
      fiber->cancelled = true;
      if (runs && scope->interrupt_ns == HEARTBEAT_NEVER) scope->interrupt_ns = grace_end();
    }
    if (scope->interrupt_ns < fiber->interrupt_ns) fiber->interrupt_ns = scope->interrupt_ns;
    if (scope->shield) break;
  }
  fiber_publish(fiber);
}

void scope_begin_grace(struct fiber *fiber) {
  refresh(fiber);
}

static void end_open(struct scope *scope, enum scope_cause cause) {
  scope->cause = (uint8_t)cause;
  scope->interrupt_ns = HEARTBEAT_NEVER;
  if (!scope->fiber) return;
  refresh(scope->fiber);
  if (scope->fiber->cancelled) fiber_wake_cancelled(scope->fiber);
}

static void end_time(struct scope *scope) {
  if (scope->cause == SCOPE_OPEN) end_open(scope, SCOPE_TIMEOUT);
}

static void expire(struct timer *timer) {
  end_time(container_of(timer, struct deadline, timer)->scope);
}

static void start_deadline(struct fiber *fiber, struct scope *scope, uint64_t due_ns) {
  struct deadline *deadline = memory_alloc_zero(sizeof *deadline);
  deadline->scope = scope;
  deadline->due_ns = due_ns;
  deadline->timers = fiber->timers;
  scope->deadline = deadline;
  timer_start(deadline->timers, &deadline->timer, due_ns, expire);
  if (!deadline->timers->_manual) scope->interrupt_ns = due_ns;
}

struct scope *scope_base(struct fiber *fiber) {
  if (fiber->base) return fiber->base;
  struct scope *base = memory_alloc_zero(sizeof *base);
  base->fiber = fiber;
  base->interrupt_ns = HEARTBEAT_NEVER;
  struct scope **link = &fiber->scope;
  while (*link) link = &(*link)->outer;
  *link = fiber->base = base;
  return base;
}

void scope_push(struct fiber *fiber, struct scope *scope, uint64_t deadline_ns, bool shield) {
  assert(!scope->fiber);
  scope->fiber = fiber;
  scope->co = fiber->worker->running == fiber ? fiber->worker->heartbeat.executing : NULL;
  scope->outer = fiber->scope;
  scope->shield = shield;
  scope->interrupt_ns = HEARTBEAT_NEVER;
  fiber->scope = scope;
  if (deadline_ns) start_deadline(fiber, scope, deadline_ns);
  if (deadline_ns || shield) refresh(fiber);
  if (deadline_ns && fiber->timers->_manual && scope_is_expired(scope)) end_time(scope);
}

/* Takes a scope out of the fiber's chain of interrupted ones, which has the last interrupted first,
 * not the innermost; gives whether it was there. */
static bool leave_interrupted(struct fiber *fiber, struct scope *scope) {
  struct scope **link = &fiber->interrupted;
  unsigned *at = &fiber->interrupted_at;
  while (*link && *link != scope) {
    at = &(*link)->interrupted_at_before;
    link = &(*link)->interrupted_before;
  }
  if (!*link) return false;
  if (link == &fiber->interrupted) fiber->insist = false;
  *link = scope->interrupted_before;
  *at = scope->interrupted_at_before;
  return true;
}

/* Ends one scope that is on no stack any more. */
static void finish(struct scope *scope) {
  if (scope->deadline) timer_stop(scope->deadline->timers, &scope->deadline->timer);
  free(scope->deadline);
  scope->deadline = NULL;
  free(scope->reason);
  scope->reason = NULL;
  if (scope->fiber) leave_interrupted(scope->fiber, scope);
  scope->fiber = NULL;
}

void scope_pop(struct scope *scope) {
  struct fiber *fiber = scope->fiber;
  if (!fiber) {
    finish(scope);
    return;
  }
  bool found = false;
  while (!found) {
    struct scope *innermost = fiber->scope;
    assert(innermost);
    fiber->scope = innermost->outer;
    found = innermost == scope;
    finish(innermost);
  }
  refresh(fiber);
}

void scope_free_base(struct fiber *fiber) {
  if (!fiber->base) return;
  free(fiber->base->reason);
  free(fiber->base);
  fiber->base = NULL;
}

void scope_drop_all(struct fiber *fiber) {
  while (fiber->scope) scope_pop(fiber->scope);
  scope_free_base(fiber);
}

void scope_cancel(struct scope *scope, const char *reason) {
  if (scope->cause != SCOPE_OPEN) return;
  if (reason) scope->reason = memory_copy(reason, strlen(reason));
  end_open(scope, SCOPE_CANCELLED);
}

void scope_expire_due(struct fiber *fiber) {
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    if (scope_is_expired(scope)) end_time(scope);
    if (scope->shield) break;
  }
}

bool scope_is_expired(const struct scope *scope) {
  const struct deadline *deadline = scope->deadline;
  if (scope->cause == SCOPE_TIMEOUT) return true;
  return scope->cause == SCOPE_OPEN && deadline && timers_now(deadline->timers) >= deadline->due_ns;
}

bool scope_has_deadline(const struct scope *scope) {
  return scope->deadline && timer_is_started(&scope->deadline->timer);
}

struct scope *scope_find_cancelled(struct fiber *fiber) {
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    if (scope->cause != SCOPE_OPEN) return scope;
    if (scope->shield) break;
  }
  return NULL;
}

/* The outermost: inner ones end with it, while a loop could always open another inner one. */
static struct scope *find_due(struct fiber *fiber, uint64_t now_ns) {
  struct scope *due = NULL;
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    if (scope->interrupt_ns <= now_ns) due = scope;
    if (scope->shield) break;
  }
  return due;
}

struct scope *scope_interrupt(struct fiber *fiber, uint64_t now_ns) {
  struct scope *scope = find_due(fiber, now_ns);
  if (!scope) return NULL;
  if (scope->cause == SCOPE_OPEN) scope->cause = SCOPE_TIMEOUT;
  /* its grace is over when it was interrupted before: from here on it is at every step */
  fiber->insist = leave_interrupted(fiber, scope);
  if (!fiber->insist) scope->interrupt_ns = grace_end();
  scope->interrupted_before = fiber->interrupted;
  scope->interrupted_at_before = fiber->interrupted_at;
  fiber->interrupted = scope;
  fiber->interrupted_at = ++fiber->interrupts;
  refresh(fiber);
  return scope;
}

struct scope *scope_detach(struct fiber *fiber, const lua_State *co) {
  struct scope *innermost = fiber->scope, *last = NULL;
  while (fiber->scope && fiber->scope->co == co) {
    last = fiber->scope;
    leave_interrupted(fiber, last);
    last->fiber = NULL;
    fiber->scope = last->outer;
  }
  if (!last) return NULL;
  last->outer = NULL;
  refresh(fiber);
  return innermost;
}

void scope_attach(struct fiber *fiber, struct scope *innermost) {
  struct scope *last = innermost;
  for (struct scope *scope = innermost; scope; scope = scope->outer) {
    scope->fiber = fiber;
    last = scope;
  }
  last->outer = fiber->scope;
  fiber->scope = innermost;
  refresh(fiber);
}
