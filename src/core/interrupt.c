/* interrupt.c - the signal handler, and the hook that it sets.
 *
 * lua_sethook is what a signal handler may call of Lua, on the thread that runs it. Setting a hook
 * from another thread would be a data race, and one that is always set doubles the cost of Lua
 * code: so it is set when asked for, and taken away when it has fired. */
#include "core/interrupt.h"

#include "core/error.h"
#include "core/fiber.h"
#include "core/stuck.h"
#include "core/watchdog.h"
#include "core/worker.h"

#include <assert.h>
#include <errno.h>
#include <lauxlib.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ignored by default, coalesced while pending, and used by hardly any library. */
enum { INTERRUPT_SIGNAL = SIGURG };

static void hook(lua_State *L, lua_Debug *debug);

void interrupt_set_hook(struct worker *worker, lua_State *L) {
  lua_Hook before = lua_gethook(L);
  if (before != hook) {
    worker->hook = before;
    worker->hook_mask = lua_gethookmask(L);
    worker->hook_count = lua_gethookcount(L);
  }
  /* also when it is ours: the signal may have come while it was being taken away */
  lua_sethook(L, hook, LUA_MASKCALL | LUA_MASKCOUNT, 1);
}

/* ---- the signal handler ---- */

NOT_SANITIZED static void handle_signal(int number, siginfo_t *info, void *context) {
  (void)number;
  (void)context;
  struct worker *worker = info->si_value.sival_ptr;
  if (info->si_code != SI_QUEUE || info->si_pid != getpid() || !worker) return;
  int saved_errno = errno;
  struct heartbeat *heartbeat = &worker->heartbeat;
  uint64_t target = atomic_load_explicit(&heartbeat->target, memory_order_acquire);
  lua_State *executing = heartbeat->executing;
  if (target == atomic_load_explicit(&heartbeat->resume, memory_order_relaxed) && executing) {
    if (atomic_load_explicit(&heartbeat->asked, memory_order_relaxed) & HEARTBEAT_LOOK)
      stuck_look(worker, executing, target);
    interrupt_set_hook(worker, executing);
  }
  errno = saved_errno;
}

#if defined(WITH_TSAN) && defined(__x86_64__)
/* ThreadSanitizer's sigaction delays signals until a blocking call, which computing code never
 * makes; the system call does not pass through it (it needs the trampoline that libc has). */
struct kernel_sigaction {
  void (*handler)(int, siginfo_t *, void *);
  unsigned long flags;
  void (*restorer)(void);
  uint64_t mask;
};

void interrupt_return_from_signal(void);
__asm__(".globl interrupt_return_from_signal\n"
        "interrupt_return_from_signal:\n"
        "  mov $15, %rax\n"
        "  syscall\n");

uv_err interrupt_install(void) {
  enum { KERNEL_SA_RESTORER = 0x04000000 };
  struct kernel_sigaction action = {.handler = handle_signal,
                                    .flags = SA_SIGINFO | SA_RESTART | KERNEL_SA_RESTORER,
                                    .restorer = interrupt_return_from_signal};
  long result = syscall(SYS_rt_sigaction, INTERRUPT_SIGNAL, &action, NULL, sizeof action.mask);
  return result == 0 ? 0 : -errno;
}
#else
uv_err interrupt_install(void) {
  struct sigaction action = {.sa_sigaction = handle_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigemptyset(&action.sa_mask);
  return sigaction(INTERRUPT_SIGNAL, &action, NULL) == 0 ? 0 : -errno;
}
#endif

void interrupt_signal(struct worker *worker) {
  union sigval value = {.sival_ptr = worker};
  int error = pthread_sigqueue(worker->thread, INTERRUPT_SIGNAL, value);
  assert(error == 0 || error == EAGAIN);
  (void)error;
}

/* ---- the hook ---- */

/* Reaches through shields: nothing of the fiber is to go on. */
static NO_RETURN void raise_killed(lua_State *L, struct fiber *fiber) {
  static const char reason[] = "it held its event loop longer than --stall-kill allows";
  for (struct scope *scope = fiber->scope; scope; scope = scope->outer) scope->shield = false;
  scope_cancel(scope_base(fiber), reason);
  fiber->base->interrupt_ns = 0;
  scope_interrupt(fiber, uv_hrtime());
  error_raise(L, "stall", "interrupted: %s", reason);
}

/* Takes over a cancellation that another thread asked for, and goes on asking for as long as the
 * call runs. What computes gives way at once; what runs because of that has a grace. */
static void take_cancel(struct worker *worker, struct fiber *fiber) {
  struct heartbeat *heartbeat = &worker->heartbeat;
  uint64_t cancel = atomic_load_explicit(&heartbeat->cancel, memory_order_acquire);
  if (cancel == 0 || cancel != atomic_load_explicit(&heartbeat->call, memory_order_relaxed)) return;
  const char *reason = "by its caller";
  if (worker->role->cancels) reason = worker->role->cancels(worker, fiber);
  if (!reason) return;
  struct scope *base = scope_base(fiber);
  if (base->cause != SCOPE_OPEN) return;
  scope_cancel(base, reason);
  if (!fiber->cancel_taken) base->interrupt_ns = 0;
  fiber->cancel_taken = true;
}

/* Takes what is asked of this resume. The hook may have been set for one that has ended: what was
 * asked of that is dropped, and the watchdog may be writing what it sees of this one. */
static unsigned take_asked(struct heartbeat *heartbeat) {
  unsigned asked = atomic_exchange_explicit(&heartbeat->asked, 0, memory_order_acq_rel);
  uint64_t target = atomic_load_explicit(&heartbeat->target, memory_order_acquire);
  return target == atomic_load_explicit(&heartbeat->resume, memory_order_relaxed) ? asked : 0;
}

static void hook(lua_State *L, lua_Debug *debug) {
  (void)debug;
  struct worker *worker = worker_of(L);
  struct fiber *fiber = worker->running;
  unsigned asked = take_asked(&worker->heartbeat);
  if (!fiber || !fiber->insist) lua_sethook(L, worker->hook, worker->hook_mask, worker->hook_count);
  if (!fiber) return;
  if (asked & HEARTBEAT_REPORT) watchdog_report(worker, L);
  if (asked & HEARTBEAT_KILL) raise_killed(L, fiber);
  take_cancel(worker, fiber);
  struct scope *scope = scope_interrupt(fiber, uv_hrtime());
  if (scope) fiber_raise_cancelled(L, scope);
}
