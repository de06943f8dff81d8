/* form.c - Content-Type of forms, and application/x-www-form-urlencoded within limits.
 *
 * The WHATWG URL standard for the fields: pieces between '&', '+' is a space, malformed escapes
 * stay as they are. RFC 2046 5.1.1 for the boundary. */
#include "http/form.h"

#include "base/limits.h"
#include "http/field.h"
#include "http/parameter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void form_fail(struct form_problem *problem, int status, const char *format, ...) {
  if (problem->status != 0) return;
  va_list arguments;
  problem->status = status;
  va_start(arguments, format);
  (void)vsnprintf(problem->detail, sizeof problem->detail, format, arguments);
  va_end(arguments);
}

static bool is_boundary(struct slice text) {
  static const char others[] = "'()+_,-./:=? ";
  if (text.len == 0 || text.len > FORM_BOUNDARY_BYTES || text.data[text.len - 1] == ' ')
    return false;
  for (size_t i = 0; i < text.len; i++) {
    char byte = text.data[i];
    bool is_alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                           (byte >= 'A' && byte <= 'Z');
    if (!is_alphanumeric && (byte == '\0' || !strchr(others, byte))) return false;
  }
  return true;
}

static bool read_boundary(struct slice rest, struct form_type *type, struct form_problem *problem) {
  struct parameter parameter;
  enum parameter_result result;
  bool is_found = false;
  while ((result = parameter_next(&rest, &parameter)) == PARAMETER_FOUND) {
    if (!field_equal(parameter.name, FIELD_TEXT("boundary"))) continue;
    if (is_found || !is_boundary(parameter.value)) {
      form_fail(problem, 400,
                is_found ? "Content-Type has two boundaries"
                         : "the boundary in Content-Type is not 1 to 70 of its characters");
      return false;
    }
    is_found = true;
    type->boundary_len = parameter.value.len;
    memcpy(type->boundary, parameter.value.data, parameter.value.len);
  }
  if (result == PARAMETER_MALFORMED)
    form_fail(problem, 400, "the parameters of Content-Type are malformed");
  else if (!is_found)
    form_fail(problem, 400, "Content-Type multipart/form-data has no boundary");
  return problem->status == 0;
}

/* What is before the parameters; takes it off. */
static struct slice take_media_type(struct slice *content_type) {
  if (!content_type->data) return FIELD_TEXT("");
  return parameter_begin(content_type);
}

bool form_is_multipart(struct slice content_type) {
  return field_equal(take_media_type(&content_type), FIELD_TEXT("multipart/form-data"));
}

bool form_read_type(struct slice content_type, struct form_type *type,
                    struct form_problem *problem) {
  struct slice rest = content_type;
  struct slice name = take_media_type(&rest);
  *type = (struct form_type){.kind = FORM_NEITHER};
  if (field_equal(name, FIELD_TEXT("application/x-www-form-urlencoded")))
    type->kind = FORM_URLENCODED;
  if (!field_equal(name, FIELD_TEXT("multipart/form-data"))) return true;
  type->kind = FORM_MULTIPART;
  return read_boundary(rest, type, problem);
}

void form_fields_begin(struct form_fields *fields, struct slice body) {
  *fields = (struct form_fields){0};
  uri_query_begin(&fields->_iter, body.data, body.len);
}

bool form_fields_next(struct form_fields *fields, struct slice *name, struct slice *value) {
  if (fields->problem.status != 0 || !uri_query_next(&fields->_iter, name, value)) return false;
  if (++fields->_count > FORM_FIELDS_MAX)
    form_fail(&fields->problem, 413, "the form has more than %d fields", FORM_FIELDS_MAX);
  else if (name->len > FORM_NAME_BYTES_MAX)
    form_fail(&fields->problem, 413, "field %u of the form has a name longer than %d bytes",
              fields->_count, FORM_NAME_BYTES_MAX);
  return fields->problem.status == 0;
}
