/* conditional_spec.c - RFC 9110 section 13 as a table: fields of a request, and what they lead to.
 *
 * The representation has the entity tag "a" and was modified on 6 Nov 1994 at 08:49:37. */
#include "http/conditional.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

#define SAME   "Sun, 06 Nov 1994 08:49:37 GMT"
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

enum { MODIFIED = 784111777, NOW = MODIFIED + 1000, FIELDS_MAX = 8 };

enum { PASSED = CONDITIONAL_PASSED, SAME_AS_BEFORE = CONDITIONAL_NOT_MODIFIED };
enum { FAILED = CONDITIONAL_FAILED };

static const struct validators strong = {{"\"a\"", 3}, MODIFIED, NOW};
static const struct validators weak = {{"W/\"a\"", 5}, MODIFIED, NOW};
static const struct validators no_etag = {{"", 0}, MODIFIED, NOW};
static const struct validators no_date = {{"\"a\"", 3}, -1, NOW};
static const struct validators fresh = {{"\"a\"", 3}, MODIFIED, MODIFIED};

/* A request with the fields "Name: value\n...". */
static void make(struct request *request, struct request_field *list, enum method method,
                 const char *fields) {
  *request = (struct request){.method = method, .fields = list};
  buffer_add_text(&request->head, fields);
  for (const char *at = fields; *at;) {
    const char *colon = strchr(at, ':'), *end = strchr(at, '\n');
    assert_true(request->field_count < FIELDS_MAX && colon && end);
    list[request->field_count++] =
        (struct request_field){(uint32_t)(at - fields), (uint32_t)(colon - at),
                               (uint32_t)(colon + 2 - fields), (uint32_t)(end - colon - 2)};
    at = end + 1;
  }
}

static const struct {
  const char *section;
  const struct validators *validators;
  enum method method;
  const char *fields;
  int expected;
} checks[] = {
    {"none", &strong, METHOD_GET, "", PASSED},
    {"13.1.1", &strong, METHOD_GET, "If-Match: \"a\"\n", PASSED},
    {"13.1.1", &strong, METHOD_GET, "If-Match: \"b\"\n", FAILED},
    {"13.1.1", &strong, METHOD_GET, "If-Match: \"b\", \"a\"\n", PASSED},
    {"13.1.1", &strong, METHOD_GET, "If-Match: \"b\"\nIf-Match: \"a\"\n", PASSED},
    {"13.1.1", &strong, METHOD_GET, "If-Match: *\n", PASSED},
    {"13.1.1 strong", &strong, METHOD_GET, "If-Match: W/\"a\"\n", FAILED},
    {"13.1.1 strong", &weak, METHOD_GET, "If-Match: W/\"a\"\n", FAILED},
    {"13.1.1", &no_etag, METHOD_GET, "If-Match: \"a\"\n", FAILED},
    {"13.1.1", &strong, METHOD_GET, "If-Match: a\n", FAILED},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"a\"\n", SAME_AS_BEFORE},
    {"13.1.2", &strong, METHOD_HEAD, "If-None-Match: \"a\"\n", SAME_AS_BEFORE},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"b\"\n", PASSED},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"A\"\n", PASSED},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: *\n", SAME_AS_BEFORE},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"b\" , ,\"a\"\n", SAME_AS_BEFORE},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"b,\", \"a\"\n", SAME_AS_BEFORE},
    {"8.8.3 backslash", &strong, METHOD_GET, "If-None-Match: \"\\\", \"a\"\n", SAME_AS_BEFORE},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"b\"\nif-none-match: \"a\"\n", SAME_AS_BEFORE},
    {"13.1.2 weak", &strong, METHOD_GET, "If-None-Match: W/\"a\"\n", SAME_AS_BEFORE},
    {"13.1.2 weak", &weak, METHOD_GET, "If-None-Match: \"a\"\n", SAME_AS_BEFORE},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: a\n", PASSED},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \"a\n", PASSED},
    {"13.1.2", &strong, METHOD_GET, "If-None-Match: \n", PASSED},
    {"13.1.3", &strong, METHOD_GET, "If-Modified-Since: " SAME "\n", SAME_AS_BEFORE},
    {"13.1.3", &strong, METHOD_HEAD, "If-Modified-Since: " AFTER "\n", SAME_AS_BEFORE},
    {"13.1.3", &strong, METHOD_GET, "If-Modified-Since: " BEFORE "\n", PASSED},
    {"13.1.3", &strong, METHOD_GET, "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT\n",
     SAME_AS_BEFORE},
    {"13.1.3", &strong, METHOD_GET, "If-Modified-Since: Sun Nov  6 08:49:37 1994\n",
     SAME_AS_BEFORE},
    {"13.1.3 no date", &strong, METHOD_GET, "If-Modified-Since: yesterday\n", PASSED},
    {"13.1.3 two", &strong, METHOD_GET,
     "If-Modified-Since: " SAME "\nIf-Modified-Since: " SAME "\n", PASSED},
    {"13.1.3", &no_date, METHOD_GET, "If-Modified-Since: " SAME "\n", PASSED},
    {"13.1.4", &strong, METHOD_GET, "If-Unmodified-Since: " SAME "\n", PASSED},
    {"13.1.4", &strong, METHOD_GET, "If-Unmodified-Since: " BEFORE "\n", FAILED},
    {"13.1.4 no date", &strong, METHOD_GET, "If-Unmodified-Since: x\n", PASSED},
    {"13.1.4", &no_date, METHOD_GET, "If-Unmodified-Since: " BEFORE "\n", PASSED},
    {"13.2.2 step 1", &strong, METHOD_GET, "If-Match: \"a\"\nIf-Unmodified-Since: " BEFORE "\n",
     PASSED},
    {"13.2.2 step 1", &strong, METHOD_GET, "If-Match: \"b\"\nIf-None-Match: \"a\"\n", FAILED},
    {"13.2.2 step 3", &strong, METHOD_GET, "If-Match: \"a\"\nIf-None-Match: \"a\"\n",
     SAME_AS_BEFORE},
    {"13.2.2 step 3", &strong, METHOD_GET, "If-None-Match: \"b\"\nIf-Modified-Since: " SAME "\n",
     PASSED},
    {"13.2.1 methods", &strong, METHOD_POST, "If-Match: \"b\"\nIf-None-Match: \"a\"\n", PASSED},
};

static void checks_conditions(void **state) {
  (void)state;
  for (size_t i = 0; i < array_len(checks); i++) {
    struct request request;
    struct request_field list[FIELDS_MAX];
    make(&request, list, checks[i].method, checks[i].fields);
    int result = (int)conditional_check(&request, checks[i].validators);
    if (result != checks[i].expected)
      fail_msg("%s\n%s: %d", checks[i].section, checks[i].fields, result);
    buffer_finish(&request.head);
  }
}

static const struct {
  const struct validators *validators;
  enum method method;
  const char *fields;
  const char *range; /* NULL: not looked at */
} ranges[] = {
    {&strong, METHOD_GET, "", NULL},
    {&strong, METHOD_GET, "Range: bytes=0-1\n", "bytes=0-1"},
    {&strong, METHOD_HEAD, "Range: bytes=0-1\n", NULL},
    {&strong, METHOD_POST, "Range: bytes=0-1\n", NULL},
    {&strong, METHOD_GET, "Range: bytes=0-1\nRange: bytes=2-3\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: \"a\"\n", "b"},
    {&strong, METHOD_GET, "Range: b\nIf-Range: \"b\"\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: W/\"a\"\n", NULL},
    {&weak, METHOD_GET, "Range: b\nIf-Range: W/\"a\"\n", NULL},
    {&no_etag, METHOD_GET, "Range: b\nIf-Range: \"a\"\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: \"b\", \"a\"\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: \"a\", \"b\"\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: " SAME "\n", "b"},
    {&strong, METHOD_GET, "Range: b\nIf-Range: " BEFORE "\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: " AFTER "\n", NULL},
    {&fresh, METHOD_GET, "Range: b\nIf-Range: " SAME "\n", NULL},
    {&no_date, METHOD_GET, "Range: b\nIf-Range: " SAME "\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: x\n", NULL},
    {&strong, METHOD_GET, "Range: b\nIf-Range: \"a\"\nIf-Range: \"a\"\n", NULL},
};

static void lets_ranges_through(void **state) {
  (void)state;
  for (size_t i = 0; i < array_len(ranges); i++) {
    struct request request;
    struct request_field list[FIELDS_MAX];
    struct slice range = {"", 0};
    make(&request, list, ranges[i].method, ranges[i].fields);
    bool is_looked_at = conditional_range(&request, ranges[i].validators, &range);
    const char *expected = ranges[i].range;
    bool is_expected = is_looked_at == (expected != NULL) &&
                       (!expected || (range.len == strlen(expected) &&
                                      memcmp(range.data, expected, range.len) == 0));
    if (!is_expected) fail_msg("%s: %.*s", ranges[i].fields, (int)range.len, range.data);
    buffer_finish(&request.head);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(checks_conditions),
                                     cmocka_unit_test(lets_ranges_through)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
