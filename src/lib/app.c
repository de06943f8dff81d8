/* app.c - the functions of perilune.native.app.
 *
 * Each checks its arguments as if called by an app author, since errors here are shown to one. */
#include "lib/app.h"

#include "core/class.h"
#include "core/error.h"
#include "core/function_index.h"
#include "core/module.h"
#include "core/place.h"
#include "core/require.h"
#include "core/snapshot.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "http/cors.h"
#include "http/open_file.h"
#include "http/response.h"
#include "lib/delivery.h"
#include "lib/options.h"
#include "lib/schedule.h"

#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 64 };

/* load_file(path) -> the compiled chunk of a file in the app's directory */
static int load_file(lua_State *L) {
  require_load_app_file(L, luaL_checkstring(L, 1));
  return 1;
}

/* directory() -> absolute, shown; nil when no app is being loaded */
static int directory(lua_State *L) {
  const struct snapshot *snapshot = worker_of(L)->snapshot;
  if (!snapshot) return 0;
  lua_pushstring(L, snapshot_dir(snapshot));
  lua_pushstring(L, snapshot_shown_dir(snapshot));
  return 2;
}

/* settings() -> a fresh copy of app.settings: conf.lua's, with the environment over it
 * settings(true) -> of those of the process, whatever app a spec has given others */
static int settings(lua_State *L) {
  const struct worker *worker = worker_of(L);
  struct slice message = worker->process->app_settings;
  bool has_own = worker->snapshot && snapshot_settings(worker->snapshot).len > 0;
  if (has_own && !lua_toboolean(L, 1)) message = snapshot_settings(worker->snapshot);
  if (message.len > 0) return transfer_decode(L, message.data, message.len);
  lua_newtable(L);
  return 1;
}

/* At `index` the timeout, if there is one, and behind it what runs the function with it. */
static void take_timeout(lua_State *L, int index, struct place_options *options) {
  if (lua_isnoneornil(L, index)) return;
  luaL_checktype(L, index + 1, LUA_TFUNCTION);
  options->timeout_ns = options_check_seconds(L, index);
  options->timed = index + 1;
}

/* mark(fn, pool | nil, name | nil) -> the marked function
 * mark(fn, pool | nil, name | nil, timeout, timed): timed(...) runs fn with that timeout here */
static int mark(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct place_options options = {.pool = luaL_optstring(L, 2, NULL),
                                  .name = luaL_optstring(L, 3, NULL)};
  take_timeout(L, 4, &options);
  place_mark(L, 1, &options);
  return 1;
}

/* mark_background(fn, loop, queue | nil, name | nil[, timeout, timed]) -> as mark, for a loop */
static int mark_background(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  struct place_options options = {.loop = luaL_checkstring(L, 2),
                                  .calls_max = (int)luaL_optinteger(L, 3, 0),
                                  .name = luaL_optstring(L, 4, NULL)};
  luaL_argcheck(L, options.calls_max >= 0, 3, "a number of calls expected");
  take_timeout(L, 5, &options);
  place_mark(L, 1, &options);
  return 1;
}

/* marked(value) -> the function that was marked, "pool" or "loop", and the name of that; or nil */
static int marked(lua_State *L) {
  luaL_checkany(L, 1);
  const struct place *place = place_of(L, 1);
  if (!place) return 0;
  place_push_function(L, 1);
  lua_pushstring(L, place->loop ? "loop" : "pool");
  const char *pool = place->pool ? place->pool : "default";
  lua_pushstring(L, place->loop ? place->loop : pool);
  return 3;
}

static int kept_ended(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return lua_gettop(L);
}

/* Upvalue 1: the function. */
static int call_kept(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, LUA_MULTRET, 0, kept_ended);
  return kept_ended(L, LUA_OK, 0);
}

/* keep(fn) -> a function that does the same and stays in this state: it cannot be sent */
static int keep(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_pushcclosure(L, call_kept, 1);
  return 1;
}

/* loaded(app): the app has loaded, its functions are what they are */
static int loaded(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  function_index_build(L, 1);
  return 0;
}

/* environment(table): it stands for the globals in functions that are sent to other states */
static int environment(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  module_set_environment(L, 1);
  return 0;
}

/* class(name, metatable) -> metatable, known in every state under that name */
static int class(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  class_register(L, name);
  return 1;
}

/* error(kind, message) -> an error of Perilune, not raised */
static int make_error(lua_State *L) {
  error_push(L, luaL_checkstring(L, 1), "%s", luaL_checkstring(L, 2));
  return 1;
}

/* nearest(name, list of names) -> the most similar one */
static int nearest(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *names[NAMES_MAX + 1] = {NULL};
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  luaL_argcheck(L, count >= 1 && count <= NAMES_MAX, 2, "1 to 64 names expected");
  for (lua_Integer i = 0; i < count; i++) {
    lua_rawgeti(L, 2, i + 1);
    names[i] = luaL_checkstring(L, -1);
    lua_pop(L, 1); /* the list keeps it */
  }
  lua_pushstring(L, options_nearest(name, names));
  return 1;
}

/* error_text(error) -> what the log would say of it */
static int error_text(lua_State *L) {
  error_push_text(L, 1);
  return 1;
}

/* check_header(name, value): raises when it may not be sent */
static int check_header(lua_State *L) {
  struct slice name, value;
  name.data = luaL_checklstring(L, 1, &name.len);
  value.data = luaL_checklstring(L, 2, &value.len);
  switch (response_check_field(name, value)) {
  case RESPONSE_FIELD_OK:
    return 0;
  case RESPONSE_FIELD_INVALID:
    return luaL_error(L, "header \"%s\" has a character that may not be sent in a header",
                      name.data);
  case RESPONSE_FIELD_RESERVED:
    return luaL_error(L, "header \"%s\" is written by the server itself", name.data);
  }
  return 0;
}

/* check_origin(text) -> what is wrong with it as one of app:cors, or nil */
static int check_origin(lua_State *L) {
  struct slice text;
  text.data = luaL_checklstring(L, 1, &text.len);
  lua_pushstring(L, cors_check_origin(text));
  return 1;
}

/* check_directory(path) -> nil, or why it cannot be served */
static int check_directory(lua_State *L) {
  int fd = open_file_directory(luaL_checkstring(L, 1));
  if (fd < 0) {
    lua_pushstring(L, strerror(-fd));
    return 1;
  }
  close(fd);
  return 0;
}

int app_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"load_file", load_file},
                                       {"directory", directory},
                                       {"settings", settings},
                                       {"mark", mark},
                                       {"mark_background", mark_background},
                                       {"marked", marked},
                                       {"keep", keep},
                                       {"loaded", loaded},
                                       {"environment", environment},
                                       {"class", class},
                                       {"nearest", nearest},
                                       {"error", make_error},
                                       {"error_text", error_text},
                                       {"check_header", check_header},
                                       {"check_directory", check_directory},
                                       {"check_origin", check_origin},
                                       {"delivered", delivery_read},
                                       {"scheduler", schedule_make},
                                       {"tasks", schedule_current},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  class_push_null(L);
  lua_setfield(L, -2, "null");
  return 1;
}
