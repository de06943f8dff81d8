/* transfer_encoder.h - a message that is being written; private to core/transfer*.c.
 *
 * Objects are known by address in a small hash that starts inside the encoder and moves into a
 * userdata when it grows, so a raise leaks nothing and a flat table costs no allocation. Upvalues
 * are known in it too, by their lua_upvalueid. */
#ifndef CORE_TRANSFER_ENCODER_H
#define CORE_TRANSFER_ENCODER_H

#include "base/limits.h"
#include "core/module.h"
#include "core/transfer_format.h"

enum {
  SEEN_FIRST = 16,  /* slots inside the encoder; a power of two */
  ENCODE_SLOTS = 8, /* Lua stack used by one level of tables */
};

struct seen {
  const void *object; /* NULL: free */
  uint32_t offset;    /* of its lead byte in the message; of an upvalue: of its function's */
  uint32_t upvalue;   /* number of an upvalue, from 1; 0: an object */
};

struct encoder {
  lua_State *L;
  struct buffer *out;
  size_t start;                     /* where the message begins in `out` */
  const char *what;                 /* "argument", "result", "error" */
  int number;                       /* of the value being written, from 1; 0: there is only one */
  int depth;                        /* tables and functions around it */
  bool lenient;                     /* what cannot cross is replaced by its text */
  const struct transfer_step *step; /* innermost */

  /* Set up by the first object. */
  struct seen *seen; /* NULL before */
  size_t seen_mask, seen_count;
  int seen_index; /* stack slot of the userdata that `seen` grew into */
  int names;      /* stack slot of the map of modules */
  struct seen seen_first[SEEN_FIRST];
};

/* [owner] An encoder of a message that is appended to `out`. */
void encoder_init(struct encoder *e, lua_State *L, const char *what, struct buffer *out);

/* ---- what cannot be written ---- */

/* [owner] Raises that the message would become too large. */
NO_RETURN void encoder_raise_too_large(struct encoder *e);

/* [owner] Raises that the value at `index` cannot cross; `why` is the end of the message. A lenient
 * encoder writes its text instead. */
void encoder_refuse(struct encoder *e, int index, const char *type, const char *why);

/* [owner] Refuses a table or function that lies too deep; false when it does not. */
bool encoder_refuse_depth(struct encoder *e, int index);

/* ---- bytes ---- */

/* Room for `len` more bytes, which the caller adds to the length. */
static inline char *encoder_claim(struct encoder *e, size_t len) {
  if (UNLIKELY(e->out->len + len > TRANSFER_BYTES_MAX)) encoder_raise_too_large(e);
  return buffer_reserve(e->out, len);
}

static inline size_t encoder_position(const struct encoder *e) {
  return e->out->len - e->start;
}

static inline void encoder_put_byte(struct encoder *e, int byte) {
  *encoder_claim(e, 1) = (char)byte;
  e->out->len++;
}

/* A lead byte and what follows it. */
static inline void encoder_put_fixed(struct encoder *e, int lead, const void *data, size_t len) {
  char *at = encoder_claim(e, 1 + len);
  *at = (char)lead;
  memcpy(at + 1, data, len);
  e->out->len += 1 + len;
}

/* [owner] Bytes of a varint; writing one in exactly `width` bytes, which may be more than it needs;
 * appending one. */
size_t encoder_varint_width(size_t value);
void encoder_write_varint(char *at, size_t width, size_t value);
void encoder_put_varint(struct encoder *e, size_t value);

/* [owner] Appends a string as a value. */
void encoder_put_string(struct encoder *e, const char *text, size_t len);

/* [owner] Appends a length that is not known yet, and sets it to what was appended after it. */
size_t encoder_begin_length(struct encoder *e);
void encoder_end_length(struct encoder *e, size_t begun);

/* ---- what was written before ---- */

/* [owner] The slot of an object, or the free one where it would go; good until the next one is set.
 * The first call takes slots of the Lua stack, which is at its bottom then. */
struct seen *encoder_find(struct encoder *e, const void *object);
void encoder_set(struct encoder *e, struct seen *slot, struct seen what);

/* [owner] Notes that the object whose lead byte is at `offset` is referred to. */
void encoder_share(struct encoder *e, size_t offset);

/* [owner] Writes a reference to an object that was written before; false when it was not. */
bool encoder_put_ref(struct encoder *e, const struct seen *slot);

/* ---- values ---- */

/* [owner] Appends the value at `index`. */
void encoder_put_value(struct encoder *e, int index);

/* [owner] Appends the function at `index`. */
void encoder_put_function(struct encoder *e, int index);

/* [owner] Appends the table at `index`, whose slot is free, by its name: as a module; as an app.
 * False when it is none. */
bool encoder_put_module(struct encoder *e, int index, struct seen *slot);
bool encoder_put_app(struct encoder *e, int index, struct seen *slot);

/* [owner] Appends the path of what is in a module. */
void encoder_put_path(struct encoder *e, const struct module_path *path);

#endif
