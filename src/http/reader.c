/* reader.c - llhttp's callbacks, and what is decided about a request before any handler runs.
 *
 * Callbacks record into the incoming exchange; a callback that refuses sets connection.refusal and
 * ends the parse. A complete request is handed out in on_message_complete, so many pipelined ones
 * take one call of the parser. Does not read, write or time. */
#include "http/reader.h"

#include "base/limits.h"
#include "http/connection.h"
#include "http/router.h"
#include "http/status.h"

#include <assert.h>
#include <string.h>

/* llhttp 8 decides at compile time whether it is strict; the loose half lets blanks into names. */
#if LLHTTP_VERSION_MAJOR < 9
static_assert(LLHTTP_STRICT_MODE, "compile llhttp and this file with -DLLHTTP_STRICT_MODE=1");
#endif

enum { STOP = -1, GO_ON = 0, ALLOW_BYTES = 96 };

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
  assert(!connection->incoming);
  connection->incoming = exchange_take(connection->hub, connection);
  connection->head_done = false;
  connection->chunk_extra_bytes = 0;
  connection->since_ns = hub_now(connection->hub);
  return GO_ON;
}

static int add(struct connection *connection, enum request_part part, const char *at, size_t len) {
  int status =
      request_add(&connection->incoming->request, &connection->hub->limits->head, part, at, len);
  return LIKELY(status == 0) ? GO_ON : refuse(connection, status);
}

static int on_url(llhttp_t *parser, const char *at, size_t len) {
  return add(parser->data, REQUEST_TARGET, at, len);
}

/* Trailers and chunk extensions are not used, but may not be endless either. */
static int count_extra(llhttp_t *parser, const char *at, size_t len) {
  (void)at;
  struct connection *connection = parser->data;
  connection->chunk_extra_bytes += (uint32_t)len;
  if (connection->chunk_extra_bytes <= CHUNK_EXTRA_BYTES_MAX) return GO_ON;
  return refuse(connection, STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len) {
  struct connection *connection = parser->data;
  if (UNLIKELY(connection->head_done)) return count_extra(parser, at, len);
  return add(connection, REQUEST_NAME, at, len);
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len) {
  struct connection *connection = parser->data;
  if (UNLIKELY(connection->head_done)) return count_extra(parser, at, len);
  return add(connection, REQUEST_VALUE, at, len);
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

/* What the head promises of the body: 0, or the status to refuse with. */
static int check_body(struct connection *connection) {
  const llhttp_t *parser = &connection->parser;
  struct exchange *exchange = connection->incoming;
  const struct hub_route *route = route_of(exchange);
  bool is_chunked = parser->flags & F_CHUNKED;
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
    exchange->_closes = true; /* the body may come or not: the connection cannot go on */
    return 0;
  }
  connection->continue_due = true;
  connection_touch(connection);
  return 0;
}

static void stream(struct connection *connection, struct exchange *exchange);

static int on_headers_complete(llhttp_t *parser) {
  struct connection *connection = parser->data;
  struct exchange *exchange = connection->incoming;
  struct request *request = &exchange->request;
  parser->upgrade = 0; /* no Upgrade is supported, so it is ignored: RFC 9110 7.8 */
  if (parser->http_major != 1 || parser->http_minor > 1)
    return refuse(connection, STATUS_HTTP_VERSION_NOT_SUPPORTED);
  request->minor = parser->http_minor;
  request->keep_alive = llhttp_should_keep_alive(parser);
  request->method = method_of(parser->method);
  if (request->method == METHOD_UNKNOWN) return refuse(connection, STATUS_NOT_IMPLEMENTED);
  int status = request_end(request);
  if (UNLIKELY(status != 0)) return refuse(connection, status);
  connection->head_done = true;
  connection->since_ns = hub_now(connection->hub);
  struct slice path = request->uri.path;
  exchange->_matched =
      router_match(connection->hub->router, request->method, path.data, path.len, &exchange->match);
  status = check_body(connection);
  if (UNLIKELY(status != 0)) return refuse(connection, status);
  if (UNLIKELY(exchange->body == EXCHANGE_BODY_COMING)) stream(connection, exchange);
  return UNLIKELY(connection->last_read) ? HPE_PAUSED : GO_ON;
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
  if (UNLIKELY(connection->streamed != NULL)) return pass_body(connection, at, len);
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

static struct slice write_allow(char out[ALLOW_BYTES], uint32_t allowed) {
  struct buffer line = {.data = out, .cap = ALLOW_BYTES};
  const char *separator = "Allow: ";
  for (unsigned method = 0; method < METHOD_UNKNOWN; method++) {
    if (!(allowed & method_bit((enum method)method))) continue;
    buffer_add_text(&line, separator);
    buffer_add_text(&line, method_name((enum method)method));
    separator = ", ";
  }
  buffer_add_text(&line, "\r\n");
  assert(line.data == out && "the longest Allow fits");
  return (struct slice){line.data, line.len};
}

/* 308 to the path with or without its last slash; the query stays. */
static void redirect_slash(struct exchange *exchange) {
  struct slice path = exchange->request.uri.path, query = exchange->request.uri.query;
  /* Clients take "//x" and "/\x" for another host. */
  bool is_to_other_host = path.len > 1 && (path.data[1] == '/' || path.data[1] == '\\');
  if (is_to_other_host) {
    exchange_respond_status(exchange, STATUS_NOT_FOUND, (struct slice){"", 0});
    return;
  }
  struct buffer field = {0};
  buffer_add_text(&field, "Location: ");
  if (path.data[path.len - 1] == '/') {
    buffer_add(&field, path.data, path.len - 1);
  } else {
    buffer_add(&field, path.data, path.len);
    buffer_add_byte(&field, '/');
  }
  if (query.len) buffer_add_byte(&field, '?');
  buffer_add(&field, query.data, query.len);
  buffer_add_text(&field, "\r\n");
  struct response response = {.status = STATUS_PERMANENT_REDIRECT,
                              .block = {field.data, field.len}};
  exchange_respond(exchange, &response);
  buffer_finish(&field);
}

static void respond_options(struct exchange *exchange, uint32_t allowed) {
  char allow[ALLOW_BYTES];
  struct response response = {.status = STATUS_NO_CONTENT, .block = write_allow(allow, allowed)};
  exchange_respond(exchange, &response);
}

/* Answers a good request that has no route. */
static void respond_unmatched(struct exchange *exchange) {
  static const struct slice nothing = {"", 0};
  char allow[ALLOW_BYTES];
  const uint32_t routable = method_bit(METHOD_ROUTABLE_COUNT) - 1;
  switch (exchange->_matched) {
  case MATCH_FOUND:
    assert(false && "a route was found");
    break;
  case MATCH_NONE:
    if (*exchange->request.uri.path.data == '*' && exchange->request.method == METHOD_OPTIONS)
      respond_options(exchange, routable);
    else
      exchange_respond_status(exchange, STATUS_NOT_FOUND, nothing);
    break;
  case MATCH_METHOD:
    exchange_respond_status(exchange, STATUS_METHOD_NOT_ALLOWED,
                            write_allow(allow, exchange->match.allowed));
    break;
  case MATCH_OPTIONS:
    respond_options(exchange, exchange->match.allowed);
    break;
  case MATCH_SLASH:
    redirect_slash(exchange);
    break;
  }
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
  if (LIKELY(exchange->_matched == MATCH_FOUND)) {
    hub->calls.handle(exchange);
    return;
  }
  hub->counts.refused++;
  respond_unmatched(exchange);
  exchange_release(exchange);
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
  struct exchange *streamed = connection->streamed;
  struct exchange *exchange = streamed ? streamed : connection->incoming;
  if (!exchange->request.keep_alive || exchange->_closes || connection->hub->_draining)
    connection->last_read = true;
  if (LIKELY(!streamed)) {
    dispatch(connection, exchange);
  } else {
    connection->streamed = NULL;
    exchange->body = EXCHANGE_BODY_WHOLE;
    connection->hub->calls.body(exchange);
  }
  if (connection->last_read) return HPE_PAUSED;
  if (!is_full(connection)) return GO_ON;
  connection->paused = true;
  return HPE_PAUSED;
}

void reader_start(struct connection *connection) {
  static const llhttp_settings_t settings = {.on_message_begin = on_message_begin,
                                             .on_url = on_url,
                                             .on_header_field = on_header_field,
                                             .on_header_value = on_header_value,
                                             .on_headers_complete = on_headers_complete,
                                             .on_body = on_body,
                                             .on_chunk_extension_name = count_extra,
                                             .on_chunk_extension_value = count_extra,
                                             .on_message_complete = on_message_complete};
  llhttp_init(&connection->parser, HTTP_REQUEST, &settings);
  connection->parser.data = connection;
}

/* RFC 9110 5.6.2; what a method is made of. */
static bool is_token_byte(char byte) {
  if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z')) return true;
  return byte != '\0' && strchr("!#$%&'*+-.^_`|~0123456789", byte) != NULL;
}

/* The status for what the parser itself refused at `at`. */
static int status_of_error(const llhttp_t *parser, llhttp_errno_t error, const char *at,
                           const char *end) {
  if (error == HPE_INVALID_METHOD && at && at < end && is_token_byte(*at))
    return STATUS_NOT_IMPLEMENTED;
  if (error == HPE_PAUSED_H2_UPGRADE) return STATUS_HTTP_VERSION_NOT_SUPPORTED;
  /* Other versions that look like one; what looks like none has another reason. */
  if (error == HPE_INVALID_VERSION &&
      strcmp(llhttp_get_error_reason(parser), "Invalid HTTP version") == 0)
    return STATUS_HTTP_VERSION_NOT_SUPPORTED;
  return STATUS_BAD_REQUEST;
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
  enqueue(connection, exchange);
  exchange_respond_status(exchange, status, (struct slice){"", 0});
  exchange_release(exchange);
}

/* The input has ended inside a head: keeps the window's bytes. */
static void pause_head(struct connection *connection, const char *end) {
  if (!connection->incoming || connection->head_done) return;
  int status = request_pause(&connection->incoming->request, &connection->hub->limits->head, end);
  if (status) reader_refuse(connection, status);
}

void reader_feed(struct connection *connection, const char *data, size_t len) {
  llhttp_t *parser = &connection->parser;
  assert(!connection->last_read && !connection->paused);
  if (connection->streamed) {
    connection->since_ns = hub_now(connection->hub);
  } else if (connection->incoming) {
    if (connection->head_done)
      connection->since_ns = hub_now(connection->hub);
    else
      request_resume(&connection->incoming->request, data);
  }
  connection->refusal = 0;
  llhttp_errno_t error = llhttp_execute(parser, data, len);
  if (LIKELY(error == HPE_OK)) {
    pause_head(connection, data + len);
  } else if (connection->refusal) {
    reader_refuse(connection, connection->refusal);
  } else if (error == HPE_PAUSED) {
    const char *at = llhttp_get_error_pos(parser);
    llhttp_resume(parser);
    if (connection->paused) buffer_add(&connection->rest, at, (size_t)(data + len - at));
  } else {
    reader_refuse(connection,
                  status_of_error(parser, error, llhttp_get_error_pos(parser), data + len));
  }
}

void reader_resume(struct connection *connection) {
  connection->paused = false;
  struct buffer rest = connection->rest;
  connection->rest = (struct buffer){0};
  if (rest.len && !connection->last_read) reader_feed(connection, rest.data, rest.len);
  buffer_finish(&rest);
}
