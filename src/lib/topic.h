/* topic.h - `require "perilune.topic"`: what is published in one state comes to all of them.
 *
 *   topic("news"):publish(value)
 *   for value in topic("news"):subscribe { buffer = 100, overflow = "drop_oldest" } do ... end
 */
#ifndef LIB_TOPIC_H
#define LIB_TOPIC_H

#include <lua.h>

/* [owner] The module's opener: pushes the function that gives a topic by its name. */
int topic_open(lua_State *L);

/* [owner] Teaches a new state how topics cross: by name. */
void topic_open_transfer(lua_State *L);

#endif
