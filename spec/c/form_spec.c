/* form_spec.c - what Content-Type says of a form, and the fields of an urlencoded one.
 *
 * Every limit is met exactly, and passed by one. */
#include "http/form.h"

#include "base/buffer.h"
#include "base/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct slice slice_of(const char *text) {
  return (struct slice){text, strlen(text)};
}

static void assert_kind(const char *content_type, enum form_kind kind) {
  struct form_type type;
  struct form_problem problem = {0};
  assert_true(form_read_type(slice_of(content_type), &type, &problem));
  assert_int_equal(type.kind, kind);
  assert_int_equal(problem.status, 0);
}

static void tells_forms_by_content_type(void **state) {
  (void)state;
  assert_kind("", FORM_NEITHER);
  assert_kind("application/json", FORM_NEITHER);
  assert_kind("application/x-www-form-urlencodedx", FORM_NEITHER);
  assert_kind("multipart/mixed; boundary=a", FORM_NEITHER);
  assert_kind("application/x-www-form-urlencoded", FORM_URLENCODED);
  assert_kind("Application/X-WWW-Form-Urlencoded ; charset=utf-8", FORM_URLENCODED);
  assert_kind("multipart/form-data; boundary=a", FORM_MULTIPART);
  assert_kind("Multipart/Form-Data;charset=utf-8;BOUNDARY=\"a b\"", FORM_MULTIPART);
}

static void assert_boundary(const char *content_type, const char *boundary) {
  struct form_type type;
  struct form_problem problem = {0};
  assert_true(form_read_type(slice_of(content_type), &type, &problem));
  assert_int_equal(type.boundary_len, strlen(boundary));
  assert_memory_equal(type.boundary, boundary, type.boundary_len);
}

#define TEN     "0123456789"
#define SEVENTY TEN TEN TEN TEN TEN TEN TEN

static void reads_boundaries(void **state) {
  (void)state;
  assert_boundary("multipart/form-data; boundary=----WebKitFormBoundaryAbC123",
                  "----WebKitFormBoundaryAbC123");
  assert_boundary("multipart/form-data; boundary=\"=_a:b/c?d (e),'f'+.g\"", "=_a:b/c?d (e),'f'+.g");
  assert_boundary("multipart/form-data; boundary=" SEVENTY, SEVENTY);
  assert_boundary("multipart/form-data; boundary=a", "a");
}

static void assert_refused(const char *content_type, const char *detail) {
  struct form_type type;
  struct form_problem problem = {0};
  assert_false(form_read_type(slice_of(content_type), &type, &problem));
  assert_int_equal(problem.status, 400);
  assert_string_equal(problem.detail, detail);
}

static void refuses_bad_boundaries(void **state) {
  (void)state;
  static const char length[] = "the boundary in Content-Type is not 1 to 70 of its characters";
  static const char malformed[] = "the parameters of Content-Type are malformed";
  static const char missing[] = "Content-Type multipart/form-data has no boundary";
  assert_refused("multipart/form-data", missing);
  assert_refused("multipart/form-data; charset=utf-8", missing);
  assert_refused("multipart/form-data; boundary=\"\"", length);
  assert_refused("multipart/form-data; boundary=", malformed);
  assert_refused("multipart/form-data; boundary=" SEVENTY "0", length);
  assert_refused("multipart/form-data; boundary=\"a \"", length);
  assert_refused("multipart/form-data; boundary=\"a;b\"", length);
  assert_refused("multipart/form-data; boundary=\"a\\\"b\"", length);
  assert_refused("multipart/form-data; boundary=\"caf\xc3\xa9\"", length);
  assert_refused("multipart/form-data; boundary=a/b", malformed);
  assert_refused("multipart/form-data; boundary=\"a", malformed);
  assert_refused("multipart/form-data; boundary=a; boundary=b", "Content-Type has two boundaries");
}

/* Splits a body and compares with "name=value|name=value|". */
static void assert_fields(const char *body, const char *expected) {
  struct form_fields fields;
  struct slice name, value;
  struct buffer out = {0};
  form_fields_begin(&fields, slice_of(body));
  while (form_fields_next(&fields, &name, &value))
    buffer_printf(&out, "%.*s=%.*s|", (int)name.len, name.data, (int)value.len, value.data);
  buffer_add_byte(&out, '\0');
  assert_int_equal(fields.problem.status, 0);
  assert_string_equal(out.data, expected);
  buffer_finish(&out);
}

static void splits_fields(void **state) {
  (void)state;
  assert_fields("", "");
  assert_fields("a=1", "a=1|");
  assert_fields("a=1&b=2&a=3", "a=1|b=2|a=3|");
  assert_fields("&&a&=b&c==&", "a=|=b|c==|");
  assert_fields("a+b=c%20d;e=f", "a+b=c%20d;e=f|");
}

/* Fails at the field after `good_count` good ones. */
static void assert_ends_with_413(const struct buffer *body, unsigned good_count) {
  struct form_fields fields;
  struct slice name, value;
  unsigned count = 0;
  form_fields_begin(&fields, (struct slice){body->data, body->len});
  while (form_fields_next(&fields, &name, &value)) count++;
  assert_int_equal(fields.problem.status, 413);
  assert_int_equal(count, good_count);
  assert_false(form_fields_next(&fields, &name, &value));
}

static void limits_their_number(void **state) {
  (void)state;
  struct buffer body = {0};
  struct form_fields fields;
  struct slice name, value;
  for (int i = 0; i < FORM_FIELDS_MAX; i++) buffer_add_text(&body, "&a=1");
  form_fields_begin(&fields, (struct slice){body.data, body.len});
  while (form_fields_next(&fields, &name, &value)) continue;
  assert_int_equal(fields.problem.status, 0);
  buffer_add_text(&body, "&b");
  assert_ends_with_413(&body, FORM_FIELDS_MAX);
  buffer_finish(&body);
}

static void limits_their_names(void **state) {
  (void)state;
  struct buffer body = {0};
  buffer_add_text(&body, "a=1&");
  for (int i = 0; i < FORM_NAME_BYTES_MAX; i++) buffer_add_byte(&body, 'n');
  struct form_fields fields;
  struct slice name, value;
  form_fields_begin(&fields, (struct slice){body.data, body.len});
  while (form_fields_next(&fields, &name, &value)) continue;
  assert_int_equal(fields.problem.status, 0);
  buffer_add_text(&body, "n=2");
  assert_ends_with_413(&body, 1);
  buffer_finish(&body);
}

static void keeps_the_first_problem(void **state) {
  (void)state;
  struct form_problem problem = {0};
  form_fail(&problem, 400, "first %d", 1);
  form_fail(&problem, 413, "second");
  assert_int_equal(problem.status, 400);
  assert_string_equal(problem.detail, "first 1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tells_forms_by_content_type), cmocka_unit_test(reads_boundaries),
      cmocka_unit_test(refuses_bad_boundaries),      cmocka_unit_test(splits_fields),
      cmocka_unit_test(limits_their_number),         cmocka_unit_test(limits_their_names),
      cmocka_unit_test(keeps_the_first_problem),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
