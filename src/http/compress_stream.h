/* compress_stream.h - gzip for responses that are written bit by bit.
 *
 * What was written can be decoded at once: each write ends with a flush (RFC 1951 3.2.4, an empty
 * stored block). There may be thousands of streams open, so each has a small window: 40 KiB of
 * memory instead of 300, for a few percent of size. Brotli needs far more and is not used here. */
#ifndef HTTP_COMPRESS_STREAM_H
#define HTTP_COMPRESS_STREAM_H

#include "base/base.h"
#include "base/buffer.h"

struct compress_stream;

/* [owner] A stream that has not begun; the caller owns it. */
struct compress_stream *compress_stream_create(void);

/* [owner] Frees it; accepts NULL. */
void compress_stream_destroy(struct compress_stream *stream);

/* [owner] Appends what the bytes become. More than COMPRESS_WRITE_BYTES_MAX at once are stored as
 * they are, so that the loop is not held. */
void compress_stream_write(struct compress_stream *stream, const char *data, size_t len,
                           struct buffer *out);

/* [owner] Appends the end; nothing may follow. */
void compress_stream_end(struct compress_stream *stream, struct buffer *out);

#endif
