/* range_spec.c - what Range fields ask for, case by case, with sizes at the edges.
 *
 * Pure. Expected ranges are written as they stand in Content-Range: "0-4 9-9". */
#include "http/range.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka.h needs the three above. */
#include <cmocka.h>

#define WHOLE "whole"
#define NONE  "none"

static const struct {
  const char *value;
  uint64_t size;
  const char *expected;
} cases[] = {
    /* one range */
    {"bytes=0-4", 10, "0-4"},
    {"bytes=0-0", 10, "0-0"},
    {"bytes=9-9", 10, "9-9"},
    {"bytes=5-", 10, "5-9"},
    {"bytes=0-", 10, "0-9"},
    {"bytes=5-99", 10, "5-9"},
    {"bytes=-3", 10, "7-9"},
    {"bytes=-10", 10, "0-9"},
    {"bytes=-11", 10, "0-9"},
    {"bytes= 0-4", 10, "0-4"},
    {"BYTES=0-4", 10, "0-4"},
    {"bytes=00-004", 10, "0-4"},
    /* several, in the order of the field; empty elements count for nothing */
    {"bytes=0-1,4-5", 10, "0-1 4-5"},
    {"bytes=4-5, 0-1", 10, "4-5 0-1"},
    {"bytes=,0-1,,\t4-5,", 10, "0-1 4-5"},
    {"bytes=0-0,-1", 10, "0-0 9-9"},
    {"bytes=0-0,20-30", 10, "0-0"},
    {"bytes=0-4,5-9", 10, "0-4 5-9"},
    /* nothing that is there */
    {"bytes=10-", 10, NONE},
    {"bytes=10-12", 10, NONE},
    {"bytes=-0", 10, NONE},
    {"bytes=10-11,12-13,-0", 10, NONE},
    {"bytes=0-", 0, NONE},
    {"bytes=0-0", 0, NONE},
    /* the last bytes of nothing are all of it */
    {"bytes=-5", 0, WHOLE},
    /* large numbers */
    {"bytes=0-18446744073709551615", 10, "0-9"},
    {"bytes=0-99999999999999999999999999", 10, "0-9"},
    {"bytes=99999999999999999999999999-", 10, NONE},
    {"bytes=18446744073709551616-0", 10, WHOLE},
    {"bytes=-99999999999999999999999999", 10, "0-9"},
    {"bytes=4294967296-4294967297", 1ull << 33, "4294967296-4294967297"},
    {"bytes=9223372036854775806-", INT64_MAX, "9223372036854775806-9223372036854775806"},
    /* more than the whole: overlaps */
    {"bytes=0-9,0-9", 10, WHOLE},
    {"bytes=0-,0-,0-", 10, WHOLE},
    {"bytes=0-5,5-9", 10, WHOLE},
    /* as many as there may be, and one more */
    {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15", 99,
     "0-0 1-1 2-2 3-3 4-4 5-5 6-6 7-7 8-8 9-9 10-10 11-11 12-12 13-13 14-14 15-15"},
    {"bytes=0-0,1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,10-10,11-11,12-12,13-13,14-14,15-15,16-16", 99,
     WHOLE},
    /* malformed, all of it is ignored */
    {"", 10, WHOLE},
    {"bytes", 10, WHOLE},
    {"bytes=", 10, WHOLE},
    {"bytes=,", 10, WHOLE},
    {"bytes=-", 10, WHOLE},
    {"bytes=4-2", 10, WHOLE},
    {"bytes=0-1,4-2", 10, WHOLE},
    {"bytes=a-b", 10, WHOLE},
    {"bytes=0x1-2", 10, WHOLE},
    {"bytes=+1-2", 10, WHOLE},
    {"bytes=0 - 4", 10, WHOLE},
    {"bytes=0-4;5-6", 10, WHOLE},
    {"bytes=--5", 10, WHOLE},
    {"bytes=1-2-3", 10, WHOLE},
    {"bytes =0-4", 10, WHOLE},
    {"bytes:0-4", 10, WHOLE},
    /* another unit */
    {"items=0-4", 10, WHOLE},
    {"byte=0-4", 10, WHOLE},
};

static void print_ranges(struct buffer *out, const struct range_list *list) {
  for (size_t i = 0; i < list->count; i++) {
    const struct range *range = &list->ranges[i];
    buffer_printf(out, "%s%llu-%llu", i ? " " : "", (unsigned long long)range->first,
                  (unsigned long long)(range->first + range->len - 1));
  }
}

static void reads(void **state) {
  (void)state;
  for (size_t i = 0; i < array_len(cases); i++) {
    struct range_list list;
    struct buffer text = {0};
    struct slice value = {cases[i].value, strlen(cases[i].value)};
    switch (range_parse(&list, value, cases[i].size)) {
    case RANGE_WHOLE:
      buffer_add_text(&text, WHOLE);
      break;
    case RANGE_NONE:
      buffer_add_text(&text, NONE);
      break;
    case RANGE_PARTS:
      print_ranges(&text, &list);
      break;
    }
    buffer_add_byte(&text, '\0');
    if (strcmp(text.data, cases[i].expected) != 0)
      fail_msg("\"%s\": %s, not %s", cases[i].value, text.data, cases[i].expected);
    buffer_finish(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reads)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
