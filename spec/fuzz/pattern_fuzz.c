/* pattern_fuzz.c - routes with any patterns, matched against any paths.
 *
 * An input is lines: '+', a byte for the method and a pattern to add; or another byte, a method and
 * a path to match. Nothing may crash, a match stays inside its path, and the walk never looks at
 * more nodes than the tree has. Plain patterns must be found by their own text. */
#include "fuzz.h"
#include "http/router.h"

#include <stdlib.h>

struct table {
  struct router *router;
  uint32_t route_count;
  size_t nodes_max; /* that the patterns can have made */
};

/* '0' is GET. */
static enum method method_of(uint8_t byte) {
  return (enum method)((uint8_t)(byte - '0') % (METHOD_UNKNOWN + 1));
}

static enum match_result match(const struct table *table, enum method method, struct slice path,
                               struct match *out) {
  enum match_result result = router_match(table->router, method, path.data, path.len, out);
  assert(out->visited <= table->nodes_max);
  if (result == MATCH_METHOD || result == MATCH_OPTIONS) assert(out->allowed != 0);
  if (result != MATCH_FOUND) return result;
  assert(out->route < table->route_count);
  assert(out->param_count <= PATTERN_PARAMS_MAX);
  for (uint32_t i = 0; i < out->param_count; i++) {
    const struct match_param *param = &out->params[i];
    assert(param->name.len > 0 && param->value.len > 0 && is_inside(param->value, path));
    if (param->kind != PARAM_PATH) assert(!has_byte(param->value, '/'));
  }
  return result;
}

/* What was taken apart covers the text, but for braces and converters. */
static void check_pieces(const struct pattern *pattern, struct slice text) {
  const char *at = text.data;
  assert(pattern->param_count <= PATTERN_PARAMS_MAX);
  for (size_t i = 0; i < pattern->piece_count; i++) {
    const struct pattern_piece *piece = &pattern->pieces[i];
    assert(piece->text.len > 0 && is_inside(piece->text, text) && piece->text.data >= at);
    at = piece->text.data + piece->text.len;
  }
}

static void add(struct table *table, enum method method, struct slice text) {
  struct router_problem problem;
  struct pattern pattern;
  struct match found;
  enum router_error error =
      router_add(table->router, method, text.data, text.len, table->route_count, &problem);
  if (error != ROUTER_OK) {
    assert(strnlen(problem.message, sizeof problem.message) < sizeof problem.message);
    assert(error != ROUTER_CLASH || problem.clash_route < table->route_count);
    return;
  }
  bool is_pattern = pattern_parse(&pattern, text, problem.message, sizeof problem.message);
  assert(is_pattern);
  check_pieces(&pattern, text);
  uint32_t route = table->route_count++;
  table->nodes_max += 2 * pattern.piece_count; /* a literal may split a node */
  if (pattern.param_count > 0 || has_byte(text, '%')) return;
  assert(match(table, method, text, &found) == MATCH_FOUND && found.route == route);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct table table = {.router = router_create(), .nodes_max = 1};
  struct input input = input_of(data, len);
  while (input_left(&input)) {
    struct slice line = input_line(&input);
    struct input rest = {line.data, line.data + line.len};
    bool is_pattern = input_byte(&rest) == '+';
    enum method method = method_of(input_byte(&rest));
    size_t left = input_left(&rest);
    char *exact = memory_resize(NULL, left + !left); /* reading past it is seen */
    if (left) memcpy(exact, rest.at, left);
    struct slice text = {exact, left};
    struct match found;
    if (is_pattern)
      add(&table, method, text);
    else
      match(&table, method, text, &found);
    free(exact);
  }
  router_destroy(table.router);
  return 0;
}
