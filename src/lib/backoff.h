/* backoff.h - the waits between attempts: `{ initial = 1, factor = 2, max = 60, jitter = true }`.
 *
 * Wait n is min(max, initial * factor^(n-1)); jitter multiplies it by 0.5 to 1. */
#ifndef LIB_BACKOFF_H
#define LIB_BACKOFF_H

#include <lua.h>
#include <stdbool.h>

struct fiber;

struct backoff {
  lua_Number initial_s, factor, max_s;
  bool jitter;
};

/* [any thread] The waits where nobody says otherwise. */
struct backoff backoff_default(void);

/* [owner] Reads the option `backoff` on top of the stack, not nil, over what is in the struct.
 * Raises with the caller's line. */
void backoff_read(lua_State *L, struct backoff *backoff);

/* [owner] Seconds to wait after the attempt of this number, from 1 on: at most 100 years. Without
 * jitter on a clock that is moved by hand. */
lua_Number backoff_wait(const struct backoff *backoff, const struct fiber *fiber,
                        lua_Integer attempt);

#endif
