/* date_spec.c - dates written and read: the three formats of RFC 9110 5.6.7, and what is no date.
 *
 * Pure; libc's timegm is what results are compared with. */
#include "http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

enum { DAY = 86400, STEP_DAYS = 17, YEAR_2026 = 1790000000 };

static struct slice text_of(const char *text) {
  return (struct slice){text, strlen(text)};
}

static void writes_and_reads_every_day(void **state) {
  (void)state;
  for (int64_t at = 0; at < (int64_t)400 * 366 * DAY; at += STEP_DAYS * DAY + 3607) {
    char text[DATE_LEN + 1] = {0}, expected[DATE_LEN + 1];
    struct tm parts;
    time_t time = at;
    gmtime_r(&time, &parts);
    strftime(expected, sizeof expected, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    date_format(text, at);
    assert_string_equal(text, expected);
    int64_t read;
    assert_true(date_parse((struct slice){text, DATE_LEN}, 0, &read));
    assert_int_equal(read, at);
  }
}

static void reads_the_three_formats(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t now, seconds;
  } cases[] = {
      {"Sun, 06 Nov 1994 08:49:37 GMT", YEAR_2026, 784111777},
      {"Sunday, 06-Nov-94 08:49:37 GMT", YEAR_2026, 784111777},
      {"Sun Nov  6 08:49:37 1994", YEAR_2026, 784111777},
      {"Wed Nov 16 08:49:37 1994", YEAR_2026, 784975777},
      {"Thu, 01 Jan 1970 00:00:00 GMT", YEAR_2026, 0},
      {"Wed, 31 Dec 1969 23:59:59 GMT", YEAR_2026, -1},
      {"Thu, 29 Feb 2024 00:00:00 GMT", YEAR_2026, 1709164800},
      {"Tue, 29 Feb 2000 00:00:00 GMT", YEAR_2026, 951782400},
      {"Sat, 31 Dec 2016 23:59:60 GMT", YEAR_2026, 1483228800},
      /* two digits: the year nearest to now, at most 50 years after it */
      {"Friday, 01-Jan-76 00:00:00 GMT", YEAR_2026, 3345062400},
      {"Saturday, 01-Jan-77 00:00:00 GMT", YEAR_2026, 220924800},
      {"Friday, 01-Jan-70 00:00:00 GMT", 0, 0},
  };
  for (size_t i = 0; i < array_len(cases); i++) {
    int64_t seconds = 0;
    if (!date_parse(text_of(cases[i].text), cases[i].now, &seconds) || seconds != cases[i].seconds)
      fail_msg("%s: %lld", cases[i].text, (long long)seconds);
  }
}

static void refuses_what_is_no_date(void **state) {
  (void)state;
  static const char *const texts[] = {
      "",
      "Sun",
      "Sun, ",
      "0",
      "784111777",
      "Sun, 06 Nov 1994 08:49:37 UTC",
      "Sun, 06 Nov 1994 08:49:37 +0000",
      "Sun, 06 Nov 1994 08:49:37",
      "Sun, 06 Nov 1994 08:49:37 GMT ",
      "Sun,06 Nov 1994 08:49:37 GMT",
      "sun, 06 nov 1994 08:49:37 gmt",
      "Son, 06 Nov 1994 08:49:37 GMT",
      "Sun, 6 Nov 1994 08:49:37 GMT",
      "Sun,  6 Nov 1994 08:49:37 GMT",
      "Sun, 06 Nev 1994 08:49:37 GMT",
      "Sun, 31 Nov 1994 08:49:37 GMT",
      "Sun, 00 Nov 1994 08:49:37 GMT",
      "Sun, 29 Feb 2023 08:49:37 GMT",
      "Sun, 29 Feb 1900 08:49:37 GMT",
      "Sun, 06 Nov 0000 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:00:00 GMT",
      "Sun, 06 Nov 1994 08:60:37 GMT",
      "Sun, 06 Nov 1994 08:49:61 GMT",
      "Sun, 06 Nov 1994 08:49:-7 GMT",
      "Sun, 06-Nov-94 08:49:37 GMT",
      "Sunday, 06 Nov 1994 08:49:37 GMT",
      "Sunday, 06-Nov-1994 08:49:37 GMT",
      "Sun Nov 06 08:49:37 94",
      "Sun Nov  6 08:49:37 1994 GMT",
      "Sun Nov x6 08:49:37 1994",
  };
  for (size_t i = 0; i < array_len(texts); i++) {
    int64_t seconds;
    if (date_parse(text_of(texts[i]), YEAR_2026, &seconds)) fail_msg("%s is taken", texts[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(writes_and_reads_every_day),
                                     cmocka_unit_test(reads_the_three_formats),
                                     cmocka_unit_test(refuses_what_is_no_date)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
