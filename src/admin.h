/* admin.h - the admin endpoint: GET /-/health and GET /-/metrics on an address of its own.
 *
 * Served on the loop of the main thread, in C, so it answers whatever the workers do, from before
 * the app is loaded until the last of them has ended. Knows nothing of servers: it asks its source.
 * It is for those who run the server, not for the open internet: no access control, no TLS. */
#ifndef ADMIN_H
#define ADMIN_H

#include "base/buffer.h"
#include "core/timer.h"

#include <stdbool.h>
#include <uv.h>

#define ADMIN_MESSAGE_BYTES 640

struct admin;
struct log;

/* Whom it asks, on the loop's thread. */
struct admin_source {
  void *context;
  /* "ok", or why the process should get no requests: "starting", "draining". */
  const char *(*health)(void *context);
  /* Appends the metrics. */
  void (*write_metrics)(void *context, struct buffer *out);
};

/* [owner] Listens on `endpoint` ("host:port") and says so in the log. NULL on error, and `message`
 * is one line. The caller owns it; loop and timers outlive it. */
struct admin *admin_create(const char *endpoint, const struct admin_source *source, uv_loop_t *loop,
                           struct timers *timers, struct log *log,
                           char message[ADMIN_MESSAGE_BYTES]);

/* [owner] Writes what a turn of the loop has answered; at the end of each turn. Accepts NULL. */
void admin_flush(struct admin *admin);

/* [owner] Closes all its connections; the loop must run until admin_is_closed. Accepts NULL. */
void admin_close(struct admin *admin);

/* [owner] Whether it may be destroyed. Accepts NULL. */
bool admin_is_closed(const struct admin *admin);

/* [owner] Frees it once it is closed; accepts NULL. */
void admin_destroy(struct admin *admin);

#endif
