/* fs_each.c - a walk that is carried on by libuv's threads, some names at a time.
 *
 * The walk belongs to the code while it runs. Who is cancelled meanwhile has closed the iterator;
 * the rest is freed when the code has ended. */
#include "lib/fs_each.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/offload.h"
#include "core/worker.h"
#include "lib/fs_error.h"
#include "lib/options.h"
#include "lib/path.h"

#include <lauxlib.h>
#include <stdlib.h>

#define CLASS_EACH "perilune.fs.each"

struct listing {
  struct offload offload;
  struct tree_walk walk;
  int type;
  struct buffer names; /* read ahead: a byte for the type, then the name, terminated */
  size_t at;           /* where the next one begins */
  bool is_at_end;
  uv_err error;
};

static const char *const type_names[] = {"file", "directory", "link", "other", NULL};

const char *fs_each_type_name(enum tree_type type) {
  return type_names[type];
}

int fs_each_check_type(lua_State *L, int index) {
  const char *text = options_push_text(L, index, "type").data;
  int type = TREE_ANY;
  for (int i = 0; text && type_names[i]; i++)
    if (strcmp(text, type_names[i]) == 0) type = i;
  if (text && type == TREE_ANY)
    luaL_error(L, "option \"type\" is \"file\", \"directory\", \"link\" or \"other\", not \"%s\"",
               text);
  lua_pop(L, 1);
  return type;
}

/* ---- on libuv's threads ---- */

static void run(struct offload *offload) {
  struct listing *listing = container_of(offload, struct listing, offload);
  struct tree_entry entry;
  int count = 0;
  listing->at = 0;
  buffer_clear(&listing->names);
  while (count < FS_NAMES_AHEAD && !listing->is_at_end) {
    listing->error = tree_walk_next(&listing->walk, &entry);
    listing->is_at_end = listing->error || !entry.path;
    if (listing->is_at_end) break;
    if (listing->type != TREE_ANY && listing->type != (int)entry.type) continue;
    buffer_add_byte(&listing->names, (char)entry.type);
    buffer_add(&listing->names, entry.path, strlen(entry.path) + 1);
    count++;
  }
}

static void destroy(struct offload *offload) {
  struct listing *listing = container_of(offload, struct listing, offload);
  tree_walk_finish(&listing->walk);
  buffer_finish(&listing->names);
  free(listing);
}

/* ---- the iterator; user value 1 is the path as the app gave it ---- */

static struct listing **check_box(lua_State *L) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_EACH) != 0)
    luaL_error(L, "what fs.each gives is called by a loop: for name, type in fs.each(path) do");
  return lua_touserdata(L, 1);
}

static void close_box(struct listing **box) {
  struct listing *listing = *box;
  *box = NULL;
  if (listing) offload_drop(&listing->offload);
}

static int close_each(lua_State *L) {
  close_box(check_box(L));
  return 0;
}

static int raise_error(lua_State *L, struct listing **box) {
  lua_getiuservalue(L, 1, 1);
  fs_error_push(L, (*box)->error, lua_tostring(L, -1), NULL);
  close_box(box);
  return lua_error(L);
}

static int next_name(lua_State *L, struct listing **box);

static int waited(lua_State *L, int status, lua_KContext context) {
  struct listing **box = lua_touserdata(L, 1);
  (void)status;
  (void)context;
  if (fiber_was_cancelled(L)) close_box(box);
  fiber_check_cancelled(L);
  return next_name(L, box);
}

static int paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return next_name(L, lua_touserdata(L, 1));
}

static int read_ahead(lua_State *L, struct listing **box) {
  struct listing *listing = *box;
  if (fiber_must_pause(L)) return fiber_pause(L, "fs.each", 0, paused);
  offload_start(&listing->offload, worker_of(L));
  if (!listing->offload.running) return next_name(L, box);
  return offload_wait(L, fiber_running(L), &listing->offload, "fs.each", 0, waited);
}

/* Others may have closed it, or read on, while this fiber waited. */
static int next_name(lua_State *L, struct listing **box) {
  struct listing *listing = *box;
  if (!listing) return 0;
  if (listing->offload.running) return luaL_error(L, "fs.each is being read by another task");
  if (listing->at < listing->names.len) {
    const char *entry = listing->names.data + listing->at;
    listing->at += strlen(entry + 1) + 2;
    lua_pushstring(L, entry + 1);
    lua_pushstring(L, type_names[(int)*entry]);
    return 2;
  }
  if (listing->error) return raise_error(L, box);
  if (!listing->is_at_end) return read_ahead(L, box);
  close_box(box);
  return 0;
}

static int call(lua_State *L) {
  struct listing **box = check_box(L);
  lua_settop(L, 1);
  fiber_begin_wait(L, "fs.each");
  return next_name(L, box);
}

/* each(path, { recursive =, type = }) -> iterator, nil, nil, what closes it */
static int fs_each(lua_State *L) {
  static const char *const names[] = {"recursive", "type", NULL};
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: fs.each(path)");
  lua_settop(L, 2);
  const char *path = path_check(L, 1);
  options_check(L, 2, names);
  bool is_recursive = options_flag(L, 2, "recursive", false);
  int type = fs_each_check_type(L, 2);
  struct listing **box = lua_newuserdatauv(L, sizeof(struct listing *), 1);
  *box = NULL;
  class_push(L, CLASS_EACH);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  struct listing *listing = *box = memory_alloc_zero(sizeof *listing);
  offload_init(&listing->offload, run, destroy);
  listing->walk.root = memory_copy(path, strlen(path));
  listing->walk.is_recursive = is_recursive;
  listing->type = type;
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3);
  return 4;
}

void fs_each_open(lua_State *L) {
  static const luaL_Reg metamethods[] = {
      {"__call", call}, {"__close", close_each}, {"__gc", close_each}, {NULL, NULL}};
  luaL_newlib(L, metamethods);
  class_register(L, CLASS_EACH);
  lua_pop(L, 1);
  lua_pushcfunction(L, fs_each);
  lua_setfield(L, -2, "each");
}
