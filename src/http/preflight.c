/* preflight.c - from a verdict of cors.c to a response.
 *
 * The fields that every response to the origin has (Access-Control-Allow-Origin, Vary) come from
 * policy.c, as for all others. */
#include "http/preflight.h"

#include "http/hub.h"
#include "http/status.h"

bool preflight_is_due(const struct exchange *exchange) {
  const struct policy *policy = exchange->hub->policy;
  return policy && policy_cors(policy) && cors_is_preflight(&exchange->request);
}

static void refuse(struct exchange *exchange, const char *why) {
  static const char json[] = "Content-Type: application/json\r\n";
  struct buffer body = {0};
  buffer_printf(&body, "{\"detail\":\"%s\"}", why);
  struct response response = {
      .status = STATUS_FORBIDDEN, .block = {json, sizeof json - 1}, .body = {body.data, body.len}};
  exchange_respond(exchange, &response);
  buffer_finish(&body);
}

void preflight_respond(struct exchange *exchange) {
  struct buffer block = {0};
  const char *why = cors_judge(policy_cors(exchange->hub->policy), &exchange->request, &block);
  if (why) {
    refuse(exchange, why);
  } else {
    struct response response = {.status = STATUS_NO_CONTENT, .block = {block.data, block.len}};
    exchange_respond(exchange, &response);
  }
  buffer_finish(&block);
}
