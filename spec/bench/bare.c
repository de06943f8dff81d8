/* bare.c - the least that Lua on top of the floor costs: `bare PORT text|json`.
 *
 * Each request resumes one pooled coroutine, which calls a Lua handler and yields the body it
 * gave; `json` encodes a fresh table with lua-cjson. No routes, no request object, no error pages:
 * a handler that fails closes the connection. */
#include "serve.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#define TEXT_HEAD SERVE_HEAD "Content-Type: text/plain; charset=utf-8\r\nContent-Length: "
#define JSON_HEAD SERVE_HEAD "Content-Type: application/json\r\nContent-Length: "

enum { SIZE_DIGITS = 20 }; /* those of the largest size_t */

struct bare {
  struct server server;
  lua_State *lua;
  lua_State *pooled; /* a coroutine on lua's stack: it lives as long as the program */
};

/* Called with the workload; gives the body of the pooled coroutine. */
static const char program[] = "local workload = ...\n"
                              "local handler\n"
                              "if workload == 'json' then\n"
                              "  local encode = require('cjson').encode\n"
                              "  function handler()\n"
                              "    return encode { message = 'Hello, World!' }\n"
                              "  end\n"
                              "else\n"
                              "  function handler()\n"
                              "    return 'Hello, World!'\n"
                              "  end\n"
                              "end\n"
                              "local yield = coroutine.yield\n"
                              "return function()\n"
                              "  while true do yield(handler()) end\n"
                              "end\n";

static void add_size(struct buffer *output, size_t size) {
  char digits[SIZE_DIGITS];
  size_t at = sizeof(digits);
  do {
    digits[--at] = (char)('0' + size % 10);
    size /= 10;
  } while (size > 0);
  buffer_add(output, digits + at, sizeof(digits) - at);
}

static int answer(struct server *server) {
  struct bare *bare = container_of(server, struct bare, server);
  int results;
  size_t len = 0;
  int status = lua_resume(bare->pooled, bare->lua, 0, &results);
  const char *body = lua_tolstring(bare->pooled, -1, &len);
  if (status != LUA_YIELD || body == NULL) {
    fprintf(stderr, "bare: the handler failed: %s\n", body ? body : "no text");
    return -1;
  }
  buffer_add(&server->output, server->head.data, server->head.len);
  add_size(&server->output, len);
  buffer_add(&server->output, "\r\n\r\n", 4);
  buffer_add(&server->output, body, len);
  lua_pop(bare->pooled, results);
  return 0;
}

/* LUA_OK, or an error whose message is on top of the stack. */
static int make_pooled(struct bare *bare, const char *workload) {
  lua_State *lua = bare->lua;
  luaL_openlibs(lua);
  int status = luaL_loadbufferx(lua, program, sizeof(program) - 1, "=bare", "t");
  if (status != LUA_OK) return status;
  lua_pushstring(lua, workload);
  status = lua_pcall(lua, 1, 1, 0);
  if (status != LUA_OK) return status;
  bare->pooled = lua_newthread(lua);
  lua_rotate(lua, -2, 1);
  lua_xmove(lua, bare->pooled, 1);
  return LUA_OK;
}

int main(int argc, char **argv) {
  int port = argc == 3 ? serve_port(argv[1]) : 0;
  bool json = argc == 3 && strcmp(argv[2], "json") == 0;
  if (port == 0 || (!json && strcmp(argv[2], "text") != 0)) {
    fprintf(stderr, "usage: bare PORT text|json\n");
    return EXIT_FAILURE;
  }
  struct bare *bare = memory_alloc_zero(sizeof(*bare));
  bare->lua = luaL_newstate();
  if (bare->lua == NULL || make_pooled(bare, argv[2]) != LUA_OK) {
    fprintf(stderr, "bare: %s\n", bare->lua ? lua_tostring(bare->lua, -1) : "no memory");
    return EXIT_FAILURE;
  }
  bare->server.answer = answer;
  buffer_add_text(&bare->server.head, json ? JSON_HEAD : TEXT_HEAD);
  uv_err err = serve_run(&bare->server, port);
  fprintf(stderr, "bare: port %d: %s\n", port, uv_strerror(err));
  return EXIT_FAILURE;
}
