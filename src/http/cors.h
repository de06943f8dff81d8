/* cors.h - the CORS protocol of the Fetch standard (section 3.3): who may read responses.
 *
 * A struct cors is the app's rules, made once and then only read. Pure: requests come in, field
 * lines go out; who sends them is exchange.c's and preflight.c's business. An origin is allowed
 * when it is listed exactly (scheme, host in any case, port), or fits a pattern. A host that begins
 * with "*." has any labels there: *.example.com has a.b.example.com, but not example.com and not
 * evil-example.com. */
#ifndef HTTP_CORS_H
#define HTTP_CORS_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/request.h"

#include <stdbool.h>

struct cors;

/* Lists are comma-separated. */
struct cors_options {
  const struct slice *origins; /* each has passed cors_check_origin; "*" is any */
  size_t origin_count;
  struct slice methods; /* names as sent, such as "GET, PUT" */
  struct slice headers; /* beyond Accept, Accept-Language, Content-Language, Content-Type; "*": any
                         */
  struct slice exposed; /* fields of responses that scripts may read; "*" without credentials */
  bool credentials;     /* not together with the origin "*" */
  uint32_t max_age_s;   /* that a browser may remember the answer to a preflight */
};

/* [any thread] What is wrong with an origin or pattern as an app writes it; NULL when nothing is.
 */
const char *cors_check_origin(struct slice text);

/* [owner] Rules; the caller owns them. Everything is copied. */
struct cors *cors_create(const struct cors_options *options);

/* [any thread] Frees the rules; accepts NULL. */
void cors_destroy(struct cors *cors);

/* [any thread] Whether responses differ by the request's Origin: they need Vary: Origin. */
bool cors_varies(const struct cors *cors);

/* [any thread] Appends the fields of any response to the request: Access-Control-Allow-Origin and
 * its companions, or nothing when the origin is not allowed. */
void cors_write_fields(const struct cors *cors, const struct request *request, struct buffer *out);

/* [any thread] Whether the request asks for permission: OPTIONS with Origin and
 * Access-Control-Request-Method. */
bool cors_is_preflight(const struct request *request);

/* [any thread] Judges a preflight. Granted: NULL, and the further fields of the answer are
 * appended. Else what is refused, and nothing is appended. */
const char *cors_judge(const struct cors *cors, const struct request *request, struct buffer *out);

#endif
