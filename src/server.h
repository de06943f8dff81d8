/* server.h - serving an app until a signal ends it: `perilune serve`.
 *
 * Builds HTTP workers from settings, starts, drains and stops them; says what it waits for. */
#ifndef SERVER_H
#define SERVER_H

struct program;

/* [owner] Serves the app in `dir` (absolute) on the calling, main, thread; gives the exit code. A
 * start that fails has said why in one line on standard error. */
int server_run(struct program *program, const char *dir);

#endif
