/* server_signals.h - the signals that a server takes, on the main thread alone.
 *
 * SIGINT and SIGTERM end the server, SIGUSR1 opens the access log again, as nginx has it. Other
 * threads are started with them blocked. */
#ifndef SERVER_SIGNALS_H
#define SERVER_SIGNALS_H

#include "base/base.h"

#include <uv.h>

enum { SERVER_SIGNAL_COUNT = 3 };

struct server_signals {
  uv_signal_t handles[SERVER_SIGNAL_COUNT];
};

/* [owner] Starts to take them: `take` is called in the loop, with `owner` as the handle's data. */
void server_signals_start(struct server_signals *signals, uv_loop_t *loop, uv_signal_cb take,
                          void *owner);

/* [owner] What comes from now on comes too late to change anything. */
void server_signals_end(struct server_signals *signals);

/* [owner] Blocks them, or lets them through again, for threads that are started meanwhile. */
void server_signals_block(void);
void server_signals_unblock(void);

/* [owner] Starts a thread with them blocked. */
uv_err server_signals_create_thread(uv_thread_t *thread, void (*entry)(void *context),
                                    void *context);

#endif
