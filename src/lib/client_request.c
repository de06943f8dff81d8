/* client_request.c - from option tables to header lines, encoded pairs and a body.
 *
 * Bytes are collected in buffers of the fetch, so an error at any point leaves nothing behind: its
 * userdata frees them. Pairs of `query` and `form` are sent sorted by name, so that one table
 * always makes the same request. */
#include "lib/client_request.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "lib/json.h"

#include <ctype.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longest timeouts; whatever is longer means none. */
#define TIMEOUT_SECONDS_MAX         1e9
#define CONNECT_TIMEOUT_SECONDS_MAX 1e6

enum { MS_PER_SECOND = 1000 };

static NO_RETURN void raise_no_memory(lua_State *L) {
  luaL_error(L, "not enough memory");
  abort();
}

/* ---- single options ---- */

/* Pushes the option; LUA_TNIL when it or the table is absent. */
static int push_option(lua_State *L, int options, const char *name) {
  if (!lua_isnil(L, options)) return lua_getfield(L, options, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

static bool read_boolean(lua_State *L, int options, const char *name, bool otherwise) {
  int type = push_option(L, options, name);
  bool value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN)
    luaL_error(L, "option \"%s\" is true or false, not a %s", name, lua_typename(L, type));
  lua_pop(L, 1);
  return value;
}

static double read_seconds(lua_State *L, int options, const char *name, double otherwise,
                           double most) {
  int type = push_option(L, options, name);
  double seconds = type == LUA_TNIL ? otherwise : lua_tonumber(L, -1);
  if (type != LUA_TNIL && (type != LUA_TNUMBER || !(seconds > 0)))
    luaL_error(L, "option \"%s\" is a number of seconds above 0, not %s", name,
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return seconds < most ? seconds : most;
}

/* The text of the string, number or boolean at `index` (pushed). */
static const char *push_text(lua_State *L, int index, size_t *len, const char *option,
                             const char *name) {
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
    luaL_error(L, "option \"%s\": \"%s\" is a string, number, boolean or list of them, not a %s",
               option, name, class_is_null(L, index) ? "null" : lua_typename(L, type));
  return luaL_tolstring(L, index, len);
}

/* ---- tables of names and values ---- */

typedef void (*pair_fn)(lua_State *L, struct fetch *fetch, const char *name, const char *value,
                        size_t value_len);

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pushes a userdata with the keys of the table at `table`, sorted, and gives their number. The
 * keys live as long as the table has them. */
static size_t push_names(lua_State *L, int table, const char *option) {
  size_t count = 0, at = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "option \"%s\" has names as keys, but one is a %s", option,
                 luaL_typename(L, -2));
    if (strlen(lua_tostring(L, -2)) != lua_rawlen(L, -2))
      luaL_error(L, "option \"%s\" has a name with a NUL", option);
    count++;
  }
  const char **names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) names[at++] = lua_tostring(L, -2);
  qsort(names, count, sizeof *names, compare_names);
  return count;
}

/* Calls `take` with the value on top, or with each of its list. */
static void take_values(lua_State *L, struct fetch *fetch, const char *option, const char *name,
                        pair_fn take) {
  int value = lua_gettop(L);
  bool is_list = lua_istable(L, value);
  lua_Integer count = is_list ? (lua_Integer)lua_rawlen(L, value) : 1;
  if (is_list && count == 0 && (lua_pushnil(L), lua_next(L, value)))
    luaL_error(L, "option \"%s\": \"%s\" is a table that is no list", option, name);
  for (lua_Integer i = 1; i <= count; i++) {
    size_t len;
    if (is_list) lua_rawgeti(L, value, i);
    const char *text = push_text(L, -1, &len, option, name);
    take(L, fetch, name, text, len);
    lua_settop(L, value);
  }
}

/* Calls `take` for each pair of the table on top. */
static void take_pairs(lua_State *L, struct fetch *fetch, const char *option, pair_fn take) {
  int table = lua_gettop(L);
  if (!lua_istable(L, table))
    luaL_error(L, "option \"%s\" is a table, not a %s", option, luaL_typename(L, table));
  size_t count = push_names(L, table, option);
  const char **names = lua_touserdata(L, -1);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, names[i]);
    lua_rawget(L, table);
    take_values(L, fetch, option, names[i], take);
    lua_settop(L, table + 1);
  }
  lua_settop(L, table);
}

/* ---- headers ---- */

static bool is_token(const char *text) {
  if (!*text) return false;
  for (; *text; text++) {
    if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text)) return false;
  }
  return true;
}

static void take_header(lua_State *L, struct fetch *fetch, const char *name, const char *value,
                        size_t value_len) {
  if (!is_token(name)) luaL_error(L, "\"%s\" is no header name", name);
  if (strlen(value) != value_len || strpbrk(value, "\r\n"))
    luaL_error(L, "the value of header \"%s\" has a CR, LF or NUL", name);
  bool blank =
      value[strspn(value, " \t")] == '\0'; /* curl takes "name:" as an order to send none */
  const char *line = lua_pushfstring(L, blank ? "%s;" : "%s: %s", name, value);
  if (!fetch_add_header(fetch, line)) raise_no_memory(L);
  lua_pop(L, 1);
}

static bool has_header(const struct fetch *fetch, const char *name) {
  size_t len = strlen(name);
  for (const struct curl_slist *line = fetch->headers; line; line = line->next) {
    if (strncasecmp(line->data, name, len) == 0 && strchr(":;", line->data[len])) return true;
  }
  return false;
}

/* `line` takes the place of what curl would send by itself. */
static void add_default_header(lua_State *L, struct fetch *fetch, const char *name,
                               const char *line) {
  if (has_header(fetch, name)) return;
  if (!fetch_add_header(fetch, line)) raise_no_memory(L);
}

static void read_headers(lua_State *L, struct fetch *fetch, int options) {
  if (push_option(L, options, "headers") != LUA_TNIL) take_pairs(L, fetch, "headers", take_header);
  lua_pop(L, 1);
}

/* ---- query, form, body ---- */

static void add_escaped(struct buffer *out, const char *text, size_t len) {
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    if (isalnum(byte) || (byte && strchr("-._~", byte))) {
      buffer_add_byte(out, (char)byte);
    } else {
      const char escape[] = {'%', hex[byte >> 4], hex[byte & 15]};
      buffer_add(out, escape, sizeof escape);
    }
  }
}

/* For `query` and `form`; the fetch's `sent` collects both, one after the other. */
static void take_pair(lua_State *L, struct fetch *fetch, const char *name, const char *value,
                      size_t value_len) {
  (void)L;
  struct buffer *out = &fetch->sent;
  if (out->len > 0) buffer_add_byte(out, '&');
  add_escaped(out, name, strlen(name));
  buffer_add_byte(out, '=');
  add_escaped(out, value, value_len);
}

/* Reads the URL and `query`. */
static void read_url(lua_State *L, struct fetch *fetch, const char *method, int url, int options) {
  if (push_option(L, options, "query") != LUA_TNIL) take_pairs(L, fetch, "query", take_pair);
  lua_pop(L, 1);
  buffer_add_byte(&fetch->sent, '\0');
  const char *text = lua_tostring(L, url), *problem = NULL;
  CURLcode code = fetch_set_url(fetch, method, text, fetch->sent.data, &problem);
  buffer_clear(&fetch->sent);
  if (code == CURLE_OK) return;
  if (code == CURLE_OUT_OF_MEMORY) raise_no_memory(L);
  error_push(L, "http", "cannot request \"%s\": %s", text, problem);
  lua_pushinteger(L, code);
  lua_setfield(L, -2, "code");
  lua_error(L);
}

/* Reads the value on top as the body; gives its content type, NULL: nobody knows. */
static const char *read_body_value(lua_State *L, struct fetch *fetch, const char *option) {
  if (strcmp(option, "json") == 0) {
    json_encode(L, -1, &fetch->sent);
    return "Content-Type: application/json";
  }
  if (strcmp(option, "form") == 0) {
    take_pairs(L, fetch, option, take_pair);
    return "Content-Type: application/x-www-form-urlencoded";
  }
  size_t len;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option \"body\" is a string, not a %s", luaL_typename(L, -1));
  const char *data = lua_tolstring(L, -1, &len);
  buffer_add(&fetch->sent, data, len);
  return NULL;
}

static void read_body(lua_State *L, struct fetch *fetch, int options) {
  static const char *const names[] = {"json", "form", "body"};
  const char *found = NULL, *type = NULL;
  for (size_t i = 0; i < array_len(names); i++) {
    if (push_option(L, options, names[i]) != LUA_TNIL) {
      if (found) luaL_error(L, "a request has one body: \"%s\" or \"%s\"", found, names[i]);
      found = names[i];
      type = read_body_value(L, fetch, found);
    }
    lua_pop(L, 1);
  }
  fetch->request.has_body = found;
  if (found && strcmp(fetch->request.method, "HEAD") == 0)
    luaL_error(L, "a HEAD request has no body, but \"%s\" was given", found);
  /* Without a colon's right side: curl would claim a form. */
  add_default_header(L, fetch, "Content-Type", type ? type : "Content-Type:");
  add_default_header(L, fetch, "Expect", "Expect:");
}

/* ---- all of it ---- */

static const char *push_method(lua_State *L, const char *method) {
  char upper[HTTP_METHOD_BYTES_MAX + 1];
  size_t len = strlen(method);
  if (len > HTTP_METHOD_BYTES_MAX || !is_token(method))
    luaL_error(L, "\"%s\" is no request method", method);
  for (size_t i = 0; i <= len; i++) upper[i] = (char)toupper((unsigned char)method[i]);
  return lua_pushstring(L, upper);
}

void client_request_read(lua_State *L, struct fetch *fetch, const char *method, int url,
                         int options) {
  luaL_checkstack(L, LUA_MINSTACK, "request");
  if (strlen(lua_tostring(L, url)) != lua_rawlen(L, url)) luaL_error(L, "the URL has a NUL");
  double timeout = read_seconds(L, options, "timeout", (double)HTTP_TIMEOUT_MS / MS_PER_SECOND,
                                TIMEOUT_SECONDS_MAX);
  double connect_timeout =
      read_seconds(L, options, "connect_timeout", (double)HTTP_CONNECT_TIMEOUT_MS / MS_PER_SECOND,
                   CONNECT_TIMEOUT_SECONDS_MAX);
  fetch->request = (struct fetch_request){
      .method = push_method(L, method),
      .follow_redirects = read_boolean(L, options, "follow_redirects", false),
      .verify = read_boolean(L, options, "verify", true),
      .timeout_ns = (uint64_t)(timeout * (double)NS_PER_SECOND),
      .connect_timeout_ms = (uint64_t)ceil(connect_timeout * MS_PER_SECOND),
  };
  read_url(L, fetch, fetch->request.method, url, options);
  read_headers(L, fetch, options);
  read_body(L, fetch, options);
}
