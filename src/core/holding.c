/* holding.c - the warning, and the functions that stand in for those of the libraries.
 *
 * Each stands in for one function, its upvalue, and calls it in the same frame, so that errors tell
 * the names and lines that they would without. Only an app's own code is warned: what runs its
 * specs may start programs as it likes. */
#include "core/holding.h"

#include "base/log.h"
#include "core/fiber.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

/* Pushes the line of the app's code that calls, and gives whether it is new: a table in the
 * registry has those that are not. */
static bool push_new_line(lua_State *L, const char *name) {
  lua_Debug debug = {.currentline = -1};
  for (int level = 1; debug.currentline < 0 && lua_getstack(L, level, &debug); level++)
    lua_getinfo(L, "Sl", &debug);
  lua_pushfstring(L, "%s:%d", debug.short_src, debug.currentline);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, name); /* no library has such a key */
  lua_pushvalue(L, -2);
  bool is_new = lua_rawget(L, -2) == LUA_TNIL;
  lua_pop(L, 1);
  lua_pushvalue(L, -2);
  lua_pushboolean(L, true);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  return is_new;
}

static void warn(lua_State *L, const char *name) {
  const struct worker *worker = worker_of(L);
  if (!worker->running || !worker->running->instance) return;
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, "warning");
  if (push_new_line(L, name)) {
    const struct log_field fields[] = {
        log_text("at", lua_tostring(L, -1)),
        log_text("advice", "call it in a function marked with perilune.blocking"),
    };
    char message[64];
    snprintf(message, sizeof message, "%s holds the event loop", name);
    log_write(log_of_process(worker->process->log), LOG_WARN, message, fields, array_len(fields));
  }
  lua_settop(L, top);
}

static int call_own(lua_State *L) {
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

static bool is_stdin(lua_State *L, int index) {
  const luaL_Stream *file = luaL_testudata(L, index, LUA_FILEHANDLE);
  return file && file->closef && file->f == stdin;
}

/* What io.read and io.lines read when no file is named. */
static bool default_is_stdin(lua_State *L) {
  luaL_checkstack(L, 4, "warning");
  lua_getfield(L, LUA_REGISTRYINDEX, "_IO_input");
  bool found = is_stdin(L, -1);
  lua_pop(L, 1);
  return found;
}

static int execute(lua_State *L) {
  if (!lua_isnoneornil(L, 1)) warn(L, "os.execute");
  return call_own(L);
}

static int popen_file(lua_State *L) {
  warn(L, "io.popen");
  return call_own(L);
}

static int read_default(lua_State *L) {
  if (default_is_stdin(L)) warn(L, "reading standard input");
  return call_own(L);
}

static int default_lines(lua_State *L) {
  if (lua_isnoneornil(L, 1) && default_is_stdin(L)) warn(L, "reading standard input");
  return call_own(L);
}

static int read_file(lua_State *L) {
  if (is_stdin(L, 1)) warn(L, "reading standard input");
  return call_own(L);
}

/* Replaces a function of the table on top of the stack. */
static void stand_in(lua_State *L, const char *name, lua_CFunction function) {
  if (lua_getfield(L, -1, name) == LUA_TFUNCTION) {
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
  } else {
    lua_pop(L, 1);
  }
}

void holding_open(lua_State *L) {
  const struct worker *worker = worker_of(L);
  if (!worker->process->warns_of_holding || worker->role->runs_blocking) return;
  lua_getglobal(L, "os");
  stand_in(L, "execute", execute);
  lua_getglobal(L, "io");
  stand_in(L, "popen", popen_file);
  stand_in(L, "read", read_default);
  stand_in(L, "lines", default_lines);
  luaL_getmetatable(L, LUA_FILEHANDLE);
  lua_getfield(L, -1, "__index");
  stand_in(L, "read", read_file);
  stand_in(L, "lines", read_file);
  lua_settop(L, 0);
}
