/* scope.c - the stack of scopes of a fiber, and what it says about the running code.
 *
 * Whatever changes the stack or a scope on it ends in scope_refresh, which leaves two answers in
 * the fiber: is it cancelled, and from when on is computing code interrupted. */
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

/* The grace of what is cancelled begins when code inside it runs: not before it has a chance. */
static void begin_grace(struct scope *scope) {
  if (scope->cause == SCOPE_OPEN || scope->interrupt_ns != HEARTBEAT_NEVER) return;
  scope->interrupt_ns = grace_end();
}

/* From when on the scopes around a fiber that runs, and around those of that, interrupt it. A fiber
 * that was cancelled itself has its own grace. The limit ends circles, too: a child may go on with
 * the coroutine of its parent. */
static uint64_t find_interrupt_around(const struct scope *base) {
  uint64_t earliest_ns = HEARTBEAT_NEVER;
  for (int i = 0; i < SCOPES_AROUND_MAX; i++) {
    if (!base->around || !*base->around || base->cause != SCOPE_OPEN) break;
    struct scope *scope = *base->around;
    for (;; scope = scope->outer) {
      begin_grace(scope);
      if (scope->interrupt_ns < earliest_ns) earliest_ns = scope->interrupt_ns;
      if (scope->shield) return earliest_ns;
      if (!scope->outer) break;
    }
    base = scope;
  }
  return earliest_ns;
}

void scope_refresh(struct fiber *fiber) {
  bool runs = fiber->worker->running == fiber;
  fiber->cancelled = false;
  fiber->interrupt_ns = HEARTBEAT_NEVER;
  struct scope *scope = fiber->scope;
  for (; scope; scope = scope->outer) {
    if (scope->cause != SCOPE_OPEN) {
      fiber->cancelled = true;
      if (runs) begin_grace(scope);
    }
    if (scope->interrupt_ns < fiber->interrupt_ns) fiber->interrupt_ns = scope->interrupt_ns;
    if (scope->shield) break;
  }
  if (!scope && runs && fiber->base && fiber->base->around) {
    uint64_t around_ns = find_interrupt_around(fiber->base);
    if (around_ns < fiber->interrupt_ns) fiber->interrupt_ns = around_ns;
  }
  fiber_publish(fiber);
}

static void end_open(struct scope *scope, enum scope_cause cause) {
  scope->cause = (uint8_t)cause;
  scope->interrupt_ns = HEARTBEAT_NEVER;
  if (!scope->fiber) return;
  scope_refresh(scope->fiber);
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
  if (shield) scope->began_ns = uv_hrtime();
  scope->interrupt_ns = HEARTBEAT_NEVER;
  fiber->scope = scope;
  if (deadline_ns) start_deadline(fiber, scope, deadline_ns);
  if (deadline_ns || shield) scope_refresh(fiber);
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

/* What was cancelled around a shield that ends gets the part of its grace that was left, or all of
 * it when it was cancelled meanwhile. */
static void go_on_with_graces(const struct scope *shield) {
  uint64_t now = uv_hrtime(), whole = now + INTERRUPT_GRACE_MS * NS_PER_MS;
  for (struct scope *scope = shield->outer; scope; scope = scope->outer) {
    if (scope->cause != SCOPE_OPEN && scope->interrupt_ns != HEARTBEAT_NEVER) {
      uint64_t left = scope->interrupt_ns + (now - shield->began_ns);
      scope->interrupt_ns = left < whole ? left : whole;
    }
    if (scope->shield) break;
  }
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
    if (innermost->shield) go_on_with_graces(innermost);
    finish(innermost);
  }
  scope_refresh(fiber);
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

const struct timers *scope_find_clock(const struct scope *scope) {
  const struct deadline *deadline = scope->deadline;
  return deadline && timer_is_started(&deadline->timer) ? deadline->timers : NULL;
}

struct scope *scope_find_cancelled(struct fiber *fiber) {
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    if (scope->cause != SCOPE_OPEN) return scope;
    if (scope->shield) break;
  }
  return NULL;
}

/* The outermost: inner ones end with it, while a loop could always open another inner one. What is
 * due around the fiber ends all of it. */
static struct scope *find_due(struct fiber *fiber, uint64_t now_ns) {
  struct scope *due = NULL;
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) {
    if (scope->interrupt_ns <= now_ns) due = scope;
    if (scope->shield) return due;
  }
  return fiber->base && find_interrupt_around(fiber->base) <= now_ns ? fiber->base : due;
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
  scope_refresh(fiber);
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
  scope_refresh(fiber);
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
  scope_refresh(fiber);
}
