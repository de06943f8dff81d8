/* gate.c - one word: whether somebody is inside, and the notes that others have left.
 *
 * Most of the time the one inside is out again after some 50 ns, so it is looked for a while; what
 * takes longer has lost its processor. */
#include "core/gate.h"

#include <sched.h>
#include <stddef.h>
#include <time.h>

enum {
  INSIDE = 1,
  LOOKS_MAX = 100,      /* before somebody counts as not leaving */
  YIELDS_MAX = 10,      /* before a thread that waits sleeps */
  SLEEP_NS = 50 * 1000, /* it runs at a priority that may be higher than of whom it waits for */
};

static void pause_processor(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static bool enter_open(struct gate *gate) {
  uintptr_t word = 0;
  return atomic_compare_exchange_strong_explicit(&gate->_word, &word, INSIDE, memory_order_acquire,
                                                 memory_order_relaxed);
}

bool gate_try(struct gate *gate) {
  for (int i = 0; i < LOOKS_MAX; i++) {
    if (atomic_load_explicit(&gate->_word, memory_order_relaxed) == 0 && enter_open(gate))
      return true;
    pause_processor();
  }
  return false;
}

bool gate_try_or_note(struct gate *gate, struct gate_note *note) {
  if (gate_try(gate)) return true;
  uintptr_t word = atomic_load_explicit(&gate->_word, memory_order_relaxed);
  for (;;) {
    if (word == 0 && enter_open(gate)) return true;
    if (word == 0) {
      word = atomic_load_explicit(&gate->_word, memory_order_relaxed);
      continue;
    }
    note->_next = (struct gate_note *)(word & ~(uintptr_t)INSIDE);
    if (atomic_compare_exchange_weak_explicit(&gate->_word, &word, (uintptr_t)note | INSIDE,
                                              memory_order_release, memory_order_relaxed))
      return false;
  }
}

void gate_enter(struct gate *gate) {
  for (int i = 0; !gate_try(gate); i++) {
    if (i < YIELDS_MAX)
      sched_yield();
    else
      nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
  }
}

static void run_notes(uintptr_t word) {
  struct gate_note *last = (struct gate_note *)(word & ~(uintptr_t)INSIDE), *first = NULL;
  while (last) {
    struct gate_note *before = last->_next;
    last->_next = first;
    first = last;
    last = before;
  }
  while (first) {
    struct gate_note *next = first->_next;
    first->run(first);
    first = next;
  }
}

void gate_leave(struct gate *gate) {
  for (;;) {
    uintptr_t word = INSIDE;
    if (atomic_compare_exchange_strong_explicit(&gate->_word, &word, 0, memory_order_release,
                                                memory_order_relaxed))
      return;
    run_notes(atomic_exchange_explicit(&gate->_word, INSIDE, memory_order_acquire));
  }
}
