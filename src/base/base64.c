/* base64.c - groups of three bytes and four characters, and digits.
 *
 * Reading keeps the bits that have not made a byte yet; what is left of them at the end must be
 * zeros. */
#include "base/base64.h"

enum { BITS = 6, MASK = 63, NO_VALUE = -1 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64_len(size_t len, unsigned flags) {
  if (flags & BASE64_PAD) return (len + 2) / 3 * 4;
  return len / 3 * 4 + (len % 3 > 0 ? len % 3 + 1 : 0);
}

void base64_encode(char *out, struct slice bytes, unsigned flags) {
  const char *digits = flags & BASE64_URL ? url_alphabet : alphabet;
  const unsigned char *in = (const unsigned char *)bytes.data;
  size_t whole = bytes.len / 3 * 3, left = bytes.len - whole;
  for (size_t i = 0; i < whole; i += 3) {
    uint32_t group = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
    for (int shift = 3 * BITS; shift >= 0; shift -= BITS) *out++ = digits[group >> shift & MASK];
  }
  if (left == 0) return;
  uint32_t group = (uint32_t)in[whole] << 16 | (left == 2 ? (uint32_t)in[whole + 1] << 8 : 0);
  for (size_t i = 0; i <= left; i++) *out++ = digits[group >> (3 - i) * BITS & MASK];
  for (size_t i = left; i < 3 && flags & BASE64_PAD; i++) *out++ = '=';
}

static int value_of(char digit, bool is_url) {
  if (digit >= 'A' && digit <= 'Z') return digit - 'A';
  if (digit >= 'a' && digit <= 'z') return digit - 'a' + 26;
  if (digit >= '0' && digit <= '9') return digit - '0' + 52;
  if (digit == (is_url ? '-' : '+')) return 62;
  if (digit == (is_url ? '_' : '/')) return 63;
  return NO_VALUE;
}

/* The text without its padding, which is right; false: it is not. */
static bool take_padding(struct slice *text, unsigned flags) {
  size_t padding = 0;
  while (padding < 2 && padding < text->len && text->data[text->len - 1 - padding] == '=')
    padding++;
  bool is_whole = text->len % 4 == 0;
  text->len -= padding;
  if (flags & BASE64_PAD) return is_whole;
  if (flags & BASE64_PAD_OPTIONAL) return padding == 0 || is_whole;
  return padding == 0;
}

ptrdiff_t base64_decode(char *out, struct slice text, unsigned flags, size_t *wrong) {
  char *start = out;
  uint32_t bits = 0;
  int count = 0;
  *wrong = text.len;
  bool is_padded_right = take_padding(&text, flags);
  for (size_t i = 0; i < text.len; i++) {
    int value = value_of(text.data[i], flags & BASE64_URL);
    if (value == NO_VALUE) {
      *wrong = i;
      return -1;
    }
    bits = bits << BITS | (uint32_t)value;
    count += BITS;
    if (count < 8) continue;
    count -= 8;
    *out++ = (char)(bits >> count & 255);
  }
  if (!is_padded_right || count == BITS) return -1;
  if ((bits & ((1u << count) - 1)) != 0) {
    *wrong = text.len - 1;
    return -1;
  }
  return out - start;
}

/* ---- hex ---- */

void base64_hex_encode(char *out, struct slice bytes) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < bytes.len; i++) {
    unsigned char byte = (unsigned char)bytes.data[i];
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
  }
}

static int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  char lower = (char)(digit | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : NO_VALUE;
}

ptrdiff_t base64_hex_decode(char *out, struct slice text, size_t *wrong) {
  char *start = out;
  int high = 0;
  for (size_t i = 0; i < text.len; i++) {
    int value = hex_value(text.data[i]);
    if (value == NO_VALUE) {
      *wrong = i;
      return -1;
    }
    if (i % 2 == 0)
      high = value;
    else
      *out++ = (char)(high << 4 | value);
  }
  *wrong = text.len;
  return text.len % 2 == 0 ? out - start : -1;
}
