/* subprocess.c - uv_spawn, three pipes, and the end of a process group.
 *
 * The program leads a session of its own, so one signal reaches all that it starts and that does
 * not leave the group. libuv resets its signals and their mask, and waits for it on SIGCHLD. The
 * pipes are real ones: libuv's own are sockets, which a program cannot open as /dev/stdout. */
#include "lib/subprocess.h"

#include "base/limits.h"
#include "core/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef __linux__
#  include <linux/close_range.h>
#endif

enum { STDIO_COUNT = 3, FIRST_OTHER_FD = 3 };

/* ---- handles ---- */

static void destroy(struct subprocess *subprocess) {
  for (int i = 0; i < SUBPROCESS_OUTPUTS; i++) buffer_finish(&subprocess->outputs[i]);
  free(subprocess);
}

static void handle_closed(uv_handle_t *handle) {
  struct subprocess *subprocess = handle->data;
  subprocess->_handles--;
  if (subprocess->_dropped && subprocess->_handles == 0) destroy(subprocess);
}

static void close_handle(void *handle) {
  if (!uv_is_closing(handle)) uv_close(handle, handle_closed);
}

/* ---- the end ---- */

static void kill_group(struct subprocess *subprocess) {
  if (subprocess->_group > 0) (void)kill(-subprocess->_group, SIGKILL);
}

static void close_outputs(struct subprocess *subprocess) {
  for (int i = 0; i < SUBPROCESS_OUTPUTS; i++) close_handle(&subprocess->_pipes[i]);
  subprocess->_open_outputs = 0;
}

static void release(struct subprocess *subprocess) {
  if (subprocess->_holds) worker_release(subprocess->_worker);
  subprocess->_holds = false;
}

/* It has exited and its outputs have been read: what it has left behind in its group ends too. */
static void end(struct subprocess *subprocess) {
  if (subprocess->has_ended) return;
  kill_group(subprocess);
  subprocess->_group = 0;
  subprocess->has_ended = true;
  release(subprocess);
  timer_stop(&subprocess->_worker->timers, &subprocess->_linger);
  if (subprocess->_limit_timers) timer_stop(subprocess->_limit_timers, &subprocess->_limit);
  if (!subprocess->_dropped) fiber_wake(subprocess->ticket);
}

/* Somebody else holds an output open. */
static void end_linger(struct timer *timer) {
  struct subprocess *subprocess = container_of(timer, struct subprocess, _linger);
  close_outputs(subprocess);
  end(subprocess);
}

static void process_exited(uv_process_t *process, int64_t code, int signal) {
  struct subprocess *subprocess = process->data;
  struct timers *timers = &subprocess->_worker->timers;
  subprocess->_has_exited = true;
  subprocess->code = code;
  subprocess->signal = signal;
  subprocess->takes_input = false;
  close_handle(process);
  close_handle(&subprocess->_input);
  if (subprocess->feeding) scope_cancel(subprocess->feeding, "the program has ended");
  if (subprocess->_open_outputs == 0)
    end(subprocess);
  else
    timer_start(timers, &subprocess->_linger, timers_now(timers) + PROCESS_LINGER_MS * NS_PER_MS,
                end_linger);
}

static void time_out(struct timer *timer) {
  struct subprocess *subprocess = container_of(timer, struct subprocess, _limit);
  if (subprocess->_has_exited) {
    end_linger(&subprocess->_linger);
    return;
  }
  subprocess->has_timed_out = true;
  kill_group(subprocess);
}

void subprocess_limit(struct subprocess *subprocess, struct timers *timers, uint64_t due_ns) {
  subprocess->_limit_timers = timers;
  timer_start(timers, &subprocess->_limit, due_ns, time_out);
}

/* ---- outputs ---- */

static enum subprocess_output output_of(const struct subprocess *subprocess, const void *pipe) {
  return pipe == &subprocess->_pipes[SUBPROCESS_STDOUT] ? SUBPROCESS_STDOUT : SUBPROCESS_STDERR;
}

/* One byte more than may come tells that there is more. */
static void make_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
  struct subprocess *subprocess = handle->data;
  struct buffer *output = &subprocess->outputs[output_of(subprocess, handle)];
  size_t left = subprocess->_output_max - output->len + 1;
  size_t len = suggested < left ? suggested : left;
  *room = uv_buf_init(buffer_reserve(output, len), (unsigned)len);
}

static void take_output(uv_stream_t *stream, ssize_t len, const uv_buf_t *room) {
  struct subprocess *subprocess = stream->data;
  enum subprocess_output which = output_of(subprocess, stream);
  struct buffer *output = &subprocess->outputs[which];
  (void)room;
  if (len < 0) {
    close_handle(stream);
    subprocess->_open_outputs--;
    if (subprocess->_has_exited && subprocess->_open_outputs == 0) end(subprocess);
    return;
  }
  output->len += (size_t)len;
  if (output->len <= subprocess->_output_max) return;
  output->len = subprocess->_output_max;
  subprocess->is_full[which] = true;
  kill_group(subprocess);
  close_outputs(subprocess);
  if (subprocess->_has_exited) end(subprocess);
}

/* ---- input ---- */

static void close_input(struct subprocess *subprocess) {
  subprocess->takes_input = false;
  close_handle(&subprocess->_input);
}

static void piece_taken(uv_write_t *write, int status) {
  struct subprocess *subprocess = write->handle->data;
  subprocess->is_writing = false;
  if (status < 0 || subprocess->_ends_input) close_input(subprocess);
  if (!subprocess->_dropped) fiber_wake(subprocess->ticket);
}

void subprocess_write(struct subprocess *subprocess, const char *data, size_t len) {
  uv_stream_t *stream = (uv_stream_t *)&subprocess->_input;
  const uv_buf_t piece = {.base = (char *)(uintptr_t)data, .len = len};
  subprocess->is_writing = true;
  if (uv_write(&subprocess->_write, stream, &piece, 1, piece_taken)) {
    subprocess->is_writing = false;
    close_input(subprocess);
  }
}

void subprocess_end_input(struct subprocess *subprocess) {
  subprocess->_ends_input = true;
  if (!subprocess->is_writing) close_input(subprocess);
}

/* ---- the start ---- */

/* Descriptors of C code that never thought of children (curl's sockets, io.open's files) stay here;
 * whoever needs one in a child says so when it starts it. */
static void keep_descriptors(void) {
#if defined(SYS_close_range) && defined(CLOSE_RANGE_CLOEXEC)
  (void)syscall(SYS_close_range, FIRST_OTHER_FD, ~0U, CLOSE_RANGE_CLOEXEC);
#endif
}

/* A new pipe: one end (0: to read, 1: to write) is ours, the other becomes `fd` of the child. */
static uv_err open_pipe(uv_pipe_t *pipe, int ours, int *fd) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return uv_translate_sys_error(errno);
  *fd = ends[1 - ours];
  uv_err error = uv_pipe_open(pipe, ends[ours]);
  if (error) close(ends[ours]);
  return error;
}

static uv_err open_pipes(struct subprocess *subprocess, bool has_input, int fds[STDIO_COUNT]) {
  uv_err error = 0;
  if (has_input) error = open_pipe(&subprocess->_input, 1, &fds[STDIN_FILENO]);
  for (int i = 0; i < SUBPROCESS_OUTPUTS && !error; i++)
    error = open_pipe(&subprocess->_pipes[i], 0, &fds[STDOUT_FILENO + i]);
  return error;
}

static uv_err spawn(struct subprocess *subprocess, const struct subprocess_command *command,
                    const int fds[STDIO_COUNT]) {
  uv_stdio_container_t stdio[STDIO_COUNT];
  for (int i = 0; i < STDIO_COUNT; i++) {
    stdio[i].flags = fds[i] < 0 ? UV_IGNORE : UV_INHERIT_FD;
    stdio[i].data.fd = fds[i];
  }
  const uv_process_options_t options = {.exit_cb = process_exited,
                                        .file = command->args[0],
                                        .args = command->args,
                                        .env = command->env,
                                        .cwd = command->cwd,
                                        .flags = UV_PROCESS_DETACHED,
                                        .stdio_count = STDIO_COUNT,
                                        .stdio = stdio};
  keep_descriptors();
  uv_err error = uv_spawn(&subprocess->_worker->loop, &subprocess->_process, &options);
  subprocess->_handles++;
  if (error)
    close_handle(&subprocess->_process);
  else
    subprocess->_group = subprocess->_process.pid;
  return error;
}

static struct subprocess *create(struct worker *worker, const struct subprocess_command *command) {
  struct subprocess *subprocess = memory_alloc_zero(sizeof *subprocess);
  subprocess->_worker = worker;
  subprocess->_output_max = command->output_max;
  subprocess->takes_input = command->has_input;
  subprocess->_open_outputs = SUBPROCESS_OUTPUTS;
  subprocess->_handles = 1 + SUBPROCESS_OUTPUTS;
  subprocess->_process.data = subprocess->_input.data = subprocess;
  uv_pipe_init(&worker->loop, &subprocess->_input, 0);
  for (int i = 0; i < SUBPROCESS_OUTPUTS; i++) {
    subprocess->_pipes[i].data = subprocess;
    uv_pipe_init(&worker->loop, &subprocess->_pipes[i], 0);
  }
  return subprocess;
}

struct subprocess *subprocess_start(struct worker *worker, const struct subprocess_command *command,
                                    uv_err *error) {
  int fds[STDIO_COUNT] = {-1, -1, -1};
  struct subprocess *subprocess = create(worker, command);
  *error = open_pipes(subprocess, command->has_input, fds);
  if (!*error) *error = spawn(subprocess, command, fds);
  for (int i = 0; i < STDIO_COUNT; i++) {
    if (fds[i] >= 0) close(fds[i]);
  }
  for (int i = 0; i < SUBPROCESS_OUTPUTS && !*error; i++)
    *error = uv_read_start((uv_stream_t *)&subprocess->_pipes[i], make_room, take_output);
  if (!command->has_input) close_handle(&subprocess->_input);
  if (!*error) {
    subprocess->_holds = true;
    worker_hold(subprocess->_worker);
    return subprocess;
  }
  subprocess_drop(subprocess);
  return NULL;
}

void subprocess_drop(struct subprocess *subprocess) {
  if (!subprocess) return;
  kill_group(subprocess);
  timer_stop(&subprocess->_worker->timers, &subprocess->_linger);
  if (subprocess->_limit_timers) timer_stop(subprocess->_limit_timers, &subprocess->_limit);
  subprocess->_limit_timers = NULL;
  subprocess->feeding = NULL;
  subprocess->_dropped = true;
  release(subprocess);
  close_handle(&subprocess->_input);
  close_outputs(subprocess);
  if (subprocess->_handles == 0) destroy(subprocess);
}
