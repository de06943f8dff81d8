/* req_form.h - the form in the body of a request: its fields and its files.
 *
 * The first call reads the body, buffered or streamed, on an HTTP worker or a pool thread; it waits
 * for what it writes to temporary files. What is wrong with a form is an abort: 400, 413, 415; no
 * body at all is an empty form. Registered as methods of `req` by req.c. */
#ifndef LIB_REQ_FORM_H
#define LIB_REQ_FORM_H

#include <lua.h>

/* [owner] Registers what the methods need in a state. */
void req_form_open(lua_State *L);

/* [owner] req:form() -> a table with the first value of each text field. */
int req_form_read(lua_State *L);

/* [owner] req:form_all(name) -> a list of all values of a text field. */
int req_form_read_all(lua_State *L);

/* [owner] req:file(name) -> the first file of that name, or nil. */
int req_form_file(lua_State *L);

/* [owner] req:files() -> a list of all files, as they came. */
int req_form_files(lua_State *L);

#endif
