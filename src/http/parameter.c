/* parameter.c - splitting parameters off a field's value.
 *
 * Promises to read nothing outside of the bytes given. A value is a token or a quoted string that
 * ends; everything else is malformed, so that no two readers find different parameters. */
#include "http/parameter.h"

#include "http/field.h"

#include <stdbool.h>
#include <string.h>

static struct slice skip(struct slice text, size_t count) {
  return (struct slice){text.data + count, text.len - count};
}

static struct slice skip_blanks(struct slice text) {
  while (text.len > 0 && (*text.data == ' ' || *text.data == '\t')) text = skip(text, 1);
  return text;
}

/* The bytes before the first of `ends`, all when there is none. */
static struct slice take_until(struct slice text, const char *ends) {
  size_t len = 0;
  while (len < text.len && (text.data[len] == '\0' || !strchr(ends, text.data[len]))) len++;
  return (struct slice){text.data, len};
}

static bool is_escape(struct slice text, size_t at) {
  return text.data[at] == '\\' && at + 1 < text.len &&
         (text.data[at + 1] == '"' || text.data[at + 1] == '\\');
}

struct slice parameter_begin(struct slice *rest) {
  struct slice value = take_until(*rest, ";");
  *rest = skip(*rest, value.len);
  return field_trim(value);
}

/* `rest` starts with the opening quote. */
static bool take_quoted(struct slice *rest, struct slice *value) {
  struct slice text = skip(*rest, 1);
  for (size_t i = 0; i < text.len; i++) {
    if (is_escape(text, i)) {
      i++;
    } else if (text.data[i] == '"') {
      *value = (struct slice){text.data, i};
      *rest = skip(text, i + 1);
      return true;
    }
  }
  return false;
}

static bool take_value(struct slice *rest, struct slice *value) {
  if (rest->len > 0 && *rest->data == '"') return take_quoted(rest, value);
  *value = take_until(*rest, "; \t");
  *rest = skip(*rest, value->len);
  return field_is_token(*value);
}

enum parameter_result parameter_next(struct slice *rest, struct parameter *parameter) {
  for (;;) {
    *rest = skip_blanks(*rest);
    if (rest->len == 0) return PARAMETER_NONE;
    if (*rest->data != ';') return PARAMETER_MALFORMED;
    *rest = skip_blanks(skip(*rest, 1));
    if (rest->len > 0 && *rest->data != ';') break;
  }
  parameter->name = take_until(*rest, "=");
  *rest = skip(*rest, parameter->name.len);
  if (rest->len == 0 || !field_is_token(parameter->name)) return PARAMETER_MALFORMED;
  *rest = skip(*rest, 1);
  return take_value(rest, &parameter->value) ? PARAMETER_FOUND : PARAMETER_MALFORMED;
}

size_t parameter_unquote(char *out, struct slice value) {
  size_t len = 0;
  for (size_t i = 0; i < value.len; i++) {
    if (is_escape(value, i)) i++;
    out[len++] = value.data[i];
  }
  return len;
}
