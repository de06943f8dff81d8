/* router_values_spec.c - which segments convert to int, float and uuid, and to what.
 *
 * Each spec has a router with one route and asks for good and bad paths. Paths are copied into
 * memory of exactly their size, so that the address sanitizer sees a read past the end. */
#include "http/router.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct router *build(const char *pattern) {
  struct router *router = router_create();
  struct router_problem problem;
  assert_int_equal(router_add(router, METHOD_GET, pattern, strlen(pattern), 0, &problem),
                   ROUTER_OK);
  return router;
}

/* The value slices of `out` are gone; its typed values stay. */
static enum match_result match(const struct router *router, const char *path, struct match *out) {
  char *copy = malloc(strlen(path));
  memcpy(copy, path, strlen(path));
  enum match_result result = router_match(router, METHOD_GET, copy, strlen(path), out);
  free(copy);
  return result;
}

static enum match_result answer(const struct router *router, const char *path) {
  struct match out;
  return match(router, path, &out);
}

static void int_parameters(void **state) {
  (void)state;
  static const struct {
    const char *path;
    int64_t value;
  } good[] = {{"/0", 0},
              {"/-0", 0},
              {"/7", 7},
              {"/-7", -7},
              {"/007", 7},
              {"/%37", 7},
              {"/%2D7", -7},
              {"/9223372036854775807", INT64_MAX},
              {"/-9223372036854775808", INT64_MIN}};
  static const char *const bad[] = {"/",
                                    "/-",
                                    "/+7",
                                    "/7a",
                                    "/a7",
                                    "/ 7",
                                    "/7%20",
                                    "/0x1",
                                    "/1.0",
                                    "/1e3",
                                    "/--7",
                                    "/7-",
                                    "/%",
                                    "/%2F",
                                    "/7%00",
                                    "/9223372036854775808",
                                    "/7/8",
                                    "//7",
                                    "/7%2F",
                                    "/1_0",
                                    "/%zz7",
                                    "/\xd9\xa7",
                                    "/-9223372036854775809",
                                    "/99999999999999999999"};
  struct router *router = build("/{n:int}");
  struct match out;
  for (size_t i = 0; i < array_len(good); i++) {
    assert_int_equal(match(router, good[i].path, &out), MATCH_FOUND);
    assert_int_equal(out.params[0].kind, PARAM_INT);
    assert_true(out.params[0].integer == good[i].value);
  }
  for (size_t i = 0; i < array_len(bad); i++)
    if (answer(router, bad[i]) != MATCH_NONE) fail_msg("%s is an int", bad[i]);
  router_destroy(router);
}

static void float_parameters(void **state) {
  (void)state;
  static const struct {
    const char *path;
    double value;
  } good[] = {{"/0", 0},
              {"/1", 1},
              {"/1.5", 1.5},
              {"/-1.5", -1.5},
              {"/1e3", 1e3},
              {"/1E+3", 1e3},
              {"/25e-1", 2.5},
              {"/-0.1e1", -1},
              {"/1%2E5", 1.5},
              {"/1e-400", 0},
              {"/0.1", 0.1},
              {"/00.50", 0.5},
              {"/9007199254740993", 9007199254740992.0},
              {"/1.7976931348623157e308", 0x1.fffffffffffffp1023}};
  static const char *const bad[] = {"/",      "/-",    "/.",     "/.5",    "/5.",     "/+1",
                                    "/1.5.2", "/1e",   "/1e+",   "/e3",    "/1,5",    "/inf",
                                    "/nan",   "/-inf", "/0x1p3", "/1e400", "/-1e400", "/1 ",
                                    "/1%00",  "/1.-5", "/1d3",   "/1f"};
  struct router *router = build("/{n:float}");
  struct match out;
  for (size_t i = 0; i < array_len(good); i++) {
    assert_int_equal(match(router, good[i].path, &out), MATCH_FOUND);
    assert_int_equal(out.params[0].kind, PARAM_FLOAT);
    assert_true(out.params[0].number == good[i].value);
  }
  for (size_t i = 0; i < array_len(bad); i++)
    if (answer(router, bad[i]) != MATCH_NONE) fail_msg("%s is a float", bad[i]);
  router_destroy(router);
}

static void uuid_parameters(void **state) {
  (void)state;
  static const char *const good[] = {
      "/123e4567-e89b-12d3-a456-426614174000", "/123E4567-E89B-12D3-A456-42661417400F",
      "/%3123e4567-e89b-12d3-a456-426614174000", "/00000000-0000-0000-0000-000000000000"};
  static const char *const bad[] = {
      "/123e4567-e89b-12d3-a456-42661417400",    "/123e4567-e89b-12d3-a456-4266141740000",
      "/123e4567e89b12d3a456426614174000",       "/123e4567-e89b-12d3-a456-42661417400g",
      "/{123e4567-e89b-12d3-a456-426614174000}", "/123e456-7e89b-12d3-a456-426614174000",
      "/123e4567-e89b-12d3-a456_426614174000",   "/123e4567-e89b-12d3-a456-42661417400%"};
  struct router *router = build("/{n:uuid}");
  struct match out;
  for (size_t i = 0; i < array_len(good); i++) {
    assert_int_equal(match(router, good[i], &out), MATCH_FOUND);
    assert_int_equal(out.params[0].kind, PARAM_UUID);
    assert_int_equal(out.params[0].value.len, strlen(good[i]) - 1);
  }
  for (size_t i = 0; i < array_len(bad); i++)
    if (answer(router, bad[i]) != MATCH_NONE) fail_msg("%s is a uuid", bad[i]);
  router_destroy(router);
}

static void long_segments_do_not_convert(void **state) {
  (void)state;
  char path[CONVERTED_BYTES_MAX + 3];
  struct router *router = build("/{n:int}");
  memset(path, '0', sizeof path);
  path[0] = '/';
  path[CONVERTED_BYTES_MAX + 1] = '\0';
  assert_int_equal(answer(router, path), MATCH_FOUND);
  path[CONVERTED_BYTES_MAX + 1] = '0';
  path[CONVERTED_BYTES_MAX + 2] = '\0';
  assert_int_equal(answer(router, path), MATCH_NONE);
  router_destroy(router);
}

static void floats_have_a_point_in_every_locale(void **state) {
  (void)state;
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  struct router *router = build("/{n:float}");
  struct match out;
  bool is_tried = false;
  for (size_t i = 0; i < array_len(names); i++) {
    if (!setlocale(LC_NUMERIC, names[i])) continue;
    is_tried = true;
    assert_int_equal(match(router, "/1.5", &out), MATCH_FOUND);
    assert_true(out.params[0].number == 1.5);
  }
  setlocale(LC_NUMERIC, "C");
  router_destroy(router);
  if (!is_tried) skip(); /* no such locale is installed */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(int_parameters),
      cmocka_unit_test(float_parameters),
      cmocka_unit_test(uuid_parameters),
      cmocka_unit_test(long_segments_do_not_convert),
      cmocka_unit_test(floats_have_a_point_in_every_locale),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
