/* traceback.c - the levels of a stack as text, with the names of C functions kept.
 *
 * luaL_traceback looks through all fields of all loaded modules for each function on the stack,
 * which took most of the time of an error. Here it is done once for a C function; closures in C
 * have no name of their own there. */
#include "core/traceback.h"

#include "core/state.h"

#include <lauxlib.h>
#include <stdbool.h>

/* Of a deep stack the first and the last levels are told. */
enum { FIRST_LEVELS = 10, LAST_LEVELS = 11 };

/* Registry key: 'module.name' of C functions, false for those without one (weak keys). */
static const char names_key = 0;

/* Pushes the name of the C function at the level, or gives false. */
static bool push_name(lua_State *L, lua_Debug *debug) {
  lua_getinfo(L, "f", debug);
  int function = lua_gettop(L);
  if (lua_getupvalue(L, function, 1)) {
    lua_settop(L, function - 1);
    return false;
  }
  state_push_weak_table(L, &names_key);
  lua_pushvalue(L, function);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pop(L, 1);
    if (!state_push_module_name(L, function)) lua_pushboolean(L, false);
    lua_pushvalue(L, function);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
  }
  lua_replace(L, function);
  lua_settop(L, function);
  if (lua_toboolean(L, function)) return true;
  lua_pop(L, 1);
  return false;
}

static void push_function(lua_State *L, lua_Debug *debug) {
  bool is_c = *debug->what == 'C';
  if (is_c && push_name(L, debug)) {
    lua_pushfstring(L, "function %s", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else if (*debug->namewhat)
    lua_pushfstring(L, "%s '%s'", debug->namewhat, debug->name);
  else if (*debug->what == 'm')
    lua_pushliteral(L, "main chunk");
  else if (is_c)
    lua_pushliteral(L, "?");
  else
    lua_pushfstring(L, "function <%s:%d>", debug->short_src, debug->linedefined);
}

static void add_level(lua_State *L, luaL_Buffer *text, lua_Debug *debug) {
  lua_getinfo(L, "Slnt", debug);
  if (debug->currentline > 0)
    lua_pushfstring(L, "\n\t%s:%d: in ", debug->short_src, debug->currentline);
  else
    lua_pushfstring(L, "\n\t%s: in ", debug->short_src);
  luaL_addvalue(text);
  push_function(L, debug);
  luaL_addvalue(text);
  if (debug->istailcall) luaL_addstring(text, "\n\t(...tail calls...)");
}

/* A level is found by going there from the top, so they are not counted one by one. */
static int count_levels(lua_State *L) {
  lua_Debug debug;
  int known = 0, beyond = 1;
  while (lua_getstack(L, beyond, &debug)) {
    known = beyond;
    beyond *= 2;
  }
  while (beyond - known > 1) {
    int middle = known + (beyond - known) / 2;
    if (lua_getstack(L, middle, &debug))
      known = middle;
    else
      beyond = middle;
  }
  return beyond;
}

void traceback_push(lua_State *L, int level) {
  luaL_checkstack(L, 12, "traceback");
  int levels = count_levels(L);
  int skipped = levels - level - FIRST_LEVELS - LAST_LEVELS;
  luaL_Buffer text;
  lua_Debug debug;
  luaL_buffinit(L, &text);
  luaL_addstring(&text, "stack traceback:");
  for (int i = level; i < levels && lua_getstack(L, i, &debug); i++) {
    if (skipped > 1 && i == level + FIRST_LEVELS) {
      lua_pushfstring(L, "\n\t...\t(skipping %d levels)", skipped);
      luaL_addvalue(&text);
      i += skipped - 1;
    } else {
      add_level(L, &text, &debug);
    }
  }
  luaL_pushresult(&text);
}
