/* client_body.c - bytes, pieces and parts.
 *
 * How long a body is curl says: a Content-Length of the caller is taken for the pieces of a
 * function, whose length nobody else knows, and must be right elsewhere. A file of a multipart form
 * is opened and read by fetch_file.h, never as a whole. */
#include "lib/client_body.h"

#include "core/error.h"
#include "core/snapshot.h"
#include "core/worker.h"
#include "lib/client_pairs.h"
#include "lib/client_request.h"
#include "lib/fetch_setup.h"
#include "lib/json.h"
#include "lib/options.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- header fields ---- */

static bool is_named(const struct curl_slist *line, const char *name) {
  size_t len = strlen(name);
  return strncasecmp(line->data, name, len) == 0 && strchr(":;", line->data[len]);
}

static struct curl_slist *find_header(const struct fetch *fetch, const char *name) {
  struct curl_slist *line = fetch->headers;
  while (line && !is_named(line, name)) line = line->next;
  return line;
}

/* `line` takes the place of what curl would send by itself. */
static void add_default_header(lua_State *L, struct fetch *fetch, const char *name,
                               const char *line) {
  if (find_header(fetch, name)) return;
  if (!fetch_setup_header(fetch, line)) client_request_raise_no_memory(L);
}

/* The length that the caller says, -1 when it says none. */
static int64_t read_length(lua_State *L, const struct fetch *fetch) {
  const struct curl_slist *line = find_header(fetch, "Content-Length");
  if (!line) return -1;
  char *end = line->data;
  const char *text = line->data + strcspn(line->data, ":;") + 1;
  text += strspn(text, " ");
  errno = 0;
  long long length = strtoll(text, &end, 10);
  if (errno || *end || !(*text >= '0' && *text <= '9'))
    luaL_error(L, "header \"Content-Length\" is a number of bytes, not \"%s\"", text);
  return length;
}

/* Without the line that curl makes itself. */
static void remove_length(lua_State *L, struct fetch *fetch) {
  struct curl_slist *before = fetch->headers, *line = before;
  fetch->headers = NULL;
  bool is_copied = true;
  for (; line; line = line->next) {
    if (!is_named(line, "Content-Length"))
      is_copied = is_copied && fetch_setup_header(fetch, line->data);
  }
  curl_slist_free_all(before);
  if (!is_copied) client_request_raise_no_memory(L);
}

static void check_length(lua_State *L, struct fetch *fetch) {
  int64_t length = read_length(L, fetch);
  fetch->request.pieces_bytes = length;
  if (find_header(fetch, "Transfer-Encoding"))
    luaL_error(L, "header \"Transfer-Encoding\" is up to the client");
  if (length < 0) return;
  enum fetch_body body = fetch->request.body;
  bool is_right = body == FETCH_BODY_PIECES ||
                  (body != FETCH_BODY_PARTS && (uint64_t)length == fetch->sent.len);
  if (!is_right) luaL_error(L, "header \"Content-Length\" is not the length of the body");
  remove_length(L, fetch);
}

/* ---- multipart ---- */

static const char *const part_names[] = {"path", "data", "filename", "content_type", NULL};

/* Whether the table on top of the stack is a part. */
static bool is_part(lua_State *L) {
  int top = lua_gettop(L);
  bool has_source =
      lua_getfield(L, top, "path") != LUA_TNIL || lua_getfield(L, top, "data") != LUA_TNIL;
  lua_settop(L, top);
  return has_source;
}

/* Pushes a field of the part at `part`, a string without CR, LF or NUL; NULL when it is nil. */
static const char *push_part_text(lua_State *L, int part, const char *name, const char *field) {
  int type = lua_getfield(L, part, field);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING)
    luaL_error(L, "option \"multipart\": %s of \"%s\" is a string, not a %s", field, name,
               luaL_typename(L, -1));
  const char *text = lua_tostring(L, -1);
  if (strlen(text) != lua_rawlen(L, -1) || strpbrk(text, "\r\n"))
    luaL_error(L, "option \"multipart\": %s of \"%s\" has a CR, LF or NUL", field, name);
  return text;
}

/* The table on top of the stack. */
static void take_table_part(lua_State *L, struct fetch *fetch, const char *name) {
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    bool is_known = false;
    for (size_t i = 0; part_names[i]; i++) is_known = is_known || strcmp(key, part_names[i]) == 0;
    if (!is_known)
      luaL_error(L,
                 "option \"multipart\": \"%s\" has an unknown field \"%s\" (did you mean \"%s\"?)",
                 name, key, options_nearest(key, part_names));
  }
  struct fetch_part part = {.name = name, .data = {"", 0}};
  part.filename = push_part_text(L, table, name, "filename");
  part.content_type = push_part_text(L, table, name, "content_type");
  part.path = push_part_text(L, table, name, "path");
  if (lua_getfield(L, table, "data") != LUA_TNIL) {
    if (part.path) luaL_error(L, "option \"multipart\": \"%s\" has a path and data", name);
    part.data = client_pairs_text(L, "multipart", name);
  }
  if (part.path) part.path = client_request_push_path(L, part.path);
  if (!fetch_setup_part(fetch, &part)) client_request_raise_no_memory(L);
}

static void take_part(lua_State *L, struct fetch *fetch, const char *name) {
  if (lua_istable(L, -1)) {
    take_table_part(L, fetch, name);
    return;
  }
  struct fetch_part part = {.name = name};
  part.data = client_pairs_text(L, "multipart", name);
  if (!fetch_setup_part(fetch, &part)) client_request_raise_no_memory(L);
}

/* ---- the others ---- */

static void take_field(lua_State *L, struct fetch *fetch, const char *name) {
  client_pairs_encode(&fetch->sent, name, client_pairs_text(L, "form", name));
}

/* Each reads the value on top of the stack and gives the header line that goes with it. */

static const char *read_json(lua_State *L, struct fetch *fetch) {
  json_encode(L, -1, &fetch->sent);
  return "Content-Type: application/json";
}

static const char *read_form(lua_State *L, struct fetch *fetch) {
  client_pairs_read(L, fetch, "form", take_field, NULL);
  return "Content-Type: application/x-www-form-urlencoded";
}

static const char *read_bytes(lua_State *L, struct fetch *fetch) {
  if (lua_isfunction(L, -1)) {
    fetch->request.body = FETCH_BODY_PIECES;
    return NULL;
  }
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option \"body\" is a string or a function, not a %s", luaL_typename(L, -1));
  const char *data = lua_tolstring(L, -1, &len);
  buffer_add(&fetch->sent, data, len);
  return NULL;
}

static const char *read_parts(lua_State *L, struct fetch *fetch) {
  client_pairs_read(L, fetch, "multipart", take_part, is_part);
  if (!fetch->parts) luaL_error(L, "option \"multipart\" has no parts");
  fetch->request.body = FETCH_BODY_PARTS;
  return NULL;
}

static const struct {
  const char *name;
  const char *(*read)(lua_State *L, struct fetch *fetch);
} kinds[] = {
    {"json", read_json}, {"form", read_form}, {"body", read_bytes}, {"multipart", read_parts}};

void client_body_read(lua_State *L, struct fetch *fetch, int options) {
  const char *found = NULL, *type = NULL;
  for (size_t i = 0; i < array_len(kinds); i++) {
    if (client_request_push_option(L, options, kinds[i].name) != LUA_TNIL) {
      if (found) luaL_error(L, "a request has one body: \"%s\" or \"%s\"", found, kinds[i].name);
      found = kinds[i].name;
      fetch->request.body = FETCH_BODY_BYTES;
      type = kinds[i].read(L, fetch);
    }
    lua_pop(L, 1);
  }
  if (found && strcmp(fetch->request.method, "HEAD") == 0)
    luaL_error(L, "a HEAD request has no body, but \"%s\" was given", found);
  fetch->gave_all = fetch->request.body != FETCH_BODY_PIECES;
  check_length(L, fetch);
  /* Without a colon's right side: curl would claim a form. */
  if (fetch->request.body != FETCH_BODY_PARTS)
    add_default_header(L, fetch, "Content-Type", type ? type : "Content-Type:");
  add_default_header(L, fetch, "Expect", "Expect:");
}
