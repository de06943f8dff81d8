/* module.h - modules and what is in them, by name: the same name in every Lua state.
 *
 * A module is a value of package.loaded. What it holds has a path: `string.format`, `a.b.c`.
 * Functions of the app's own modules, and global ones of Lua, have none: the function index knows
 * those; tables have one, as classes. What is put into a module after the app has loaded has no
 * path. */
#ifndef CORE_MODULE_H
#define CORE_MODULE_H

#include "core/fiber.h"

#include <lua.h>
#include <stdbool.h>

enum { MODULE_FIELDS_MAX = 2 };

/* Where a value is; the strings belong to the Lua state. */
struct module_path {
  const char *module;
  int count; /* of fields; 0: the module itself */
  const char *fields[MODULE_FIELDS_MAX];
};

/* [owner] Makes the maps of a new state; what is loaded already is noted. */
void module_open(lua_State *L);

/* [owner] The module `name` has just been loaded. */
void module_note(lua_State *L, const char *name);

/* [owner] The app has loaded: what is in the modules now is all that has a path. */
void module_note_all(lua_State *L);

/* [owner] The table at `index` stands for the globals, as busted's environment does. */
void module_set_environment(lua_State *L, int index);

/* [owner] Pushes the map that has an entry for every module, and for few other things: what is not
 * in it needs no call to know that it is no module. */
void module_push_names(lua_State *L);

/* [owner] The name of the module that the value at `index` is, or NULL. */
const char *module_name(lua_State *L, int index);

/* [owner] Whether the value at `index` is a module or in one; writes where. */
bool module_find(lua_State *L, int index, struct module_path *path);

/* [owner] Whether the value at `index` is in a module outside of the app. */
bool module_has(lua_State *L, int index);

/* [owner] Whether the module is loaded. */
bool module_is_loaded(lua_State *L, const char *name);

/* [owner] Pushes the value at a path; a module that is not loaded is required, and must not wait.
 * Raises kind "transfer" when there is none. */
void module_push(lua_State *L, const struct module_path *path);

/* [owner] Requires the module named by the string on top, which may wait; `k` must begin with
 * module_end_require. To be returned from a C function. */
lua_nret module_require(lua_State *L, lua_KContext context, lua_KFunction k);

/* [owner] Raises kind "transfer" when the module could not be loaded. */
void module_end_require(lua_State *L, int status);

/* [owner] Pushes the path as text, for messages: "a.b.c". */
const char *module_push_text(lua_State *L, const struct module_path *path);

#endif
