/* settings.c - the table of settings, and from text to value.
 *
 * Numbers are parsed by hand: no locale, no exponents, no sign, nothing left over behind them, and
 * never a silent overflow. Every problem is one line that says what would have been right. */
#include "base/settings.h"

#include "base/address.h"
#include "base/base.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
  VALUE_SHOWN_BYTES = 60, /* of a wrong value, in its problem */
  NAME_BYTES_MAX = 64,    /* longer unknown names are compared by their beginning */
  MS_PER_SECOND = 1000,
  KIB_BITS = 10,
  OCTAL_DIGITS_MAX = 5,
};

static const struct setting table[] = {
#define ROW(row_kind, field, row_name, text, min, max, row_unit, row_help)                         \
  {.kind = SETTING_##row_kind,                                                                     \
   .name = row_name,                                                                               \
   .default_text = text,                                                                           \
   .unit = row_unit,                                                                               \
   .help = row_help,                                                                               \
   .smallest = min,                                                                                \
   .largest = max,                                                                                 \
   .offset = offsetof(struct settings, field)},
    SETTINGS(ROW)
#undef ROW
};

const struct setting *settings_next(const struct setting *row) {
  if (!row) return table;
  assert(row >= table && row < table + array_len(table));
  return row + 1 == table + array_len(table) ? NULL : row + 1;
}

const struct setting *settings_find(const char *name) {
  for (size_t i = 0; i < array_len(table); i++) {
    if (strcmp(table[i].name, name) == 0) return &table[i];
  }
  return NULL;
}

/* Letters to insert, remove or change to make one name of the other (Levenshtein's distance). */
static size_t name_distance(const char *a, const char *b) {
  size_t b_len = strnlen(b, NAME_BYTES_MAX), row[NAME_BYTES_MAX + 1];
  for (size_t j = 0; j <= b_len; j++) row[j] = j;
  for (size_t i = 1; a[i - 1]; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b_len];
}

const struct setting *settings_nearest(const char *name) {
  const struct setting *nearest = &table[0];
  size_t least = name_distance(nearest->name, name);
  for (size_t i = 1; i < array_len(table); i++) {
    size_t distance = name_distance(table[i].name, name);
    if (distance >= least) continue;
    nearest = &table[i];
    least = distance;
  }
  return nearest;
}

const char *settings_kind_name(enum setting_kind kind) {
  static const char *const names[] = {
      [SETTING_INTEGER] = "integer",   [SETTING_COUNT] = "count",
      [SETTING_TEXT] = "text",         [SETTING_SECONDS] = "seconds",
      [SETTING_BYTES] = "bytes",       [SETTING_SECONDS_OR_OFF] = "seconds or off",
      [SETTING_CHOICE] = "choice",     [SETTING_BYTES_OR_OFF] = "bytes or off",
      [SETTING_MODE] = "mode",         [SETTING_ENDPOINT] = "endpoint",
      [SETTING_NETWORKS] = "networks",
  };
  assert((size_t)kind < array_len(names));
  return names[kind];
}

/* Digits at *at, at least one; moves *at behind them. */
static bool parse_digits(const char **at, int64_t *value) {
  const char *digit = *at;
  int64_t sum = 0;
  for (; *digit >= '0' && *digit <= '9'; digit++) {
    if (sum > (INT64_MAX - 9) / 10) return false;
    sum = sum * 10 + (*digit - '0');
  }
  if (digit == *at) return false;
  *at = digit;
  *value = sum;
  return true;
}

static bool parse_whole(const char *text, int64_t *value) {
  return parse_digits(&text, value) && *text == '\0';
}

/* The digits behind a point, as thousandths; what is smaller than one counts as one more. */
static bool parse_thousandths(const char **at, int64_t *value) {
  const char *digit = *at;
  int64_t sum = 0;
  bool is_rest = false;
  int places = 0;
  for (; *digit >= '0' && *digit <= '9'; digit++, places++) {
    if (places < 3) {
      sum = sum * 10 + (*digit - '0');
    } else if (*digit != '0') {
      is_rest = true;
    }
  }
  if (places == 0) return false;
  for (; places < 3; places++) sum *= 10;
  *at = digit;
  *value = sum + is_rest;
  return true;
}

/* "10", "0.5", "2s" are seconds, "100ms" milliseconds; gives milliseconds, rounded up. */
static bool parse_seconds(const char *text, int64_t *value) {
  int64_t whole, thousandths = 0;
  if (!parse_digits(&text, &whole)) return false;
  if (*text == '.') {
    text++;
    if (!parse_thousandths(&text, &thousandths)) return false;
  }
  if (whole >= INT64_MAX / MS_PER_SECOND) return false;
  if (strcmp(text, "ms") == 0) {
    *value = whole + (thousandths > 0);
    return true;
  }
  *value = whole * MS_PER_SECOND + thousandths;
  return *text == '\0' || strcmp(text, "s") == 0;
}

/* "65536", "64k", "10m", "1g", in either case. */
bool settings_parse_bytes(const char *text, int64_t *value) {
  int64_t whole;
  if (!parse_digits(&text, &whole)) return false;
  int bits = 0;
  if (*text) {
    static const char suffixes[] = "kmg";
    const char *suffix = strchr(suffixes, *text | 0x20);
    if (!suffix || text[1] != '\0') return false;
    bits = KIB_BITS * (int)(suffix - suffixes + 1);
  }
  if (whole > INT64_MAX >> bits) return false;
  *value = whole << bits;
  return true;
}

/* The index of `text` in values like "text|json". */
static bool parse_choice(const char *values, const char *text, int64_t *value) {
  size_t len = strlen(text);
  for (int64_t i = 0;; i++) {
    size_t value_len = strcspn(values, "|");
    if (value_len == len && memcmp(values, text, len) == 0) {
      *value = i;
      return true;
    }
    values += value_len;
    if (*values++ == '\0') return false;
  }
}

/* "660", "0660". */
bool settings_parse_mode(const char *text, int64_t *value) {
  size_t len = strspn(text, "01234567");
  *value = len > 0 && len <= OCTAL_DIGITS_MAX ? strtoll(text, NULL, 8) : 0;
  return len > 0 && len <= OCTAL_DIGITS_MAX && text[len] == '\0';
}

static bool is_endpoint(const char *text) {
  char host[ADDRESS_HOST_BYTES];
  uint16_t port;
  return *text == '\0' || address_split_endpoint(text, host, &port);
}

static bool is_networks(const char *text) {
  struct address_list list;
  bool is_right = address_list_parse(text, &list);
  address_list_finish(&list);
  return is_right;
}

static bool is_within(const struct setting *row, int64_t value) {
  return value >= row->smallest && value <= row->largest;
}

/* The number that the field will hold; of a text, nothing but whether its length is right. */
static bool parse_value(const struct setting *row, const char *text, int64_t *value) {
  *value = 0;
  switch (row->kind) {
  case SETTING_INTEGER:
    return parse_whole(text, value) && is_within(row, *value);
  case SETTING_COUNT:
    if (strcmp(text, "auto") == 0) return true;
    return parse_whole(text, value) && is_within(row, *value);
  case SETTING_TEXT:
    return is_within(row, (int64_t)strlen(text));
  case SETTING_SECONDS_OR_OFF:
    if (strcmp(text, "off") == 0) return true;
    return parse_seconds(text, value) && (*value == 0 || is_within(row, *value));
  case SETTING_SECONDS:
    return parse_seconds(text, value) && is_within(row, *value);
  case SETTING_BYTES_OR_OFF:
    if (strcmp(text, "off") == 0) return true;
    return settings_parse_bytes(text, value) && (*value == 0 || is_within(row, *value));
  case SETTING_BYTES:
    return settings_parse_bytes(text, value) && is_within(row, *value);
  case SETTING_CHOICE:
    return parse_choice(row->unit, text, value);
  case SETTING_MODE:
    return settings_parse_mode(text, value) && is_within(row, *value);
  case SETTING_ENDPOINT:
    return is_within(row, (int64_t)strlen(text)) && is_endpoint(text);
  case SETTING_NETWORKS:
    return is_within(row, (int64_t)strlen(text)) && is_networks(text);
  }
  return false;
}

static void store(struct settings *settings, const struct setting *row, const char *text,
                  int64_t value) {
  void *field = (char *)settings + row->offset;
  switch (row->kind) {
  case SETTING_INTEGER:
  case SETTING_COUNT:
  case SETTING_CHOICE:
  case SETTING_MODE:
    *(int *)field = (int)value;
    return;
  case SETTING_SECONDS:
  case SETTING_SECONDS_OR_OFF:
    *(int64_t *)field = value;
    return;
  case SETTING_BYTES:
  case SETTING_BYTES_OR_OFF:
    *(size_t *)field = (size_t)value;
    return;
  case SETTING_TEXT:
  case SETTING_ENDPOINT:
  case SETTING_NETWORKS:
    free(*(char **)field);
    *(char **)field = memory_copy(text, strlen(text));
    return;
  }
}

/* What a right value looks like: behind "is not ". */
static void describe(const struct setting *row, char *out, size_t size) {
  const char *off =
      row->kind == SETTING_SECONDS_OR_OFF || row->kind == SETTING_BYTES_OR_OFF ? "off or " : "";
  switch (row->kind) {
  case SETTING_INTEGER:
  case SETTING_COUNT:
    snprintf(out, size, "%sa whole number from %" PRId64 " to %" PRId64,
             row->kind == SETTING_COUNT ? "auto or " : "", row->smallest, row->largest);
    return;
  case SETTING_SECONDS:
  case SETTING_SECONDS_OR_OFF:
    snprintf(out, size, "%sa number of seconds from %g to %g (like 30, 0.5 or 500ms)", off,
             (double)row->smallest / MS_PER_SECOND, (double)row->largest / MS_PER_SECOND);
    return;
  case SETTING_BYTES:
  case SETTING_BYTES_OR_OFF:
    snprintf(out, size, "%sa number of bytes from %" PRId64 " to %" PRId64 " (like 65536 or 64k)",
             off, row->smallest, row->largest);
    return;
  case SETTING_TEXT:
    snprintf(out, size, "a text of %" PRId64 " to %" PRId64 " bytes", row->smallest, row->largest);
    return;
  case SETTING_CHOICE:
    snprintf(out, size, "one of %s", row->unit);
    return;
  case SETTING_MODE:
    snprintf(out, size, "an octal mode up to %" PRIo64 " (like 660)", (uint64_t)row->largest);
    return;
  case SETTING_ENDPOINT:
    snprintf(out, size, "host:port (like 127.0.0.1:9000 or [::1]:9000)");
    return;
  case SETTING_NETWORKS:
    snprintf(out, size,
             "a list of IP addresses, networks and unix (like 127.0.0.1,10.0.0.0/8,fd00::/8)");
    return;
  }
}

/* The beginning of a value, fit for one line: no control characters, no quotes. */
static void show(const char *text, char out[static VALUE_SHOWN_BYTES + 1]) {
  size_t len = strnlen(text, VALUE_SHOWN_BYTES);
  for (size_t i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    out[i] = byte < ' ' || byte == 0x7F || byte == '"' ? '?' : text[i];
  }
  out[len] = '\0';
}

bool settings_set(struct settings *settings, const char *name, const char *text, char *problem,
                  size_t size) {
  assert(problem && size > 0);
  char shown[VALUE_SHOWN_BYTES + 1], right[SETTINGS_PROBLEM_BYTES];
  const struct setting *row = settings_find(name);
  if (!row) {
    show(name, shown);
    snprintf(problem, size, "--%s: there is no such setting; the nearest is --%s", shown,
             settings_nearest(name)->name);
    return false;
  }
  int64_t value;
  if (!parse_value(row, text, &value)) {
    show(text, shown);
    describe(row, right, sizeof right);
    snprintf(problem, size, "--%s: \"%s\" is not %s", row->name, shown, right);
    return false;
  }
  store(settings, row, text, value);
  return true;
}

void settings_init(struct settings *settings) {
  *settings = (struct settings){0};
  for (size_t i = 0; i < array_len(table); i++) {
    int64_t value;
    bool is_right = parse_value(&table[i], table[i].default_text, &value);
    assert(is_right);
    (void)is_right;
    store(settings, &table[i], table[i].default_text, value);
  }
}

static bool is_text(enum setting_kind kind) {
  return kind == SETTING_TEXT || kind == SETTING_ENDPOINT || kind == SETTING_NETWORKS;
}

void settings_finish(struct settings *settings) {
  if (!settings) return;
  for (size_t i = 0; i < array_len(table); i++) {
    if (is_text(table[i].kind)) free(*(char **)(void *)((char *)settings + table[i].offset));
  }
  *settings = (struct settings){0};
}
