/* multipart.h - a multipart/form-data body in pieces of any size, as a row of events.
 *
 * The reader pulls: multipart_next takes bytes off the input until there is something to tell. The
 * events are the same however the body was cut, but for where data is cut. Nothing is allocated but
 * the head of one part, within FORM_PART_HEAD_BYTES_MAX. Strict: RFC 2046 5.1.1 and RFC 7578; bytes
 * before the first and behind the last boundary are ignored, as both ask. */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/form.h"
#include "http/part.h"

#include <stdbool.h>

enum multipart_event {
  MULTIPART_MORE,   /* the input is used up */
  MULTIPART_PART,   /* a part begins: multipart.part, which stays until the next one begins */
  MULTIPART_DATA,   /* bytes of it */
  MULTIPART_END,    /* the part is complete */
  MULTIPART_REFUSED /* multipart.problem; the same again from now on */
};

enum multipart_state {
  MULTIPART_IN_PREAMBLE,
  MULTIPART_AT_DELIMITER, /* behind "--boundary" */
  MULTIPART_AT_DASH,      /* behind "--boundary-" */
  MULTIPART_IN_PADDING,   /* blanks behind a delimiter */
  MULTIPART_AT_LINE_END,  /* behind its CR */
  MULTIPART_IN_HEAD,
  MULTIPART_IN_DATA,
  MULTIPART_IN_CLOSING, /* blanks behind the last delimiter */
  MULTIPART_AT_CLOSED,  /* behind its CR */
  MULTIPART_IN_EPILOGUE
};

enum { MULTIPART_DELIMITER_BYTES = 4 + FORM_BOUNDARY_BYTES }; /* CRLF "--" boundary */

struct multipart {
  struct part part;
  struct form_problem problem;
  enum multipart_state _state;
  unsigned _part_count;
  struct buffer _head;
  size_t _line_at; /* where in _head the unfinished line begins */
  size_t _matched; /* bytes of the delimiter seen */
  size_t _virtual; /* of these: how many were not part of the data */
  size_t _delimiter_len;
  char _delimiter[MULTIPART_DELIMITER_BYTES];
};

/* [owner] Before the first byte of a body of this type. */
void multipart_init(struct multipart *multipart, const struct form_type *type);

/* [owner] Frees what it has; accepts a zeroed struct. */
void multipart_finish(struct multipart *multipart);

/* [owner] The next event; takes what it has read off `input`. `data` is set with MULTIPART_DATA: a
 * slice of the input or of the struct, good until the next call. */
enum multipart_event multipart_next(struct multipart *multipart, struct slice *input,
                                    struct slice *data);

/* [owner] The body has ended: whether it was complete, else multipart.problem is set. */
bool multipart_end(struct multipart *multipart);

#endif
