/* number.h - numbers as text, the same on every machine and in every locale.
 *
 * Integers in decimal; floats in the shortest form that reads back as the same float and that
 * cannot be taken for an integer (it has a '.' or an 'e'). No terminator is written. */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Bytes that the longest number needs. */
#define NUMBER_TEXT_BYTES_MAX 32

#ifdef __cplusplus
extern "C" {
#endif

/* [any thread] Writes `value` to `out` (NUMBER_TEXT_BYTES_MAX bytes) and gives the length. */
size_t number_format_integer(char *out, int64_t value);

/* [any thread] Writes `value`, which is finite, to `out` (NUMBER_TEXT_BYTES_MAX bytes) and gives
 * the length: `5.0`, `0.1`, `1e+300`, `-0.0`. A valid JSON number and Lua float. */
size_t number_format_float(char *out, double value);

#ifdef __cplusplus
}
#endif

#endif
