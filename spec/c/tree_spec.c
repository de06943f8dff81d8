/* tree_spec.c - walking, making and removing directories: depth, what vanishes, when to stop.
 *
 * What Lua code sees of it is in spec/apps/async/files.lua. */
#include "directory.h"

#include "base/limits.h"
#include "lib/tree.h"

/* The path of so many directories "d", one in the other. The caller owns it. */
static char *make_deep(const struct directory *directory, int levels) {
  size_t len = strlen(directory->path);
  char *path = memory_alloc_zero(len + 2 * (size_t)levels + 1);
  memcpy(path, directory->path, len);
  for (int i = 0; i < levels; i++) memcpy(path + len + 2 * i, "/d", 2);
  assert_int_equal(tree_make(path, 0755), 0);
  assert_true(file_exists(path));
  return path;
}

static void removes_to_a_depth(void **state) {
  char top[PATH_BYTES];
  directory_join(top, *state, "d");
  free(make_deep(*state, FS_DEPTH_MAX + 1));
  assert_int_equal(tree_remove(top, NULL), 0);
  assert_false(file_exists(top));
  char *path = make_deep(*state, FS_DEPTH_MAX + 10);
  assert_int_equal(tree_remove(top, NULL), UV_ENAMETOOLONG);
  assert_true(file_exists(path));
  free(path);
}

static void walks_to_any_depth(void **state) {
  enum { LEVELS = FS_DEPTH_MAX + 50 };
  struct directory *directory = *state;
  struct tree_walk walk = {.root = memory_copy(directory->path, strlen(directory->path)),
                           .is_recursive = true};
  struct tree_entry entry;
  int count = 0;
  free(make_deep(directory, LEVELS));
  while (tree_walk_next(&walk, &entry) == 0 && entry.path) {
    assert_int_equal(strlen(entry.path), 2 * count + 1);
    assert_int_equal(entry.type, TREE_DIRECTORY);
    count++;
  }
  assert_int_equal(count, LEVELS);
  assert_int_equal(tree_walk_next(&walk, &entry), 0);
  assert_null(entry.path);
  tree_walk_finish(&walk);
  tree_walk_finish(&walk);
}

static void passes_over_what_vanishes(void **state) {
  char path[PATH_BYTES];
  struct directory *directory = *state;
  struct tree_walk walk = {.root = memory_copy(directory->path, strlen(directory->path)),
                           .is_recursive = true};
  struct tree_entry entry;
  directory_join(path, directory, "gone");
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(tree_walk_next(&walk, &entry), 0);
  assert_string_equal(entry.path, "gone");
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(tree_walk_next(&walk, &entry), 0);
  assert_null(entry.path);
  tree_walk_finish(&walk);
  walk.root = memory_copy(path, strlen(path));
  assert_int_equal(tree_walk_next(&walk, &entry), UV_ENOENT);
  assert_null(entry.path);
  tree_walk_finish(&walk);
}

static void stops_when_told(void **state) {
  char path[PATH_BYTES];
  _Atomic(bool) given_up = true;
  directory_join(path, *state, "sub/deep");
  assert_int_equal(tree_make(path, 0700), 0);
  directory_join(path, *state, "sub");
  assert_int_equal(tree_remove(path, &given_up), UV_ECANCELED);
  assert_true(file_exists(path));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      directory_test(removes_to_a_depth),
      directory_test(walks_to_any_depth),
      directory_test(passes_over_what_vanishes),
      directory_test(stops_when_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
