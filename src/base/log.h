/* log.h - the log of the process: one line for each event, on one descriptor.
 *
 * The process owns one `struct log` (it hangs off struct process and is handed around); there is no
 * default one. It is set up before the first worker starts and read-only from then on, so every
 * thread writes through it without a lock: a line is formatted in the caller's memory and leaves
 * with one write(2), so lines do not mix as far as the kernel keeps writes apart (a pipe: up to 4
 * KiB). Whatever the bytes of a message or field, it stays one line and one field: control
 * characters are escaped, invalid UTF-8 too, the size has a limit.
 * Does not rotate, buffer or open files, and reports no errors: there is nowhere to report them. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* In the order of the values of --log-level (settings.h). */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* In the order of the values of --log-format. */
enum log_format {
  LOG_FORMAT_AUTO, /* text where the lines go to a terminal, else JSON */
  LOG_FORMAT_TEXT, /* 2026-11-21T01:15:09.123Z warn  message key=value key="with space" */
  LOG_FORMAT_JSON, /* {"time":"...","level":"warn","message":"...","key":"value"} */
};

struct log {
  int fd;                 /* borrowed; usually standard error */
  enum log_format format; /* text or JSON */
  enum log_level level;   /* what is below it is not written */
  bool is_coloured;       /* lines of text have their level in colour */

  /* Takes the lines in place of the descriptor; NULL: they are written here (core/log_writer.h). */
  void (*post)(void *context, const char *line, size_t len);
  void *context;

  /* Where lines go that are about the process, not about what it serves; NULL: here as well. */
  const struct log *of_process;
};

enum log_kind { LOG_KIND_TEXT, LOG_KIND_JSON, LOG_KIND_INTEGER, LOG_KIND_NUMBER, LOG_KIND_BOOLEAN };

/* One key with its value; both are borrowed until log_write has returned. The text of a key
 * "traceback" keeps its lines: they stand indented below the line (in JSON: one string). */
struct log_field {
  const char *key;
  enum log_kind kind;
  union {
    struct {
      const char *data;
      size_t len;
    } text; /* of LOG_KIND_JSON, too: JSON in one line */
    int64_t integer;
    double number;
    bool boolean;
  };
};

/* [any thread] The form of lines that go to a terminal, or elsewhere: text or JSON. */
enum log_format log_choose_format(enum log_format format, bool is_terminal);

/* [owner] A log that writes to `fd` what has at least `level`. Owns nothing: no finish. */
void log_init(struct log *log, int fd, enum log_format format, enum log_level level);

/* [any thread] Writes one line; nothing when `level` is below the log's. `fields` may be NULL when
 * count is 0. Without `post` it waits while the descriptor is full (LOG_WAIT_MS at most if it does
 * not block); on any other error the line is lost. errno is kept. */
void log_write(const struct log *log, enum log_level level, const char *message,
               const struct log_field *fields, size_t count);

/* [any thread] Whether log_write would write; to spare the making of costly fields. */
static inline bool log_enabled(const struct log *log, enum log_level level) {
  return level >= log->level;
}

/* [any thread] The log for a line about the process as a whole. */
static inline const struct log *log_of_process(const struct log *log) {
  return log->of_process ? log->of_process : log;
}

static inline struct log_field log_bytes(const char *key, const char *data, size_t len) {
  return (struct log_field){.key = key, .kind = LOG_KIND_TEXT, .text = {data, len}};
}

static inline struct log_field log_json(const char *key, const char *data, size_t len) {
  return (struct log_field){.key = key, .kind = LOG_KIND_JSON, .text = {data, len}};
}

static inline struct log_field log_text(const char *key, const char *text) {
  return log_bytes(key, text, strlen(text));
}

static inline struct log_field log_integer(const char *key, int64_t integer) {
  return (struct log_field){.key = key, .kind = LOG_KIND_INTEGER, .integer = integer};
}

static inline struct log_field log_number(const char *key, double number) {
  return (struct log_field){.key = key, .kind = LOG_KIND_NUMBER, .number = number};
}

static inline struct log_field log_boolean(const char *key, bool boolean) {
  return (struct log_field){.key = key, .kind = LOG_KIND_BOOLEAN, .boolean = boolean};
}

#endif
