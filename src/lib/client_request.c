/* client_request.c - from option tables to a URL, header lines and rules.
 *
 * Bytes are collected in buffers of the fetch, so an error at any point leaves nothing behind: its
 * userdata frees them. */
#include "lib/client_request.h"

#include "core/error.h"
#include "core/snapshot.h"
#include "core/worker.h"
#include "lib/client_body.h"
#include "lib/client_pairs.h"
#include "lib/curl_code.h"
#include "lib/fetch_setup.h"
#include "lib/options.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Longest timeout; whatever is longer means none. */
static const double timeout_s_max = 1e9;
static const lua_Integer retries_max = 1000000;

enum { MS_PER_SECOND = 1000 };

void client_request_raise_no_memory(lua_State *L) {
  luaL_error(L, "not enough memory");
  abort();
}

void client_request_raise(lua_State *L, CURLcode code) {
  lua_pushinteger(L, code);
  lua_setfield(L, -2, "code");
  lua_pushstring(L, curl_code_name(code));
  lua_setfield(L, -2, "code_name");
  lua_error(L);
  abort();
}

/* ---- single options ---- */

int client_request_push_option(lua_State *L, int options, const char *name) {
  if (!lua_isnil(L, options)) return lua_getfield(L, options, name);
  lua_pushnil(L);
  return LUA_TNIL;
}

/* Nanoseconds; `otherwise_ms` where the option is absent. */
static uint64_t read_seconds(lua_State *L, int options, const char *name, uint64_t otherwise_ms) {
  int type = client_request_push_option(L, options, name);
  double seconds = (double)otherwise_ms / MS_PER_SECOND;
  if (type != LUA_TNIL)
    seconds = options_check_number(L, name, "a number of seconds above 0", 0, true);
  lua_pop(L, 1);
  return (uint64_t)((seconds < timeout_s_max ? seconds : timeout_s_max) * (double)NS_PER_SECOND);
}

static long read_redirects(lua_State *L, int options) {
  int type = client_request_push_option(L, options, "follow_redirects");
  bool follows = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (type == LUA_TNIL || type == LUA_TBOOLEAN) return follows ? HTTP_REDIRECTS_MAX : 0;
  return (long)options_integer(L, options, "follow_redirects", 0, 0, HTTP_REDIRECTS_ASKED_MAX);
}

const char *client_request_push_path(lua_State *L, const char *path) {
  const struct snapshot *snapshot = worker_of(L)->snapshot;
  if (*path == '/' || !snapshot) return lua_pushstring(L, path);
  return lua_pushfstring(L, "%s/%s", snapshot_dir(snapshot), path);
}

/* Pushes the path in an option; NULL when it is absent. */
static const char *push_path(lua_State *L, int options, const char *name) {
  int type = client_request_push_option(L, options, name);
  if (type == LUA_TNIL) return NULL;
  if (type != LUA_TSTRING)
    luaL_error(L, "option \"%s\" is a path, not a %s", name, luaL_typename(L, -1));
  const char *path = lua_tostring(L, -1);
  if (!*path || strlen(path) != lua_rawlen(L, -1)) luaL_error(L, "option \"%s\" is no path", name);
  return client_request_push_path(L, path);
}

/* ---- headers ---- */

static bool is_token(const char *text) {
  if (!*text) return false;
  for (; *text; text++) {
    if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text)) return false;
  }
  return true;
}

static void take_header(lua_State *L, struct fetch *fetch, const char *name) {
  struct slice value = client_pairs_text(L, "headers", name);
  if (!is_token(name)) luaL_error(L, "\"%s\" is no header name", name);
  if (strlen(value.data) != value.len || strpbrk(value.data, "\r\n"))
    luaL_error(L, "the value of header \"%s\" has a CR, LF or NUL", name);
  bool blank =
      value.data[strspn(value.data, " \t")] == '\0'; /* for curl "name:" means: send none */
  const char *line = lua_pushfstring(L, blank ? "%s;" : "%s: %s", name, value.data);
  if (!fetch_setup_header(fetch, line)) client_request_raise_no_memory(L);
}

static void read_headers(lua_State *L, struct fetch *fetch, int options) {
  if (client_request_push_option(L, options, "headers") != LUA_TNIL)
    client_pairs_read(L, fetch, "headers", take_header, NULL);
  lua_pop(L, 1);
}

/* ---- the URL ---- */

static void take_query(lua_State *L, struct fetch *fetch, const char *name) {
  client_pairs_encode(&fetch->sent, name, client_pairs_text(L, "query", name));
}

/* Reads the URL and `query`, which is collected where the body comes later. */
static void read_url(lua_State *L, struct fetch *fetch, int url, int options) {
  const char *text = lua_tostring(L, url), *problem = NULL;
  if (strlen(text) != lua_rawlen(L, url) || strpbrk(text, "\r\n"))
    luaL_error(L, "the URL has a CR, LF or NUL");
  if (client_request_push_option(L, options, "query") != LUA_TNIL)
    client_pairs_read(L, fetch, "query", take_query, NULL);
  lua_pop(L, 1);
  buffer_add_byte(&fetch->sent, '\0');
  CURLcode code = fetch_setup_url(fetch, text, fetch->sent.data, &problem);
  buffer_clear(&fetch->sent);
  if (code == CURLE_OK) return;
  if (code == CURLE_OUT_OF_MEMORY) client_request_raise_no_memory(L);
  error_push(L, "http", "cannot request \"%s\": %s", text, problem);
  client_request_raise(L, code);
}

/* ---- all of it ---- */

static void read_method(lua_State *L, struct fetch *fetch, const char *method) {
  size_t len = strlen(method);
  if (len > HTTP_METHOD_BYTES_MAX || !is_token(method))
    luaL_error(L, "\"%s\" is no request method", method);
  for (size_t i = 0; i <= len; i++)
    fetch->request.method[i] = (char)toupper((unsigned char)method[i]);
}

static void read_rules(lua_State *L, struct fetch_request *request, int options) {
  request->stream = options_flag(L, options, "stream", false);
  request->redirects_max = read_redirects(L, options);
  request->timeout_ns = read_seconds(L, options, "timeout", HTTP_TIMEOUT_MS);
  request->connect_timeout_ns =
      read_seconds(L, options, "connect_timeout", HTTP_CONNECT_TIMEOUT_MS);
  request->idle_timeout_ns = read_seconds(L, options, "idle_timeout", 0);
  request->body_bytes_max =
      options_bytes(L, options, "max_body", request->stream ? UINT64_MAX : HTTP_RESPONSE_BYTES_MAX);
}

static void read_connection(lua_State *L, struct fetch *fetch, int options) {
  bool verify = options_flag(L, options, "verify", true);
  const char *file = push_path(L, options, "ca_file"), *path = push_path(L, options, "ca_path");
  CURLcode code = fetch_setup_trust(fetch, verify, file, path);
  const char *socket = push_path(L, options, "unix_socket");
  if (!code && socket) code = fetch_setup_unix_socket(fetch, socket);
  if (code) luaL_error(L, "%s", curl_easy_strerror(code));
}

static void read_retry(lua_State *L, struct client_retry *retry, int options) {
  *retry = (struct client_retry){.count = options_integer(L, options, "retries", 0, 0, retries_max),
                                 .unsafe = options_flag(L, options, "retry_unsafe", false),
                                 .backoff = backoff_default()};
  if (client_request_push_option(L, options, "backoff") != LUA_TNIL)
    backoff_read(L, &retry->backoff);
  lua_pop(L, 1);
}

void client_request_read(lua_State *L, struct fetch *fetch, struct client_retry *retry,
                         const char *method, int url, int options) {
  luaL_checkstack(L, LUA_MINSTACK, "request");
  if (!fetch_open(fetch)) client_request_raise_no_memory(L);
  int top = lua_gettop(L);
  read_method(L, fetch, method);
  read_rules(L, &fetch->request, options);
  read_connection(L, fetch, options);
  read_retry(L, retry, options);
  read_url(L, fetch, url, options);
  read_headers(L, fetch, options);
  client_body_read(L, fetch, options);
  lua_settop(L, top);
}
