/* failure.h - the log line of what failed for a request.
 *
 * One form for all of them, wherever the failure is noticed: method, target, request, error and,
 * where there are, the handler's place, what to do, cause and traceback. */
#ifndef LIB_FAILURE_H
#define LIB_FAILURE_H

#include "base/base.h"
#include "base/log.h"

struct failure {
  const char *method;
  struct slice target;
  const char *request;   /* its id */
  const char *handler;   /* where its route is written, file:line; may be NULL */
  const char *error;     /* as text */
  const char *kind;      /* of the error; may be NULL */
  const char *cause;     /* the error that was being answered; may be NULL */
  const char *traceback; /* may be NULL */
};

/* [any thread] Writes the line. */
void failure_log(const struct log *log, enum log_level level, const char *message,
                 const struct failure *failure);

#endif
