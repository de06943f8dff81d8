/* ladder_spec.c - an array that grows by rungs: every place is one of its own, and stays.
 *
 * Rungs come from here and go back here. */
#include "base/ladder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { RUNGS = 10 };

static void add_rung(struct ladder *ladder) {
  ladder_add(ladder, memory_alloc_zero(ladder_next_len(ladder) * sizeof(void *)));
}

static void is_empty_when_zeroed(void **state) {
  (void)state;
  struct ladder ladder = {0};
  assert_int_equal(ladder_cap(&ladder), 0);
  assert_int_equal(ladder_next_len(&ladder), LADDER_FIRST);
  assert_null(ladder_drop(&ladder));
}

static void doubles_with_each_rung_and_moves_nothing(void **state) {
  (void)state;
  struct ladder ladder = {0};
  uint32_t filled = 0;
  for (int i = 0; i < RUNGS; i++) {
    add_rung(&ladder);
    assert_int_equal(ladder_cap(&ladder), LADDER_FIRST << i);
    for (; filled < ladder_cap(&ladder); filled++) {
      assert_null(*ladder_at(&ladder, filled));
      *ladder_at(&ladder, filled) = (void *)(uintptr_t)(filled + 1);
    }
    for (uint32_t at = 0; at < filled; at++)
      assert_ptr_equal(*ladder_at(&ladder, at), (void *)(uintptr_t)(at + 1));
  }
  for (int i = RUNGS - 1; i >= 0; i--) {
    assert_int_equal(ladder_cap(&ladder), LADDER_FIRST << i);
    free(ladder_drop(&ladder));
  }
  assert_int_equal(ladder_cap(&ladder), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(is_empty_when_zeroed),
      cmocka_unit_test(doubles_with_each_rung_and_moves_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
