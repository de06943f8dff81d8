/* output.h - from responses to the socket, in the order of the requests.
 *
 * Inside http/ only. Responses gather in connection.out; output_write hands them to the kernel in
 * one call and leaves to libuv what the kernel did not take. Owners hear of it by hub.sent. */
#ifndef HTTP_OUTPUT_H
#define HTTP_OUTPUT_H

#include "base/base.h"
#include "base/buffer.h"

struct connection;
struct exchange;

/* [owner] The buffer that takes the connection's next bytes; the connection will be flushed. */
struct buffer *output_open(struct connection *connection);

/* [owner] The response of the first pending exchange stands in the output: it is the next one's
 * turn. Appends responses that were ready before their turn. */
void output_advance(struct connection *connection);

/* [owner] Writes what has gathered. Gives 0, or the error by which the connection is lost. */
uv_err output_write(struct connection *connection);

/* [owner] Bytes that the kernel has not taken. */
size_t output_backlog(const struct connection *connection);

/* [owner] The number of the next byte of output, counted from the connection's start. */
uint64_t output_end(const struct connection *connection);

/* [owner] Bytes that the client has not acknowledged: libuv's and the kernel's. Less than before
 * means that it still reads. Asks the kernel. */
size_t output_unread(const struct connection *connection);

/* [owner] Gives the buffers back; of a connection that closes. */
void output_drop(struct connection *connection);

#endif
