/* task_label.h - which scheduled task the running code belongs to, for its log lines.
 *
 * Also what such a task starts (children, awaited calls on pools and loops) belongs to it. */
#ifndef LIB_TASK_LABEL_H
#define LIB_TASK_LABEL_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* [owner] Writes the name of the task, cut to `size` with a terminator; false, and nothing is
 * written, where the code belongs to none that still runs. */
bool task_label_write(lua_State *L, char *text, size_t size);

/* [owner] Gives the call in the box at `box` the name of the task that it is made for: a task of
 * the function at `function` with the options at `options`, 0: none. */
void task_label_give(lua_State *L, int box, int function, int options);

#endif
