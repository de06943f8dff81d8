/* app_policy.c - reading app.policy.
 *
 * Values were checked where the app's author wrote them; what is looked at once more here is what C
 * relies on. */
#include "roles/app_policy.h"

#include "http/response.h"

#include <lauxlib.h>

static struct slice text_at(lua_State *L, int index) {
  struct slice text;
  text.data = luaL_checklstring(L, index, &text.len);
  return text;
}

/* The text stays in the table. */
static struct slice text_field(lua_State *L, int index, const char *name) {
  lua_getfield(L, index, name);
  struct slice text = text_at(L, -1);
  lua_pop(L, 1);
  return text;
}

/* The policy's record is on top. */
static lua_Integer read_fields(lua_State *L, struct policy *policy) {
  lua_getfield(L, -1, "fields");
  luaL_checktype(L, -1, LUA_TTABLE);
  lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    struct slice name = text_at(L, -2), value = text_at(L, -1);
    if (response_check_field(name, value) != RESPONSE_FIELD_OK)
      luaL_error(L, "header \"%s\" may not be sent", name.data);
    policy_add_field(policy, name, value);
    lua_pop(L, 3);
  }
  lua_pop(L, 1);
  return count;
}

/* The record of app:cors is on top. */
static struct cors *read_cors(lua_State *L) {
  int record = lua_gettop(L);
  struct cors_options options = {.methods = text_field(L, record, "methods"),
                                 .headers = text_field(L, record, "headers"),
                                 .exposed = text_field(L, record, "exposed")};
  lua_getfield(L, record, "credentials");
  options.credentials = lua_toboolean(L, -1);
  lua_getfield(L, record, "max_age");
  options.max_age_s = (uint32_t)luaL_checkinteger(L, -1);
  lua_getfield(L, record, "origins");
  luaL_checktype(L, -1, LUA_TTABLE);
  int list = lua_gettop(L);
  options.origin_count = lua_rawlen(L, list);
  /* Memory of Lua's: a raise below leaves nothing behind. */
  struct slice *origins = lua_newuserdatauv(L, (options.origin_count + 1) * sizeof *origins, 0);
  for (size_t i = 0; i < options.origin_count; i++) {
    lua_rawgeti(L, list, (lua_Integer)i + 1);
    origins[i] = text_at(L, -1);
    const char *problem = cors_check_origin(origins[i]);
    if (problem) luaL_error(L, "origin \"%s\": %s", origins[i].data, problem);
    lua_pop(L, 1);
  }
  options.origins = origins;
  struct cors *cors = cors_create(&options);
  lua_settop(L, record);
  return cors;
}

bool app_policy_read(lua_State *L, int index, struct policy *policy) {
  int top = lua_gettop(L);
  bool adds = false;
  if (lua_getfield(L, index, "policy") == LUA_TTABLE) {
    adds = read_fields(L, policy) > 0;
    if (lua_getfield(L, -1, "cors") == LUA_TTABLE) {
      policy_set_cors(policy, read_cors(L));
      adds = true;
    }
  }
  lua_settop(L, top);
  return adds;
}
