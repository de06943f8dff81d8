/* encoding.h - which content coding a client gets: RFC 9110 12.5.3.
 *
 * Reads Accept-Encoding and chooses among what the server has for a response. Pure; knows nothing
 * of compressors and files. The coding with the highest weight wins; among equal ones brotli, then
 * gzip, then none. A coding that is not named and not covered by "*" is not acceptable, but none
 * (identity) is unless it is refused. Malformed elements count as not there. */
#ifndef HTTP_ENCODING_H
#define HTTP_ENCODING_H

#include "base/base.h"
#include "http/request.h"

/* In order of preference among equal weights, the least first. */
enum encoding { ENCODING_IDENTITY, ENCODING_GZIP, ENCODING_BROTLI };

#define ENCODING_COUNT 3

/* What the Accept-Encoding fields of one request say: weights in thousandths, -1 for not named.
 * Filled by encoding_read. */
struct encoding_wishes {
  int weights[ENCODING_COUNT];
  int any;       /* of "*" */
  bool is_there; /* a field was */
};

/* [any thread] The bit of a coding in a set of codings. */
static inline unsigned encoding_bit(enum encoding encoding) {
  return 1U << (unsigned)encoding;
}

/* [any thread] Its name in Content-Encoding, terminated: "identity", "gzip", "br". */
const char *encoding_name(enum encoding encoding);

/* [any thread] Wishes of a request without the field. */
void encoding_start(struct encoding_wishes *wishes);

/* [any thread] Adds one field's value. */
void encoding_read(struct encoding_wishes *wishes, struct slice value);

/* [any thread] The wishes of a request whose head is complete. */
void encoding_read_request(struct encoding_wishes *wishes, const struct request *request);

/* [any thread] The best of the codings in the set `available`, in which ENCODING_IDENTITY always
 * counts as there. Without a field: none (RFC 9110 lets the server choose; some clients that do
 * not send the field cannot decode). Where nothing is acceptable: none too. */
enum encoding encoding_choose(const struct encoding_wishes *wishes, unsigned available);

/* [any thread] The same for a request whose head is complete. */
enum encoding encoding_choose_for(const struct request *request, unsigned available);

#endif
