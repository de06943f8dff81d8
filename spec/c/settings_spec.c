/* settings_spec.c - the table of settings: defaults, every kind of value, every refusal.
 *
 * Holds also that each row of the table is fit for `--help`, and that the choices stand in the
 * order of the enums they are indexes of. */
#include "base/settings.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char problem[SETTINGS_PROBLEM_BYTES];

static bool set(struct settings *settings, const char *name, const char *text) {
  return settings_set(settings, name, text, problem, sizeof problem);
}

#define accepts(name, text) assert_true(set(settings, name, text))
#define refuses(name, text, message)                                                               \
  do {                                                                                             \
    assert_false(set(settings, name, text));                                                       \
    assert_string_equal(problem, message);                                                         \
  } while (0)

static int open_settings(void **state) {
  static struct settings settings;
  settings_init(&settings);
  *state = &settings;
  return 0;
}

static int close_settings(void **state) {
  settings_finish(*state);
  return 0;
}

static void test_defaults(void **state) {
  struct settings *settings = *state;
  assert_string_equal(settings->host, "127.0.0.1");
  assert_int_equal(settings->port, 8080);
  assert_int_equal(settings->workers, 0);
  assert_string_equal(settings->pid_file, "");
  assert_int_equal(settings->log_format, LOG_FORMAT_AUTO);
  assert_int_equal(settings->log_level, LOG_INFO);
  assert_int_equal(settings->header_bytes_max, 16384);
  assert_int_equal(settings->headers_max, 100);
  assert_int_equal(settings->target_bytes_max, 8192);
  assert_int_equal(settings->body_bytes_max, 10485760);
  assert_int_equal(settings->header_timeout_ms, 10000);
  assert_int_equal(settings->body_timeout_ms, 30000);
  assert_int_equal(settings->idle_timeout_ms, 75000);
  assert_int_equal(settings->write_timeout_ms, 30000);
  assert_int_equal(settings->connections_max, 10000);
  assert_int_equal(settings->memory_limit_bytes, 1073741824);
  assert_int_equal(settings->drain_timeout_ms, 10000);
  assert_int_equal(settings->shutdown_timeout_ms, 25000);
  assert_int_equal(settings->stall_warn_ms, 100);
  assert_int_equal(settings->stall_kill_ms, 0);
  assert_int_equal(settings->pool_threads, 0);
  assert_int_equal(settings->pool_calls_max, 10000);
  assert_int_equal(settings->pool_idle_ms, 30000);
}

static void test_integers(void **state) {
  struct settings *settings = *state;
  accepts("port", "0");
  assert_int_equal(settings->port, 0);
  accepts("port", "65535");
  assert_int_equal(settings->port, 65535);
  refuses("port", "abc", "--port: \"abc\" is not a whole number from 0 to 65535");
  refuses("port", "65536", "--port: \"65536\" is not a whole number from 0 to 65535");
  refuses("port", "", "--port: \"\" is not a whole number from 0 to 65535");
  refuses("port", "-1", "--port: \"-1\" is not a whole number from 0 to 65535");
  refuses("port", " 1", "--port: \" 1\" is not a whole number from 0 to 65535");
  refuses("port", "80.0", "--port: \"80.0\" is not a whole number from 0 to 65535");
  refuses("port", "18446744073709551617",
          "--port: \"18446744073709551617\" is not a whole number from 0 to 65535");
  assert_int_equal(settings->port, 65535);
}

static void test_counts(void **state) {
  struct settings *settings = *state;
  accepts("workers", "4");
  assert_int_equal(settings->workers, 4);
  accepts("workers", "auto");
  assert_int_equal(settings->workers, 0);
  refuses("workers", "0", "--workers: \"0\" is not auto or a whole number from 1 to 1024");
  refuses("workers", "Auto", "--workers: \"Auto\" is not auto or a whole number from 1 to 1024");
}

static void test_texts(void **state) {
  struct settings *settings = *state;
  char text[] = "::1";
  accepts("host", text);
  text[0] = 'x';
  assert_string_equal(settings->host, "::1");
  accepts("host", "example.org");
  assert_string_equal(settings->host, "example.org");
  refuses("host", "", "--host: \"\" is not a text of 1 to 255 bytes");
  accepts("pid-file", "/run/a.pid");
  accepts("pid-file", "");
  assert_string_equal(settings->pid_file, "");
}

static void test_seconds(void **state) {
  struct settings *settings = *state;
  static const struct {
    const char *text;
    int64_t ms;
  } cases[] = {
      {"1", 1000},      {"0.5", 500}, {"2s", 2000},        {"2.25s", 2250},
      {"100ms", 100},   {"0.001", 1}, {"0.0001", 1},       {"1.0005", 1001},
      {"1.0010", 1001}, {"1.5ms", 2}, {"86400", 86400000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    accepts("idle-timeout", cases[i].text);
    assert_int_equal(settings->idle_timeout_ms, cases[i].ms);
  }
  static const char *const wrong[] = {
      "",   "0",   "0.0", "x",         "1x",  "1 s", ".5",  "1.", "1e3",  "-1",
      "1m", "mss", "1s ", "86400.001", "off", "inf", "0x1", "s",  "1..2", "9223372036854775807"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_false(set(settings, "idle-timeout", wrong[i]));
    assert_non_null(strstr(problem, "is not a number of seconds from 0.001 to 86400"));
  }
  assert_int_equal(settings->idle_timeout_ms, 86400000);
  accepts("drain-timeout", "0");
  assert_int_equal(settings->drain_timeout_ms, 0);
}

static void test_seconds_or_off(void **state) {
  struct settings *settings = *state;
  accepts("stall-kill", "2.5");
  assert_int_equal(settings->stall_kill_ms, 2500);
  accepts("stall-kill", "off");
  assert_int_equal(settings->stall_kill_ms, 0);
  accepts("stall-warn", "0");
  assert_int_equal(settings->stall_warn_ms, 0);
  refuses("stall-kill", "on",
          "--stall-kill: \"on\" is not off or a number of seconds from 0.001 to 86400 "
          "(like 30, 0.5 or 500ms)");
}

static void test_bytes(void **state) {
  struct settings *settings = *state;
  accepts("max-body", "0");
  assert_int_equal(settings->body_bytes_max, 0);
  accepts("max-body", "65537");
  assert_int_equal(settings->body_bytes_max, 65537);
  accepts("max-body", "64k");
  assert_int_equal(settings->body_bytes_max, 65536);
  accepts("max-body", "20M");
  assert_int_equal(settings->body_bytes_max, 20971520);
  accepts("max-body", "3g");
  assert_int_equal(settings->body_bytes_max, 3221225472);
  static const char *const wrong[] = {"",
                                      "k",
                                      "1kb",
                                      "1.5m",
                                      "-1",
                                      "1 k",
                                      "1t",
                                      "2048g",
                                      "off",
                                      "1\x0b",
                                      "9223372036854775807g",
                                      "99999999999999999999"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_false(set(settings, "max-body", wrong[i]));
    assert_non_null(strstr(problem, "is not a number of bytes from 0 to 1099511627776"));
  }
  assert_int_equal(settings->body_bytes_max, 3221225472);
}

static void test_bytes_or_off(void **state) {
  struct settings *settings = *state;
  accepts("memory-limit", "off");
  assert_int_equal(settings->memory_limit_bytes, 0);
  accepts("memory-limit", "256m");
  assert_int_equal(settings->memory_limit_bytes, 268435456);
  refuses("memory-limit", "1",
          "--memory-limit: \"1\" is not off or a number of bytes from 8388608 to 1099511627776 "
          "(like 65536 or 64k)");
}

static void test_choices(void **state) {
  struct settings *settings = *state;
  static const struct {
    const char *name;
    int value;
  } levels[] = {{"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN}, {"error", LOG_ERROR}};
  for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
    accepts("log-level", levels[i].name);
    assert_int_equal(settings->log_level, levels[i].value);
  }
  accepts("log-format", "json");
  assert_int_equal(settings->log_format, LOG_FORMAT_JSON);
  accepts("log-format", "text");
  assert_int_equal(settings->log_format, LOG_FORMAT_TEXT);
  accepts("log-format", "auto");
  assert_int_equal(settings->log_format, LOG_FORMAT_AUTO);
  refuses("log-format", "xml", "--log-format: \"xml\" is not one of auto|text|json");
  refuses("log-format", "jso", "--log-format: \"jso\" is not one of auto|text|json");
  refuses("log-format", "", "--log-format: \"\" is not one of auto|text|json");
  refuses("log-format", "text|json", "--log-format: \"text|json\" is not one of auto|text|json");
}

static void test_modes(void **state) {
  struct settings *settings = *state;
  assert_int_equal(settings->unix_mode, 0666);
  accepts("unix-mode", "0600");
  assert_int_equal(settings->unix_mode, 0600);
  accepts("unix-mode", "0");
  assert_int_equal(settings->unix_mode, 0);
  refuses("unix-mode", "668", "--unix-mode: \"668\" is not an octal mode up to 777 (like 660)");
  assert_false(set(settings, "unix-mode", "1000"));
  assert_false(set(settings, "unix-mode", ""));
  assert_false(set(settings, "unix-mode", "-1"));
  assert_false(set(settings, "unix-mode", "77777777777777777777777"));
  assert_int_equal(settings->unix_mode, 0);
}

static void test_networks(void **state) {
  struct settings *settings = *state;
  accepts("trusted-proxies", "127.0.0.1, 10.0.0.0/8,::1,unix");
  assert_string_equal(settings->trusted_proxies, "127.0.0.1, 10.0.0.0/8,::1,unix");
  accepts("trusted-proxies", "");
  refuses("trusted-proxies", "10.0.0.0/33",
          "--trusted-proxies: \"10.0.0.0/33\" is not a list of IP addresses, networks and unix "
          "(like 127.0.0.1,10.0.0.0/8,fd00::/8)");
  assert_false(set(settings, "trusted-proxies", "proxy.example"));
  assert_false(set(settings, "trusted-proxies", "10.0.0.1,"));
  assert_string_equal(settings->trusted_proxies, "");
}

static void test_unknown_names(void **state) {
  struct settings *settings = *state;
  refuses("prot", "1", "--prot: there is no such setting; the nearest is --port");
  refuses("", "1", "--: there is no such setting; the nearest is --host");
  assert_string_equal(settings_nearest("max_bdoy")->name, "max-body");
  assert_string_equal(settings_nearest("worker")->name, "workers");
  assert_string_equal(settings_nearest("headr-timout")->name, "header-timeout");
  char name[1000];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  assert_non_null(settings_nearest(name));
  assert_false(set(settings, name, "1"));
}

static void test_problems_are_one_short_line(void **state) {
  struct settings *settings = *state;
  refuses("port", "a\nb\"c\x7f", "--port: \"a?b?c?\" is not a whole number from 0 to 65535");
  char text[1000];
  memset(text, '7', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  assert_false(set(settings, "port", text));
  assert_true(strlen(problem) < 120);
  char small[8];
  assert_false(settings_set(settings, "port", "abc", small, sizeof small));
  assert_string_equal(small, "--port:");
}

static void test_every_row_is_complete(void **state) {
  (void)state;
  size_t count = 0;
  for (const struct setting *row = settings_next(NULL); row; row = settings_next(row)) {
    count++;
    assert_ptr_equal(settings_find(row->name), row);
    assert_ptr_equal(settings_nearest(row->name), row);
    assert_true(strlen(settings_kind_name(row->kind)) > 0);
    assert_true(strlen(row->help) > 20);
    assert_null(strpbrk(row->help, "\n\t"));
    assert_true(row->smallest <= row->largest);
    assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz-"), strlen(row->name));
  }
  assert_true(count > 20);
  assert_null(settings_find("Port"));
}

static void test_finish_takes_anything(void **state) {
  (void)state;
  struct settings settings = {0};
  settings_finish(NULL);
  settings_finish(&settings);
  settings_init(&settings);
  settings_finish(&settings);
  settings_finish(&settings);
  assert_null(settings.host);
}

#define spec(test) cmocka_unit_test_setup_teardown(test, open_settings, close_settings)

int main(void) {
  const struct CMUnitTest tests[] = {
      spec(test_defaults),
      spec(test_integers),
      spec(test_counts),
      spec(test_texts),
      spec(test_seconds),
      spec(test_seconds_or_off),
      spec(test_bytes),
      spec(test_bytes_or_off),
      spec(test_choices),
      spec(test_modes),
      spec(test_networks),
      spec(test_unknown_names),
      spec(test_problems_are_one_short_line),
      spec(test_every_row_is_complete),
      spec(test_finish_takes_anything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
