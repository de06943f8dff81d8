/* process.c - process.run: feeding a program, waiting for it, and its end as a result or an error.
 *
 * The run is a userdata with a closer: whatever ends the call, the program does not outlive it. A
 * function that feeds the program runs in the caller's own fiber, inside a scope that is cancelled
 * when the program exits: so nobody waits for a piece that nobody would read. */
#include "lib/process.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "core/worker.h"
#include "lib/process_command.h"
#include "lib/signal_name.h"

#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_CLASS "perilune.process.run"

/* Stack slots of the call. */
enum { AT_TABLE = 1, AT_RUN, AT_COMMAND, AT_REST = AT_COMMAND + PROCESS_COMMAND_VALUES };

/* Bytes of a line of standard error in a message. */
enum { LINE_BYTES_MAX = 200 };

struct run {
  struct process_command command;
  struct subprocess *subprocess;
  struct scope feeding;
};

static int release(lua_State *L) {
  struct run *run = lua_touserdata(L, 1);
  scope_pop(&run->feeding);
  subprocess_drop(run->subprocess);
  run->subprocess = NULL;
  return 0;
}

static struct run *push_run(lua_State *L) {
  struct run *run = lua_newuserdatauv(L, sizeof *run, 0);
  *run = (struct run){0};
  luaL_setmetatable(L, RUN_CLASS);
  return run;
}

/* ---- errors ---- */

static const char *program_name(const struct run *run) {
  return run->command.start.args[0];
}

/* The end of standard error, from a whole character on. */
static struct slice tail_of(const struct run *run) {
  const struct buffer *output = &run->subprocess->outputs[SUBPROCESS_STDERR];
  if (output->len <= PROCESS_TAIL_BYTES_MAX) return (struct slice){output->data, output->len};
  const char *end = output->data + output->len, *at = end - PROCESS_TAIL_BYTES_MAX;
  while (at < end && ((unsigned char)*at & 0xC0) == 0x80) at++;
  return (struct slice){at, (size_t)(end - at)};
}

/* Gives the error on top the command, how it ended, and what it said; raises it. */
static NO_RETURN void raise_with_end(lua_State *L, const struct run *run) {
  const struct subprocess *subprocess = run->subprocess;
  struct slice tail = tail_of(run);
  lua_pushvalue(L, AT_COMMAND);
  lua_setfield(L, -2, "command");
  if (subprocess->signal)
    signal_name_push(L, subprocess->signal);
  else
    lua_pushinteger(L, (lua_Integer)subprocess->code);
  lua_setfield(L, -2, subprocess->signal ? "signal" : "code");
  lua_pushlstring(L, tail.data ? tail.data : "", tail.len);
  lua_setfield(L, -2, "stderr");
  lua_error(L);
  __builtin_unreachable();
}

static NO_RETURN void raise_timeout(lua_State *L, const struct run *run) {
  lua_Number seconds = (lua_Number)run->command.timeout_ns / (lua_Number)NS_PER_SECOND;
  error_push(L, "timeout", "%s: killed, it has not ended within %f s", program_name(run), seconds);
  raise_with_end(L, run);
}

static NO_RETURN void raise_full(lua_State *L, const struct run *run) {
  bool is_stdout = run->subprocess->is_full[SUBPROCESS_STDOUT];
  error_push(L, "process", "%s: killed, it wrote more than %I bytes to standard %s (max_output)",
             program_name(run), (LUAI_UACINT)run->command.start.output_max,
             is_stdout ? "output" : "error");
  lua_pushstring(L, is_stdout ? "stdout" : "stderr");
  lua_setfield(L, -2, "limited");
  raise_with_end(L, run);
}

/* Pushes ": " and the last line of standard error that is not blank; "" when there is none. */
static void push_last_line(lua_State *L, const struct run *run) {
  struct slice tail = tail_of(run);
  while (tail.len > 0 && strchr(" \t\r\n", tail.data[tail.len - 1])) tail.len--;
  const char *line = tail.len > 0 ? memrchr(tail.data, '\n', tail.len) : NULL;
  const char *start = line ? line + 1 : tail.data;
  size_t len = tail.len > 0 ? (size_t)(tail.data + tail.len - start) : 0;
  lua_pushstring(L, len > 0 ? ": " : "");
  lua_pushlstring(L, len > 0 ? start : "", len > LINE_BYTES_MAX ? LINE_BYTES_MAX : len);
  lua_concat(L, 2);
}

static NO_RETURN void raise_failure(lua_State *L, const struct run *run) {
  const struct subprocess *subprocess = run->subprocess;
  push_last_line(L, run);
  const char *line = lua_tostring(L, -1);
  if (subprocess->signal) {
    signal_name_push(L, subprocess->signal);
    error_push(L, "process", "%s: ended by %s%s", program_name(run), lua_tostring(L, -1), line);
  } else {
    error_push(L, "process", "%s: exit code %d%s", program_name(run), (int)subprocess->code, line);
  }
  raise_with_end(L, run);
}

static bool is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static NO_RETURN void raise_not_started(lua_State *L, const struct run *run, uv_err error) {
  const char *cwd = run->command.start.cwd, *name = program_name(run);
  const char *reason = uv_strerror(error);
  if (cwd && !is_directory(cwd))
    reason = lua_pushfstring(L, "there is no directory %s", cwd);
  else if (error == UV_ENOENT && !strchr(name, '/'))
    reason = "there is no such program on PATH";
  else if (error == UV_ENOENT)
    reason = "there is no such program, or the interpreter that its first line names is missing";
  error_push(L, "process", "cannot run \"%s\": %s (%s)", name, reason, uv_err_name(error));
  lua_pushstring(L, uv_err_name(error));
  lua_setfield(L, -2, "code");
  lua_pushvalue(L, AT_COMMAND);
  lua_setfield(L, -2, "command");
  lua_error(L);
  __builtin_unreachable();
}

/* ---- the end ---- */

static int push_result(lua_State *L, const struct subprocess *subprocess) {
  static const char *const names[] = {"stdout", "stderr"};
  lua_createtable(L, 0, 3);
  for (int i = 0; i < SUBPROCESS_OUTPUTS; i++) {
    const struct buffer *output = &subprocess->outputs[i];
    lua_pushlstring(L, output->len > 0 ? output->data : "", output->len);
    lua_setfield(L, -2, names[i]);
  }
  if (subprocess->signal)
    signal_name_push(L, subprocess->signal);
  else
    lua_pushinteger(L, (lua_Integer)subprocess->code);
  lua_setfield(L, -2, subprocess->signal ? "signal" : "code");
  return 1;
}

static int finish(lua_State *L, const struct run *run) {
  const struct subprocess *subprocess = run->subprocess;
  if (subprocess->has_timed_out) raise_timeout(L, run);
  for (int i = 0; i < SUBPROCESS_OUTPUTS; i++) {
    if (subprocess->is_full[i]) raise_full(L, run);
  }
  bool has_failed = subprocess->signal != 0 || subprocess->code != 0;
  if (run->command.checks && has_failed) raise_failure(L, run);
  return push_result(L, subprocess);
}

static int woken(lua_State *L, int status, lua_KContext context);

static lua_nret wait_for_end(lua_State *L, struct run *run) {
  if (run->subprocess->has_ended) return finish(L, run);
  struct fiber *fiber = fiber_begin_wait(L, "process.run");
  run->subprocess->ticket = fiber_ticket(fiber);
  return fiber_park(L, fiber, "a program", (lua_KContext)run, woken);
}

static int woken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return wait_for_end(L, (struct run *)context);
}

/* ---- feeding; stack: 1 the function, 2 the piece ---- */

static lua_nret feed_on(lua_State *L, struct run *run);

static int piece_taken(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return feed_on(L, (struct run *)context);
}

/* Says at the line that called process.run what is wrong with the piece. */
static NO_RETURN void raise_bad_piece(lua_State *L) {
  luaL_where(L, 2);
  lua_pushfstring(L, "the function of \"stdin\" gives strings, and nil at the end, not a %s",
                  luaL_typename(L, 2));
  lua_concat(L, 2);
  lua_error(L);
  __builtin_unreachable();
}

static int piece_given(lua_State *L, int status, lua_KContext context) {
  struct run *run = (struct run *)context;
  size_t len;
  (void)status;
  if (lua_isnil(L, 2)) return 0;
  const char *piece = lua_tolstring(L, 2, &len);
  if (!piece) raise_bad_piece(L);
  if (!run->subprocess->takes_input) return 0;
  struct fiber *fiber = fiber_begin_wait(L, "process.run");
  if (len == 0) return fiber_pause(L, "a program", context, piece_taken);
  subprocess_write(run->subprocess, piece, len);
  run->subprocess->ticket = fiber_ticket(fiber);
  return fiber_park(L, fiber, "a program to read", context, piece_taken);
}

static lua_nret feed_on(lua_State *L, struct run *run) {
  if (!run->subprocess->takes_input) return 0;
  lua_settop(L, 1);
  lua_pushvalue(L, 1);
  lua_callk(L, 0, 1, (lua_KContext)run, piece_given);
  return piece_given(L, LUA_OK, (lua_KContext)run);
}

static int feed(lua_State *L) {
  struct run *run = lua_touserdata(L, 2);
  return feed_on(L, run);
}

/* That the program has ended is no error of who feeds it. */
static int fed(lua_State *L, int status, lua_KContext context) {
  struct run *run = (struct run *)context;
  bool is_over = run->feeding.cause == SCOPE_CANCELLED;
  run->subprocess->feeding = NULL;
  scope_pop(&run->feeding);
  bool has_failed = status != LUA_OK && status != LUA_YIELD;
  if (has_failed && !(is_over && error_is(L, -1, "cancelled"))) return lua_error(L);
  subprocess_end_input(run->subprocess);
  lua_settop(L, AT_REST);
  return wait_for_end(L, run);
}

/* The function is on top. */
static lua_nret feed_by_function(lua_State *L, struct run *run) {
  scope_push(fiber_running(L), &run->feeding, 0, false);
  run->subprocess->feeding = &run->feeding;
  lua_pushcfunction(L, fiber_save_trail);
  lua_pushcfunction(L, feed);
  lua_rotate(L, -3, -1);
  lua_pushlightuserdata(L, run);
  int handler = lua_gettop(L) - 3;
  lua_KContext context = (lua_KContext)run;
  return fed(L, lua_pcallk(L, 2, 0, handler, context, fed), context);
}

/* ---- the start ---- */

static lua_nret start(lua_State *L, struct run *run) {
  struct fiber *fiber = fiber_running(L);
  uv_err error;
  run->subprocess = subprocess_start(worker_of(L), &run->command.start, &error);
  if (!run->subprocess) raise_not_started(L, run, error);
  run->subprocess->ticket = fiber_ticket(fiber);
  if (run->command.timeout_ns > 0)
    subprocess_limit(run->subprocess, fiber->timers,
                     timers_now(fiber->timers) + run->command.timeout_ns);
  int type = lua_getfield(L, AT_TABLE, "stdin");
  if (type == LUA_TFUNCTION) return feed_by_function(L, run);
  if (type == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    if (len > 0) subprocess_write(run->subprocess, text, len);
    subprocess_end_input(run->subprocess);
  }
  return wait_for_end(L, run);
}

static int start_paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return start(L, (struct run *)context);
}

/* process.run { "program", arguments..., options } -> { code=, signal=, stdout=, stderr= } */
static int run_program(lua_State *L) {
  if (lua_gettop(L) > 1) return luaL_error(L, "use a dot: process.run { \"program\", ... }");
  luaL_checktype(L, AT_TABLE, LUA_TTABLE);
  struct run *run = push_run(L);
  lua_toclose(L, AT_RUN);
  process_command_read(L, &run->command);
  fiber_begin_wait(L, "process.run");
  lua_KContext context = (lua_KContext)run;
  if (fiber_must_pause(L)) return fiber_pause(L, "process.run", context, start_paused);
  return start(L, run);
}

int process_open(lua_State *L) {
  static const luaL_Reg closers[] = {{"__gc", release}, {"__close", release}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"run", run_program}, {NULL, NULL}};
  luaL_newmetatable(L, RUN_CLASS);
  luaL_setfuncs(L, closers, 0);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
