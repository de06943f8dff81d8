/* develop.c - the functions of perilune.native.develop.
 *
 * The text of a file is the one that the app was loaded from, whatever is on the disk by now. */
#include "lib/develop.h"

#include "base/buffer.h"
#include "base/log.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/snapshot.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "http/method.h"
#include "lib/reply.h"
#include "lib/req.h"

#include <lauxlib.h>
#include <string.h>

#define SCRATCH_CLASS "perilune.develop.scratch"

/* Registry key: the function that answers for errors. */
static const char page_key = 0;

static int release_scratch(lua_State *L) {
  buffer_finish(lua_touserdata(L, 1));
  return 0;
}

static struct buffer *push_scratch(lua_State *L) {
  struct buffer *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
  *scratch = (struct buffer){0};
  if (luaL_newmetatable(L, SCRATCH_CLASS)) {
    lua_pushcfunction(L, release_scratch);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return scratch;
}

/* send(value, name): raises what sending it to another state would, with that name for it */
static int send_nowhere(lua_State *L) {
  luaL_checkany(L, 1);
  const char *name = luaL_checkstring(L, 2);
  transfer_encode_named(L, 1, name, push_scratch(L));
  return 0;
}

/* source(path) -> the text of a file of the app, named as messages name it; nil: none of its */
static int source(lua_State *L) {
  struct snapshot *snapshot = worker_of(L)->snapshot;
  const char *path = luaL_checkstring(L, 1);
  struct slice text;
  if (!snapshot) return 0;
  const char *dir = snapshot_shown_dir(snapshot);
  size_t len = strlen(dir);
  if (strncmp(path, dir, len) != 0 || path[len] != '/') return 0;
  if (!snapshot_read(snapshot, path + len + 1, &text)) return 0;
  lua_pushlstring(L, text.data, text.len);
  return 1;
}

/* is_on() -> whether the app is being developed and served meanwhile */
static int is_on(lua_State *L) {
  lua_pushboolean(L, worker_of(L)->process->shows_errors);
  return 1;
}

/* has_request() -> whether this runs for a request */
static int has_request(lua_State *L) {
  const struct fiber *fiber = fiber_running(L);
  lua_pushboolean(L, fiber && fiber->request != 0);
  return 1;
}

/* set_page(fn): page(req, text, traceback) answers for errors from now on */
static int set_page(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &page_key);
  return 0;
}

static bool push_page(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &page_key) == LUA_TFUNCTION) return true;
  lua_pop(L, 1);
  return false;
}

/* page(req, error) -> the response for it, nothing where there is no page */
static int answer_page(lua_State *L) {
  luaL_checkany(L, 2);
  lua_settop(L, 2);
  if (!push_page(L)) return 0;
  const char *trail = fiber_find_trail(L, 2);
  lua_pushvalue(L, 1);
  error_push_text(L, 2);
  lua_pushstring(L, trail);
  lua_call(L, 3, 1);
  return 1;
}

/* Stack: error, traceback or nil, source, scratch. */
static int show_error(lua_State *L) {
  struct req_source *source = lua_touserdata(L, 3);
  struct reply_scratch *scratch = lua_touserdata(L, 4);
  if (!push_page(L)) return luaL_error(L, "there is no page");
  req_push(L, source);
  error_push_text(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 3, 1);
  reply_results(L, lua_gettop(L), 1, source->exchange, scratch);
  return 0;
}

bool develop_answer_error(lua_State *L, struct req_source *source, struct reply_scratch *scratch,
                          const char *traceback) {
  lua_pushcfunction(L, show_error);
  lua_pushvalue(L, 1);
  lua_pushstring(L, traceback);
  lua_pushlightuserdata(L, source);
  lua_pushlightuserdata(L, scratch);
  bool is_answered = lua_pcall(L, 4, 0, 0) == LUA_OK;
  if (!is_answered) lua_pop(L, 1);
  return is_answered;
}

void develop_look(lua_State *L, const struct req_source *source) {
  bool is_get = source->exchange->request.method == METHOD_GET;
  if (lua_gettop(L) > 0 || !is_get || !source->line) return;
  const struct log_field fields[] = {
      log_text("route", source->route),
      log_text("handler", source->line),
      log_text("advice", "return what is to be sent, or return 204"),
  };
  log_write(worker_of(L)->process->log, LOG_WARN, "a GET handler returned nothing: 204", fields,
            array_len(fields));
}

int develop_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"send", send_nowhere}, {"source", source},    {"is_on", is_on}, {"has_request", has_request},
      {"set_page", set_page}, {"page", answer_page}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
