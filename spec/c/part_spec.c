/* part_spec.c - heads of parts: names as each kind of client writes them, and what is refused.
 *
 * Heads stand in memory of exactly their size, so that the address sanitizer sees a read past the
 * end. */
#include "http/part.h"

#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DISPOSITION "Content-Disposition: form-data; "

static struct slice slice_of(const char *text) {
  return (struct slice){text, strlen(text)};
}

static void assert_slice(struct slice slice, const char *text) {
  assert_int_equal(slice.len, strlen(text));
  assert_memory_equal(slice.data, text, slice.len);
}

/* `filename` NULL: the part is no file. */
static void assert_reads(const char *head, const char *name, const char *filename) {
  struct part part = {0};
  struct form_problem problem = {0};
  size_t len = strlen(head);
  char *copy = malloc(len); /* of exactly that size: reading past it is seen */
  memcpy(copy, head, len);
  assert_true(part_read(&part, (struct slice){copy, len}, 1, &problem));
  free(copy);
  assert_int_equal(problem.status, 0);
  assert_slice(part.name, name);
  assert_int_equal(part.is_file, filename != NULL);
  assert_slice(part.filename, filename ? filename : "");
  part_finish(&part);
}

static void assert_refused(const char *head, int status, const char *detail) {
  struct part part = {0};
  struct form_problem problem = {0};
  assert_false(part_read(&part, slice_of(head), 7, &problem));
  assert_int_equal(problem.status, status);
  assert_string_equal(problem.detail, detail);
  part_finish(&part);
}

static void reads_names(void **state) {
  (void)state;
  assert_reads(DISPOSITION "name=\"a\"\r\n", "a", NULL);
  assert_reads(DISPOSITION "name=a\r\n", "a", NULL);
  assert_reads(DISPOSITION "name=\"\"\r\n", "", NULL);
  assert_reads(DISPOSITION "name=\"a\"; filename=\"b.txt\"\r\n", "a", "b.txt");
  assert_reads(DISPOSITION "filename=b.txt; name=a; size=7\r\n", "a", "b.txt");
  assert_reads(DISPOSITION "name=a; filename=\"\"\r\n", "a", "");
  assert_reads("content-disposition:FORM-DATA ;NAME=a\r\n", "a", NULL);
  assert_reads("X-Other: 1\r\nX-Other: 2\r\n" DISPOSITION "name=a\r\n", "a", NULL);
}

static void reads_what_browsers_write(void **state) {
  (void)state;
  assert_reads(DISPOSITION "name=\"a%22b%0D%0Ac\"\r\n", "a\"b\r\nc", NULL);
  assert_reads(DISPOSITION "name=\"a%0d%0A\"\r\n", "a\r\n", NULL);
  assert_reads(DISPOSITION "name=\"100%25 %41 %2\"\r\n", "100%25 %41 %2", NULL);
  assert_reads(DISPOSITION "name=\"a\"; filename=\"%22.txt\"\r\n", "a", "\".txt");
  assert_reads(DISPOSITION "name=\"a\"; filename=\"\xc3\xbc.txt\"\r\n", "a", "\xc3\xbc.txt");
  assert_reads(DISPOSITION "name=\"a\\b\"\r\n", "a\\b", NULL);
}

static void reads_what_others_write(void **state) {
  (void)state;
  assert_reads(DISPOSITION "name=\"a\\\"b\"\r\n", "a\"b", NULL);
  assert_reads(DISPOSITION "name=\"a\\\\b\"\r\n", "a\\b", NULL);
  assert_reads(DISPOSITION "name=a; filename=\"x\\\"y.txt\"\r\n", "a", "x\"y.txt");
}

static void reads_extended_file_names(void **state) {
  (void)state;
  assert_reads(DISPOSITION "name=a; filename*=UTF-8''%e2%82%ac%20.txt\r\n", "a",
               "\xe2\x82\xac .txt");
  assert_reads(DISPOSITION "name=a; filename*=utf-8'en'b.txt\r\n", "a", "b.txt");
  assert_reads(DISPOSITION "name=a; filename*=iso-8859-1''%A3%e9\r\n", "a", "\xc2\xa3\xc3\xa9");
  assert_reads(DISPOSITION "name=a; filename=b; filename*=UTF-8''c\r\n", "a", "c");
  assert_reads(DISPOSITION "name=a; filename*=UTF-8''..%2f..%2Fetc%5cc\r\n", "a", "c");
  assert_reads(DISPOSITION "name=a; filename*=UTF-8''\r\n", "a", "");
}

static void keeps_the_base_name_alone(void **state) {
  (void)state;
  assert_reads(DISPOSITION "name=a; filename=\"/etc/passwd\"\r\n", "a", "passwd");
  assert_reads(DISPOSITION "name=a; filename=\"C:\\Users\\me\\b.txt\"\r\n", "a", "b.txt");
  assert_reads(DISPOSITION "name=a; filename=\"C:\\\\dir\\\\b.txt\"\r\n", "a", "b.txt");
  assert_reads(DISPOSITION "name=a; filename=\"../..\"\r\n", "a", "");
  assert_reads(DISPOSITION "name=a; filename=\".\"\r\n", "a", "");
  assert_reads(DISPOSITION "name=a; filename=\"a\\..\"\r\n", "a", "");
  assert_reads(DISPOSITION "name=a; filename=\"...\"\r\n", "a", "...");
  assert_reads(DISPOSITION "name=a; filename=\"dir/\"\r\n", "a", "");
}

static void keeps_the_content_type(void **state) {
  (void)state;
  struct part part = {0};
  struct form_problem problem = {0};
  static const char with[] =
      "Content-Type:  text/plain; charset=utf-8 \r\n" DISPOSITION "name=a\r\n";
  assert_true(part_read(&part, slice_of(with), 1, &problem));
  assert_slice(part.content_type, "text/plain; charset=utf-8");
  assert_true(part_read(&part, slice_of(DISPOSITION "name=b\r\n"), 2, &problem));
  assert_slice(part.content_type, "");
  assert_slice(part.name, "b");
  part_finish(&part);
  part_finish(&part);
}

static void takes_encodings_that_change_nothing(void **state) {
  (void)state;
  assert_reads("Content-Transfer-Encoding: binary\r\n" DISPOSITION "name=a\r\n", "a", NULL);
  assert_reads("Content-Transfer-Encoding: 8BIT\r\n" DISPOSITION "name=a\r\n", "a", NULL);
  assert_refused("Content-Transfer-Encoding: base64\r\n" DISPOSITION "name=a\r\n", 400,
                 "part 7 of the form: its Content-Transfer-Encoding is not understood");
}

static void refuses_bad_lines(void **state) {
  (void)state;
  static const char control[] = "part 7 of the form: a control character in its header";
  static const char name[] = "part 7 of the form: a header line without a proper name";
  assert_refused("no colon\r\n", 400, "part 7 of the form: a header line without a colon");
  assert_refused(": value\r\n", 400, name);
  assert_refused("Content-Type : a/b\r\n", 400, name);
  assert_refused(DISPOSITION "name=a;\r\n filename=b\r\n", 400,
                 "part 7 of the form: a header line without a colon");
  assert_refused(" folded: a\r\n", 400, name);
  assert_refused("X: a\rb\r\n", 400, control);
  assert_refused("X: a\x7f\r\n", 400, control);
  assert_refused("Content-Type: a/b\r\nContent-Type: a/b\r\n", 400,
                 "part 7 of the form: two Content-Types");
  assert_refused(DISPOSITION "name=a\r\n" DISPOSITION "name=b\r\n", 400,
                 "part 7 of the form: two Content-Dispositions");
}

static void refuses_nul(void **state) {
  (void)state;
  static const char head[] = DISPOSITION "name=\"a\0b\"\r\n";
  struct part part = {0};
  struct form_problem problem = {0};
  assert_false(part_read(&part, (struct slice){head, sizeof head - 1}, 7, &problem));
  assert_string_equal(problem.detail, "part 7 of the form: a control character in its header");
  assert_refused(DISPOSITION "name=a; filename*=UTF-8''b%00.txt\r\n", 400,
                 "part 7 of the form: its filename* is malformed");
  part_finish(&part);
}

static void refuses_bad_dispositions(void **state) {
  (void)state;
  static const char malformed[] = "part 7 of the form: its Content-Disposition is malformed";
  static const char twice[] = "part 7 of the form: its Content-Disposition has a parameter twice";
  assert_refused("", 400, "part 7 of the form: no Content-Disposition");
  assert_refused("Content-Type: text/plain\r\n", 400, "part 7 of the form: no Content-Disposition");
  assert_refused("Content-Disposition: attachment; name=a\r\n", 400,
                 "part 7 of the form: its Content-Disposition is not form-data");
  assert_refused("Content-Disposition: form-data\r\n", 400,
                 "part 7 of the form: its Content-Disposition has no name");
  assert_refused(DISPOSITION "filename=a\r\n", 400,
                 "part 7 of the form: its Content-Disposition has no name");
  assert_refused(DISPOSITION "name=\"a\r\n", 400, malformed);
  assert_refused(DISPOSITION "name=a b\r\n", 400, malformed);
  assert_refused(DISPOSITION "name=a; name=b\r\n", 400, twice);
  assert_refused(DISPOSITION "name=a; filename=b; filename=c\r\n", 400, twice);
}

static void refuses_bad_extended_file_names(void **state) {
  (void)state;
  static const char malformed[] = "part 7 of the form: its filename* is malformed";
  assert_refused(DISPOSITION "name=a; filename*=b.txt\r\n", 400, malformed);
  assert_refused(DISPOSITION "name=a; filename*=UTF-8'b.txt\r\n", 400, malformed);
  assert_refused(DISPOSITION "name=a; filename*=UTF-8''b%2\r\n", 400, malformed);
  assert_refused(DISPOSITION "name=a; filename*=UTF-8''b%zz\r\n", 400, malformed);
  assert_refused(DISPOSITION "name=a; filename*=UTF-16''b\r\n", 400,
                 "part 7 of the form: its filename* is in a charset other than UTF-8 and "
                 "ISO-8859-1");
}

/* Heads with `open`, FORM_NAME_BYTES_MAX bytes or one more, and `close`. */
static void assert_limits(const char *open, const char *close, const char *detail) {
  for (size_t extra = 0; extra <= 1; extra++) {
    struct buffer head = {0};
    struct part part = {0};
    struct form_problem problem = {0};
    buffer_add_text(&head, open);
    for (size_t i = 0; i < FORM_NAME_BYTES_MAX + extra; i++) buffer_add_byte(&head, 'n');
    buffer_add_text(&head, close);
    bool is_read = part_read(&part, (struct slice){head.data, head.len}, 7, &problem);
    assert_int_equal(is_read, extra == 0);
    assert_int_equal(problem.status, extra == 0 ? 0 : 413);
    assert_string_equal(problem.detail, extra == 0 ? "" : detail);
    part_finish(&part);
    buffer_finish(&head);
  }
}

static void limits_names(void **state) {
  (void)state;
  assert_limits(DISPOSITION "name=\"", "\"\r\n",
                "part 7 of the form: its name is longer than 1024 bytes");
  assert_limits(DISPOSITION "name=a; filename=\"", "\"\r\n",
                "part 7 of the form: its file name is longer than 1024 bytes");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_names),
      cmocka_unit_test(reads_what_browsers_write),
      cmocka_unit_test(reads_what_others_write),
      cmocka_unit_test(reads_extended_file_names),
      cmocka_unit_test(keeps_the_base_name_alone),
      cmocka_unit_test(keeps_the_content_type),
      cmocka_unit_test(takes_encodings_that_change_nothing),
      cmocka_unit_test(refuses_bad_lines),
      cmocka_unit_test(refuses_nul),
      cmocka_unit_test(refuses_bad_dispositions),
      cmocka_unit_test(refuses_bad_extended_file_names),
      cmocka_unit_test(limits_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
