/* req.c - making a `req`, its methods, and its way to other states.
 *
 * Its memory is told in req_block.h, its fields are made in req_fields.c. What a method of another
 * file needs of a `req` it gets from the functions here. */
#include "lib/req.h"

#include "core/class.h"
#include "core/error.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "http/form.h"
#include "http/status.h"
#include "lib/cookies.h"
#include "lib/json.h"
#include "lib/req_block.h"
#include "lib/req_body.h"
#include "lib/req_fields.h"
#include "lib/req_form.h"
#include "lib/schedule.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define CLASS_REQ_BODY "perilune.req.body" /* the same, with a finalizer */

/* ---- making one ---- */

static size_t extra_bytes(const struct match *match, const char *route,
                          const struct proxy_client *client) {
  size_t size = strlen(route) + strlen(client->address) + client->host.len;
  for (uint32_t i = 0; i < match->param_count; i++) size += match->params[i].name.len;
  return size;
}

static struct req_range range_in(struct slice slice, const char *bytes) {
  if (slice.len == 0) return (struct req_range){0, 0};
  return (struct req_range){(uint32_t)(slice.data - bytes), (uint32_t)slice.len};
}

static struct req_range append(struct req *req, uint32_t *end, const char *data, size_t len) {
  struct req_range range = {*end, (uint32_t)len};
  if (len > 0) memcpy((char *)req_block_bytes(req) + *end, data, len);
  *end += (uint32_t)len;
  return range;
}

static void fill(struct req *req, const struct req_source *source,
                 const struct proxy_client *client) {
  const struct request *request = &source->exchange->request;
  const struct match *match = &source->exchange->match;
  const char *head = request->head.data;
  req->target = (struct req_range){request->target_at, request->target_len};
  req->path = range_in(request->uri.path, head);
  req->query = range_in(request->uri.query, head);
  req->authority = range_in(request->uri.authority, head);
  if (request->field_count > 0)
    memcpy(req_block_fields(req), request->fields,
           request->field_count * sizeof(struct request_field));
  uint32_t end = 0;
  append(req, &end, head, request->head.len);
  struct req_param *params = req_block_params(req);
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
  req->home = worker_of(L)->number;
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

struct agenda *req_take_agenda(struct req *req) {
  struct req_source *source = find_source(req);
  if (!source) return req->agenda;
  struct agenda *agenda = schedule_agenda_of(source);
  if (!req->agenda && (req->body || req->streams_body)) {
    req->agenda = agenda;
    req->agenda->references++;
  }
  return agenda;
}

void req_push_tasks(lua_State *L, struct req *req) {
  const struct schedule_home home = {req->home, req->source, req->id};
  if (req->is_here)
    schedule_push(L, req_take_agenda(req), TASK_NOW);
  else
    schedule_push_remote(L, &home, TASK_NOW);
}

uint64_t req_open_files(lua_State *L, int index) {
  struct req *req = lua_touserdata(L, index);
  struct agenda *agenda = req->is_here ? req_take_agenda(req) : NULL;
  if (agenda) schedule_agenda_open_files(agenda);
  return req->id;
}

struct req *req_check(lua_State *L, int index, const char *method) {
  const char *class = class_name(L, index);
  if (!class || strncmp(class, CLASS_REQ, strlen(CLASS_REQ)) != 0)
    luaL_error(L, "req.%s was called without its req: use a colon (req:%s)", method, method);
  return lua_touserdata(L, index);
}

void req_check_buffered(lua_State *L, const struct req *req) {
  if (req->streams_body)
    luaL_error(L, "the body of this route is streamed: read it with req:chunks()");
}

struct slice req_find_field(lua_State *L, int index, struct slice name) {
  return req_block_find(lua_touserdata(L, index), name);
}

struct req_origin req_find_origin(lua_State *L, int index, const char *method) {
  const struct req *req = req_check(L, index, method);
  return (struct req_origin){.source = req->source,
                             .number = req->source_number,
                             .home = req->home,
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

/* Upvalues: methods by name; fields by name. */
static int index_req(lua_State *L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNUMBER)
    return req_fields_push(L, lua_tointeger(L, -1));
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

/* ---- methods ---- */

static int read_json(lua_State *L) {
  struct req *req = req_check(L, 1, "json");
  unsigned flags = json_decode_flags(L, 2);
  lua_settop(L, 1);
  req_check_buffered(L, req);
  if (json_try_decode(L, req->body ? req->body : "", req->body_len, flags)) return 1;
  /* the message is on top: the client is told, as FastAPI does */
  req_abort(L, STATUS_BAD_REQUEST, "the request body is not valid JSON: %s", lua_tostring(L, -1));
}

static int describe(lua_State *L) {
  const struct req *req = lua_touserdata(L, 1);
  lua_pushfstring(L, "req: %s ", method_name(req->method));
  lua_pushlstring(L, req_block_bytes(req) + req->target.at, req->target.len);
  lua_concat(L, 2);
  return 1;
}

/* ---- crossing to another state ---- */

/* Where it arrives its form may be read, with files that belong to the request. */
static bool encode_req(lua_State *L, int index, struct buffer *out) {
  const struct req *req = lua_touserdata(L, index);
  bool has_body = req->body_len > 0 || req->streams_body;
  if (has_body && form_is_multipart(req_block_find(req, FIELD_TEXT("Content-Type"))))
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
  req->is_here = sent.home == worker_of(L)->number;
  req->body = NULL;
  if (sent.body_len == 0) return;
  req->body = memory_copy(data + sent.size, len - sent.size);
  count_body(L, req->body_len);
}

static const struct transfer_kind req_kind = {CLASS_REQ, encode_req, decode_req};
static const struct transfer_kind req_body_kind = {CLASS_REQ_BODY, encode_req, decode_req};

/* ---- the class ---- */

static const luaL_Reg methods[] = {{"json", read_json},
                                   {"query_all", req_fields_query_all},
                                   {"header_all", req_fields_header_all},
                                   {"signed_cookie", cookies_read_signed},
                                   {"chunks", req_body_chunks},
                                   {"form", req_form_read},
                                   {"form_all", req_form_read_all},
                                   {"file", req_form_file},
                                   {"files", req_form_files},
                                   {"is_disconnected", req_body_is_disconnected},
                                   {NULL, NULL}};

static int refuse_field(lua_State *L) {
  return luaL_error(L, "req has no field that can be set: keep what is yours in req.context.%s",
                    luaL_tolstring(L, 2, NULL));
}

static void register_class(lua_State *L, const char *name, const void *key, bool with_finalizer) {
  lua_newtable(L);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, index_req, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, refuse_field);
  lua_setfield(L, -2, "__newindex");
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
  req_fields_open(L);
  register_class(L, CLASS_REQ, &class_key, false);
  register_class(L, CLASS_REQ_BODY, &body_class_key, true);
  lua_pop(L, 2);
  req_form_open(L);
  transfer_register(L, &req_kind);
  transfer_register(L, &req_body_kind);
}
