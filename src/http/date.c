/* date.c - dates by arithmetic alone.
 *
 * Days become a date by counting from 1 March of year 0, so that the leap day is a year's last; no
 * locale, no static buffer, no time zone. Reading is by pattern: each format is a string in which
 * letters stand for the parts. */
#include "http/date.h"

#include <assert.h>
#include <string.h>

enum {
  SECONDS_PER_DAY = 86400,
  DAYS_PER_ERA = 146097, /* 400 years */
  DAYS_TO_1970 = 719468, /* from 0000-03-01 */
  THURSDAY = 4,          /* 1970-01-01 */
  MONTHS = 12,
  FUTURE_YEARS_MAX = 50, /* of a year of two digits: RFC 9110 5.6.7 */
  YEAR_SECONDS = 31556952
};

/* Of three letters each, from March on. */
static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";

static char *put(char *out, const char *text, size_t len) {
  memcpy(out, text, len);
  return out + len;
}

static char *put_two(char *out, int64_t number) {
  out[0] = (char)('0' + number / 10);
  out[1] = (char)('0' + number % 10);
  return out + 2;
}

void date_format(char *out, int64_t unix_seconds) {
  assert(unix_seconds >= 0);
  static const char weekdays[] = "SunMonTueWedThuFriSat";
  int64_t days = unix_seconds / SECONDS_PER_DAY;
  int64_t second = unix_seconds % SECONDS_PER_DAY;
  int64_t from_march = days + DAYS_TO_1970;
  int64_t era_day = from_march % DAYS_PER_ERA;
  int64_t era_year = (era_day - era_day / 1460 + era_day / 36524 - era_day / 146096) / 365;
  int64_t year_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
  int64_t month = (5 * year_day + 2) / 153; /* 0 is March */
  int64_t day = year_day - (153 * month + 2) / 5 + 1;
  int64_t year = from_march / DAYS_PER_ERA * 400 + era_year + (month >= 10);
  assert(year <= 9999);

  out = put(out, weekdays + (days + THURSDAY) % 7 * 3, 3);
  out = put(out, ", ", 2);
  out = put_two(out, day);
  out = put(out, " ", 1);
  out = put(out, months + month * 3, 3);
  out = put(out, " ", 1);
  out = put_two(out, year / 100);
  out = put_two(out, year % 100);
  out = put(out, " ", 1);
  out = put_two(out, second / 3600);
  out = put(out, ":", 1);
  out = put_two(out, second / 60 % 60);
  out = put(out, ":", 1);
  out = put_two(out, second % 60);
  put(out, " GMT", 4);
}

/* ---- reading ---- */

struct parts {
  int64_t year, month, day; /* month: 0 is March */
  int64_t hour, minute, second;
  bool has_short_year;
};

/* The first `count` bytes as a number; false when one is no digit. A blank may stand for the first
 * where the format has it so. */
static bool read_digits(const char *at, size_t count, bool may_be_blank, int64_t *out) {
  *out = 0;
  for (size_t i = 0; i < count; i++) {
    if (may_be_blank && i == 0 && at[i] == ' ') continue;
    if (at[i] < '0' || at[i] > '9') return false;
    *out = *out * 10 + (at[i] - '0');
  }
  return true;
}

static bool read_month(const char *at, int64_t *out) {
  for (*out = 0; *out < MONTHS; ++*out)
    if (memcmp(at, months + *out * 3, 3) == 0) return true;
  return false;
}

/* The bytes of `text` by those of `pattern`: YYYY, YY, BBB, DD, _D, hh, mm, ss, else itself. */
static bool read_parts(struct slice text, const char *pattern, struct parts *out) {
  if (text.len != strlen(pattern)) return false;
  *out = (struct parts){0};
  bool is_good = true;
  for (size_t i = 0; i < text.len && is_good;) {
    const char *at = text.data + i;
    size_t count = 1;
    while (pattern[i + count] == pattern[i]) count++;
    switch (pattern[i]) {
    case 'Y':
      is_good = read_digits(at, count, false, &out->year);
      out->has_short_year = count == 2;
      break;
    case 'B':
      is_good = read_month(at, &out->month);
      break;
    case 'D':
    case '_':
      count = 2;
      is_good = read_digits(at, count, pattern[i] == '_', &out->day);
      break;
    case 'h':
      is_good = read_digits(at, count, false, &out->hour);
      break;
    case 'm':
      is_good = read_digits(at, count, false, &out->minute);
      break;
    case 's':
      is_good = read_digits(at, count, false, &out->second);
      break;
    default:
      is_good = memcmp(at, pattern + i, count) == 0;
    }
    i += count;
  }
  return is_good;
}

/* Takes the weekday's name and what follows it off the text. */
static bool skip_weekday(struct slice *text, bool is_long, const char *separator) {
  static const char *const names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                      "Friday", "Saturday", "Sunday"};
  for (size_t i = 0; i < array_len(names); i++) {
    size_t len = is_long ? strlen(names[i]) : 3, more = strlen(separator);
    if (text->len < len + more || memcmp(text->data, names[i], len) != 0 ||
        memcmp(text->data + len, separator, more) != 0)
      continue;
    text->data += len + more;
    text->len -= len + more;
    return true;
  }
  return false;
}

static bool read_date(struct slice text, bool is_long, const char *separator, const char *pattern,
                      struct parts *out) {
  return skip_weekday(&text, is_long, separator) && read_parts(text, pattern, out);
}

static bool is_leap_year(int64_t year) {
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_date(const struct parts *parts) {
  static const int64_t days[MONTHS] = {31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31, 28};
  bool is_leap_february = parts->month == MONTHS - 1 && is_leap_year(parts->year);
  return parts->day >= 1 && parts->day <= days[parts->month] + is_leap_february &&
         parts->hour < 24 && parts->minute < 60 && parts->second <= 60;
}

static int64_t to_seconds(const struct parts *parts) {
  int64_t year = parts->year - (parts->month >= 10); /* years end with February */
  int64_t year_day = (153 * parts->month + 2) / 5 + parts->day - 1;
  int64_t day = year * 365 + year / 4 - year / 100 + year / 400 + year_day - DAYS_TO_1970;
  return day * SECONDS_PER_DAY + parts->hour * 3600 + parts->minute * 60 + parts->second;
}

bool date_parse(struct slice text, int64_t now, int64_t *unix_seconds) {
  struct parts parts;
  if (!read_date(text, false, ", ", "DD BBB YYYY hh:mm:ss GMT", &parts) &&
      !read_date(text, true, ", ", "DD-BBB-YY hh:mm:ss GMT", &parts) &&
      !read_date(text, false, " ", "BBB _D hh:mm:ss YYYY", &parts))
    return false;
  if (parts.has_short_year) {
    int64_t this_year = 1970 + now / YEAR_SECONDS;
    parts.year += this_year - this_year % 100 + 100;
    while (parts.year > this_year + FUTURE_YEARS_MAX) parts.year -= 100;
  }
  if (parts.year < 1 || !is_date(&parts)) return false;
  *unix_seconds = to_seconds(&parts);
  return true;
}
