/* blob.h - bytes that never change, shared by whoever has a reference.
 *
 * Threads may each hold references to one blob: the last one that is released frees it. */
#ifndef CORE_BLOB_H
#define CORE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>

struct blob {
  _Atomic(unsigned) _references;
  size_t len;
  char data[];
};

/* [any thread] A blob with a copy of the bytes, and one reference, which is the caller's. */
struct blob *blob_create(const void *data, size_t len);

/* [any thread] One more reference; and one less (accepts NULL). */
struct blob *blob_retain(struct blob *blob);
void blob_release(struct blob *blob);

#endif
