/* list.h - an intrusive doubly linked list.
 *
 * A head is a `struct list` that links to itself when empty; a member embeds a `struct list` and
 * says in a comment which list it is on. A removed member links to itself, so removing twice is
 * harmless. No thread safety of its own. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
  struct list *prev, *next;
};

static inline void list_init(struct list *head) {
  head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list *head) {
  return head->next == head;
}

/* Puts `member` at the end. */
static inline void list_push(struct list *head, struct list *member) {
  member->prev = head->prev;
  member->next = head;
  head->prev->next = member;
  head->prev = member;
}

/* Puts `member` at the front. */
static inline void list_push_front(struct list *head, struct list *member) {
  list_push(head->next, member);
}

static inline void list_remove(struct list *member) {
  member->prev->next = member->next;
  member->next->prev = member->prev;
  list_init(member);
}

/* Takes the first member off, or gives NULL. */
static inline struct list *list_pop(struct list *head) {
  struct list *first = head->next;
  if (first == head) return NULL;
  list_remove(first);
  return first;
}

#endif
