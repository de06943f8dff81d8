/* upload.h - the file objects of a form: what req:file() and req:files() give.
 *
 * Small ones have their bytes in memory, large ones a temporary file that lives until the request
 * and its tasks have ended. In another state an upload is the same file. */
#ifndef LIB_UPLOAD_H
#define LIB_UPLOAD_H

#include <lua.h>
#include <stdint.h>

struct form_part;

/* [owner] Registers the class in a state. */
void upload_open(lua_State *L);

/* [owner] Pushes an upload with the bytes, or the file, of the part, which has them no more. The
 * files of `request` are open. Raises when there is no memory; the part is then as it was. */
void upload_push(lua_State *L, struct form_part *part, uint64_t request);

#endif
