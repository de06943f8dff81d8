/* client_retry.h - whether a request that failed is sent again, and when.
 *
 * The way to the server may have failed (a connection refused, or cut), or the server may say that
 * it cannot answer now: 502, 503, 504, with Retry-After. */
#ifndef LIB_CLIENT_RETRY_H
#define LIB_CLIENT_RETRY_H

#include "lib/client_request.h"

/* [owner] Whether the fetch, which has ended or has its head, is sent again after attempt number
 * `attempt`, from 1 on; `wait_ns` on the fiber's clock is how long that takes to begin. */
bool client_retry_is_due(const struct client_retry *retry, const struct fetch *fetch,
                         lua_Integer attempt, const struct fiber *fiber, uint64_t *wait_ns);

#endif
