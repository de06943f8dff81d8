/* field.h - pieces of header fields: names in any case, list elements, lines of an encoded block.
 *
 * Pure functions on borrowed bytes; nothing is allocated, decoded or kept. A block is encoded
 * fields one after the other, each "Name: value\r\n", as struct response carries them. */
#ifndef HTTP_FIELD_H
#define HTTP_FIELD_H

#include "base/base.h"

#include <stdbool.h>

/* A slice of a literal, for initializers. */
#define FIELD_INIT(literal)                                                                        \
  { (literal), sizeof(literal) - 1 }
#define FIELD_TEXT(literal) ((struct slice)FIELD_INIT(literal))

/* One line of a block. */
struct field_line {
  struct slice name, value;
  struct slice all; /* with the end of the line */
};

/* [any thread] Whether both are the same but for the case of ASCII letters. */
bool field_equal(struct slice a, struct slice b);

/* [any thread] Without the blanks and tabs around it. */
struct slice field_trim(struct slice text);

/* [any thread] Whether it is a token: RFC 9110 5.6.2. */
bool field_is_token(struct slice text);

/* [any thread] Takes the next element off a list, trimmed; commas in quoted strings separate
 * nothing, empty elements are passed over (RFC 9110 5.6.1). False when there is none. */
bool field_next_element(struct slice *list, struct slice *element);

/* [any thread] Whether the list has the element, in any case. */
bool field_has_element(struct slice list, struct slice element);

/* [any thread] Takes the next line off a block; false when there is none. */
bool field_next_line(struct slice *block, struct field_line *line);

/* [any thread] Finds the first line called `name`, in any case. */
bool field_find(struct slice block, struct slice name, struct field_line *line);

#endif
