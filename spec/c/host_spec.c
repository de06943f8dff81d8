/* host_spec.c - what may stand in a Host field, and what may not.
 *
 * Each row is one value; the grammar is RFC 3986's, with the exceptions that host.h names. */
#include "http/host.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

static void takes_hosts(void **state) {
  (void)state;
  static const char *const hosts[] = {
      "a",
      "example.com",
      "example.com.",
      "EXAMPLE.com:80",
      "a:",
      "a:0",
      "a:65535",
      "a:00080",
      "127.0.0.1",
      "127.0.0.1:8080",
      "[::1]",
      "[::1]:80",
      "[::1]:",
      "[2001:db8::1]",
      "[::ffff:1.2.3.4]",
      "my_host",
      "xn--bcher-kva.ch",
      "a-b.c~d",
      "a%20b",
      "!$&'()*+;=",
      "999.999.9.9",
      "-",
  };
  for (size_t i = 0; i < array_len(hosts); i++)
    if (!host_is_valid(hosts[i], strlen(hosts[i]))) fail_msg("%s", hosts[i]);
}

static void refuses_others(void **state) {
  (void)state;
  static const char *const hosts[] = {
      "",
      ":",
      ":80",
      "a b",
      "a, b",
      "a,b",
      "u@a",
      "u:p@a",
      "a:8x",
      "a:-1",
      "a:+1",
      "a: 80",
      "a:80:80",
      "a:65536",
      "a:9999999999999999999999",
      "a/b",
      "a?b",
      "a#b",
      "a\\b",
      "<a>",
      "\"a\"",
      "a|b",
      "{a}",
      "a^b",
      "a`b",
      "http://a",
      "a%",
      "a%2",
      "a%zz",
      "\x80",
      "a\x7F",
      "a\tb",
      "a\rb",
      "[",
      "[]",
      "[::1",
      "::1",
      "[::1]x",
      "[::1]:x",
      "[::1]80",
      "[1.2.3.4]",
      "[zz]",
      "[v1.a]",
      "[fe80::1%25eth0]",
      "[:::]",
      "[::1]]",
      "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]",
      "a[::1]",
      "[::1 ]",
  };
  for (size_t i = 0; i < array_len(hosts); i++)
    if (host_is_valid(hosts[i], strlen(hosts[i]))) fail_msg("%s", hosts[i]);
  assert_false(host_is_valid("a\0b", 3));
  assert_false(host_is_valid("[::1\0]", 6));
}

/* Nothing behind the given bytes is read: the memory ends there. */
static void reads_no_further(void **state) {
  (void)state;
  static const char text[] = "[2001:db8::1]:8080";
  for (size_t len = 0; len < sizeof text; len++) {
    char *copy = memory_copy(text, len);
    copy = memory_resize(copy, len ? len : 1);
    bool is_whole = len >= sizeof "[2001:db8::1]" - 1;
    assert_int_equal(host_is_valid(copy, len), is_whole);
    free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(takes_hosts),
      cmocka_unit_test(refuses_others),
      cmocka_unit_test(reads_no_further),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
