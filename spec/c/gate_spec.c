/* gate_spec.c - one thread inside at a time, and notes that are run by who is there.
 *
 * Threads count with what a gate alone guards: a lost count is a gate that let two in. */
#include "core/gate.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

enum { THREADS = 6, ROUNDS = 20000 };

struct bench {
  struct gate gate;
  int count;               /* guarded by the gate */
  int last[THREADS];       /* number of the last note of each thread, guarded too */
  _Atomic(int) next_index; /* of a thread */
  _Atomic(int) noted;      /* that were left, not run by who brought them */
};

struct note {
  struct gate_note note;
  struct bench *bench;
  int thread, number;
};

static void run_threads(struct bench *bench, uv_thread_cb body) {
  uv_thread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(uv_thread_create(&threads[i], body, bench), 0);
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
}

static void count_inside(void *context) {
  struct bench *bench = context;
  for (int i = 0; i < ROUNDS; i++) {
    gate_enter(&bench->gate);
    bench->count++;
    gate_leave(&bench->gate);
  }
}

static void lets_one_in_at_a_time(void **state) {
  (void)state;
  struct bench bench = {0};
  run_threads(&bench, count_inside);
  assert_int_equal(bench.count, THREADS * ROUNDS);
}

static void run_note(struct gate_note *gate_note) {
  struct note *note = container_of(gate_note, struct note, note);
  struct bench *bench = note->bench;
  bench->count++;
  if (bench->last[note->thread] != note->number) abort(); /* out of order */
  bench->last[note->thread]++;
  free(note);
}

static void count_by_notes(void *context) {
  struct bench *bench = context;
  int thread = atomic_fetch_add(&bench->next_index, 1);
  for (int i = 0; i < ROUNDS; i++) {
    struct note *note = memory_alloc_zero(sizeof *note);
    *note = (struct note){.note = {.run = run_note}, bench, thread, i};
    if (!gate_try_or_note(&bench->gate, &note->note)) {
      atomic_fetch_add(&bench->noted, 1);
      continue;
    }
    run_note(&note->note);
    gate_leave(&bench->gate);
  }
}

static void runs_each_note_once_and_in_order(void **state) {
  (void)state;
  struct bench bench = {0};
  run_threads(&bench, count_by_notes);
  gate_enter(&bench.gate); /* who left a note does not wait for it */
  assert_int_equal(bench.count, THREADS * ROUNDS);
  gate_leave(&bench.gate);
}

static void leaves_a_note_when_somebody_is_inside(void **state) {
  (void)state;
  struct bench bench = {0};
  assert_true(gate_try(&bench.gate));
  assert_false(gate_try(&bench.gate));
  for (int i = 0; i < 3; i++) {
    struct note *note = memory_alloc_zero(sizeof *note);
    *note = (struct note){.note = {.run = run_note}, &bench, 0, i};
    assert_false(gate_try_or_note(&bench.gate, &note->note));
  }
  assert_int_equal(bench.count, 0);
  gate_leave(&bench.gate);
  assert_int_equal(bench.count, 3);
  assert_true(gate_try(&bench.gate));
  gate_leave(&bench.gate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lets_one_in_at_a_time),
      cmocka_unit_test(runs_each_note_once_and_in_order),
      cmocka_unit_test(leaves_a_note_when_somebody_is_inside),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
