/* server_signals.c - handles of libuv, and the mask that new threads inherit.
 *
 * The list of signals stands here once. */
#include "server_signals.h"

#include <pthread.h>
#include <signal.h>

static const int numbers[SERVER_SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGUSR1};

void server_signals_start(struct server_signals *signals, uv_loop_t *loop, uv_signal_cb take,
                          void *owner) {
  for (size_t i = 0; i < SERVER_SIGNAL_COUNT; i++) {
    uv_signal_init(loop, &signals->handles[i]);
    signals->handles[i].data = owner;
    uv_signal_start(&signals->handles[i], take, numbers[i]);
  }
}

static void set_mask(int how) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < SERVER_SIGNAL_COUNT; i++) sigaddset(&set, numbers[i]);
  pthread_sigmask(how, &set, NULL);
}

void server_signals_block(void) {
  set_mask(SIG_BLOCK);
}

void server_signals_unblock(void) {
  set_mask(SIG_UNBLOCK);
}

void server_signals_end(struct server_signals *signals) {
  server_signals_block();
  for (size_t i = 0; i < SERVER_SIGNAL_COUNT; i++)
    uv_close((uv_handle_t *)&signals->handles[i], NULL);
}

uv_err server_signals_create_thread(uv_thread_t *thread, void (*entry)(void *context),
                                    void *context) {
  server_signals_block();
  uv_err error = uv_thread_create(thread, entry, context);
  server_signals_unblock();
  return error;
}
