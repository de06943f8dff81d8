/* buffered.c - the protected call around what pushes.
 *
 * A buffer belongs to C, so nothing may be raised past its owner. */
#include "lib/buffered.h"

int buffered_push(lua_State *L, lua_CFunction push, struct buffer *buffer) {
  lua_pushcfunction(L, push);
  lua_pushlightuserdata(L, buffer);
  int status = lua_pcall(L, 1, 1, 0);
  buffer_finish(buffer);
  return status == LUA_OK ? 1 : lua_error(L);
}
