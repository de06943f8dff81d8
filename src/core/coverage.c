/* coverage.c - the hook, which calls luacov's as Lua itself would; the lock around saving.
 *
 * What is luacov's, and how it is set up, is in lua/perilune/test/coverage.lua. */
#include "core/coverage.h"

#include "base/buffer.h"
#include "base/log.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

/* Registry keys: luacov's hook; what saves. */
static const char hook_key = 0;
static const char save_key = 0;

struct coverage {
  _Atomic(bool) is_on; /* the configuration is there, and stays as it is */
  bool has_config;
  struct buffer config; /* luacov's file of options, with a NUL */
  uv_mutex_t saving;    /* held while one state saves; with no other lock */
};

struct coverage *coverage_create(void) {
  struct coverage *coverage = memory_alloc_zero(sizeof *coverage);
  uv_err error = uv_mutex_init(&coverage->saving);
  assert(error == 0);
  (void)error;
  return coverage;
}

void coverage_destroy(struct coverage *coverage) {
  if (!coverage) return;
  buffer_finish(&coverage->config);
  uv_mutex_destroy(&coverage->saving);
  free(coverage);
}

bool coverage_is_on(const struct process *process) {
  return process->coverage && atomic_load_explicit(&process->coverage->is_on, memory_order_acquire);
}

/* ---- the hook ---- */

static void count_line(lua_State *L, lua_Debug *debug) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &hook_key);
  lua_pushliteral(L, "line");
  lua_pushinteger(L, debug->currentline);
  lua_call(L, 2, 0);
}

static void set_hook(lua_State *co) {
  lua_sethook(co, count_line, LUA_MASKLINE, 0);
}

static void set_hooks(const struct list *fibers, bool is_live) {
  for (struct list *link = fibers->next; link != fibers; link = link->next) {
    struct fiber *fiber =
        is_live ? container_of(link, struct fiber, live) : container_of(link, struct fiber, link);
    if (!fiber->co) continue;
    set_hook(fiber->co);
    if (fiber->parked_co) set_hook(fiber->parked_co);
  }
}

/* begin(config): states that begin from now on count; config: a path, or nil */
static int begin(lua_State *L) {
  struct coverage *coverage = worker_of(L)->process->coverage;
  const char *config = luaL_optstring(L, 1, NULL);
  if (!coverage) return luaL_error(L, "lines are counted in runs of specs only");
  if (coverage_is_on(worker_of(L)->process)) return 0;
  coverage->has_config = config != NULL;
  if (config) buffer_add(&coverage->config, config, strlen(config) + 1);
  atomic_store_explicit(&coverage->is_on, true, memory_order_release);
  return 0;
}

/* count(hook, save): calls hook("line", number) for each line of Lua in this state, and save() at
 * its end */
static int count(lua_State *L) {
  const struct worker *worker = worker_of(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &save_key);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &hook_key);
  set_hook(worker->L);
  set_hooks(&worker->fibers, true);
  set_hooks(&worker->idle_fibers, false);
  set_hook(L);
  return 0;
}

int coverage_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"begin", begin}, {"count", count}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

/* ---- the life of a state ---- */

static void tell(lua_State *L, const char *message) {
  const struct log_field field = log_text("error", error_push_text(L, -1));
  log_write(log_of_process(worker_of(L)->process->log), LOG_ERROR, message, &field, 1);
  lua_settop(L, 0);
}

static int start(lua_State *L) {
  const struct coverage *coverage = worker_of(L)->process->coverage;
  lua_getglobal(L, "require");
  lua_pushliteral(L, "perilune.test.coverage");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "start");
  lua_pushstring(L, coverage->has_config ? coverage->config.data : NULL);
  lua_call(L, 1, 0);
  return 0;
}

void coverage_start(lua_State *L) {
  if (!coverage_is_on(worker_of(L)->process)) return;
  lua_pushcfunction(L, start);
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) tell(L, "luacov does not count in a state");
}

static int save(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &save_key) == LUA_TFUNCTION) lua_call(L, 0, 0);
  return 0;
}

void coverage_save(lua_State *L) {
  const struct process *process = worker_of(L)->process;
  if (!coverage_is_on(process)) return;
  lua_sethook(L, NULL, 0, 0);
  uv_mutex_lock(&process->coverage->saving);
  lua_pushcfunction(L, save);
  bool has_saved = lua_pcall(L, 0, 0, 0) == LUA_OK;
  uv_mutex_unlock(&process->coverage->saving);
  if (!has_saved) tell(L, "luacov has not saved what it has counted in a state");
}
