/* base.h - the few words every file uses.
 *
 * Memory from memory_alloc never fails: a process that cannot have the small blocks C code asks
 * for cannot go on (sizes that come from outside are bounded by limits before they get here).
 * Lua states have an allocator of their own, with a limit: core/state.c. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stddef.h>
#include <stdint.h>

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define array_len(array)                (sizeof(array) / sizeof((array)[0]))

#if defined(__GNUC__)
#  define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#  define NO_RETURN              __attribute__((noreturn))
#  define LIKELY(x)              __builtin_expect(!!(x), 1)
#  define UNLIKELY(x)            __builtin_expect(!!(x), 0)
#else
#  define PRINTF_LIKE(at, first)
#  define NO_RETURN
#  define LIKELY(x)   (x)
#  define UNLIKELY(x) (x)
#endif

/* 0 or a negative libuv error code. */
typedef int uv_err;

/* A borrowed run of bytes: not owned, not terminated. */
struct slice {
  const char *data;
  size_t len;
};

/* [any thread] Memory for `size` bytes, uninitialised; the caller owns it (free()). Ends the
 * process when there is none. */
void *memory_alloc(size_t size);

/* [any thread] As memory_alloc, filled with zeros. */
void *memory_alloc_zero(size_t size);

/* [any thread] `old` (may be NULL) grown or shrunk to `size` bytes; the caller owns the result. */
void *memory_resize(void *old, size_t size);

/* [any thread] A terminated copy of `len` bytes; the caller owns it (free()). */
char *memory_copy(const char *data, size_t len);

#endif
