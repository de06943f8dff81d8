/* uri_fuzz.c - request targets: splitting, percent-decoding, query pieces.
 *
 * Any bytes are a target, a query and a text to decode. Every slice must lie inside what it was cut
 * from, and what is decoded is never longer than what it came from, in place or elsewhere. */
#include "fuzz.h"
#include "http/uri.h"

#include <stdlib.h>

static void check_decode(struct slice raw, bool plus_is_space) {
  char *out = memory_alloc(raw.len + 1);
  size_t len = uri_decode(out, raw.data, raw.len, plus_is_space);
  assert(len <= raw.len && (raw.len - len) % 2 == 0);
  if (!has_byte(raw, '%') && !has_byte(raw, '+')) {
    assert(len == raw.len && memcmp(out, raw.data, len) == 0);
  }
  char *in_place = memory_copy(raw.data, raw.len);
  assert(uri_decode(in_place, in_place, raw.len, plus_is_space) == len);
  assert(memcmp(in_place, out, len) == 0);
  free(in_place);
  free(out);
}

static void check_query(struct slice query) {
  struct uri_query_iter iter;
  struct slice name, value;
  size_t used_bytes = 0;
  uri_query_begin(&iter, query.data, query.len);
  while (uri_query_next(&iter, &name, &value)) {
    assert(is_inside(name, query) && is_inside(value, query));
    assert(!has_byte(name, '&') && !has_byte(name, '=') && !has_byte(value, '&'));
    used_bytes += name.len + value.len;
    check_decode(name, true);
    check_decode(value, true);
  }
  assert(used_bytes <= query.len);
}

static void check_split(struct slice target) {
  struct uri_target parts;
  if (!uri_split(target.data, target.len, &parts)) return;
  bool is_asterisk = target.len == 1 && *target.data == '*';
  assert(parts.path.len > 0 && *parts.path.data == (is_asterisk ? '*' : '/'));
  assert(!has_byte(parts.path, '?'));
  assert(is_inside(parts.authority, target) && is_inside(parts.query, target));
  if (parts.authority.len == 0) assert(is_inside(parts.path, target));
  check_decode(parts.path, false);
  check_query(parts.query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice whole = input_take(&input, len);
  check_split(whole);
  check_query(whole);
  check_decode(whole, false);
  check_decode(whole, true);
  return 0;
}
