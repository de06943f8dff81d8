/* reply.c - the kinds of handler results.
 *
 * Each kind fills a struct response whose slices point into Lua strings on the stack or into the
 * scratch; exchange_respond copies them before this returns. */
#include "lib/reply.h"

#include "core/class.h"
#include "core/error.h"
#include "http/file.h"
#include "http/status.h"
#include "lib/json.h"

#include <lauxlib.h>
#include <string.h>

#define TYPE_TEXT "Content-Type: text/plain; charset=utf-8\r\n"
#define TYPE_JSON "Content-Type: application/json\r\n"

enum {
  SCRATCH_KEEP_BYTES = 1 << 20,
  OBJECT_SIZE = 4, /* fields of a response object, as far as they are foreseen */
  HEADERS_SIZE = 4
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

/* What is being put together. */
struct reply {
  lua_State *L;
  struct reply_scratch *scratch;
  const char *who; /* gave the results: "the handler" */
  int status;      /* of results that name none */
  bool is_post;
  bool streams;
  bool is_encoded;         /* the body is JSON in the scratch */
  struct slice type;       /* the default Content-Type that was added; may be empty */
  struct slice file, root; /* perilune.file; no data: the body is something else */
  struct response response;
};

void reply_finish(struct reply_scratch *scratch) {
  buffer_finish(&scratch->body);
  buffer_finish(&scratch->block);
}

static struct slice slice_of(const struct buffer *buffer) {
  return (struct slice){buffer->data, buffer->len};
}

/* ---- headers ---- */

static void add_field(struct reply *reply, const char *name, size_t name_len, const char *value,
                      size_t value_len) {
  switch (response_check_field((struct slice){name, name_len}, (struct slice){value, value_len})) {
  case RESPONSE_FIELD_OK:
    break;
  case RESPONSE_FIELD_INVALID:
    luaL_error(reply->L, "header \"%s\" has a character that may not be sent in a header", name);
    break;
  case RESPONSE_FIELD_RESERVED:
    luaL_error(reply->L, "header \"%s\" is written by the server itself", name);
    break;
  }
  struct buffer *block = &reply->scratch->block;
  buffer_add(block, name, name_len);
  buffer_add(block, ": ", 2);
  buffer_add(block, value, value_len);
  buffer_add(block, "\r\n", 2);
}

static bool is_content_type(const char *name, size_t len) {
  return len == strlen("content-type") && strncasecmp(name, "content-type", len) == 0;
}

/* One value of a header: text or a number, at the top of the stack. */
static void add_value(struct reply *reply, const char *name, size_t name_len) {
  lua_State *L = reply->L;
  size_t len;
  int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    luaL_error(L, "header \"%s\" is a %s, not a string, a number or a list of them", name,
               luaL_typename(L, -1));
  const char *value = lua_tolstring(L, -1, &len);
  add_field(reply, name, name_len, value, len);
}

/* The table of headers at `index`; true when it has a Content-Type. */
static bool add_headers(struct reply *reply, int index) {
  lua_State *L = reply->L;
  bool has_type = false;
  if (lua_isnoneornil(L, index)) return false;
  if (!lua_istable(L, index))
    luaL_error(L, "headers are a table of name to value, not a %s", luaL_typename(L, index));
  for (lua_pushnil(L); lua_next(L, index);) {
    size_t len;
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "headers are a table of name to value; there is a key that is a %s",
                 luaL_typename(L, -2));
    const char *name = lua_tolstring(L, -2, &len);
    has_type |= is_content_type(name, len);
    if (!lua_istable(L, -1)) {
      lua_pushvalue(L, -1);
      add_value(reply, name, len);
      lua_pop(L, 2);
      continue;
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      add_value(reply, name, len);
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  return has_type;
}

/* ---- bodies ---- */

static void set_json(struct reply *reply, int index) {
  buffer_clear(&reply->scratch->body);
  json_encode(reply->L, index, &reply->scratch->body);
  reply->response.body = slice_of(&reply->scratch->body);
  reply->is_encoded = true;
}

static void set_text(struct reply *reply, int index) {
  size_t len;
  const char *text = lua_tolstring(reply->L, index, &len);
  reply->response.body = (struct slice){text, len};
}

/* Puts the default type before the fields that were added, unless they name one. */
static void set_block(struct reply *reply, struct slice type, bool has_type) {
  struct buffer *block = &reply->scratch->block;
  if (!has_type) reply->type = type;
  if (block->len == 0) {
    reply->response.block = type;
    return;
  }
  if (!has_type) buffer_add(block, type.data, type.len);
  reply->response.block = slice_of(block);
}

static void set_body(struct reply *reply, int index, bool has_type) {
  switch (lua_type(reply->L, index)) {
  case LUA_TSTRING:
    set_text(reply, index);
    set_block(reply, SLICE(TYPE_TEXT), has_type);
    break;
  case LUA_TTABLE:
    set_json(reply, index);
    set_block(reply, SLICE(TYPE_JSON), has_type);
    break;
  case LUA_TNONE:
  case LUA_TNIL:
    set_block(reply, SLICE(""), has_type);
    break;
  default:
    luaL_error(reply->L, "a response body is a string or a table, not a %s",
               luaL_typename(reply->L, index));
  }
}

static void set_status(struct reply *reply, int index) {
  lua_State *L = reply->L;
  int is_integer;
  lua_Integer status = lua_tointegerx(L, index, &is_integer);
  if (!is_integer || status < STATUS_FINAL_MIN || status > STATUS_FINAL_MAX)
    luaL_error(
        L,
        "%s returned the number %s, which is no status from 200 to 599: return a string or a "
        "table as body, or a status first (return 201, body)",
        reply->who, luaL_tolstring(L, index, NULL));
  reply->response.status = (int)status;
}

/* ---- kinds of results ---- */

/* Pushes a field of a response or an error, without its metatable's __index, and gives its type. */
static int push_field(lua_State *L, int index, const char *name) {
  lua_pushstring(L, name);
  return lua_rawget(L, index);
}

/* A redirect without a status of its own is See Other after a POST (RFC 9110, 15.4.4). */
static void choose_redirect(struct reply *reply, int index) {
  if (!reply->is_post || reply->response.status != STATUS_FOUND) return;
  if (push_field(reply->L, index, "has_default_redirect") != LUA_TNIL)
    reply->response.status = STATUS_SEE_OTHER;
  lua_pop(reply->L, 1);
}

/* Whether the function of the response at `index` writes the body. */
static bool is_streamed(lua_State *L, int index) {
  bool streams = push_field(L, index, "stream") == LUA_TFUNCTION ||
                 push_field(L, index, "call") == LUA_TUSERDATA;
  lua_settop(L, lua_gettop(L) - (lua_isfunction(L, -1) ? 1 : 2));
  return streams;
}

static struct slice text_field(lua_State *L, int index, const char *name) {
  struct slice text;
  push_field(L, index, name);
  text.data = lua_tolstring(L, -1, &text.len);
  lua_pop(L, 1); /* the response keeps it alive */
  return text.data ? text : (struct slice){NULL, 0};
}

/* A response object: { status=, headers=, body= | json= | file= | stream= | call= }. */
static void set_object(struct reply *reply, int index) {
  lua_State *L = reply->L;
  push_field(L, index, "status");
  push_field(L, index, "headers");
  push_field(L, index, "body");
  push_field(L, index, "json");
  int status = lua_gettop(L) - 3;
  if (!lua_isnil(L, status)) set_status(reply, status);
  choose_redirect(reply, index);
  bool has_type = add_headers(reply, status + 1);
  bool has_body = !lua_isnil(L, status + 2), has_json = !lua_isnil(L, status + 3);
  reply->streams = is_streamed(L, index);
  reply->file = text_field(L, index, "file");
  reply->root = text_field(L, index, "root");
  bool has_file = reply->file.data != NULL;
  if (has_body + has_json + has_file + reply->streams > 1)
    luaL_error(L, "a response has body, json, a file or a function that streams it, not two of "
                  "them");
  if (reply->streams) {
    set_block(reply, SLICE(TYPE_TEXT), has_type);
  } else if (has_file) {
    set_block(reply, SLICE(""), has_type);
  } else if (has_json) {
    set_json(reply, status + 3);
    set_block(reply, SLICE(TYPE_JSON), has_type);
  } else {
    set_body(reply, status + 2, has_type);
  }
}

bool reply_is_object(lua_State *L, int index) {
  if (!lua_istable(L, index)) return false;
  const char *class = class_name(L, index);
  return class && strcmp(class, CLASS_RESPONSE) == 0;
}

static void refuse_more(const struct reply *reply, int count) {
  if (count > 1)
    luaL_error(reply->L,
               "%s returned a result after the body: the status comes first (return 201, body, "
               "headers)",
               reply->who);
}

static NO_RETURN void raise_unknown(const struct reply *reply, int index) {
  lua_State *L = reply->L;
  error_raise(L, "response",
              "%s returned %s: return a string, a table, a status (return 204), a status and a "
              "body (return 201, body), or call perilune.abort(404)",
              reply->who, lua_isnil(L, index) ? "nil" : luaL_tolstring(L, index, NULL));
}

static void set_results(struct reply *reply, int first, int count) {
  lua_State *L = reply->L;
  reply->response.status = reply->status;
  switch (count == 0 ? LUA_TNONE : lua_type(L, first)) {
  case LUA_TNONE:
    reply->response.status = STATUS_NO_CONTENT;
    break;
  case LUA_TTABLE:
    refuse_more(reply, count);
    if (lua_getmetatable(L, first)) {
      lua_pop(L, 1);
      if (reply_is_object(L, first)) {
        set_object(reply, first);
        break;
      }
    }
    set_body(reply, first, false);
    break;
  case LUA_TSTRING:
    refuse_more(reply, count);
    set_body(reply, first, false);
    break;
  case LUA_TNUMBER: {
    set_status(reply, first);
    if (count > 3) luaL_error(L, "%s returned more than status, body and headers", reply->who);
    if (count > 1 && reply_is_object(L, first + 1))
      luaL_error(L,
                 "%s returned a status and a response object: the object has the status "
                 "(perilune.response { status = 201, ... }, or response.status = 201)",
                 reply->who);
    lua_settop(L, first + 2); /* body and headers may be missing */
    bool has_type = add_headers(reply, first + 2);
    set_body(reply, first + 1, has_type);
    break;
  }
  default:
    raise_unknown(reply, first);
  }
}

static struct reply begin(lua_State *L, struct reply_scratch *scratch) {
  buffer_clear(&scratch->block);
  if (scratch->body.cap > SCRATCH_KEEP_BYTES) buffer_finish(&scratch->body);
  return (struct reply){.L = L, .scratch = scratch, .who = "the handler", .status = STATUS_OK};
}

/* A path with a NUL names no file. */
static void respond_file(const struct reply *reply, struct exchange *exchange) {
  bool is_path = !memchr(reply->file.data, '\0', reply->file.len);
  struct file_wanted wanted = {.path = is_path ? reply->file : SLICE(""),
                               .root = reply->root,
                               .dir_fd = -1,
                               .status = reply->response.status,
                               .block = reply->response.block};
  file_respond(exchange, &wanted);
}

bool reply_results(lua_State *L, int first, int count, struct exchange *exchange,
                   struct reply_scratch *scratch) {
  struct reply reply = begin(L, scratch);
  reply.is_post = exchange->request.method == METHOD_POST;
  set_results(&reply, first, count);
  if (UNLIKELY(reply.file.data != NULL)) {
    respond_file(&reply, exchange);
    return false;
  }
  if (LIKELY(!reply.streams)) {
    exchange_respond(exchange, &reply.response);
    return false;
  }
  exchange_begin(exchange, &reply.response, EXCHANGE_LENGTH_UNKNOWN);
  bool has_content =
      exchange->request.method != METHOD_HEAD && response_has_content(reply.response.status);
  if (!has_content) exchange_end(exchange);
  return has_content;
}

/* The abort at `index`: {"detail": ...}. */
static void set_abort(struct reply *reply, int index) {
  lua_State *L = reply->L;
  push_field(L, index, "status");
  set_status(reply, -1);
  push_field(L, index, "headers");
  bool has_type = add_headers(reply, lua_gettop(L));
  lua_createtable(L, 0, 1);
  if (lua_getfield(L, index, "detail") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushstring(L, status_reason(reply->response.status));
  }
  lua_setfield(L, -2, "detail");
  set_body(reply, lua_gettop(L), has_type);
}

static bool is_abort(lua_State *L, int index) {
  const char *kind = error_kind(L, index);
  return kind && strcmp(kind, "abort") == 0;
}

int reply_abort(lua_State *L, int index, struct exchange *exchange, struct reply_scratch *scratch) {
  if (!is_abort(L, index)) return 0;
  struct reply reply = begin(L, scratch);
  set_abort(&reply, lua_absindex(L, index));
  exchange_respond(exchange, &reply.response);
  return reply.response.status;
}

/* ---- results as response objects ---- */

/* Copies the fields of the table at `from`, raw, into the one on top. */
static void copy_fields(lua_State *L, int from) {
  int to = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, from);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

/* Copies a table of headers, with the lists in it, into the one on top. */
static void copy_headers(lua_State *L, int from) {
  copy_fields(L, from);
  int to = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, from);) {
    if (lua_istable(L, -1)) {
      lua_createtable(L, (int)lua_rawlen(L, -1), 0);
      copy_fields(L, lua_gettop(L) - 1);
      lua_remove(L, -2);
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, to);
    } else {
      lua_pop(L, 1);
    }
  }
}

/* Sets the fields that are not the same in what was given; the object is on top, the headers that
 * were given are at `headers` (0: none). */
static void set_fields(const struct reply *reply, int headers) {
  lua_State *L = reply->L;
  lua_pushinteger(L, reply->response.status);
  lua_setfield(L, -2, "status");
  if (reply->is_encoded) {
    lua_pushlstring(L, reply->response.body.data, reply->response.body.len);
    lua_setfield(L, -2, "body");
    lua_pushnil(L);
    lua_setfield(L, -2, "json");
  }
  lua_createtable(L, 0, HEADERS_SIZE);
  if (headers != 0 && lua_istable(L, headers)) copy_headers(L, headers);
  if (reply->type.len > 0) {
    const size_t name_len = sizeof "Content-Type: " - 1, end_len = sizeof "\r\n" - 1;
    lua_pushlstring(L, reply->type.data + name_len, reply->type.len - name_len - end_len);
    lua_setfield(L, -2, "Content-Type");
  }
  lua_setfield(L, -2, "headers");
}

static void push_object(const struct reply *reply, int given) {
  lua_State *L = reply->L;
  push_field(L, given, "headers");
  int headers = lua_gettop(L);
  lua_createtable(L, 0, OBJECT_SIZE);
  copy_fields(L, given);
  lua_pushvalue(L, given);
  lua_setfield(L, -2, "origin");
  set_fields(reply, headers);
}

static void push_plain(const struct reply *reply, int first) {
  lua_State *L = reply->L;
  bool has_status = lua_type(L, first) == LUA_TNUMBER;
  int body = has_status ? first + 1 : first, headers = has_status ? first + 2 : 0;
  lua_createtable(L, 0, OBJECT_SIZE);
  if (lua_type(L, body) == LUA_TSTRING) {
    lua_pushvalue(L, body);
    lua_setfield(L, -2, "body");
  }
  set_fields(reply, headers);
}

static void set_class(lua_State *L) {
  class_push(L, CLASS_RESPONSE);
  lua_setmetatable(L, -2);
}

void reply_push(lua_State *L, int first, int count, const char *who, int status,
                struct reply_scratch *scratch) {
  struct reply reply = begin(L, scratch);
  reply.who = who;
  reply.status = status;
  bool is_object = count == 1 && reply_is_object(L, first);
  set_results(&reply, first, count);
  if (is_object)
    push_object(&reply, first);
  else
    push_plain(&reply, first);
  set_class(L);
}

/* Whether a response object has to be encoded. */
static bool needs_encoding(lua_State *L, int index) {
  bool needs =
      push_field(L, index, "json") != LUA_TNIL || push_field(L, index, "body") == LUA_TTABLE;
  lua_settop(L, index);
  return needs;
}

int reply_prepare(lua_State *L, int first, int count, const char *who,
                  struct reply_scratch *scratch) {
  if (count == 0) return 0;
  if (count == 1 && lua_type(L, first) == LUA_TSTRING) return 1;
  bool is_object = count == 1 && reply_is_object(L, first);
  if (is_object && !needs_encoding(L, first)) return 1;
  if (is_object || !lua_istable(L, first) || count > 1) {
    reply_push(L, first, count, who, STATUS_OK, scratch);
    return 1;
  }
  struct reply reply = begin(L, scratch);
  lua_pushinteger(L, STATUS_OK);
  set_json(&reply, first);
  lua_pushlstring(L, reply.response.body.data, reply.response.body.len);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "application/json");
  lua_setfield(L, -2, "Content-Type");
  return 3;
}

void reply_push_status(lua_State *L, int status) {
  char text[RESPONSE_DETAIL_BYTES];
  lua_createtable(L, 0, OBJECT_SIZE);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  lua_createtable(L, 0, 2);
  if (status != STATUS_NO_CONTENT) {
    struct slice detail = response_detail(text, status);
    lua_pushlstring(L, detail.data, detail.len);
    lua_setfield(L, -3, "body");
    lua_pushliteral(L, "application/json");
    lua_setfield(L, -2, "Content-Type");
  }
  lua_setfield(L, -2, "headers");
  set_class(L);
}

int reply_push_abort(lua_State *L, int index, struct reply_scratch *scratch) {
  if (!is_abort(L, index)) return 0;
  index = lua_absindex(L, index);
  struct reply reply = begin(L, scratch);
  set_abort(&reply, index);
  push_field(L, index, "headers");
  int headers = lua_gettop(L);
  lua_createtable(L, 0, OBJECT_SIZE);
  set_fields(&reply, headers);
  set_class(L);
  return reply.response.status;
}
