/* compress_spec.c - which responses are compressed, and that what comes out is what went in.
 *
 * gzip is taken apart by zlib here; brotli by a real client in spec/lua/compression_spec.lua. */
#include "http/compress.h"

#include "made_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <zlib.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

static struct slice text(const char *literal) {
  return (struct slice){literal, strlen(literal)};
}

static struct policy_coding choose(const char *accepted, int status, const char *block) {
  struct request request = make_request(METHOD_GET, accepted);
  struct policy_coding coding = compress_choose(
      &request, status, text(block), encoding_bit(ENCODING_GZIP) | encoding_bit(ENCODING_BROTLI));
  request_finish(&request);
  return coding;
}

static void assert_choice(const char *block, int status, bool is_compressible) {
  struct policy_coding asked = choose("Accept-Encoding: gzip", status, block);
  struct policy_coding unasked = choose("", status, block);
  if (asked.varies != is_compressible) fail_msg("%d %s: %d", status, block, asked.varies);
  assert_int_equal(asked.encoding, is_compressible ? ENCODING_GZIP : ENCODING_IDENTITY);
  assert_int_equal(unasked.varies, is_compressible);
  assert_int_equal(unasked.encoding, ENCODING_IDENTITY);
}

static void chooses_by_type(void **state) {
  (void)state;
  const char *const good[] = {"text/plain",
                              "text/html; charset=utf-8",
                              "TEXT/CSS",
                              "text/x-anything",
                              "application/json",
                              "application/json;charset=utf-8",
                              "application/problem+json",
                              "application/rss+xml",
                              "image/svg+xml",
                              "application/javascript",
                              "application/wasm",
                              "application/x-ndjson"};
  const char *const bad[] = {"text/event-stream",
                             "text/event-stream; charset=utf-8",
                             "text/",
                             "text",
                             "image/png",
                             "video/mp4",
                             "application/zip",
                             "application/octet-stream",
                             "font/woff2",
                             "application/jsonx",
                             ""};
  char block[128];
  for (size_t i = 0; i < array_len(good); i++) {
    snprintf(block, sizeof block, "Content-Type: %s\r\n", good[i]);
    assert_choice(block, 200, true);
  }
  for (size_t i = 0; i < array_len(bad); i++) {
    snprintf(block, sizeof block, "Content-Type: %s\r\n", bad[i]);
    assert_choice(block, 200, false);
  }
  assert_choice("", 200, false);
}

#define TYPE "content-type: text/plain\r\n"

static void leaves_what_must_stay(void **state) {
  (void)state;
  assert_choice(TYPE "Content-Encoding: br\r\n", 200, false);
  assert_choice(TYPE "content-encoding: identity\r\n", 200, false);
  assert_choice(TYPE "Content-Range: bytes 0-1/2\r\n", 200, false);
  assert_choice(TYPE "Cache-Control: public, NO-TRANSFORM\r\n", 200, false);
  assert_choice(TYPE "Cache-Control: no-transformer\r\n", 200, true);
  assert_choice("Cache-Control: no-store\r\n" TYPE, 200, true);
  const int without[] = {204, 205, 206, 304};
  for (size_t i = 0; i < array_len(without); i++) assert_choice(TYPE, without[i], false);
  assert_choice(TYPE, 404, true);
  assert_choice(TYPE, 500, true);
}

/* Appends what the gzip stream holds; fails unless it is whole. */
static void inflate_all(const struct buffer *in, struct buffer *out) {
  z_stream stream = {0};
  assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = (Bytef *)in->data;
  stream.avail_in = (unsigned)in->len;
  int result;
  do {
    enum { ROOM = 1 << 16 };
    stream.next_out = (Bytef *)buffer_reserve(out, ROOM);
    stream.avail_out = ROOM;
    result = inflate(&stream, Z_NO_FLUSH);
    assert_true(result == Z_OK || result == Z_STREAM_END);
    out->len += ROOM - stream.avail_out;
  } while (result != Z_STREAM_END);
  assert_int_equal(stream.avail_in, 0);
  inflateEnd(&stream);
}

static void assert_comes_back(struct compress *compress, const struct buffer *in) {
  struct buffer packed = {0}, out = {0};
  buffer_add_text(&packed, "before");
  compress_run(compress, ENCODING_GZIP, (struct slice){in->data, in->len}, &packed);
  struct buffer behind = {.data = packed.data + 6, .len = packed.len - 6};
  inflate_all(&behind, &out);
  assert_int_equal(out.len, in->len);
  assert_memory_equal(out.data, in->data, in->len);
  buffer_finish(&packed);
  buffer_finish(&out);
}

static void packs_one_after_the_other(void **state) {
  (void)state;
  const enum compress_effort efforts[] = {COMPRESS_QUICKLY, COMPRESS_WELL};
  for (size_t e = 0; e < array_len(efforts); e++) {
    struct compress *compress = compress_create(efforts[e]);
    struct buffer in = {0};
    uint32_t seed = 1;
    for (size_t len = 1; len < (3u << 20); len *= 7) {
      while (in.len < len) { /* half of it noise, which grows by compressing */
        seed = seed * 1664525u + 1013904223u;
        buffer_add_byte(&in, in.len % 2000 < 1000 ? (char)(seed >> 24) : 'a');
      }
      assert_comes_back(compress, &in);
    }
    buffer_finish(&in);
    compress_destroy(compress);
  }
  compress_destroy(NULL);
}

static void packs_brotli_small(void **state) {
  (void)state;
  struct compress *compress = compress_create(COMPRESS_QUICKLY);
  struct buffer in = {0}, out = {0};
  for (unsigned i = 0; i < 1000; i++) buffer_add_text(&in, "again and ");
  compress_run(compress, ENCODING_BROTLI, (struct slice){in.data, in.len}, &out);
  assert_in_range(out.len, 1, in.len / 50);
  buffer_finish(&in);
  buffer_finish(&out);
  compress_destroy(compress);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(chooses_by_type),
      cmocka_unit_test(leaves_what_must_stay),
      cmocka_unit_test(packs_one_after_the_other),
      cmocka_unit_test(packs_brotli_small),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
