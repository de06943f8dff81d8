/* histogram.h - how often something took how long.
 *
 * Fixed bounds, so that histograms of several things can be added up. Not locked: whoever owns one
 * guards it. */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdint.h>

/* X(nanoseconds, seconds as text): upper bounds, from small to large. */
#define HISTOGRAM_BOUNDS(X)                                                                        \
  X(100000, "0.0001")                                                                              \
  X(500000, "0.0005")                                                                              \
  X(1000000, "0.001")                                                                              \
  X(5000000, "0.005")                                                                              \
  X(10000000, "0.01")                                                                              \
  X(50000000, "0.05")                                                                              \
  X(100000000, "0.1")                                                                              \
  X(500000000, "0.5")                                                                              \
  X(1000000000, "1")                                                                               \
  X(5000000000, "5")                                                                               \
  X(10000000000, "10")                                                                             \
  X(60000000000, "60")                                                                             \
  X(UINT64_MAX, "+Inf")

enum {
#define HISTOGRAM_COUNT(ns, text) +1
  HISTOGRAM_BUCKETS = 0 HISTOGRAM_BOUNDS(HISTOGRAM_COUNT)
#undef HISTOGRAM_COUNT
};

struct histogram {
  uint64_t counts[HISTOGRAM_BUCKETS]; /* of each bucket alone */
  uint64_t sum_ns;
};

/* [owner] Counts one that took so long. */
void histogram_add(struct histogram *histogram, uint64_t duration_ns);

/* [any thread] The upper bound of a bucket in seconds: static text. */
const char *histogram_bound(int bucket);

#endif
