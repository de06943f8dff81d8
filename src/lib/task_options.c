/* task_options.c - one function for each option, which checks it and puts it into the struct.
 *
 * The table is copied, and the tables in it too: what the caller changes later changes nothing. */
#include "lib/task_options.h"

#include "core/error.h"
#include "core/timer.h"
#include "lib/options.h"
#include "lib/task.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Beyond them a number is a mistake: 100 years in seconds. */
static const lua_Number seconds_max = 3.2e9;
static const lua_Integer retries_max = 1000000000;

static bool is_false(lua_State *L) {
  return lua_isboolean(L, -1) && !lua_toboolean(L, -1);
}

/* ---- the options; each value is on top of the stack and not nil ---- */

static void check_name(lua_State *L, struct task_options *options) {
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option \"name\" is a string, not a %s", luaL_typename(L, -1));
  options->name = lua_tostring(L, -1);
}

static void check_shield(lua_State *L, struct task_options *options) {
  if (!lua_isboolean(L, -1))
    luaL_error(L, "option \"shield\" is true or false, not a %s", luaL_typename(L, -1));
  options->shield = lua_toboolean(L, -1);
}

/* The table on top of the stack: functions by kind. */
static void check_handlers(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L,
                 "option \"on_error\": its functions are named by the kind of error, or "
                 "\"default\"; one has a %s as its key",
                 luaL_typename(L, -2));
    if (!task_is_callable(L, -1))
      luaL_error(L, "option \"on_error\": that for \"%s\" is a function, not a %s",
                 lua_tostring(L, -2), luaL_typename(L, -1));
  }
}

static void check_on_error(lua_State *L, struct task_options *options) {
  options->has_on_error = !is_false(L);
  if (is_false(L) || task_is_callable(L, -1)) return;
  if (!lua_istable(L, -1))
    luaL_error(
        L, "option \"on_error\" is a function, a table of functions by kind, or false, not a %s",
        luaL_typename(L, -1));
  check_handlers(L);
}

static void check_on_cancel(lua_State *L, struct task_options *options) {
  options->has_on_cancel = !is_false(L);
  if (!is_false(L) && !task_is_callable(L, -1))
    luaL_error(L, "option \"on_cancel\" is a function or false, not a %s", luaL_typename(L, -1));
}

static void check_timeout(lua_State *L, struct task_options *options) {
  options->timeout_s =
      is_false(L) ? 0 : options_check_number(L, "timeout", "a number of seconds above 0", 0, true);
}

static void check_delay(lua_State *L, struct task_options *options) {
  lua_Number seconds = options_check_number(L, "delay", "a number of seconds, 0 or more", 0, false);
  options->delay_ns = (uint64_t)(fmin(seconds, seconds_max) * (lua_Number)NS_PER_SECOND);
}

static void check_retries(lua_State *L, struct task_options *options) {
  int is_whole;
  options->retries = lua_tointegerx(L, -1, &is_whole);
  if (lua_type(L, -1) != LUA_TNUMBER || !is_whole || options->retries < 0 ||
      options->retries > retries_max)
    luaL_error(L, "option \"retries\" is a whole number from 0 to %I, not %s",
               (LUAI_UACINT)retries_max, options_push_shown(L, -1));
}

static void check_retry_on(lua_State *L, struct task_options *options) {
  (void)options;
  if (task_is_callable(L, -1)) return;
  if (!lua_istable(L, -1))
    luaL_error(L, "option \"retry_on\" is a function of the error or a list of kinds, not a %s",
               luaL_typename(L, -1));
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) count++;
  for (lua_Integer i = 1; i <= count; i++) {
    if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
      luaL_error(L, "option \"retry_on\" is a list of kinds: strings at 1, 2, ...");
    lua_pop(L, 1);
  }
}

static void check_backoff(lua_State *L, struct task_options *options) {
  backoff_read(L, &options->backoff);
}

static void check_outcome(lua_State *L, struct task_options *options) {
  static const char *const names[] = {"success", "failure", "any", NULL};
  const char *value = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  for (int i = 0; names[i]; i++) {
    if (strcmp(value, names[i]) != 0) continue;
    options->outcome = (enum task_outcome)i;
    return;
  }
  luaL_error(L, "option \"outcome\" is \"success\", \"failure\" or \"any\", not %s",
             *value ? lua_pushfstring(L, "\"%s\"", value)
                    : lua_pushfstring(L, "a %s", luaL_typename(L, -1)));
}

typedef void (*check_fn)(lua_State *L, struct task_options *options);

static const char *const names[] = {"name",    "shield",  "on_error", "on_cancel",
                                    "timeout", "retries", "retry_on", "backoff",
                                    "delay",   "outcome", NULL};
static const check_fn checks[] = {check_name,    check_shield,  check_on_error, check_on_cancel,
                                  check_timeout, check_retries, check_retry_on, check_backoff,
                                  check_delay,   check_outcome};

/* ---- the userdata ---- */

/* Replaces the value on top of the stack by a copy if it is a table of data. */
static void copy_value(lua_State *L) {
  if (!lua_istable(L, -1) || task_is_callable(L, -1)) return;
  lua_newtable(L);
  for (lua_pushnil(L); lua_next(L, -3);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_remove(L, -2);
}

/* Pushes the option of the table at `index`, else that of the base. */
static int push_value(lua_State *L, int index, int base, const char *name) {
  int type = lua_getfield(L, index, name);
  if (type != LUA_TNIL || !base) return type;
  lua_pop(L, 1);
  return task_options_push_field(L, base, name);
}

void task_options_push(lua_State *L, int index, int base) {
  options_check(L, index, names);
  luaL_checktype(L, index, LUA_TTABLE);
  struct task_options *options = lua_newuserdatauv(L, sizeof *options, 1);
  *options = (struct task_options){.backoff = backoff_default()};
  lua_newtable(L);
  for (size_t i = 0; names[i]; i++) {
    if (push_value(L, index, base, names[i]) == LUA_TNIL) {
      lua_pop(L, 1);
      continue;
    }
    checks[i](L, options);
    copy_value(L);
    lua_setfield(L, -2, names[i]);
  }
  lua_setiuservalue(L, -2, 1);
}

void task_options_push_copy(lua_State *L, int index) {
  lua_getiuservalue(L, index, 1);
  lua_createtable(L, 0, (int)(sizeof checks / sizeof *checks));
  for (size_t i = 0; names[i]; i++) {
    lua_getfield(L, -2, names[i]);
    copy_value(L);
    lua_setfield(L, -2, names[i]);
  }
  lua_remove(L, -2);
}

int task_options_push_field(lua_State *L, int index, const char *name) {
  lua_getiuservalue(L, index, 1);
  int type = lua_getfield(L, -1, name);
  lua_remove(L, -2);
  return type;
}

/* ---- questions ---- */

const char *task_options_kind(lua_State *L, int index) {
  const char *kind = error_kind(L, index);
  if (kind || !lua_istable(L, index)) return kind;
  index = lua_absindex(L, index);
  lua_pushliteral(L, "kind");
  kind = lua_rawget(L, index) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1); /* the error keeps it */
  return kind;
}

bool task_options_push_handler(lua_State *L, int index, int error) {
  int top = lua_gettop(L);
  const char *kind = task_options_kind(L, error);
  bool is_table = task_options_push_field(L, index, "on_error") == LUA_TTABLE;
  bool is_found = task_is_callable(L, -1);
  if (is_table && !is_found && kind) is_found = lua_getfield(L, top + 1, kind) != LUA_TNIL;
  if (is_table && !is_found) is_found = lua_getfield(L, top + 1, "default") != LUA_TNIL;
  if (is_found) lua_copy(L, -1, top + 1);
  lua_settop(L, is_found ? top + 1 : top);
  return is_found;
}
