/* memory.c - allocation for C code: it succeeds or the process ends with one line.
 *
 * Only small blocks and blocks bounded by a limit are asked for here; what the outside world can
 * make large is refused before (limits.h). */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NO_RETURN void out_of_memory(size_t size) {
  fprintf(stderr, "perilune: out of memory (%zu bytes)\n", size);
  abort();
}

void *memory_alloc(size_t size) {
  void *block = malloc(size ? size : 1);
  if (!block) out_of_memory(size);
  return block;
}

void *memory_alloc_zero(size_t size) {
  void *block = calloc(1, size ? size : 1);
  if (!block) out_of_memory(size);
  return block;
}

void *memory_resize(void *old, size_t size) {
  void *block = realloc(old, size ? size : 1);
  if (!block) out_of_memory(size);
  return block;
}

char *memory_copy(const char *data, size_t len) {
  char *copy = memory_alloc(len + 1);
  if (len) memcpy(copy, data, len);
  copy[len] = '\0';
  return copy;
}
