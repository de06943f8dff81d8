/* range.c - reading "bytes=0-99, 200-, -50".
 *
 * Numbers of any length are read; those past 64 bits are as good as the largest. */
#include "http/range.h"

#include "http/field.h"

#include <stdbool.h>
#include <string.h>

/* One element of the list: a-b, a- or -n. */
struct spec {
  uint64_t first, last; /* last: UINT64_MAX when open */
  uint64_t suffix;
  bool is_suffix;
};

/* Digits only, at least one. */
static bool read_number(struct slice text, uint64_t *out) {
  uint64_t number = 0;
  if (text.len == 0) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] < '0' || text.data[i] > '9') return false;
    uint64_t digit = (uint64_t)(text.data[i] - '0');
    number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
  }
  *out = number;
  return true;
}

static bool read_spec(struct slice text, struct spec *out) {
  *out = (struct spec){.last = UINT64_MAX};
  const char *dash = memchr(text.data, '-', text.len);
  if (!dash) return false;
  struct slice before = {text.data, (size_t)(dash - text.data)};
  struct slice after = {dash + 1, text.len - before.len - 1};
  if (before.len == 0) {
    out->is_suffix = true;
    return read_number(after, &out->suffix);
  }
  if (!read_number(before, &out->first)) return false;
  if (after.len == 0) return true;
  return read_number(after, &out->last) && out->first <= out->last;
}

/* The bytes of it that there are; none: false. */
static bool clip(const struct spec *spec, uint64_t size, struct range *out) {
  if (spec->is_suffix) {
    out->len = spec->suffix < size ? spec->suffix : size;
    out->first = size - out->len;
    return out->len > 0;
  }
  if (spec->first >= size) return false;
  uint64_t last = spec->last < size ? spec->last : size - 1;
  *out = (struct range){spec->first, last - spec->first + 1};
  return true;
}

enum range_result range_parse(struct range_list *out, struct slice value, uint64_t size) {
  static const struct slice unit = FIELD_INIT("bytes");
  out->count = 0;
  const char *equals = memchr(value.data, '=', value.len);
  if (!equals) return RANGE_WHOLE;
  struct slice name = {value.data, (size_t)(equals - value.data)};
  if (!field_equal(name, unit)) return RANGE_WHOLE;
  struct slice list = {equals + 1, value.len - name.len - 1}, element;
  uint64_t total = 0;
  bool is_asked = false, is_whole = false;
  while (field_next_element(&list, &element)) {
    struct spec spec;
    struct range range;
    if (!read_spec(element, &spec)) return RANGE_WHOLE;
    is_asked = true;
    is_whole |= spec.is_suffix && spec.suffix > 0 && size == 0;
    if (!clip(&spec, size, &range)) continue;
    total += range.len;
    if (out->count == RANGES_MAX || total > size) return RANGE_WHOLE;
    out->ranges[out->count++] = range;
  }
  if (out->count > 0) return RANGE_PARTS;
  return is_asked && !is_whole ? RANGE_NONE : RANGE_WHOLE;
}
