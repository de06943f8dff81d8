/* slab.c - chunks of blocks, found from a block by its address.
 *
 * A chunk begins at a multiple of its size. It is the current one of its class, on that class's
 * list of partial ones, full (on no list), or empty. Under the address sanitizer every block is
 * malloc's, so that it sees each. */
#include "core/slab.h"

#include "base/base.h"
#include "base/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHUNK_BYTES = 64 * 1024, REGION_CHUNKS = 16 };

struct slab_chunk {
  struct list link; /* slab.partial or slab.empty */
  void *free;       /* blocks given back, linked through their first word */
  char *fresh;      /* blocks never taken */
  uint32_t live;    /* blocks in use */
  uint32_t class;
  _Alignas(SLAB_STEP) char blocks[];
};

struct slab_region {
  struct slab_region *next;
  void *memory;
};

#if defined(__SANITIZE_ADDRESS__)
#  define ALL_LARGE true
#elif defined(__has_feature)
#  if __has_feature(address_sanitizer)
#    define ALL_LARGE true
#  endif
#endif
#ifndef ALL_LARGE
#  define ALL_LARGE false
#endif

static bool is_small(size_t size) {
  return !ALL_LARGE && size <= SLAB_BYTES_MAX;
}

static size_t class_of(size_t size) {
  return (size - 1) / SLAB_STEP;
}

static size_t block_bytes(size_t class) {
  return (class + 1) * SLAB_STEP;
}

static struct slab_chunk *chunk_of(void *block) {
  return (struct slab_chunk *)((uintptr_t)block & ~(uintptr_t)(CHUNK_BYTES - 1));
}

static bool has_room(const struct slab_chunk *chunk) {
  const char *end = (const char *)chunk + CHUNK_BYTES;
  return chunk->free || chunk->fresh + block_bytes(chunk->class) <= end;
}

/* ---- chunks ---- */

static bool add_region(struct slab *slab) {
  size_t bytes = (size_t)CHUNK_BYTES * (REGION_CHUNKS + 1); /* one is lost to the alignment */
  struct slab_region *region = malloc(sizeof *region);
  if (!region) return false;
  region->memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region->memory == MAP_FAILED) {
    free(region);
    return false;
  }
  region->next = slab->regions;
  slab->regions = region;
  char *first = (char *)chunk_of((char *)region->memory + CHUNK_BYTES - 1);
  for (int i = REGION_CHUNKS - 1; i >= 0; i--) {
    struct slab_chunk *chunk = (struct slab_chunk *)(first + (size_t)i * CHUNK_BYTES);
    list_push_front(&slab->empty, &chunk->link);
  }
  return true;
}

static struct slab_chunk *take_empty(struct slab *slab, size_t class) {
  if (list_is_empty(&slab->empty) && !add_region(slab)) return NULL;
  struct slab_chunk *chunk = container_of(list_pop(&slab->empty), struct slab_chunk, link);
  if (slab->empty_count > 0) slab->empty_count--;
  chunk->free = NULL;
  chunk->fresh = chunk->blocks;
  chunk->live = 0;
  chunk->class = (uint32_t) class;
  return chunk;
}

/* Makes a chunk with room the current one of a class; the one before is full. */
static struct slab_chunk *next_chunk(struct slab *slab, size_t class) {
  struct list *link = list_pop(&slab->partial[class]);
  struct slab_chunk *chunk =
      link ? container_of(link, struct slab_chunk, link) : take_empty(slab, class);
  if (chunk) slab->current[class] = chunk;
  return chunk;
}

/* Of the empty ones SLAB_EMPTY_MAX keep their memory. */
static void give_empty(struct slab *slab, struct slab_chunk *chunk) {
  if (slab->empty_count < SLAB_EMPTY_MAX) {
    slab->empty_count++;
    list_push_front(&slab->empty, &chunk->link);
    return;
  }
  madvise(chunk, CHUNK_BYTES, MADV_DONTNEED);
  list_push(&slab->empty, &chunk->link);
}

/* ---- blocks ---- */

static void *take(struct slab *slab, size_t size) {
  size_t class = class_of(size);
  struct slab_chunk *chunk = slab->current[class];
  if (UNLIKELY(!chunk || !has_room(chunk))) {
    chunk = next_chunk(slab, class);
    if (!chunk) return NULL;
  }
  chunk->live++;
  void *block = chunk->free;
  if (LIKELY(block != NULL)) {
    chunk->free = *(void **)block;
    return block;
  }
  block = chunk->fresh;
  chunk->fresh += block_bytes(class);
  return block;
}

static void put(struct slab *slab, void *block, size_t size) {
  if (!is_small(size)) {
    free(block);
    return;
  }
  struct slab_chunk *chunk = chunk_of(block);
  bool was_full = !has_room(chunk);
  *(void **)block = chunk->free;
  chunk->free = block;
  chunk->live--;
  if (LIKELY(chunk == slab->current[chunk->class])) return;
  if (was_full) list_push_front(&slab->partial[chunk->class], &chunk->link);
  if (chunk->live > 0) return;
  list_remove(&chunk->link);
  give_empty(slab, chunk);
}

static void *move(struct slab *slab, void *block, size_t old_size, size_t new_size) {
  void *moved = is_small(new_size) ? take(slab, new_size) : malloc(new_size);
  if (!moved) return NULL;
  memcpy(moved, block, old_size < new_size ? old_size : new_size);
  put(slab, block, old_size);
  return moved;
}

void *slab_resize(struct slab *slab, void *block, size_t old_size, size_t new_size) {
  if (!block) {
    if (new_size == 0) return NULL;
    return is_small(new_size) ? take(slab, new_size) : malloc(new_size);
  }
  if (new_size == 0) {
    put(slab, block, old_size);
    return NULL;
  }
  bool was_small = is_small(old_size), stays_small = is_small(new_size);
  if (!was_small && !stays_small) return realloc(block, new_size);
  if (was_small && stays_small && class_of(old_size) == class_of(new_size)) return block;
  return move(slab, block, old_size, new_size);
}

/* ---- life ---- */

void slab_init(struct slab *slab) {
  *slab = (struct slab){0};
  list_init(&slab->empty);
  for (size_t i = 0; i < SLAB_CLASSES; i++) list_init(&slab->partial[i]);
}

void slab_finish(struct slab *slab) {
  while (slab->regions) {
    struct slab_region *region = slab->regions;
    slab->regions = region->next;
    munmap(region->memory, (size_t)CHUNK_BYTES * (REGION_CHUNKS + 1));
    free(region);
  }
}
