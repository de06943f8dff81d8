/* request.h - what one request said: its head in one piece of memory, its body in another.
 *
 * The head is everything from the method's first byte to the empty line's last byte, as it came;
 * target, names and values are ranges of it. The first half of this file is for those who
 * answer a complete request; the second half is how reader.c builds one. Nothing here does I/O or
 * knows the clock. Memory is kept from one request to the next (request_clear). */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/method.h"
#include "http/uri.h"

#include <stdbool.h>

/* Ranges of request.head: the name as it came, the value without the blanks around it. */
struct request_field {
  uint32_t name_at, name_len;
  uint32_t value_at, value_len;
};

struct request {
  enum method method;
  uint8_t minor;            /* of HTTP/1.x: 0 or 1 */
  bool keep_alive;          /* what version and Connection ask for */
  bool is_chunked;          /* the body, rather than of a given length */
  bool is_continue_awaited; /* Expect: 100-continue */
  uint32_t target_at, target_len;
  uint32_t field_count;
  struct uri_target uri; /* the target's parts: slices of head */
  struct request_field *fields;
  struct buffer head;
  struct buffer body;

  const char *_window; /* while the head comes in: first byte of the input not yet in `head` */
  uint32_t _field_cap;
};

/* The target as it came: "/a?b=c", "http://host/a", "*". Lives as long as the request. */
static inline struct slice request_target(const struct request *request) {
  if (request->target_len == 0) return (struct slice){"", 0}; /* refused before it came */
  return (struct slice){request->head.data + request->target_at, request->target_len};
}

static inline struct slice request_field_name(const struct request *request, size_t i) {
  const struct request_field *field = &request->fields[i];
  return (struct slice){request->head.data + field->name_at, field->name_len};
}

static inline struct slice request_field_value(const struct request *request, size_t i) {
  const struct request_field *field = &request->fields[i];
  return (struct slice){request->head.data + field->value_at, field->value_len};
}

static inline struct slice request_body(const struct request *request) {
  return (struct slice){request->body.data, request->body.len};
}

/* [owner] Index of the first field called `name` (in any case) at `from` or later; field_count when
 * there is none. */
size_t request_find(const struct request *request, struct slice name, size_t from);

enum request_part { REQUEST_METHOD, REQUEST_TARGET, REQUEST_NAME, REQUEST_VALUE };

struct request_limits {
  uint32_t target_bytes_max; /* longer: 414 */
  uint32_t head_bytes_max;   /* all behind the target, empty line included; longer: 431 */
  uint32_t fields_max;       /* more: 431 */
};

/* 0, or the HTTP status that the request is to be refused with. */
typedef int request_status;

/* [owner] Takes the next piece of the method, the target, a name or a value, as they come. `at`
 * points into the current input, which must stay until request_pause or request_end. */
request_status request_add(struct request *request, const struct request_limits *limits,
                           enum request_part part, const char *at, size_t len);

/* [owner] The current input ends at `end`, in the middle of the head: keeps what was not copied. */
request_status request_pause(struct request *request, const struct request_limits *limits,
                             const char *end);

/* [owner] The head goes on at `start`, the first byte of the next input. */
void request_resume(struct request *request, const char *start);

/* [owner] The head is complete; `method` must be set. Copies it and gives its end in the current
 * input. Sets minor, uri and the flags, trims values, and checks what RFC
 * 9112 asks and the parser does not: single spaces and CRLF in their places (2.2, 3, 5),
 * version 1.x (2.3, else 505), the form of the target (3.2), one valid Host (3.2),
 * Transfer-Encoding once and chunked, else 501 (6.1); Expect is 100-continue, else 417 (RFC
 * 9110 10.1.1). */
request_status request_end(struct request *request, const struct request_limits *limits,
                           const char **end);

/* [owner] The head is refused before its end: keeps what is known of it and leaves the input. */
void request_break(struct request *request);

/* [owner] Forgets the request; keeps its memory up to SPARE_REQUEST_BYTES_MAX for the next one. */
void request_clear(struct request *request);

/* [owner] Frees the memory; accepts a zeroed request. */
void request_finish(struct request *request);

#endif
