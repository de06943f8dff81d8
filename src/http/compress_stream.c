/* compress_stream.c - zlib with a flush behind every write.
 *
 * Knows nothing of responses: bytes in, bytes out. Memory never fails (base.h), so neither does
 * anything here. */
#include "http/compress_stream.h"

#include "base/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

enum {
  LEVEL = 5,
  WINDOW_BITS = 12 + 16, /* 4 KiB, with gzip's header */
  MEMORY_LEVEL = 5,
  OUTPUT_BYTES_MIN = 512
};

struct compress_stream {
  z_stream gzip;
  int level;
};

static void *allocate(void *opaque, unsigned count, unsigned size) {
  (void)opaque;
  return memory_alloc((size_t)count * size);
}

static void release(void *opaque, void *memory) {
  (void)opaque;
  free(memory);
}

struct compress_stream *compress_stream_create(void) {
  struct compress_stream *stream = memory_alloc(sizeof *stream);
  *stream =
      (struct compress_stream){.gzip = {.zalloc = allocate, .zfree = release}, .level = LEVEL};
  int error =
      deflateInit2(&stream->gzip, LEVEL, Z_DEFLATED, WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
  assert(error == Z_OK && "memory never fails, and the arguments are right");
  (void)error;
  return stream;
}

void compress_stream_destroy(struct compress_stream *stream) {
  if (!stream) return;
  deflateEnd(&stream->gzip);
  free(stream);
}

/* Room for the next output. */
static void open_room(z_stream *gzip, struct buffer *out, size_t room) {
  gzip->next_out = (Bytef *)buffer_reserve(out, room);
  gzip->avail_out = (unsigned)room;
}

static void close_room(z_stream *gzip, struct buffer *out, size_t room) {
  out->len += room - gzip->avail_out;
}

/* All input has been flushed, so that nothing is pending when the level changes. */
static void set_level(struct compress_stream *stream, int level, struct buffer *out) {
  if (stream->level == level) return;
  open_room(&stream->gzip, out, OUTPUT_BYTES_MIN);
  int error = deflateParams(&stream->gzip, level, Z_DEFAULT_STRATEGY);
  assert(error == Z_OK);
  (void)error;
  close_room(&stream->gzip, out, OUTPUT_BYTES_MIN);
  stream->level = level;
}

/* Until zlib leaves room unused: then it has nothing more. */
static void run(z_stream *gzip, int flush, struct buffer *out) {
  do {
    size_t room = gzip->avail_in / 4 + OUTPUT_BYTES_MIN;
    open_room(gzip, out, room);
    int result = deflate(gzip, flush);
    assert(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    (void)result;
    close_room(gzip, out, room);
  } while (gzip->avail_out == 0);
}

void compress_stream_write(struct compress_stream *stream, const char *data, size_t len,
                           struct buffer *out) {
  const size_t most = UINT32_MAX / 2; /* zlib counts in 32 bits */
  set_level(stream, len > COMPRESS_WRITE_BYTES_MAX ? Z_NO_COMPRESSION : LEVEL, out);
  while (len > 0) {
    size_t part = len < most ? len : most;
    stream->gzip.next_in = (Bytef *)data;
    stream->gzip.avail_in = (unsigned)part;
    run(&stream->gzip, Z_SYNC_FLUSH, out);
    assert(stream->gzip.avail_in == 0);
    data += part;
    len -= part;
  }
}

void compress_stream_end(struct compress_stream *stream, struct buffer *out) {
  stream->gzip.avail_in = 0;
  run(&stream->gzip, Z_FINISH, out);
}
