/* fuzz.h - what the fuzz targets share: libFuzzer's entry point, and taking an input apart.
 *
 * Each target is one function over one input that must return whatever the bytes are; a broken
 * promise is an assert. No target keeps anything from input to input. spec/c/fuzz_corpus_spec.c
 * runs the same functions over the corpora, where the build has renamed the entry point. */
#ifndef SPEC_FUZZ_H
#define SPEC_FUZZ_H

#include "base/base.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Always 0: the input is of interest if it reaches new code. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is left of an input. */
struct input {
  const char *at, *end;
};

static inline struct input input_of(const uint8_t *data, size_t len) {
  const char *at = len ? (const char *)data : "";
  return (struct input){at, at + len};
}

static inline size_t input_left(const struct input *input) {
  return (size_t)(input->end - input->at);
}

/* The next byte; 0 at the end. */
static inline uint8_t input_byte(struct input *input) {
  return input->at < input->end ? (uint8_t)*input->at++ : 0;
}

/* The next bytes, `len` of them or what is left. */
static inline struct slice input_take(struct input *input, size_t len) {
  if (len > input_left(input)) len = input_left(input);
  struct slice taken = {input->at, len};
  input->at += len;
  return taken;
}

/* The bytes up to the next line break, which is skipped. */
static inline struct slice input_line(struct input *input) {
  const char *found = input_left(input) ? memchr(input->at, '\n', input_left(input)) : NULL;
  struct slice line = input_take(input, (size_t)((found ? found : input->end) - input->at));
  if (found) input->at++;
  return line;
}

static inline bool is_inside(struct slice inner, struct slice outer) {
  return inner.data >= outer.data && inner.data + inner.len <= outer.data + outer.len;
}

static inline bool has_byte(struct slice text, char byte) {
  return text.len > 0 && memchr(text.data, byte, text.len) != NULL;
}

#endif
