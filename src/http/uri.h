/* uri.h - the parts of a request target: splitting, percent-decoding, query pieces.
 *
 * Everything works on borrowed bytes, terminates nothing and allocates nothing. Malformed percent
 * sequences are not errors: they stay as they are. No normalisation of "." and ".." segments:
 * whoever turns a path into a file name has to refuse them. */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include "base/base.h"

#include <stdbool.h>

/* Slices of one target, all raw (not decoded). */
struct uri_target {
  struct slice authority; /* empty unless the target was in absolute form */
  struct slice path;      /* starts with '/', or is "*" */
  struct slice query;     /* without the '?'; empty if there is none */
};

/* Where an iteration over a query stands. */
struct uri_query_iter {
  const char *_at;
  const char *_end;
};

/* [any thread] Splits a request target in origin form ("/a?b"), absolute form ("http://h/a?b", http
 * or https, the authority not empty) or asterisk form ("*") into slices of `target` (RFC
 * 9112, 3.2). False for every other form and for bytes that no target has: controls, spaces, '#',
 * above 0x7E; `out` is then not to be used. */
bool uri_split(const char *target, size_t len, struct uri_target *out);

/* [any thread] Whether every '%' in a path starts a well-formed sequence, and none stands for NUL.
 */
bool uri_path_is_valid(const char *path, size_t len);

/* [any thread] The byte that the sequence "%XX" at `at` stands for, or -1 if there is no
 * well-formed sequence before `end`. */
int uri_read_escape(const char *at, const char *end);

/* [any thread] Writes the decoded form of `in` to `out` and gives its length, at most `len`. `out`
 * holds `len` bytes and may be `in` itself. A '+' becomes a space if `plus_is_space` (queries and
 * forms; never paths). */
size_t uri_decode(char *out, const char *in, size_t len, bool plus_is_space);

/* [any thread] Starts an iteration over the pieces "name=value" of a raw query. */
void uri_query_begin(struct uri_query_iter *iter, const char *query, size_t len);

/* [any thread] The next piece, both halves raw; false at the end. Empty pieces are skipped, a piece
 * without '=' has an empty value. */
bool uri_query_next(struct uri_query_iter *iter, struct slice *name, struct slice *value);

#endif
