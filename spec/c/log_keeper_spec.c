/* log_keeper_spec.c - which lines pass, which are kept, and how many are forgotten.
 *
 * The log writes to a file in memory through a post of the spec's own. */
#include "core/log_keeper.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT_BYTES = 1000 };

struct fixture {
  struct log log;
  struct buffer passed; /* lines that came through */
  struct buffer kept;
  struct log_keeper *keeper;
};

static void pass(void *context, const char *line, size_t len) {
  buffer_add(context, line, len);
}

static int set_up(void **state) {
  struct fixture *f = memory_alloc_zero(sizeof *f);
  log_init(&f->log, 2, LOG_FORMAT_TEXT, LOG_INFO);
  f->log.post = pass;
  f->log.context = &f->passed;
  f->keeper = log_keeper_create(&f->log);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  log_keeper_destroy(f->keeper);
  buffer_finish(&f->passed);
  buffer_finish(&f->kept);
  free(f);
  return 0;
}

static bool has(struct buffer *text, const char *word) {
  buffer_add_byte(text, '\0');
  text->len--;
  for (size_t at = 0; at + strlen(word) <= text->len; at++) {
    if (memcmp(text->data + at, word, strlen(word)) == 0) return true;
  }
  return false;
}

static void passes_lines_when_nothing_is_kept(void **state) {
  struct fixture *f = *state;
  log_write(&f->log, LOG_INFO, "one", NULL, 0);
  assert_true(has(&f->passed, "one\n"));
  assert_int_equal(log_keeper_take(f->keeper, &f->kept), 0);
  assert_int_equal(f->kept.len, 0);
}

static void keeps_lines_until_the_end(void **state) {
  struct fixture *f = *state;
  log_keeper_begin(f->keeper, false);
  log_write(&f->log, LOG_INFO, "one", NULL, 0);
  log_write(log_of_process(&f->log), LOG_INFO, "whole", NULL, 0);
  assert_false(has(&f->passed, "one\n"));
  assert_true(has(&f->passed, "whole\n"));
  assert_int_equal(log_keeper_take(f->keeper, &f->kept), 0);
  uint32_t len;
  memcpy(&len, f->kept.data, sizeof len);
  assert_int_equal(f->kept.len, sizeof len + len);
  assert_true(has(&f->kept, "one\n"));
  buffer_clear(&f->kept);
  log_keeper_take(f->keeper, &f->kept);
  assert_int_equal(f->kept.len, 0);
  log_write(&f->log, LOG_INFO, "two", NULL, 0);
  log_keeper_end(f->keeper);
  log_write(&f->log, LOG_INFO, "three", NULL, 0);
  assert_false(has(&f->passed, "two\n"));
  assert_true(has(&f->passed, "three\n"));
  log_keeper_take(f->keeper, &f->kept);
  assert_int_equal(f->kept.len, 0);
}

static void passes_on_what_it_keeps_when_asked(void **state) {
  struct fixture *f = *state;
  log_keeper_begin(f->keeper, true);
  log_write(&f->log, LOG_INFO, "one", NULL, 0);
  log_keeper_take(f->keeper, &f->kept);
  assert_true(has(&f->passed, "one\n") && has(&f->kept, "one\n"));
}

static void forgets_the_oldest_lines_and_counts_them(void **state) {
  struct fixture *f = *state;
  char text[TEXT_BYTES];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  size_t written = 2 * LOG_SPEC_BYTES / sizeof text, left = 0;
  log_keeper_begin(f->keeper, false);
  for (size_t i = 0; i < written; i++) log_write(&f->log, LOG_INFO, text, NULL, 0);
  log_write(&f->log, LOG_INFO, "last", NULL, 0);
  uint64_t dropped = log_keeper_take(f->keeper, &f->kept);
  assert_true(f->kept.len <= LOG_SPEC_BYTES && dropped > 0);
  for (size_t at = 0; at < f->kept.len; left++) {
    uint32_t len;
    memcpy(&len, f->kept.data + at, sizeof len);
    at += sizeof len + len;
  }
  assert_int_equal(dropped + left, written + 1);
  assert_true(has(&f->kept, "last\n"));
}

static void gives_the_log_back(void **state) {
  struct fixture *f = *state;
  log_keeper_destroy(f->keeper);
  f->keeper = NULL;
  log_keeper_destroy(NULL);
  assert_ptr_equal(f->log.post, pass);
  assert_ptr_equal(log_of_process(&f->log), &f->log);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(passes_lines_when_nothing_is_kept, set_up, tear_down),
      cmocka_unit_test_setup_teardown(keeps_lines_until_the_end, set_up, tear_down),
      cmocka_unit_test_setup_teardown(passes_on_what_it_keeps_when_asked, set_up, tear_down),
      cmocka_unit_test_setup_teardown(forgets_the_oldest_lines_and_counts_them, set_up, tear_down),
      cmocka_unit_test_setup_teardown(gives_the_log_back, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
