/* form_reader.h - a multipart form as it comes in: small parts in memory, large ones in files.
 *
 * It is given pieces of the body and goes on step by step until a part is complete, or a file is to
 * be written, which offload.h does; so memory stays below FORM_TEXT_BYTES_MAX,
 * FORM_MEMORY_BYTES_MAX and one block to write. Knows no Lua values. */
#ifndef LIB_FORM_READER_H
#define LIB_FORM_READER_H

#include "core/offload.h"
#include "http/multipart.h"
#include "lib/spool.h"

#include <stdbool.h>

enum form_step {
  FORM_STEP_MORE,   /* the input is used up */
  FORM_STEP_WRITE,  /* the reader's offload is to be started, and waited for */
  FORM_STEP_PART,   /* reader.part is complete: to be taken, then form_reader_next_part */
  FORM_STEP_REFUSED /* reader.multipart.problem */
};

/* The part that is being read, or has been. */
struct form_part {
  struct part head;
  struct buffer bytes; /* all of it, unless it is spooled */
  uint64_t size;
  bool is_spooled;
  char path[SPOOL_PATH_BYTES]; /* of a spooled one */
};

struct form_reader {
  struct offload offload; /* writes; its struct is this one */
  struct multipart multipart;
  struct slice
      input; /* set by the caller when it is empty; the bytes stay until they are used up */
  struct form_part part;
  uv_err error; /* why a file could not be written; nothing goes on from there */

  struct slice _data; /* of the current event, not taken yet */
  bool _is_complete;  /* the part */
  bool _flushes;      /* the file is to be closed after the next write */
  int _fd;            /* of the part's file, -1: none */
  struct buffer _block;
  size_t _text_bytes, _memory_bytes;
  struct spool *_spool;
  uint64_t _request;
};

/* [owner] A reader for a body of this type; files are made for the request. Given back by
 * offload_drop(&reader->offload). */
struct form_reader *form_reader_create(const struct form_type *type, struct spool *spool,
                                       uint64_t request);

/* [owner] Goes on; the offload does not run, and there is no error. */
enum form_step form_reader_step(struct form_reader *reader);

/* [owner] The part has been taken: forgets what is left of it. */
void form_reader_next_part(struct form_reader *reader);

#endif
