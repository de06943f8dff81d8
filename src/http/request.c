/* request.c - building a request out of the pieces of input that hold its head.
 *
 * Pieces are not copied one by one: a window onto the input stays open until the input or the head
 * ends, then all of it is copied at once. Ranges are offsets into that copy, so they hold when the
 * head comes in many inputs. Promises that names, values and target are what was sent, byte for
 * byte, and that every byte between them is what RFC 9112 wants there; does not decode anything. */
#include "http/request.h"

#include "base/limits.h"
#include "http/host.h"
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

/* Whether the bytes from `at` to `end` are the word, in either case. */
static bool is_word(const char *at, const char *end, const char *lower) {
  size_t len = strlen(lower);
  return (size_t)(end - at) == len && equals_lower(at, lower, len);
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

static uint32_t target_end(const struct request *request) {
  return request->target_at + request->target_len;
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
    assert(part == REQUEST_METHOD && request->head.len == 0);
    request->_window = at;
  }
  uint32_t offset = (uint32_t)(request->head.len + (size_t)(at - request->_window));
  switch (part) {
  case REQUEST_METHOD:
    return 0;
  case REQUEST_TARGET:
    if (request->target_len == 0) request->target_at = offset;
    request->target_len += (uint32_t)len;
    return request->target_len > limits->target_bytes_max ? STATUS_URI_TOO_LONG : 0;
  case REQUEST_NAME:
  case REQUEST_VALUE:
    break;
  }
  if (offset + len - target_end(request) > limits->head_bytes_max)
    return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
  if (part == REQUEST_NAME) return add_name(request, limits, offset, (uint32_t)len);
  return add_value(request, offset, (uint32_t)len);
}

request_status request_pause(struct request *request, const struct request_limits *limits,
                             const char *end) {
  if (!request->_window) return 0;
  buffer_add(&request->head, request->_window, (size_t)(end - request->_window));
  request->_window = NULL;
  uint32_t behind_target = target_end(request);
  if (request->head.len - behind_target > limits->head_bytes_max)
    return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
  /* The parser takes a line without a version for HTTP/0.9 and waits for more. */
  bool is_cut = request->target_len > 0 && request->head.len > behind_target &&
                request->head.data[behind_target] != ' ';
  return is_cut ? STATUS_BAD_REQUEST : 0;
}

void request_resume(struct request *request, const char *start) {
  if (request->head.len > 0) request->_window = start;
}

/* Behind the last byte that is part of something: the method, the target, a name or a value. */
static uint32_t recorded_end(const struct request *request) {
  if (!request->field_count) return target_end(request);
  const struct request_field *last = &request->fields[request->field_count - 1];
  return last->value_len ? last->value_at + last->value_len : last->name_at + last->name_len;
}

/* Copies the head up to `end` from the input. */
static void close_window(struct request *request, size_t end) {
  if (end > request->head.len) {
    assert(request->_window);
    buffer_add(&request->head, request->_window, end - request->head.len);
  }
  request->_window = NULL;
}

void request_break(struct request *request) {
  close_window(request, recorded_end(request));
}

/* ---- the bytes between the parts: what llhttp 8 takes for an end of line is not always CRLF ----
 */

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

/* A byte of the head, copied already or still in the input. */
static char byte_at(const struct request *request, size_t at) {
  return at < request->head.len ? request->head.data[at] : request->_window[at - request->head.len];
}

/* Skips `text`; 0 when something else stands there. Looks at no byte behind the first one that is
 * different: it may be the last of the input. */
static size_t skip_text(const struct request *request, size_t at, const char *text) {
  for (; *text; text++, at++)
    if (byte_at(request, at) != *text) return 0;
  return at;
}

static size_t skip_blanks(const struct request *request, size_t at) {
  while (is_blank(byte_at(request, at))) at++;
  return at;
}

/* Copies all of the head, the empty line included: that is in the input, though it may have been
 * ended by a bare line feed. */
static bool close_head(struct request *request, const char **end) {
  size_t at;
  if (request->field_count > 0) {
    const struct request_field *last = &request->fields[request->field_count - 1];
    at = skip_blanks(request, recorded_end(request) + (last->value_len == 0));
  } else {
    at = skip_text(request, target_end(request), " HTTP/");
    if (at == 0) return false;
    at += sizeof "1.1" - 1;
  }
  at = skip_text(request, at, "\r\n\r\n");
  if (at == 0) return false;
  *end = request->_window + (at - request->head.len);
  close_window(request, at);
  return true;
}

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_line_end(const char *at) {
  return at[0] == '\r' && at[1] == '\n';
}

/* Single spaces around the target, then "HTTP/1.1" and CRLF right before the fields. Sets minor. */
static request_status check_request_line(struct request *request) {
  static const char name[] = " HTTP/";
  const char *target = request->head.data + request->target_at;
  const char *version = target + request->target_len;
  if (target[-2] == ' ' || memcmp(version, name, sizeof name - 1) != 0) return STATUS_BAD_REQUEST;
  version += sizeof name - 1;
  if (!is_digit(version[0]) || version[1] != '.' || !is_digit(version[2]))
    return STATUS_BAD_REQUEST;
  if (version[0] != '1' || version[2] > '1') return STATUS_HTTP_VERSION_NOT_SUPPORTED;
  request->minor = (uint8_t)(version[2] - '0');
  const char *line_end = version + sizeof "1.1" - 1;
  if (request->field_count == 0) return 0;
  bool is_first = line_end + 2 == request->head.data + request->fields[0].name_at;
  return is_line_end(line_end) && is_first ? 0 : STATUS_BAD_REQUEST;
}

/* Trims the value; whether a colon stands right behind the name, nothing but blanks around the
 * value, and the field ends with CRLF, right before `next_at`. */
static bool check_line(const struct request *request, struct request_field *field, size_t next_at) {
  const char *head = request->head.data;
  const char *at = head + field->name_at + field->name_len;
  if (*at++ != ':') return false;
  while (is_blank(*at)) at++;
  if (field->value_len) {
    const char *value = head + field->value_at;
    if (at != value) return false;
    at += field->value_len;
    while (is_blank(at[-1])) at--;
    field->value_len = (uint32_t)(at - value);
    while (is_blank(*at)) at++;
  }
  return is_line_end(at) && at + 2 == head + next_at;
}

/* ---- what the connection itself depends on ---- */

struct seen {
  const struct request_field *host;
  uint32_t codings;
  bool close, keep_alive;
};

/* Members of a list, separated by commas; blanks inside one separate too, to be on the safe side.
 */
static void read_connection(const char *at, size_t len, struct seen *seen) {
  const char *end = at + len;
  while (at < end) {
    const char *start = at;
    while (at < end && *at != ',' && !is_blank(*at)) at++;
    if (is_word(start, at, "close")) seen->close = true;
    if (is_word(start, at, "keep-alive")) seen->keep_alive = true;
    at++;
  }
}

/* RFC 9112 6.1 and 6.3: without a final "chunked" the end of the body is unknown, 400; with
 * others before it, 501. */
static request_status check_coding(const char *value, size_t len) {
  if (is_word(value, value + len, "chunked")) return 0;
  const size_t last_len = sizeof "chunked" - 1;
  if (len <= last_len || !is_word(value + len - last_len, value + len, "chunked"))
    return STATUS_BAD_REQUEST;
  char before = value[len - last_len - 1];
  return before == ',' || is_blank(before) ? STATUS_NOT_IMPLEMENTED : STATUS_BAD_REQUEST;
}

/* Fields are told apart by length first, since this runs for every field of every request. */
static request_status check_field(struct request *request, const struct request_field *field,
                                  struct seen *seen) {
  const char *name = request->head.data + field->name_at;
  const char *value = request->head.data + field->value_at;
  switch (field->name_len) {
  case sizeof "host" - 1:
    if (!equals_lower(name, "host", field->name_len)) break;
    if (seen->host) return STATUS_BAD_REQUEST;
    seen->host = field;
    break;
  case sizeof "expect" - 1:
    if (!equals_lower(name, "expect", field->name_len)) break;
    if (!is_word(value, value + field->value_len, "100-continue")) return STATUS_EXPECTATION_FAILED;
    request->is_continue_awaited = request->minor > 0;
    break;
  case sizeof "connection" - 1:
    if (equals_lower(name, "connection", field->name_len))
      read_connection(value, field->value_len, seen);
    break;
  case sizeof "transfer-encoding" - 1:
    if (!equals_lower(name, "transfer-encoding", field->name_len)) break;
    if (seen->codings++ > 0 || request->minor == 0) return STATUS_BAD_REQUEST;
    request->is_chunked = true;
    return check_coding(value, field->value_len);
  }
  return 0;
}

static bool check_host(const struct request *request, const struct request_field *host) {
  if (!host) return request->minor == 0;
  return host_is_valid(request->head.data + host->value_at, host->value_len);
}

static bool check_target(struct request *request) {
  struct uri_target *uri = &request->uri;
  if (!uri_split(request->head.data + request->target_at, request->target_len, uri)) return false;
  if (*uri->path.data == '*') return request->method == METHOD_OPTIONS;
  if (uri->authority.len && !host_is_valid(uri->authority.data, uri->authority.len)) return false;
  return uri_path_is_valid(uri->path.data, uri->path.len);
}

request_status request_end(struct request *request, const struct request_limits *limits,
                           const char **end) {
  if (!close_head(request, end)) return STATUS_BAD_REQUEST;
  if (request->head.len - target_end(request) > limits->head_bytes_max)
    return STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
  request_status status = check_request_line(request);
  if (status) return status;
  struct seen seen = {0};
  struct request_field *fields = request->fields;
  for (uint32_t i = 0; i < request->field_count; i++) {
    bool is_last = i + 1 == request->field_count;
    size_t next_at = is_last ? request->head.len - 2 : fields[i + 1].name_at;
    if (!check_line(request, &fields[i], next_at)) return STATUS_BAD_REQUEST;
    status = check_field(request, &fields[i], &seen);
    if (status) return status;
  }
  request->keep_alive = !seen.close && (request->minor > 0 || seen.keep_alive);
  return check_host(request, seen.host) && check_target(request) ? 0 : STATUS_BAD_REQUEST;
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
  request->keep_alive = request->is_chunked = request->is_continue_awaited = false;
  request->target_at = request->target_len = request->field_count = 0;
  request->uri = (struct uri_target){0};
}

void request_finish(struct request *request) {
  buffer_finish(&request->head);
  buffer_finish(&request->body);
  free(request->fields);
  *request = (struct request){0};
}
