/* app_statics.c - reading app.statics, and opening the directories.
 *
 * The descriptors stay open for as long as the process serves the app: a directory that is renamed
 * meanwhile is still served, and another one put in its place is not. */
#include "roles/app_statics.h"

#include "core/worker.h"
#include "http/open_file.h"
#include "http/response.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

static struct slice text_field(lua_State *L, int index, const char *name) {
  struct slice text;
  lua_getfield(L, index, name);
  text.data = luaL_checklstring(L, -1, &text.len);
  lua_pop(L, 1); /* the record keeps it alive */
  return text;
}

/* Pushes the fields of the record at `index` as one encoded block. */
static struct slice push_block(lua_State *L, int index) {
  luaL_Buffer block;
  lua_getfield(L, index, "fields");
  luaL_checktype(L, -1, LUA_TTABLE);
  int fields = lua_gettop(L);
  lua_Integer count = (lua_Integer)lua_rawlen(L, fields);
  lua_createtable(L, (int)count * 2, 0);
  int texts = lua_gettop(L);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, fields, i);
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    struct slice name, value;
    name.data = luaL_checklstring(L, -2, &name.len);
    value.data = luaL_checklstring(L, -1, &value.len);
    if (response_check_field(name, value) != RESPONSE_FIELD_OK)
      luaL_error(L, "header \"%s\" may not be sent", name.data);
    lua_pushfstring(L, "%s: %s\r\n", name.data, value.data);
    lua_rawseti(L, texts, i);
    lua_settop(L, texts);
  }
  luaL_buffinit(L, &block);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, texts, i);
    luaL_addvalue(&block);
  }
  luaL_pushresult(&block);
  struct slice result;
  result.data = lua_tolstring(L, -1, &result.len);
  return result;
}

/* The record is on top of the stack. */
static void add_mount(lua_State *L, struct statics *statics) {
  int record = lua_gettop(L);
  struct static_mount mount = {.prefix = text_field(L, record, "prefix"),
                               .block = push_block(L, record)};
  lua_getfield(L, record, "dotfiles");
  mount.has_dotfiles = lua_toboolean(L, -1);
  const char *dir = text_field(L, record, "dir").data;
  mount.dir_fd = open_file_directory(dir);
  if (mount.dir_fd < 0) luaL_error(L, "cannot serve %s: %s", dir, strerror(-mount.dir_fd));
  static_add(statics, &mount);
  lua_settop(L, record);
}

/* The app at `index` may have a directory public/. */
static void add_public(lua_State *L, int index, struct statics *statics) {
  if (lua_getfield(L, index, "dir") != LUA_TSTRING) {
    lua_pop(L, 1);
    return;
  }
  const char *path = lua_pushfstring(L, "%s/public", lua_tostring(L, -1));
  /* While the app is being developed its files are asked for each time. */
  const char *block = worker_of(L)->process->shows_errors ? "Cache-Control: no-store\r\n" : "";
  struct static_mount mount = {.prefix = {"", 0}, .block = {block, strlen(block)}};
  mount.dir_fd = open_file_directory(path);
  if (mount.dir_fd >= 0)
    static_add(statics, &mount);
  else if (mount.dir_fd != -ENOENT && mount.dir_fd != -ENOTDIR)
    luaL_error(L, "cannot serve %s: %s", path, strerror(-mount.dir_fd));
  lua_pop(L, 2);
}

void app_statics_read(lua_State *L, int index, struct statics *statics) {
  int top = lua_gettop(L);
  if (lua_getfield(L, index, "statics") == LUA_TTABLE) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, top + 1, i);
      add_mount(L, statics);
      lua_pop(L, 1);
    }
  }
  lua_settop(L, top);
  add_public(L, index, statics);
}
