/* number.cc - std::to_chars behind a C interface: it is exact, shortest and knows no locale.
 *
 * C++ because C has no such function; nothing here throws or allocates. Floats from 1e-5 to 1e16
 * are written without an exponent, as people write them. */
#include "base/number.h"

#include <cassert>
#include <charconv>
#include <cmath>

namespace {

constexpr double plain_min = 1e-5, plain_max = 1e16;

/* Up to here each whole float is an integer of the same value. */
constexpr double whole_max = 9007199254740992.0;

char *add_point_zero(char *end) {
  *end++ = '.';
  *end++ = '0';
  return end;
}

} // namespace

size_t number_format_integer(char *out, int64_t value) {
  return static_cast<size_t>(std::to_chars(out, out + NUMBER_TEXT_BYTES_MAX, value).ptr - out);
}

size_t number_format_float(char *out, double value) {
  assert(std::isfinite(value));
  char *const last = out + NUMBER_TEXT_BYTES_MAX;
  const double size = std::fabs(value);
  char *end;
  if (size < whole_max && value == std::trunc(value) && value != 0) {
    end = add_point_zero(std::to_chars(out, last, static_cast<int64_t>(value)).ptr);
  } else if (value == 0) {
    end = out;
    if (std::signbit(value)) *end++ = '-';
    *end++ = '0';
    end = add_point_zero(end);
  } else if (size >= plain_min && size < plain_max) {
    end = std::to_chars(out, last, value, std::chars_format::fixed).ptr;
    if (value == std::trunc(value)) end = add_point_zero(end);
  } else {
    end = std::to_chars(out, last, value, std::chars_format::scientific).ptr;
  }
  return static_cast<size_t>(end - out);
}
