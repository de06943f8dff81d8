/* instance.c - showing one of several instances in a state, and what each keeps meanwhile.
 *
 * The modules of the others are taken out of package.loaded and kept. There is only one but in
 * specs, where a state's fibers are asked before they run (worker.instance_count). */
#include "core/instance.h"

#include "base/base.h"
#include "core/call.h"
#include "core/fiber.h"
#include "core/watchdog.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Key of a table of an instance: name of a module -> true, or the module while it is not shown. */
static const char modules_key = 0;

static struct instance *instance_at(struct list *link) {
  return container_of(link, struct instance, link);
}

static struct instance *last_loaded(const struct worker *worker) {
  return instance_at(worker->instances.next);
}

static struct instance *first_loaded(const struct worker *worker) {
  return instance_at(worker->instances.prev);
}

/* ---- its tables ---- */

/* Pushes what has the tables of an instance (nil: it has ended), or, in a state that is no worker's
 * (NULL), the registry. */
static void push_tables(lua_State *L, const struct instance *instance) {
  if (instance)
    lua_rawgeti(L, LUA_REGISTRYINDEX, instance->tables);
  else
    lua_pushvalue(L, LUA_REGISTRYINDEX);
}

static bool find_table(lua_State *L, const struct instance *instance, const void *key) {
  int top = lua_gettop(L);
  push_tables(L, instance);
  bool is_there = lua_istable(L, -1) && lua_rawgetp(L, -1, key) == LUA_TTABLE;
  if (is_there) lua_replace(L, top + 1);
  lua_settop(L, top + is_there);
  return is_there;
}

bool instance_find_table(lua_State *L, const void *key) {
  return find_table(L, instance_shown(L), key);
}

void instance_set_table(lua_State *L, const void *key) {
  push_tables(L, instance_shown(L));
  lua_insert(L, -2);
  lua_rawsetp(L, -2, key);
  lua_pop(L, 1);
}

void instance_push_table(lua_State *L, const void *key) {
  if (instance_find_table(L, key)) return;
  lua_newtable(L);
  lua_pushvalue(L, -1);
  instance_set_table(L, key);
}

void instance_note_module(lua_State *L, const char *name) {
  instance_push_table(L, &modules_key);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

bool instance_has_module(lua_State *L, const char *name) {
  if (!instance_find_table(L, &modules_key)) return false;
  bool has = lua_getfield(L, -1, name) != LUA_TNIL;
  lua_pop(L, 2);
  return has;
}

/* ---- which one is shown ---- */

/* Takes its modules out of package.loaded, at 3, and keeps them. */
static void hide_modules(lua_State *L, const struct instance *instance) {
  if (!find_table(L, instance, &modules_key)) return;
  int modules = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, modules); lua_settop(L, modules + 1)) {
    lua_pushvalue(L, modules + 1);
    lua_pushvalue(L, modules + 1);
    if (lua_rawget(L, 3) == LUA_TNIL) {
      lua_pushboolean(L, 0);
      lua_replace(L, -2);
    }
    lua_rawset(L, modules);
    lua_pushvalue(L, modules + 1);
    lua_pushnil(L);
    lua_rawset(L, 3);
  }
}

static void show_modules(lua_State *L, const struct instance *instance) {
  if (!find_table(L, instance, &modules_key)) return;
  int modules = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, modules); lua_settop(L, modules + 1)) {
    lua_pushvalue(L, modules + 1);
    lua_pushvalue(L, modules + 2);
    if (lua_toboolean(L, -1)) lua_rawset(L, 3);
    lua_settop(L, modules + 1);
    lua_pushvalue(L, modules + 1);
    lua_pushboolean(L, 1);
    lua_rawset(L, modules);
  }
}

/* Arguments: the one that was shown, the one that is. */
static int swap_modules(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  hide_modules(L, lua_touserdata(L, 1));
  lua_settop(L, 3);
  show_modules(L, lua_touserdata(L, 2));
  return 0;
}

/* A module for which there is no memory is loaded anew by who requires it. */
static void show(lua_State *L, struct instance *instance) {
  struct worker *worker = instance->worker;
  struct instance *before = worker->instance;
  if (before == instance) return;
  worker->instance = instance;
  watchdog_set_snapshot(worker, instance->snapshot);
  lua_pushcfunction(L, swap_modules);
  lua_pushlightuserdata(L, before);
  lua_pushlightuserdata(L, instance);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

struct instance *instance_shown(lua_State *L) {
  const struct worker *worker = worker_of(L);
  return worker ? worker->instance : NULL;
}

void instance_show_of(const struct fiber *fiber) {
  struct worker *worker = fiber->worker;
  struct instance *seen = fiber->loads ? fiber->loads : fiber->instance;
  bool is_there = seen && seen->tables != LUA_NOREF;
  show(worker->L, is_there ? seen : last_loaded(worker));
}

void instance_watch_load(lua_State *L, struct instance *instance) {
  fiber_running(L)->loads = instance;
  show(L, instance ? instance : last_loaded(worker_of(L)));
}

/* ---- their lives ---- */

static void set_host(struct instance *instance, struct call_host *host) {
  if (host) host->retain(host);
  if (instance->host) instance->host->release(instance->host);
  instance->host = host;
}

void instance_set_host(lua_State *L, struct call_host *host) {
  set_host(instance_shown(L), host);
}

static struct instance *create(lua_State *L, struct snapshot *snapshot) {
  struct worker *worker = worker_of(L);
  lua_newtable(L);
  int tables = luaL_ref(L, LUA_REGISTRYINDEX);
  struct instance *instance = memory_alloc_zero(sizeof *instance);
  instance->worker = worker;
  instance->snapshot = snapshot;
  instance->end = &worker->tasks.end;
  instance->tables = tables;
  list_push_front(&worker->instances, &instance->link);
  worker->instance_count++;
  return instance;
}

/* Another one is shown. */
static void bury(struct instance *instance) {
  struct worker *worker = instance->worker;
  luaL_unref(worker->L, LUA_REGISTRYINDEX, instance->tables);
  instance->tables = LUA_NOREF;
  set_host(instance, NULL);
  list_remove(&instance->link);
  list_push(&worker->ended_instances, &instance->link);
  worker->instance_count--;
}

void instance_open(lua_State *L) {
  struct worker *worker = worker_of(L);
  worker->instance = create(L, worker->snapshot);
}

struct instance *instance_begin(lua_State *L, struct snapshot *snapshot) {
  struct worker *worker = worker_of(L);
  struct instance *before = last_loaded(worker), *instance = create(L, snapshot);
  instance->is_held = true;
  show(L, instance);
  if (!before->is_held && before != first_loaded(worker)) bury(before);
  return instance;
}

void instance_end(lua_State *L, struct instance *instance) {
  struct worker *worker = instance->worker;
  struct instance *first = first_loaded(worker);
  instance->is_held = false;
  instance->end = &worker->tasks.end;
  instance->loading = false;
  instance->snapshot = first->snapshot;
  if (worker->instance_count == 2) {
    if (worker->instance == instance) watchdog_set_snapshot(worker, instance->snapshot);
    return;
  }
  bool is_shown = worker->instance == instance;
  list_remove(&instance->link);
  if (is_shown) show(L, last_loaded(worker));
  bury(instance);
}

/* ---- its tasks ---- */

struct task_end *instance_end_of(struct worker *worker, const struct fiber *fiber) {
  return fiber && fiber->instance ? fiber->instance->end : &worker->tasks.end;
}

void instance_count_tasks(struct worker *worker, struct instance *instance, enum metric metric) {
  metrics_add(&worker->metrics, metric, 1);
  if (UNLIKELY(worker->tasks.watchers > 0) && instance) metrics_add(&instance->metrics, metric, 1);
}

/* ---- the end of a worker ---- */

static void free_list(struct list *list) {
  struct list *link;
  while ((link = list_pop(list))) {
    set_host(instance_at(link), NULL);
    free(instance_at(link));
  }
}

void instance_free_all(struct worker *worker) {
  free_list(&worker->instances);
  free_list(&worker->ended_instances);
  worker->instance = NULL;
}
