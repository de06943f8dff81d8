/* program.c - from main to a command and back.
 *
 * Finds the framework's Lua files next to the executable (installed: ../share/perilune/lua; in the
 * source tree: ../lua), so that nothing is built in that moves. */
#include "program.h"

#include "core/clock.h"
#include "core/coverage.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/interrupt.h"
#include "core/log_keeper.h"
#include "core/log_writer.h"
#include "core/opened.h"
#include "core/require.h"
#include "core/snapshot.h"
#include "core/stress.h"
#include "core/transfer.h"
#include "lib/command.h"
#include "lib/deadlock.h"
#include "lib/spool.h"
#include "lib/sqlite_registry.h"
#include "lib/task_label.h"
#include "libs.h"
#include "roles/http.h"
#include "roles/idle.h"
#include "server.h"

#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* Registry keys in the command line's state: where the framework's Lua files are, and the program
 * as it was called. */
static const char lua_dir_key = 0;
static const char program_key = 0;

/* ---- setting up the process ---- */

static uv_err program_init(lua_State *L, struct program *program) {
  if (STRESS) stress_choose_seed();
  program->process =
      (struct process){.settings = &program->settings,
                       .log = &program->log,
                       .watchdog = &program->watchdog,
                       .directory = &program->directory,
                       .spool = spool_create(),
                       .databases = sqlite_registry_create(&program->directory),
                       .open_libs = libs_open,
                       .write_task = task_label_write,
                       .app_settings = {program->app_settings.data, program->app_settings.len}};
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lua_dir_key);
  program->process.lua_dir = lua_tostring(L, -1); /* the registry keeps it */
  lua_pop(L, 1);
  if (getrandom(program->process.code_key, CODE_KEY_BYTES, 0) != CODE_KEY_BYTES) return UV_EIO;
  log_init(&program->log, STDERR_FILENO, (enum log_format)program->settings.log_format,
           (enum log_level)program->settings.log_level);
  program->log_writer = log_writer_create(&program->log);
  directory_init(&program->directory);
  uv_err error = interrupt_install();
  if (error) return error;
  return watchdog_start(&program->watchdog, (uint64_t)program->settings.stall_warn_ms,
                        (uint64_t)program->settings.stall_kill_ms);
}

static void program_finish(struct program *program) {
  watchdog_stop(&program->watchdog);
  if (sqlite_registry_destroy(program->process.databases)) directory_finish(&program->directory);
  spool_destroy(program->process.spool);
  opened_destroy(program->process.opened);
  coverage_destroy(program->process.coverage);
  log_keeper_destroy(program->process.log_keeper);
  log_writer_destroy(program->log_writer);
  settings_finish(&program->settings);
  buffer_finish(&program->app_settings);
}

/* Reads the table of arguments at 1 into a program owned by a userdata left on the stack. */
static struct program *push_program(lua_State *L) {
  struct program *program = lua_newuserdatauv(L, sizeof *program, 0);
  *program = (struct program){0};
  settings_init(&program->settings);
  lua_getfield(L, 1, "settings");
  if (lua_istable(L, -1)) command_read_settings(L, -1, &program->settings);
  lua_pop(L, 1);
  if (lua_getfield(L, 1, "app_settings") == LUA_TTABLE)
    transfer_encode_named(L, lua_gettop(L), "settings", &program->app_settings);
  lua_pop(L, 1);
  uv_err error = program_init(L, program);
  if (error) luaL_error(L, "cannot start: %s", uv_strerror(error));
  return program;
}

static const char *check_dir(lua_State *L) {
  lua_getfield(L, 1, "dir");
  return luaL_checkstring(L, -1);
}

/* ---- serve ---- */

static bool write_pid_file(const char *path) {
  if (*path == '\0') return true;
  FILE *file = fopen(path, "w");
  if (!file) return false;
  fprintf(file, "%ld\n", (long)getpid());
  return fclose(file) == 0;
}

/* Runs the server in a program that is on the stack. */
static int run_server(lua_State *L, struct program *program, const char *dir,
                      const struct server_develop *develop) {
  const char *pid_file = program->settings.pid_file;
  int exit_code = 1;
  if (!write_pid_file(pid_file)) {
    fprintf(stderr, "perilune: cannot write --pid-file %s\n", pid_file);
  } else {
    exit_code = server_run(program, dir, develop);
    if (*pid_file) unlink(pid_file);
  }
  program_finish(program);
  lua_pushinteger(L, exit_code);
  return 1;
}

/* serve { dir=, settings=, app_settings= } -> exit code */
static int serve(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *dir = check_dir(L);
  return run_server(L, push_program(L), dir, NULL);
}

/* Stack: what reads conf.lua again, the buffer for what it gives. */
static int encode_settings(lua_State *L) {
  struct buffer *app_settings = lua_touserdata(L, 2);
  lua_pushvalue(L, 1);
  lua_call(L, 0, 1);
  transfer_encode_named(L, lua_gettop(L), "settings", app_settings);
  return 0;
}

/* The context is the command line's state. */
static bool read_settings(void *context, struct buffer *app_settings, struct buffer *problem) {
  lua_State *L = context;
  lua_pushcfunction(L, encode_settings);
  lua_getfield(L, 1, "reread");
  lua_pushlightuserdata(L, app_settings);
  bool is_right = lua_pcall(L, 2, 0, 0) == LUA_OK;
  if (is_right) return true;
  const char *text = lua_tostring(L, -1);
  buffer_add_text(problem, text ? text : "conf.lua cannot be read");
  lua_pop(L, 1);
  return false;
}

static bool is_terminal(void) {
  const char *no_colour = getenv("NO_COLOR"); /* no-color.org */
  return isatty(STDERR_FILENO) && (!no_colour || !*no_colour);
}

/* develop { dir=, settings=, app_settings=, reread= } -> exit code */
static int develop(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *dir = check_dir(L);
  struct program *program = push_program(L);
  program->process.warns_of_holding = program->process.shows_errors = true;
  program->log.is_coloured = is_terminal();
  const struct server_develop how = {.read_settings = read_settings, .context = L};
  return run_server(L, program, dir, &how);
}

/* ---- run ---- */

/* One worker that runs a Lua module's function. */
struct run {
  struct worker worker;
  struct deadlock deadlock;
  const char *module;
  struct buffer arguments;
  int exit_code;
};

static void turn(struct worker *worker) {
  http_turn(worker);
  bool is_idle = !list_is_empty(&worker->faces) && idle_is_reached(worker);
  if (is_idle) clock_look(worker);
  deadlock_look(&container_of(worker, struct run, worker)->deadlock, is_idle);
}

static const struct worker_role run_role = {.name = "spec",
                                            .stalls_matter = true,
                                            .runs_blocking = false,
                                            .begin = http_begin,
                                            .turn = turn};

static int returned(lua_State *L, int status, lua_KContext context) {
  struct run *run = (struct run *)context;
  (void)status;
  run->exit_code = (int)luaL_optinteger(L, -1, 0);
  return 0;
}

static int run_module(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  deadlock_open(L, &run->deadlock);
  require_push_caller(L);
  lua_pushstring(L, run->module);
  int count = transfer_decode(L, run->arguments.data, run->arguments.len);
  lua_callk(L, count + 1, 1, (lua_KContext)run, returned);
  return returned(L, LUA_OK, (lua_KContext)run);
}

static int failed(lua_State *L) {
  struct run *run = fiber_running(L)->data;
  fprintf(stderr, "perilune: %s\n", error_push_text(L, 1));
  run->exit_code = 1;
  return 0;
}

static void ended(struct fiber *fiber) {
  worker_cancel_all(fiber->worker, "the program ends");
  fiber->worker->stopped = true;
}

static void run_worker(struct run *run) {
  static const struct fiber_kind kind = {run_module, failed, .ended = ended};
  struct fiber *fiber = fiber_create(&run->worker, &kind);
  if (!fiber) {
    fprintf(stderr, "perilune: not enough memory\n");
    run->exit_code = 1;
    return;
  }
  fiber->data = run;
  fiber->name = "spec";
  fiber_start(fiber, 0);
  worker_run(&run->worker);
  while (!http_close(&run->worker) || !list_is_empty(&run->worker.fibers))
    worker_turn(&run->worker);
}

/* run { dir=, settings=, module=, arguments= } -> exit code */
static int run(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *dir = check_dir(L);
  struct run *run = lua_newuserdatauv(L, sizeof *run, 0);
  *run = (struct run){.exit_code = 1};
  lua_getfield(L, 1, "module");
  run->module = luaL_checkstring(L, -1);
  lua_getfield(L, 1, "arguments");
  transfer_encode(L, lua_gettop(L), 1, "argument", &run->arguments);
  struct program *program = push_program(L);
  program->process.warns_of_holding = true;
  program->process.log_keeper = log_keeper_create(&program->log);
  program->process.opened = opened_create();
  program->process.coverage = coverage_create();
  struct snapshot *snapshot = snapshot_create(dir);
  run->worker.process = &program->process;
  run->worker.snapshot = snapshot;
  http_init(&run->worker);
  run->worker.role = &run_role;
  run->deadlock.worker = &run->worker;
  if (worker_init(&run->worker) == 0) run_worker(run);
  worker_finish(&run->worker);
  http_finish(&run->worker);
  snapshot_destroy(snapshot);
  buffer_finish(&run->arguments);
  program_finish(program);
  lua_pushinteger(L, run->exit_code);
  return 1;
}

/* ---- the command line ---- */

static bool is_directory(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Pushes the directory of the framework's Lua files. */
static void push_lua_dir(lua_State *L) {
  static const char *const places[] = {"%s/../share/perilune/lua", "%s/../lua"};
  char exe[PATH_BYTES];
  size_t size = sizeof exe;
  if (uv_exepath(exe, &size) != 0) luaL_error(L, "cannot find the path of the executable");
  char *slash = strrchr(exe, '/');
  if (slash) *slash = '\0';
  for (size_t i = 0; i < array_len(places); i++) {
    char resolved[PATH_BYTES];
    lua_pushfstring(L, places[i], exe);
    bool found = realpath(lua_tostring(L, -1), resolved) && is_directory(resolved);
    lua_pop(L, 1);
    if (!found) continue;
    lua_pushstring(L, resolved);
    return;
  }
  luaL_error(L, "the Lua files of perilune are missing: expected in %s/../share/perilune/lua", exe);
}

/* lua_dir() -> the directory of the framework's Lua files */
static int lua_dir(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lua_dir_key);
  return 1;
}

/* program() -> the word that the program was called by */
static int program_word(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &program_key);
  return 1;
}

/* reads_terminal() -> whether standard input is one */
static int reads_terminal(lua_State *L) {
  lua_pushboolean(L, isatty(STDIN_FILENO));
  return 1;
}

static int open_native(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"serve", serve},     {"develop", develop},      {"run", run},
      {"lua_dir", lua_dir}, {"program", program_word}, {"reads_terminal", reads_terminal},
      {NULL, NULL}};
  luaL_newlib(L, functions);
  command_add_functions(L);
  return 1;
}

/* Arguments: argc, argv. Gives the exit code. */
static int run_command_line(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  luaL_openlibs(L);
  push_lua_dir(L);
  libs_set_path(L, lua_tostring(L, -1));
  lua_rawsetp(L, LUA_REGISTRYINDEX, &lua_dir_key);
  lua_pushstring(L, argc > 0 ? argv[0] : "perilune");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &program_key);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, open_native);
  lua_setfield(L, -2, "perilune.native.server");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perilune.cli.main");
  lua_call(L, 1, 1);
  lua_createtable(L, argc, 0);
  for (int i = 1; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_call(L, 1, 1);
  return 1;
}

int program_main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  setenv("UV_THREADPOOL_SIZE", "4", 0);
  lua_State *L = luaL_newstate();
  if (!L) return 1;
  lua_pushcfunction(L, run_command_line);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  int exit_code = 1;
  if (lua_pcall(L, 2, 1, 0) == LUA_OK)
    exit_code = (int)lua_tointeger(L, -1);
  else
    fprintf(stderr, "perilune: %s\n", lua_tostring(L, -1));
  fflush(stdout);
  lua_close(L);
  return exit_code;
}
