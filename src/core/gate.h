/* gate.h - a lock for a few instructions, at which nobody has to wait.
 *
 * Pool threads run at a low priority: one that is inside may be kept from running for milliseconds,
 * and behind a mutex every event loop that wants in would stand still for as long. Who finds a gate
 * closed can leave a note instead, which says what is to be done: whoever is inside does it before
 * leaving. Notes are run in the order of their coming. Nothing is waited for inside, and no other
 * gate is entered there. A zeroed gate is an open one. */
#ifndef CORE_GATE_H
#define CORE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct gate_note {
  struct gate_note *_next;
  void (*run)(struct gate_note *note); /* inside, on the thread that is there; may free the note */
};

struct gate {
  _Atomic(uintptr_t) _word; /* 0: nobody is inside; else 1, and the notes, the last one first */
};

/* [any thread] Goes in; false when somebody is inside and does not leave at once. */
bool gate_try(struct gate *gate);

/* [any thread] As gate_try; false: the note is left, and will be run. */
bool gate_try_or_note(struct gate *gate, struct gate_note *note);

/* [any thread] Goes in; waits where it must, so this is for threads that may. */
void gate_enter(struct gate *gate);

/* [any thread] Runs the notes that were left, and leaves. */
void gate_leave(struct gate *gate);

#endif
