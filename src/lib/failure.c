/* failure.c - the log line of what failed for a request.
 *
 * Fields come in one order; those that are missing are left out. */
#include "lib/failure.h"

enum { FIELDS = 6 };

void failure_log(const struct log *log, enum log_level level, const char *message,
                 const struct failure *failure) {
  struct log_field fields[FIELDS] = {
      log_text("method", failure->method),
      log_bytes("target", failure->target.data, failure->target.len),
      log_text("request", failure->request),
      log_text("error", failure->error),
  };
  size_t count = 4;
  if (failure->cause) fields[count++] = log_text("cause", failure->cause);
  if (failure->traceback) fields[count++] = log_text("traceback", failure->traceback);
  log_write(log, level, message, fields, count);
}
