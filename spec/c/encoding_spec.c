/* encoding_spec.c - which coding Accept-Encoding asks for, case by case.
 *
 * Pure: no socket, no compressor. */
#include "http/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka.h needs the three above. */
#include <cmocka.h>

#define GZIP   (1U << ENCODING_GZIP)
#define BROTLI (1U << ENCODING_BROTLI)

/* An asked-for case; up to two fields. */
struct wanted {
  const char *first, *second;
  unsigned available;
  const char *chosen;
};

static const struct wanted cases[] = {
    /* weights and preference */
    {"gzip", NULL, GZIP | BROTLI, "gzip"},
    {"gzip, br", NULL, GZIP | BROTLI, "br"},
    {"br, gzip", NULL, GZIP, "gzip"},
    {"gzip, deflate, br, zstd", NULL, GZIP | BROTLI, "br"},
    {"gzip;q=1.0, br;q=0.9", NULL, GZIP | BROTLI, "gzip"},
    {"gzip;q=0.501, br;q=0.5", NULL, GZIP | BROTLI, "gzip"},
    {"GZIP; Q=0.5", NULL, GZIP | BROTLI, "gzip"},
    {"x-gzip", NULL, GZIP | BROTLI, "gzip"},
    {"gzip;q=0.001", NULL, GZIP, "gzip"},
    {"gzip", NULL, 0, "identity"},
    /* refusals */
    {"gzip;q=0", NULL, GZIP, "identity"},
    {"gzip;q=0.000", NULL, GZIP, "identity"},
    {"br;q=0, gzip", NULL, GZIP | BROTLI, "gzip"},
    {"deflate", NULL, GZIP | BROTLI, "identity"},
    {"", NULL, GZIP | BROTLI, "identity"},
    {NULL, NULL, GZIP | BROTLI, "identity"},
    /* identity */
    {"identity", NULL, GZIP | BROTLI, "identity"},
    {"identity, gzip", NULL, GZIP | BROTLI, "gzip"},
    {"identity;q=1, gzip;q=0.5", NULL, GZIP, "identity"},
    {"identity;q=0.5, gzip;q=1", NULL, GZIP, "gzip"},
    {"identity;q=0, gzip;q=0.1", NULL, GZIP, "gzip"},
    {"identity;q=0", NULL, GZIP, "identity"},
    /* "*" covers what is not named */
    {"*", NULL, GZIP | BROTLI, "br"},
    {"*;q=0.1", NULL, GZIP, "gzip"},
    {"*;q=0", NULL, GZIP | BROTLI, "identity"},
    {"gzip;q=0, *", NULL, GZIP | BROTLI, "br"},
    {"gzip, *;q=0", NULL, GZIP | BROTLI, "gzip"},
    {"gzip;q=0.2, *;q=0.1", NULL, GZIP | BROTLI, "gzip"},
    {"br;q=0, *;q=0.5", NULL, GZIP | BROTLI, "gzip"},
    /* several fields are one list */
    {"gzip;q=0.5", "br;q=0.4", GZIP | BROTLI, "gzip"},
    {"deflate", "br", GZIP | BROTLI, "br"},
    /* what is malformed is not there */
    {"gzip;q=2", NULL, GZIP, "identity"},
    {"gzip;q=1.001", NULL, GZIP, "identity"},
    {"gzip;q=0.1234", NULL, GZIP, "identity"},
    {"gzip;q=-1", NULL, GZIP, "identity"},
    {"gzip;q=", NULL, GZIP, "identity"},
    {"gzip;q=.5", NULL, GZIP, "identity"},
    {"gzip;q=1x", NULL, GZIP, "identity"},
    {"gzip;q", NULL, GZIP, "identity"},
    {"gzip;level=9", NULL, GZIP, "identity"},
    {"gzip br", NULL, GZIP | BROTLI, "identity"},
    {"gzip;q=x, br;q=0.5", NULL, GZIP | BROTLI, "br"},
    {"gzip;q=0.", NULL, GZIP, "identity"},
    {"gzip;q=1.", NULL, GZIP, "gzip"},
    {",,;q=1,=,gzip", NULL, GZIP, "gzip"},
};

static void chooses(void **state) {
  (void)state;
  for (size_t i = 0; i < array_len(cases); i++) {
    const struct wanted *wanted = &cases[i];
    struct encoding_wishes wishes;
    encoding_start(&wishes);
    if (wanted->first) encoding_read(&wishes, (struct slice){wanted->first, strlen(wanted->first)});
    if (wanted->second)
      encoding_read(&wishes, (struct slice){wanted->second, strlen(wanted->second)});
    const char *chosen = encoding_name(encoding_choose(&wishes, wanted->available));
    if (strcmp(chosen, wanted->chosen) != 0)
      fail_msg("\"%s\": %s, not %s", wanted->first ? wanted->first : "(none)", chosen,
               wanted->chosen);
  }
}

static void reads_the_fields_of_a_request(void **state) {
  (void)state;
  struct request_field fields[] = {{0, 15, 15, 6}, {21, 6, 27, 2}, {29, 15, 44, 4}};
  struct request request = {.field_count = array_len(fields), .fields = fields};
  buffer_add_text(&request.head, "Accept-Encodingbr;q=0"
                                 "Accept"
                                 "br"
                                 "accept-encodinggzip");
  assert_int_equal(encoding_choose_for(&request, GZIP | BROTLI), ENCODING_GZIP);
  request.field_count = 0;
  assert_int_equal(encoding_choose_for(&request, GZIP | BROTLI), ENCODING_IDENTITY);
  buffer_finish(&request.head);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(chooses),
                                     cmocka_unit_test(reads_the_fields_of_a_request)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
