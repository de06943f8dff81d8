/* reader.c - llhttp's callbacks, and what is decided about a request before any handler runs.
 *
 * Callbacks record into the incoming exchange; a callback that refuses sets connection.refusal and
 * ends the parse. A complete request is handed out in on_message_complete, so many pipelined ones
 * take one call of the parser. connection.unread follows the parser through the input, so that
 * every byte between the parts it reports is looked at. Does not read, write or time. */
#include "http/reader.h"

#include "base/limits.h"
#include "http/answer.h"
#include "http/connection.h"
#include "http/preflight.h"
#include "http/router.h"
#include "http/static.h"
#include "http/status.h"

#include <assert.h>
#include <string.h>

/* llhttp 8 decides at compile time whether it is strict; the loose half lets blanks into names. */
#if LLHTTP_VERSION_MAJOR < 9
static_assert(LLHTTP_STRICT_MODE, "compile llhttp and this file with -DLLHTTP_STRICT_MODE=1");
#endif

enum { STOP = -1, GO_ON = 0 };

static int refuse(struct connection *connection, int status) {
  connection->refusal = status;
  return STOP;
}

static enum method method_of(uint8_t parsed) {
  switch (parsed) {
  case HTTP_GET:
    return METHOD_GET;
  case HTTP_HEAD:
    return METHOD_HEAD;
  case HTTP_POST:
    return METHOD_POST;
  case HTTP_PUT:
    return METHOD_PUT;
  case HTTP_PATCH:
    return METHOD_PATCH;
  case HTTP_DELETE:
    return METHOD_DELETE;
  case HTTP_OPTIONS:
    return METHOD_OPTIONS;
  case HTTP_TRACE:
    return METHOD_TRACE;
  }
  return METHOD_UNKNOWN; /* CONNECT too: it asks for a proxy */
}

static int on_message_begin(llhttp_t *parser) {
  struct connection *connection = parser->data;
  if (UNLIKELY(connection->incoming != NULL)) return GO_ON; /* the head is parsed again */
  connection->incoming = exchange_take(connection->hub, connection);
  connection->head_done = false;
  connection->amended_bytes = 0;
  connection->since_ns = hub_now(connection->hub);
  return GO_ON;
}

static int add(struct connection *connection, enum request_part part, const char *at, size_t len) {
  int status =
      request_add(&connection->incoming->request, &connection->hub->limits->head, part, at, len);
  return LIKELY(status == 0) ? GO_ON : refuse(connection, status);
}

/* Takes the bytes up to `to`, before a request: empty lines are ignored (RFC 9112 2.2), a few. */
static bool skip_empty_lines(struct connection *connection, const char *to) {
  for (; connection->unread < to; connection->unread++) {
    char expected = connection->empty_bytes++ % 2 == 0 ? '\r' : '\n';
    if (*connection->unread != expected || connection->empty_bytes > EMPTY_LINES_MAX * 2)
      return false;
  }
  return true;
}

static int on_method(llhttp_t *parser, const char *at, size_t len) {
  struct connection *connection = parser->data;
  if (connection->incoming->request.head.len == 0) {
    if (!skip_empty_lines(connection, at) || connection->empty_bytes % 2 != 0)
      return refuse(connection, STATUS_BAD_REQUEST);
    connection->empty_bytes = 0;
  }
  return add(connection, REQUEST_METHOD, at, len);
}

static int on_url(llhttp_t *parser, const char *at, size_t len) {
  return add(parser->data, REQUEST_TARGET, at, len);
}

/* Trailers are not used: chunk_lines counts them. */
static int on_header_field(llhttp_t *parser, const char *at, size_t len) {
  struct connection *connection = parser->data;
  return LIKELY(!connection->head_done) ? add(connection, REQUEST_NAME, at, len) : GO_ON;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len) {
  struct connection *connection = parser->data;
  return LIKELY(!connection->head_done) ? add(connection, REQUEST_VALUE, at, len) : GO_ON;
}

/* NULL when the request has no route, or none has options. */
static const struct hub_route *route_of(const struct exchange *exchange) {
  const struct hub_route *routes = exchange->hub->routes;
  return routes && exchange->_matched == MATCH_FOUND ? &routes[exchange->match.route] : NULL;
}

static uint64_t body_bytes_max(const struct exchange *exchange) {
  const struct hub_route *route = route_of(exchange);
  if (route && route->body_bytes_max != HUB_ROUTE_DEFAULT) return route->body_bytes_max;
  return exchange->hub->limits->body_bytes_max;
}

static void dispatch(struct connection *connection, struct exchange *exchange);
static void stream(struct connection *connection, struct exchange *exchange);

/* What the head promises of the body: 0, or the status to refuse with. */
static int check_body(struct connection *connection) {
  const llhttp_t *parser = &connection->parser;
  struct exchange *exchange = connection->incoming;
  const struct hub_route *route = route_of(exchange);
  bool is_chunked = exchange->request.is_chunked;
  if (!is_chunked && parser->content_length == 0) return 0;
  if (!is_chunked && parser->content_length > body_bytes_max(exchange))
    return STATUS_CONTENT_TOO_LARGE;
  if (route && route->streams_body) {
    exchange->body = EXCHANGE_BODY_COMING;
    exchange->has_streamed_body = true;
    exchange->_continue_due = exchange->request.is_continue_awaited;
    return 0;
  }
  if (!exchange->request.is_continue_awaited) return 0;
  if (exchange->_matched != MATCH_FOUND) {
    /* Answered at once, without 100. The body may come or not: the connection cannot go on. */
    exchange->_closes = true;
    connection->last_read = true;
    dispatch(connection, exchange);
    return 0;
  }
  connection->continue_due = true;
  connection_touch(connection);
  return 0;
}

static int on_headers_complete(llhttp_t *parser) {
  struct connection *connection = parser->data;
  struct exchange *exchange = connection->incoming;
  struct request *request = &exchange->request;
  parser->upgrade = 0; /* no Upgrade is supported, so it is ignored: RFC 9110 7.8 */
  request->method = method_of(parser->method);
  if (request->method == METHOD_UNKNOWN) return refuse(connection, STATUS_NOT_IMPLEMENTED);
  int status = request_end(request, &connection->hub->limits->head, &connection->unread);
  if (UNLIKELY(status != 0)) return refuse(connection, status);
  connection->head_done = true;
  connection->chunk_lines = (struct chunk_lines){0};
  if (request->is_chunked) parser->flags |= F_CHUNKED; /* the parser knows no tab behind it */
  connection->since_ns = hub_now(connection->hub);
  struct slice path = request->uri.path;
  exchange->_matched =
      router_match(connection->hub->router, request->method, path.data, path.len, &exchange->match);
  status = check_body(connection);
  if (UNLIKELY(status != 0)) return refuse(connection, status);
  if (UNLIKELY(connection->last_read)) return HPE_PAUSED; /* answered: the exchange may be gone */
  if (UNLIKELY(exchange->body == EXCHANGE_BODY_COMING)) stream(connection, exchange);
  return UNLIKELY(connection->last_read) ? HPE_PAUSED : GO_ON;
}

/* Takes the bytes around a chunk's data up to `to`: 0, or the status to refuse with. */
static int skip_chunk_lines(struct connection *connection, const char *to) {
  return chunk_lines_feed(&connection->chunk_lines, &connection->unread, to);
}

/* Bytes of a body that nobody will look at: the answer is a 404 or the like. */
static int drop_body(struct connection *connection, size_t len) {
  struct exchange *exchange = connection->incoming;
  exchange->_body_bytes += len;
  bool is_too_large = exchange->_body_bytes > body_bytes_max(exchange);
  return is_too_large ? refuse(connection, STATUS_CONTENT_TOO_LARGE) : GO_ON;
}

/* A chunk's size has come: it may be refused before its data. */
static int on_chunk_header(llhttp_t *parser) {
  struct connection *connection = parser->data;
  if (UNLIKELY(connection->last_read)) return HPE_PAUSED;
  struct exchange *exchange = connection->streamed ? connection->streamed : connection->incoming;
  bool is_buffered = exchange == connection->incoming && exchange->_matched == MATCH_FOUND;
  uint64_t bytes = is_buffered ? exchange->request.body.len : exchange->_body_bytes;
  bool is_too_large = parser->content_length > body_bytes_max(exchange) - bytes;
  return is_too_large ? refuse(connection, STATUS_CONTENT_TOO_LARGE) : GO_ON;
}

/* Bytes of a streamed body, for the one who handles the request already. */
static int pass_body(struct connection *connection, const char *at, size_t len) {
  struct exchange *exchange = connection->streamed;
  connection->continue_due = exchange->_continue_due = false;
  exchange->_body_bytes += len;
  if (exchange->_body_bytes > body_bytes_max(exchange))
    return refuse(connection, STATUS_CONTENT_TOO_LARGE);
  buffer_add(&exchange->request.body, at, len);
  connection->clogged = exchange->request.body.len >= BODY_PAUSE_BYTES;
  connection->hub->calls.body(exchange);
  return GO_ON;
}

static int on_body(llhttp_t *parser, const char *at, size_t len) {
  struct connection *connection = parser->data;
  if (UNLIKELY(connection->last_read)) return HPE_PAUSED;
  if (parser->flags & F_CHUNKED) {
    int status = skip_chunk_lines(connection, at);
    if (status) return refuse(connection, status);
  }
  connection->unread = at + len;
  if (UNLIKELY(connection->streamed != NULL)) return pass_body(connection, at, len);
  if (UNLIKELY(connection->incoming->_matched != MATCH_FOUND)) return drop_body(connection, len);
  struct buffer *body = &connection->incoming->request.body;
  if (body->len + len > body_bytes_max(connection->incoming))
    return refuse(connection, STATUS_CONTENT_TOO_LARGE);
  connection->continue_due = false;
  if (body->len == 0) {
    /* content_length is what follows these bytes; 0 or a chunk's in chunked coding. */
    uint64_t more = parser->content_length;
    buffer_reserve(body, len + (size_t)(more < BODY_RESERVE_BYTES_MAX ? more : 0));
  }
  buffer_add(body, at, len);
  return GO_ON;
}

static void enqueue(struct connection *connection, struct exchange *exchange) {
  connection->incoming = NULL;
  connection->pending_count++;
  connection->hub->exchange_count++;
  exchange->state = EXCHANGE_HANDLED;
  list_push(&connection->pending, &exchange->_link);
}

/* After `handle` the exchange may be gone already: nothing of it is looked at. */
static void dispatch(struct connection *connection, struct exchange *exchange) {
  struct hub *hub = connection->hub;
  connection->continue_due = false;
  enqueue(connection, exchange);
  hub->counts.requests++;
  bool is_preflight = preflight_is_due(exchange);
  if (LIKELY(exchange->_matched == MATCH_FOUND && !is_preflight)) {
    hub->calls.handle(exchange);
    return;
  }
  if (is_preflight) {
    hub->counts.refused++;
    preflight_respond(exchange);
    exchange_release(exchange);
  } else if (!static_serve(exchange)) {
    answer_unmatched(exchange);
  }
}

/* Hands the request out before its body has come. */
static void stream(struct connection *connection, struct exchange *exchange) {
  connection->streamed = exchange;
  enqueue(connection, exchange);
  connection->hub->counts.requests++;
  connection->hub->calls.handle(exchange);
}

static bool is_full(const struct connection *connection) {
  return connection->pending_count >= connection->hub->limits->pipeline_max ||
         connection->out.len > OUTPUT_PAUSE_BYTES;
}

static int on_message_complete(llhttp_t *parser) {
  struct connection *connection = parser->data;
  if (UNLIKELY(connection->last_read)) return HPE_PAUSED;
  if (parser->flags & F_CHUNKED) {
    int status = skip_chunk_lines(connection, connection->input_end);
    if (status == 0 && !chunk_lines_is_done(&connection->chunk_lines)) status = STATUS_BAD_REQUEST;
    if (status) return refuse(connection, status);
  }
  struct exchange *streamed = connection->streamed;
  struct exchange *exchange = streamed ? streamed : connection->incoming;
  if (!exchange->request.keep_alive || exchange->_closes || connection->hub->_draining)
    connection->last_read = true;
  if (LIKELY(!streamed)) {
    dispatch(connection, exchange);
  } else {
    connection->streamed = NULL;
    connection->clogged = false; /* nothing more of this body comes */
    exchange->body = EXCHANGE_BODY_WHOLE;
    connection->hub->calls.body(exchange);
  }
  if (connection->last_read) return HPE_PAUSED;
  /* The parser has its own mind about Connection (and reads it in trailers). */
  parser->flags = (uint16_t)((parser->flags | F_CONNECTION_KEEP_ALIVE) & ~F_CONNECTION_CLOSE);
  if (!is_full(connection)) return GO_ON;
  connection->paused = true;
  return HPE_PAUSED;
}

void reader_start(struct connection *connection) {
  static const llhttp_settings_t settings = {.on_message_begin = on_message_begin,
                                             .on_method = on_method,
                                             .on_url = on_url,
                                             .on_header_field = on_header_field,
                                             .on_header_value = on_header_value,
                                             .on_headers_complete = on_headers_complete,
                                             .on_body = on_body,
                                             .on_chunk_header = on_chunk_header,
                                             .on_message_complete = on_message_complete};
  llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
  connection->parser.data = connection;
}

/* RFC 9110 5.6.2; what a method is made of. */
static bool is_token_byte(char byte) {
  if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return true;
  return byte != '\0' && strchr("!#$%&'*+-.^_`|~0123456789", byte) != NULL;
}

/* Goes on with a method that the parser does not know: 501 when it ends as a token does (RFC 9110
 * 9.1), 400 when it turns out to be none. */
static void skip_method(struct connection *connection, const char *at, bool is_begun) {
  const char *end = connection->input_end;
  const char *start = at;
  while (at < end && is_token_byte(*at)) at++;
  connection->method_unknown = at == end;
  if (connection->method_unknown) return;
  bool is_token = *at == ' ' && (is_begun || at > start);
  reader_refuse(connection, is_token ? STATUS_NOT_IMPLEMENTED : STATUS_BAD_REQUEST);
}

static void refuse_method(struct connection *connection, const char *at, const char *data) {
  struct request *request = &connection->incoming->request;
  bool is_begun = request->head.len > 0 || (at > data && is_token_byte(at[-1]));
  request_pause(request, &connection->hub->limits->head, connection->input_end);
  skip_method(connection, at, is_begun);
}

/* A version that is none of those the parser knows, but looks like one. */
static bool is_other_version(const llhttp_t *parser, llhttp_errno_t error) {
  return error == HPE_INVALID_VERSION &&
         strcmp(llhttp_get_error_reason(parser), "Invalid HTTP version") == 0;
}

/* The status for what the parser itself refused. */
static int status_of_error(const llhttp_t *parser, llhttp_errno_t error) {
  bool is_version = error == HPE_PAUSED_H2_UPGRADE || is_other_version(parser, error);
  return is_version ? STATUS_HTTP_VERSION_NOT_SUPPORTED : STATUS_BAD_REQUEST;
}

void reader_end_body(struct connection *connection) {
  connection->streamed->body = EXCHANGE_BODY_BROKEN;
  connection->streamed = NULL;
  connection->clogged = connection->continue_due = false;
  connection->last_read = true;
}

void reader_break_body(struct connection *connection, int status) {
  struct exchange *exchange = connection->streamed;
  reader_end_body(connection);
  exchange->body_status = status;
  exchange->_closes = true;
  connection->hub->calls.body(exchange);
}

void reader_refuse(struct connection *connection, int status) {
  if (connection->streamed) {
    reader_break_body(connection, status);
    return;
  }
  struct exchange *exchange = connection->incoming;
  if (!exchange) exchange = exchange_take(connection->hub, connection);
  connection->last_read = true;
  connection->continue_due = false;
  connection->hub->counts.refused++;
  exchange->_closes = true;
  if (connection->incoming && !connection->head_done) {
    if (exchange->request.target_len > 0)
      exchange->request.method = method_of(connection->parser.method);
    request_break(&exchange->request);
  }
  if (!connection->incoming || !connection->head_done) {
    exchange->request.uri = (struct uri_target){0};
    exchange->_matched = MATCH_NONE;
  }
  enqueue(connection, exchange);
  answer_status(exchange, status);
}

/* All of the input was parsed: nothing of it is kept by pointer. */
static void leave_input(struct connection *connection) {
  const char *end = connection->input_end;
  int status = 0;
  if (connection->last_read) return;
  if (connection->incoming && !connection->head_done)
    status = request_pause(&connection->incoming->request, &connection->hub->limits->head, end);
  else if (connection->parser.flags & F_CHUNKED)
    status = skip_chunk_lines(connection, end);
  else if (!connection->incoming && !connection->streamed && !skip_empty_lines(connection, end))
    status = STATUS_BAD_REQUEST;
  if (status) reader_refuse(connection, status);
}

static void parse(struct connection *connection, const char *data, size_t len);

/* The parser refuses a tab behind a length, which RFC 9112 5.1 allows, and versions 1.2 to 1.9,
 * which RFC 9110 2.5 wants taken for 1.1: the head is parsed again with that byte rewritten. `at`
 * is where the parser stopped. False when it was something else. */
static bool amend(struct connection *connection, llhttp_errno_t error, const char *at) {
  const llhttp_t *parser = &connection->parser;
  bool is_minor = is_other_version(parser, error) && parser->http_major == 1;
  bool is_tab = error == HPE_INVALID_CONTENT_LENGTH && at < connection->input_end && *at == '\t';
  if ((!is_minor && !is_tab) || !connection->incoming || connection->head_done) return false;
  if (connection->amended_bytes++ == AMENDED_BYTES_MAX) return false;
  struct request *request = &connection->incoming->request;
  const char *end = connection->input_end;
  const char *changed = is_minor ? at - 1 : at;
  request_pause(request, &connection->hub->limits->head, changed);
  struct buffer again = {0};
  buffer_add(&again, request->head.data, request->head.len);
  buffer_add_byte(&again, is_minor ? '1' : ' ');
  buffer_add(&again, changed + 1, (size_t)(end - changed - 1));
  request_clear(request);
  reader_start(connection);
  parse(connection, again.data, again.len);
  buffer_finish(&again);
  return true;
}

static void parse(struct connection *connection, const char *data, size_t len) {
  llhttp_t *parser = &connection->parser;
  connection->unread = data;
  connection->input_end = data + len;
  connection->refusal = 0;
  llhttp_errno_t error = llhttp_execute(parser, data, len);
  if (LIKELY(error == HPE_OK)) {
    leave_input(connection);
  } else if (connection->refusal) {
    reader_refuse(connection, connection->refusal);
  } else if (error == HPE_PAUSED) {
    const char *at = llhttp_get_error_pos(parser);
    llhttp_resume(parser);
    if (connection->paused) buffer_add(&connection->rest, at, (size_t)(data + len - at));
  } else if (error == HPE_INVALID_METHOD) {
    refuse_method(connection, llhttp_get_error_pos(parser), data);
  } else if (!amend(connection, error, llhttp_get_error_pos(parser))) {
    reader_refuse(connection, status_of_error(parser, error));
  }
}

void reader_feed(struct connection *connection, const char *data, size_t len) {
  assert(!connection->last_read && !connection->paused);
  if (UNLIKELY(connection->method_unknown)) {
    connection->input_end = data + len;
    skip_method(connection, data, true);
    return;
  }
  if (connection->streamed) {
    connection->since_ns = hub_now(connection->hub);
  } else if (connection->incoming) {
    if (connection->head_done)
      connection->since_ns = hub_now(connection->hub);
    else
      request_resume(&connection->incoming->request, data);
  }
  parse(connection, data, len);
}

void reader_resume(struct connection *connection) {
  connection->paused = false;
  struct buffer rest = connection->rest;
  connection->rest = (struct buffer){0};
  if (rest.len && !connection->last_read) reader_feed(connection, rest.data, rest.len);
  buffer_finish(&rest);
}
