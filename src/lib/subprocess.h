/* subprocess.h - a program that runs in a process group of its own, with pipes to it.
 *
 * libuv starts it, reads what it writes, up to a limit, and tells of its end; no Lua here. Whatever
 * way it ends, nothing of its group is left: what still runs then is killed. The memory, and the
 * child until it has been waited for, belong to the loop: the owner may drop it at any moment. */
#ifndef LIB_SUBPROCESS_H
#define LIB_SUBPROCESS_H

#include "base/buffer.h"
#include "core/fiber.h"

#include <uv.h>

enum subprocess_output { SUBPROCESS_STDOUT, SUBPROCESS_STDERR, SUBPROCESS_OUTPUTS };

struct subprocess_command {
  char **args;       /* the program and its arguments, ended by NULL */
  char **env;        /* ended by NULL; NULL: that of this process */
  const char *cwd;   /* NULL: that of this process */
  bool has_input;    /* else its standard input is /dev/null */
  size_t output_max; /* bytes of each output */
};

struct subprocess {
  bool has_ended;                   /* it has been waited for, and its outputs read */
  bool has_timed_out;               /* it was killed by its time limit */
  bool is_writing;                  /* the last piece of input has not been taken */
  bool takes_input;                 /* false once the input has ended or nobody reads it */
  bool is_full[SUBPROCESS_OUTPUTS]; /* it was killed: it wrote more than output_max */
  int64_t code;
  int signal; /* that ended it; 0: it exited with `code` */
  struct buffer outputs[SUBPROCESS_OUTPUTS];

  struct ticket ticket;  /* woken when a piece has been taken and when it has ended */
  struct scope *feeding; /* cancelled when the program exits; NULL: none */

  /* From here on for subprocess.c only. */
  struct worker *_worker;
  uv_process_t _process;
  uv_pipe_t _pipes[SUBPROCESS_OUTPUTS];
  uv_pipe_t _input;
  uv_write_t _write;
  size_t _output_max;
  unsigned _handles;      /* that are not closed */
  unsigned _open_outputs; /* that have not been read to their end */
  uv_pid_t _group;        /* 0: it needs no more signals */
  bool _has_exited, _dropped, _ends_input, _holds;
  struct timer _linger, _limit;
  struct timers *_limit_timers;
};

/* [owner] Starts a program; NULL and `error` when it cannot be started. It belongs to the caller
 * until subprocess_drop. */
struct subprocess *subprocess_start(struct worker *worker, const struct subprocess_command *command,
                                    uv_err *error);

/* [owner] Gives it a piece of its input, which must live as long as `is_writing`; none other may be
 * under way. */
void subprocess_write(struct subprocess *subprocess, const char *data, size_t len);

/* [owner] Its input ends, behind a piece that is under way. */
void subprocess_end_input(struct subprocess *subprocess);

/* [owner] Kills it when the clock reaches `due_ns`. */
void subprocess_limit(struct subprocess *subprocess, struct timers *timers, uint64_t due_ns);

/* [owner] Kills it if it still runs, and frees it once it has been waited for. Accepts NULL. */
void subprocess_drop(struct subprocess *subprocess);

#endif
