/* json_fault.h - where and why a text is not JSON.
 *
 * The parser is fast and only says that a text is wrong. This reads it once more, slowly, to tell a
 * person where: it runs for texts that were refused, never for good ones. Knows nothing of Lua. */
#ifndef LIB_JSON_FAULT_H
#define LIB_JSON_FAULT_H

#include <stdbool.h>
#include <stddef.h>

struct json_fault {
  const char *what; /* "expected ',' or ']'"; a constant */
  bool is_at_end;   /* the text ends there */
  size_t byte;      /* its place, counted from 1 */
  size_t line;      /* from 1 */
  size_t column;    /* in bytes, from 1 */
};

/* [any thread] Finds the first place at which the text stops being JSON (RFC 8259, valid UTF-8, at
 * most JSON_DEPTH_MAX deep, numbers with a finite value). False when it is JSON. */
bool json_fault_find(const char *text, size_t len, struct json_fault *fault);

#endif
