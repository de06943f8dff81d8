/* part.h - the head of one part of a multipart form: what it is called and what it is.
 *
 * Strict: RFC 7578 4.2 for what must be there, RFC 9110 5.5 for what may stand in a line. Names and
 * file names come decoded: quotes and line ends as browsers write them (%22, %0D, %0A: WHATWG
 * HTML, 4.10.22.8), backslashes as others do, `filename*` of RFC 8187 in UTF-8 or ISO-8859-1. */
#ifndef HTTP_PART_H
#define HTTP_PART_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/form.h"

#include <stdbool.h>

/* Slices of part.text. */
struct part {
  struct slice name;
  struct slice filename;     /* base name alone; empty when there is no usable one */
  struct slice content_type; /* empty when the part does not say */
  bool is_file;              /* it has a filename, if only an empty one */
  struct buffer text;        /* of the part; owned */
};

/* [owner] Reads the lines of a head, each with its CRLF, without the empty one behind them. False
 * with a problem (400, 413), whose text calls the part by its number. Frees nothing of the part but
 * what it had before. */
bool part_read(struct part *part, struct slice head, unsigned number, struct form_problem *problem);

/* [owner] Frees the text; accepts a zeroed part. */
void part_finish(struct part *part);

#endif
