/* json_parse.cc - the only file that knows simdjson.
 *
 * Uses its DOM parser, whose result is the tape itself: one array of words and one of strings.
 * Everything called here is noexcept and allocates with nothrow; memory grows to powers of two, so
 * that a run of growing texts does not allocate for each. */
#include "lib/json_parse.h"

#include "base/limits.h"

#include <cstdlib>
#include <cstring>
#include <new>
#include <simdjson.h>

namespace {

constexpr size_t capacity_min = 4096;

} // namespace

struct json_parser {
  simdjson::dom::parser dom;
  char *text; /* text_capacity + SIMDJSON_PADDING bytes */
  size_t text_capacity;
};

/* Makes room for `len` bytes of text; false when there is no memory, and then there is no room. */
static bool make_room(struct json_parser *parser, size_t len) {
  size_t capacity = capacity_min;
  while (capacity < len) capacity *= 2;
  parser->text_capacity = 0;
  std::free(parser->text);
  parser->text = static_cast<char *>(std::malloc(capacity + simdjson::SIMDJSON_PADDING));
  if (!parser->text) return false;
  if (parser->dom.allocate(capacity, JSON_DEPTH_MAX + 1)) return false;
  if (parser->dom.doc.allocate(capacity)) return false;
  parser->text_capacity = capacity;
  return true;
}

static enum json_parse_result result_of(simdjson::error_code error) {
  if (error == simdjson::SUCCESS) return JSON_PARSE_OK;
  if (error == simdjson::MEMALLOC) return JSON_PARSE_NO_MEMORY;
  if (error == simdjson::DEPTH_ERROR) return JSON_PARSE_TOO_DEEP;
  if (error == simdjson::NUMBER_ERROR) return JSON_PARSE_NUMBER;
  if (error == simdjson::CAPACITY) return JSON_PARSE_TOO_LONG;
  return JSON_PARSE_INVALID;
}

struct json_parser *json_parse_create(void) {
  return new (std::nothrow) json_parser();
}

void json_parse_destroy(struct json_parser *parser) {
  if (!parser) return;
  std::free(parser->text);
  delete parser;
}

enum json_parse_result json_parse_text(struct json_parser *parser, const char *text, size_t len,
                                       struct json_tape *tape) {
  if (len > JSON_TEXT_BYTES_MAX) return JSON_PARSE_TOO_LONG;
  if (len > parser->text_capacity || !parser->text) {
    if (!make_room(parser, len)) return JSON_PARSE_NO_MEMORY;
  }
  if (len) std::memcpy(parser->text, text, len);
  std::memset(parser->text + len, ' ', simdjson::SIMDJSON_PADDING);
  const simdjson::error_code error = parser->dom.parse(parser->text, len, false).error();
  if (error) return result_of(error);
  tape->words = parser->dom.doc.tape.get();
  tape->strings = reinterpret_cast<const char *>(parser->dom.doc.string_buf.get());
  return JSON_PARSE_OK;
}

size_t json_parse_capacity(const struct json_parser *parser) {
  return parser->text_capacity;
}

bool json_parse_is_utf8(const char *data, size_t len) {
  return simdjson::validate_utf8(data, len);
}
