/* date.c - the Date field's text by arithmetic alone.
 *
 * Days become a date by counting from 1 March of year 0, so that the leap day is a year's last; no
 * locale, no static buffer, no time zone. */
#include "http/date.h"

#include <assert.h>
#include <string.h>

enum {
  SECONDS_PER_DAY = 86400,
  DAYS_PER_ERA = 146097, /* 400 years */
  DAYS_TO_1970 = 719468, /* from 0000-03-01 */
  THURSDAY = 4           /* 1970-01-01 */
};

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
  static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
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
