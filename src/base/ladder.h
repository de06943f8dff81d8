/* ladder.h - an array of pointers that grows and shrinks without moving what is in it.
 *
 * It is made of rungs, each as long as all before it together. Their memory comes from the caller,
 * who can allocate and free it where that disturbs nobody. A zeroed struct is an empty ladder. */
#ifndef BASE_LADDER_H
#define BASE_LADDER_H

#include "base/base.h"

#include <assert.h>

enum { LADDER_FIRST = 8, LADDER_FIRST_LOG2 = 3, LADDER_RUNGS_MAX = 27 };

struct ladder {
  void **_rungs[LADDER_RUNGS_MAX];
  uint32_t _count; /* of rungs */
};

/* How many pointers there is room for. */
static inline uint32_t ladder_cap(const struct ladder *ladder) {
  return ladder->_count == 0 ? 0 : (uint32_t)LADDER_FIRST << (ladder->_count - 1);
}

/* How many the next rung has; and the last one, of a ladder that is not empty. */
static inline uint32_t ladder_next_len(const struct ladder *ladder) {
  return ladder->_count == 0 ? LADDER_FIRST : ladder_cap(ladder);
}
static inline uint32_t ladder_last_len(const struct ladder *ladder) {
  return ladder->_count == 1 ? LADDER_FIRST : ladder_cap(ladder) / 2;
}

/* Where pointer `i` is, which is below the cap. */
static inline void **ladder_at(const struct ladder *ladder, uint32_t i) {
  if (i < LADDER_FIRST) return &ladder->_rungs[0][i];
  uint32_t log2 = 31u - (uint32_t)__builtin_clz(i);
  return &ladder->_rungs[log2 - LADDER_FIRST_LOG2 + 1][i - (1u << log2)];
}

/* Takes over a rung of ladder_next_len() pointers. */
static inline void ladder_add(struct ladder *ladder, void **rung) {
  assert(ladder->_count < LADDER_RUNGS_MAX);
  ladder->_rungs[ladder->_count++] = rung;
}

/* Gives back the last rung, or NULL when there is none. */
static inline void **ladder_drop(struct ladder *ladder) {
  return ladder->_count == 0 ? NULL : ladder->_rungs[--ladder->_count];
}

#endif
