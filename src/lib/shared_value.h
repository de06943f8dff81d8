/* shared_value.h - a value as a shared table keeps it: typed, and without Lua.
 *
 * Numbers, booleans and short strings are in the struct itself; longer strings, and messages of
 * core/transfer.h for tables and the like, are bytes that it has one reference to. */
#ifndef LIB_SHARED_VALUE_H
#define LIB_SHARED_VALUE_H

#include "core/blob.h"

#include <stdint.h>

enum shared_type {
  SHARED_NIL,
  SHARED_FALSE,
  SHARED_TRUE,
  SHARED_INTEGER,
  SHARED_FLOAT,
  SHARED_SHORT,  /* a string in `text` */
  SHARED_STRING, /* one in `blob` */
  SHARED_MESSAGE /* `blob` is a message with one value */
};

enum { SHARED_SHORT_BYTES = 24 };

struct shared_value {
  uint8_t type; /* enum shared_type */
  uint8_t len;  /* of a short string */
  union {
    int64_t integer;
    double number;
    struct blob *blob;
    char text[SHARED_SHORT_BYTES];
  };
};

/* [any thread] The blob, or NULL. */
static inline struct blob *shared_value_blob(const struct shared_value *value) {
  return value->type >= SHARED_STRING ? value->blob : NULL;
}

/* [any thread] The same value with a reference of its own; and the end of one. */
static inline struct shared_value shared_value_copy(const struct shared_value *value) {
  if (shared_value_blob(value)) blob_retain(value->blob);
  return *value;
}

static inline void shared_value_release(struct shared_value *value) {
  blob_release(shared_value_blob(value));
  value->type = SHARED_NIL;
}

#endif
