/* router.h - which route a path belongs to.
 *
 * The table is built by one thread and then only read: router_match takes a const router, so any
 * number of threads may match at once without a lock. Static text beats a parameter, a typed
 * parameter ({x:int}, {x:uuid}, {x:float}) beats a plain one, and that beats {x:path}, segment by
 * segment from the left; a branch that dead-ends, or that lacks the method, gives way to the next.
 *
 * The path is matched raw: literal text is compared with the percent-decoded bytes, but "%2F" never
 * separates segments and never equals a '/'. Nothing is known of handlers, requests or hosts: a
 * route is an index that the caller chose. */
#ifndef HTTP_ROUTER_H
#define HTTP_ROUTER_H

#include "base/base.h"
#include "base/limits.h"
#include "http/method.h"
#include "http/pattern.h"

#include <stdbool.h>

/* Room for a pattern and what is wrong with it; a longer message is cut. */
#define ROUTER_MESSAGE_BYTES (PATTERN_BYTES_MAX + 256)

struct router;

enum router_error {
  ROUTER_OK = 0,
  ROUTER_BAD_PATTERN, /* or a method that cannot have routes */
  ROUTER_CLASH        /* the same method and pattern are there already */
};

struct router_problem {
  char message[ROUTER_MESSAGE_BYTES]; /* one line, terminated */
  uint32_t clash_route;               /* ROUTER_CLASH: the route that was there first */
};

struct match_param {
  struct slice name;  /* owned by the router */
  struct slice value; /* part of the path, raw: decode with uri_decode */
  enum param_kind kind;
  union {
    int64_t integer; /* PARAM_INT */
    double number;   /* PARAM_FLOAT */
  };
};

enum match_result {
  MATCH_FOUND,   /* route and params are set */
  MATCH_NONE,    /* no route has this path */
  MATCH_METHOD,  /* the path is known, the method is not: `allowed` is set */
  MATCH_OPTIONS, /* the same, and the method is OPTIONS */
  MATCH_SLASH    /* unknown as it is; known with a slash added to its end, or taken from it */
};

struct match {
  uint32_t route;
  uint32_t allowed; /* set of method_bit: with GET also HEAD, and always OPTIONS */
  uint32_t visited; /* nodes of the tree that were looked at: the work done */
  uint32_t param_count;
  struct match_param params[PATTERN_PARAMS_MAX]; /* in the order of the pattern */
};

/* [owner] An empty router; the caller owns it. */
struct router *router_create(void);

/* [owner] Frees the router and the names that matches point to. Accepts NULL. */
void router_destroy(struct router *router);

/* [owner] Adds a route. Patterns are the same if only the names of their parameters differ. On an
 * error the router is unchanged and `problem` says what is wrong. */
enum router_error router_add(struct router *router, enum method method, const char *pattern,
                             size_t len, uint32_t route, struct router_problem *problem);

/* [any thread] Finds the route of `method` and the raw path (no query), without allocating. HEAD is
 * served by the GET route of a pattern that has no HEAD route. Every node of the tree is looked at
 * no more than once, and depth is bounded by the longest pattern, whatever the path. */
enum match_result router_match(const struct router *router, enum method method, const char *path,
                               size_t len, struct match *out);

#endif
