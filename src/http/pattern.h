/* pattern.h - the text of a route's path, "/users/{id:int}", taken apart.
 *
 * A pattern is literal text with parameters between: {name}, {name:int}, {name:float},
 * {name:uuid}, {name:path}, each a whole segment. Literal text means its own bytes: the router
 * compares it with the decoded path. Parsing allocates nothing; the result borrows from the text.
 */
#ifndef HTTP_PATTERN_H
#define HTTP_PATTERN_H

#include "base/base.h"
#include "base/limits.h"

#include <stdbool.h>

/* What a parameter takes, in the order in which they are tried in one place. */
enum param_kind {
  PARAM_INT,   /* a segment: decimal, 64 bits, '-' allowed */
  PARAM_UUID,  /* a segment: 8-4-4-4-12 hexadecimal digits */
  PARAM_FLOAT, /* a segment: decimal with fraction and exponent, '-' allowed, finite */
  PARAM_TEXT,  /* a segment, not empty */
  PARAM_PATH,  /* the rest of the path, not empty */
  PARAM_KIND_COUNT
};

struct pattern_piece {
  bool is_param;
  enum param_kind kind; /* of a parameter */
  struct slice text;    /* the parameter's name, or the literal text with its slashes */
};

struct pattern {
  struct pattern_piece pieces[2 * PATTERN_PARAMS_MAX + 1];
  size_t piece_count;
  size_t param_count;
};

/* [any thread] Takes `text` apart into `out`, whose slices point into it. False if it is no
 * pattern: `message` then has one terminated line that quotes it and says why. */
bool pattern_parse(struct pattern *out, struct slice text, char *message, size_t message_bytes);

#endif
