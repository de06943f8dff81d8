/* channel.h - async.channel: values from those that send to those that receive, in order.
 *
 * Up to `capacity` values wait in it; a further send waits, and with capacity 0 each send waits for
 * its receiver. Once closed nothing can be sent, and what is in it can still be received. */
#ifndef LIB_CHANNEL_H
#define LIB_CHANNEL_H

#include <lua.h>

/* [owner] Adds `channel` to the module table on top of the stack. */
void channel_open(lua_State *L);

#endif
