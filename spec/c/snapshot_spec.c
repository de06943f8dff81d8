/* snapshot_spec.c - files as they were when first read, the same text for every thread.
 *
 * Works in a temporary directory of its own, removed at the end. */
#include "core/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

struct site {
  char dir[64];
  struct snapshot *snapshot;
};

static const char *const paths[] = {"app.lua", "models/user.lua", "empty.lua", "big.lua",
                                    "late.lua"};

static void write_file(const struct site *site, const char *path, const char *text, size_t len) {
  char full[128];
  snprintf(full, sizeof full, "%s/%s", site->dir, path);
  FILE *file = fopen(full, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(text, 1, len, file), len);
  assert_int_equal(fclose(file), 0);
}

static void remove_file(const struct site *site, const char *path) {
  char full[128];
  snprintf(full, sizeof full, "%s/%s", site->dir, path);
  remove(full);
}

static int start_site(void **state) {
  struct site *site = memory_alloc_zero(sizeof *site);
  char models[128];
  snprintf(site->dir, sizeof site->dir, "/tmp/perilune-snapshot-XXXXXX");
  assert_non_null(mkdtemp(site->dir));
  snprintf(models, sizeof models, "%s/models", site->dir);
  assert_int_equal(mkdir(models, 0700), 0);
  write_file(site, "app.lua", "return 1\0\n", 10);
  write_file(site, "models/user.lua", "return 'user'", 13);
  write_file(site, "empty.lua", "", 0);
  site->snapshot = snapshot_create(site->dir);
  *state = site;
  return 0;
}

static int stop_site(void **state) {
  struct site *site = *state;
  for (size_t i = 0; i < array_len(paths); i++) remove_file(site, paths[i]);
  remove_file(site, "models");
  rmdir(site->dir);
  snapshot_destroy(site->snapshot);
  free(site);
  return 0;
}

static void expect_text(const struct site *site, const char *path, const char *text, size_t len) {
  struct slice found;
  assert_true(snapshot_read(site->snapshot, path, &found));
  assert_int_equal(found.len, len);
  assert_memory_equal(found.data, text, len);
}

static void reads_files(void **state) {
  struct site *site = *state;
  expect_text(site, "app.lua", "return 1\0\n", 10);
  expect_text(site, "models/user.lua", "return 'user'", 13);
  expect_text(site, "empty.lua", "", 0);
}

static void keeps_the_text_when_the_file_changes(void **state) {
  struct site *site = *state;
  struct slice first, again;
  assert_true(snapshot_read(site->snapshot, "app.lua", &first));
  write_file(site, "app.lua", "other text", 10);
  assert_true(snapshot_read(site->snapshot, "app.lua", &again));
  assert_ptr_equal(again.data, first.data);
  expect_text(site, "app.lua", "return 1\0\n", 10);
  remove_file(site, "app.lua");
  expect_text(site, "app.lua", "return 1\0\n", 10);
  struct snapshot *fresh = snapshot_create(site->dir); /* the next generation */
  assert_false(snapshot_read(fresh, "app.lua", &again));
  snapshot_destroy(fresh);
}

static void has_no_text_of_what_is_no_file(void **state) {
  struct site *site = *state;
  struct slice text = {"untouched", 9};
  assert_false(snapshot_read(site->snapshot, "missing.lua", &text));
  assert_false(snapshot_read(site->snapshot, "models", &text));
  assert_false(snapshot_read(site->snapshot, "models/missing.lua", &text));
  assert_false(snapshot_read(site->snapshot, "app.lua/x", &text));
  assert_string_equal(text.data, "untouched");
  write_file(site, "late.lua", "late", 4); /* missing is not remembered */
  expect_text(site, "late.lua", "late", 4);
}

static void names_its_directory(void **state) {
  struct site *site = *state;
  char here[4096], below[4200];
  assert_string_equal(snapshot_dir(site->snapshot), site->dir);
  assert_string_equal(snapshot_shown_dir(site->snapshot), site->dir);
  assert_non_null(getcwd(here, sizeof here));
  static const struct {
    const char *suffix, *shown; /* shown NULL: all of it */
  } cases[] = {{"/apps/hello", "apps/hello"}, {"", NULL}, {"/", NULL}, {"-other/x", NULL}};
  for (size_t i = 0; i < array_len(cases); i++) {
    snprintf(below, sizeof below, "%s%s", here, cases[i].suffix);
    struct snapshot *snapshot = snapshot_create(below);
    const char *shown = cases[i].shown ? cases[i].shown : below;
    assert_string_equal(snapshot_shown_dir(snapshot), shown);
    assert_string_equal(snapshot_dir(snapshot), below);
    snapshot_destroy(snapshot);
  }
  snapshot_destroy(NULL);
}

/* ---- many threads ---- */

enum { THREADS = 8, READS = 500, BIG_BYTES = 300000 };

struct reader {
  uv_thread_t thread;
  struct site *site;
  const char *first; /* the text that this thread got */
};

static void read_often(void *context) {
  struct reader *reader = context;
  for (int i = 0; i < READS; i++) {
    struct slice big, small;
    assert_true(snapshot_read(reader->site->snapshot, "big.lua", &big));
    assert_true(snapshot_read(reader->site->snapshot, "models/user.lua", &small));
    assert_false(snapshot_read(reader->site->snapshot, "missing.lua", &small));
    if (!reader->first) reader->first = big.data;
    assert_ptr_equal(big.data, reader->first);
    assert_int_equal(big.len, BIG_BYTES);
    assert_int_equal(big.data[i], 'a' + i % 26);
  }
}

static void gives_many_threads_one_text(void **state) {
  struct site *site = *state;
  struct reader readers[THREADS];
  char *text = memory_alloc(BIG_BYTES);
  for (int i = 0; i < BIG_BYTES; i++) text[i] = (char)('a' + i % 26);
  write_file(site, "big.lua", text, BIG_BYTES);
  free(text);
  for (int i = 0; i < THREADS; i++) {
    readers[i] = (struct reader){.site = site};
    assert_int_equal(uv_thread_create(&readers[i].thread, read_often, &readers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    uv_thread_join(&readers[i].thread);
    assert_ptr_equal(readers[i].first, readers[0].first);
  }
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_site, stop_site)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(reads_files),
      test(keeps_the_text_when_the_file_changes),
      test(has_no_text_of_what_is_no_file),
      test(names_its_directory),
      test(gives_many_threads_one_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
