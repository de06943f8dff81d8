/* server.h - serving an app until a signal ends it: `perilune serve` and `perilune dev`.
 *
 * Binds the sockets, takes the signals, and starts and ends what is loaded of the app. */
#ifndef SERVER_H
#define SERVER_H

#include "base/buffer.h"

#include <stdbool.h>

struct program;

/* An app that is being developed: it is loaded anew whenever its files change. */
struct server_develop {
  /* Reads conf.lua again: the app's settings, encoded, or false and what is wrong. */
  bool (*read_settings)(void *context, struct buffer *app_settings, struct buffer *problem);
  void *context;
};

/* [owner] Serves the app in `dir` (absolute) on the calling, main, thread; gives the exit code. A
 * start that fails has said why in one line on standard error. `develop` may be NULL. */
int server_run(struct program *program, const char *dir, const struct server_develop *develop);

#endif
