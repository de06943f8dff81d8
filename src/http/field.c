/* field.c - comparing and splitting pieces of header fields.
 *
 * Promises to read nothing outside of the bytes given. Lists are split as RFC 9110 5.6.1 asks of
 * recipients; what is inside an element (weights, parameters) is the caller's to read. */
#include "http/field.h"

#include <assert.h>
#include <string.h>

static char to_lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

bool field_equal(struct slice a, struct slice b) {
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++)
    if (to_lower(a.data[i]) != to_lower(b.data[i])) return false;
  return true;
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

struct slice field_trim(struct slice text) {
  while (text.len && is_blank(text.data[text.len - 1])) text.len--;
  while (text.len && is_blank(*text.data)) {
    text.data++;
    text.len--;
  }
  return text;
}

static bool is_token_byte(char byte) {
  if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return true;
  if (byte >= '0' && byte <= '9') return true;
  return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

bool field_is_token(struct slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (!is_token_byte(text.data[i])) return false;
  return text.len > 0;
}

/* Where the first element ends: its comma, or the end of the list. */
static size_t element_len(struct slice list) {
  bool is_quoted = false;
  for (size_t i = 0; i < list.len; i++) {
    char byte = list.data[i];
    if (byte == '"')
      is_quoted = !is_quoted;
    else if (byte == '\\' && is_quoted)
      i++;
    else if (byte == ',' && !is_quoted)
      return i;
  }
  return list.len;
}

bool field_next_element(struct slice *list, struct slice *element) {
  while (list->len > 0) {
    size_t len = element_len(*list);
    *element = field_trim((struct slice){list->data, len});
    size_t taken = len < list->len ? len + 1 : len;
    list->data += taken;
    list->len -= taken;
    if (element->len > 0) return true;
  }
  return false;
}

bool field_has_element(struct slice list, struct slice element) {
  struct slice found;
  while (field_next_element(&list, &found))
    if (field_equal(found, element)) return true;
  return false;
}

bool field_next_line(struct slice *block, struct field_line *line) {
  if (block->len == 0) return false;
  const char *colon = memchr(block->data, ':', block->len);
  const char *end = memchr(block->data, '\n', block->len);
  assert(colon && end && colon < end && end[-1] == '\r' && "a block is whole lines");
  line->name = (struct slice){block->data, (size_t)(colon - block->data)};
  line->value = field_trim((struct slice){colon + 1, (size_t)(end - 1 - (colon + 1))});
  line->all = (struct slice){block->data, (size_t)(end + 1 - block->data)};
  block->data += line->all.len;
  block->len -= line->all.len;
  return true;
}

bool field_find(struct slice block, struct slice name, struct field_line *line) {
  while (field_next_line(&block, line))
    if (field_equal(line->name, name)) return true;
  return false;
}
