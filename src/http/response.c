/* response.c - formatting response heads without printf.
 *
 * The room a response needs is counted first, then everything is copied behind one pointer: this
 * runs once for every request. Checking fields is separate (response_check_field), for it is done
 * where they come in. */
#include "http/response.h"

#include "http/date.h"
#include "http/field.h"
#include "http/status.h"

#include <assert.h>
#include <string.h>

enum {
  /* Status line, Content-Length, Date, Connection and the empty line, at their longest. */
  HEAD_FIXED_BYTES = 256,
  DIGITS_MAX = 20
};

#define PUT(at, literal) put((at), (literal), sizeof(literal) - 1)

static char *put(char *at, const char *data, size_t len) {
  memcpy(at, data, len);
  return at + len;
}

static char *put_slice(char *at, struct slice slice) {
  return slice.len ? put(at, slice.data, slice.len) : at;
}

static char *put_number(char *at, uint64_t number) {
  char digits[DIGITS_MAX];
  char *first = digits + sizeof digits;
  do {
    *--first = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  return put(at, first, (size_t)(digits + sizeof digits - first));
}

static char *put_status_line(char *at, int status) {
  if (LIKELY(status == STATUS_OK)) return PUT(at, "HTTP/1.1 200 OK\r\n");
  const char *reason = status_reason(status);
  at = PUT(at, "HTTP/1.1 ");
  at = put_number(at, (uint64_t)status);
  at = PUT(at, " ");
  at = put(at, reason, strlen(reason));
  return PUT(at, "\r\n");
}

bool response_has_content(int status) {
  return status != STATUS_NO_CONTENT && status != STATUS_NOT_MODIFIED &&
         status != STATUS_RESET_CONTENT;
}

static char *put_framing(char *at, const struct response_frame *frame, size_t body_len) {
  switch (frame->framing) {
  case RESPONSE_WHOLE:
  case RESPONSE_LENGTH:
    at = PUT(at, "Content-Length: ");
    at = put_number(at, frame->framing == RESPONSE_LENGTH ? frame->length : body_len);
    return PUT(at, "\r\n");
  case RESPONSE_CHUNKED:
    return PUT(at, "Transfer-Encoding: chunked\r\n");
  case RESPONSE_UNTIL_CLOSE:
    break;
  }
  return at;
}

size_t response_write(struct buffer *out, const struct response *response,
                      const struct response_frame *frame) {
  assert(status_is_valid(response->status));
  assert(frame->date.len == DATE_LEN);
  char *start = buffer_reserve(out, HEAD_FIXED_BYTES + response->block.len + response->body.len);
  char *at = put_status_line(start, response->status);
  at = put_slice(at, response->block);
  bool content = response_has_content(response->status);
  if (content || response->status == STATUS_RESET_CONTENT)
    at = put_framing(at, frame, content ? response->body.len : 0);
  at = PUT(at, "Date: ");
  at = put(at, frame->date.data, DATE_LEN);
  if (frame->close) at = PUT(at, "\r\nConnection: close");
  if (frame->keep_alive) at = PUT(at, "\r\nConnection: keep-alive");
  at = PUT(at, "\r\n\r\n");
  size_t head_bytes = (size_t)(at - start);
  bool has_body = frame->framing != RESPONSE_CHUNKED && content && !frame->is_head;
  if (has_body) at = put_slice(at, response->body);
  out->len += (size_t)(at - start);
  return head_bytes;
}

void response_write_chunk(struct buffer *out, const char *data, size_t len) {
  if (len == 0) return;
  buffer_printf(out, "%zx\r\n", len);
  buffer_add(out, data, len);
  buffer_add(out, "\r\n", 2);
}

void response_end_chunks(struct buffer *out) {
  buffer_add(out, "0\r\n\r\n", sizeof "0\r\n\r\n" - 1);
}

enum response_field_kind response_check_field(struct slice name, struct slice value) {
  static const struct slice reserved[] = {
      FIELD_INIT("connection"), FIELD_INIT("content-length"),    FIELD_INIT("date"),
      FIELD_INIT("keep-alive"), FIELD_INIT("transfer-encoding"), FIELD_INIT("upgrade")};
  if (!field_is_token(name)) return RESPONSE_FIELD_INVALID;
  for (size_t i = 0; i < value.len; i++) {
    unsigned char byte = (unsigned char)value.data[i];
    if ((byte < ' ' && byte != '\t') || byte == 0x7F) return RESPONSE_FIELD_INVALID;
  }
  for (size_t i = 0; i < array_len(reserved); i++)
    if (field_equal(name, reserved[i])) return RESPONSE_FIELD_RESERVED;
  return RESPONSE_FIELD_OK;
}

struct slice response_detail(char out[RESPONSE_DETAIL_BYTES], int status) {
  const char *reason = status_reason(status);
  size_t len = strlen(reason);
  assert(len + sizeof "{\"detail\":\"\"}" <= RESPONSE_DETAIL_BYTES);
  char *at = PUT(out, "{\"detail\":\"");
  at = put(at, reason, len);
  at = PUT(at, "\"}");
  return (struct slice){out, (size_t)(at - out)};
}
