/* log.c - formats a line of the log and writes it.
 *
 * Text comes from requests and apps, so it is hostile: all of it goes through escape.h. */
#include "base/log.h"

#include "base/base.h"
#include "base/buffer.h"
#include "base/escape.h"
#include "base/limits.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define TRACEBACK_KEY    "traceback"
#define TRACEBACK_INDENT "    "

enum { TIME_BYTES = 64, NUMBER_BYTES = 32, NS_PER_MS = 1000000 };

static const char *const level_names[] = {
    [LOG_DEBUG] = "debug",
    [LOG_INFO] = "info",
    [LOG_WARN] = "warn",
    [LOG_ERROR] = "error",
};

/* As ECMA-48 numbers them: grey, green, yellow, red. */
static const char *const level_colours[] = {
    [LOG_DEBUG] = "90",
    [LOG_INFO] = "32",
    [LOG_WARN] = "33",
    [LOG_ERROR] = "31",
};

enum log_format log_choose_format(enum log_format format, bool is_terminal) {
  if (format != LOG_FORMAT_AUTO) return format;
  return is_terminal ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
}

void log_init(struct log *log, int fd, enum log_format format, enum log_level level) {
  assert(fd >= 0 && (size_t)level < array_len(level_names));
  *log = (struct log){.fd = fd, .format = log_choose_format(format, isatty(fd)), .level = level};
}

/* --- text lines --------------------------------------------------------------------------------*/

/* Whether a value can stand behind key= as it is. */
static bool is_bare(const char *text, size_t len) {
  if (len == 0) return false;
  for (size_t i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (byte <= ' ' || byte >= 0x7F || strchr("\"=\\", byte)) return false;
  }
  return true;
}

static void add_text_key(struct buffer *line, const char *key) {
  for (; *key; key++) {
    unsigned char byte = (unsigned char)*key;
    bool is_plain = byte > ' ' && byte < 0x7F && !strchr("\"=\\", byte);
    buffer_add_byte(line, is_plain ? (char)byte : '_');
  }
}

/* The shortest of two forms that reads back as the same number. */
static void add_number(struct buffer *line, double number) {
  char text[NUMBER_BYTES];
  snprintf(text, sizeof text, "%.15g", number);
  if (strtod(text, NULL) != number) snprintf(text, sizeof text, "%.17g", number);
  buffer_add_text(line, text);
}

static void add_text_value(struct buffer *line, const struct log_field *field) {
  switch (field->kind) {
  case LOG_KIND_INTEGER:
    buffer_printf(line, "%" PRId64, field->integer);
    return;
  case LOG_KIND_NUMBER:
    add_number(line, field->number);
    return;
  case LOG_KIND_BOOLEAN:
    buffer_add_text(line, field->boolean ? "true" : "false");
    return;
  case LOG_KIND_JSON:
    escape_add(line, field->text.data, field->text.len, ESCAPE_TEXT);
    return;
  case LOG_KIND_TEXT:
    break;
  }
  bool is_quoted = !is_bare(field->text.data, field->text.len);
  if (is_quoted) buffer_add_byte(line, '"');
  escape_add(line, field->text.data, field->text.len, is_quoted ? ESCAPE_QUOTED : ESCAPE_TEXT);
  if (is_quoted) buffer_add_byte(line, '"');
}

static bool is_traceback(const struct log_field *field) {
  return field->kind == LOG_KIND_TEXT && strcmp(field->key, TRACEBACK_KEY) == 0;
}

/* Each line of a traceback on a line of its own, indented so that none looks like an event. */
static void add_traceback(struct buffer *line, const char *text, size_t len) {
  size_t cut = len > LOG_VALUE_BYTES_MAX ? len - LOG_VALUE_BYTES_MAX : 0;
  const char *end = text + len - cut;
  while (text < end) {
    const char *newline = memchr(text, '\n', (size_t)(end - text));
    const char *stop = newline ? newline : end;
    buffer_add_text(line, TRACEBACK_INDENT);
    for (; text < stop && *text == '\t'; text++) buffer_add_text(line, TRACEBACK_INDENT);
    escape_add(line, text, (size_t)(stop - text), ESCAPE_TEXT);
    buffer_add_byte(line, '\n');
    text = stop + 1;
  }
  if (cut) buffer_printf(line, TRACEBACK_INDENT "...[+%zu bytes]\n", cut);
}

static void add_text_line(struct buffer *line, const char *time, bool is_coloured,
                          enum log_level level, const char *message, const struct log_field *fields,
                          size_t count) {
  if (is_coloured)
    buffer_printf(line, "%s \033[%sm%-5s\033[0m ", time, level_colours[level], level_names[level]);
  else
    buffer_printf(line, "%s %-5s ", time, level_names[level]);
  escape_add(line, message, strlen(message), ESCAPE_TEXT);
  for (size_t i = 0; i < count; i++) {
    if (is_traceback(&fields[i])) continue;
    buffer_add_byte(line, ' ');
    add_text_key(line, fields[i].key);
    buffer_add_byte(line, '=');
    add_text_value(line, &fields[i]);
  }
  buffer_add_byte(line, '\n');
  for (size_t i = 0; i < count; i++) {
    if (is_traceback(&fields[i])) add_traceback(line, fields[i].text.data, fields[i].text.len);
  }
}

/* --- JSON lines --------------------------------------------------------------------------------*/

static void add_json_string(struct buffer *line, const char *text, size_t len) {
  buffer_add_byte(line, '"');
  escape_add(line, text, len, ESCAPE_JSON);
  buffer_add_byte(line, '"');
}

/* A field may not pose as one of the line's own members: "level" becomes "level_". */
static void add_json_key(struct buffer *line, const char *key) {
  static const char *const own[] = {"time", "level", "message"};
  bool is_own = false;
  for (size_t i = 0; i < array_len(own); i++) is_own |= strcmp(key, own[i]) == 0;
  add_json_string(line, key, strlen(key));
  if (!is_own) return;
  line->len--;
  buffer_add_text(line, "_\"");
}

static void add_json_value(struct buffer *line, const struct log_field *field) {
  switch (field->kind) {
  case LOG_KIND_INTEGER:
  case LOG_KIND_BOOLEAN:
    add_text_value(line, field);
    return;
  case LOG_KIND_NUMBER:
    if (!isfinite(field->number)) buffer_add_byte(line, '"');
    add_number(line, field->number);
    if (!isfinite(field->number)) buffer_add_byte(line, '"');
    return;
  case LOG_KIND_JSON:
    buffer_add(line, field->text.data, field->text.len);
    return;
  case LOG_KIND_TEXT:
    add_json_string(line, field->text.data, field->text.len);
    return;
  }
}

static void add_json_line(struct buffer *line, const char *time, enum log_level level,
                          const char *message, const struct log_field *fields, size_t count) {
  buffer_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time, level_names[level]);
  add_json_string(line, message, strlen(message));
  for (size_t i = 0; i < count; i++) {
    buffer_add_byte(line, ',');
    add_json_key(line, fields[i].key);
    buffer_add_byte(line, ':');
    add_json_value(line, &fields[i]);
  }
  buffer_add_text(line, "}\n");
}

/* --- out ---------------------------------------------------------------------------------------*/

/* "2026-11-21T01:15:09.123Z" (RFC 3339, UTC). */
static void format_now(char out[static TIME_BYTES]) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t len = strftime(out, TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(out + len, TIME_BYTES - len, ".%03dZ", (int)(now.tv_nsec / NS_PER_MS));
}

static void write_all(int fd, const char *data, size_t len) {
  while (len > 0) {
    ssize_t written = write(fd, data, len);
    if (written > 0) {
      data += written;
      len -= (size_t)written;
    } else if (written < 0 && errno == EAGAIN) {
      struct pollfd full = {.fd = fd, .events = POLLOUT};
      if (poll(&full, 1, LOG_WAIT_MS) == 0) return;
    } else if (written == 0 || errno != EINTR) {
      return;
    }
  }
}

void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t count) {
  assert((size_t)level < array_len(level_names));
  if (!log_enabled(log, level)) return;
  int saved_errno = errno;
  char now[TIME_BYTES];
  format_now(now);
  struct buffer line = {0};
  if (log->format == LOG_FORMAT_JSON)
    add_json_line(&line, now, level, message, fields, count);
  else
    add_text_line(&line, now, log->is_coloured, level, message, fields, count);
  if (log->post)
    log->post(log->context, line.data, line.len);
  else
    write_all(log->fd, line.data, line.len);
  buffer_finish(&line);
  errno = saved_errno;
}
