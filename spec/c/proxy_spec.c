/* proxy_spec.c - whom proxies name, hop by hop, and what clients make up to be taken for another.
 *
 * Each case is the trusted list, the connection's other end and the fields of a request as they
 * come in, against address, scheme and host. 10.0.0.0/8 are proxies everywhere. */
#include "http/proxy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TRUSTED "10.0.0.0/8, fd00::/8, unix"

struct proxy_case {
  const char *peer, *fields;
  const char *address, *scheme, *host;
};

/* A request with these field lines, each ended by a newline. */
static void make_request(struct request *request, const char *fields) {
  *request = (struct request){0};
  buffer_add_text(&request->head, fields);
  request->fields = memory_alloc_zero(64 * sizeof *request->fields);
  for (const char *at = fields; *at; at = strchr(at, '\n') + 1) {
    const char *colon = strchr(at, ':'), *end = strchr(at, '\n');
    assert_true(colon && end && colon < end);
    struct request_field *field = &request->fields[request->field_count++];
    field->name_at = (uint32_t)(at - fields);
    field->name_len = (uint32_t)(colon - at);
    const char *value = colon + 1;
    while (*value == ' ') value++;
    field->value_at = (uint32_t)(value - fields);
    field->value_len = (uint32_t)(end - value);
  }
}

static void check(const struct proxy_case *row, const char *list, enum proxy_fields fields) {
  struct proxy_trust trust;
  struct request request;
  struct proxy_client client;
  proxy_trust_init(&trust, list, fields);
  make_request(&request, row->fields);
  proxy_find_client(&trust, &request, row->peer, &client);
  const char *scheme = client.is_https ? "https" : "http";
  bool is_host = client.host.len == strlen(row->host) &&
                 memcmp(client.host.data, row->host, client.host.len) == 0;
  if (strcmp(client.address, row->address) != 0 || strcmp(scheme, row->scheme) != 0 || !is_host)
    fail_msg("%s\n%sgave %s %s %.*s", row->peer, row->fields, client.address, scheme,
             (int)client.host.len, client.host.data);
  request_finish(&request);
  proxy_trust_finish(&trust);
}

#define CHECK_ALL(rows, list, fields)                                                              \
  for (size_t i_ = 0; i_ < array_len(rows); i_++) check(&(rows)[i_], (list), (fields))

static void believes_trusted_peers_only(void **state) {
  static const struct proxy_case rows[] = {
      {"192.0.2.1", "X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https\nX-Forwarded-Host: a\n",
       "192.0.2.1", "http", ""},
      {"192.0.2.1", "Forwarded: for=1.2.3.4;proto=https;host=a\n", "192.0.2.1", "http", ""},
      {"11.0.0.0", "X-Forwarded-For: 1.2.3.4\n", "11.0.0.0", "http", ""},
      {"10.255.255.255", "X-Forwarded-For: 1.2.3.4\n", "1.2.3.4", "http", ""},
      {"fd00::1", "X-Forwarded-For: 2001:db8::1\n", "2001:db8::1", "http", ""},
      {"unix:", "X-Forwarded-For: 1.2.3.4\n", "1.2.3.4", "http", ""},
      {"", "X-Forwarded-For: 1.2.3.4\n", "", "http", ""},
      {"10.0.0.1", "", "10.0.0.1", "http", ""},
  };
  static const struct proxy_case no_unix = {"unix:", "X-Forwarded-For: 1.2.3.4\n", "unix:", "http",
                                            ""};
  (void)state;
  CHECK_ALL(rows, TRUSTED, PROXY_FIELDS_AUTO);
  check(&no_unix, "10.0.0.0/8", PROXY_FIELDS_AUTO);
}

static void walks_x_forwarded_from_the_right(void **state) {
  static const struct proxy_case rows[] = {
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, 5.6.7.8\n", "5.6.7.8", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.2\n", "5.6.7.8", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4\nX-Forwarded-For: 5.6.7.8,10.0.0.2\n", "5.6.7.8",
       "http", ""},
      {"10.0.0.1", "x-forwarded-for: 1.2.3.4\nVia: x\nX-FORWARDED-FOR: 10.0.0.9\n", "1.2.3.4",
       "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 10.0.0.3, 10.0.0.2\n", "10.0.0.3", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: , 1.2.3.4,, ,\n", "1.2.3.4", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4:5678\n", "1.2.3.4", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: [2001:DB8::1]:443\n", "2001:db8::1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: [2001:db8::1]\n", "2001:db8::1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 9.9.9.9, fd00::2\n", "9.9.9.9", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: ::ffff:1.2.3.4\n", "1.2.3.4", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, ::ffff:10.0.0.2\n", "1.2.3.4", "http", ""},
  };
  (void)state;
  CHECK_ALL(rows, TRUSTED, PROXY_FIELDS_AUTO);
}

static void stops_at_what_is_no_address(void **state) {
  static const struct proxy_case rows[] = {
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, unknown\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, unknown, 10.0.0.2\n", "10.0.0.2", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, evil.example\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.256\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4:\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4:123456\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: [1.2.3.4]\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: [2001:db8::1\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: [2001:db8::1]x\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: []\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: unix\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For: unix:\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-For:\n", "10.0.0.1", "http", ""},
      {"unix:", "X-Forwarded-For: _hidden\nX-Forwarded-Proto: https\n", "unix:", "https", ""},
  };
  (void)state;
  CHECK_ALL(rows, TRUSTED, PROXY_FIELDS_AUTO);
}

static void pairs_scheme_and_host_with_the_hop(void **state) {
  static const struct proxy_case rows[] = {
      {"10.0.0.1", "X-Forwarded-Proto: https\nX-Forwarded-Host: example.com:8443\n", "10.0.0.1",
       "https", "example.com:8443"},
      /* the inner proxy passes on what the outer one wrote */
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, 10.0.0.2\nX-Forwarded-Proto: https\n", "1.2.3.4",
       "https", ""},
      /* both wrote */
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4, 10.0.0.2\nX-Forwarded-Proto: https, http\n",
       "1.2.3.4", "https", ""},
      /* the client made up the first of each list */
      {"10.0.0.1",
       "X-Forwarded-For: 9.9.9.9, 1.2.3.4\nX-Forwarded-Proto: https, http\n"
       "X-Forwarded-Host: evil.example, example.com\n",
       "1.2.3.4", "http", "example.com"},
      /* or of one list only */
      {"10.0.0.1", "X-Forwarded-For: 1.2.3.4\nX-Forwarded-Proto: https, http\n", "1.2.3.4", "http",
       ""},
      {"10.0.0.1", "X-Forwarded-Proto: HTTPS\n", "10.0.0.1", "https", ""},
      {"10.0.0.1", "X-Forwarded-Proto: gopher\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-Proto: https://\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-Host: [2001:db8::1]:80\n", "10.0.0.1", "http", "[2001:db8::1]:80"},
      {"10.0.0.1", "X-Forwarded-Host: a/../b\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-Host: user@evil.example\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-Host: a b\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "X-Forwarded-Host: a\xC3\xA4\n", "10.0.0.1", "http", ""},
  };
  (void)state;
  CHECK_ALL(rows, TRUSTED, PROXY_FIELDS_AUTO);
}

static void reads_forwarded(void **state) {
  static const struct proxy_case rows[] = {
      {"10.0.0.1", "Forwarded: for=192.0.2.60;proto=https;by=203.0.113.43\n", "192.0.2.60", "https",
       ""},
      {"10.0.0.1", "Forwarded: For=\"[2001:db8:cafe::17]:4711\"\n", "2001:db8:cafe::17", "http",
       ""},
      {"10.0.0.1", "Forwarded: for=192.0.2.43, for=198.51.100.17\n", "198.51.100.17", "http", ""},
      {"10.0.0.1", "Forwarded: for=192.0.2.43;proto=https, for=10.0.0.2;proto=http\n", "192.0.2.43",
       "https", ""},
      {"10.0.0.1", "Forwarded: for=192.0.2.43\nForwarded: for=10.0.0.2\n", "192.0.2.43", "http",
       ""},
      {"10.0.0.1", "Forwarded: for=\"1.2.3.4:80\" ; host=\"example.com:8080\" ; PROTO=\"https\"\n",
       "1.2.3.4", "https", "example.com:8080"},
      {"10.0.0.1", "Forwarded: for=\"1.2.3.4:_port\";ext=\"a,b;c\"\n", "1.2.3.4", "http", ""},
      {"10.0.0.1", "Forwarded: for=9.9.9.9, host=example.com;proto=https\n", "10.0.0.1", "https",
       "example.com"},
      {"10.0.0.1", "Forwarded: for=1.2.3.4, for=unknown\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=1.2.3.4, for=_hidden;proto=https\n", "10.0.0.1", "https", ""},
      {"10.0.0.1", "Forwarded: for=1.2.3.4, for=10.0.0.2, for=10.0.0.3\n", "1.2.3.4", "http", ""},
  };
  (void)state;
  CHECK_ALL(rows, TRUSTED, PROXY_FIELDS_AUTO);
}

static void is_not_misled_by_a_malformed_forwarded(void **state) {
  static const struct proxy_case rows[] = {
      /* what the client left open does not swallow what the proxy wrote */
      {"10.0.0.1", "Forwarded: for=\"9.9.9.9, for=1.2.3.4\n", "1.2.3.4", "http", ""},
      {"10.0.0.1", "Forwarded: for=\"9.9.9.9, for=\"[2001:db8::1]\"\n", "2001:db8::1", "http", ""},
      {"10.0.0.1", "Forwarded: \", for=1.2.3.4;proto=http\n", "1.2.3.4", "http", ""},
      {"10.0.0.1", "Forwarded: for=9.9.9.9;for=8.8.8.8\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=9.9.9.9;proto=https;proto=http\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=\"1.2.3.4\"x\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=\"1.2.\\3.4\"\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: =1.2.3.4\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: 1.2.3.4\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: ;;\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: \"\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=1.2.3.4;\"\n", "10.0.0.1", "http", ""},
      {"10.0.0.1", "Forwarded: for=9.9.9.9, garbage, for=10.0.0.2;host=a\n", "10.0.0.2", "http",
       "a"},
  };
  (void)state;
  CHECK_ALL(rows, TRUSTED, PROXY_FIELDS_AUTO);
}

/* A proxy that writes one kind passes the other on as the client sent it. */
static void believes_one_kind_of_field(void **state) {
  static const char both[] =
      "Forwarded: for=9.9.9.9;proto=https;host=a\nX-Forwarded-For: 1.2.3.4\n";
  static const struct proxy_case x = {"10.0.0.1", both, "1.2.3.4", "http", ""};
  static const struct proxy_case forwarded = {"10.0.0.1", both, "9.9.9.9", "https", "a"};
  static const struct proxy_case neither = {"10.0.0.1", "Forwarded: for=9.9.9.9\n", "10.0.0.1",
                                            "http", ""};
  static const struct proxy_case host_alone = {
      "10.0.0.1", "Forwarded: for=9.9.9.9\nX-Forwarded-Host: a\n", "10.0.0.1", "http", "a"};
  (void)state;
  check(&x, TRUSTED, PROXY_FIELDS_AUTO);
  check(&host_alone, TRUSTED, PROXY_FIELDS_AUTO);
  check(&x, TRUSTED, PROXY_FIELDS_X_FORWARDED);
  check(&neither, TRUSTED, PROXY_FIELDS_X_FORWARDED);
  check(&forwarded, TRUSTED, PROXY_FIELDS_FORWARDED);
}

static void trusts_nobody_by_default(void **state) {
  struct proxy_trust trust;
  (void)state;
  proxy_trust_init(&trust, "", PROXY_FIELDS_AUTO);
  assert_true(proxy_trust_is_empty(&trust));
  proxy_trust_finish(&trust);
  proxy_trust_init(&trust, "unix", PROXY_FIELDS_AUTO);
  assert_false(proxy_trust_is_empty(&trust));
  proxy_trust_finish(&trust);
  proxy_trust_finish(&trust);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(believes_trusted_peers_only),
      cmocka_unit_test(walks_x_forwarded_from_the_right),
      cmocka_unit_test(stops_at_what_is_no_address),
      cmocka_unit_test(pairs_scheme_and_host_with_the_hop),
      cmocka_unit_test(reads_forwarded),
      cmocka_unit_test(is_not_misled_by_a_malformed_forwarded),
      cmocka_unit_test(believes_one_kind_of_field),
      cmocka_unit_test(trusts_nobody_by_default),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
