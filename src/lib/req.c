/* req.c - the block behind `req` and its fields.
 *
 * The block is a header, the field and parameter entries, and the bytes they point into; offsets
 * are relative to the bytes, so the block can be copied as it is. Only a request with a body has
 * a finalizer: the body stays outside Lua until it is asked for. */
#include "lib/req.h"

#include "core/class.h"
#include "core/error.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "http/field.h"
#include "http/form.h"
#include "http/status.h"
#include "lib/cookies.h"
#include "lib/json.h"
#include "lib/req_body.h"
#include "lib/req_form.h"
#include "lib/schedule.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_REQ_BODY "perilune.req.body" /* the same, with a finalizer */

/* A range of req.bytes. */
struct range {
  uint32_t at, len;
};

struct req_param {
  struct range name, value;
  enum param_kind kind;
  union {
    int64_t integer;
    double number;
  };
};

struct req {
  struct req_source *source; /* not to be looked into unless is_here */
  uint64_t source_number;
  const struct worker *home; /* where the source lives */
  bool is_here;
  bool streams_body;
  bool is_https;
  struct agenda *agenda; /* a reference, once it has tasks or files; only with a finalizer */
  char *body;            /* owned; NULL when there is none */
  size_t body_len;
  uint64_t id;
  uint32_t size; /* of the whole block */
  enum method method;
  uint32_t minor;
  uint32_t field_count, param_count;
  struct range target, path, query, authority, route, peer;
  /* followed by params, fields and bytes */
};

static struct req_param *params_of(const struct req *req) {
  return (struct req_param *)(req + 1);
}

static struct request_field *fields_of(const struct req *req) {
  return (struct request_field *)(params_of(req) + req->param_count);
}

static const char *bytes_of(const struct req *req) {
  return (const char *)(fields_of(req) + req->field_count);
}

/* ---- making one ---- */

static size_t extra_bytes(const struct match *match, const char *route,
                          const struct proxy_client *client) {
  size_t size = strlen(route) + strlen(client->address) + client->host.len;
  for (uint32_t i = 0; i < match->param_count; i++) size += match->params[i].name.len;
  return size;
}

static struct range range_in(struct slice slice, const char *bytes) {
  if (slice.len == 0) return (struct range){0, 0};
  return (struct range){(uint32_t)(slice.data - bytes), (uint32_t)slice.len};
}

static struct range append(struct req *req, uint32_t *end, const char *data, size_t len) {
  struct range range = {*end, (uint32_t)len};
  memcpy((char *)bytes_of(req) + *end, data, len);
  *end += (uint32_t)len;
  return range;
}

static void fill(struct req *req, const struct req_source *source,
                 const struct proxy_client *client) {
  const struct request *request = &source->exchange->request;
  const struct match *match = &source->exchange->match;
  const char *head = request->head.data;
  req->target = (struct range){request->target_at, request->target_len};
  req->path = range_in(request->uri.path, head);
  req->query = range_in(request->uri.query, head);
  req->authority = range_in(request->uri.authority, head);
  if (request->field_count > 0)
    memcpy(fields_of(req), request->fields, request->field_count * sizeof(struct request_field));
  uint32_t end = 0;
  append(req, &end, head, request->head.len);
  struct req_param *params = params_of(req);
  for (uint32_t i = 0; i < match->param_count; i++) {
    const struct match_param *param = &match->params[i];
    params[i].name = append(req, &end, param->name.data, param->name.len);
    params[i].value = range_in(param->value, head);
    params[i].kind = param->kind;
    params[i].integer = param->integer; /* either member of the union */
    if (param->kind == PARAM_FLOAT) params[i].number = param->number;
  }
  req->route = append(req, &end, source->route, strlen(source->route));
  req->peer = append(req, &end, client->address, strlen(client->address));
  req->is_https = client->is_https;
  if (client->host.len > 0) req->authority = append(req, &end, client->host.data, client->host.len);
}

/* Slots of the registry with the two metatables: every request takes one. */
static const char class_key, body_class_key, methods_key;

static struct req *push_block(lua_State *L, size_t size, bool has_finalizer) {
  struct req *req = lua_newuserdatauv(L, size, 1);
  *req = (struct req){.size = (uint32_t)size};
  lua_rawgetp(L, LUA_REGISTRYINDEX, has_finalizer ? &body_class_key : &class_key);
  lua_setmetatable(L, -2);
  return req;
}

/* Bodies are outside of what the collector counts: without this, what no request refers to any
 * more would pile up until Lua's own objects make a cycle due. */
static void count_body(lua_State *L, size_t len) {
  int kibibytes = (int)(len >> 10);
  if (kibibytes > 0) lua_gc(L, LUA_GCSTEP, kibibytes);
}

void req_push(lua_State *L, struct req_source *source) {
  struct request *request = &source->exchange->request;
  const struct match *match = &source->exchange->match;
  struct proxy_client client;
  exchange_find_client(source->exchange, &client);
  size_t size = sizeof(struct req) + match->param_count * sizeof(struct req_param) +
                request->field_count * sizeof(struct request_field) + request->head.len +
                extra_bytes(match, source->route, &client);
  bool has_body = request->body.len > 0 && !source->exchange->has_streamed_body;
  struct req *req =
      push_block(L, size, request->body.len > 0 || source->exchange->has_streamed_body);
  req->source = source;
  req->home = worker_of(L);
  req->is_here = true;
  req->streams_body = source->exchange->has_streamed_body;
  req->source_number = source->number;
  req->id = source->id;
  req->method = request->method;
  req->minor = request->minor;
  req->field_count = request->field_count;
  req->param_count = match->param_count;
  fill(req, source, &client);
  if (!has_body) return;
  req->body = request->body.data; /* moved, not copied */
  req->body_len = request->body.len;
  request->body = (struct buffer){0};
  count_body(L, req->body_len);
}

void req_format_id(char out[17], uint64_t id) {
  for (int i = 15; i >= 0; i--, id >>= 4) out[i] = "0123456789abcdef"[id & 15];
  out[16] = '\0';
}

static int release(lua_State *L) {
  struct req *req = lua_touserdata(L, 1);
  free(req->body);
  req->body = NULL;
  schedule_agenda_release(req->agenda);
  req->agenda = NULL;
  return 0;
}

/* The source while the request is being handled, else NULL. */
static struct req_source *find_source(const struct req *req) {
  if (!req->is_here || req->source->number != req->source_number) return NULL;
  return req->source;
}

/* ---- fields ---- */

static void push_range(lua_State *L, const struct req *req, struct range range) {
  lua_pushlstring(L, bytes_of(req) + range.at, range.len);
}

/* Pushes the percent-decoded bytes. */
static void push_decoded(lua_State *L, const char *data, size_t len, bool plus_is_space) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, len);
  luaL_pushresultsize(&buffer, uri_decode(out, data, len, plus_is_space));
}

static struct slice value_of(const struct req *req, uint32_t i) {
  const struct request_field *field = &fields_of(req)[i];
  return (struct slice){bytes_of(req) + field->value_at, field->value_len};
}

static bool is_field(const struct req *req, uint32_t i, struct slice name) {
  const struct request_field *field = &fields_of(req)[i];
  return field_equal((struct slice){bytes_of(req) + field->name_at, field->name_len}, name);
}

/* The first one; data is NULL when there is none. */
static struct slice find_field(const struct req *req, struct slice name) {
  for (uint32_t i = 0; i < req->field_count; i++)
    if (is_field(req, i, name)) return value_of(req, i);
  return (struct slice){NULL, 0};
}

static void push_method(lua_State *L, struct req *req) {
  lua_pushstring(L, method_name(req->method));
}

static void push_path(lua_State *L, struct req *req) {
  push_decoded(L, bytes_of(req) + req->path.at, req->path.len, false);
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
  struct slice host = find_field(req, FIELD_TEXT("Host"));
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
  const struct req_param *params = params_of(req);
  lua_createtable(L, 0, (int)req->param_count);
  for (uint32_t i = 0; i < req->param_count; i++) {
    push_range(L, req, params[i].name);
    if (params[i].kind == PARAM_INT)
      lua_pushinteger(L, params[i].integer);
    else if (params[i].kind == PARAM_FLOAT)
      lua_pushnumber(L, params[i].number);
    else
      push_decoded(L, bytes_of(req) + params[i].value.at, params[i].value.len, false);
    lua_rawset(L, -3);
  }
}

static void push_query(lua_State *L, struct req *req) {
  struct uri_query_iter iter;
  struct slice name, value;
  lua_newtable(L);
  uri_query_begin(&iter, bytes_of(req) + req->query.at, req->query.len);
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
  const struct request_field *fields = fields_of(req);
  lua_createtable(L, 0, (int)req->field_count);
  for (uint32_t i = 0; i < req->field_count; i++) {
    push_lower(L, bytes_of(req) + fields[i].name_at, fields[i].name_len);
    lua_pushvalue(L, -1);
    bool repeated = lua_rawget(L, -3) != LUA_TNIL;
    if (repeated) lua_pushliteral(L, ", ");
    lua_pushlstring(L, bytes_of(req) + fields[i].value_at, fields[i].value_len);
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
  if (req->streams_body)
    luaL_error(L, "the body of this route is streamed: read it with req:chunks()");
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

/* The agenda of the request while it lasts: made when there is none, and kept by a `req` with a
 * body, whose files its tasks may ask for. */
static struct agenda *take_agenda(struct req *req) {
  struct req_source *source = find_source(req);
  if (!source) return req->agenda;
  if (!source->agenda) source->agenda = schedule_agenda_create(source->handler);
  if (!req->agenda && (req->body || req->streams_body)) {
    req->agenda = source->agenda;
    req->agenda->references++;
  }
  return source->agenda;
}

static void push_tasks(lua_State *L, struct req *req) {
  schedule_push(L, find_source(req) ? take_agenda(req) : NULL, TASK_NOW);
}

uint64_t req_open_files(lua_State *L, int index) {
  struct req *req = lua_touserdata(L, index);
  struct agenda *agenda = req->is_here ? take_agenda(req) : NULL;
  if (agenda) schedule_agenda_open_files(agenda);
  return req->id;
}

static void push_cookies(lua_State *L, struct req *req) {
  lua_newtable(L);
  for (uint32_t i = 0; i < req->field_count; i++)
    if (is_field(req, i, FIELD_TEXT("Cookie"))) cookies_add(L, value_of(req, i));
}

struct req_field_kind {
  const char *name;
  void (*push)(lua_State *L, struct req *req);
  bool kept; /* made once: kept in the user value */
};

static const struct req_field_kind field_kinds[] = {
    {"method", push_method, false}, {"path", push_path, false},
    {"target", push_target, false}, {"version", push_version, false},
    {"scheme", push_scheme, false}, {"host", push_host, false},
    {"url", push_url, false},       {"params", push_params, true},
    {"query", push_query, true},    {"headers", push_headers, true},
    {"body", push_body, true},      {"remote_addr", push_remote_addr, false},
    {"id", push_id, false},         {"route", push_route, false},
    {"tasks", push_tasks, true},    {"cookies", push_cookies, true},
};

static struct req *check_req(lua_State *L, int index, const char *method) {
  const char *class = class_name(L, index);
  if (!class || strncmp(class, CLASS_REQ, strlen(CLASS_REQ)) != 0)
    luaL_error(L, "req.%s was called without its req: use a colon (req:%s)", method, method);
  return lua_touserdata(L, index);
}

struct slice req_find_field(lua_State *L, int index, struct slice name) {
  return find_field(lua_touserdata(L, index), name);
}

struct req_origin req_find_origin(lua_State *L, int index, const char *method) {
  const struct req *req = check_req(L, index, method);
  return (struct req_origin){.source = req->source,
                             .number = req->source_number,
                             .is_here = req->is_here,
                             .streams_body = req->streams_body,
                             .body = {req->body ? req->body : "", req->body_len}};
}

void req_abort(lua_State *L, int status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  error_push(L, "abort", "%d: %s", status, lua_tostring(L, -1));
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "detail");
  lua_error(L);
  __builtin_unreachable();
}

void req_push_kept(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, 1);
}

static int push_kept(lua_State *L, struct req *req, const struct req_field_kind *kind) {
  req_push_kept(L, 1);
  if (lua_getfield(L, -1, kind->name) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  kind->push(L, req);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, kind->name);
  return 1;
}

/* Upvalues: methods by name; indexes into field_kinds by name. */
static int index_req(lua_State *L) {
  struct req *req = lua_touserdata(L, 1);
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(2));
  if (type == LUA_TNUMBER) {
    const struct req_field_kind *kind = &field_kinds[lua_tointeger(L, -1)];
    if (kind->kept) return push_kept(L, req, kind);
    kind->push(L, req);
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* ---- methods ---- */

static int read_json(lua_State *L) {
  struct req *req = check_req(L, 1, "json");
  unsigned flags = json_decode_flags(L, 2);
  lua_settop(L, 1);
  if (req->streams_body) push_body(L, req);
  if (json_try_decode(L, req->body ? req->body : "", req->body_len, flags)) return 1;
  /* the message is on top: the client is told, as FastAPI does */
  req_abort(L, STATUS_BAD_REQUEST, "the request body is not valid JSON: %s", lua_tostring(L, -1));
}

static int query_all(lua_State *L) {
  struct req *req = check_req(L, 1, "query_all");
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  struct uri_query_iter iter;
  struct slice name, value;
  lua_newtable(L);
  class_set_array(L, -1);
  lua_Integer count = 0;
  uri_query_begin(&iter, bytes_of(req) + req->query.at, req->query.len);
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

static int header_all(lua_State *L) {
  struct req *req = check_req(L, 1, "header_all");
  size_t len;
  const char *wanted = luaL_checklstring(L, 2, &len);
  lua_newtable(L);
  class_set_array(L, -1);
  lua_Integer count = 0;
  for (uint32_t i = 0; i < req->field_count; i++) {
    if (!is_field(req, i, (struct slice){wanted, len})) continue;
    struct slice value = value_of(req, i);
    lua_pushlstring(L, value.data, value.len);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

static int describe(lua_State *L) {
  const struct req *req = lua_touserdata(L, 1);
  lua_pushfstring(L, "req: %s ", method_name(req->method));
  push_range(L, req, req->target);
  lua_concat(L, 2);
  return 1;
}

/* ---- crossing to another state ---- */

/* Where it arrives its form may be read, with files that belong to the request. */
static bool encode_req(lua_State *L, int index, struct buffer *out) {
  const struct req *req = lua_touserdata(L, index);
  bool has_body = req->body_len > 0 || req->streams_body;
  if (has_body && form_is_multipart(find_field(req, FIELD_TEXT("Content-Type"))))
    req_open_files(L, index);
  buffer_add(out, req, req->size);
  buffer_add(out, req->body, req->body_len);
  return true;
}

static void decode_req(lua_State *L, const char *data, size_t len) {
  struct req sent;
  memcpy(&sent, data, sizeof sent);
  struct req *req = push_block(L, sent.size, sent.body_len > 0 || sent.streams_body);
  memcpy(req, data, sent.size);
  req->agenda = NULL;
  req->is_here = sent.home == worker_of(L);
  req->body = NULL;
  if (sent.body_len == 0) return;
  req->body = memory_copy(data + sent.size, len - sent.size);
  count_body(L, req->body_len);
}

static const struct transfer_kind req_kind = {CLASS_REQ, encode_req, decode_req};
static const struct transfer_kind req_body_kind = {CLASS_REQ_BODY, encode_req, decode_req};

/* ---- the class ---- */

static const luaL_Reg methods[] = {{"json", read_json},
                                   {"query_all", query_all},
                                   {"header_all", header_all},
                                   {"signed_cookie", cookies_read_signed},
                                   {"chunks", req_body_chunks},
                                   {"form", req_form_read},
                                   {"form_all", req_form_read_all},
                                   {"file", req_form_file},
                                   {"files", req_form_files},
                                   {"is_disconnected", req_body_is_disconnected},
                                   {NULL, NULL}};

static void register_class(lua_State *L, const char *name, const void *key, bool with_finalizer) {
  lua_newtable(L);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, index_req, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, describe);
  lua_setfield(L, -2, "__tostring");
  if (with_finalizer) {
    lua_pushcfunction(L, release);
    lua_setfield(L, -2, "__gc");
  }
  class_register(L, name);
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void req_add_method(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void req_open(lua_State *L) {
  luaL_newlib(L, methods);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
  lua_createtable(L, 0, array_len(field_kinds));
  for (size_t i = 0; i < array_len(field_kinds); i++) {
    lua_pushinteger(L, (lua_Integer)i);
    lua_setfield(L, -2, field_kinds[i].name);
  }
  register_class(L, CLASS_REQ, &class_key, false);
  register_class(L, CLASS_REQ_BODY, &body_class_key, true);
  lua_pop(L, 2);
  lua_newtable(L);
  lua_pushcfunction(L, find_header);
  lua_setfield(L, -2, "__index");
  class_register(L, "perilune.headers");
  lua_pop(L, 1);
  req_form_open(L);
  transfer_register(L, &req_kind);
  transfer_register(L, &req_body_kind);
}
