/* address_spec.c - addresses, networks, lists and endpoints as text, right and wrong.
 *
 * Networks are tried at their edges: the last address inside and the first outside. */
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void reads_and_writes_addresses(void **state) {
  static const char *const cases[][2] = {
      {"127.0.0.1", "127.0.0.1"},
      {"255.255.255.255", "255.255.255.255"},
      {"::1", "::1"},
      {"2001:DB8:0:0::1", "2001:db8::1"},
      {"::ffff:192.0.2.1", "192.0.2.1"},
      {"::FFFF:c000:201", "192.0.2.1"},
      {"::", "::"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"", NULL},
      {"1.2.3", NULL},
      {"1.2.3.4 ", NULL},
      {"1.2.3.256", NULL},
      {"01.2.3.4", NULL},
      {"1.2.3.4:80", NULL},
      {"[::1]", NULL},
      {"fe80::1%eth0", NULL},
      {"::1::", NULL},
      {"localhost", NULL},
      {"0ffff:ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", NULL},
  };
  (void)state;
  for (size_t i = 0; i < array_len(cases); i++) {
    struct address address;
    char text[ADDRESS_TEXT_BYTES];
    bool is_right = address_parse(cases[i][0], strlen(cases[i][0]), &address);
    if (is_right != (cases[i][1] != NULL)) fail_msg("%s", cases[i][0]);
    if (!is_right) continue;
    address_format(&address, text);
    assert_string_equal(text, cases[i][1]);
  }
  struct address address;
  assert_false(address_parse("1.2.3.4\0", 8, &address));
  assert_true(address_parse("1.2.3.45", 7, &address));
}

static void tells_what_is_in_a_list(void **state) {
  static const struct {
    const char *list, *inside, *outside;
  } cases[] = {
      {"127.0.0.1", "127.0.0.1", "127.0.0.2"},
      {"127.0.0.1", "::ffff:127.0.0.1", "::1"},
      {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"},
      {"10.1.2.3/8", "10.0.0.0", "9.255.255.255"},
      {"192.168.16.0/20", "192.168.31.255", "192.168.32.0"},
      {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
      {"0.0.0.0/0", "255.255.255.255", "::2"},
      {"::/0", "1.2.3.4", NULL},
      {"fd00::/8", "fdff::1", "fe00::"},
      {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
      {"::1/128", "::1", "::2"},
      {" 10.0.0.1 ,\t::1 , 10.0.0.3", "10.0.0.3", "10.0.0.2"},
      {"unix,::1", "::1", "::3"},
      {"", NULL, "0.0.0.0"},
      {"unix", NULL, "0.0.0.0"},
  };
  (void)state;
  for (size_t i = 0; i < array_len(cases); i++) {
    struct address_list list;
    struct address address;
    assert_true(address_list_parse(cases[i].list, &list));
    assert_int_equal(list.has_unix, strstr(cases[i].list, "unix") != NULL);
    const char *inside = cases[i].inside, *outside = cases[i].outside;
    if (inside) {
      assert_true(address_parse(inside, strlen(inside), &address));
      if (!address_list_has(&list, &address)) fail_msg("%s in %s", inside, cases[i].list);
    }
    if (outside) {
      assert_true(address_parse(outside, strlen(outside), &address));
      if (address_list_has(&list, &address)) fail_msg("%s not in %s", outside, cases[i].list);
    }
    address_list_finish(&list);
    address_list_finish(&list);
  }
}

static void refuses_what_is_no_list(void **state) {
  static const char *const wrong[] = {
      "10.0.0.0/33", "::/129",      "10.0.0.0/", "10.0.0.0/-1",   "10.0.0.0/8/8",
      "/8",          "10.0.0.1,",   ",10.0.0.1", "10.0.0.1 ::1",  "host",
      "UNIX",        "unix/8",      "[::1]",     "10.0.0.1,,::1", "10.0.0.0/ 8",
      "10.0.0.0/+8", "10.0.0.0/8x", ",",         "10.0.0.1;unix", "10.0.0.0/999999999999",
  };
  (void)state;
  for (size_t i = 0; i < array_len(wrong); i++) {
    struct address_list list;
    if (address_list_parse(wrong[i], &list)) fail_msg("%s", wrong[i]);
    assert_null(list.networks);
  }
}

static void splits_endpoints(void **state) {
  static const struct {
    const char *text, *host;
    uint16_t port;
  } cases[] = {
      {"127.0.0.1:9000", "127.0.0.1", 9000},
      {"[::1]:80", "::1", 80},
      {"localhost:0", "localhost", 0},
      {"h:65535", "h", 65535},
      {"h:65536", NULL, 0},
      {"h:-1", NULL, 0},
      {"h:", NULL, 0},
      {":80", NULL, 0},
      {"h", NULL, 0},
      {"80", NULL, 0},
      {"::1:80", NULL, 0},
      {"[]:80", NULL, 0},
      {"[::1]", NULL, 0},
      {"", NULL, 0},
      {"h:80x", NULL, 0},
      {"h:999999999999999999999", NULL, 0},
  };
  (void)state;
  for (size_t i = 0; i < array_len(cases); i++) {
    char host[ADDRESS_HOST_BYTES];
    uint16_t port;
    bool is_right = address_split_endpoint(cases[i].text, host, &port);
    if (is_right != (cases[i].host != NULL)) fail_msg("%s", cases[i].text);
    if (!is_right) continue;
    assert_string_equal(host, cases[i].host);
    assert_int_equal(port, cases[i].port);
  }
  char text[ADDRESS_HOST_BYTES + 8], host[ADDRESS_HOST_BYTES];
  uint16_t port;
  memset(text, 'h', sizeof text);
  memcpy(text + ADDRESS_HOST_BYTES, ":80", sizeof ":80");
  assert_false(address_split_endpoint(text, host, &port));
  assert_true(address_split_endpoint(text + 1, host, &port));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_and_writes_addresses),
      cmocka_unit_test(tells_what_is_in_a_list),
      cmocka_unit_test(refuses_what_is_no_list),
      cmocka_unit_test(splits_endpoints),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
