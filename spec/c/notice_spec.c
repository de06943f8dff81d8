/* notice_spec.c - what responses carry while a newer version of the app does not load.
 *
 * Texts are hostile: they quote the app's source. */
#include "http/notice.h"

#include "http/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *text_of(struct buffer *buffer) {
  buffer_add_byte(buffer, '\0');
  buffer->len--;
  return buffer->data;
}

static void test_escapes(void **state) {
  (void)state;
  struct notice *notice = notice_create("a.lua:1: <b>\"x\" & \x01\xC3\xA4\nsecond");
  assert_string_equal(text_of(&notice->field),
                      "Cache-Control: no-store\r\n"
                      "X-Perilune-Load-Error: a.lua:1: <b>\"x\" & ???\r\n");
  const char *html = text_of(&notice->html);
  assert_non_null(strstr(html, "a.lua:1: &lt;b&gt;&quot;x&quot; &amp; "));
  assert_non_null(strstr(html, "\nsecond</div>\n"));
  assert_null(strstr(html, "<b>\""));
  notice_destroy(notice);
  notice_destroy(NULL);
}

static void test_a_long_line_is_cut(void **state) {
  (void)state;
  char text[2000];
  memset(text, 'x', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  struct notice *notice = notice_create(text);
  assert_true(notice->field.len < 600);
  assert_true(notice->html.len > sizeof text);
  notice_destroy(notice);
}

static void test_fields(void **state) {
  (void)state;
  struct notice *notice = notice_create("why");
  struct buffer block = {0};
  buffer_add_text(&block,
                  "ETag: \"1\"\r\nX-A: 1\r\nlast-modified: now\r\nCACHE-CONTROL: max-age=1\r\n");
  notice_add_field(notice, &block);
  assert_string_equal(text_of(&block), "X-A: 1\r\nCache-Control: no-store\r\n"
                                       "X-Perilune-Load-Error: why\r\n");
  buffer_finish(&block);
  notice_destroy(notice);
}

static void test_pages(void **state) {
  (void)state;
  assert_true(notice_fits(200, FIELD_TEXT("Content-Type: text/html; charset=utf-8\r\n")));
  assert_true(notice_fits(500, FIELD_TEXT("X: y\r\ncontent-type: TEXT/HTML\r\n")));
  assert_false(notice_fits(200, FIELD_TEXT("Content-Type: text/plain\r\n")));
  assert_false(notice_fits(200, FIELD_TEXT("")));
  assert_false(notice_fits(204, FIELD_TEXT("Content-Type: text/html\r\n")));
  assert_false(notice_fits(304, FIELD_TEXT("Content-Type: text/html\r\n")));
  assert_false(notice_fits(206, FIELD_TEXT("Content-Type: text/html\r\n")));
  assert_false(
      notice_fits(200, FIELD_TEXT("Content-Type: text/html\r\nContent-Encoding: gzip\r\n")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_escapes),
      cmocka_unit_test(test_a_long_line_is_cut),
      cmocka_unit_test(test_fields),
      cmocka_unit_test(test_pages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
