/* form_reader_spec.c - parts in memory and in files, whatever the pieces of the body.
 *
 * The reader runs its writes inline, as in a pool worker. What it keeps is looked at after each
 * step. */
#include "directory.h"

#include "base/limits.h"
#include "core/worker.h"
#include "lib/form_reader.h"

#define PART(name, extra)                                                                          \
  "--b\r\nContent-Disposition: form-data; name=\"" name "\"" extra "\r\n\r\n"

enum { REQUEST = 7 };

struct site {
  struct directory parent;
  struct spool *spool;
  struct worker_role role;
  struct worker worker;
  uv_loop_t loop;
  struct form_reader *reader;
  struct buffer told; /* the parts: "name=bytes;" or "name<length@file" */
  size_t writes;
};

static int start(void **state) {
  struct site *site = memory_alloc_zero(sizeof *site);
  struct form_type type = {.kind = FORM_MULTIPART, .boundary_len = 1, .boundary = "b"};
  directory_make(&site->parent);
  setenv("TMPDIR", site->parent.path, 1);
  uv_loop_init(&site->loop);
  site->spool = spool_create();
  site->role.runs_blocking = true;
  site->worker.role = &site->role;
  spool_open(site->spool, REQUEST);
  site->reader = form_reader_create(&type, site->spool, REQUEST);
  *state = site;
  return 0;
}

static int stop(void **state) {
  struct site *site = *state;
  offload_drop(&site->reader->offload);
  spool_close(site->spool, REQUEST, &site->loop);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&site->loop), 0);
  spool_destroy(site->spool);
  assert_int_equal(directory_count(site->parent.path), 0);
  directory_remove(&site->parent);
  buffer_finish(&site->told);
  free(site);
  return 0;
}

static void tell_part(struct site *site) {
  struct form_part *part = &site->reader->part;
  struct slice name = part->head.name;
  buffer_add(&site->told, name.data, name.len);
  if (!part->is_spooled) {
    assert_int_equal(part->size, part->bytes.len);
    buffer_add_byte(&site->told, '=');
    buffer_add(&site->told, part->bytes.data, part->bytes.len < 10 ? part->bytes.len : 10);
    buffer_add_byte(&site->told, ';');
    return;
  }
  struct stat info;
  assert_int_equal(stat(part->path, &info), 0);
  assert_int_equal(info.st_size, part->size);
  assert_int_equal(part->bytes.len, 0);
  buffer_printf(&site->told, "<%llu;", (unsigned long long)part->size);
}

/* Feeds a piece; gives the last step. */
static enum form_step feed(struct site *site, const char *piece, size_t len) {
  struct form_reader *reader = site->reader;
  assert_int_equal(reader->input.len, 0);
  reader->input = (struct slice){piece, len};
  for (;;) {
    enum form_step step = form_reader_step(reader);
    if (step == FORM_STEP_PART) {
      tell_part(site);
      form_reader_next_part(reader);
    } else if (step == FORM_STEP_WRITE) {
      site->writes++;
      offload_start(&reader->offload, &site->worker);
      if (reader->error) return step;
    } else {
      return step;
    }
  }
}

static enum form_step feed_text(struct site *site, const char *text) {
  return feed(site, text, strlen(text));
}

static void feed_run(struct site *site, char byte, size_t count, size_t piece_bytes) {
  char *piece = memory_alloc(piece_bytes);
  memset(piece, byte, piece_bytes);
  while (count > 0) {
    size_t len = count < piece_bytes ? count : piece_bytes;
    assert_int_equal(feed(site, piece, len), FORM_STEP_MORE);
    count -= len;
  }
  free(piece);
}

static void expect_told(struct site *site, const char *text) {
  buffer_add_byte(&site->told, '\0');
  assert_string_equal(site->told.data, text);
  buffer_clear(&site->told);
}

static void keeps_small_parts_in_memory(void **state) {
  struct site *site = *state;
  feed_text(site, PART("a", "") "one\r\n" PART("f", "; filename=x") "two\r\n--b--");
  expect_told(site, "a=one;f=two;");
  assert_int_equal(site->writes, 0);
  assert_true(multipart_end(&site->reader->multipart));
}

static void keeps_what_fits_exactly(void **state) {
  struct site *site = *state;
  feed_text(site, PART("f", "; filename=x"));
  feed_run(site, 'x', FORM_PART_BYTES_MAX, 60000);
  feed_text(site, "\r\n" PART("g", "; filename=x"));
  feed_run(site, 'y', FORM_PART_BYTES_MAX + 1, 60000);
  feed_text(site, "\r\n--b--");
  expect_told(site, "f=xxxxxxxxxx;g<1048577;");
}

static void spools_in_blocks(void **state) {
  struct site *site = *state;
  size_t size = 4 * FORM_PART_BYTES_MAX;
  feed_text(site, PART("f", "; filename=x"));
  feed_run(site, 'x', size, 1000);
  feed_text(site, "\r\n--b--");
  expect_told(site, "f<4194304;");
  assert_in_range(site->writes, 12, size / FORM_BLOCK_BYTES + 2);
}

static void spools_one_large_piece(void **state) {
  struct site *site = *state;
  static const char head[] = PART("f", "; filename=x"), tail[] = "\r\n--b--";
  size_t size = 3 * FORM_PART_BYTES_MAX + 5;
  struct buffer body = {0};
  buffer_add(&body, head, sizeof head - 1);
  memset(buffer_reserve(&body, size), 'x', size);
  body.len += size;
  buffer_add(&body, tail, sizeof tail - 1);
  assert_int_equal(feed(site, body.data, body.len), FORM_STEP_MORE);
  expect_told(site, "f<3145733;");
  buffer_finish(&body);
}

static void spools_what_is_large_together(void **state) {
  struct site *site = *state;
  for (int i = 0; i < 5; i++) {
    feed_text(site, PART("f", "; filename=x"));
    feed_run(site, 'x', FORM_PART_BYTES_MAX, 50000);
    feed_text(site, "\r\n");
  }
  feed_text(site, PART("g", "; filename=x") "\r\n" PART("a", "") "text\r\n--b--");
  expect_told(site, "f=xxxxxxxxxx;f=xxxxxxxxxx;f=xxxxxxxxxx;f=xxxxxxxxxx;f<1048576;g=;a=text;");
}

static void limits_text(void **state) {
  struct site *site = *state;
  feed_text(site, PART("a", ""));
  feed_run(site, 'x', FORM_TEXT_BYTES_MAX, 1 << 20);
  assert_int_equal(feed_text(site, "\r\n" PART("b", "") "x"), FORM_STEP_REFUSED);
  assert_int_equal(site->reader->multipart.problem.status, 413);
  assert_int_equal(form_reader_step(site->reader), FORM_STEP_REFUSED);
}

static void tells_why_it_cannot_write(void **state) {
  struct site *site = *state;
  feed_text(site, PART("f", "; filename=x"));
  feed_run(site, 'x', FORM_PART_BYTES_MAX, 60000);
  spool_close(site->spool, REQUEST, &site->loop);
  assert_int_equal(feed_text(site, "x"), FORM_STEP_WRITE);
  assert_int_equal(site->reader->error, UV_ECANCELED);
}

/* stop() finds the file removed and nothing leaked. */
static void can_be_dropped_in_the_middle_of_a_file(void **state) {
  struct site *site = *state;
  feed_text(site, PART("f", "; filename=x"));
  feed_run(site, 'x', 2 * FORM_PART_BYTES_MAX, 60000);
  assert_true(site->writes > 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
  const struct CMUnitTest tests[] = {
      TEST(keeps_small_parts_in_memory),
      TEST(keeps_what_fits_exactly),
      TEST(spools_in_blocks),
      TEST(spools_one_large_piece),
      TEST(spools_what_is_large_together),
      TEST(limits_text),
      TEST(tells_why_it_cannot_write),
      TEST(can_be_dropped_in_the_middle_of_a_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
