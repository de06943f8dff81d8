/* exchange.c - the life of an exchange: taken, answered, written or lost, recycled.
 *
 * An exchange has two users, its connection and its owner, and is recycled when both are done. The
 * connection is done when the response is written or the connection lost; it does not hold on to an
 * exchange whose owner has released it and whose bytes are already in the output. */
#include "http/exchange.h"

#include "base/limits.h"
#include "http/access_log.h"
#include "http/compress.h"
#include "http/compress_stream.h"
#include "http/connection.h"
#include "http/file.h"
#include "http/hub.h"
#include "http/notice.h"
#include "http/output.h"
#include "http/reader.h"
#include "http/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
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
  exchange->status = 0;
  exchange->state = EXCHANGE_READING;
  exchange->delivered = exchange->_released = exchange->_closes = false;
  exchange->body = EXCHANGE_BODY_WHOLE;
  exchange->_chunked = exchange->_bodiless = exchange->_until_close = false;
  exchange->_is_noticed = false;
  exchange->clogged = exchange->_continue_due = false;
  exchange->body_status = 0;
  exchange->has_streamed_body = false;
  exchange->_body_bytes = exchange->_plain_bytes = 0;
  exchange->response_status = 0;
  exchange->id = 0;
  exchange->_start = EXCHANGE_NOT_BEGUN;
  exchange->_peer[0] = '\0';
  if (UNLIKELY(hub->access_log != NULL)) exchange->_began_ns = uv_hrtime();
  exchange->_coding = (struct policy_coding){0};
  exchange->_file = NULL;
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

bool exchange_is_first(const struct exchange *exchange) {
  return exchange->connection->pending.next == &exchange->_link;
}

static void note_status(struct exchange *exchange, int status) {
  exchange->response_status = status;
  exchange->hub->counts.responses[status / 100]++;
}

/* The response's fields and all that is added to them. */
static struct slice write_block(struct exchange *exchange, struct slice block) {
  struct hub *hub = exchange->hub;
  buffer_clear(&hub->_block);
  policy_write(&hub->_block, hub->policy, &exchange->request, block, exchange->_coding);
  if (UNLIKELY(hub->notice != NULL)) notice_add_field(hub->notice, &hub->_block);
  return (struct slice){hub->_block.data, hub->_block.len};
}

static void write_response(struct buffer *out, struct exchange *exchange,
                           const struct response *response, enum response_framing framing) {
  const struct connection *connection = exchange->connection;
  const struct request *request = &exchange->request;
  bool is_last = connection->last_read && !connection->incoming &&
                 connection->pending.prev == &exchange->_link;
  bool close = exchange->_closes || !request->keep_alive || is_last;
  struct response_frame frame = {.date = hub_date(exchange->hub),
                                 .is_head = request->method == METHOD_HEAD,
                                 .close = close,
                                 .keep_alive = !close && request->minor == 0,
                                 .framing = framing,
                                 .length = exchange->_length_left};
  struct response whole = *response;
  if (exchange->hub->policy || exchange->_coding.varies || exchange->hub->notice)
    whole.block = write_block(exchange, whole.block);
  note_status(exchange, response->status);
  if (exchange_is_first(exchange)) exchange->_start = output_end(exchange->connection);
  exchange->_head_bytes = response_write(out, &whole, &frame);
}

/* A response that begins before its request has been asked for may still read it. */
static void continue_request(struct exchange *exchange, struct buffer *out) {
  if (!exchange->_continue_due) return;
  exchange->_continue_due = false;
  buffer_add_text(out, EXCHANGE_CONTINUE);
}

/* Where the bytes of a response go: out, or behind earlier responses. */
static struct buffer *open_output(struct exchange *exchange) {
  return exchange_is_first(exchange) ? output_open(exchange->connection) : &exchange->_answer;
}

/* What is answered before its body has come cannot be followed by another request. */
static void end_request(struct exchange *exchange) {
  struct connection *connection = exchange->connection;
  if (connection->streamed == exchange) reader_end_body(connection);
}

/* The response is whole. */
static void complete(struct exchange *exchange) {
  end_request(exchange);
  if (exchange_is_first(exchange))
    output_advance(exchange->connection);
  else
    exchange->state = EXCHANGE_ANSWERED;
}

/* Bytes of the response's body that the kernel has taken. */
static uint64_t count_sent(const struct exchange *exchange) {
  const struct connection *connection = exchange->connection;
  if (!connection) return exchange->_sent_bytes;
  if (exchange->_start == EXCHANGE_NOT_BEGUN) return 0;
  uint64_t body = exchange->_start + exchange->_head_bytes, end = connection->written_bytes;
  bool is_followed = exchange->state >= EXCHANGE_QUEUED && exchange->_end < end;
  if (is_followed) end = exchange->_end;
  return end > body ? end - body : 0;
}

static void log_access(struct exchange *exchange, bool is_delivered) {
  struct access_log *log = exchange->hub->access_log;
  if (LIKELY(!log)) return;
  const struct access_log_end end = {
      .status = exchange->response_status ? exchange->response_status : ACCESS_LOG_STATUS_LEFT,
      .body_bytes = count_sent(exchange),
      .took_ns = uv_hrtime() - exchange->_began_ns,
      .is_delivered = is_delivered,
  };
  access_log_add(log, exchange, &end);
}

/* Takes the exchange off a connection that is lost. */
static void leave(struct exchange *exchange) {
  exchange->_sent_bytes = count_sent(exchange);
  memcpy(exchange->_peer, exchange_peer(exchange), sizeof exchange->_peer);
  exchange->connection = NULL;
}

/* The response to a client that has gone: reported as not delivered. */
static void lose(struct exchange *exchange) {
  exchange->state = EXCHANGE_ENDED;
  log_access(exchange, false);
  list_push(&exchange->hub->_ended, &exchange->_link);
}

static void respond_with(struct exchange *exchange, const struct response *response,
                         enum response_framing framing) {
  write_response(open_output(exchange), exchange, response, framing);
  complete(exchange);
}

/* HEAD says what GET would, but for the length, which only compressing would tell: RFC 9110 9.3.2.
 */
static void respond_encoded(struct exchange *exchange, const struct response *response) {
  struct hub *hub = exchange->hub;
  if (exchange->request.method == METHOD_HEAD) {
    respond_with(exchange, response, RESPONSE_UNTIL_CLOSE);
    return;
  }
  if (response->body.len > COMPRESS_INLINE_BYTES_MAX) {
    end_request(exchange);
    exchange->state = EXCHANGE_ENCODING;
    exchange->_job = compress_job_start(exchange, response, exchange->_coding.encoding);
    return;
  }
  if (!hub->_compress) hub->_compress = compress_create(COMPRESS_QUICKLY);
  buffer_clear(&hub->_body);
  compress_run(hub->_compress, exchange->_coding.encoding, response->body, &hub->_body);
  struct response encoded = *response;
  encoded.body = (struct slice){hub->_body.data, hub->_body.len};
  respond_with(exchange, &encoded, RESPONSE_WHOLE);
}

void exchange_finish_encoding(struct exchange *exchange, const struct response *response) {
  assert(exchange->state == EXCHANGE_ENCODING && exchange->connection);
  exchange->state = EXCHANGE_HANDLED;
  exchange->_job = NULL;
  respond_with(exchange, response, RESPONSE_WHOLE);
}

/* The response with the notice behind its body. */
static struct response add_notice(struct hub *hub, const struct response *response) {
  struct response whole = *response;
  buffer_clear(&hub->_noticed);
  buffer_add(&hub->_noticed, response->body.data, response->body.len);
  buffer_add(&hub->_noticed, hub->notice->html.data, hub->notice->html.len);
  whole.body = (struct slice){hub->_noticed.data, hub->_noticed.len};
  return whole;
}

static bool is_noticed(const struct exchange *exchange, const struct response *response) {
  return exchange->hub->notice && notice_fits(response->status, response->block);
}

static void respond(struct exchange *exchange, const struct response *response);

void exchange_respond(struct exchange *exchange, const struct response *response) {
  if (LIKELY(!is_noticed(exchange, response))) {
    respond(exchange, response);
    return;
  }
  const struct response whole = add_notice(exchange->hub, response);
  respond(exchange, &whole);
}

static void respond(struct exchange *exchange, const struct response *response) {
  assert(exchange->state == EXCHANGE_HANDLED);
  if (!exchange->connection) {
    note_status(exchange, response->status);
    lose(exchange);
    return;
  }
  if (exchange->connection->streamed == exchange) exchange->_closes = true;
  if (exchange->hub->compresses && response->body.len >= COMPRESS_BYTES_MIN) {
    const unsigned available = encoding_bit(ENCODING_GZIP) | encoding_bit(ENCODING_BROTLI);
    exchange->_coding =
        compress_choose(&exchange->request, response->status, response->block, available);
    if (exchange->_coding.encoding != ENCODING_IDENTITY) {
      respond_encoded(exchange, response);
      return;
    }
  }
  respond_with(exchange, response, RESPONSE_WHOLE);
}

/* ---- streamed responses ---- */

static enum response_framing choose_framing(struct exchange *exchange, uint64_t length) {
  if (length != EXCHANGE_LENGTH_UNKNOWN) return RESPONSE_LENGTH;
  exchange->_chunked = exchange->request.minor > 0;
  exchange->_until_close = !exchange->_chunked;
  return exchange->_chunked ? RESPONSE_CHUNKED : RESPONSE_UNTIL_CLOSE;
}

static void begin_encoding(struct exchange *exchange, const struct response *response) {
  const unsigned available = encoding_bit(ENCODING_GZIP);
  exchange->_coding =
      compress_choose(&exchange->request, response->status, response->block, available);
  if (exchange->_coding.encoding != ENCODING_IDENTITY && !exchange->_bodiless)
    exchange->_compressor = compress_stream_create();
}

void exchange_begin(struct exchange *exchange, const struct response *response, uint64_t length) {
  assert(exchange->state == EXCHANGE_HANDLED);
  exchange->state = EXCHANGE_STREAMED;
  exchange->_bodiless =
      exchange->request.method == METHOD_HEAD || !response_has_content(response->status);
  exchange->_length_left = length;
  exchange->_is_noticed = length == EXCHANGE_LENGTH_UNKNOWN && is_noticed(exchange, response);
  struct connection *connection = exchange->connection;
  if (!connection) {
    note_status(exchange, response->status);
    return;
  }
  enum response_framing framing = choose_framing(exchange, length);
  if (length == EXCHANGE_LENGTH_UNKNOWN && exchange->hub->compresses)
    begin_encoding(exchange, response);
  if (connection->streamed == exchange || exchange->_until_close) exchange->_closes = true;
  if (exchange->_until_close) connection->last_read = true;
  struct response head = *response;
  head.body = (struct slice){"", 0};
  if (response->status < STATUS_MULTIPLE_CHOICES) continue_request(exchange, open_output(exchange));
  write_response(open_output(exchange), exchange, &head, framing);
  exchange_write(exchange, response->body.data, response->body.len);
}

static void write_bytes(struct exchange *exchange, const char *data, size_t len) {
  struct connection *connection = exchange->connection;
  struct buffer *out = open_output(exchange);
  if (exchange->_chunked) {
    response_write_chunk(out, data, len);
  } else {
    buffer_add(out, data, len);
    if (!exchange->_until_close) {
      assert(len <= exchange->_length_left);
      exchange->_length_left -= len;
    }
  }
  size_t waiting = exchange_is_first(exchange) ? output_backlog(connection) : out->len;
  exchange->clogged = waiting >= STREAM_PAUSE_BYTES;
}

/* However little is left of what is compressed: others get their turn. */
bool exchange_write(struct exchange *exchange, const char *data, size_t len) {
  assert(exchange->state == EXCHANGE_STREAMED);
  if (!exchange->connection || exchange->_bodiless) return true;
  if (!exchange->_compressor || len == 0) {
    write_bytes(exchange, data, len);
    return !exchange->clogged;
  }
  struct buffer *encoded = &exchange->hub->_body;
  buffer_clear(encoded);
  compress_stream_write(exchange->_compressor, data, len, encoded);
  write_bytes(exchange, encoded->data, encoded->len);
  if (encoded->cap > SPARE_OUTPUT_BYTES_MAX) buffer_finish(encoded);
  exchange->_plain_bytes += len;
  if (exchange->_plain_bytes >= STREAM_PAUSE_BYTES) exchange->clogged = true;
  if (exchange->clogged) exchange->_plain_bytes = 0;
  return !exchange->clogged;
}

static void drop_compressor(struct exchange *exchange) {
  compress_stream_destroy(exchange->_compressor);
  exchange->_compressor = NULL;
}

static void end_encoding(struct exchange *exchange) {
  if (!exchange->_compressor) return;
  struct buffer *encoded = &exchange->hub->_body;
  buffer_clear(encoded);
  compress_stream_end(exchange->_compressor, encoded);
  write_bytes(exchange, encoded->data, encoded->len);
  drop_compressor(exchange);
}

/* Requests behind a response that ends with the connection will not be answered. */
static void drop_later(struct exchange *exchange) {
  struct connection *connection = exchange->connection;
  struct exchange *incoming = connection->incoming;
  connection->incoming = NULL;
  if (incoming) exchange_detach(incoming);
  if (connection->streamed && connection->streamed != exchange) reader_end_body(connection);
  while (connection->pending.prev != &exchange->_link) {
    struct exchange *last = container_of(connection->pending.prev, struct exchange, _link);
    list_remove(&last->_link);
    connection->pending_count--;
    exchange_detach(last);
  }
}

void exchange_end(struct exchange *exchange) {
  assert(exchange->state == EXCHANGE_STREAMED);
  if (!exchange->connection) {
    lose(exchange);
    return;
  }
  assert(exchange->_chunked || exchange->_until_close || exchange->_bodiless ||
         exchange->_length_left == 0);
  const struct notice *notice = exchange->_is_noticed ? exchange->hub->notice : NULL;
  if (notice) exchange_write(exchange, notice->html.data, notice->html.len);
  end_encoding(exchange);
  if (exchange->_chunked && !exchange->_bodiless) response_end_chunks(open_output(exchange));
  if (exchange->_until_close) drop_later(exchange);
  connection_touch(exchange->connection); /* with nothing left to write it may still close */
  complete(exchange);
}

void exchange_cut(struct exchange *exchange) {
  assert(exchange->state == EXCHANGE_STREAMED);
  struct connection *connection = exchange->connection;
  if (!connection) {
    lose(exchange);
    return;
  }
  end_request(exchange);
  drop_compressor(exchange);
  bool is_written = exchange_is_first(exchange) && output_write(connection) == 0;
  list_remove(&exchange->_link);
  connection->pending_count--;
  leave(exchange);
  lose(exchange);
  if (is_written && !exchange->_until_close)
    connection_close(connection);
  else
    connection_reset(connection);
}

/* ---- files ---- */

bool exchange_hand_over(struct exchange *exchange, struct file *file) {
  assert(exchange->state == EXCHANGE_HANDLED);
  if (!exchange->connection) {
    lose(exchange);
    return false;
  }
  if (exchange->connection->streamed == exchange) exchange->_closes = true;
  end_request(exchange);
  exchange->state = EXCHANGE_SENDING;
  exchange->_file = file;
  return true;
}

void exchange_take_back(struct exchange *exchange, bool is_owned) {
  assert(exchange->state == EXCHANGE_SENDING);
  if (is_owned) {
    assert(exchange->_released);
    exchange->_released = false;
    exchange->hub->exchange_count++;
  }
  exchange->state = EXCHANGE_HANDLED;
  exchange->_file = NULL;
}

void exchange_begin_file(struct exchange *exchange, const struct response *response,
                         uint64_t length) {
  assert(exchange->state == EXCHANGE_SENDING && exchange_is_first(exchange));
  bool is_known = length != EXCHANGE_LENGTH_UNKNOWN;
  assert(is_known || exchange->request.method == METHOD_HEAD);
  exchange->_length_left = length;
  write_response(output_open(exchange->connection), exchange, response,
                 is_known ? RESPONSE_LENGTH : RESPONSE_UNTIL_CLOSE);
}

void exchange_end_file(struct exchange *exchange) {
  assert(exchange->state == EXCHANGE_SENDING);
  exchange->_file = NULL;
  complete(exchange);
}

/* ---- streamed requests ---- */

void exchange_read(struct exchange *exchange, struct buffer *out) {
  struct buffer *body = &exchange->request.body;
  buffer_add(out, body->data, body->len);
  buffer_clear(body);
  struct connection *connection = exchange->connection;
  if (!connection || connection->streamed != exchange) return;
  if (exchange->_continue_due) {
    exchange->_continue_due = false;
    connection->continue_due = true;
    connection_touch(connection);
  }
  if (connection->clogged) connection_unclog(connection);
}

/* ---- the end ---- */

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
  case EXCHANGE_STREAMED:
    assert(!exchange->connection && "released without a response");
    log_access(exchange, false);
    exchange_recycle(exchange);
    break;
  case EXCHANGE_ENCODING:
  case EXCHANGE_SENDING:
  case EXCHANGE_ANSWERED:
    break;
  case EXCHANGE_QUEUED:
    if (exchange->hub->access_log) break; /* its end is awaited all the same */
    list_remove(&exchange->_link);
    exchange_recycle(exchange);
    break;
  case EXCHANGE_ENDED:
    list_remove(&exchange->_link);
    exchange_recycle(exchange);
    break;
  }
}

void exchange_settle(struct exchange *exchange, bool is_delivered) {
  is_delivered = is_delivered && !exchange_has_left(exchange);
  log_access(exchange, is_delivered);
  exchange->state = EXCHANGE_ENDED;
  exchange->delivered = is_delivered;
  if (exchange->_released)
    exchange_recycle(exchange);
  else
    exchange->hub->calls.sent(exchange);
}

void exchange_detach(struct exchange *exchange) {
  if (exchange->state == EXCHANGE_READING) {
    exchange_recycle(exchange);
    return;
  }
  leave(exchange);
  drop_compressor(exchange);
  if (exchange->state == EXCHANGE_ENCODING) {
    compress_job_abandon(exchange->_job);
    exchange->_job = NULL;
  }
  if (exchange->_file) file_abandon(exchange->_file);
  exchange->_file = NULL;
  if (exchange->state == EXCHANGE_HANDLED || exchange->state == EXCHANGE_STREAMED) {
    if (exchange->body == EXCHANGE_BODY_COMING) exchange->body = EXCHANGE_BODY_BROKEN;
    exchange->hub->calls.gone(exchange);
  } else {
    exchange_settle(exchange, false);
  }
}

bool exchange_has_left(const struct exchange *exchange) {
  return !exchange->connection || exchange->connection->ended;
}

const char *exchange_peer(const struct exchange *exchange) {
  return exchange->connection ? connection_peer(exchange->connection) : exchange->_peer;
}

void exchange_find_client(const struct exchange *exchange, struct proxy_client *out) {
  const char *peer = exchange_peer(exchange);
  const struct proxy_trust *trust = exchange->hub->trust;
  *out = (struct proxy_client){.address = peer, .host = {"", 0}};
  if (UNLIKELY(trust != NULL)) proxy_find_client(trust, &exchange->request, peer, out);
}
