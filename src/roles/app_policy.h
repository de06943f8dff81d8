/* app_policy.h - from app:headers and app:cors to the policy that the HTTP workers share.
 *
 * Reads what lua/perilune/policy.lua has checked and recorded in app.policy. Made by the first
 * state that loads the app. */
#ifndef ROLES_APP_POLICY_H
#define ROLES_APP_POLICY_H

#include "http/policy.h"

#include <lua.h>

/* [owner] Fills the policy from the app at `index`; false when the app adds nothing. Raises when a
 * record is not as policy.lua makes it; what was added before stays in the policy. */
bool app_policy_read(lua_State *L, int index, struct policy *policy);

#endif
