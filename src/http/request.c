/* request.c - building a request out of the pieces of input that hold its head.
 *
 * Pieces are not copied one by one: a window onto the input stays open until the input or the head
 * ends, then all of it is copied at once. Ranges are offsets into that copy, so they hold when the
 * head comes in many inputs. Promises that names, values and target are what was sent, byte for
 * byte; does not decode anything. */
#include "http/request.h"

#include "base/limits.h"
#include "http/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_FIELDS = 16 };

/* ASCII letters in either case; `lower` is in lower case. */
static bool equals_lower(const char *data, const char *lower, size_t len) {
  for (size_t i = 0; i < len; i++) {
    char byte = data[i];
    if (byte >= 'A' && byte <= 'Z') byte = (char)(byte | 0x20);
    if (byte != lower[i]) return false;
  }
  return true;
}

static char to_lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static bool equals_any_case(const char *a, const char *b, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (to_lower(a[i]) != to_lower(b[i])) return false;
  return true;
}

size_t request_find(const struct request *request, struct slice name, size_t from) {
  for (size_t i = from; i < request->field_count; i++) {
    const struct request_field *field = &request->fields[i];
    if (field->name_len == name.len &&
        equals_any_case(request->head.data + field->name_at, name.data, name.len))
      return i;
  }
  return request->field_count;
}

static struct request_field *add_field(struct request *request, uint32_t at) {
  if (request->field_count == request->_field_cap) {
    request->_field_cap = request->_field_cap ? request->_field_cap * 2 : FIRST_FIELDS;
    request->fields = memory_resize(request->fields, request->_field_cap * sizeof *request->fields);
  }
  struct request_field *field = &request->fields[request->field_count++];
  *field = (struct request_field){.name_at = at};
  return field;
}

static request_status add_name(struct request *request, const struct request_limits *limits,
                               uint32_t at, uint32_t len) {
  struct request_field *last =
      request->field_count ? &request->fields[request->field_count - 1] : NULL;
  if (!last || last->value_at != 0 || at != last->name_at + last->name_len) {
    if (request->field_count == limits->fields_max) return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    last = add_field(request, at);
  }
  last->name_len += len;
  return 0;
}

static request_status add_value(struct request *request, uint32_t at, uint32_t len) {
  if (request->field_count == 0) return STATUS_BAD_REQUEST; /* llhttp lets an empty name through */
  struct request_field *last = &request->fields[request->field_count - 1];
  if (last->value_at == 0) last->value_at = at;
  if (at != last->value_at + last->value_len) return STATUS_BAD_REQUEST; /* a folded line */
  last->value_len += len;
  return 0;
}

request_status request_add(struct request *request, const struct request_limits *limits,
                           enum request_part part, const char *at, size_t len) {
  if (len == 0) return 0;
  if (!request->_window) {
    assert(part == REQUEST_TARGET && request->target_len == 0);
    request->_window = at;
  }
  uint32_t offset = (uint32_t)(request->head.len + (size_t)(at - request->_window));
  if (part == REQUEST_TARGET) {
    request->target_len += (uint32_t)len;
    return request->target_len > limits->target_bytes_max ? STATUS_URI_TOO_LONG : 0;
  }
  if (offset + len - request->target_len > limits->head_bytes_max)
    return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
  if (part == REQUEST_NAME) return add_name(request, limits, offset, (uint32_t)len);
  return add_value(request, offset, (uint32_t)len);
}

request_status request_pause(struct request *request, const struct request_limits *limits,
                             const char *end) {
  if (!request->_window) return 0;
  buffer_add(&request->head, request->_window, (size_t)(end - request->_window));
  request->_window = NULL;
  if (request->head.len - request->target_len > limits->head_bytes_max)
    return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
  return 0;
}

void request_resume(struct request *request, const char *start) {
  if (request->target_len > 0) request->_window = start;
}

/* Copies the open window up to the last byte that belongs to a field. */
static void close_window(struct request *request) {
  uint32_t end = request->target_len;
  if (request->field_count) {
    const struct request_field *last = &request->fields[request->field_count - 1];
    end = last->value_len ? last->value_at + last->value_len : last->name_at + last->name_len;
  }
  if (end > request->head.len) {
    assert(request->_window);
    buffer_add(&request->head, request->_window, end - request->head.len);
  }
  request->_window = NULL;
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

/* Whether the value began on a later line than its name. */
static bool is_folded(const char *head, const struct request_field *field) {
  uint32_t gap_at = field->name_at + field->name_len;
  if (field->value_len == 0 || field->value_at - gap_at <= sizeof ": " - 1) return false;
  return memchr(head + gap_at, '\n', field->value_at - gap_at) != NULL;
}

struct seen {
  uint32_t hosts, codings;
};

/* Looks at the fields that the connection itself depends on; they are told apart by length first,
 * since this runs for every field of every request. */
static request_status check_field(struct request *request, const struct request_field *field,
                                  struct seen *seen) {
  const char *name = request->head.data + field->name_at;
  const char *value = request->head.data + field->value_at;
  switch (field->name_len) {
  case sizeof "host" - 1:
    if (equals_lower(name, "host", field->name_len)) seen->hosts++;
    break;
  case sizeof "expect" - 1:
    if (!equals_lower(name, "expect", field->name_len)) break;
    if (field->value_len != sizeof "100-continue" - 1 ||
        !equals_lower(value, "100-continue", field->value_len))
      return STATUS_EXPECTATION_FAILED;
    request->is_continue_awaited = request->minor > 0;
    break;
  case sizeof "transfer-encoding" - 1:
    if (!equals_lower(name, "transfer-encoding", field->name_len)) break;
    if (seen->codings++ > 0 || request->minor == 0) return STATUS_BAD_REQUEST;
    if (field->value_len != sizeof "chunked" - 1 ||
        !equals_lower(value, "chunked", field->value_len))
      return STATUS_NOT_IMPLEMENTED;
    break;
  }
  return 0;
}

request_status request_end(struct request *request) {
  close_window(request);
  const char *head = request->head.data;
  struct seen seen = {0};
  for (uint32_t i = 0; i < request->field_count; i++) {
    struct request_field *field = &request->fields[i];
    if (is_folded(head, field)) return STATUS_BAD_REQUEST;
    while (field->value_len && is_blank(head[field->value_at + field->value_len - 1]))
      field->value_len--;
    request_status status = check_field(request, field, &seen);
    if (status) return status;
  }
  if (seen.hosts > 1 || (seen.hosts == 0 && request->minor > 0)) return STATUS_BAD_REQUEST;
  if (memchr(head, '#', request->target_len)) return STATUS_BAD_REQUEST;
  return uri_split(head, request->target_len, &request->uri) ? 0 : STATUS_BAD_REQUEST;
}

static void keep_or_free(struct buffer *buffer) {
  if (buffer->cap > SPARE_REQUEST_BYTES_MAX)
    buffer_finish(buffer);
  else
    buffer_clear(buffer);
}

void request_clear(struct request *request) {
  keep_or_free(&request->head);
  keep_or_free(&request->body);
  if (request->_field_cap * sizeof *request->fields > SPARE_REQUEST_BYTES_MAX) {
    free(request->fields);
    request->fields = NULL;
    request->_field_cap = 0;
  }
  request->_window = NULL;
  request->method = METHOD_GET;
  request->minor = 1;
  request->keep_alive = request->is_continue_awaited = false;
  request->target_len = request->field_count = 0;
}

void request_finish(struct request *request) {
  buffer_finish(&request->head);
  buffer_finish(&request->body);
  free(request->fields);
  *request = (struct request){0};
}
