/* form_fuzz.c - any bytes as what a browser sends back: urlencoded fields, cookies, parameters.
 *
 * Slices lie inside what they were cut from, decoded text is never longer than it was, and the
 * number of fields is bounded. What is encoded decodes to what it was. */
#include "base/limits.h"
#include "fuzz.h"
#include "http/cookie.h"
#include "http/form.h"
#include "http/parameter.h"

#include <stdlib.h>

static void check_decodes(struct slice raw) {
  char *out = memory_alloc(raw.len);
  assert(uri_decode(out, raw.data, raw.len, true) <= raw.len);
  assert(cookie_decode(out, raw) <= raw.len);
  size_t len = parameter_unquote(out, raw);
  assert(len <= raw.len && (has_byte(raw, '\\') || len == raw.len));
  free(out);
}

static void check_fields(struct slice body) {
  struct form_fields fields;
  struct slice name, value;
  unsigned count = 0;
  size_t used_bytes = 0;
  form_fields_begin(&fields, body);
  while (form_fields_next(&fields, &name, &value)) {
    count++;
    used_bytes += name.len + value.len;
    assert(is_inside(name, body) && is_inside(value, body));
    assert(name.len <= FORM_NAME_BYTES_MAX && !has_byte(name, '='));
    check_decodes(name);
    check_decodes(value);
  }
  assert(count <= FORM_FIELDS_MAX && used_bytes <= body.len);
  assert(fields.problem.status == 0 || fields.problem.status == 413);
}

static void check_cookies(struct slice field) {
  struct slice rest = field, name, value;
  size_t used_bytes = 0;
  while (cookie_next(&rest, &name, &value)) {
    used_bytes += name.len + value.len;
    assert(name.len > 0 && is_inside(name, field) && is_inside(value, field));
    assert(!has_byte(name, '=') && !has_byte(name, ';') && !has_byte(value, ';'));
    check_decodes(value);
  }
  assert(used_bytes <= field.len);
}

static void check_cookie_value(struct slice value) {
  struct buffer encoded = {0};
  cookie_encode(&encoded, value);
  struct slice text = {encoded.data, encoded.len};
  assert(!has_byte(text, ';') && !has_byte(text, ',') && !has_byte(text, ' '));
  char *decoded = memory_alloc(text.len);
  assert(cookie_decode(decoded, text) == value.len);
  assert(memcmp(decoded, value.data, value.len) == 0);
  free(decoded);
  buffer_finish(&encoded);
}

static void check_parameters(struct slice field) {
  struct slice rest = field;
  struct parameter parameter;
  assert(is_inside(parameter_begin(&rest), field));
  size_t left = rest.len;
  while (parameter_next(&rest, &parameter) == PARAMETER_FOUND) {
    assert(rest.len < left && is_inside(rest, field));
    left = rest.len;
    assert(parameter.name.len > 0 && is_inside(parameter.name, field));
    assert(is_inside(parameter.value, field));
    check_decodes(parameter.value);
  }
}

static void check_type(struct slice content_type) {
  struct form_type type;
  struct form_problem problem = {0};
  bool is_read = form_read_type(content_type, &type, &problem);
  assert(is_read == (problem.status == 0));
  if (!is_read || type.kind != FORM_MULTIPART) return;
  assert(type.boundary_len > 0 && type.boundary_len <= FORM_BOUNDARY_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice whole = input_take(&input, len);
  check_fields(whole);
  check_cookies(whole);
  check_cookie_value(whole);
  check_parameters(whole);
  check_type(whole);
  return 0;
}
