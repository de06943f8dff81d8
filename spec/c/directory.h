/* directory.h - a directory of its own for a C spec, and what is in it.
 *
 * Made below /tmp, removed with all its files by who made it. Included by one spec file each, so
 * everything is static. */
#ifndef SPEC_DIRECTORY_H
#define SPEC_DIRECTORY_H

#include "base/base.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <setjmp.h>

#include <cmocka.h>

enum { PATH_BYTES = 512 };

struct directory {
  char path[64];
};

static inline void directory_make(struct directory *directory) {
  snprintf(directory->path, sizeof directory->path, "/tmp/perilune-spec-XXXXXX");
  assert_non_null(mkdtemp(directory->path));
}

static inline void directory_remove(const struct directory *directory) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", directory->path);
  assert_int_equal(system(command), 0);
}

/* How many names there are in it. */
static inline int directory_count(const char *path) {
  DIR *listing = opendir(path);
  int count = 0;
  assert_non_null(listing);
  for (struct dirent *entry; (entry = readdir(listing));)
    if (entry->d_name[0] != '.') count++;
  closedir(listing);
  return count;
}

static inline void directory_join(char out[PATH_BYTES], const struct directory *directory,
                                  const char *name) {
  snprintf(out, PATH_BYTES, "%s/%s", directory->path, name);
}

static inline bool file_exists(const char *path) {
  return access(path, F_OK) == 0;
}

static inline void assert_file(const char *path, const void *content, size_t len) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  char *text = malloc(len + 1);
  assert_int_equal(fread(text, 1, len + 1, file), len);
  if (len) assert_memory_equal(text, content, len);
  free(text);
  fclose(file);
}

/* For specs whose state is a directory, and nothing else. */
static inline int directory_start(void **state) {
  struct directory *directory = memory_alloc_zero(sizeof *directory);
  directory_make(directory);
  *state = directory;
  return 0;
}

static inline int directory_stop(void **state) {
  directory_remove(*state);
  free(*state);
  return 0;
}

#define directory_test(name) cmocka_unit_test_setup_teardown(name, directory_start, directory_stop)

#endif
