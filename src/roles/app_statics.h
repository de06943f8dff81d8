/* app_statics.h - from app:static and public/ to the mounts that the HTTP workers share.
 *
 * Reads what lua/perilune/static.lua has checked and recorded in app.statics. Made by the first
 * state that loads the app. */
#ifndef ROLES_APP_STATICS_H
#define ROLES_APP_STATICS_H

#include "http/static.h"

#include <lua.h>

/* [owner] Adds the mounts of the app at `index`, and behind them the directory public/ in its
 * directory, when there is one. Raises when a directory cannot be opened or a record is
 * not as static.lua makes it; what was added before stays. */
void app_statics_read(lua_State *L, int index, struct statics *statics);

#endif
