/* client_retry.c - the rules of sending again.
 *
 * A method that changes something each time is sent again only where the caller says so, and what
 * a function has given cannot be had again. No attempt begins past the time of the whole. */
#include "lib/client_retry.h"

#include "core/worker.h"
#include "http/date.h"
#include "lib/curl_code.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static bool is_idempotent(const char *method) {
  static const char *const names[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
  for (size_t i = 0; i < array_len(names); i++) {
    if (strcmp(method, names[i]) == 0) return true;
  }
  return false;
}

static bool is_used_up(const struct fetch *fetch) {
  return fetch->request.body == FETCH_BODY_PIECES && (fetch->given > 0 || fetch->gave_all);
}

static bool may_pass(const struct fetch *fetch) {
  long status = 0;
  if (fetch->outcome == FETCH_TIMED_OUT && !fetch->has_head)
    return fetch->limit != FETCH_LIMIT_TOTAL;
  if (fetch->outcome == FETCH_ENDED && fetch->code != CURLE_OK)
    return curl_code_may_pass(fetch->code);
  curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
  return status >= 502 && status <= 504;
}

/* The value of Retry-After in the head; empty when there is none. */
static struct slice find_retry_after(const struct fetch *fetch) {
  static const char name[] = "retry-after:";
  const char *at = fetch->head.data, *end = at + fetch->head.len;
  while (at && at < end) {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    if (!line_end) line_end = end;
    if ((size_t)(line_end - at) > sizeof name && strncasecmp(at, name, sizeof name - 1) == 0) {
      at += sizeof name - 1;
      while (at < line_end && isspace((unsigned char)*at)) at++;
      while (line_end > at && isspace((unsigned char)line_end[-1])) line_end--;
      return (struct slice){at, (size_t)(line_end - at)};
    }
    at = line_end + 1;
  }
  return (struct slice){"", 0};
}

/* Seconds that the server wants to be left alone; 0 when it says nothing. */
static double read_retry_after(const struct fetch *fetch) {
  struct slice text = find_retry_after(fetch);
  int64_t now = (int64_t)time(NULL), then;
  if (text.len == 0) return 0;
  if (isdigit((unsigned char)*text.data)) return strtod(text.data, NULL);
  if (!date_parse(text, now, &then) || then < now) return 0;
  return (double)(then - now);
}

bool client_retry_is_due(const struct client_retry *retry, const struct fetch *fetch,
                         lua_Integer attempt, const struct fiber *fiber, uint64_t *wait_ns) {
  if (attempt > retry->count || is_used_up(fetch) || !may_pass(fetch)) return false;
  if (!retry->unsafe && !is_idempotent(fetch->request.method)) return false;
  double wait_s = backoff_wait(&retry->backoff, fiber, attempt), wanted_s = read_retry_after(fetch);
  if (wanted_s > wait_s) wait_s = wanted_s;
  double left_s = (double)(fetch->deadline_ns - timers_now(&fiber->worker->timers)) / 1e9;
  if (wait_s > left_s && !timers_is_manual(fiber->timers)) return false;
  if (wait_s > 1e9) return false;
  *wait_ns = (uint64_t)(wait_s * (double)NS_PER_SECOND);
  return true;
}
