/* delivery.h - `response.delivered`: whether the client has got a response.
 *
 * The response object and the request share a small counted struct, so that the answer can be
 * noted where no Lua may run. */
#ifndef LIB_DELIVERY_H
#define LIB_DELIVERY_H

#include <lua.h>
#include <stdbool.h>

struct delivery;

/* [owner] Registers the class in a state. */
void delivery_open(lua_State *L);

/* [owner] Ties the response object at `index` to its delivery; gives a reference. Raises when there
 * is no memory. */
struct delivery *delivery_attach(lua_State *L, int index);

/* [owner] Notes the end and gives the reference back; accepts NULL. No Lua. */
void delivery_settle(struct delivery *delivery, bool delivered);

/* [owner] delivered(response) -> whether; nil while nobody knows. */
int delivery_read(lua_State *L);

#endif
