/* client_pairs.h - reading tables of names and values: headers, query, form, multipart.
 *
 * A value is a string, number or boolean, or a list of them that repeats the name. Pairs come
 * sorted by name, so that one table always makes the same request. */
#ifndef LIB_CLIENT_PAIRS_H
#define LIB_CLIENT_PAIRS_H

#include "lib/fetch.h"

#include <lua.h>

/* Gets one value, on top of the stack; leaves the stack as it is, or with more on it. */
typedef void (*client_pairs_fn)(lua_State *L, struct fetch *fetch, const char *name);

/* [owner] Calls `take` for each value of the table on top of the stack, the value of that option.
 * Tables for which `is_value` is true (NULL: none) are values, others lists. Raises. */
void client_pairs_read(lua_State *L, struct fetch *fetch, const char *option, client_pairs_fn take,
                       bool (*is_value)(lua_State *L));

/* [owner] The text of the value on top of the stack, for a client_pairs_fn; pushed. */
struct slice client_pairs_text(lua_State *L, const char *option, const char *name);

/* [owner] Appends "name=value" percent-encoded, with "&" before it unless it is the first. */
void client_pairs_encode(struct buffer *out, const char *name, struct slice value);

#endif
