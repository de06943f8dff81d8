/* reader.h - from bytes of a connection to exchanges: the glue to llhttp.
 *
 * Inside http/ only. Complete requests are matched with their route and handed to hub.handle, or
 * answered here when no handler is needed: 404, 405, OPTIONS, 308, and the refusals of RFC 9112
 * after which the connection ends. No leniency flag of llhttp is ever set. */
#ifndef HTTP_READER_H
#define HTTP_READER_H

#include <stddef.h>

struct connection;
struct exchange;

/* [owner] Prepares the parser of a new connection. */
void reader_start(struct connection *connection);

/* [owner] Parses input; what cannot be taken yet is kept in connection.rest, with connection.paused
 * set. */
void reader_feed(struct connection *connection, const char *data, size_t len);

/* [owner] Parses what a pause has kept. */
void reader_resume(struct connection *connection);

/* [owner] Refuses the request that is coming in, or the bytes that are none: answers `status` after
 * the responses to earlier requests, and reads no further request. Of a streamed request the body
 * breaks. */
void reader_refuse(struct connection *connection, int status);

/* [owner] The rest of the streamed body will not come: `status` as exchange.body_status. No further
 * request is read. */
void reader_break_body(struct connection *connection, int status);

/* [owner] The rest of the streamed body is not wanted; no further request is read. */
void reader_end_body(struct connection *connection);

#endif
