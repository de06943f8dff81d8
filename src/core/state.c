/* state.c - making Lua states: allocator with a limit, libraries, our own base functions.
 *
 * Each coroutine has one word of extra space: the worker's address, whose low bits are free for
 * two flags of that coroutine. */
#include "core/state.h"

#include "base/limits.h"
#include "base/settings.h"
#include "core/call.h"
#include "core/coroutine.h"
#include "core/error.h"
#include "core/holding.h"
#include "core/instance.h"
#include "core/place.h"
#include "core/require.h"
#include "core/stuck.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_WAITING = 1, WORD_FAILED = 2, WORD_FLAGS = 3 };

static uintptr_t *word_of(lua_State *L) {
  return lua_getextraspace(L);
}

struct worker *worker_of(lua_State *L) {
  return (struct worker *)(*word_of(L) & ~(uintptr_t)WORD_FLAGS);
}

void state_set_waiting(lua_State *co, bool waiting) {
  if (waiting)
    *word_of(co) |= WORD_WAITING;
  else
    *word_of(co) &= ~(uintptr_t)WORD_WAITING;
}

bool state_is_waiting(lua_State *co) {
  return *word_of(co) & WORD_WAITING;
}

void state_set_failed(lua_State *co) {
  *word_of(co) |= WORD_FAILED;
}

bool state_is_failed(lua_State *co) {
  return *word_of(co) & WORD_FAILED;
}

/* Only new objects are refused so that Lua collects: buffers of the library (table.concat) ask the
 * allocator themselves and do not collect, so what only grows may overshoot a little; the next new
 * object pays. */
static bool may_grow(struct memory *memory, bool is_object, size_t old_size, size_t new_size) {
  if (memory->limit_bytes == 0 || new_size <= old_size) return true;
  size_t wanted = memory->used_bytes - old_size + new_size;
  size_t percent = memory->limit_bytes / 100;
  if (!is_object) return wanted <= percent * (100 + MEMORY_OVERSHOOT_PERCENT);
  if (memory->collecting) {
    memory->collecting = false;
    return wanted <= percent * MEMORY_FULL_PERCENT;
  }
  memory->collecting = wanted > memory->limit_bytes;
  return !memory->collecting;
}

static void *allocate(void *context, void *block, size_t old_size, size_t new_size) {
  struct memory *memory = context;
  bool is_object = !block && old_size != 0; /* Lua tells the kind of object there */
  if (!block) old_size = 0;
  if (new_size == 0) {
    memory->used_bytes -= old_size;
    return slab_resize(&memory->slab, block, old_size, 0);
  }
  if (!may_grow(memory, is_object, old_size, new_size)) return NULL;
  void *grown = slab_resize(&memory->slab, block, old_size, new_size);
  if (grown) memory->used_bytes += new_size - old_size;
  return grown;
}

void state_push_weak_table(lua_State *L, const void *key) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

bool state_push_module_name(lua_State *L, int function) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int loaded = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, loaded); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_istable(L, -1)) continue;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
      if (!lua_rawequal(L, -1, function) || lua_type(L, -2) != LUA_TSTRING) continue;
      const char *module = lua_tostring(L, -4), *name = lua_tostring(L, -2);
      bool is_global = strcmp(module, LUA_GNAME) == 0;
      lua_pushfstring(L, is_global ? "'%s%s'" : "'%s.%s'", is_global ? "" : module, name);
      lua_replace(L, loaded);
      lua_settop(L, loaded);
      return true;
    }
  }
  lua_settop(L, loaded - 1);
  return false;
}

const char *state_push_function_name(lua_State *L, lua_Debug *debug) {
  luaL_checkstack(L, 8, "function name");
  lua_getinfo(L, "nf", debug);
  int function = lua_gettop(L);
  if (!state_push_module_name(L, function)) {
    if (debug->name)
      lua_pushfstring(L, "'%s'", debug->name);
    else
      lua_pushliteral(L, STATE_UNNAMED_FUNCTION);
  }
  lua_replace(L, function);
  return lua_tostring(L, -1);
}

/* lua_getinfo with these letters fills the struct and allocates nothing. */
size_t state_write_traceback(lua_State *L, int level, int levels, const char *indent, char *text,
                             size_t size) {
  lua_Debug debug;
  size_t len = 0;
  text[0] = '\0';
  for (int i = 0; i < levels && lua_getstack(L, level + i, &debug); i++) {
    lua_getinfo(L, "Sln", &debug);
    int n = snprintf(text + len, size - len, "%s%s%s:%d: in %s", i ? "\n" : "", indent,
                     debug.short_src, debug.currentline, debug.name ? debug.name : debug.what);
    if (n < 0 || (size_t)n >= size - len) break;
    len += (size_t)n;
  }
  text[len] = '\0';
  return len;
}

static int open_state(lua_State *L) {
  luaL_openlibs(L);
  holding_open(L);
  code_open(L, worker_of(L)->process->code_key);
  error_open(L);
  coroutine_open(L);
  instance_open(L);
  require_open(L);
  place_open(L);
  call_open(L);
  lua_pushcfunction(L, worker_of(L)->process->open_libs);
  lua_call(L, 0, 0);
  stuck_open(L);
  return 0;
}

lua_State *state_create(struct worker *worker) {
  worker->memory.limit_bytes = worker->process->settings->memory_limit_bytes;
  slab_init(&worker->memory.slab);
  lua_State *L = lua_newstate(allocate, &worker->memory);
  if (!L) {
    slab_finish(&worker->memory.slab);
    return NULL;
  }
  *word_of(L) = (uintptr_t)worker;
  lua_pushcfunction(L, open_state);
  if (lua_pcall(L, 0, 0, 0) == LUA_OK) return L;
  state_destroy(L);
  return NULL;
}

void state_destroy(lua_State *L) {
  if (!L) return;
  struct memory *memory = &worker_of(L)->memory;
  lua_close(L);
  slab_finish(&memory->slab);
}
