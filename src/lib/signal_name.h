/* signal_name.h - the names of signals, as programs are said to have ended by them.
 *
 * The names of POSIX and a few of Linux; any other is told by its number. */
#ifndef LIB_SIGNAL_NAME_H
#define LIB_SIGNAL_NAME_H

#include <lua.h>

/* [owner] Pushes "SIGKILL", or "signal 40" for one without a name. Raises when there is no memory.
 */
void signal_name_push(lua_State *L, int signal);

#endif
