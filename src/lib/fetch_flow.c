/* fetch_flow.c - curl's callbacks for what is sent and received, and pausing them.
 *
 * While pieces of the request are still being sent the response is never paused: a server that
 * answers as it reads would wait for us, and we for it. */
#include "lib/fetch_flow.h"

#include <string.h>
#include <strings.h>

enum { STATUS_FINAL_MIN = 200, STATUS_REDIRECT_MIN = 300, STATUS_ERROR_MIN = 400 };

/* ---- what comes back ---- */

static long status_of(const struct fetch *fetch) {
  long status = 0;
  curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

static void begin_head(struct fetch *fetch) {
  /* See Other is always asked for with GET (RFC 9110, 15.4.4), whatever method was set. */
  if (status_of(fetch) == 303) curl_easy_setopt(fetch->easy, CURLOPT_CUSTOMREQUEST, NULL);
  buffer_clear(&fetch->head);
  buffer_clear(&fetch->body);
  fetch->in_head = true;
  fetch->has_location = false;
}

static void end_head(struct fetch *fetch) {
  long status = status_of(fetch);
  bool is_redirect = status >= STATUS_REDIRECT_MIN && status < STATUS_ERROR_MIN;
  bool is_followed = is_redirect && fetch->has_location && fetch->request.redirects_max > 0;
  fetch->in_head = false;
  if (status >= STATUS_FINAL_MIN && !is_followed)
    fetch_note_head(fetch, status >= STATUS_ERROR_MIN);
}

static void note_location(struct fetch *fetch, const char *line, size_t len) {
  static const char name[] = "location:";
  size_t at = sizeof name - 1;
  if (len < at || strncasecmp(line, name, at) != 0) return;
  while (at < len && strchr(" \t\r\n", line[at])) at++;
  fetch->has_location = at < len;
}

/* CURLOPT_HEADERFUNCTION: each line of each response, of redirects and 1xx too, then trailers. */
static size_t take_header_line(char *line, size_t size, size_t count, void *context) {
  struct fetch *fetch = context;
  size_t len = size * count;
  if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
    begin_head(fetch);
    return len;
  }
  if (!fetch->in_head) return len;
  fetch->too_large = fetch->head.len + len > HTTP_RESPONSE_HEAD_BYTES_MAX;
  if (fetch->too_large) return 0;
  if (*line == '\r' || *line == '\n') {
    end_head(fetch);
  } else {
    note_location(fetch, line, len);
    buffer_add(&fetch->head, line, len);
  }
  return len;
}

/* CURLOPT_WRITEFUNCTION */
static size_t take_body(char *data, size_t size, size_t count, void *context) {
  struct fetch *fetch = context;
  size_t len = size * count;
  bool may_pause = fetch->request.stream && fetch->gave_all;
  if (may_pause && fetch->body.len >= HTTP_PAUSE_BYTES) {
    fetch->is_clogged = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  fetch->too_large = len > fetch->request.body_bytes_max - fetch->body_bytes;
  if (fetch->too_large) return 0;
  buffer_add(&fetch->body, data, len);
  fetch->body_bytes += len;
  if (fetch->request.stream) fetch_wake(fetch);
  return len;
}

/* ---- what is sent ---- */

/* CURLOPT_READFUNCTION, of pieces */
static size_t give_body(char *out, size_t size, size_t count, void *context) {
  struct fetch *fetch = context;
  size_t room = size * count, left = fetch->sent.len - fetch->sent_at;
  if (left == 0 && fetch->gave_all) return 0;
  if (left == 0) {
    fetch->wants_piece = true;
    fetch_wake(fetch);
    return CURL_READFUNC_PAUSE;
  }
  size_t len = left < room ? left : room;
  memcpy(out, fetch->sent.data + fetch->sent_at, len);
  fetch->sent_at += len;
  return len;
}

/* CURLOPT_PREREQFUNCTION */
static int note_connection(void *context, char *to, char *from, int to_port, int from_port) {
  (void)to;
  (void)from;
  (void)to_port;
  (void)from_port;
  fetch_note_connection(context);
  return CURL_PREREQFUNC_OK;
}

unsigned fetch_flow_set(struct fetch *fetch) {
  CURL *easy = fetch->easy;
  unsigned bad = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header_line);
  bad |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
  bad |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
  bad |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
  bad |= curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, note_connection);
  bad |= curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
  if (fetch->request.body != FETCH_BODY_PIECES) return bad;
  bad |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
  bad |= curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
  return bad;
}

/* ---- going on ---- */

static int paused_receiving(const struct fetch *fetch) {
  return fetch->is_clogged ? CURLPAUSE_RECV : 0;
}

static void unpause(struct fetch *fetch) {
  if (!fetch->is_running) return;
  int paused = paused_receiving(fetch);
  if (fetch->wants_piece || fetch->wants_file) paused |= CURLPAUSE_SEND;
  CURLcode code = curl_easy_pause(fetch->easy, paused);
  if (code) fetch_end(fetch, code);
}

void fetch_flow_give(struct fetch *fetch, const char *data, size_t len) {
  buffer_clear(&fetch->sent);
  buffer_add(&fetch->sent, data, len);
  fetch->sent_at = 0;
  fetch->given += len;
  fetch->wants_piece = false;
  unpause(fetch);
}

void fetch_flow_give_end(struct fetch *fetch) {
  fetch->gave_all = true;
  fetch->wants_piece = false;
  unpause(fetch);
}

void fetch_flow_go_on(struct fetch *fetch) {
  if (!fetch->wants_file) return;
  /* Behind the head of a part curl only remembers that it is to pause, and would not forget it. */
  if (fetch->is_running) curl_easy_pause(fetch->easy, CURLPAUSE_SEND | paused_receiving(fetch));
  fetch->wants_file = false;
  unpause(fetch);
}

void fetch_flow_resume(struct fetch *fetch) {
  buffer_clear(&fetch->body);
  if (!fetch->is_clogged) return;
  fetch->is_clogged = false;
  unpause(fetch);
}
