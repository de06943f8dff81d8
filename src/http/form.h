/* form.h - what kind of form a body is, and the fields of an urlencoded one.
 *
 * Pure, on borrowed bytes, within the limits of limits.h. A multipart body is multipart.h's. What
 * is wrong with a form is told as a status and a text for the client. */
#ifndef HTTP_FORM_H
#define HTTP_FORM_H

#include "base/base.h"
#include "http/uri.h"

#include <stdbool.h>

enum { FORM_DETAIL_BYTES = 160, FORM_BOUNDARY_BYTES = 70 /* RFC 2046 5.1.1 */ };

/* Zeroed: there is none. */
struct form_problem {
  int status;                     /* 400, 413 or 415; 0: none */
  char detail[FORM_DETAIL_BYTES]; /* terminated */
};

enum form_kind { FORM_URLENCODED, FORM_MULTIPART, FORM_NEITHER };

struct form_type {
  enum form_kind kind;
  size_t boundary_len;
  char boundary[FORM_BOUNDARY_BYTES]; /* of a multipart form */
};

/* An iteration over the fields of an urlencoded body. */
struct form_fields {
  struct form_problem problem;
  struct uri_query_iter _iter;
  uint32_t _count;
};

/* [any thread] Notes the problem, unless there is one. */
void form_fail(struct form_problem *problem, int status, const char *format, ...) PRINTF_LIKE(3, 4);

/* [any thread] Reads a Content-Type; empty when the request has none. False with a problem when it
 * says multipart/form-data and no good boundary. */
bool form_read_type(struct slice content_type, struct form_type *type,
                    struct form_problem *problem);

/* [any thread] Whether a Content-Type says multipart/form-data, well or not. */
bool form_is_multipart(struct slice content_type);

/* [any thread] Starts an iteration over a body. */
void form_fields_begin(struct form_fields *fields, struct slice body);

/* [any thread] The next field, both halves raw (uri_decode with plus_is_space decodes them); false
 * at the end, and past a limit with fields.problem set: 413. */
bool form_fields_next(struct form_fields *fields, struct slice *name, struct slice *value);

#endif
