/* req_block.h - the block of memory behind a `req`: for the files of req alone.
 *
 * The block is a header, the field and parameter entries, and the bytes they point into; offsets
 * are relative to the bytes, so the block can be copied as it is. Only a request with a body has
 * a finalizer: the body stays outside Lua until it is asked for. */
#ifndef LIB_REQ_BLOCK_H
#define LIB_REQ_BLOCK_H

#include "base/base.h"
#include "http/field.h"
#include "http/request.h"
#include "http/router.h"

#include <stdbool.h>

struct agenda;
struct req_source;

/* A range of the bytes. */
struct req_range {
  uint32_t at, len;
};

struct req_param {
  struct req_range name, value;
  enum param_kind kind;
  union {
    int64_t integer;
    double number;
  };
};

struct req {
  struct req_source *source; /* not to be looked into unless is_here */
  uint64_t source_number;
  uint64_t home; /* number of the worker that the source lives on */
  bool is_here;
  bool streams_body;
  bool is_https;
  struct agenda *agenda; /* a reference, once it has tasks or files; only with a finalizer */
  char *body;            /* owned; NULL when there is none */
  size_t body_len;
  uint64_t id;
  uint32_t size; /* of the whole block */
  enum method method;
  uint32_t minor;
  uint32_t field_count, param_count;
  struct req_range target, path, query, authority, route, peer;
  /* followed by params, fields and bytes */
};

static inline struct req_param *req_block_params(const struct req *req) {
  return (struct req_param *)(req + 1);
}

static inline struct request_field *req_block_fields(const struct req *req) {
  return (struct request_field *)(req_block_params(req) + req->param_count);
}

static inline const char *req_block_bytes(const struct req *req) {
  return (const char *)(req_block_fields(req) + req->field_count);
}

static inline struct slice req_block_value(const struct req *req, uint32_t i) {
  const struct request_field *field = &req_block_fields(req)[i];
  return (struct slice){req_block_bytes(req) + field->value_at, field->value_len};
}

static inline bool req_block_is_field(const struct req *req, uint32_t i, struct slice name) {
  const struct request_field *field = &req_block_fields(req)[i];
  return field_equal((struct slice){req_block_bytes(req) + field->name_at, field->name_len}, name);
}

/* The first one; data is NULL when there is none. */
static inline struct slice req_block_find(const struct req *req, struct slice name) {
  for (uint32_t i = 0; i < req->field_count; i++)
    if (req_block_is_field(req, i, name)) return req_block_value(req, i);
  return (struct slice){NULL, 0};
}

#endif
