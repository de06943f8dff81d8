/* policy.h - what is added to every response, whoever made it: app:headers, app:cors, and what a
 * content coding changes in the head.
 *
 * A struct policy is made once per process, from the app, and then only read by all workers. Pure:
 * the head's encoded fields go in and come out. A field that the response has already wins over
 * app:headers, an Access-Control-Allow-Origin of its own over app:cors; Vary is merged into one
 * field. */
#ifndef HTTP_POLICY_H
#define HTTP_POLICY_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/cors.h"
#include "http/encoding.h"

#include <stdbool.h>

struct policy;

/* [owner] A policy that adds nothing; the caller owns it. */
struct policy *policy_create(void);

/* [any thread] Frees it and its rules; accepts NULL. */
void policy_destroy(struct policy *policy);

/* [owner] Adds a field to every response; it has passed response_check_field. */
void policy_add_field(struct policy *policy, struct slice name, struct slice value);

/* [owner] Takes over the rules; at most once. */
void policy_set_cors(struct policy *policy, struct cors *cors);

/* [any thread] The rules, NULL when there are none. */
const struct cors *policy_cors(const struct policy *policy);

/* What content coding does to a head. */
struct policy_coding {
  enum encoding encoding; /* of the body; a strong ETag becomes weak (RFC 9110 8.8.1) */
  bool varies;            /* another request would have got another coding */
};

/* [owner] Appends the fields of `block` and all that is to be added. `policy` may be NULL: then
 * only the coding counts. `block` is not part of `out`. */
void policy_write(struct buffer *out, const struct policy *policy, const struct request *request,
                  struct slice block, struct policy_coding coding);

#endif
