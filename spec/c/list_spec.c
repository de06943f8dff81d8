/* list_spec.c - the intrusive list: order at both ends, removing, moving.
 *
 * After each step the list is read forwards and backwards, so a link that is wrong in one
 * direction only shows too. */
#include "base/list.h"

#include "base/base.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MEMBERS = 6 };

struct member {
  struct list link; /* a head of the test */
  char letter;
};

static struct member *new_members(void) {
  struct member *members = memory_alloc_zero(MEMBERS * sizeof *members);
  for (int i = 0; i < MEMBERS; i++) {
    list_init(&members[i].link);
    members[i].letter = (char)('a' + i);
  }
  return members;
}

static void expect(const struct list *head, const char *letters) {
  size_t len = strlen(letters), at = 0;
  for (const struct list *link = head->next; link != head; link = link->next) {
    assert_true(at < len);
    assert_int_equal(container_of(link, const struct member, link)->letter, letters[at++]);
  }
  assert_int_equal(at, len);
  for (const struct list *link = head->prev; link != head; link = link->prev) {
    assert_true(at > 0);
    assert_int_equal(container_of(link, const struct member, link)->letter, letters[--at]);
  }
  assert_int_equal(at, 0);
  assert_int_equal(list_is_empty(head), len == 0);
}

static void pushes_at_both_ends(void **state) {
  (void)state;
  struct list head;
  struct member *members = new_members();
  list_init(&head);
  expect(&head, "");
  list_push(&head, &members[0].link);
  expect(&head, "a");
  list_push(&head, &members[1].link);
  list_push_front(&head, &members[2].link);
  list_push_front(&head, &members[3].link);
  expect(&head, "dcab");
  free(members);
}

static void pops_the_first(void **state) {
  (void)state;
  struct list head;
  struct member *members = new_members();
  list_init(&head);
  assert_null(list_pop(&head));
  for (int i = 0; i < 3; i++) list_push(&head, &members[i].link);
  assert_ptr_equal(list_pop(&head), &members[0].link);
  assert_true(list_is_empty(&members[0].link)); /* links to itself */
  expect(&head, "bc");
  list_pop(&head);
  list_pop(&head);
  expect(&head, "");
  assert_null(list_pop(&head));
  free(members);
}

static void removes_twice_and_what_is_on_no_list(void **state) {
  (void)state;
  struct list head;
  struct member *members = new_members();
  list_init(&head);
  for (int i = 0; i < 4; i++) list_push(&head, &members[i].link);
  list_remove(&members[1].link);
  list_remove(&members[1].link);
  list_remove(&members[5].link);
  expect(&head, "acd");
  list_remove(&members[0].link);
  list_remove(&members[3].link);
  expect(&head, "c");
  list_push(&head, &members[1].link);
  expect(&head, "cb");
  free(members);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pushes_at_both_ends),
      cmocka_unit_test(pops_the_first),
      cmocka_unit_test(removes_twice_and_what_is_on_no_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
