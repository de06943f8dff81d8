/* method.h - the request methods: one table, from which enum, names and bits are made.
 *
 * Methods that routes can have come first, so that they index small arrays; CONNECT and TRACE are
 * known (405 rather than 501) but never routed. Names are case-sensitive (RFC 9110, 9.1). */
#ifndef HTTP_METHOD_H
#define HTTP_METHOD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define METHOD_LIST_ROUTABLE(X) X(GET) X(HEAD) X(POST) X(PUT) X(PATCH) X(DELETE) X(OPTIONS)
#define METHOD_LIST(X)          METHOD_LIST_ROUTABLE(X) X(CONNECT) X(TRACE)

#define METHOD_ENUM(name) METHOD_##name,
enum method {
  METHOD_LIST(METHOD_ENUM) METHOD_UNKNOWN /* none of the table; its value is how many there are */
};
#undef METHOD_ENUM

/* Methods below it can have routes. */
#define METHOD_ROUTABLE_COUNT METHOD_CONNECT

static_assert(METHOD_UNKNOWN <= 32, "a set of methods is one uint32_t");

/* [any thread] The bit of `method` in a set of methods. */
static inline uint32_t method_bit(enum method method) {
  return UINT32_C(1) << (unsigned)method;
}

/* [any thread] The method's name, terminated; "UNKNOWN" for METHOD_UNKNOWN. */
static inline const char *method_name(enum method method) {
  switch (method) {
#define METHOD_NAME(name)                                                                          \
case METHOD_##name:                                                                                \
  return #name;
    METHOD_LIST(METHOD_NAME)
#undef METHOD_NAME
  case METHOD_UNKNOWN:
    break;
  }
  return "UNKNOWN";
}

/* [any thread] The method called `name`, METHOD_UNKNOWN if there is none. */
static inline enum method method_find(const char *name, size_t len) {
#define METHOD_IS(known)                                                                           \
  if (len == sizeof(#known) - 1 && memcmp(name, #known, len) == 0) return METHOD_##known;
  METHOD_LIST(METHOD_IS)
#undef METHOD_IS
  return METHOD_UNKNOWN;
}

#endif
