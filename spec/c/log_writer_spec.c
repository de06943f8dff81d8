/* log_writer_spec.c - the log's lines to pipes: at once, while nobody reads, from many threads.
 *
 * Every wait is for bytes that arrive, with a limit. What is written is counted against what
 * arrives and what is said to be dropped. */
#include "core/log_writer.h"

#include "base/buffer.h"
#include "base/limits.h"
#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { WAIT_MS = 20000, READ_BYTES = 65536, THREADS = 4, LINES = 250, TEXT_BYTES = 1000 };

struct fixture {
  int fds[2]; /* to read, to write */
  struct log log;
  struct log_writer *writer;
  struct buffer text; /* that was read */
};

static void open_writer(struct fixture *f) {
  log_init(&f->log, f->fds[1], LOG_FORMAT_TEXT, LOG_INFO);
  f->writer = log_writer_create(&f->log);
}

static int set_up(void **state) {
  struct fixture *f = memory_alloc_zero(sizeof *f);
  signal(SIGPIPE, SIG_IGN);
  assert_int_equal(pipe(f->fds), 0);
  open_writer(f);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  log_writer_destroy(f->writer);
  for (int i = 0; i < 2; i++) {
    if (f->fds[i] >= 0) close(f->fds[i]);
  }
  buffer_finish(&f->text);
  free(f);
  return 0;
}

/* Reads what comes next, and gives all of it. */
static const char *read_some(struct fixture *f) {
  struct pollfd readable = {.fd = f->fds[0], .events = POLLIN};
  if (poll(&readable, 1, WAIT_MS) != 1) fail_msg("nothing came; before: %zu bytes", f->text.len);
  ssize_t len = read(f->fds[0], buffer_reserve(&f->text, READ_BYTES + 1), READ_BYTES);
  assert_true(len > 0);
  f->text.len += (size_t)len;
  f->text.data[f->text.len] = '\0';
  return f->text.data;
}

static uint64_t count_of(const char *text, const char *part) {
  uint64_t count = 0;
  for (const char *at = text; (at = strstr(at, part)); at++) count++;
  return count;
}

/* Writes lines until some are dropped; gives how many. */
static uint64_t fill(struct fixture *f) {
  char message[TEXT_BYTES + 1];
  uint64_t written = 0;
  memset(message, 'x', TEXT_BYTES);
  message[TEXT_BYTES] = '\0';
  while (log_writer_dropped(f->writer) == 0) {
    const struct log_field number = log_integer("number", (int64_t)written);
    log_write(&f->log, LOG_INFO, message, &number, 1);
    written++;
  }
  return written;
}

static void a_line_is_out_when_written(void **state) {
  struct fixture *f = *state;
  log_write(&f->log, LOG_INFO, "first", NULL, 0);
  struct pollfd readable = {.fd = f->fds[0], .events = POLLIN};
  assert_int_equal(poll(&readable, 1, 0), 1);
  assert_non_null(strstr(read_some(f), "info  first\n"));
  assert_int_equal(fcntl(f->fds[1], F_GETFL) & O_NONBLOCK, 0);
}

static void nobody_waits_for_a_reader(void **state) {
  struct fixture *f = *state;
  char last[32];
  uint64_t written = fill(f);
  while (!strstr(read_some(f), "log lines dropped: nobody reads lines=1\n")) continue;
  assert_int_equal(count_of(f->text.data, " number="), written - 1);
  snprintf(last, sizeof last, " number=%llu\n", (unsigned long long)written - 2);
  assert_int_equal(count_of(f->text.data, last), 1);
  assert_int_equal(count_of(f->text.data, "\n"), written);
  assert_int_equal(log_writer_dropped(f->writer), 1);
  log_write(&f->log, LOG_INFO, "afterwards", NULL, 0);
  while (!strstr(read_some(f), "info  afterwards\n")) continue;
}

static void the_end_does_not_wait_for_ever(void **state) {
  struct fixture *f = *state;
  uint64_t written = fill(f);
  log_writer_stop(f->writer);
  log_writer_stop(f->writer);
  assert_true(log_writer_dropped(f->writer) > 1);
  assert_true(log_writer_dropped(f->writer) <= written);
}

static void a_reader_that_left_costs_lines(void **state) {
  struct fixture *f = *state;
  close(f->fds[0]);
  f->fds[0] = -1;
  for (int i = 0; i < 3; i++) log_write(&f->log, LOG_INFO, "lost", NULL, 0);
  assert_int_equal(log_writer_dropped(f->writer), 3);
}

static void a_socket_does_not_block_either(void **state) {
  struct fixture *f = *state;
  log_writer_destroy(f->writer);
  close(f->fds[0]);
  close(f->fds[1]);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, f->fds), 0);
  open_writer(f);
  uint64_t written = fill(f);
  while (!strstr(read_some(f), "log lines dropped")) continue;
  assert_int_equal(count_of(f->text.data, " number="), written - 1);
}

static void write_lines(void *context) {
  const struct fixture *f = context;
  for (int i = 0; i < LINES; i++) log_write(&f->log, LOG_INFO, "of a thread", NULL, 0);
}

static void threads_write_whole_lines(void **state) {
  struct fixture *f = *state;
  uv_thread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], write_lines, f), 0);
  uint64_t all = (uint64_t)THREADS * LINES, lines = 0;
  while (lines < all) lines = count_of(read_some(f), "\n");
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
  assert_int_equal(lines, all);
  assert_int_equal(count_of(f->text.data, "Z info  of a thread\n"), all);
  assert_int_equal(log_writer_dropped(f->writer), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(a_line_is_out_when_written),     TEST(nobody_waits_for_a_reader),
      TEST(the_end_does_not_wait_for_ever), TEST(a_reader_that_left_costs_lines),
      TEST(a_socket_does_not_block_either), TEST(threads_write_whole_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
