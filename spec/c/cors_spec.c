/* cors_spec.c - which origins, methods and fields an app's CORS rules let through.
 *
 * Pure: requests are made from text, what is appended is compared byte for byte. */
#include "http/cors.h"

#include "made_request.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka.h needs the two above, stdlib.h and string.h. */
#include <cmocka.h>

enum { ORIGINS_MAX = 8 };

static struct slice text(const char *literal) {
  return (struct slice){literal, strlen(literal)};
}

/* Rules with origins given as words between blanks. */
static struct cors *make_rules(const char *words, struct cors_options options) {
  struct slice origins[ORIGINS_MAX];
  for (const char *at = words; *at; at += strspn(at, " ")) {
    size_t len = strcspn(at, " ");
    assert_true(options.origin_count < ORIGINS_MAX);
    origins[options.origin_count++] = (struct slice){at, len};
    assert_null(cors_check_origin((struct slice){at, len}));
    at += len;
  }
  options.origins = origins;
  if (!options.methods.data) options.methods = text("GET, POST");
  return cors_create(&options);
}

static void checks_origins(void **state) {
  (void)state;
  const char *const good[] = {"*",
                              "null",
                              "https://example.com",
                              "HTTP://Example.COM:8080",
                              "http://localhost:3000",
                              "http://127.0.0.1",
                              "http://[::1]:3000",
                              "https://*.example.com",
                              "https://*.example.com:8443",
                              "chrome-extension://abcdefgh",
                              "capacitor://localhost",
                              "https://a_b.example"};
  const char *const bad[] = {"",
                             "example.com",
                             "https://",
                             "https:///",
                             "https://example.com/",
                             "https://example.com/path",
                             "https://a/b.example",
                             "https://user@example.com",
                             "https://example.com:",
                             "https://example.com:0",
                             "https://example.com:080",
                             "https://example.com:65536",
                             "https://example.com:8x",
                             "https://exa mple.com",
                             "https://example..com",
                             "https://.example.com",
                             "https://example.com.",
                             "https://*",
                             "https://*.",
                             "https://*example.com",
                             "https://a.*.example.com",
                             "https://*.*.example.com",
                             "*://example.com",
                             "https://example.*",
                             "https://example.com:*",
                             "1https://example.com",
                             "://example.com",
                             "https://[::1",
                             "https://[x]",
                             "https://ex\xc3\xa4mple.com"};
  for (size_t i = 0; i < array_len(good); i++)
    if (cors_check_origin(text(good[i]))) fail_msg("%s is refused", good[i]);
  for (size_t i = 0; i < array_len(bad); i++)
    if (!cors_check_origin(text(bad[i]))) fail_msg("%s is not refused", bad[i]);
  assert_non_null(cors_check_origin((struct slice){"https://a\0b", 11}));
}

static void assert_fields(const struct cors *cors, const char *lines, const char *expected) {
  struct request request = make_request(METHOD_GET, lines);
  struct buffer out = {0};
  cors_write_fields(cors, &request, &out);
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data, expected);
  buffer_finish(&out);
  request_finish(&request);
}

/* Whether a page of the origin may read. */
static bool lets(const struct cors *cors, const char *origin) {
  struct buffer lines = {0}, out = {0};
  buffer_printf(&lines, "Origin: %s", origin);
  buffer_add_byte(&lines, '\0');
  struct request request = make_request(METHOD_GET, lines.data);
  cors_write_fields(cors, &request, &out);
  bool is_allowed = out.len > 0;
  buffer_finish(&lines);
  buffer_finish(&out);
  request_finish(&request);
  return is_allowed;
}

static void matches_exact_origins(void **state) {
  (void)state;
  struct cors *cors = make_rules("https://example.com http://localhost:3000 https://b.example:443",
                                 (struct cors_options){0});
  assert_true(lets(cors, "https://example.com"));
  assert_true(lets(cors, "HTTPS://EXAMPLE.com"));
  assert_true(lets(cors, "http://localhost:3000"));
  assert_true(lets(cors, "https://b.example"));
  const char *const others[] = {"http://example.com",
                                "https://example.com:8443",
                                "https://example.com.evil",
                                "https://evil-example.com",
                                "https://a.example.com",
                                "https://example.co",
                                "http://localhost",
                                "http://localhost:30000",
                                "null",
                                "",
                                "*",
                                "https://example.com, https://b.example",
                                "https://example.com/"};
  for (size_t i = 0; i < array_len(others); i++)
    if (lets(cors, others[i])) fail_msg("%s is let through", others[i]);
  cors_destroy(cors);
}

static void matches_patterns_by_whole_labels(void **state) {
  (void)state;
  struct cors *cors =
      make_rules("https://*.example.com https://*.dev.example:8443", (struct cors_options){0});
  assert_true(lets(cors, "https://a.example.com"));
  assert_true(lets(cors, "https://a.b-c.EXAMPLE.com"));
  assert_true(lets(cors, "https://x.dev.example:8443"));
  const char *const others[] = {"https://example.com",
                                "https://.example.com",
                                "https://evil-example.com",
                                "https://evilexample.com",
                                "http://a.example.com",
                                "https://a.example.com:444",
                                "https://a.example.com.evil.com",
                                "https://evil.com/.example.com",
                                "https://evil.com?.example.com",
                                "https://evil.com#.example.com",
                                "https://evil.com:80.example.com",
                                "https://u@evil.com\\.example.com",
                                "https://a..example.com",
                                "https://a%2eexample.com",
                                "https://x.dev.example",
                                "https://x.dev.example:84430",
                                "https://x.dev.example:443"};
  for (size_t i = 0; i < array_len(others); i++)
    if (lets(cors, others[i])) fail_msg("%s is let through", others[i]);
  cors_destroy(cors);
}

static void writes_the_fields_of_responses(void **state) {
  (void)state;
  struct cors *any = make_rules("*", (struct cors_options){.exposed = text("X-A, X-B")});
  assert_false(cors_varies(any));
  assert_fields(any, "",
                "Access-Control-Allow-Origin: *\r\n"
                "Access-Control-Expose-Headers: X-A, X-B\r\n");
  cors_destroy(any);
  struct cors *some = make_rules("https://a.example", (struct cors_options){.credentials = true});
  assert_true(cors_varies(some));
  assert_fields(some, "Origin: https://A.example",
                "Access-Control-Allow-Origin: https://A.example\r\n"
                "Access-Control-Allow-Credentials: true\r\n");
  assert_fields(some, "", "");
  assert_fields(some, "Origin: https://b.example", "");
  assert_fields(some, "Origin: https://a.example\nOrigin: https://a.example", "");
  cors_destroy(some);
  cors_destroy(NULL);
}

static void assert_judged(const struct cors *cors, const char *lines, const char *refusal,
                          const char *expected) {
  struct request request = make_request(METHOD_OPTIONS, lines);
  struct buffer out = {0};
  assert_true(cors_is_preflight(&request));
  const char *why = cors_judge(cors, &request, &out);
  if (refusal)
    assert_string_equal(why, refusal);
  else
    assert_null(why);
  buffer_add_byte(&out, '\0');
  assert_string_equal(out.data, expected);
  buffer_finish(&out);
  request_finish(&request);
}

#define ASK "Origin: https://a.example\nAccess-Control-Request-Method: "

static void judges_preflights(void **state) {
  (void)state;
  struct cors *cors =
      make_rules("https://a.example", (struct cors_options){.methods = text("GET, PUT"),
                                                            .headers = text("X-Token"),
                                                            .max_age_s = 60});
#define GRANTED                                                                                    \
  "Access-Control-Allow-Methods: GET, PUT\r\n"                                                     \
  "Access-Control-Allow-Headers: Accept, Accept-Language, Content-Language, Content-Type, "        \
  "X-Token\r\n"                                                                                    \
  "Access-Control-Max-Age: 60\r\n"
  assert_judged(cors, ASK "PUT", NULL, GRANTED);
  assert_judged(cors, ASK "PUT\nAccess-Control-Request-Headers: x-token, content-type", NULL,
                GRANTED);
  assert_judged(cors, ASK "DELETE", "CORS: the method is not allowed", "");
  assert_judged(cors, ASK "put", "CORS: the method is not allowed", "");
  assert_judged(cors, ASK "GET, PUT", "CORS: the method is not allowed", "");
  assert_judged(cors, ASK "GET\nAccess-Control-Request-Method: GET",
                "CORS: the method is not allowed", "");
  assert_judged(cors, ASK "PUT\nAccess-Control-Request-Headers: x-token, x-other",
                "CORS: a request header is not allowed", "");
  assert_judged(cors,
                ASK "PUT\nAccess-Control-Request-Headers: x-token\n"
                    "Access-Control-Request-Headers: x-other",
                "CORS: a request header is not allowed", "");
  assert_judged(cors, "Origin: https://b.example\nAccess-Control-Request-Method: PUT",
                "CORS: the origin is not allowed", "");
  cors_destroy(cors);
}

static void repeats_the_fields_asked_for_when_any_is_allowed(void **state) {
  (void)state;
  struct cors *cors = make_rules("https://a.example", (struct cors_options){.headers = text("*")});
#define GRANTED_ANY(names)                                                                         \
  "Access-Control-Allow-Methods: GET, POST\r\n" names "Access-Control-Max-Age: 0\r\n"              \
  "Vary: Access-Control-Request-Headers\r\n"
  assert_judged(cors, ASK "GET", NULL, GRANTED_ANY(""));
  assert_judged(cors, ASK "GET\nAccess-Control-Request-Headers: ,x-b ,, X-a,", NULL,
                GRANTED_ANY("Access-Control-Allow-Headers: x-b, X-a\r\n"));
  assert_judged(cors, ASK "GET\nAccess-Control-Request-Headers: x-a, b c",
                "CORS: a request header is not allowed", "");
  cors_destroy(cors);
}

static void knows_preflights(void **state) {
  (void)state;
  struct {
    enum method method;
    const char *lines;
    bool is_preflight;
  } cases[] = {{METHOD_OPTIONS, ASK "GET", true},
               {METHOD_GET, ASK "GET", false},
               {METHOD_OPTIONS, "Origin: https://a.example", false},
               {METHOD_OPTIONS, "Access-Control-Request-Method: GET", false},
               {METHOD_OPTIONS, "", false}};
  for (size_t i = 0; i < array_len(cases); i++) {
    struct request request = make_request(cases[i].method, cases[i].lines);
    assert_int_equal(cors_is_preflight(&request), cases[i].is_preflight);
    request_finish(&request);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(checks_origins),
      cmocka_unit_test(matches_exact_origins),
      cmocka_unit_test(matches_patterns_by_whole_labels),
      cmocka_unit_test(writes_the_fields_of_responses),
      cmocka_unit_test(judges_preflights),
      cmocka_unit_test(repeats_the_fields_asked_for_when_any_is_allowed),
      cmocka_unit_test(knows_preflights),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
