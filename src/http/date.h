/* date.h - the text of the Date field (RFC 9110 5.6.7).
 *
 * Pure: seconds in, text out, no locale, no clock. */
#ifndef HTTP_DATE_H
#define HTTP_DATE_H

#include <stdint.h>

#define DATE_LEN 29 /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* [any thread] Writes DATE_LEN bytes, no terminator, for seconds since 1970 (years 1970 to 9999).
 */
void date_format(char *out, int64_t unix_seconds);

#endif
