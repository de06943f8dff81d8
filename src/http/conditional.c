/* conditional.c - comparing entity tags and dates.
 *
 * Lists of entity tags are read here and not by field.h: a backslash in one is a byte like any
 * other (RFC 9110 8.8.3). */
#include "http/conditional.h"

#include "http/date.h"
#include "http/field.h"

#include <string.h>

static const struct slice if_match = FIELD_INIT("if-match");
static const struct slice if_none_match = FIELD_INIT("if-none-match");
static const struct slice if_unmodified_since = FIELD_INIT("if-unmodified-since");
static const struct slice if_modified_since = FIELD_INIT("if-modified-since");
static const struct slice if_range = FIELD_INIT("if-range");
static const struct slice range_name = FIELD_INIT("range");

static bool is_same(struct slice a, struct slice b) {
  return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

static bool is_weak(struct slice etag) {
  return etag.len >= 2 && etag.data[0] == 'W' && etag.data[1] == '/';
}

static struct slice without_weakness(struct slice etag) {
  return is_weak(etag) ? (struct slice){etag.data + 2, etag.len - 2} : etag;
}

/* RFC 9110 8.8.3.2. */
static bool equals_etag(struct slice a, struct slice b, bool is_strong) {
  if (is_strong && (is_weak(a) || is_weak(b))) return false;
  return is_same(without_weakness(a), without_weakness(b));
}

/* Takes the next entity tag off a list; false at its end or at what is none. */
static bool next_etag(struct slice *list, struct slice *etag) {
  const char *at = list->data, *end = list->data + list->len;
  while (at < end && (*at == ',' || *at == ' ' || *at == '\t')) at++;
  const char *start = at;
  if (end - at > 2 && at[0] == 'W' && at[1] == '/') at += 2;
  if (at == end || *at != '"') return false;
  const char *close = memchr(at + 1, '"', (size_t)(end - at - 1));
  if (!close) return false;
  at = close + 1;
  *etag = (struct slice){start, (size_t)(at - start)};
  *list = (struct slice){at, (size_t)(end - at)};
  return true;
}

static bool list_matches(struct slice list, struct slice etag, bool is_strong) {
  if (is_same(list, FIELD_TEXT("*"))) return true;
  struct slice each;
  while (next_etag(&list, &each))
    if (etag.len && equals_etag(each, etag, is_strong)) return true;
  return false;
}

/* Whether the fields of that name, taken together, have the entity tag. `is_there` is set when
 * there is such a field at all. */
static bool fields_match(const struct request *request, struct slice name, struct slice etag,
                         bool is_strong, bool *is_there) {
  bool matches = false;
  *is_there = false;
  for (size_t i = request_find(request, name, 0); i < request->field_count;
       i = request_find(request, name, i + 1)) {
    *is_there = true;
    matches = matches || list_matches(request_field_value(request, i), etag, is_strong);
  }
  return matches;
}

/* The value of a field that is there exactly once. */
static bool find_single(const struct request *request, struct slice name, struct slice *value) {
  size_t i = request_find(request, name, 0);
  if (i == request->field_count) return false;
  *value = request_field_value(request, i);
  return request_find(request, name, i + 1) == request->field_count;
}

static bool find_date(const struct request *request, struct slice name, int64_t now, int64_t *out) {
  struct slice value;
  return find_single(request, name, &value) && date_parse(value, now, out);
}

static bool is_conditional(const struct request *request) {
  return request->method == METHOD_GET || request->method == METHOD_HEAD;
}

enum conditional_result conditional_check(const struct request *request,
                                          const struct validators *validators) {
  if (!is_conditional(request)) return CONDITIONAL_PASSED;
  bool has_date = validators->modified_seconds >= 0, is_there;
  int64_t modified = validators->modified_seconds, now = validators->now_seconds, date;
  bool matches = fields_match(request, if_match, validators->etag, true, &is_there);
  if (is_there && !matches) return CONDITIONAL_FAILED;
  if (!is_there && has_date && find_date(request, if_unmodified_since, now, &date) &&
      modified > date)
    return CONDITIONAL_FAILED;
  matches = fields_match(request, if_none_match, validators->etag, false, &is_there);
  if (is_there) return matches ? CONDITIONAL_NOT_MODIFIED : CONDITIONAL_PASSED;
  if (has_date && find_date(request, if_modified_since, now, &date) && modified <= date)
    return CONDITIONAL_NOT_MODIFIED;
  return CONDITIONAL_PASSED;
}

static bool passes_if_range(const struct request *request, const struct validators *validators) {
  struct slice value, etag, list;
  if (request_find(request, if_range, 0) == request->field_count) return true;
  if (!find_single(request, if_range, &value)) return false;
  list = value;
  if (next_etag(&list, &etag))
    return list.len == 0 && validators->etag.len && equals_etag(etag, validators->etag, true);
  int64_t date, modified = validators->modified_seconds;
  return modified >= 0 && date_parse(value, validators->now_seconds, &date) && date == modified &&
         modified < validators->now_seconds;
}

bool conditional_range(const struct request *request, const struct validators *validators,
                       struct slice *range) {
  return request->method == METHOD_GET && find_single(request, range_name, range) &&
         passes_if_range(request, validators);
}
