/* process.h - the Lua module perilune.process: process.run.
 *
 * Runs a program without a shell and waits for it, wherever it is called from; no thread is held
 * meanwhile. */
#ifndef LIB_PROCESS_H
#define LIB_PROCESS_H

#include <lua.h>

/* [owner] Pushes the module's table, for package.preload; gives 1. */
int process_open(lua_State *L);

#endif
