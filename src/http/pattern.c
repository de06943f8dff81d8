/* pattern.c - parses the path patterns of routes.
 *
 * Everything an author can get wrong in a pattern is found here, with a message that quotes the
 * pattern; what comes out is well-formed, so that the router need not check. Does not know which
 * patterns clash: that is the router's. */
#include "http/pattern.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct parser {
  struct pattern *out;
  struct slice text;
  char *message;
  size_t message_bytes;
};

/* Writes the message; always false, so that callers return it. */
static PRINTF_LIKE(2, 3) bool fail(struct parser *parser, const char *format, ...) {
  int quoted = snprintf(parser->message, parser->message_bytes,
                        "pattern \"%.*s\": ", (int)parser->text.len, parser->text.data);
  if (quoted < 0 || (size_t)quoted >= parser->message_bytes) return false;
  size_t at = (size_t)quoted;
  va_list args;
  va_start(args, format);
  (void)vsnprintf(parser->message + at, parser->message_bytes - at, format, args);
  va_end(args);
  return false;
}

static bool has_byte(struct slice text, char byte) {
  return text.len > 0 && memchr(text.data, byte, text.len) != NULL;
}

static bool is_text(struct slice text, const char *other) {
  return text.len == strlen(other) && memcmp(text.data, other, text.len) == 0;
}

static bool is_name(struct slice name) {
  for (size_t i = 0; i < name.len; i++) {
    char c = name.data[i];
    bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!is_letter && !(c >= '0' && c <= '9' && i > 0)) return false;
  }
  return name.len > 0;
}

static bool has_param(const struct pattern *pattern, struct slice name) {
  for (size_t i = 0; i < pattern->piece_count; i++) {
    struct slice other = pattern->pieces[i].text;
    if (pattern->pieces[i].is_param && other.len == name.len &&
        memcmp(other.data, name.data, name.len) == 0)
      return true;
  }
  return false;
}

static bool find_kind(struct slice converter, enum param_kind *out) {
  static const struct {
    const char *name;
    enum param_kind kind;
  } converters[] = {
      {"int", PARAM_INT}, {"float", PARAM_FLOAT}, {"uuid", PARAM_UUID}, {"path", PARAM_PATH}};
  for (size_t i = 0; i < array_len(converters); i++) {
    if (!is_text(converter, converters[i].name)) continue;
    *out = converters[i].kind;
    return true;
  }
  return false;
}

static void add_piece(struct pattern *out, struct pattern_piece piece) {
  assert(out->piece_count < array_len(out->pieces));
  out->pieces[out->piece_count++] = piece;
  out->param_count += piece.is_param;
}

static void add_literal(struct pattern *out, const char *start, const char *end) {
  if (start == end) return;
  struct slice text = {start, (size_t)(end - start)};
  add_piece(out, (struct pattern_piece){.is_param = false, .text = text});
}

/* `inside` is what stands between the braces. */
static bool parse_param(struct parser *parser, struct slice inside, bool is_last) {
  const char *colon = inside.len ? memchr(inside.data, ':', inside.len) : NULL;
  struct slice name = {inside.data, colon ? (size_t)(colon - inside.data) : inside.len};
  enum param_kind kind = PARAM_TEXT;
  if (!is_name(name))
    return fail(parser, "\"%.*s\" is no parameter name (letters, digits and _, no digit first)",
                (int)name.len, name.data);
  if (colon) {
    struct slice converter = {colon + 1, inside.len - name.len - 1};
    if (!find_kind(converter, &kind))
      return fail(parser, "unknown converter \"%.*s\" of {%.*s} (there are int, float, uuid, path)",
                  (int)converter.len, converter.data, (int)name.len, name.data);
  }
  if (kind == PARAM_PATH && !is_last)
    return fail(parser, "{%.*s:path} takes the rest of the path, so it must come last",
                (int)name.len, name.data);
  if (has_param(parser->out, name))
    return fail(parser, "two parameters have the name \"%.*s\"", (int)name.len, name.data);
  if (parser->out->param_count == PATTERN_PARAMS_MAX)
    return fail(parser, "more than %d parameters", PATTERN_PARAMS_MAX);
  add_piece(parser->out, (struct pattern_piece){.is_param = true, .kind = kind, .text = name});
  return true;
}

/* A segment that has braces: it has to be one parameter and nothing else. */
static bool parse_braces(struct parser *parser, struct slice segment, bool is_last) {
  const char *open = memchr(segment.data, '{', segment.len);
  const char *close = memchr(segment.data, '}', segment.len);
  if (!open || (close && close < open))
    return fail(parser, "'}' without a '{' before it in the same segment");
  if (!close) return fail(parser, "'{' without a '}' after it in the same segment");
  if (open != segment.data || close != segment.data + segment.len - 1)
    return fail(parser, "a parameter must be a whole segment, as in \"/a/{b}\"");
  return parse_param(parser, (struct slice){open + 1, segment.len - 2}, is_last);
}

static bool parse_segments(struct parser *parser) {
  const char *end = parser->text.data + parser->text.len;
  const char *literal = parser->text.data;
  for (const char *slash = literal; slash < end;) {
    const char *start = slash + 1;
    size_t left = (size_t)(end - start);
    const char *next = left ? memchr(start, '/', left) : NULL;
    if (next == start) return fail(parser, "an empty segment (\"//\")");
    slash = next ? next : end;
    struct slice segment = {start, (size_t)(slash - start)};
    if (!has_byte(segment, '{') && !has_byte(segment, '}')) continue;
    add_literal(parser->out, literal, start);
    if (!parse_braces(parser, segment, slash == end)) return false;
    literal = slash;
  }
  add_literal(parser->out, literal, end);
  return true;
}

bool pattern_parse(struct pattern *out, struct slice text, char *message, size_t message_bytes) {
  assert(message_bytes > 0);
  struct parser parser = {out, text, message, message_bytes};
  out->piece_count = 0;
  out->param_count = 0;
  if (text.len > PATTERN_BYTES_MAX) {
    parser.text.len = 32;
    return fail(&parser, "(and so on) is longer than %d bytes", PATTERN_BYTES_MAX);
  }
  if (text.len == 0 || text.data[0] != '/') return fail(&parser, "must begin with a slash");
  return parse_segments(&parser);
}
