/* compress_stream_spec.c - what was written to a stream can be decoded at once, and in full.
 *
 * Decoded by zlib, write by write. */
#include "base/limits.h"
#include "http/compress_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
/* cmocka.h needs the first of the above. */
#include <cmocka.h>

enum { ROOM = 1 << 16, GZIP_WINDOW_BITS = 12 + 16 };

struct reader {
  z_stream gzip;
  struct buffer text;
};

static void reader_start(struct reader *reader) {
  *reader = (struct reader){0};
  assert_int_equal(inflateInit2(&reader->gzip, GZIP_WINDOW_BITS), Z_OK);
}

/* Decodes all of `in`; gives what zlib said last. */
static int reader_take(struct reader *reader, const struct buffer *in) {
  z_stream *gzip = &reader->gzip;
  int result = Z_OK;
  gzip->next_in = (Bytef *)in->data;
  gzip->avail_in = (unsigned)in->len;
  do {
    gzip->next_out = (Bytef *)buffer_reserve(&reader->text, ROOM);
    gzip->avail_out = ROOM;
    result = inflate(gzip, Z_NO_FLUSH);
    assert_true(result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR);
    reader->text.len += ROOM - gzip->avail_out;
  } while (gzip->avail_out == 0);
  assert_int_equal(gzip->avail_in, 0);
  return result;
}

static void reader_finish(struct reader *reader) {
  inflateEnd(&reader->gzip);
  buffer_finish(&reader->text);
}

static uint32_t next_noise(uint32_t *seed) {
  *seed = *seed * 1664525u + 1013904223u;
  return *seed >> 24;
}

static void gives_every_write_at_once(void **state) {
  (void)state;
  const size_t sizes[] = {1,
                          7,
                          600,
                          40000,
                          COMPRESS_WRITE_BYTES_MAX,
                          COMPRESS_WRITE_BYTES_MAX + 1,
                          3,
                          2 * COMPRESS_WRITE_BYTES_MAX,
                          1,
                          512,
                          0,
                          100000};
  struct compress_stream *stream = compress_stream_create();
  struct reader reader;
  struct buffer written = {0}, out = {0};
  uint32_t seed = 1;
  reader_start(&reader);
  for (size_t i = 0; i < array_len(sizes); i++) {
    size_t start = written.len;
    for (size_t j = 0; j < sizes[i]; j++)
      buffer_add_byte(&written, j % 100 < 30 ? (char)next_noise(&seed) : 'a');
    buffer_clear(&out);
    compress_stream_write(stream, written.data + start, sizes[i], &out);
    reader_take(&reader, &out);
    assert_int_equal(reader.text.len, written.len);
    assert_memory_equal(reader.text.data, written.data, written.len);
  }
  buffer_clear(&out);
  compress_stream_end(stream, &out);
  assert_int_equal(reader_take(&reader, &out), Z_STREAM_END);
  assert_int_equal(reader.text.len, written.len);
  reader_finish(&reader);
  buffer_finish(&written);
  buffer_finish(&out);
  compress_stream_destroy(stream);
}

static void makes_text_smaller(void **state) {
  (void)state;
  struct compress_stream *stream = compress_stream_create();
  struct buffer text = {0}, out = {0};
  for (int i = 0; i < 1000; i++) buffer_printf(&text, "row %d of a table\n", i);
  compress_stream_write(stream, text.data, text.len, &out);
  assert_in_range(out.len, 1, text.len / 3);
  buffer_finish(&text);
  buffer_finish(&out);
  compress_stream_destroy(stream);
}

static void may_be_empty_or_dropped(void **state) {
  (void)state;
  struct compress_stream *stream = compress_stream_create();
  struct reader reader;
  struct buffer out = {0};
  reader_start(&reader);
  compress_stream_end(stream, &out);
  assert_int_equal(reader_take(&reader, &out), Z_STREAM_END);
  assert_int_equal(reader.text.len, 0);
  reader_finish(&reader);
  compress_stream_destroy(stream);
  stream = compress_stream_create();
  compress_stream_write(stream, "abc", 3, &out);
  compress_stream_destroy(stream);
  compress_stream_destroy(NULL);
  buffer_finish(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gives_every_write_at_once),
      cmocka_unit_test(makes_text_smaller),
      cmocka_unit_test(may_be_empty_or_dropped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
