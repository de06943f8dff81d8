/* memory.c - allocation for C code: it succeeds or the process ends with one line.
 *
 * Only small blocks and blocks bounded by a limit are asked for here; what the outside world can
 * make large is refused before (limits.h). */
#include "base/base.h"
#include "base/stress.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOVED_BYTE = 0xDD };

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

/* realloc that never leaves a block where it was, nor what was in it. */
static void *move(void *old, size_t size) {
  size_t old_size = malloc_usable_size(old);
  void *block = malloc(size);
  if (!block || !old) return block;
  memcpy(block, old, old_size < size ? old_size : size);
  memset(old, MOVED_BYTE, old_size);
  free(old);
  return block;
}

void *memory_resize(void *old, size_t size) {
  if (size == 0) size = 1;
  void *block = STRESS ? move(old, size) : realloc(old, size);
  if (!block) out_of_memory(size);
  return block;
}

char *memory_copy(const char *data, size_t len) {
  char *copy = memory_alloc(len + 1);
  if (len) memcpy(copy, data, len);
  copy[len] = '\0';
  return copy;
}
