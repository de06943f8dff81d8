/* answer.h - what the server itself answers, without a handler.
 *
 * 404, 405 with Allow, OPTIONS, the redirect to the path with or without its last slash, and the
 * refusals of requests that were not understood or are too large. An app may want to be asked for
 * some of these statuses (hub.statuses): then hub.handle gets the exchange, with exchange.status
 * set, and answers. */
#ifndef HTTP_ANSWER_H
#define HTTP_ANSWER_H

#include "http/exchange.h"

/* Room for the names of all methods. */
#define ANSWER_ALLOW_BYTES 96

/* [owner] Answers a good request that has neither route nor file; takes the exchange over. */
void answer_unmatched(struct exchange *exchange);

/* [owner] Answers with a status from 400 on, or has the app asked; takes the exchange over. */
void answer_status(struct exchange *exchange, int status);

/* [owner] Answers with the server's own words for exchange.status. The caller still owns the
 * exchange. */
void answer_default(struct exchange *exchange);

/* [owner] The methods of the path, as Allow has them, when exchange.status is 405; else empty. A
 * slice of `out`. */
struct slice answer_allow(const struct exchange *exchange, char out[ANSWER_ALLOW_BYTES]);

#endif
