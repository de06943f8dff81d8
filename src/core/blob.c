/* blob.c - bytes behind a counter.
 *
 * Releasing orders all that was read of the bytes before they are freed. */
#include "core/blob.h"

#include "base/base.h"

#include <stdlib.h>
#include <string.h>

struct blob *blob_create(const void *data, size_t len) {
  struct blob *blob = memory_alloc(sizeof *blob + len);
  atomic_init(&blob->_references, 1);
  blob->len = len;
  if (len > 0) memcpy(blob->data, data, len);
  return blob;
}

struct blob *blob_retain(struct blob *blob) {
  atomic_fetch_add_explicit(&blob->_references, 1, memory_order_relaxed);
  return blob;
}

void blob_release(struct blob *blob) {
  if (blob && atomic_fetch_sub_explicit(&blob->_references, 1, memory_order_acq_rel) == 1)
    free(blob);
}
