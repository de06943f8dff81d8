/* preflight.h - answering CORS preflights, for any path, before routes are looked at.
 *
 * A browser asks with OPTIONS, Origin and Access-Control-Request-Method before it sends what a form
 * could not. Granted: 204 with what is allowed. Refused: 403 with a detail that says what, for whom
 * debugs it; the browser does not send the request then. Only for apps with app:cors: without, such
 * requests are like any other. */
#ifndef HTTP_PREFLIGHT_H
#define HTTP_PREFLIGHT_H

#include "http/exchange.h"

#include <stdbool.h>

/* [owner] Whether the complete request is to be answered here. */
bool preflight_is_due(const struct exchange *exchange);

/* [owner] Answers it. */
void preflight_respond(struct exchange *exchange);

#endif
