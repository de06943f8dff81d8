/* req_fields.c - what each field of `req` is made of.
 *
 * Text is percent-decoded only where API.md says so; repeated query names give the first value,
 * repeated headers are joined. Nothing here changes the block. */
#include "lib/req_fields.h"

#include "core/class.h"
#include "lib/context.h"
#include "lib/cookies.h"
#include "lib/req.h"
#include "lib/req_block.h"
#include "lib/schedule.h"

#include <lauxlib.h>
#include <string.h>

static void push_range(lua_State *L, const struct req *req, struct req_range range) {
  lua_pushlstring(L, req_block_bytes(req) + range.at, range.len);
}

/* Pushes the percent-decoded bytes. */
static void push_decoded(lua_State *L, const char *data, size_t len, bool plus_is_space) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, len);
  luaL_pushresultsize(&buffer, uri_decode(out, data, len, plus_is_space));
}

static void push_method(lua_State *L, struct req *req) {
  lua_pushstring(L, method_name(req->method));
}

static void push_path(lua_State *L, struct req *req) {
  push_decoded(L, req_block_bytes(req) + req->path.at, req->path.len, false);
}

static void push_target(lua_State *L, struct req *req) {
  push_range(L, req, req->target);
}

static void push_version(lua_State *L, struct req *req) {
  lua_pushstring(L, req->minor == 0 ? "1.0" : "1.1");
}

static void push_scheme(lua_State *L, struct req *req) {
  lua_pushstring(L, req->is_https ? "https" : "http");
}

static void push_host(lua_State *L, struct req *req) {
  struct slice host = req_block_find(req, FIELD_TEXT("Host"));
  if (req->authority.len > 0)
    push_range(L, req, req->authority);
  else
    lua_pushlstring(L, host.len > 0 ? host.data : "", host.len);
}

static void push_url(lua_State *L, struct req *req) {
  lua_pushstring(L, req->is_https ? "https://" : "http://");
  push_host(L, req);
  push_range(L, req, req->path);
  if (req->query.len > 0) {
    lua_pushliteral(L, "?");
    push_range(L, req, req->query);
  }
  lua_concat(L, req->query.len > 0 ? 5 : 3);
}

static void push_params(lua_State *L, struct req *req) {
  const struct req_param *params = req_block_params(req);
  lua_createtable(L, 0, (int)req->param_count);
  for (uint32_t i = 0; i < req->param_count; i++) {
    push_range(L, req, params[i].name);
    if (params[i].kind == PARAM_INT)
      lua_pushinteger(L, params[i].integer);
    else if (params[i].kind == PARAM_FLOAT)
      lua_pushnumber(L, params[i].number);
    else
      push_decoded(L, req_block_bytes(req) + params[i].value.at, params[i].value.len, false);
    lua_rawset(L, -3);
  }
}

static void push_query(lua_State *L, struct req *req) {
  struct uri_query_iter iter;
  struct slice name, value;
  lua_newtable(L);
  uri_query_begin(&iter, req_block_bytes(req) + req->query.at, req->query.len);
  while (uri_query_next(&iter, &name, &value)) {
    push_decoded(L, name.data, name.len, true);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL) {
      lua_pop(L, 2);
      continue;
    }
    lua_pop(L, 1);
    push_decoded(L, value.data, value.len, true);
    lua_rawset(L, -3);
  }
}

static void push_lower(lua_State *L, const char *text, size_t len) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, len);
  for (size_t i = 0; i < len; i++)
    out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
  luaL_pushresultsize(&buffer, len);
}

/* __index of the headers' table: a name in any case. */
static int find_header(lua_State *L) {
  size_t len;
  const char *name = lua_tolstring(L, 2, &len);
  if (!name || lua_type(L, 2) != LUA_TSTRING) return 0;
  push_lower(L, name, len);
  lua_rawget(L, 1);
  return 1;
}

static void push_headers(lua_State *L, struct req *req) {
  const struct request_field *fields = req_block_fields(req);
  lua_createtable(L, 0, (int)req->field_count);
  for (uint32_t i = 0; i < req->field_count; i++) {
    push_lower(L, req_block_bytes(req) + fields[i].name_at, fields[i].name_len);
    lua_pushvalue(L, -1);
    bool repeated = lua_rawget(L, -3) != LUA_TNIL;
    if (repeated) lua_pushliteral(L, ", ");
    lua_pushlstring(L, req_block_bytes(req) + fields[i].value_at, fields[i].value_len);
    if (repeated)
      lua_concat(L, 3);
    else
      lua_remove(L, -2);
    lua_rawset(L, -3);
  }
  class_push(L, "perilune.headers");
  lua_setmetatable(L, -2);
}

static void push_body(lua_State *L, struct req *req) {
  req_check_buffered(L, req);
  lua_pushlstring(L, req->body ? req->body : "", req->body_len);
}

static void push_remote_addr(lua_State *L, struct req *req) {
  push_range(L, req, req->peer);
}

static void push_id(lua_State *L, struct req *req) {
  char id[17];
  req_format_id(id, req->id);
  lua_pushstring(L, id);
}

static void push_route(lua_State *L, struct req *req) {
  push_range(L, req, req->route);
}

static void push_context(lua_State *L, struct req *req) {
  (void)req;
  context_push_table(L);
}

static void push_cookies(lua_State *L, struct req *req) {
  lua_newtable(L);
  for (uint32_t i = 0; i < req->field_count; i++)
    if (req_block_is_field(req, i, FIELD_TEXT("Cookie"))) cookies_add(L, req_block_value(req, i));
}

struct req_field_kind {
  const char *name;
  void (*push)(lua_State *L, struct req *req);
  bool kept; /* made once: kept in the user value */
};

static const struct req_field_kind field_kinds[] = {
    {"method", push_method, false},   {"path", push_path, false},
    {"target", push_target, false},   {"version", push_version, false},
    {"scheme", push_scheme, false},   {"host", push_host, false},
    {"url", push_url, false},         {"params", push_params, true},
    {"query", push_query, true},      {"headers", push_headers, true},
    {"body", push_body, true},        {"remote_addr", push_remote_addr, false},
    {"id", push_id, false},           {"route", push_route, false},
    {"tasks", req_push_tasks, true},  {"cookies", push_cookies, true},
    {"context", push_context, false},
};

static int push_kept(lua_State *L, struct req *req, const struct req_field_kind *kind) {
  req_push_kept(L, 1);
  if (lua_getfield(L, -1, kind->name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  kind->push(L, req);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, kind->name);
  return 1;
}

int req_fields_push(lua_State *L, lua_Integer number) {
  const struct req_field_kind *kind = &field_kinds[number];
  struct req *req = lua_touserdata(L, 1);
  if (kind->kept) return push_kept(L, req, kind);
  kind->push(L, req);
  return 1;
}

int req_fields_query_all(lua_State *L) {
  struct req *req = req_check(L, 1, "query_all");
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  struct uri_query_iter iter;
  struct slice name, value;
  lua_newtable(L);
  class_set_array(L, -1);
  lua_Integer count = 0;
  uri_query_begin(&iter, req_block_bytes(req) + req->query.at, req->query.len);
  while (uri_query_next(&iter, &name, &value)) {
    push_decoded(L, name.data, name.len, true);
    size_t name_len;
    const char *text = lua_tolstring(L, -1, &name_len);
    bool same = name_len == len && memcmp(text, wanted, len) == 0;
    lua_pop(L, 1);
    if (!same) continue;
    push_decoded(L, value.data, value.len, true);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

int req_fields_header_all(lua_State *L) {
  struct req *req = req_check(L, 1, "header_all");
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  lua_newtable(L);
  class_set_array(L, -1);
  lua_Integer count = 0;
  for (uint32_t i = 0; i < req->field_count; i++) {
    if (!req_block_is_field(req, i, (struct slice){wanted, len})) continue;
    struct slice value = req_block_value(req, i);
    lua_pushlstring(L, value.data, value.len);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

void req_fields_open(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, find_header);
  lua_setfield(L, -2, "__index");
  class_register(L, "perilune.headers");
  lua_pop(L, 1);
  lua_createtable(L, 0, array_len(field_kinds));
  for (size_t i = 0; i < array_len(field_kinds); i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_setfield(L, -2, field_kinds[i].name);
  }
}
