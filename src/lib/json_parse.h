/* json_parse.h - simdjson behind a C interface: JSON text to a tape, strictly.
 *
 * A parser owns all the memory a parse needs and keeps it for the next one. What it gives is a
 * tape: 64-bit words in the order of the text, the kind of value in the top byte (format:
 * simdjson's doc/tape.md), which the caller walks without any C++ in between, so that a Lua error
 * may leave it at any point. Knows nothing of Lua; no exception leaves it. */
#ifndef LIB_JSON_PARSE_H
#define LIB_JSON_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The kinds of words on a tape. */
enum json_tape_kind {
  JSON_TAPE_ROOT = 'r',
  JSON_TAPE_OBJECT = '{', /* payload: index behind the end, and the number of members */
  JSON_TAPE_OBJECT_END = '}',
  JSON_TAPE_ARRAY = '[',
  JSON_TAPE_ARRAY_END = ']',
  JSON_TAPE_STRING = '"',   /* payload: where it is in `strings` */
  JSON_TAPE_INTEGER = 'l',  /* next word: an int64_t */
  JSON_TAPE_UNSIGNED = 'u', /* next word: a uint64_t above INT64_MAX */
  JSON_TAPE_FLOAT = 'd',    /* next word: a double */
  JSON_TAPE_TRUE = 't',
  JSON_TAPE_FALSE = 'f',
  JSON_TAPE_NULL = 'n'
};

/* A parsed text; belongs to the parser, until its next text. */
struct json_tape {
  const uint64_t *words; /* the first one is JSON_TAPE_ROOT */
  const char *strings;   /* each: uint32_t length, bytes, NUL; 16 bytes may be read anyway */
};

enum json_parse_result {
  JSON_PARSE_OK,
  JSON_PARSE_INVALID, /* not JSON */
  JSON_PARSE_NUMBER,  /* a number is malformed, or has no int64_t, uint64_t or finite double */
  JSON_PARSE_TOO_DEEP,
  JSON_PARSE_TOO_LONG,
  JSON_PARSE_NO_MEMORY
};

struct json_parser;

/* [any thread] A parser without memory for texts yet; NULL when there is no memory. Then it belongs
 * to one thread at a time. The caller owns it. */
struct json_parser *json_parse_create(void);

/* [owner] Frees the parser and its tape; accepts NULL. */
void json_parse_destroy(struct json_parser *parser);

/* [owner] Parses `len` bytes of text (RFC 8259), which are copied, with at most JSON_DEPTH_MAX
 * nested arrays and objects. `tape` is set when the result is JSON_PARSE_OK. */
enum json_parse_result json_parse_text(struct json_parser *parser, const char *text, size_t len,
                                       struct json_tape *tape);

/* [owner] The length in bytes of the longest text the parser has memory for (it holds about 15
 * times as much). */
size_t json_parse_capacity(const struct json_parser *parser);

/* [any thread] Whether the bytes are valid UTF-8 (RFC 3629). */
bool json_parse_is_utf8(const char *data, size_t len);

#ifdef __cplusplus
}
#endif

#endif
