/* date.h - dates as HTTP writes them (RFC 9110 5.6.7): the text of Date, and what clients send.
 *
 * Pure: no locale, no clock, no time zone but GMT. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include "base/base.h"

#include <stdbool.h>

#define DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* [any thread] Writes DATE_LEN bytes, no terminator, for seconds since 1970 (years 1970 to 9999).
 */
void date_format(char *out, int64_t unix_seconds);

/* [any thread] Reads a date in any of the three formats of RFC 9110 5.6.7, as seconds since 1970
 * (before it: negative); false when it is none. Years of two digits are at most 50 years after
 * `now`. The weekday's name is not compared with the date. */
bool date_parse(struct slice text, int64_t now, int64_t *unix_seconds);

#endif
