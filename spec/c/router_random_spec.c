/* router_random_spec.c - the router against a naive matcher, and against hostile paths.
 *
 * The naive matcher splits a path into segments, tries every route on it and compares the kinds of
 * their segments from the left. Tables and paths come from a generator with a fixed seed and few
 * words, so that routes overlap a lot. Work is counted in visited nodes, never in time. */
#include "http/router.h"
#include "http/uri.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEGMENTS_MAX     4
#define TEXT_MAX         256
#define HOSTILE_PATH_LEN ((size_t)64 * 1024)

struct random {
  uint64_t state;
};

static uint32_t random_below(struct random *random, uint32_t bound) {
  random->state = random->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (uint32_t)(random->state >> 33) % bound;
}

/* The naive matcher */

enum { RANK_STATIC = -1 }; /* below every param_kind */

struct naive_segment {
  int rank; /* RANK_STATIC or an enum param_kind */
  char text[16];
};

struct naive_route {
  enum method method;
  size_t count;
  struct naive_segment segments[SEGMENTS_MAX + 1]; /* a slash at the end is an empty one */
  char pattern[TEXT_MAX];
};

struct naive_table {
  struct naive_route *routes;
  size_t count;
};

struct naive_match {
  enum match_result result;
  uint32_t allowed;
  size_t route;
};

static bool converts(int kind, const char *text, size_t len) {
  char *end;
  errno = 0;
  if (len == 0 || strlen(text) != len) return false;
  if (kind == PARAM_INT) {
    (void)strtoll(text, &end, 10);
    return *end == '\0' && errno == 0 && strspn(text, "-0123456789") == len;
  }
  if (kind == PARAM_FLOAT) {
    double value = strtod(text, &end);
    return *end == '\0' && strspn(text, "-+.eE0123456789") == len && value - value == 0 &&
           text[0] != '+' && text[0] != '.' && text[len - 1] != '.';
  }
  static const char shape[] = "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh";
  if (len != strlen(shape)) return false;
  for (size_t i = 0; i < len; i++)
    if (shape[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i])) return false;
  return true;
}

static bool segment_matches(const struct naive_segment *segment, const char *raw, size_t len) {
  char decoded[TEXT_MAX];
  size_t decoded_len = uri_decode(decoded, raw, len, false);
  decoded[decoded_len] = '\0';
  if (segment->rank == PARAM_TEXT) return len > 0;
  if (segment->rank != RANK_STATIC) return converts(segment->rank, decoded, decoded_len);
  bool has_slash = memchr(decoded, '/', decoded_len) != NULL;
  return !has_slash && decoded_len == strlen(segment->text) &&
         memcmp(decoded, segment->text, decoded_len) == 0;
}

static bool route_matches(const struct naive_route *route, const char *path) {
  if (*path != '/') return false;
  for (size_t i = 0; i < route->count; i++) {
    if (*path != '/') return false;
    size_t len = strcspn(++path, "/");
    if (route->segments[i].rank == PARAM_PATH) return *path != '\0';
    if (!segment_matches(&route->segments[i], path, len)) return false;
    path += len;
  }
  return *path == '\0';
}

/* Negative if `a` wins over `b` for a path that both match. */
static int compare_routes(const struct naive_route *a, const struct naive_route *b) {
  for (size_t i = 0; i < a->count && i < b->count; i++)
    if (a->segments[i].rank != b->segments[i].rank)
      return a->segments[i].rank - b->segments[i].rank;
  return 0;
}

static bool is_same_pattern(const struct naive_route *a, const struct naive_route *b) {
  if (a->count != b->count || compare_routes(a, b) != 0) return false;
  for (size_t i = 0; i < a->count; i++)
    if (a->segments[i].rank == RANK_STATIC && strcmp(a->segments[i].text, b->segments[i].text) != 0)
      return false;
  return true;
}

static bool serves(const struct naive_route *route, enum method method) {
  return route->method == method || (method == METHOD_HEAD && route->method == METHOD_GET);
}

static bool wins(const struct naive_route *route, const struct naive_route *best,
                 enum method method) {
  if (!best) return true;
  int order = compare_routes(route, best);
  return order < 0 || (order == 0 && route->method == method && best->method != method);
}

static bool is_known(const struct naive_table *table, const char *path) {
  for (size_t i = 0; i < table->count; i++)
    if (route_matches(&table->routes[i], path)) return true;
  return false;
}

static bool is_other_form_known(const struct naive_table *table, const char *path) {
  char other[TEXT_MAX];
  size_t len = strlen(path);
  bool has_slash = len > 0 && path[len - 1] == '/';
  (void)snprintf(other, sizeof other, "%.*s%s", (int)(has_slash ? len - 1 : len), path,
                 has_slash ? "" : "/");
  return is_known(table, other);
}

static struct naive_match naive_find(const struct naive_table *table, enum method method,
                                     const char *path) {
  struct naive_match out = {.result = MATCH_NONE};
  const struct naive_route *best = NULL;
  for (size_t i = 0; i < table->count; i++) {
    const struct naive_route *route = &table->routes[i];
    if (!route_matches(route, path)) continue;
    out.allowed |= method_bit(route->method) | method_bit(METHOD_OPTIONS);
    if (route->method == METHOD_GET) out.allowed |= method_bit(METHOD_HEAD);
    if (serves(route, method) && wins(route, best, method)) best = route;
  }
  if (best) {
    out.result = MATCH_FOUND;
    out.route = (size_t)(best - table->routes);
  } else if (out.allowed) {
    out.result = method == METHOD_OPTIONS ? MATCH_OPTIONS : MATCH_METHOD;
  } else if (is_other_form_known(table, path)) {
    out.result = MATCH_SLASH;
  }
  return out;
}

/* Random tables and paths */

static enum method random_method(struct random *random) {
  return (enum method)random_below(random, METHOD_ROUTABLE_COUNT);
}

static void random_route(struct random *random, struct naive_route *route) {
  static const char *const words[] = {"a", "ab", "abc", "b", "ba", "5", "x y", "caf\xc3\xa9", "%"};
  static const char *const converters[] = {":int", ":uuid", ":float", "", ":path"};
  size_t count = random_below(random, SEGMENTS_MAX) + 1;
  size_t at = 0;
  *route = (struct naive_route){.method = random_method(random)};
  for (size_t i = 0; i < count; i++) {
    struct naive_segment *segment = &route->segments[route->count++];
    bool is_static = random_below(random, 2) == 0;
    uint32_t kinds = i + 1 == count ? PARAM_KIND_COUNT : PARAM_PATH;
    const char *word = words[random_below(random, array_len(words))];
    int kind = (int)random_below(random, kinds);
    segment->rank = is_static ? RANK_STATIC : kind;
    char *text = route->pattern + at;
    size_t room = sizeof route->pattern - at;
    if (is_static) {
      (void)snprintf(segment->text, sizeof segment->text, "%s", word);
      at += (size_t)snprintf(text, room, "/%s", word);
    } else {
      at +=
          (size_t)snprintf(text, room, "/{p%u%s}", random_below(random, 1000000), converters[kind]);
    }
  }
  bool is_last_path = route->segments[count - 1].rank == PARAM_PATH;
  if (is_last_path || random_below(random, 5) != 0) return;
  route->segments[route->count++] = (struct naive_segment){.rank = RANK_STATIC};
  route->pattern[at] = '/';
}

static void random_path(struct random *random, char *path, size_t bytes) {
  static const char *const words[] = {"a",
                                      "ab",
                                      "abc",
                                      "b",
                                      "ba",
                                      "%61",
                                      "a%62",
                                      "%62a",
                                      "5",
                                      "-7",
                                      "%35",
                                      "1.5",
                                      "1e3",
                                      "5.",
                                      "1e9999",
                                      "x%20y",
                                      "x y",
                                      "caf\xc3\xa9",
                                      "caf%C3%A9",
                                      "%",
                                      "%25",
                                      "%2F",
                                      "a%2fb",
                                      "%zz",
                                      "c",
                                      "",
                                      "aa",
                                      "99999999999999999999",
                                      "123e4567-e89b-12d3-a456-426614174000"};
  size_t count = random_below(random, SEGMENTS_MAX + 1) + (random_below(random, 50) != 0);
  size_t at = 0;
  path[0] = '\0';
  for (size_t i = 0; i < count; i++) {
    const char *word = words[random_below(random, array_len(words))];
    if (*word == '\0') word = words[random_below(random, array_len(words))];
    at += (size_t)snprintf(path + at, bytes - at, "/%s", word);
  }
  if (random_below(random, 5) == 0) (void)snprintf(path + at, bytes - at, "/");
}

/* Fills both with `count` routes; the clashes that the router reports have to be the naive ones. */
static void random_table(struct random *random, struct router *router, struct naive_table *table,
                         size_t count) {
  struct router_problem problem;
  while (table->count < count) {
    struct naive_route *route = &table->routes[table->count];
    size_t clash = 0;
    random_route(random, route);
    while (clash < table->count && !(table->routes[clash].method == route->method &&
                                     is_same_pattern(&table->routes[clash], route)))
      clash++;
    enum router_error error = router_add(router, route->method, route->pattern,
                                         strlen(route->pattern), (uint32_t)table->count, &problem);
    if (error == ROUTER_BAD_PATTERN) fail_msg("%s", problem.message);
    assert_int_equal(error, clash < table->count ? ROUTER_CLASH : ROUTER_OK);
    if (error == ROUTER_CLASH) assert_int_equal(problem.clash_route, clash);
    table->count += error == ROUTER_OK;
  }
}

/* The values have to be the segments that the route's parameters stand for. */
static void assert_values(const struct naive_route *route, const char *path,
                          const struct match *match) {
  size_t seen = 0;
  for (size_t i = 0; i < route->count; i++) {
    size_t len = strcspn(++path, "/");
    int rank = route->segments[i].rank;
    if (rank != RANK_STATIC) {
      const struct match_param *param = &match->params[seen++];
      assert_int_equal(param->kind, rank);
      assert_ptr_equal(param->value.data, path);
      assert_int_equal(param->value.len, rank == PARAM_PATH ? strlen(path) : len);
      assert_int_equal(param->name.data[0], 'p');
      assert_non_null(strstr(route->pattern, param->name.data + 1));
    }
    path += len;
  }
  assert_int_equal(match->param_count, seen);
}

static void compare(const struct router *router, const struct naive_table *table,
                    enum method method, const char *path) {
  struct match match;
  struct naive_match naive = naive_find(table, method, path);
  enum match_result result = router_match(router, method, path, strlen(path), &match);
  if (result != naive.result)
    fail_msg("%s %s: %d, naively %d", method_name(method), path, (int)result, (int)naive.result);
  if (result == MATCH_METHOD || result == MATCH_OPTIONS)
    assert_int_equal(match.allowed, naive.allowed);
  if (result != MATCH_FOUND) return;
  if (match.route != naive.route)
    fail_msg("%s %s: %s, naively %s", method_name(method), path, table->routes[match.route].pattern,
             table->routes[naive.route].pattern);
  assert_values(&table->routes[naive.route], path, &match);
}

static void run_random(struct random *random, size_t route_count, size_t path_count,
                       size_t seen[]) {
  struct naive_table table = {.routes = calloc(route_count, sizeof(struct naive_route))};
  struct router *router = router_create();
  random_table(random, router, &table, route_count);
  for (size_t i = 0; i < path_count; i++) {
    char path[TEXT_MAX];
    struct match match;
    enum method method = (enum method)random_below(random, METHOD_UNKNOWN + 1);
    random_path(random, path, sizeof path);
    compare(router, &table, method, path);
    seen[router_match(router, method, path, strlen(path), &match)]++;
  }
  router_destroy(router);
  free(table.routes);
}

static void agrees_with_the_naive_matcher(void **state) {
  (void)state;
  struct random random = {20240229};
  size_t seen[MATCH_SLASH + 1] = {0};
  run_random(&random, 1000, 4000, seen);
  for (size_t i = 0; i < 50; i++) run_random(&random, 3 + 2 * i, 500, seen);
  for (size_t i = 0; i < array_len(seen); i++) assert_true(seen[i] > 100);
}

static void survives_any_bytes(void **state) {
  (void)state;
  static const char bytes[] = "/%2Fab{}:5-.\x80\xff";
  struct random random = {7};
  struct naive_table table = {.routes = calloc(200, sizeof(struct naive_route))};
  struct router *router = router_create();
  random_table(&random, router, &table, 200);
  for (size_t i = 0; i < 20000; i++) {
    char path[24] = "/";
    size_t len = random_below(&random, sizeof path - 2);
    for (size_t k = 0; k < len; k++) path[k + 1] = bytes[random_below(&random, sizeof bytes - 1)];
    compare(router, &table, METHOD_GET, path);
  }
  router_destroy(router);
  free(table.routes);
}

/* Hostile paths */

/* Three branches at every segment of a path of ones, and the end of every branch just missed.
 * Gives the router, and a bound on the number of its nodes. */
static struct router *build_bushy(size_t *nodes_max) {
  static const char *const segments[] = {"/1", "/{p%zu}", "/{p%zu:int}"};
  enum { DEPTH = 7, PATTERNS = 3 * 3 * 3 * 3 * 3 * 3 * 3 };
  struct router *router = router_create();
  struct router_problem problem;
  *nodes_max = 1;
  for (uint32_t i = 0; i < PATTERNS; i++) {
    char pattern[TEXT_MAX];
    size_t len = 0;
    uint32_t left = i;
    for (size_t depth = 0; depth < DEPTH; depth++, left /= 3) {
      const char *segment = segments[left % 3];
      size_t format_len = strcspn(segment, "%");
      memcpy(pattern + len, segment, format_len);
      len += format_len;
      if (segment[format_len] == '\0') continue;
      len += (size_t)snprintf(pattern + len, sizeof pattern - len, "%zu%s", depth,
                              segment + format_len + strlen("%zu"));
    }
    memcpy(pattern + len, "/end", 4);
    len += 4;
    assert_int_equal(router_add(router, METHOD_GET, pattern, len, i, &problem), ROUTER_OK);
    *nodes_max += len;
  }
  return router;
}

/* Matches a path of 64 KiB that repeats `unit`; gives how many nodes were visited. */
static uint32_t match_repeated(const struct router *router, const char *unit,
                               enum match_result expected) {
  struct match match;
  size_t unit_len = strlen(unit);
  char *path = malloc(HOSTILE_PATH_LEN);
  for (size_t i = 0; i < HOSTILE_PATH_LEN; i++) path[i] = unit[i % unit_len];
  enum match_result result = router_match(router, METHOD_GET, path, HOSTILE_PATH_LEN, &match);
  assert_int_equal(result, expected);
  free(path);
  return match.visited;
}

static void work_is_bounded_by_the_tree(void **state) {
  (void)state;
  static const char *const units[] = {"/1", "/1/1", "/", "//1", "/%31", "/%", "1", "/1.5", "/a"};
  size_t nodes_max;
  struct router *router = build_bushy(&nodes_max);
  for (size_t i = 0; i < array_len(units); i++)
    assert_true(match_repeated(router, units[i], MATCH_NONE) <= nodes_max);
  router_destroy(router);
}

static void work_does_not_grow_with_the_path(void **state) {
  (void)state;
  static const char *const patterns[] = {"/a/a/a/a/b", "/{a}/a/{b}/a/b", "/a/{a}/a/{b}/b",
                                         "/{a}/{b}/{c}/{d}/b"};
  struct router_problem problem;
  struct router *router = router_create();
  size_t nodes_max = 1;
  for (uint32_t i = 0; i < array_len(patterns); i++) {
    size_t len = strlen(patterns[i]);
    assert_int_equal(router_add(router, METHOD_GET, patterns[i], len, i, &problem), ROUTER_OK);
    nodes_max += len;
  }
  assert_true(match_repeated(router, "/a", MATCH_NONE) <= nodes_max);
  assert_int_equal(
      router_add(router, METHOD_GET, "/{rest:path}", strlen("/{rest:path}"), 9, &problem), 0);
  assert_true(match_repeated(router, "/a", MATCH_FOUND) <= nodes_max + 2);
  router_destroy(router);
}

static void the_deepest_tree_is_walked(void **state) {
  (void)state;
  char pattern[PATTERN_BYTES_MAX];
  struct router_problem problem;
  struct match match;
  struct router *router = router_create();
  memset(pattern, 'a', sizeof pattern);
  pattern[0] = '/';
  for (size_t len = sizeof pattern; len > 0; len--)
    assert_int_equal(router_add(router, METHOD_GET, pattern, len, (uint32_t)len, &problem), 0);
  for (size_t len = 1; len <= sizeof pattern; len++) {
    assert_int_equal(router_match(router, METHOD_GET, pattern, len, &match), MATCH_FOUND);
    assert_int_equal(match.route, len);
  }
  assert_int_equal(match_repeated(router, "/aaaaaaa", MATCH_NONE), 9);
  router_destroy(router);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agrees_with_the_naive_matcher),
      cmocka_unit_test(survives_any_bytes),
      cmocka_unit_test(work_is_bounded_by_the_tree),
      cmocka_unit_test(work_does_not_grow_with_the_path),
      cmocka_unit_test(the_deepest_tree_is_walked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
