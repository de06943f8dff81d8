/* conditional.h - whether a client has what it asks for already: RFC 9110 section 13.
 *
 * Pure: compares the conditions in a request with the validators of a representation, in the order
 * of precedence of RFC 9110 13.2.2. Malformed conditions count as not there; only GET and HEAD have
 * conditions here, for the other methods the app decides what its own state is. */
#ifndef HTTP_CONDITIONAL_H
#define HTTP_CONDITIONAL_H

#include "base/base.h"
#include "http/request.h"

#include <stdbool.h>

/* What is known of the representation that would be sent. */
struct validators {
  struct slice etag;        /* with its quotes; starts with W/ when weak; empty: there is none */
  int64_t modified_seconds; /* since 1970; negative: not known */
  int64_t now_seconds;
};

enum conditional_result {
  CONDITIONAL_PASSED,
  CONDITIONAL_NOT_MODIFIED, /* 304 */
  CONDITIONAL_FAILED        /* 412 */
};

/* [any thread] If-Match, else If-Unmodified-Since; then If-None-Match, else If-Modified-Since. */
enum conditional_result conditional_check(const struct request *request,
                                          const struct validators *validators);

/* [any thread] The value of Range when it is to be looked at: a GET with one Range field, and
 * without an If-Range that fails (13.1.5: strong comparison, or the very date, when that is at
 * least a second old). */
bool conditional_range(const struct request *request, const struct validators *validators,
                       struct slice *range);

#endif
