/* log_spec.c - the lines of the log, read back through a pipe.
 *
 * The time at the beginning of a line is checked for its form once, and skipped elsewhere. */
#include "base/log.h"

#include "base/limits.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { OUTPUT_BYTES = 1 << 20 };

static const char time_example[] = "2026-11-21T01:15:09.123Z";

/* One log on a pipe, and what came out of it. */
struct capture {
  struct log log;
  int reader, writer;
  char output[OUTPUT_BYTES];
};

static int open_capture(void **state) {
  struct capture *capture = calloc(1, sizeof *capture);
  int ends[2];
  if (!capture || pipe(ends) != 0) return -1;
  capture->reader = ends[0];
  capture->writer = ends[1];
  log_init(&capture->log, capture->writer, LOG_FORMAT_TEXT, LOG_DEBUG);
  *state = capture;
  return 0;
}

static int close_capture(void **state) {
  struct capture *capture = *state;
  close(capture->reader);
  if (capture->writer >= 0) close(capture->writer);
  free(capture);
  return 0;
}

/* Ends the log and gives everything it wrote. */
static const char *read_output(struct capture *capture) {
  if (capture->writer >= 0) close(capture->writer);
  capture->writer = -1;
  size_t len = 0;
  for (;;) {
    ssize_t got = read(capture->reader, capture->output + len, OUTPUT_BYTES - 1 - len);
    if (got <= 0) break;
    len += (size_t)got;
  }
  capture->output[len] = '\0';
  return capture->output;
}

static const char *skip_time(const char *line) {
  assert_true(strlen(line) > sizeof time_example);
  return line + sizeof time_example;
}

#define write_line(level, message, ...)                                                            \
  log_write(&capture->log, level, message, (struct log_field[]){__VA_ARGS__},                      \
            sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

static void test_text_line(void **state) {
  struct capture *capture = *state;
  write_line(LOG_WARN, "a message", log_text("name", "ann"), log_text("title", "with space"),
             log_integer("id", -7), log_number("seconds", 0.25), log_boolean("late", true));
  assert_string_equal(
      skip_time(read_output(capture)),
      "warn  a message name=ann title=\"with space\" id=-7 seconds=0.25 late=true\n");
}

static void test_time_has_its_form(void **state) {
  struct capture *capture = *state;
  log_write(&capture->log, LOG_INFO, "x", NULL, 0);
  const char *line = read_output(capture);
  for (size_t i = 0; i < sizeof time_example - 1; i++) {
    bool is_digit = time_example[i] >= '0' && time_example[i] <= '9';
    if (is_digit) {
      assert_in_range(line[i], '0', '9');
    } else {
      assert_int_equal(line[i], time_example[i]);
    }
  }
  assert_int_equal(line[sizeof time_example - 1], ' ');
}

static void test_levels(void **state) {
  struct capture *capture = *state;
  log_init(&capture->log, capture->writer, LOG_FORMAT_TEXT, LOG_WARN);
  assert_false(log_enabled(&capture->log, LOG_INFO));
  assert_true(log_enabled(&capture->log, LOG_WARN));
  log_write(&capture->log, LOG_DEBUG, "no", NULL, 0);
  log_write(&capture->log, LOG_INFO, "no", NULL, 0);
  log_write(&capture->log, LOG_ERROR, "yes", NULL, 0);
  assert_string_equal(skip_time(read_output(capture)), "error yes\n");
}

static void test_levels_in_colour(void **state) {
  struct capture *capture = *state;
  capture->log.is_coloured = true;
  log_write(&capture->log, LOG_WARN, "careful", NULL, 0);
  assert_string_equal(read_output(capture) + sizeof time_example - 1,
                      " \033[33mwarn \033[0m careful\n");
}

static void test_text_is_escaped(void **state) {
  struct capture *capture = *state;
  write_line(LOG_INFO, "one\ntwo\x1b[31m\xc2\x9b", log_text("k", "a\nb=\"c\"\\"),
             log_text("empty", ""), log_bytes("nul", "a\0b", 3), log_text("bad", "\xff\xc0\xaf"),
             log_text("bad key\n=", "v"), log_text("word", "gr\xc3\xbc\xc3\x9f"),
             log_text("line", "a\xe2\x80\xa8z"));
  assert_string_equal(skip_time(read_output(capture)),
                      "info  one\\ntwo\\x1b[31m\\x9b k=\"a\\nb=\\\"c\\\"\\\\\" empty=\"\" "
                      "nul=\"a\\x00b\" bad=\"\\xff\\xc0\\xaf\" bad_key__=v "
                      "word=\"gr\xc3\xbc\xc3\x9f\" line=\"a\\u2028z\"\n");
}

static void test_traceback_stands_below(void **state) {
  struct capture *capture = *state;
  write_line(LOG_ERROR, "failed",
             log_text("traceback", "app.lua:3: boom\nstack traceback:\n\tapp.lua:3: in f\x1b"),
             log_text("id", "r1"));
  assert_string_equal(skip_time(read_output(capture)), "error failed id=r1\n"
                                                       "    app.lua:3: boom\n"
                                                       "    stack traceback:\n"
                                                       "        app.lua:3: in f\\x1b\n");
}

static void test_json_line(void **state) {
  struct capture *capture = *state;
  log_init(&capture->log, capture->writer, LOG_FORMAT_JSON, LOG_DEBUG);
  write_line(LOG_ERROR, "say \"hi\"\n", log_text("traceback", "a\n\tb"), log_integer("id", 5),
             log_number("x", 1e300), log_number("n", NAN), log_boolean("b", false),
             log_text("level", "fake"), log_text("bad", "\xff\x01\\\xed\xa0\x80"));
  const char *output = read_output(capture);
  static const char beginning[] = "{\"time\":\"";
  assert_memory_equal(output, beginning, sizeof beginning - 1);
  const char *rest = output + sizeof beginning - 1 + sizeof time_example - 1;
  const char *not_a_number = signbit(NAN) ? "-nan" : "nan";
  char want[1024];
  snprintf(want, sizeof want,
           "\",\"level\":\"error\",\"message\":\"say \\\"hi\\\"\\n\",\"traceback\":\"a\\n\\tb\","
           "\"id\":5,\"x\":1e+300,\"n\":\"%s\",\"b\":false,\"level_\":\"fake\","
           "\"bad\":\"\xef\xbf\xbd\\u0001\\\\\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n",
           not_a_number);
  assert_string_equal(rest, want);
}

static void test_numbers_read_back(void **state) {
  struct capture *capture = *state;
  write_line(LOG_INFO, "n", log_number("a", 0.1), log_number("b", 0.1 + 0.2),
             log_number("c", 12345678), log_integer("d", INT64_MIN));
  assert_string_equal(skip_time(read_output(capture)),
                      "info  n a=0.1 b=0.30000000000000004 c=12345678 d=-9223372036854775808\n");
}

static void test_long_values_are_cut(void **state) {
  struct capture *capture = *state;
  size_t len = LOG_VALUE_BYTES_MAX + 10;
  char *text = malloc(len);
  assert_non_null(text);
  memset(text, 'x', len);
  write_line(LOG_INFO, "m", log_bytes("a", text, len), log_text("b", "there"));
  free(text);
  const char *output = read_output(capture);
  assert_non_null(strstr(output, "x...[+10 bytes] b=there\n"));
  assert_true(strlen(output) < LOG_VALUE_BYTES_MAX + 100);
}

static void *read_slowly(void *argument) {
  read_output(argument);
  return NULL;
}

/* A pipe that does not block and is smaller than the line: it takes several writes. */
static void test_partial_writes(void **state) {
  struct capture *capture = *state;
  assert_true(fcntl(capture->writer, F_SETPIPE_SZ, 4096) >= 0);
  assert_int_equal(fcntl(capture->writer, F_SETFL, O_NONBLOCK), 0);
  int writer = capture->writer;
  capture->writer = -1; /* this thread closes it, when everything is written */
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, read_slowly, capture), 0);
  char text[LOG_VALUE_BYTES_MAX];
  memset(text, 'y', sizeof text);
  for (int i = 0; i < 8; i++) write_line(LOG_INFO, "m", log_bytes("text", text, sizeof text));
  close(writer);
  pthread_join(thread, NULL);
  const char *line = capture->output;
  for (int i = 0; i < 8; i++) {
    const char *end = strchr(line, '\n');
    assert_non_null(end);
    assert_int_equal(end - skip_time(line), strlen("info  m text=") + sizeof text);
    line = end + 1;
  }
  assert_string_equal(line, "");
}

static void test_a_lost_reader_loses_the_line(void **state) {
  struct capture *capture = *state;
  signal(SIGPIPE, SIG_IGN);
  close(capture->reader);
  errno = ENOENT;
  write_line(LOG_INFO, "nobody reads", log_integer("n", 1));
  assert_int_equal(errno, ENOENT);
  capture->reader = dup(capture->writer);
}

/* A log that opens on `fd` with --log-format auto. */
static enum log_format format_on(int fd) {
  struct log log;
  log_init(&log, fd, LOG_FORMAT_AUTO, LOG_INFO);
  return log.format;
}

static void test_the_form_is_chosen_by_the_reader(void **state) {
  struct capture *capture = *state;
  int terminal = open_terminal();
  assert_int_equal(format_on(terminal), LOG_FORMAT_TEXT);
  assert_int_equal(format_on(capture->writer), LOG_FORMAT_JSON);
  struct log log;
  log_init(&log, terminal, LOG_FORMAT_JSON, LOG_INFO);
  assert_int_equal(log.format, LOG_FORMAT_JSON);
  close(terminal);
}

#define spec(test) cmocka_unit_test_setup_teardown(test, open_capture, close_capture)

int main(void) {
  const struct CMUnitTest tests[] = {
      spec(test_text_line),
      spec(test_time_has_its_form),
      spec(test_levels),
      spec(test_levels_in_colour),
      spec(test_text_is_escaped),
      spec(test_traceback_stands_below),
      spec(test_json_line),
      spec(test_the_form_is_chosen_by_the_reader),
      spec(test_numbers_read_back),
      spec(test_long_values_are_cut),
      spec(test_partial_writes),
      spec(test_a_lost_reader_loses_the_line),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
