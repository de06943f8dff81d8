/* loop.c - the functions of perilune.native.loop.
 *
 * The hooks of a loop are a list in the table that place.c has for it; an order goes through the
 * host of the app's background functions. */
#include "lib/loop.h"

#include "core/call.h"
#include "core/place.h"

#include <lauxlib.h>

/* find(name) -> the list of the hooks of the loop, which is made known while the app loads; nil
 * when it is not known */
static int find(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  place_push_loops(L);
  if (place_is_loading(L))
    luaL_getsubtable(L, -1, name);
  else
    lua_getfield(L, -1, name);
  return 1;
}

static int is_loading(lua_State *L) {
  lua_pushboolean(L, place_is_loading(L));
  return 1;
}

static int give_order(lua_State *L, enum call_order order) {
  const char *name = luaL_checkstring(L, 1);
  struct call_host *host = place_host(L);
  struct call_host *loops = host ? host->loops : NULL;
  lua_pushboolean(L, loops && loops->order(loops, name, order));
  return 1;
}

/* cancel_all(name), stop(name) -> whether there is such a loop */
static int cancel_all(lua_State *L) {
  return give_order(L, CALL_ORDER_CANCEL_ALL);
}

static int stop(lua_State *L) {
  return give_order(L, CALL_ORDER_STOP);
}

int loop_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"find", find},
                                       {"is_loading", is_loading},
                                       {"cancel_all", cancel_all},
                                       {"stop", stop},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
