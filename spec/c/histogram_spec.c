/* histogram_spec.c - which bucket a time is counted in, and the text of the bounds.
 *
 * Pure. */
#include "base/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* cmocka.h needs the above. */
#include <cmocka.h>

static const struct {
  uint64_t ns;
  const char *seconds;
} bounds[] = {
#define ROW(ns, text) {ns, text},
    HISTOGRAM_BOUNDS(ROW)
#undef ROW
};

static void counts_what_is_at_a_bound_below_it(void **state) {
  (void)state;
  for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
    struct histogram histogram = {0};
    histogram_add(&histogram, bounds[i].ns);
    assert_int_equal(histogram.counts[i], 1);
    assert_true(histogram.sum_ns == bounds[i].ns);
    if (i + 1 == HISTOGRAM_BUCKETS) continue;
    histogram_add(&histogram, bounds[i].ns + 1);
    assert_int_equal(histogram.counts[i], 1);
    assert_int_equal(histogram.counts[i + 1], 1);
  }
}

static void has_bounds_that_rise_and_say_what_they_are(void **state) {
  (void)state;
  for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
    assert_string_equal(histogram_bound(i), bounds[i].seconds);
    if (i > 0) assert_true(bounds[i].ns > bounds[i - 1].ns);
    if (i + 1 < HISTOGRAM_BUCKETS)
      assert_true((uint64_t)(strtod(bounds[i].seconds, NULL) * 1e9 + 0.5) == bounds[i].ns);
  }
  assert_string_equal(histogram_bound(HISTOGRAM_BUCKETS - 1), "+Inf");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(counts_what_is_at_a_bound_below_it),
      cmocka_unit_test(has_bounds_that_rise_and_say_what_they_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
