/* json_fault.c - a recursive-descent reader of JSON that builds nothing.
 *
 * Each scan_ function reads one rule of the grammar from `at` on and is false when the text breaks
 * it; `what` then says how, and `at` stands on the byte that does. Recursion is bounded by
 * JSON_DEPTH_MAX. */
#include "lib/json_fault.h"

#include "base/base.h"
#include "base/limits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct scan {
  const char *at, *end;
  const char *what;
  unsigned depth;
};

static bool scan_value(struct scan *scan);

static bool fail(struct scan *scan, const char *what) {
  scan->what = what;
  return false;
}

/* The byte at `at`, or -1 at the end. */
static int peek(const struct scan *scan) {
  return scan->at < scan->end ? (unsigned char)*scan->at : -1;
}

static bool accept(struct scan *scan, char byte) {
  if (peek(scan) != byte) return false;
  scan->at++;
  return true;
}

static void skip_space(struct scan *scan) {
  while (scan->at < scan->end && strchr(" \t\r\n", *scan->at) && *scan->at) scan->at++;
}

static bool is_digit(int byte) {
  return byte >= '0' && byte <= '9';
}

static void skip_digits(struct scan *scan) {
  while (is_digit(peek(scan))) scan->at++;
}

/* The length of the UTF-8 sequence at `at` (RFC 3629), 0 when there is none. */
static size_t utf8_length(const unsigned char *at, size_t left) {
  if (at[0] < 0x80) return 1;
  size_t len = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
  if (at[0] < 0xC2 || at[0] > 0xF4 || left < len) return 0;
  for (size_t i = 1; i < len; i++) {
    if ((at[i] & 0xC0) != 0x80) return 0;
  }
  bool overlong = (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xF0 && at[1] < 0x90);
  bool surrogate = at[0] == 0xED && at[1] > 0x9F;
  bool too_high = at[0] == 0xF4 && at[1] > 0x8F;
  return overlong || surrogate || too_high ? 0 : len;
}

static int hex_value(char digit) {
  static const char digits[] = "0123456789abcdef0123456789ABCDEF";
  const char *found = memchr(digits, digit, sizeof(digits) - 1);
  return found ? (int)((found - digits) % 16) : -1;
}

/* Reads what follows "\u"; -1 when it is not four hex digits. */
static int scan_unit(struct scan *scan) {
  int unit = 0;
  if (scan->end - scan->at < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int value = hex_value(scan->at[i]);
    if (value < 0) return -1;
    unit = unit * 16 + value;
  }
  scan->at += 4;
  return unit;
}

/* Reads an escape, from the backslash on. On a fault `at` stands on the backslash. */
static bool scan_escape(struct scan *scan) {
  const char *start = scan->at++;
  int byte = peek(scan);
  if (byte < 0) return fail(scan, "expected the end of the string");
  scan->at++;
  if (byte != 'u') {
    if (byte && strchr("\"\\/bfnrt", byte)) return true;
    scan->at = start;
    return fail(scan, "unknown escape in a string");
  }
  int unit = scan_unit(scan);
  bool is_high = unit >= 0xD800 && unit <= 0xDBFF;
  bool is_low = unit >= 0xDC00 && unit <= 0xDFFF;
  if (is_high && accept(scan, '\\') && accept(scan, 'u')) {
    int low = scan_unit(scan);
    if (low >= 0xDC00 && low <= 0xDFFF) return true;
  }
  if (unit >= 0 && !is_high && !is_low) return true;
  scan->at = start;
  return fail(scan, unit < 0 ? "\\u needs four hex digits" : "half of a surrogate pair");
}

static bool scan_string(struct scan *scan) {
  scan->at++;
  while (scan->at < scan->end) {
    unsigned char byte = (unsigned char)*scan->at;
    if (byte == '"') {
      scan->at++;
      return true;
    }
    if (byte < 0x20) return fail(scan, "control character in a string (it needs an escape)");
    if (byte == '\\') {
      if (!scan_escape(scan)) return false;
      continue;
    }
    size_t len = utf8_length((const unsigned char *)scan->at, (size_t)(scan->end - scan->at));
    if (len == 0) return fail(scan, "invalid UTF-8");
    scan->at += len;
  }
  return fail(scan, "expected the end of the string");
}

static bool is_finite(const char *text, size_t len) {
  char *copy = memory_copy(text, len);
  bool finite = isfinite(strtod(copy, NULL));
  free(copy);
  return finite;
}

static bool scan_number(struct scan *scan) {
  const char *start = scan->at;
  accept(scan, '-');
  bool leading_zero = accept(scan, '0');
  if (!leading_zero && !is_digit(peek(scan))) return fail(scan, "expected a digit");
  if (leading_zero && is_digit(peek(scan))) return fail(scan, "a number with a leading zero");
  skip_digits(scan);
  if (accept(scan, '.')) {
    if (!is_digit(peek(scan))) return fail(scan, "expected a digit");
    skip_digits(scan);
  }
  if (accept(scan, 'e') || accept(scan, 'E')) {
    if (!accept(scan, '+')) accept(scan, '-');
    if (!is_digit(peek(scan))) return fail(scan, "expected a digit");
    skip_digits(scan);
  }
  if (is_finite(start, (size_t)(scan->at - start))) return true;
  scan->at = start;
  return fail(scan, "the number is too large");
}

static bool scan_word(struct scan *scan, const char *word) {
  size_t len = strlen(word);
  if ((size_t)(scan->end - scan->at) < len || memcmp(scan->at, word, len) != 0) {
    return fail(scan, "expected a value");
  }
  scan->at += len;
  return true;
}

/* Counts a level that is not empty. */
static bool enter(struct scan *scan) {
  if (scan->depth == JSON_DEPTH_MAX) return fail(scan, "arrays and objects nest too deep");
  scan->depth++;
  return true;
}

static bool scan_array(struct scan *scan) {
  scan->at++;
  skip_space(scan);
  if (accept(scan, ']')) return true;
  if (!enter(scan)) return false;
  do {
    if (!scan_value(scan)) return false;
  } while (accept(scan, ','));
  scan->depth--;
  return accept(scan, ']') || fail(scan, "expected ',' or ']'");
}

static bool scan_member(struct scan *scan) {
  skip_space(scan);
  if (peek(scan) != '"') return fail(scan, "expected a key in double quotes");
  if (!scan_string(scan)) return false;
  skip_space(scan);
  if (!accept(scan, ':')) return fail(scan, "expected ':'");
  return scan_value(scan);
}

static bool scan_object(struct scan *scan) {
  scan->at++;
  skip_space(scan);
  if (accept(scan, '}')) return true;
  if (!enter(scan)) return false;
  do {
    if (!scan_member(scan)) return false;
  } while (accept(scan, ','));
  scan->depth--;
  return accept(scan, '}') || fail(scan, "expected ',' or '}'");
}

/* Reads a value and the space around it. */
static bool scan_value(struct scan *scan) {
  skip_space(scan);
  int byte = peek(scan);
  bool good;
  if (byte < 0) return fail(scan, "expected a value");
  if (byte == '{')
    good = scan_object(scan);
  else if (byte == '[')
    good = scan_array(scan);
  else if (byte == '"')
    good = scan_string(scan);
  else if (byte == '-' || is_digit(byte))
    good = scan_number(scan);
  else
    good = scan_word(scan, byte == 't' ? "true" : byte == 'f' ? "false" : "null");
  if (good) skip_space(scan);
  return good;
}

static bool scan_text(struct scan *scan) {
  if (!scan_value(scan)) return false;
  return scan->at == scan->end || fail(scan, "more text behind the value");
}

bool json_fault_find(const char *text, size_t len, struct json_fault *fault) {
  struct scan scan = {.at = text, .end = text + len};
  if (scan_text(&scan)) return false;
  *fault = (struct json_fault){.what = scan.what,
                               .is_at_end = scan.at == scan.end,
                               .byte = (size_t)(scan.at - text) + 1,
                               .line = 1};
  const char *line = text;
  for (const char *at = text; at < scan.at; at++) {
    if (*at != '\n') continue;
    fault->line++;
    line = at + 1;
  }
  fault->column = (size_t)(scan.at - line) + 1;
  return true;
}
