/* router_spec.c - what patterns match, which of several wins, and what is answered where none does.
 *
 * Each spec builds a small table from lines "METHOD /pattern" (their order gives the route's index)
 * and asks for paths. Paths are copied into memory of exactly their size, so that the address
 * sanitizer sees a read past the end. Typed values: router_values_spec.c; comparison with a naive
 * matcher: router_random_spec.c. */
#include "http/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUTES(...) build((const char *const[]){__VA_ARGS__, NULL})

static enum router_error add(struct router *router, const char *line, uint32_t route,
                             struct router_problem *problem) {
  const char *space = strchr(line, ' ');
  enum method method = method_find(line, (size_t)(space - line));
  return router_add(router, method, space + 1, strlen(space + 1), route, problem);
}

static struct router *build(const char *const *lines) {
  struct router *router = router_create();
  struct router_problem problem;
  for (uint32_t i = 0; lines[i]; i++)
    if (add(router, lines[i], i, &problem) != ROUTER_OK) fail_msg("%s", problem.message);
  return router;
}

/* The slices of `out` point into `path`. */
static enum match_result match(const struct router *router, enum method method, const char *path,
                               struct match *out) {
  size_t len = strlen(path);
  char *copy = malloc(len ? len : 1);
  if (len) memcpy(copy, path, len);
  enum match_result result = router_match(router, method, copy, len, out);
  for (size_t i = 0; result == MATCH_FOUND && i < out->param_count; i++)
    out->params[i].value.data = path + (out->params[i].value.data - copy);
  free(copy);
  return result;
}

static enum match_result get(const struct router *router, const char *path) {
  struct match out;
  return match(router, METHOD_GET, path, &out);
}

static void assert_route(const struct router *router, enum method method, const char *path,
                         uint32_t route) {
  struct match out;
  if (match(router, method, path, &out) != MATCH_FOUND)
    fail_msg("%s %s: no route", method_name(method), path);
  if (out.route != route)
    fail_msg("%s %s: route %u, not %u", method_name(method), path, out.route, route);
}

static void assert_slice(struct slice slice, const char *text) {
  assert_int_equal(slice.len, strlen(text));
  assert_memory_equal(slice.data, text, slice.len);
}

static void assert_param(const struct match *match, size_t i, const char *name, const char *value) {
  assert_true(i < match->param_count);
  assert_slice(match->params[i].name, name);
  assert_slice(match->params[i].value, value);
}

static void assert_allowed(const struct router *router, enum method method, const char *path,
                           uint32_t allowed) {
  struct match out;
  assert_int_equal(match(router, method, path, &out),
                   method == METHOD_OPTIONS ? MATCH_OPTIONS : MATCH_METHOD);
  assert_int_equal(out.allowed, allowed);
}

static uint32_t bits(enum method first, enum method second, enum method third) {
  return method_bit(first) | method_bit(second) | method_bit(third);
}

/* Plain paths and parameters */

static void static_paths(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /", "GET /a", "GET /a/b", "GET /ab", "GET /abc/d", "GET /x y",
                                 "GET /caf\xc3\xa9");
  assert_route(router, METHOD_GET, "/", 0);
  assert_route(router, METHOD_GET, "/a", 1);
  assert_route(router, METHOD_GET, "/a/b", 2);
  assert_route(router, METHOD_GET, "/ab", 3);
  assert_route(router, METHOD_GET, "/abc/d", 4);
  assert_route(router, METHOD_GET, "/x%20y", 5);
  assert_route(router, METHOD_GET, "/caf\xc3\xa9", 6);
  assert_route(router, METHOD_GET, "/caf%C3%a9", 6);
  assert_int_equal(get(router, "/abc"), MATCH_NONE);
  assert_int_equal(get(router, "/A"), MATCH_NONE);
  assert_int_equal(get(router, "/a/bc"), MATCH_NONE);
  assert_int_equal(get(router, "a"), MATCH_NONE);
  assert_int_equal(get(router, "*"), MATCH_NONE);
  assert_int_equal(get(router, "//"), MATCH_SLASH);
  assert_int_equal(get(router, "//a"), MATCH_NONE);
  router_destroy(router);
}

static void an_empty_router_knows_nothing(void **state) {
  (void)state;
  struct router *router = router_create();
  assert_int_equal(get(router, "/"), MATCH_NONE);
  assert_int_equal(get(router, ""), MATCH_NONE);
  router_destroy(router);
  router_destroy(NULL);
}

static void text_parameters(void **state) {
  (void)state;
  struct match out;
  struct router *router = ROUTES("GET /{a}", "GET /u/{id}/p/{name}");
  assert_int_equal(match(router, METHOD_GET, "/u/a%20b/p/%2Fx+y", &out), MATCH_FOUND);
  assert_int_equal(out.param_count, 2);
  assert_int_equal(out.params[0].kind, PARAM_TEXT);
  assert_param(&out, 0, "id", "a%20b");
  assert_param(&out, 1, "name", "%2Fx+y");
  assert_int_equal(match(router, METHOD_GET, "/z", &out), MATCH_FOUND);
  assert_int_equal(out.param_count, 1);
  assert_param(&out, 0, "a", "z");
  assert_int_equal(get(router, "/"), MATCH_NONE);
  assert_int_equal(get(router, "/u//p/x"), MATCH_NONE);
  assert_int_equal(get(router, "/u/1/p/"), MATCH_NONE);
  router_destroy(router);
}

static void path_parameters(void **state) {
  (void)state;
  struct match out;
  struct router *router = ROUTES("GET /files/{rest:path}");
  assert_int_equal(match(router, METHOD_GET, "/files/a/b%2Fc//d/", &out), MATCH_FOUND);
  assert_int_equal(out.params[0].kind, PARAM_PATH);
  assert_param(&out, 0, "rest", "a/b%2Fc//d/");
  assert_int_equal(match(router, METHOD_GET, "/files//", &out), MATCH_FOUND);
  assert_param(&out, 0, "rest", "/");
  assert_int_equal(get(router, "/files/"), MATCH_NONE);
  assert_int_equal(get(router, "/files"), MATCH_NONE);
  router_destroy(router);
}

static void the_names_are_those_of_the_route(void **state) {
  (void)state;
  struct match out;
  struct router *router =
      ROUTES("GET /u/{get}", "POST /u/{post}", "GET /u/{other}/x", "HEAD /u/{head}/x");
  assert_int_equal(match(router, METHOD_POST, "/u/1", &out), MATCH_FOUND);
  assert_param(&out, 0, "post", "1");
  assert_int_equal(match(router, METHOD_HEAD, "/u/1", &out), MATCH_FOUND);
  assert_param(&out, 0, "get", "1");
  assert_int_equal(match(router, METHOD_GET, "/u/1/x", &out), MATCH_FOUND);
  assert_param(&out, 0, "other", "1");
  assert_int_equal(match(router, METHOD_HEAD, "/u/1/x", &out), MATCH_FOUND);
  assert_param(&out, 0, "head", "1");
  router_destroy(router);
}

static void as_many_parameters_as_allowed(void **state) {
  (void)state;
  char line[16 * PATTERN_PARAMS_MAX] = "GET ", path[4 * PATTERN_PARAMS_MAX] = "";
  for (size_t i = 0; i < PATTERN_PARAMS_MAX; i++) {
    size_t at = strlen(line);
    (void)snprintf(line + at, sizeof line - at, "/{p%zu}", i);
    at = strlen(path);
    (void)snprintf(path + at, sizeof path - at, "/%zu", i);
  }
  struct match out;
  struct router *router = ROUTES(line);
  assert_int_equal(match(router, METHOD_GET, path, &out), MATCH_FOUND);
  assert_int_equal(out.param_count, PATTERN_PARAMS_MAX);
  assert_param(&out, 0, "p0", "0");
  assert_param(&out, PATTERN_PARAMS_MAX - 1, "p15", "15");
  router_destroy(router);
}

/* Which one wins */

static void static_beats_parameter_beats_path(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /{rest:path}", "GET /u/{rest:path}", "GET /u/{id}",
                                 "GET /u/me", "GET /u/{id}/x", "GET /u/{rest}/{more}");
  assert_route(router, METHOD_GET, "/u/me", 3);
  assert_route(router, METHOD_GET, "/u/m%65", 3);
  assert_route(router, METHOD_GET, "/u/you", 2);
  assert_route(router, METHOD_GET, "/u/mex", 2);
  assert_route(router, METHOD_GET, "/u/m", 2);
  assert_route(router, METHOD_GET, "/u/me/x", 4);
  assert_route(router, METHOD_GET, "/u/me/y", 5);
  assert_route(router, METHOD_GET, "/u/me/y/z", 1);
  assert_route(router, METHOD_GET, "/u/me/", 1);
  assert_route(router, METHOD_GET, "/v", 0);
  assert_route(router, METHOD_GET, "/u", 0);
  assert_route(router, METHOD_GET, "/u/", 0);
  router_destroy(router);
}

static void typed_beats_plain(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /{a}", "GET /{a:float}", "GET /{a:uuid}", "GET /{a:int}",
                                 "GET /{a:path}", "GET /12");
  assert_route(router, METHOD_GET, "/12", 5);
  assert_route(router, METHOD_GET, "/13", 3);
  assert_route(router, METHOD_GET, "/1.5", 1);
  assert_route(router, METHOD_GET, "/99999999999999999999", 1);
  assert_route(router, METHOD_GET, "/123e4567-e89b-12d3-a456-426614174000", 2);
  assert_route(router, METHOD_GET, "/x", 0);
  assert_route(router, METHOD_GET, "/12/13", 4);
  router_destroy(router);
}

static void the_leftmost_segment_decides(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /{a}/b/c", "GET /a/{b}/{c}", "GET /a/{b}/c");
  assert_route(router, METHOD_GET, "/a/b/c", 2);
  assert_route(router, METHOD_GET, "/a/b/d", 1);
  assert_route(router, METHOD_GET, "/x/b/c", 0);
  router_destroy(router);
}

static void a_dead_end_gives_way(void **state) {
  (void)state;
  struct match out;
  struct router *router = ROUTES("GET /a/b/c/d", "GET /a/{x}/c/e", "GET /{y}/b/c/f",
                                 "GET /{y}/{x:int}/z", "GET /{q}/{r}/{s}/{t}");
  assert_route(router, METHOD_GET, "/a/b/c/d", 0);
  assert_route(router, METHOD_GET, "/a/b/c/e", 1);
  assert_route(router, METHOD_GET, "/a/b/c/f", 2);
  assert_int_equal(match(router, METHOD_GET, "/a/b/c/g", &out), MATCH_FOUND);
  assert_int_equal(out.route, 4);
  assert_int_equal(out.param_count, 4);
  assert_param(&out, 0, "q", "a");
  assert_param(&out, 3, "t", "g");
  assert_route(router, METHOD_GET, "/a/7/z", 3);
  assert_int_equal(get(router, "/a/b/z"), MATCH_NONE);
  router_destroy(router);
}

/* Methods */

static void a_branch_without_the_method_gives_way(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /users/me", "POST /users/{id}", "PUT /{rest:path}");
  assert_route(router, METHOD_GET, "/users/me", 0);
  assert_route(router, METHOD_POST, "/users/me", 1);
  assert_route(router, METHOD_PUT, "/users/me", 2);
  assert_allowed(router, METHOD_DELETE, "/users/me",
                 bits(METHOD_GET, METHOD_HEAD, METHOD_POST) |
                     bits(METHOD_PUT, METHOD_OPTIONS, METHOD_OPTIONS));
  assert_allowed(router, METHOD_GET, "/users/you", bits(METHOD_POST, METHOD_PUT, METHOD_OPTIONS));
  router_destroy(router);
}

static void other_methods_are_named(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /a", "POST /b", "DELETE /b");
  assert_allowed(router, METHOD_POST, "/a", bits(METHOD_GET, METHOD_HEAD, METHOD_OPTIONS));
  assert_allowed(router, METHOD_TRACE, "/a", bits(METHOD_GET, METHOD_HEAD, METHOD_OPTIONS));
  assert_allowed(router, METHOD_CONNECT, "/a", bits(METHOD_GET, METHOD_HEAD, METHOD_OPTIONS));
  assert_allowed(router, METHOD_UNKNOWN, "/a", bits(METHOD_GET, METHOD_HEAD, METHOD_OPTIONS));
  assert_allowed(router, METHOD_HEAD, "/b", bits(METHOD_POST, METHOD_DELETE, METHOD_OPTIONS));
  assert_int_equal(get(router, "/c"), MATCH_NONE);
  router_destroy(router);
}

static void head_is_served_by_get(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /a", "GET /b", "HEAD /b", "HEAD /c", "HEAD /{x}");
  assert_route(router, METHOD_HEAD, "/a", 0);
  assert_route(router, METHOD_GET, "/b", 1);
  assert_route(router, METHOD_HEAD, "/b", 2);
  assert_route(router, METHOD_HEAD, "/c", 3);
  assert_route(router, METHOD_HEAD, "/d", 4);
  assert_allowed(router, METHOD_GET, "/c", bits(METHOD_HEAD, METHOD_OPTIONS, METHOD_OPTIONS));
  router_destroy(router);
}

static void options_has_a_result_of_its_own(void **state) {
  (void)state;
  struct match out;
  struct router *router = ROUTES("GET /a", "PATCH /{x}", "OPTIONS /own", "GET /s/");
  assert_allowed(router, METHOD_OPTIONS, "/a",
                 bits(METHOD_GET, METHOD_HEAD, METHOD_OPTIONS) | method_bit(METHOD_PATCH));
  assert_allowed(router, METHOD_OPTIONS, "/b", bits(METHOD_PATCH, METHOD_OPTIONS, METHOD_OPTIONS));
  assert_route(router, METHOD_OPTIONS, "/own", 2);
  assert_allowed(router, METHOD_GET, "/own", bits(METHOD_PATCH, METHOD_OPTIONS, METHOD_OPTIONS));
  assert_int_equal(match(router, METHOD_OPTIONS, "/x/y", &out), MATCH_NONE);
  router_destroy(router);
}

/* Slashes */

static void the_other_slash_form_is_noticed(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /a", "GET /b/", "GET /c", "GET /c/", "GET /d/{x}",
                                 "GET /e/{x:int}/", "GET /bb", "GET /f/g");
  assert_int_equal(get(router, "/a"), MATCH_FOUND);
  assert_int_equal(get(router, "/a/"), MATCH_SLASH);
  assert_int_equal(get(router, "/a//"), MATCH_NONE);
  assert_int_equal(get(router, "/b/"), MATCH_FOUND);
  assert_int_equal(get(router, "/b"), MATCH_SLASH);
  assert_int_equal(get(router, "/%62"), MATCH_SLASH);
  assert_int_equal(get(router, "/b//"), MATCH_SLASH);
  assert_route(router, METHOD_GET, "/c", 2);
  assert_route(router, METHOD_GET, "/c/", 3);
  assert_int_equal(get(router, "/d/1/"), MATCH_SLASH);
  assert_int_equal(get(router, "/d/"), MATCH_NONE);
  assert_int_equal(get(router, "/d"), MATCH_NONE);
  assert_int_equal(get(router, "/e/1"), MATCH_SLASH);
  assert_int_equal(get(router, "/e/x"), MATCH_NONE);
  assert_int_equal(get(router, "/f/"), MATCH_NONE);
  assert_int_equal(get(router, "/f"), MATCH_NONE);
  assert_int_equal(get(router, ""), MATCH_NONE);
  router_destroy(router);
}

static void a_known_path_is_not_sent_to_the_other_form(void **state) {
  (void)state;
  struct router *router =
      ROUTES("GET /a", "POST /a/", "PUT /b", "DELETE /x/{rest:path}", "GET /x/y");
  assert_allowed(router, METHOD_GET, "/a/", bits(METHOD_POST, METHOD_OPTIONS, METHOD_OPTIONS));
  assert_allowed(router, METHOD_GET, "/x/y/", bits(METHOD_DELETE, METHOD_OPTIONS, METHOD_OPTIONS));
  assert_int_equal(get(router, "/b/"), MATCH_SLASH);
  router_destroy(router);
}

static void the_root_has_one_form(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /");
  assert_int_equal(get(router, "/"), MATCH_FOUND);
  assert_int_equal(get(router, ""), MATCH_SLASH);
  assert_int_equal(get(router, "%2F"), MATCH_NONE);
  router_destroy(router);
}

/* Escapes */

static void an_encoded_slash_is_no_slash(void **state) {
  (void)state;
  struct match out;
  struct router *router = ROUTES("GET /a/b", "GET /x/{id}", "GET /y/{id}/z", "GET /w/");
  assert_int_equal(get(router, "/a%2Fb"), MATCH_NONE);
  assert_int_equal(get(router, "%2fa/b"), MATCH_NONE);
  assert_int_equal(match(router, METHOD_GET, "/x/1%2F2", &out), MATCH_FOUND);
  assert_param(&out, 0, "id", "1%2F2");
  assert_int_equal(match(router, METHOD_GET, "/y/%2f/z", &out), MATCH_FOUND);
  assert_param(&out, 0, "id", "%2f");
  assert_int_equal(get(router, "/y/1%2Fz"), MATCH_NONE);
  assert_int_equal(get(router, "/w%2F"), MATCH_NONE);
  assert_int_equal(get(router, "/a/b%2F"), MATCH_NONE);
  router_destroy(router);
}

static void a_malformed_escape_is_a_percent_sign(void **state) {
  (void)state;
  struct router *router = ROUTES("GET /50%", "GET /%zz/{x}", "GET /a%20b");
  assert_route(router, METHOD_GET, "/50%", 0);
  assert_route(router, METHOD_GET, "/50%25", 0);
  assert_route(router, METHOD_GET, "/%zz/%", 1);
  assert_route(router, METHOD_GET, "/%25zz/%4", 1);
  assert_route(router, METHOD_GET, "/a%2520b", 2);
  assert_int_equal(get(router, "/a%20b"), MATCH_NONE);
  assert_int_equal(get(router, "/50%2"), MATCH_NONE);
  router_destroy(router);
}

/* Errors */

static void assert_clash(const char *first, const char *second, const char *message) {
  struct router_problem problem;
  struct match out;
  struct router *router = router_create();
  assert_int_equal(add(router, "GET /other", 3, &problem), ROUTER_OK);
  assert_int_equal(add(router, first, 17, &problem), ROUTER_OK);
  assert_int_equal(add(router, second, 18, &problem), ROUTER_CLASH);
  assert_int_equal(problem.clash_route, 17);
  assert_string_equal(problem.message, message);
  assert_int_equal(match(router, METHOD_GET, "/other", &out), MATCH_FOUND);
  router_destroy(router);
}

static void the_same_pattern_twice_is_a_clash(void **state) {
  (void)state;
  assert_clash("GET /", "GET /", "pattern \"/\": GET is there already, as \"/\"");
  assert_clash("PUT /a/b", "PUT /a/b", "pattern \"/a/b\": PUT is there already, as \"/a/b\"");
  assert_clash("GET /u/{a}", "GET /u/{b}",
               "pattern \"/u/{b}\": GET is there already, as \"/u/{a}\"");
  assert_clash("GET /{a:int}/{b}", "GET /{b:int}/{c}",
               "pattern \"/{b:int}/{c}\": GET is there already, as \"/{a:int}/{b}\"");
  assert_clash("GET /{a:path}", "GET /{b:path}",
               "pattern \"/{b:path}\": GET is there already, as \"/{a:path}\"");
}

static void different_patterns_do_not_clash(void **state) {
  (void)state;
  struct router *router =
      ROUTES("GET /u/{a}", "POST /u/{a}", "HEAD /u/{a}", "GET /u/{a:int}", "GET /u/{a:float}",
             "GET /u/{a:uuid}", "GET /u/{a:path}", "GET /u/{a}/", "GET /u/a", "OPTIONS /u/{a}");
  router_destroy(router);
}

static void pattern_problems_are_reported(void **state) {
  (void)state;
  struct router_problem problem;
  struct router *router = router_create();
  assert_int_equal(add(router, "GET a", 0, &problem), ROUTER_BAD_PATTERN);
  assert_string_equal(problem.message, "pattern \"a\": must begin with a slash");
  assert_int_equal(add(router, "GET /{a:path}/b", 0, &problem), ROUTER_BAD_PATTERN);
  assert_int_equal(add(router, "TRACE /a", 0, &problem), ROUTER_BAD_PATTERN);
  assert_string_equal(problem.message, "pattern \"/a\": no route can have the method TRACE");
  assert_int_equal(add(router, "BREW /a", 0, &problem), ROUTER_BAD_PATTERN);
  assert_int_equal(get(router, "/a"), MATCH_NONE);
  router_destroy(router);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(static_paths),
      cmocka_unit_test(an_empty_router_knows_nothing),
      cmocka_unit_test(text_parameters),
      cmocka_unit_test(path_parameters),
      cmocka_unit_test(the_names_are_those_of_the_route),
      cmocka_unit_test(as_many_parameters_as_allowed),
      cmocka_unit_test(static_beats_parameter_beats_path),
      cmocka_unit_test(typed_beats_plain),
      cmocka_unit_test(the_leftmost_segment_decides),
      cmocka_unit_test(a_dead_end_gives_way),
      cmocka_unit_test(a_branch_without_the_method_gives_way),
      cmocka_unit_test(other_methods_are_named),
      cmocka_unit_test(head_is_served_by_get),
      cmocka_unit_test(options_has_a_result_of_its_own),
      cmocka_unit_test(the_other_slash_form_is_noticed),
      cmocka_unit_test(a_known_path_is_not_sent_to_the_other_form),
      cmocka_unit_test(the_root_has_one_form),
      cmocka_unit_test(an_encoded_slash_is_no_slash),
      cmocka_unit_test(a_malformed_escape_is_a_percent_sign),
      cmocka_unit_test(the_same_pattern_twice_is_a_clash),
      cmocka_unit_test(different_patterns_do_not_clash),
      cmocka_unit_test(pattern_problems_are_reported),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
