/* transfer_named.c - from a name to what this state has under it.
 *
 * What is found by a path must be what was sent: the same function in C, or the same code. */
#include "core/transfer_named.h"

#include "core/error.h"
#include "core/function_index.h"
#include "core/place.h"

#include <lauxlib.h>

static void push_module(lua_State *L, const struct transfer_named *named) {
  module_push(L, &named->path);
  if (transfer_fingerprint(L, -1) != named->number)
    error_raise(L, "transfer", "%s is not the same in this Lua state as where it was sent",
                module_push_text(L, &named->path));
}

static void push_class(lua_State *L, const struct transfer_named *named) {
  module_push(L, &named->path);
  if (!lua_istable(L, -1))
    error_raise(L, "transfer", "%s is not a class in this Lua state",
                module_push_text(L, &named->path));
}

void transfer_named_push(lua_State *L, const struct transfer_named *named) {
  if (named->lead == LEAD_MODULE)
    push_module(L, named);
  else if (named->lead == LEAD_MODULE_CLASS)
    push_class(L, named);
  else if (named->lead == LEAD_INDEXED)
    function_index_push(L, named->number, named->text.data);
  else if (named->lead == LEAD_MARKED)
    place_push_marked(L, named->text.data, named->text.len);
  else
    function_index_push_app(L, (lua_Integer)named->number);
}

/* push(named) -> what is named */
static int push(lua_State *L) {
  transfer_named_push(L, lua_touserdata(L, 1));
  return 1;
}

static void push_text(lua_State *L, const struct transfer_named *named) {
  if (named->lead == LEAD_APP)
    lua_pushliteral(L, "app");
  else if (named->text.data)
    lua_pushfstring(L, "function: %s", named->text.data);
  else
    module_push_text(L, &named->path);
}

bool transfer_named_push_lenient(lua_State *L, const struct transfer_named *named) {
  luaL_checkstack(L, LUA_MINSTACK, "transfer");
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, (void *)(uintptr_t)named);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return true;
  const char *kind = error_kind(L, -1);
  if (!kind || strcmp(kind, "transfer") != 0) lua_error(L);
  lua_pop(L, 1);
  push_text(L, named);
  return false;
}
