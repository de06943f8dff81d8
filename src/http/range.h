/* range.h - which bytes a Range field asks for: RFC 9110 section 14.
 *
 * Pure. A field that is malformed, that has another unit, or that asks for so much that it can only
 * be meant to hurt is ignored, as RFC 9110 14.2 allows: the answer is then the whole. */
#ifndef HTTP_RANGE_H
#define HTTP_RANGE_H

#include "base/base.h"
#include "base/limits.h"

struct range {
  uint64_t first;
  uint64_t len; /* at least 1 */
};

enum range_result {
  RANGE_WHOLE, /* the field asks for nothing that can be given in parts */
  RANGE_PARTS, /* ranges are set, in the order of the field */
  RANGE_NONE   /* none of them has a byte: 416 */
};

struct range_list {
  struct range ranges[RANGES_MAX];
  size_t count;
};

/* [any thread] Reads the value of a Range field for a representation of `size` bytes. Ranges that
 * have no byte are left out. More than RANGES_MAX of them, or together more bytes than the whole
 * (they overlap): RANGE_WHOLE. */
enum range_result range_parse(struct range_list *out, struct slice value, uint64_t size);

#endif
