/* fuzz_corpus_spec.c - the fuzz targets of spec/fuzz over their corpora, without a fuzzer.
 *
 * Every file of spec/fuzz/corpus/NAME is one input of the target NAME; a promise that does not hold
 * ends the program, with the file's name as the last line. Inputs stand in blocks of exactly their
 * size, so that the address sanitizer sees a read past the end. */
#include "base/base.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TARGETS(X)                                                                                 \
  X(escape_fuzz)                                                                                   \
  X(file_fuzz)                                                                                     \
  X(form_fuzz)                                                                                     \
  X(json_fuzz)                                                                                     \
  X(multipart_fuzz)                                                                                \
  X(negotiation_fuzz) X(pattern_fuzz) X(proxy_fuzz) X(request_fuzz) X(transfer_fuzz) X(uri_fuzz)

#define DECLARE(target) int target(const uint8_t *data, size_t len);
TARGETS(DECLARE)
#undef DECLARE

enum { PATH_BYTES_MAX = 4096, INPUT_BYTES_MAX = 64 * 1024 };

typedef int (*target_fn)(const uint8_t *data, size_t len);

static void run_file(target_fn target, const char *path) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  uint8_t *data = memory_alloc(INPUT_BYTES_MAX);
  size_t len = fread(data, 1, INPUT_BYTES_MAX, file);
  assert_true(feof(file));
  (void)fclose(file);
  data = memory_resize(data, len ? len : 1);
  print_error("%s\n", path);
  assert_int_equal(target(data, len), 0);
  free(data);
}

static int is_shown(const struct dirent *entry) {
  return entry->d_name[0] != '.';
}

static void run_corpus(const char *name, target_fn target) {
  char directory[PATH_BYTES_MAX / 2], path[PATH_BYTES_MAX];
  struct dirent **entries;
  (void)snprintf(directory, sizeof directory, "%s/%s", FUZZ_CORPUS, name);
  int count = scandir(directory, &entries, is_shown, alphasort);
  assert_true(count > 0);
  for (int i = 0; i < count; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
    run_file(target, path);
    free(entries[i]);
  }
  free(entries);
}

#define DEFINE(target)                                                                             \
  static void target##_corpus(void **state) {                                                      \
    (void)state;                                                                                   \
    run_corpus(#target, target);                                                                   \
  }
TARGETS(DEFINE)
#undef DEFINE

int main(void) {
#define TEST(target) cmocka_unit_test(target##_corpus),
  const struct CMUnitTest tests[] = {TARGETS(TEST)};
#undef TEST
  return cmocka_run_group_tests(tests, NULL, NULL);
}
