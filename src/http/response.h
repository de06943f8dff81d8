/* response.h - the bytes of a response (RFC 9112 section 4), appended to a buffer.
 *
 * Pure: no connection, no clock; Date comes in as text. The server writes the status line,
 * Content-Length, Date and Connection; every other field comes from the caller, Content-Type
 * included. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "base/base.h"
#include "base/buffer.h"

#include <stdbool.h>

struct response {
  int status;         /* status_is_valid */
  struct slice block; /* encoded fields, each "Name: value\r\n"; may be empty */
  struct slice body;  /* copied; not sent for HEAD, 204, 205 and 304 */
};

enum response_framing {
  RESPONSE_WHOLE,      /* response.body is all of it */
  RESPONSE_LENGTH,     /* response.body begins it, Content-Length is `length` */
  RESPONSE_CHUNKED,    /* response.body is not written: RFC 9112 section 7.1 */
  RESPONSE_UNTIL_CLOSE /* it ends with the connection: RFC 9112 section 6.3 */
};

/* What the head of a response depends on besides the response. */
struct response_frame {
  struct slice date; /* as date_format writes it */
  bool is_head;      /* the request was HEAD: Content-Length without the body */
  bool close;        /* writes "Connection: close" */
  bool keep_alive;   /* writes "Connection: keep-alive" (HTTP/1.0 clients want to be told) */
  enum response_framing framing;
  uint64_t length; /* RESPONSE_LENGTH */
};

/* [owner] Appends head and body; gives the bytes of the head. Fields must have passed
 * response_check_field. */
size_t response_write(struct buffer *out, const struct response *response,
                      const struct response_frame *frame);

/* [any thread] Whether responses with this status have content (RFC 9110 section 15). */
bool response_has_content(int status);

/* [owner] Appends one chunk; no bytes are no chunk, since that would end the body. */
void response_write_chunk(struct buffer *out, const char *data, size_t len);

/* [owner] Appends the last chunk. */
void response_end_chunks(struct buffer *out);

enum response_field_kind {
  RESPONSE_FIELD_OK,
  RESPONSE_FIELD_INVALID, /* the name is no token, or the value has CR, LF, NUL or a control */
  RESPONSE_FIELD_RESERVED /* the server writes it: Content-Length, Date, Connection, ... */
};

/* [any thread] Whether a field may be sent (RFC 9110 5.1, 5.5). */
enum response_field_kind response_check_field(struct slice name, struct slice value);

/* Room for what response_detail writes. */
#define RESPONSE_DETAIL_BYTES 64

/* [any thread] Writes {"detail":"Not Found"} with the reason phrase of `status` and gives it as a
 * slice of `out`. */
struct slice response_detail(char out[RESPONSE_DETAIL_BYTES], int status);

#endif
