/* line_writer_spec.c - lines to files, pipes and standard output, when nobody reads and at the end.
 *
 * Every wait is for bytes that arrive, with a limit. Pipes stand in a directory of their own; what
 * is posted is counted against what arrives and what is said to be dropped. */
#include "core/line_writer.h"

#include "base/limits.h"
#include "base/log.h"
#include "terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

enum { WAIT_MS = 10000, PATH_BYTES = 64, READ_BYTES = 65536, THREADS = 4, POSTS = 500 };

struct fixture {
  char dir[PATH_BYTES], path[PATH_BYTES + 8];
  struct log log;
  int log_fds[2];
  char message[LINE_WRITER_MESSAGE_BYTES];
  struct line_writer *writer;
};

static int set_up(void **state) {
  struct fixture *f = memory_alloc_zero(sizeof *f);
  snprintf(f->dir, sizeof f->dir, "/tmp/line_writer_XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof f->path, "%s/lines", f->dir);
  assert_int_equal(pipe2(f->log_fds, O_NONBLOCK), 0);
  log_init(&f->log, f->log_fds[1], LOG_FORMAT_TEXT, LOG_WARN);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  line_writer_destroy(f->writer);
  close(f->log_fds[0]);
  close(f->log_fds[1]);
  unlink(f->path);
  rmdir(f->dir);
  free(f);
  return 0;
}

static void open_writer(struct fixture *f) {
  f->writer = line_writer_create(f->path, &f->log, f->message);
  if (!f->writer) fail_msg("%s", f->message);
}

static void post(struct line_writer *writer, const char *text) {
  struct buffer lines = {0};
  unsigned count = 0;
  for (const char *at = text; *at; at++) count += *at == '\n';
  buffer_add_text(&lines, text);
  line_writer_post(writer, &lines, count);
  assert_int_equal(lines.len, 0);
  buffer_finish(&lines);
}

static char *read_file(const char *path) {
  FILE *file = fopen(path, "r");
  assert_non_null(file);
  struct buffer text = {0};
  size_t len;
  while ((len = fread(buffer_reserve(&text, READ_BYTES), 1, READ_BYTES, file)) > 0) text.len += len;
  fclose(file);
  buffer_add_byte(&text, '\0');
  return text.data;
}

/* Reads what arrives until there are `count` lines; they are counted, the last byte is kept. */
static unsigned read_lines(int fd, unsigned count, struct buffer *text) {
  struct pollfd input = {.fd = fd, .events = POLLIN};
  unsigned lines = 0;
  while (lines < count && poll(&input, 1, WAIT_MS) == 1) {
    char *at = buffer_reserve(text, READ_BYTES);
    ssize_t len = read(fd, at, READ_BYTES);
    if (len <= 0) break;
    for (ssize_t i = 0; i < len; i++) lines += at[i] == '\n';
    text->len += (size_t)len;
  }
  return lines;
}

static bool log_says(struct fixture *f, const char *words) {
  char text[READ_BYTES];
  ssize_t len = read(f->log_fds[0], text, sizeof text - 1);
  text[len > 0 ? len : 0] = '\0';
  return strstr(text, words) != NULL;
}

static void writes_all_before_it_ends(void **state) {
  struct fixture *f = *state;
  open_writer(f);
  post(f->writer, "one\ntwo\n");
  post(f->writer, "three\n");
  line_writer_stop(f->writer);
  line_writer_stop(f->writer);
  post(f->writer, "late\n");
  char *text = read_file(f->path);
  assert_string_equal(text, "one\ntwo\nthree\n");
  free(text);
  assert_int_equal(line_writer_dropped(f->writer), 1);
}

static void post_many(void *context) {
  char line[32];
  for (int i = 0; i < POSTS; i++) {
    snprintf(line, sizeof line, "%d\n", i);
    post(context, line);
  }
}

static void takes_lines_from_many_threads(void **state) {
  struct fixture *f = *state;
  uv_thread_t threads[THREADS];
  open_writer(f);
  for (int i = 0; i < THREADS; i++) uv_thread_create(&threads[i], post_many, f->writer);
  for (int i = 0; i < THREADS; i++) {
    uv_thread_join(&threads[i]);
    line_writer_reopen(f->writer);
  }
  line_writer_stop(f->writer);
  char *text = read_file(f->path);
  unsigned count = 0;
  for (const char *at = text; *at; at++) count += *at == '\n';
  free(text);
  assert_int_equal(count, THREADS * POSTS);
  assert_int_equal(line_writer_dropped(f->writer), 0);
}

/* Posts lines of a kibibyte until one is dropped; gives how many. */
static unsigned fill(struct line_writer *writer) {
  char line[1025];
  unsigned count = 0;
  memset(line, 'x', sizeof line);
  memcpy(line + sizeof line - 2, "\n", sizeof "\n");
  for (; line_writer_dropped(writer) == 0; count++) post(writer, line);
  return count;
}

static void drops_what_a_full_pipe_does_not_take(void **state) {
  struct fixture *f = *state;
  assert_int_equal(mkfifo(f->path, 0600), 0);
  open_writer(f);
  unsigned posted = fill(f->writer);
  assert_true(posted > LINE_WRITER_BYTES_MAX / 1024);
  int reader = open(f->path, O_RDONLY | O_NONBLOCK);
  struct buffer text = {0};
  assert_int_equal(read_lines(reader, posted - 1, &text), posted - 1);
  post(f->writer, "last\n");
  assert_int_equal(read_lines(reader, 1, &text), 1);
  assert_memory_equal(text.data + text.len - 6, "\nlast\n", 6);
  assert_int_equal(line_writer_dropped(f->writer), 1);
  line_writer_stop(f->writer);
  assert_true(log_says(f, "access log lines dropped lines=1 "));
  close(reader);
  buffer_finish(&text);
}

static void does_not_wait_for_ever_at_the_end(void **state) {
  struct fixture *f = *state;
  assert_int_equal(mkfifo(f->path, 0600), 0);
  open_writer(f);
  unsigned posted = fill(f->writer);
  int reader = open(f->path, O_RDONLY | O_NONBLOCK);
  line_writer_stop(f->writer);
  uint64_t dropped = line_writer_dropped(f->writer);
  assert_true(dropped > 1 && dropped < posted);
  struct buffer text = {0};
  assert_int_equal(read_lines(reader, (unsigned)(posted - dropped), &text), posted - dropped);
  close(reader);
  buffer_finish(&text);
}

/* Standard output of a server is often shared: it must not become non-blocking for others. */
static void leaves_standard_output_as_it_is(void **state, int fds[2]) {
  struct fixture *f = *state;
  int saved = dup(STDOUT_FILENO);
  fflush(stdout);
  dup2(fds[1], STDOUT_FILENO);
  f->writer = line_writer_create("-", &f->log, f->message);
  int flags = fcntl(STDOUT_FILENO, F_GETFL);
  if (f->writer) post(f->writer, "one\ntwo\n");
  struct buffer text = {0};
  unsigned lines = f->writer ? read_lines(fds[0], 2, &text) : 0;
  if (f->writer) fill(f->writer);
  if (f->writer) line_writer_stop(f->writer);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  assert_int_equal(lines, 2);
  assert_memory_equal(text.data, "one\ntwo\n", text.len);
  assert_false(flags & O_NONBLOCK);
  buffer_finish(&text);
  close(fds[0]);
  close(fds[1]);
}

static void writes_to_a_pipe_as_standard_output(void **state) {
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  leaves_standard_output_as_it_is(state, fds);
}

static void writes_to_a_socket_as_standard_output(void **state) {
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  leaves_standard_output_as_it_is(state, fds);
}

static void survives_a_reader_that_leaves(void **state) {
  struct fixture *f = *state;
  int fds[2], saved = dup(STDOUT_FILENO);
  assert_int_equal(pipe(fds), 0);
  fflush(stdout);
  dup2(fds[1], STDOUT_FILENO);
  close(fds[1]);
  f->writer = line_writer_create("-", &f->log, f->message);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  close(fds[0]);
  assert_non_null(f->writer);
  post(f->writer, "one\ntwo\n");
  line_writer_stop(f->writer);
  assert_int_equal(line_writer_dropped(f->writer), 2);
  assert_true(log_says(f, "reason=\"broken pipe\""));
}

static void says_why_it_cannot_open(void **state) {
  struct fixture *f = *state;
  assert_null(line_writer_create(f->dir, &f->log, f->message));
  assert_non_null(strstr(f->message, "cannot open /tmp/line_writer_"));
  assert_non_null(strstr(f->message, ": illegal operation on a directory"));
  line_writer_destroy(NULL);
}

static void knows_a_terminal(void **state) {
  struct fixture *f = *state;
  int terminal = open_terminal();
  struct line_writer *writer = line_writer_create(ptsname(terminal), &f->log, f->message);
  if (!writer) fail_msg("%s", f->message);
  assert_true(line_writer_is_terminal(writer));
  line_writer_destroy(writer);
  close(terminal);
  open_writer(f);
  assert_false(line_writer_is_terminal(f->writer));
}

#define spec(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  const struct CMUnitTest tests[] = {
      spec(writes_all_before_it_ends),
      spec(takes_lines_from_many_threads),
      spec(drops_what_a_full_pipe_does_not_take),
      spec(does_not_wait_for_ever_at_the_end),
      spec(writes_to_a_pipe_as_standard_output),
      spec(writes_to_a_socket_as_standard_output),
      spec(survives_a_reader_that_leaves),
      spec(says_why_it_cannot_open),
      spec(knows_a_terminal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
