/* escape.h - text of unknown origin made fit for one line of a log.
 *
 * What could end a line, leave its quotes, or steer a terminal (C0, DEL, C1, the Unicode line
 * separators, invalid UTF-8) leaves escaped. */
#ifndef BASE_ESCAPE_H
#define BASE_ESCAPE_H

#include "base/buffer.h"

enum escape_form {
  ESCAPE_TEXT,   /* a line to read: \n, \x1b, \u2028; quotes and backslashes stay */
  ESCAPE_QUOTED, /* the same inside double quotes: these and backslashes are escaped too */
  ESCAPE_JSON    /* inside a JSON string; a byte that is no UTF-8 becomes U+FFFD */
};

/* [owner] Appends the text; of more than LOG_VALUE_BYTES_MAX bytes only the first, and behind them
 * "...[+N bytes]". */
void escape_add(struct buffer *line, const char *text, size_t len, enum escape_form form);

#endif
