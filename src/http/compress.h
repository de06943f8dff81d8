/* compress.h - compressing bodies: which responses, and the compressors themselves.
 *
 * compress_choose is pure. A struct compress is memory for one compression after the other, used by
 * one thread at a time. Secrets and text that a stranger chose should not share a compressed
 * response: its length tells about both (the BREACH attack). A handler that answers with both says
 * Content-Encoding: identity, or Cache-Control: no-transform, and is left alone; --compress off
 * leaves all alone. */
#ifndef HTTP_COMPRESS_H
#define HTTP_COMPRESS_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/encoding.h"
#include "http/policy.h"
#include "http/request.h"

#include <stdbool.h>

struct compress;

/* [owner] Whether and how a response is compressed: `block` are its encoded fields, `available` is
 * the set of codings to choose from. Not what has no content or only a part of it (206), has a
 * Content-Encoding, may not be changed (Cache-Control: no-transform), is an event stream or of a
 * type that is compressed already. */
struct policy_coding compress_choose(const struct request *request, int status, struct slice block,
                                     unsigned available);

/* [any thread] Whether fields and type of a body let it be compressed at all. `type` is its
 * Content-Type, unless `block` has one. */
bool compress_is_allowed(struct slice block, struct slice type);

/* How much work goes into few bytes: on the event loop, or on a thread of its own. */
enum compress_effort { COMPRESS_QUICKLY, COMPRESS_WELL };

/* [owner] A compressor; allocates what it needs with its first use. */
struct compress *compress_create(enum compress_effort effort);

/* [owner] Frees it; accepts NULL. */
void compress_destroy(struct compress *compress);

/* [owner] Appends `in` in the given coding, which is not ENCODING_IDENTITY. */
void compress_run(struct compress *compress, enum encoding encoding, struct slice in,
                  struct buffer *out);

#endif
