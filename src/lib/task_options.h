/* task_options.h - the options of tasks: checked, merged over others, and kept with a definition.
 *
 * A userdata that never changes, so many tasks may share it. What C looks at often is in the
 * struct; the table of all options is its user value, and app authors get copies only. */
#ifndef LIB_TASK_OPTIONS_H
#define LIB_TASK_OPTIONS_H

#include "lib/backoff.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/* After which end of the handler a task of the two later timings starts. */
enum task_outcome { TASK_OUTCOME_SUCCESS, TASK_OUTCOME_FAILURE, TASK_OUTCOME_ANY };

struct task_options {
  const char *name; /* in the table; NULL: none */
  uint64_t delay_ns;
  lua_Number timeout_s; /* of each attempt; 0: none */
  lua_Integer retries;
  struct backoff backoff;
  enum task_outcome outcome;
  bool shield;
  bool has_on_error, has_on_cancel;
};

/* [owner] Checks the table at argument `index` of the running C function and pushes its options,
 * over those at `base` (0: none). Raises with the caller's line. */
void task_options_push(lua_State *L, int index, int base);

/* [owner] Pushes a copy of the table of the options at `index`. */
void task_options_push_copy(lua_State *L, int index);

/* [owner] Pushes the option `name` of the options at `index`; gives its type. */
int task_options_push_field(lua_State *L, int index, const char *name);

/* [owner] Pushes the on_error of the options at `index` that is meant for the error at `error`, or
 * pushes nothing and gives false. */
bool task_options_push_handler(lua_State *L, int index, int error);

/* [owner] The kind of the error at `index`, which may be the app's own table: its field `kind`;
 * else NULL. Borrowed: it lives as long as the error. */
const char *task_options_kind(lua_State *L, int index);

#endif
