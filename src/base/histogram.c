/* histogram.c - finding the bucket.
 *
 * A time that is exactly a bound belongs below it, as Prometheus has it. */
#include "base/histogram.h"

static const struct {
  uint64_t ns;
  const char *text;
} bounds[HISTOGRAM_BUCKETS] = {
#define BOUND(ns, text) {ns, text},
    HISTOGRAM_BOUNDS(BOUND)
#undef BOUND
};

void histogram_add(struct histogram *histogram, uint64_t duration_ns) {
  int bucket = 0;
  while (duration_ns > bounds[bucket].ns) bucket++;
  histogram->counts[bucket]++;
  histogram->sum_ns += duration_ns;
}

const char *histogram_bound(int bucket) {
  return bounds[bucket].text;
}
