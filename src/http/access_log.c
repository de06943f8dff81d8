/* access_log.c - formatting lines of the access log without printf.
 *
 * This runs once for every request: the time is formatted once a second, everything else is copied.
 * A request that was refused may have next to nothing: what is missing is "-" in text, and not
 * there in JSON. */
#include "http/access_log.h"

#include "base/escape.h"
#include "base/limits.h"
#include "core/line_writer.h"
#include "http/exchange.h"
#include "http/field.h"
#include "http/hub.h"

#include <assert.h>

enum { NS_PER_US = 1000, US_PER_MS = 1000, MS_DIGITS = 3, DIGITS_MAX = 20, ID_DIGITS = 16 };

#define ADD(lines, literal) buffer_add((lines), (literal), sizeof(literal) - 1)

/* What both forms say of a request. */
struct line {
  const struct request *request;
  const struct access_log_end *end;
  struct proxy_client client;
  struct slice target, host, referer, agent;
  uint64_t id;
  uint64_t now_ms; /* of the second */
};

static void add_number(struct buffer *lines, uint64_t number) {
  char digits[DIGITS_MAX];
  char *first = digits + sizeof digits;
  do {
    *--first = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  buffer_add(lines, first, (size_t)(digits + sizeof digits - first));
}

/* Three digits. */
static void add_thousandths(struct buffer *lines, uint64_t number) {
  char digits[MS_DIGITS];
  for (int i = MS_DIGITS - 1; i >= 0; i--, number /= 10) digits[i] = (char)('0' + number % 10);
  buffer_add(lines, digits, sizeof digits);
}

/* Milliseconds with their microseconds. */
static void add_duration(struct buffer *lines, uint64_t took_ns) {
  uint64_t us = took_ns / NS_PER_US;
  add_number(lines, us / US_PER_MS);
  buffer_add_byte(lines, '.');
  add_thousandths(lines, us % US_PER_MS);
}

static void add_id(struct buffer *lines, uint64_t id) {
  char digits[ID_DIGITS];
  for (int i = ID_DIGITS - 1; i >= 0; i--, id >>= 4) digits[i] = "0123456789abcdef"[id & 15];
  buffer_add(lines, digits, sizeof digits);
}

/* The time up to the second, in the form of the log. */
static void refresh_time(struct access_log *log, time_t second) {
  struct tm parts;
  if (second == log->_second) return;
  log->_second = second;
  gmtime_r(&second, &parts);
  const char *form =
      log->format == LOG_FORMAT_JSON ? "%Y-%m-%dT%H:%M:%S." : "%d/%b/%Y:%H:%M:%S +0000";
  size_t len = strftime(log->_time, sizeof log->_time, form, &parts);
  assert(len > 0);
  (void)len;
}

static struct slice find_field(const struct request *request, struct slice name) {
  size_t i = request_find(request, name, 0);
  return i < request->field_count ? request_field_value(request, i) : (struct slice){"", 0};
}

static void collect(struct line *line, const struct exchange *exchange,
                    const struct access_log_end *end) {
  const struct request *request = &exchange->request;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  line->request = request;
  line->end = end;
  line->id = exchange->id;
  exchange_find_client(exchange, &line->client);
  line->target = request_target(request);
  line->host = line->client.host;
  if (line->host.len == 0) line->host = request->uri.authority;
  if (line->host.len == 0) line->host = find_field(request, FIELD_TEXT("host"));
  line->referer = find_field(request, FIELD_TEXT("referer"));
  line->agent = find_field(request, FIELD_TEXT("user-agent"));
  refresh_time(exchange->hub->access_log, now.tv_sec);
  line->now_ms = (uint64_t)now.tv_nsec / NS_PER_MS;
}

/* ---- text ---- */

static void add_quoted(struct buffer *lines, struct slice text) {
  buffer_add_byte(lines, '"');
  if (text.len > 0)
    escape_add(lines, text.data, text.len, ESCAPE_QUOTED);
  else
    buffer_add_byte(lines, '-');
  buffer_add_byte(lines, '"');
}

static void add_request_line(struct buffer *lines, const struct line *line) {
  const struct request *request = line->request;
  if (line->target.len == 0) {
    ADD(lines, "\"-\"");
    return;
  }
  buffer_add_byte(lines, '"');
  buffer_add_text(lines, method_name(request->method));
  buffer_add_byte(lines, ' ');
  escape_add(lines, line->target.data, line->target.len, ESCAPE_QUOTED);
  buffer_add_text(lines, request->minor == 0 ? " HTTP/1.0\"" : " HTTP/1.1\"");
}

static void add_text(struct access_log *log, const struct line *line) {
  struct buffer *lines = &log->_lines;
  const struct access_log_end *end = line->end;
  buffer_add_text(lines, *line->client.address ? line->client.address : "-");
  ADD(lines, " - - [");
  buffer_add_text(lines, log->_time);
  ADD(lines, "] ");
  add_request_line(lines, line);
  buffer_add_byte(lines, ' ');
  add_number(lines, (uint64_t)end->status);
  buffer_add_byte(lines, ' ');
  add_number(lines, end->body_bytes);
  buffer_add_byte(lines, ' ');
  add_quoted(lines, line->referer);
  buffer_add_byte(lines, ' ');
  add_quoted(lines, line->agent);
  ADD(lines, " host=");
  add_quoted(lines, line->host);
  buffer_add_text(lines, line->client.is_https ? " scheme=https ms=" : " scheme=http ms=");
  add_duration(lines, end->took_ns);
  if (line->id) {
    ADD(lines, " request=");
    add_id(lines, line->id);
  }
  ADD(lines, " worker=");
  add_number(lines, (uint64_t)log->worker);
  if (!end->is_delivered) ADD(lines, " delivered=false");
  buffer_add_byte(lines, '\n');
}

/* ---- JSON ---- */

/* `start` is ",\"name\":\"". */
static void add_member(struct buffer *lines, const char *start, struct slice text) {
  if (text.len == 0) return;
  buffer_add_text(lines, start);
  escape_add(lines, text.data, text.len, ESCAPE_JSON);
  buffer_add_byte(lines, '"');
}

static void add_json(struct access_log *log, const struct line *line) {
  struct buffer *lines = &log->_lines;
  const struct access_log_end *end = line->end;
  const char *address = line->client.address;
  ADD(lines, "{\"time\":\"");
  buffer_add_text(lines, log->_time);
  add_thousandths(lines, line->now_ms);
  ADD(lines, "Z\"");
  add_member(lines, ",\"remote_addr\":\"", (struct slice){address, strlen(address)});
  if (line->target.len > 0) {
    ADD(lines, ",\"method\":\"");
    buffer_add_text(lines, method_name(line->request->method));
    buffer_add_byte(lines, '"');
    add_member(lines, ",\"target\":\"", line->target);
    buffer_add_text(lines,
                    line->request->minor == 0 ? ",\"version\":\"1.0\"" : ",\"version\":\"1.1\"");
  }
  ADD(lines, ",\"status\":");
  add_number(lines, (uint64_t)end->status);
  ADD(lines, ",\"bytes\":");
  add_number(lines, end->body_bytes);
  ADD(lines, ",\"ms\":");
  add_duration(lines, end->took_ns);
  add_member(lines, ",\"host\":\"", line->host);
  buffer_add_text(lines, line->client.is_https ? ",\"scheme\":\"https\"" : ",\"scheme\":\"http\"");
  add_member(lines, ",\"referer\":\"", line->referer);
  add_member(lines, ",\"user_agent\":\"", line->agent);
  if (line->id) {
    ADD(lines, ",\"request\":\"");
    add_id(lines, line->id);
    buffer_add_byte(lines, '"');
  }
  ADD(lines, ",\"worker\":");
  add_number(lines, (uint64_t)log->worker);
  buffer_add_text(lines, end->is_delivered ? ",\"delivered\":true}\n" : ",\"delivered\":false}\n");
}

/* ---- */

void access_log_init(struct access_log *log, struct line_writer *writer, enum log_format format,
                     int worker) {
  *log = (struct access_log){.writer = writer, .format = format, .worker = worker, ._second = -1};
}

void access_log_finish(struct access_log *log) {
  if (log->writer) access_log_flush(log);
  buffer_finish(&log->_lines);
}

void access_log_add(struct access_log *log, const struct exchange *exchange,
                    const struct access_log_end *end) {
  struct line line;
  collect(&line, exchange, end);
  if (log->format == LOG_FORMAT_JSON)
    add_json(log, &line);
  else
    add_text(log, &line);
  log->_count++;
  if (log->_lines.len >= LINE_WRITER_HASTE_BYTES) access_log_flush(log);
}

void access_log_flush(struct access_log *log) {
  if (log->_count == 0) return;
  line_writer_post(log->writer, &log->_lines, log->_count);
  log->_count = 0;
}
