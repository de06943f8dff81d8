/* answer.c - the server's own answers, and whom to ask for them.
 *
 * What a request that is answered here is known of is left as it is: the app sees it. */
#include "http/answer.h"

#include "http/hub.h"
#include "http/method.h"
#include "http/status.h"

#include <assert.h>

static const struct slice nothing = {"", 0};

static struct slice write_methods(char out[ANSWER_ALLOW_BYTES], uint32_t methods) {
  struct buffer text = {.data = out, .cap = ANSWER_ALLOW_BYTES};
  for (unsigned method = 0; method < METHOD_UNKNOWN; method++) {
    if (!(methods & method_bit((enum method)method))) continue;
    if (text.len > 0) buffer_add_text(&text, ", ");
    buffer_add_text(&text, method_name((enum method)method));
  }
  assert(text.data == out && "the names of all methods fit");
  return (struct slice){text.data, text.len};
}

/* Answers with a field Allow. */
static void respond_methods(struct exchange *exchange, int status, uint32_t methods) {
  char names[ANSWER_ALLOW_BYTES];
  struct slice allowed = write_methods(names, methods);
  struct buffer field = {0};
  buffer_printf(&field, "Allow: %.*s\r\n", (int)allowed.len, allowed.data);
  struct slice block = {field.data, field.len};
  struct response response = {.status = status, .block = block};
  if (status == STATUS_NO_CONTENT)
    exchange_respond(exchange, &response);
  else
    exchange_respond_status(exchange, status, block);
  buffer_finish(&field);
}

/* 308 to the path with or without its last slash; the query stays. */
static void redirect_slash(struct exchange *exchange) {
  struct slice path = exchange->request.uri.path, query = exchange->request.uri.query;
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

/* Clients take "//x" and "/\x" for another host. */
static bool is_to_other_host(struct slice path) {
  return path.len > 1 && (path.data[1] == '/' || path.data[1] == '\\');
}

void answer_unmatched(struct exchange *exchange) {
  const struct request *request = &exchange->request;
  const uint32_t routable = method_bit(METHOD_ROUTABLE_COUNT) - 1;
  exchange->hub->counts.refused++;
  switch (exchange->_matched) {
  case MATCH_FOUND:
    assert(false && "a route was found");
    return;
  case MATCH_NONE:
    if (*request->uri.path.data != '*' || request->method != METHOD_OPTIONS) {
      answer_status(exchange, STATUS_NOT_FOUND);
      return;
    }
    respond_methods(exchange, STATUS_NO_CONTENT, routable);
    break;
  case MATCH_METHOD:
    answer_status(exchange, STATUS_METHOD_NOT_ALLOWED);
    return;
  case MATCH_OPTIONS:
    respond_methods(exchange, STATUS_NO_CONTENT, exchange->match.allowed);
    break;
  case MATCH_SLASH:
    if (is_to_other_host(request->uri.path)) {
      answer_status(exchange, STATUS_NOT_FOUND);
      return;
    }
    redirect_slash(exchange);
    break;
  }
  exchange_release(exchange);
}

void answer_status(struct exchange *exchange, int status) {
  const struct hub *hub = exchange->hub;
  assert(status >= HUB_STATUS_MIN && status <= STATUS_FINAL_MAX);
  exchange->status = status;
  if (UNLIKELY(hub->statuses && hub->statuses[status - HUB_STATUS_MIN])) {
    exchange->match.param_count = 0;
    buffer_clear(&exchange->request.body);
    hub->calls.handle(exchange);
    return;
  }
  answer_default(exchange);
  exchange_release(exchange);
}

void answer_default(struct exchange *exchange) {
  if (exchange->status == STATUS_METHOD_NOT_ALLOWED)
    respond_methods(exchange, exchange->status, exchange->match.allowed);
  else
    exchange_respond_status(exchange, exchange->status, nothing);
}

struct slice answer_allow(const struct exchange *exchange, char out[ANSWER_ALLOW_BYTES]) {
  if (exchange->status != STATUS_METHOD_NOT_ALLOWED) return nothing;
  return write_methods(out, exchange->match.allowed);
}
