/* failure.c - the log line of what failed for a request.
 *
 * Fields come in one order; those that are missing are left out. */
#include "lib/failure.h"

#include <string.h>

enum { FIELDS = 8 };

/* What to do about errors whose message cannot say it, or NULL. */
static const char *find_advice(const char *kind) {
  if (!kind || strcmp(kind, "transfer") != 0) return NULL;
  return "each state has its own: open files and connections in the function that uses them, and "
         "send it names and ids";
}

void failure_log(const struct log *log, enum log_level level, const char *message,
                 const struct failure *failure) {
  struct log_field fields[FIELDS] = {
      log_text("method", failure->method),
      log_bytes("target", failure->target.data, failure->target.len),
      log_text("request", failure->request),
      log_text("error", failure->error),
  };
  size_t count = 4;
  const char *advice = find_advice(failure->kind);
  if (failure->handler) fields[count++] = log_text("handler", failure->handler);
  if (advice) fields[count++] = log_text("advice", advice);
  if (failure->cause) fields[count++] = log_text("cause", failure->cause);
  if (failure->traceback) fields[count++] = log_text("traceback", failure->traceback);
  log_write(log, level, message, fields, count);
}
