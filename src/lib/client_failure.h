/* client_failure.h - the errors of requests that did not go well.
 *
 * Kind "timeout" where a limit of time was reached, else "http"; both have curl's `code` and its
 * name, `code_name`. Messages begin with the method and the URL without what may be secret in it.
 */
#ifndef LIB_CLIENT_FAILURE_H
#define LIB_CLIENT_FAILURE_H

#include "base/base.h"
#include "lib/fetch.h"

#include <lua.h>

/* [owner] Whether the fetch has ended, and not well. */
bool client_failure_is_there(const struct fetch *fetch);

/* [owner] Raises why. */
NO_RETURN void client_failure_raise(lua_State *L, const struct fetch *fetch);

#endif
