/* router.c - a radix tree over the bytes of patterns, with parameters as branches of their own.
 *
 * Literal text is shared byte by byte; a parameter node stands for one whole segment (or the rest)
 * and so only ever follows a slash. The walk is depth first in order of precedence. As it is a tree
 * and a branch can take only one stretch of a path, no node is visited twice in one match: there
 * is no exponential path. Names belong to routes, not to nodes, so /u/{a} and /u/{b} are one. */
#include "http/router.h"

#include "http/uri.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "%2F" in a path: equal to no byte of a pattern. */
#define ENCODED_SLASH 256

#define ESCAPE_BYTES 3 /* "%XX" */
#define UUID_BYTES   36

/* What one method of one pattern leads to. */
struct endpoint {
  uint32_t route;
  char *pattern;      /* the names point into it */
  size_t pattern_len; /* bytes */
  struct slice names[PATTERN_PARAMS_MAX];
};

/* The end of a pattern. */
struct leaf {
  uint32_t allowed;
  struct endpoint *endpoints[METHOD_ROUTABLE_COUNT];
};

struct node {
  char *label; /* literal text; empty in the root and in parameters */
  size_t label_len;
  char *firsts; /* the first bytes of the children's labels, all different */
  struct node **children;
  size_t child_count;
  struct node *params[PARAM_KIND_COUNT];
  bool has_params;
  struct leaf *leaf;
};

struct router {
  struct node root;
  locale_t c_locale; /* a float has a point in it, whatever the process's locale says */
};

static struct node *create_node(const char *label, size_t len) {
  struct node *node = memory_alloc_zero(sizeof *node);
  node->label = memory_copy(label, len);
  node->label_len = len;
  return node;
}

static void destroy_leaf(struct leaf *leaf) {
  if (!leaf) return;
  for (size_t i = 0; i < METHOD_ROUTABLE_COUNT; i++) {
    if (!leaf->endpoints[i]) continue;
    free(leaf->endpoints[i]->pattern);
    free(leaf->endpoints[i]);
  }
  free(leaf);
}

static void destroy_node(struct node *node);

static void finish_node(struct node *node) {
  for (size_t i = 0; i < node->child_count; i++) destroy_node(node->children[i]);
  for (size_t i = 0; i < PARAM_KIND_COUNT; i++) destroy_node(node->params[i]);
  destroy_leaf(node->leaf);
  free(node->label);
  free(node->firsts);
  free(node->children);
}

static void destroy_node(struct node *node) {
  if (!node) return;
  finish_node(node);
  free(node);
}

struct router *router_create(void) {
  struct router *router = memory_alloc_zero(sizeof *router);
  router->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  assert(router->c_locale);
  return router;
}

void router_destroy(struct router *router) {
  if (!router) return;
  finish_node(&router->root);
  freelocale(router->c_locale);
  free(router);
}

/* Building */

static struct node *find_child(const struct node *node, int byte) {
  for (size_t i = 0; i < node->child_count; i++)
    if ((unsigned char)node->firsts[i] == byte) return node->children[i];
  return NULL;
}

static void add_child(struct node *node, struct node *child) {
  size_t count = node->child_count + 1;
  node->firsts = memory_resize(node->firsts, count);
  node->children = memory_resize(node->children, count * sizeof(struct node *));
  node->firsts[count - 1] = child->label[0];
  node->children[count - 1] = child;
  node->child_count = count;
}

/* Shortens the node's label to `len` bytes; what followed moves into a new only child. */
static void split_node(struct node *node, size_t len) {
  assert(len > 0 && len < node->label_len);
  struct node *tail = memory_alloc(sizeof *tail);
  *tail = *node;
  tail->label = memory_copy(node->label + len, node->label_len - len);
  tail->label_len = node->label_len - len;
  *node = (struct node){.label = node->label, .label_len = len};
  add_child(node, tail);
}

static size_t common_length(const struct node *node, struct slice text) {
  size_t len = 0;
  while (len < node->label_len && len < text.len && node->label[len] == text.data[len]) len++;
  return len;
}

static struct node *descend_literal(struct node *node, struct slice text) {
  while (text.len > 0) {
    struct node *child = find_child(node, (unsigned char)text.data[0]);
    if (!child) {
      child = create_node(text.data, text.len);
      add_child(node, child);
    }
    size_t len = common_length(child, text);
    if (len < child->label_len) split_node(child, len);
    text.data += len;
    text.len -= len;
    node = child;
  }
  return node;
}

static struct node *descend_param(struct node *node, enum param_kind kind) {
  if (!node->params[kind]) node->params[kind] = create_node("", 0);
  node->has_params = true;
  return node->params[kind];
}

static struct endpoint *create_endpoint(const struct pattern *parsed, struct slice text,
                                        uint32_t route) {
  struct endpoint *endpoint = memory_alloc_zero(sizeof *endpoint);
  endpoint->route = route;
  endpoint->pattern = memory_copy(text.data, text.len);
  endpoint->pattern_len = text.len;
  size_t count = 0;
  for (size_t i = 0; i < parsed->piece_count; i++) {
    struct slice name = parsed->pieces[i].text;
    if (!parsed->pieces[i].is_param) continue;
    name.data = endpoint->pattern + (name.data - text.data);
    endpoint->names[count++] = name;
  }
  return endpoint;
}

static enum router_error report_clash(struct router_problem *problem, enum method method,
                                      struct slice text, const struct endpoint *other) {
  problem->clash_route = other->route;
  (void)snprintf(problem->message, sizeof problem->message,
                 "pattern \"%.*s\": %s is there already, as \"%.*s\"", (int)text.len, text.data,
                 method_name(method), (int)other->pattern_len, other->pattern);
  return ROUTER_CLASH;
}

enum router_error router_add(struct router *router, enum method method, const char *pattern,
                             size_t len, uint32_t route, struct router_problem *problem) {
  struct slice text = {pattern, len};
  struct pattern parsed;
  if (!pattern_parse(&parsed, text, problem->message, sizeof problem->message))
    return ROUTER_BAD_PATTERN;
  if (method >= METHOD_ROUTABLE_COUNT) {
    (void)snprintf(problem->message, sizeof problem->message,
                   "pattern \"%.*s\": no route can have the method %s", (int)len, pattern,
                   method_name(method));
    return ROUTER_BAD_PATTERN;
  }
  struct node *node = &router->root;
  for (size_t i = 0; i < parsed.piece_count; i++) {
    const struct pattern_piece *piece = &parsed.pieces[i];
    node = piece->is_param ? descend_param(node, piece->kind) : descend_literal(node, piece->text);
  }
  if (!node->leaf) node->leaf = memory_alloc_zero(sizeof *node->leaf);
  struct endpoint **place = &node->leaf->endpoints[method];
  if (*place) return report_clash(problem, method, text, *place);
  *place = create_endpoint(&parsed, text, route);
  node->leaf->allowed |= method_bit(method) | method_bit(METHOD_OPTIONS);
  if (method == METHOD_GET) node->leaf->allowed |= method_bit(METHOD_HEAD);
  return ROUTER_OK;
}

/* Converting. `text` is a decoded segment, terminated behind its `len` bytes. */

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool convert_int(struct slice text, int64_t *out) {
  bool is_negative = text.data[0] == '-';
  int64_t value = 0;
  if (text.len == (size_t)is_negative) return false;
  for (size_t i = is_negative; i < text.len; i++) {
    if (!is_digit(text.data[i])) return false;
    int64_t digit = text.data[i] - '0';
    if (__builtin_mul_overflow(value, 10, &value)) return false;
    if (__builtin_add_overflow(value, is_negative ? -digit : digit, &value)) return false;
  }
  *out = value;
  return true;
}

static bool convert_uuid(struct slice text) {
  if (text.len != UUID_BYTES) return false;
  for (size_t i = 0; i < UUID_BYTES; i++) {
    char c = text.data[i];
    bool is_hyphen_place = i == 8 || i == 13 || i == 18 || i == 23;
    bool is_hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    if (is_hyphen_place ? c != '-' : !is_hex) return false;
  }
  return true;
}

static const char *skip_digits(const char *at) {
  while (is_digit(*at)) at++;
  return at;
}

/* The end of -?digits(.digits)?([eE][+-]?digits)?, NULL where that is not at `at`. What strtod
 * takes besides (hexadecimal, inf, nan, spaces) is no float in a path. */
static const char *skip_float(const char *at) {
  if (*at == '-') at++;
  const char *end = skip_digits(at);
  if (end == at) return NULL;
  if (*end == '.') {
    at = end + 1;
    end = skip_digits(at);
    if (end == at) return NULL;
  }
  if (*end == 'e' || *end == 'E') {
    at = end + 1;
    if (*at == '+' || *at == '-') at++;
    end = skip_digits(at);
    if (end == at) return NULL;
  }
  return end;
}

static bool convert_float(struct slice text, locale_t locale, double *out) {
  if (skip_float(text.data) != text.data + text.len) return false;
  *out = strtod_l(text.data, NULL, locale);
  return isfinite(*out);
}

/* Fills in the typed value of a raw segment; false if it does not convert. */
static bool convert(const struct router *router, enum param_kind kind, struct slice raw,
                    struct match_param *out) {
  char decoded[CONVERTED_BYTES_MAX + 1];
  if (kind == PARAM_TEXT || kind == PARAM_PATH) return true;
  if (raw.len > CONVERTED_BYTES_MAX) return false;
  struct slice text = {decoded, uri_decode(decoded, raw.data, raw.len, false)};
  decoded[text.len] = '\0';
  switch (kind) {
  case PARAM_INT:
    return convert_int(text, &out->integer);
  case PARAM_UUID:
    return convert_uuid(text);
  case PARAM_FLOAT:
    return convert_float(text, router->c_locale, &out->number);
  case PARAM_TEXT:
  case PARAM_PATH:
  case PARAM_KIND_COUNT:
    break;
  }
  return false;
}

/* Matching */

struct walk {
  const struct router *router;
  const char *end; /* of the path */
  enum method method;
  bool other_slash_form; /* some route has the path with its last slash added or taken away */
  struct match *match;
};

/* Reads one byte of the path, decoded, and moves past it. */
static int read_byte(const char **at, const char *end) {
  int escaped = UNLIKELY(**at == '%') ? uri_read_escape(*at, end) : -1;
  if (LIKELY(escaped < 0)) return (unsigned char)*(*at)++;
  *at += ESCAPE_BYTES;
  return escaped == '/' ? ENCODED_SLASH : escaped;
}

/* Where the path stands behind the node's label, NULL if it does not continue with it. */
static const char *skip_label(struct walk *walk, const struct node *node, const char *at) {
  for (size_t i = 0; i < node->label_len; i++) {
    if (at == walk->end) {
      bool lacks_slash = node->label[i] == '/' && i + 1 == node->label_len && node->leaf;
      walk->other_slash_form |= lacks_slash;
      return NULL;
    }
    if (read_byte(&at, walk->end) != (unsigned char)node->label[i]) return NULL;
  }
  return at;
}

/* The path ends where a pattern does: takes its route, if it has one for the method. */
static bool take_leaf(struct walk *walk, const struct leaf *leaf) {
  struct match *match = walk->match;
  const struct endpoint *endpoint = NULL;
  if (walk->method < METHOD_ROUTABLE_COUNT) endpoint = leaf->endpoints[walk->method];
  if (!endpoint && walk->method == METHOD_HEAD) endpoint = leaf->endpoints[METHOD_GET];
  match->allowed |= leaf->allowed;
  if (!endpoint) return false;
  match->route = endpoint->route;
  for (size_t i = 0; i < match->param_count; i++) match->params[i].name = endpoint->names[i];
  return true;
}

static bool visit(struct walk *walk, const struct node *node, const char *at);

static bool visit_params(struct walk *walk, const struct node *node, const char *at) {
  struct match *match = walk->match;
  size_t left = (size_t)(walk->end - at);
  const char *slash = memchr(at, '/', left);
  struct slice segment = {at, slash ? (size_t)(slash - at) : left};
  for (int kind = 0; kind < PARAM_KIND_COUNT; kind++) {
    const struct node *child = node->params[kind];
    struct match_param *param = &match->params[match->param_count];
    if (!child) continue;
    param->kind = (enum param_kind)kind;
    param->value = kind == PARAM_PATH ? (struct slice){at, left} : segment;
    if (param->value.len == 0 || !convert(walk->router, param->kind, param->value, param)) continue;
    match->param_count++;
    if (visit(walk, child, at + param->value.len)) return true;
    match->param_count--;
  }
  return false;
}

/* Tries what can follow `node`, with the path from `at` on still to be matched. */
static bool visit(struct walk *walk, const struct node *node, const char *at) {
  walk->match->visited++;
  bool is_end = at == walk->end;
  if (node->leaf) {
    if (is_end && take_leaf(walk, node->leaf)) return true;
    if (walk->end - at == 1 && *at == '/') walk->other_slash_form = true;
  }
  const char *next = at;
  int byte = is_end ? '/' : read_byte(&next, walk->end);
  const struct node *child = find_child(node, byte);
  const char *rest = child ? skip_label(walk, child, at) : NULL;
  if (rest && visit(walk, child, rest)) return true;
  return node->has_params && !is_end && visit_params(walk, node, at);
}

enum match_result router_match(const struct router *router, enum method method, const char *path,
                               size_t len, struct match *out) {
  struct walk walk = {.router = router, .end = path + len, .method = method, .match = out};
  out->route = 0;
  out->allowed = 0;
  out->visited = 0;
  out->param_count = 0;
  if (visit(&walk, &router->root, path)) return MATCH_FOUND;
  if (out->allowed) return method == METHOD_OPTIONS ? MATCH_OPTIONS : MATCH_METHOD;
  return walk.other_slash_form ? MATCH_SLASH : MATCH_NONE;
}
