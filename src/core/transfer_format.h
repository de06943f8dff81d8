/* transfer_format.h - the bytes of a message; private to core/transfer*.c.
 *
 *   message  varint (number of values * 2 + 1 if it has a REF), values
 *   value    one lead byte, and what enum transfer_lead says follows it
 *   varint   7 bits a byte, lowest first, high bit set on all but the last
 *   path     name of a module, a byte with the number of fields, fields (all strings)
 *
 * An object met a second time is written as REF and the offset of its lead byte in the message;
 * the SHARED bit is then set in that lead byte, so that only such objects are kept by the reader.
 */
#ifndef CORE_TRANSFER_FORMAT_H
#define CORE_TRANSFER_FORMAT_H

#include "core/transfer.h"

enum { LEAD_SHARED_BIT = 0x10 }; /* free in the lead bytes of objects */

enum transfer_lead {
  /* 0x00 to 0x7F: the integers 0 to 127 */
  LEAD_SHORT = 0x80,  /* + length, up to SHORT_BYTES_MAX; its bytes */
  LEAD_STRING = 0xC0, /* varint length, its bytes */
  LEAD_NIL,
  LEAD_FALSE,
  LEAD_TRUE,
  LEAD_INT8, /* the integer in so many bits */
  LEAD_INT16,
  LEAD_INT32,
  LEAD_INT64,
  LEAD_FLOAT, /* lua_Number */
  LEAD_NULL,  /* perilune.null */
  LEAD_TABLE, /* size byte, varint n, the values of 1 to n; if size > 0: pairs of key, value; NIL */
  LEAD_ARRAY, /* the mark of a JSON array; TABLE */
  LEAD_CLASS, /* name (a string), TABLE */
  LEAD_KIND,  /* name (a string), uint32_t length, its bytes */
  LEAD_REF,   /* varint offset */
  LEAD_CODE,  /* uint32_t length, sealed code; number of upvalues, each a value or UPVALUE */
  LEAD_MODULE = 0xE0, /* path, uint64_t fingerprint of what is there */
  LEAD_INDEXED,       /* uint64_t identity, title (a string) */
  LEAD_MARKED,        /* identity (a string) */
  LEAD_APP,           /* varint number */
  LEAD_MODULE_CLASS,  /* path, TABLE */
  LEAD_UPVALUE,       /* varint offset of a function, number of its upvalue: the same one */
  LEAD_TABLE_SHARED = LEAD_TABLE + LEAD_SHARED_BIT,
  LEAD_KIND_SHARED = LEAD_KIND + LEAD_SHARED_BIT,
  LEAD_CODE_SHARED = LEAD_CODE + LEAD_SHARED_BIT,
  LEAD_MODULE_SHARED = LEAD_MODULE + LEAD_SHARED_BIT,
  LEAD_INDEXED_SHARED = LEAD_INDEXED + LEAD_SHARED_BIT,
  LEAD_MARKED_SHARED = LEAD_MARKED + LEAD_SHARED_BIT,
  LEAD_APP_SHARED = LEAD_APP + LEAD_SHARED_BIT,
};

enum {
  INLINE_INTEGER_MAX = 0x7F,
  SHORT_BYTES_MAX = 0x3F,
  VARINT_BYTES_MAX = 10,
  SIZE_MAX_LOG2 = 31, /* size byte: 0 without pairs, else 1 + log2 of their number, rounded up */
};

/* A table that is being written, whose current key stands at `key` on the Lua stack; or a function,
 * whose current upvalue has a name. */
struct transfer_step {
  const struct transfer_step *up; /* what is around it */
  int key;
  const char *upvalue; /* NULL for a table */
};

struct transfer_path {
  char text[256]; /* terminated; a longer path is cut */
  size_t len;
};

/* [owner] Writes the path to the value that `last` (may be NULL) leads to. `number` counts values
 * from 1, 0 leaves it out. */
void transfer_path_write(struct transfer_path *path, lua_State *L, const char *what, int number,
                         const struct transfer_step *last);

/* [owner] What tells whether a path leads to the same in two states: the address of a C function, a
 * hash of the code of another, 0 for a table. */
uint64_t transfer_fingerprint(lua_State *L, int index);

/* [owner] The kind registered under a name, or NULL; needs two free stack slots. */
const struct transfer_kind *transfer_kind_find(lua_State *L, const char *name);

#endif
