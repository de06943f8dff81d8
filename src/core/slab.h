/* slab.h - small blocks for one Lua state, without headers and without a lock.
 *
 * Blocks of one size class lie side by side in chunks. A chunk whose blocks are all free serves any
 * class again, and its memory goes back to the system. Larger blocks are malloc's. */
#ifndef CORE_SLAB_H
#define CORE_SLAB_H

#include "base/list.h"

#include <stddef.h>

enum { SLAB_STEP = 16, SLAB_BYTES_MAX = 768, SLAB_CLASSES = SLAB_BYTES_MAX / SLAB_STEP };

struct slab_chunk;
struct slab_region;

struct slab {
  struct slab_chunk *current[SLAB_CLASSES]; /* that a class takes from first; may be NULL */
  struct list partial[SLAB_CLASSES];        /* chunk.link: further ones with free blocks */
  struct list empty;                        /* chunk.link: of no class */
  size_t empty_count;
  struct slab_region *regions; /* what the chunks are in */
};

/* [owner] An empty one. */
void slab_init(struct slab *slab);

/* [owner] A block, grown or shrunk, or freed (`new_size` 0), as an allocator of Lua does it; NULL
 * when there is no memory, or none is asked for. `old_size` is 0 without a block. */
void *slab_resize(struct slab *slab, void *block, size_t old_size, size_t new_size);

/* [owner] Frees all small blocks. Accepts a zeroed one. */
void slab_finish(struct slab *slab);

#endif
