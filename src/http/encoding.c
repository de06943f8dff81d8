/* encoding.c - reading Accept-Encoding.
 *
 * Weights are read strictly (RFC 9110 12.4.2: up to three decimals, at most 1); an element that is
 * not well formed is passed over, as if the client had not written it. A coding that is named twice
 * has the last weight. */
#include "http/encoding.h"

#include "http/field.h"

#include <stdbool.h>
#include <string.h>

enum { NOT_NAMED = -1, MALFORMED = -1, WEIGHT_ONE = 1000, WEIGHT_DECIMALS = 3 };

const char *encoding_name(enum encoding encoding) {
  switch (encoding) {
  case ENCODING_IDENTITY:
    break;
  case ENCODING_GZIP:
    return "gzip";
  case ENCODING_BROTLI:
    return "br";
  }
  return "identity";
}

void encoding_start(struct encoding_wishes *wishes) {
  *wishes = (struct encoding_wishes){.any = NOT_NAMED};
  for (size_t i = 0; i < ENCODING_COUNT; i++) wishes->weights[i] = NOT_NAMED;
}

/* "0.75" -> 750; MALFORMED when it is no weight. */
static int read_weight(struct slice text) {
  if (text.len == 0 || text.len > sizeof "1.000" - 1) return MALFORMED;
  if (text.data[0] != '0' && text.data[0] != '1') return MALFORMED;
  if (text.len > 1 && text.data[1] != '.') return MALFORMED;
  int weight = text.data[0] - '0';
  for (size_t i = 0; i < WEIGHT_DECIMALS; i++) {
    char digit = i + 2 < text.len ? text.data[i + 2] : '0';
    if (digit < '0' || digit > '9') return MALFORMED;
    weight = weight * 10 + (digit - '0');
  }
  return weight <= WEIGHT_ONE ? weight : MALFORMED;
}

/* Takes the weight off an element "gzip ; q=0.5". */
static int split_weight(struct slice *element) {
  const char *semicolon = memchr(element->data, ';', element->len);
  if (!semicolon) return WEIGHT_ONE;
  const char *end = element->data + element->len;
  struct slice weight = field_trim((struct slice){semicolon + 1, (size_t)(end - semicolon - 1)});
  *element = field_trim((struct slice){element->data, (size_t)(semicolon - element->data)});
  if (weight.len < 2 || (*weight.data | 0x20) != 'q' || weight.data[1] != '=') return MALFORMED;
  return read_weight((struct slice){weight.data + 2, weight.len - 2});
}

void encoding_read(struct encoding_wishes *wishes, struct slice value) {
  struct slice element;
  wishes->is_there = true;
  while (field_next_element(&value, &element)) {
    int weight = split_weight(&element);
    if (weight == MALFORMED) continue;
    if (field_equal(element, FIELD_TEXT("br")))
      wishes->weights[ENCODING_BROTLI] = weight;
    else if (field_equal(element, FIELD_TEXT("gzip")) || field_equal(element, FIELD_TEXT("x-gzip")))
      wishes->weights[ENCODING_GZIP] = weight;
    else if (field_equal(element, FIELD_TEXT("identity")))
      wishes->weights[ENCODING_IDENTITY] = weight;
    else if (field_equal(element, FIELD_TEXT("*")))
      wishes->any = weight;
  }
}

/* 0 is not acceptable. Identity that is not named is acceptable, less than anything that is. */
static int weight_of(const struct encoding_wishes *wishes, enum encoding encoding) {
  int weight = wishes->weights[encoding];
  if (weight != NOT_NAMED) return weight;
  if (encoding == ENCODING_IDENTITY) return 0;
  return wishes->any == NOT_NAMED ? 0 : wishes->any;
}

enum encoding encoding_choose(const struct encoding_wishes *wishes, unsigned available) {
  enum encoding best = ENCODING_IDENTITY;
  if (!wishes->is_there) return best;
  int best_weight = weight_of(wishes, best);
  for (unsigned i = ENCODING_GZIP; i < ENCODING_COUNT; i++) {
    int weight = weight_of(wishes, (enum encoding)i);
    if (!(available & encoding_bit((enum encoding)i)) || weight == 0 || weight < best_weight)
      continue;
    best = (enum encoding)i;
    best_weight = weight;
  }
  return best;
}

void encoding_read_request(struct encoding_wishes *wishes, const struct request *request) {
  static const struct slice name = FIELD_INIT("accept-encoding");
  encoding_start(wishes);
  for (size_t i = request_find(request, name, 0); i < request->field_count;
       i = request_find(request, name, i + 1))
    encoding_read(wishes, request_field_value(request, i));
}

enum encoding encoding_choose_for(const struct request *request, unsigned available) {
  struct encoding_wishes wishes;
  encoding_read_request(&wishes, request);
  return encoding_choose(&wishes, available);
}
