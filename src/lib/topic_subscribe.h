/* topic_subscribe.h - topic:subscribe { buffer=, overflow= }, and what it gives.
 *
 *   for value in subscription do ... end
 *   subscription:receive([timeout]) -> value, or nil once it is closed
 *   subscription:close(); subscription.dropped
 */
#ifndef LIB_TOPIC_SUBSCRIBE_H
#define LIB_TOPIC_SUBSCRIBE_H

#include "lib/topic_branch.h"

#include <lua.h>

/* What a topic is in Lua: one for each name and state. */
struct topic_handle {
  struct topic_ref *ref;
  struct topic_branch *branch; /* while this state has subscriptions; NULL: none */
};

/* [owner] The method: subscribe(self, [options]) -> what `for` takes, a subscription first. */
int topic_subscribe(lua_State *L);

/* [owner] Pushes the class of subscriptions and the state's memory, the two upvalues of methods of
 * topics behind that of their class. */
void topic_subscribe_push_class(lua_State *L);

/* [owner] Takes the branch of a handle off its topic, if there is one. */
void topic_subscribe_leave(struct topic_handle *handle);

#endif
