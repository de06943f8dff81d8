/* instance.h - what a Lua state holds of one app that was loaded in it.
 *
 * Its files, its modules, the marks of its functions and their index, each in a table of its own. A
 * server's states have one. In a spec there is one for each open test client, and the state shows
 * that of the fiber that runs: package.loaded has the modules of that app and of no other. Those
 * that belong to no app see the one that was loaded last. */
#ifndef CORE_INSTANCE_H
#define CORE_INSTANCE_H

#include "base/list.h"
#include "core/metrics.h"

#include <lua.h>
#include <stdbool.h>

struct call_host;
struct fiber;
struct snapshot;
struct task_end;
struct worker;

/* Lives as long as its worker, so that it can be referred to for any time. */
struct instance {
  struct list link; /* worker.instances, the last loaded first, or worker.ended_instances */
  struct worker *worker;
  struct snapshot *snapshot; /* its files; NULL: there are none */
  struct call_host *host;    /* runs the calls of what it marks, a reference; NULL: nobody does */
  struct task_end *end;      /* how its tasks end: the worker's, unless a spec ends it by itself */
  struct metrics metrics;    /* of its tasks, while a spec watches what is scheduled */
  int tables;                /* registry reference: key -> table; LUA_NOREF: it has ended */
  bool loading;
  bool is_held; /* a test client has it */
};

/* [owner] Makes the first instance of a state; raises when out of memory. */
void instance_open(lua_State *L);

/* [owner] A further one, with these files, which all fibers that belong to no app see from now on;
 * it is held until instance_end. Raises when out of memory. */
struct instance *instance_begin(lua_State *L, struct snapshot *snapshot);

/* [owner] Its app is served no more, and its files are about to go. Where no other one is held it
 * stays visible until the next begins, with the files of the first. */
void instance_end(lua_State *L, struct instance *instance);

/* [owner] The one that the state shows; NULL in a state that is no worker's, whose tables are its
 * registry's. */
struct instance *instance_shown(lua_State *L);

/* [owner] Lets the state show what a fiber is to see; called before the fiber runs. */
void instance_show_of(const struct fiber *fiber);

/* [owner] The running fiber, and what it starts, sees this one while it loads the app; NULL: it
 * sees what it belongs to again. */
void instance_watch_load(lua_State *L, struct instance *instance);

/* [owner] Pushes the table of the shown instance that goes by that address; raises when out of
 * memory. */
void instance_push_table(lua_State *L, const void *key);

/* [owner] The same, or pushes nothing and gives false where there is none yet; needs no memory. */
bool instance_find_table(lua_State *L, const void *key);

/* [owner] Puts the table on top (popped) there. */
void instance_set_table(lua_State *L, const void *key);

/* [owner] Notes that the shown instance has a module of that name; and whether it has. */
void instance_note_module(lua_State *L, const char *name);
bool instance_has_module(lua_State *L, const char *name);

/* [owner] Who runs the calls of the shown instance's marks; a reference is kept. */
void instance_set_host(lua_State *L, struct call_host *host);

/* [owner] How the tasks of that end to which a fiber of the worker belongs (NULL: no fiber runs).
 */
struct task_end *instance_end_of(struct worker *worker, const struct fiber *fiber);

/* [owner] Counts one of its tasks (NULL: it belongs to none), for its worker and, where a spec
 * watches, for itself. */
void instance_count_tasks(struct worker *worker, struct instance *instance, enum metric metric);

/* [owner] Frees those of a worker whose Lua state has gone. */
void instance_free_all(struct worker *worker);

#endif
