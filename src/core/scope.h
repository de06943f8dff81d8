/* scope.h - a stretch of a fiber's run that can be cancelled or has a deadline.
 *
 * Scopes of a fiber form a stack. Cancellation is level-triggered: once a scope is cancelled every
 * wait inside it raises kind "cancelled", until it is popped; a shield keeps what is outside from
 * reaching inside. Code that computes on is interrupted by a hook: at once when a deadline passes
 * while it computes, else after a grace (INTERRUPT_GRACE_MS), which begins when it next runs and
 * stands still inside a shield. */
#ifndef CORE_SCOPE_H
#define CORE_SCOPE_H

#include "core/timer.h"

#include <lua.h>
#include <stdbool.h>

struct fiber;

enum scope_cause { SCOPE_OPEN, SCOPE_TIMEOUT, SCOPE_CANCELLED };

struct scope {
  struct scope *outer;
  struct fiber *fiber;       /* whose stack it is on; NULL when it is on none */
  lua_State *co;             /* the coroutine that opened it; NULL for a fiber's base */
  struct deadline *deadline; /* owned by scope.c; NULL: none */
  uint64_t interrupt_ns;     /* uv_hrtime from which computing code is interrupted */
  char *reason;              /* why it was cancelled, owned; may be NULL */
  uint64_t began_ns;         /* uv_hrtime when a shield was put up */

  /* Of the base of a fiber that another one waits for: where the innermost of the scopes around it
   * is found, whose deadlines interrupt it too; NULL: there are none. */
  struct scope *const *around;

  /* What the fiber's fields were when this scope was interrupted; given back when it leaves. */
  struct scope *interrupted_before;
  unsigned interrupted_at_before;

  uint8_t cause; /* enum scope_cause */
  bool shield;
};

/* [owner] The fiber's outermost scope, made when first asked for: cancelling it cancels the fiber.
 */
struct scope *scope_base(struct fiber *fiber);

/* [owner] Takes all scopes off a fiber, the base, too. */
void scope_drop_all(struct fiber *fiber);

/* [owner] Frees the base of a fiber whose state is closed, and looks at no other scope. */
void scope_free_base(struct fiber *fiber);

/* [owner] Puts a zeroed scope on the fiber's stack; `deadline_ns` on the fiber's clock, 0: none. */
void scope_push(struct fiber *fiber, struct scope *scope, uint64_t deadline_ns, bool shield);

/* [owner] Takes a scope off its fiber's stack, with the scopes inside it. Twice is harmless. */
void scope_pop(struct scope *scope);

/* [owner] Cancels a scope: its fiber, where it waits, is woken. A second cancel changes nothing.
 * `reason` is copied and may be NULL. */
void scope_cancel(struct scope *scope, const char *reason);

/* [owner] Looks again at scopes around a fiber, which another fiber may have changed. */
void scope_refresh(struct fiber *fiber);

/* [owner] Expires the scopes of a fiber whose deadlines have passed while it computed, so that its
 * next wait raises. */
void scope_expire_due(struct fiber *fiber);

/* [owner] Whether the deadline of the scope has passed, noticed or not. */
bool scope_is_expired(const struct scope *scope);

/* [owner] The clock that may still end the scope; NULL: none. */
const struct timers *scope_find_clock(const struct scope *scope);

/* [owner] The innermost cancelled scope that reaches the fiber's running code, or NULL. */
struct scope *scope_find_cancelled(struct fiber *fiber);

/* [owner] Marks the outermost scope whose time to be interrupted has come as interrupted; gives
 * NULL when there is none. */
struct scope *scope_interrupt(struct fiber *fiber, uint64_t now_ns);

/* [owner] Takes the innermost scopes that `co` has opened off the fiber without ending them and
 * gives the innermost (NULL: none): the app has suspended that coroutine. */
struct scope *scope_detach(struct fiber *fiber, const lua_State *co);

/* [owner] Puts detached scopes back on top of the fiber's stack. */
void scope_attach(struct fiber *fiber, struct scope *innermost);

#endif
