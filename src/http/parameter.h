/* parameter.h - the parameters behind a field's value: `; name=value; name="value"`.
 *
 * As in Content-Type and Content-Disposition (RFC 9110 5.6.6, RFC 2183). Pure, on borrowed bytes.
 * Inside quotes a backslash stands for the byte behind it only before a quote or a backslash:
 * browsers do not escape backslashes, other clients do. */
#ifndef HTTP_PARAMETER_H
#define HTTP_PARAMETER_H

#include "base/base.h"

struct parameter {
  struct slice name;
  struct slice value; /* raw, without its quotes; parameter_unquote decodes it */
};

enum parameter_result { PARAMETER_FOUND, PARAMETER_NONE, PARAMETER_MALFORMED };

/* [any thread] Takes what is before the first parameter off `rest`, trimmed. */
struct slice parameter_begin(struct slice *rest);

/* [any thread] Takes the next parameter off `rest`, which starts with blanks or a semicolon; empty
 * ones are passed over. */
enum parameter_result parameter_next(struct slice *rest, struct parameter *parameter);

/* [any thread] Writes the value without its backslashes to `out`, which has room for value.len
 * bytes; gives the length. */
size_t parameter_unquote(char *out, struct slice value);

#endif
