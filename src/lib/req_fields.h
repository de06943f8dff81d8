/* req_fields.h - the fields of `req`: req.path, req.query, req.headers, ...
 *
 * Made when asked for; tables are kept with the `req`. Lists of values (req:query_all,
 * req:header_all) are methods, registered by req.c. */
#ifndef LIB_REQ_FIELDS_H
#define LIB_REQ_FIELDS_H

#include <lua.h>

/* [owner] Pushes a table with a number for each field name. Registers the class of headers. */
void req_fields_open(lua_State *L);

/* [owner] Pushes the field of that number of the `req` at 1. Raises as the field does. */
int req_fields_push(lua_State *L, lua_Integer number);

/* [owner] req:query_all(name) and req:header_all(name) -> a list. */
int req_fields_query_all(lua_State *L);
int req_fields_header_all(lua_State *L);

#endif
