/* client_response.c - making responses from what curl recorded, and their methods.
 *
 * Values that came more than once are kept apart too, in the response's field `_repeated`: joined
 * they cannot be told apart where they have commas (Set-Cookie). */
#include "lib/client_response.h"

#include "core/class.h"
#include "core/error.h"
#include "http/status.h"
#include "lib/client_stream.h"
#include "lib/json.h"
#include "lib/options.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#define CLASS_RESPONSE "http.response"
#define CLASS_HEADERS  "http.headers"

enum { STATUS_ERROR_MIN = 400 };

/* ---- headers ---- */

static void push_lower(lua_State *L, const char *text, size_t len) {
  luaL_Buffer lower;
  char *out = luaL_buffinitsize(L, &lower, len);
  for (size_t i = 0; i < len; i++) out[i] = (char)tolower((unsigned char)text[i]);
  luaL_pushresultsize(&lower, len);
}

/* headers[name], where the name as it is was not found */
static int find_header(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING) return 0;
  size_t len;
  const char *name = lua_tolstring(L, 2, &len);
  push_lower(L, name, len);
  lua_rawget(L, 1);
  return 1;
}

static struct slice trim(struct slice text) {
  while (text.len > 0 && isspace((unsigned char)*text.data)) text.data++, text.len--;
  while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1])) text.len--;
  return text;
}

/* Adds the value on top, popped, to the list of the name at `name` in `repeated`; the list starts
 * with the value that `headers` has. */
static void add_repeat(lua_State *L, int headers, int repeated, int name) {
  lua_pushvalue(L, name);
  if (lua_rawget(L, repeated) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_createtable(L, 2, 0);
    class_set_array(L, -1);
    lua_pushvalue(L, name);
    lua_rawget(L, headers);
    lua_rawseti(L, -2, 1);
    lua_pushvalue(L, name);
    lua_pushvalue(L, -2);
    lua_rawset(L, repeated);
  }
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 1);
}

/* Adds one header to `headers`, or to `repeated` when it is there already. */
static void add_header(lua_State *L, int headers, int repeated, struct slice name,
                       struct slice value) {
  push_lower(L, name.data, name.len);
  int key = lua_gettop(L);
  lua_pushvalue(L, key);
  bool again = lua_rawget(L, headers) != LUA_TNIL;
  lua_pushlstring(L, value.data, value.len);
  if (again) {
    add_repeat(L, headers, repeated, key);
  } else {
    lua_pushvalue(L, key);
    lua_insert(L, -2);
    lua_rawset(L, headers);
  }
  lua_settop(L, key - 1);
}

/* Joins the lists of `repeated` into `headers`. */
static void join_repeated(lua_State *L, int headers, int repeated) {
  for (lua_pushnil(L); lua_next(L, repeated); lua_pop(L, 1)) {
    int list = lua_gettop(L);
    luaL_Buffer joined;
    lua_pushvalue(L, list - 1);
    luaL_buffinit(L, &joined);
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, list); i++) {
      if (i > 1) luaL_addstring(&joined, ", ");
      lua_rawgeti(L, list, i);
      luaL_addvalue(&joined);
    }
    luaL_pushresult(&joined);
    lua_rawset(L, headers);
  }
}

/* Takes the next field off the lines, folded ones included (RFC 9112, 5.2); false at the end. */
static bool next_field(struct slice *lines, struct slice *field) {
  if (lines->len == 0) return false;
  const char *end = lines->data + lines->len, *at = lines->data;
  do {
    const char *line_end = memchr(at, '\n', (size_t)(end - at));
    at = line_end ? line_end + 1 : end;
  } while (at < end && (*at == ' ' || *at == '\t'));
  *field = (struct slice){lines->data, (size_t)(at - lines->data)};
  *lines = (struct slice){at, (size_t)(end - at)};
  return true;
}

/* Pushes the headers and a table of repeated ones. */
static void push_headers(lua_State *L, const struct buffer *head) {
  lua_newtable(L);
  int headers = lua_gettop(L);
  lua_newtable(L);
  struct slice lines = {head->data, head->len}, field;
  while (next_field(&lines, &field)) {
    const char *colon = memchr(field.data, ':', field.len);
    if (!colon) continue;
    size_t name_len = (size_t)(colon - field.data);
    struct slice value = {colon + 1, field.len - name_len - 1};
    add_header(L, headers, headers + 1, trim((struct slice){field.data, name_len}), trim(value));
  }
  join_repeated(L, headers, headers + 1);
  class_push(L, CLASS_HEADERS);
  lua_setmetatable(L, headers);
}

/* ---- the response ---- */

void client_response_check(lua_State *L, const char *method) {
  const char *name = class_name(L, 1);
  if (!name || strcmp(name, CLASS_RESPONSE) != 0 || !lua_istable(L, 1))
    luaL_error(L, "use a colon: response:%s()", method);
}

/* response:json([{ null = true }]) */
static int response_json(lua_State *L) {
  static const char *const names[] = {"null", NULL};
  client_response_check(L, "json");
  options_check(L, 2, names);
  unsigned flags = 0;
  if (lua_istable(L, 2) && lua_getfield(L, 2, "null") != LUA_TNIL && lua_toboolean(L, -1))
    flags = JSON_KEEP_NULL;
  size_t len;
  if (client_stream_is_at(L, 1))
    return luaL_error(L, "the response is a stream: read response:chunks()");
  lua_getfield(L, 1, "body");
  const char *body = luaL_checklstring(L, -1, &len);
  json_decode(L, body, len, flags);
  return 1;
}

/* response:header_all(name): every value of that header */
static int response_header_all(lua_State *L) {
  client_response_check(L, "header_all");
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  lua_settop(L, 2);
  push_lower(L, name, len);
  lua_getfield(L, 1, "_repeated");
  lua_pushvalue(L, 3);
  if (lua_istable(L, 4) && lua_rawget(L, 4) != LUA_TNIL) return 1;
  lua_settop(L, 3);
  lua_newtable(L);
  class_set_array(L, -1);
  lua_getfield(L, 1, "headers");
  lua_pushvalue(L, 3);
  if (lua_gettable(L, -2) != LUA_TNIL) lua_rawseti(L, 4, 1);
  lua_settop(L, 4);
  return 1;
}

/* response:raise_for_status(): the response itself below 400 */
static int response_raise_for_status(lua_State *L) {
  client_response_check(L, "raise_for_status");
  lua_settop(L, 1);
  lua_getfield(L, 1, "status");
  int status = (int)luaL_checkinteger(L, 2);
  if (status < STATUS_ERROR_MIN) {
    lua_settop(L, 1);
    return 1;
  }
  lua_getfield(L, 1, "url");
  error_push(L, "http", "%d %s from %s", status, status_reason(status), luaL_tolstring(L, 3, NULL));
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "status");
  lua_pushvalue(L, 1);
  lua_setfield(L, -2, "response");
  return lua_error(L);
}

void client_response_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"json", response_json},
                                     {"header_all", response_header_all},
                                     {"raise_for_status", response_raise_for_status},
                                     {"chunks", client_stream_chunks},
                                     {"close", client_stream_close},
                                     {NULL, NULL}};
  class_push(L, CLASS_RESPONSE);
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, client_stream_close);
  lua_setfield(L, -2, "__close");
  class_push(L, CLASS_HEADERS);
  lua_pushcfunction(L, find_header);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 2);
}

void client_response_push(lua_State *L, const struct fetch *fetch, lua_Number elapsed_s) {
  long status = 0;
  char *url = NULL;
  curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(fetch->easy, CURLINFO_EFFECTIVE_URL, &url);
  lua_createtable(L, 0, 7);
  int response = lua_gettop(L);
  push_headers(L, &fetch->head);
  lua_setfield(L, response, "_repeated");
  lua_setfield(L, response, "headers");
  lua_pushinteger(L, status);
  lua_setfield(L, response, "status");
  if (!fetch->request.stream) {
    lua_pushlstring(L, fetch->body.len ? fetch->body.data : "", fetch->body.len);
    lua_setfield(L, response, "body");
  }
  lua_pushstring(L, url ? url : fetch->url);
  lua_setfield(L, response, "url");
  lua_pushnumber(L, elapsed_s);
  lua_setfield(L, response, "elapsed");
  class_push(L, CLASS_RESPONSE);
  lua_setmetatable(L, response);
}
