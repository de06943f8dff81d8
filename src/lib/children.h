/* children.h - what gather, settle, race, any, map and group have in common: tasks as children.
 *
 * Children are started from functions, `{ fn, args... }` and tasks; their results and errors are
 * read from the table of their tasks, which the parent keeps. */
#ifndef LIB_CHILDREN_H
#define LIB_CHILDREN_H

#include "base/base.h"
#include "lib/task_group.h"

#include <lua.h>
#include <stdbool.h>

/* [owner] Registers the class of groups in a state. */
void children_open(lua_State *L);

/* [owner] Pushes a group: a userdata that parts from its members when it is closed or collected. */
struct task_group *children_push_group(lua_State *L, enum task_group_first matters,
                                       const char *reason);

/* [owner] Raises unless each value of the table at the absolute index `table` can be a child, the
 * list in it has no holes, and no task could never end. `is_alone`: the table was the only argument
 * of `what`. */
void children_check(lua_State *L, int table, const char *what, bool is_alone);

/* [owner] Starts the children in the table at `table`, lists in order, and puts their tasks under
 * the same keys into the table at `tasks`; absolute indices. */
void children_start(lua_State *L, int table, int tasks, struct task_group *group);

/* [owner] Pushes the first result of the ended task at `index`, or nil. */
void children_push_result(lua_State *L, int index);

/* [owner] Raises the error of the task `failed`, which is in the table at `tasks`, joined with
 * those of the other tasks there and the one at `further` (0: none). */
NO_RETURN void children_raise(lua_State *L, int tasks, const struct task *failed, int further);

/* [owner] Joins the errors of the tasks in the table at `tasks` (0: none), but of `but`, and the
 * one at `further` to the error at `error`: they are in its field `others`, if it is a table, and
 * in its traceback, which is the one given, or NULL: the one known of it. Of a cancellation only
 * what was joined to it counts. Absolute indices. */
void children_join_errors(lua_State *L, int tasks, int error, const char *traceback,
                          const struct task *but, int further);

/* [owner] Raises kind "cancelled" when the parent of the group was cancelled while it waited, with
 * the errors that came up meanwhile. */
void children_check_cancelled(lua_State *L, struct task_group *group, int tasks, int further);

#endif
