/* field_spec.c - names, tokens, list elements and lines of a block.
 *
 * Pure: no socket, no clock. */
#include "http/field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

static struct slice text(const char *literal) {
  return (struct slice){literal, strlen(literal)};
}

static void assert_slice(struct slice slice, const char *expected) {
  assert_int_equal(slice.len, strlen(expected));
  assert_memory_equal(slice.data, expected, slice.len);
}

static void compares_names_in_any_case(void **state) {
  (void)state;
  assert_true(field_equal(text("Content-Type"), text("content-TYPE")));
  assert_false(field_equal(text("Content-Type"), text("Content-Typ")));
  assert_false(field_equal(text("a["), text("a{")));
  assert_true(field_equal(text(""), text("")));
}

static void knows_tokens(void **state) {
  (void)state;
  assert_true(field_is_token(text("X-A_b.c!#$%&'*+^`|~1")));
  const char *const others[] = {"", "a b", "a:", "a\"", "(a)", "a,b", "caf\xc3\xa9", "a/b", "a="};
  for (size_t i = 0; i < array_len(others); i++) assert_false(field_is_token(text(others[i])));
  assert_false(field_is_token((struct slice){"a\0b", 3}));
}

static void assert_elements(const char *list, const char *first, const char *second) {
  struct slice rest = text(list), element;
  const char *const expected[] = {first, second};
  for (size_t i = 0; i < array_len(expected); i++) {
    if (!expected[i]) break;
    assert_true(field_next_element(&rest, &element));
    assert_slice(element, expected[i]);
  }
  assert_false(field_next_element(&rest, &element));
}

static void splits_lists(void **state) {
  (void)state;
  assert_elements("", NULL, NULL);
  assert_elements(" , ,\t, ", NULL, NULL);
  assert_elements("a", "a", NULL);
  assert_elements(",a ,, b;q=1\t,", "a", "b;q=1");
  assert_elements("\"a,b\", c", "\"a,b\"", "c");
  assert_elements("\"a\\\",b\", c", "\"a\\\",b\"", "c");
  assert_elements("a, \"open, b", "a", "\"open, b");
  assert_elements("\"\\", "\"\\", NULL);
}

static void finds_elements(void **state) {
  (void)state;
  assert_true(field_has_element(text("Accept, ORIGIN"), text("Origin")));
  assert_false(field_has_element(text("Accept, Originx"), text("Origin")));
  assert_false(field_has_element(text(""), text("Origin")));
}

static void walks_blocks(void **state) {
  (void)state;
  struct slice block = text("A: 1\r\nVary:Origin\r\nX: \r\nvary: b:c\r\n");
  struct field_line line;
  assert_true(field_find(block, text("VARY"), &line));
  assert_slice(line.value, "Origin");
  assert_slice(line.all, "Vary:Origin\r\n");
  assert_true(field_find(block, text("x"), &line));
  assert_slice(line.value, "");
  assert_false(field_find(block, text("y"), &line));
  assert_false(field_find((struct slice){NULL, 0}, text("y"), &line));
  unsigned count = 0;
  while (field_next_line(&block, &line)) count++;
  assert_int_equal(count, 4);
  assert_slice(line.value, "b:c");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(compares_names_in_any_case),
      cmocka_unit_test(knows_tokens),
      cmocka_unit_test(splits_lists),
      cmocka_unit_test(finds_elements),
      cmocka_unit_test(walks_blocks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
