/* sqlite_call.h - a call that waits for a job: its box, the wait, its end; query, row, value, exec.
 *
 * The box lies on the stack of the coroutine that waits. Whatever becomes of that, the box lets go
 * of the job. */
#ifndef LIB_SQLITE_CALL_H
#define LIB_SQLITE_CALL_H

#include "core/fiber.h"
#include "lib/sqlite_handle.h"
#include "lib/sqlite_job.h"

/* [owner] Prepares a state. */
void sqlite_call_open(lua_State *L);

/* [owner] Pushes a box with a new job; its target may be NULL. */
struct sqlite_job *sqlite_call_push(lua_State *L, enum sqlite_job_kind kind,
                                    const struct sqlite_target *target);

/* [owner] The SQL at 2, for the job. Raises when it is none. */
void sqlite_call_read_sql(lua_State *L, struct sqlite_job *job);

/* [owner] Submits the job and waits; `k` begins with sqlite_call_check. fiber_begin_wait has been
 * called. Raises kind "full". */
lua_nret sqlite_call_wait(lua_State *L, struct fiber *fiber, struct sqlite_job *job,
                          const char *waits_for, lua_KContext context, lua_KFunction k);

/* [owner] The wait for the job of the box at `box` is over: raises when it was cancelled, and the
 * job's failure. */
struct sqlite_job *sqlite_call_check(lua_State *L, int box);

/* [owner] Lets go of the job of the box at `box`. */
void sqlite_call_drop(lua_State *L, int box);

/* [owner] The methods. */
int sqlite_call_query(lua_State *L);
int sqlite_call_row(lua_State *L);
int sqlite_call_value(lua_State *L);
int sqlite_call_exec(lua_State *L);

#endif
