/* task_report.h - what becomes known of a task that did not succeed: log lines, on_error,
 * on_cancel.
 *
 * All of it in the fiber of the task, with its context and the id of its request. */
#ifndef LIB_TASK_REPORT_H
#define LIB_TASK_REPORT_H

#include "base/base.h"

#include <lua.h>

struct fiber;
struct task;
struct worker;

/* [owner] Logs, and counts, the error at `error` of the task at 1. */
void task_report_failure(lua_State *L, int error, const char *traceback);

/* [owner] Logs the error at `error` of an attempt of the task at 1 that is followed by another. */
void task_report_retry(lua_State *L, int error, lua_Number wait_s);

/* [owner] Logs that the handler `what` of the task at 1 failed with the error at `failure`; it was
 * told of the error at `error`. */
void task_report_handler_failure(lua_State *L, const char *what, int failure, int error);

/* [owner] Calls on_error or on_cancel of the task at 1, which has ended with the error at 2. To be
 * returned from a C function. */
int task_report_handle(lua_State *L);

/* [owner] Raises kind "full": the worker has too many tasks. Counted, and logged once a second. */
NO_RETURN void task_report_full(lua_State *L);

/* [owner] Raises kind "stopping" when the worker takes no tasks any more. */
void task_report_check_open(lua_State *L);

/* [owner] Counts a scheduled task that has ended, with its fiber. */
void task_report_end(const struct fiber *fiber, const struct task *task);

/* [owner] Notes that the stop of the server has cancelled the task at 1, and where that was; logs
 * it when the shutdown has taken too long. `traceback` is that of its error, NULL: it had not
 * begun. */
void task_report_stopped(lua_State *L, const char *traceback);

/* [owner] The worker has one more shielded task: warns when there are too many. */
void task_report_shielded(lua_State *L);

#endif
