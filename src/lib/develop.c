/* develop.c - the functions of perilune.native.develop.
 *
 * The text of a file is the one that the app was loaded from, whatever is on the disk by now. */
#include "lib/develop.h"

#include "base/buffer.h"
#include "core/snapshot.h"
#include "core/transfer.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <string.h>

#define SCRATCH_CLASS "perilune.develop.scratch"

static int release_scratch(lua_State *L) {
  buffer_finish(lua_touserdata(L, 1));
  return 0;
}

static struct buffer *push_scratch(lua_State *L) {
  struct buffer *scratch = lua_newuserdatauv(L, sizeof *scratch, 0);
  *scratch = (struct buffer){0};
  if (luaL_newmetatable(L, SCRATCH_CLASS)) {
    lua_pushcfunction(L, release_scratch);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return scratch;
}

/* send(value, name): raises what sending it to another state would, with that name for it */
static int send_nowhere(lua_State *L) {
  luaL_checkany(L, 1);
  const char *name = luaL_checkstring(L, 2);
  transfer_encode_named(L, 1, name, push_scratch(L));
  return 0;
}

/* source(path) -> the text of a file of the app, named as messages name it; nil: none of its */
static int source(lua_State *L) {
  struct snapshot *snapshot = worker_of(L)->snapshot;
  const char *path = luaL_checkstring(L, 1);
  struct slice text;
  if (!snapshot) return 0;
  const char *dir = snapshot_shown_dir(snapshot);
  size_t len = strlen(dir);
  if (strncmp(path, dir, len) != 0 || path[len] != '/') return 0;
  if (!snapshot_read(snapshot, path + len + 1, &text)) return 0;
  lua_pushlstring(L, text.data, text.len);
  return 1;
}

int develop_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"send", send_nowhere}, {"source", source}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
