/* exchange.c - the life of an exchange: taken, answered, written or lost, recycled.
 *
 * An exchange has two users, its connection and its owner, and is recycled when both are done. The
 * connection is done when the response is written or the connection lost; it does not hold on to an
 * exchange whose owner has released it and whose bytes are already in the output. */
#include "http/exchange.h"

#include "base/limits.h"
#include "http/connection.h"
#include "http/hub.h"
#include "http/output.h"

#include <assert.h>
#include <stdlib.h>
#include <uv.h>

struct exchange *exchange_take(struct hub *hub, struct connection *connection) {
  struct list *link = list_pop(&hub->_spare_exchanges);
  struct exchange *exchange;
  if (LIKELY(link != NULL)) {
    exchange = container_of(link, struct exchange, _link);
    hub->_spare_exchange_count--;
  } else {
    exchange = memory_alloc_zero(sizeof *exchange);
    list_init(&exchange->_link);
    exchange->hub = hub;
    request_clear(&exchange->request);
  }
  exchange->connection = connection;
  exchange->owner = NULL;
  exchange->state = EXCHANGE_READING;
  exchange->delivered = exchange->_released = exchange->_closes = false;
  return exchange;
}

void exchange_recycle(struct exchange *exchange) {
  struct hub *hub = exchange->hub;
  assert(list_is_empty(&exchange->_link));
  if (hub->_spare_exchange_count >= SPARE_EXCHANGES_MAX) {
    request_finish(&exchange->request);
    buffer_finish(&exchange->_answer);
    free(exchange);
    return;
  }
  request_clear(&exchange->request);
  if (exchange->_answer.cap > SPARE_REQUEST_BYTES_MAX) buffer_finish(&exchange->_answer);
  buffer_clear(&exchange->_answer);
  list_push_front(&hub->_spare_exchanges, &exchange->_link);
  hub->_spare_exchange_count++;
}

static void write_response(struct buffer *out, struct exchange *exchange,
                           const struct response *response) {
  const struct connection *connection = exchange->connection;
  const struct request *request = &exchange->request;
  bool is_last = connection->last_read && !connection->incoming &&
                 connection->pending.prev == &exchange->_link;
  bool close = exchange->_closes || !request->keep_alive || is_last;
  struct response_frame frame = {.date = hub_date(exchange->hub),
                                 .is_head = request->method == METHOD_HEAD,
                                 .close = close,
                                 .keep_alive = !close && request->minor == 0};
  response_write(out, response, &frame);
}

void exchange_respond(struct exchange *exchange, const struct response *response) {
  assert(exchange->state == EXCHANGE_HANDLED);
  struct connection *connection = exchange->connection;
  if (!connection) {
    exchange->state = EXCHANGE_ENDED;
    list_push(&exchange->hub->_ended, &exchange->_link);
    return;
  }
  if (connection->pending.next == &exchange->_link) {
    write_response(output_open(connection), exchange, response);
    output_advance(connection);
  } else {
    write_response(&exchange->_answer, exchange, response);
    exchange->state = EXCHANGE_ANSWERED;
  }
}

void exchange_respond_status(struct exchange *exchange, int status, struct slice block) {
  static const char json[] = "Content-Type: application/json\r\n";
  char detail[RESPONSE_DETAIL_BYTES];
  struct buffer *scratch = &exchange->hub->_scratch;
  buffer_clear(scratch);
  buffer_add(scratch, json, sizeof json - 1);
  buffer_add(scratch, block.data, block.len);
  struct response response = {.status = status,
                              .block = {scratch->data, scratch->len},
                              .body = response_detail(detail, status)};
  exchange_respond(exchange, &response);
}

void exchange_release(struct exchange *exchange) {
  assert(!exchange->_released);
  exchange->_released = true;
  exchange->hub->exchange_count--;
  switch (exchange->state) {
  case EXCHANGE_READING:
    assert(false && "an exchange is released by the one it was handed to");
    break;
  case EXCHANGE_HANDLED:
    assert(!exchange->connection && "released without a response");
    exchange_recycle(exchange);
    break;
  case EXCHANGE_ANSWERED:
    break;
  case EXCHANGE_QUEUED:
  case EXCHANGE_ENDED:
    list_remove(&exchange->_link);
    exchange_recycle(exchange);
    break;
  }
}

void exchange_detach(struct exchange *exchange) {
  struct hub *hub = exchange->hub;
  exchange->connection = NULL;
  if (exchange->state == EXCHANGE_READING || exchange->_released) {
    exchange_recycle(exchange);
  } else if (exchange->state == EXCHANGE_HANDLED) {
    hub->calls.gone(exchange);
  } else {
    exchange->state = EXCHANGE_ENDED;
    hub->calls.sent(exchange);
  }
}

static void find_peer(struct connection *connection) {
  struct sockaddr_storage address;
  int len = sizeof address;
  connection->peer_known = true;
  if (connection->io.handle.type != UV_TCP) return;
  if (uv_tcp_getpeername(&connection->io.tcp, (struct sockaddr *)&address, &len) != 0) return;
  if (uv_ip_name((const struct sockaddr *)&address, connection->peer, sizeof connection->peer) != 0)
    connection->peer[0] = '\0';
}

const char *exchange_peer(const struct exchange *exchange) {
  struct connection *connection = exchange->connection;
  if (!connection) return "";
  if (!connection->peer_known) find_peer(connection);
  return connection->peer;
}
