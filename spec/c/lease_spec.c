/* lease_spec.c - what a sweep removes, and above all what it does not.
 *
 * Leases of one process exclude each other too, so most of it needs no second process. */
#include "directory.h"

#include "lib/lease.h"

#define LEFT "perilune-0123456789abcdef"

static void make_directory(const struct directory *parent, const char *name, mode_t mode) {
  char path[PATH_BYTES];
  directory_join(path, parent, name);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_int_equal(chmod(path, mode), 0);
}

static void make_file(const struct directory *parent, const char *name) {
  char path[PATH_BYTES];
  directory_join(path, parent, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
  assert_true(fd >= 0);
  close(fd);
}

static void sweep(const struct directory *parent) {
  lease_sweep(parent->path, "perilune-");
}

static bool has(const struct directory *parent, const char *name) {
  char path[PATH_BYTES];
  directory_join(path, parent, name);
  return file_exists(path);
}

static void removes_what_has_no_lease(void **state) {
  make_directory(*state, LEFT, 0700);
  make_file(*state, LEFT "/1");
  make_file(*state, LEFT "/23");
  sweep(*state);
  assert_false(has(*state, LEFT));
}

static void leaves_what_has_one(void **state) {
  char path[PATH_BYTES];
  make_directory(*state, LEFT, 0700);
  make_file(*state, LEFT "/1");
  directory_join(path, *state, LEFT);
  int lease = lease_take(path);
  assert_true(lease >= 0);
  sweep(*state);
  assert_true(has(*state, LEFT "/1"));
  assert_int_equal(lease_take(path), UV_EBUSY);
  close(lease);
  sweep(*state);
  assert_false(has(*state, LEFT));
}

static void leaves_other_names(void **state) {
  static const char *const names[] = {"perilune-0123456789abcde", "perilune-0123456789abcdef0",
                                      "perilune-0123456789abcdeF", "perilune-board",
                                      "other-0123456789abcdef"};
  for (size_t i = 0; i < array_len(names); i++) make_directory(*state, names[i], 0700);
  sweep(*state);
  for (size_t i = 0; i < array_len(names); i++) assert_true(has(*state, names[i]));
}

static void leaves_what_others_may_enter(void **state) {
  make_directory(*state, LEFT, 0755);
  make_file(*state, LEFT "/1");
  sweep(*state);
  assert_true(has(*state, LEFT "/1"));
}

static void leaves_other_files_in_it(void **state) {
  make_directory(*state, LEFT, 0700);
  make_file(*state, LEFT "/1");
  make_file(*state, LEFT "/1.txt");
  make_directory(*state, LEFT "/2", 0700);
  sweep(*state);
  assert_false(has(*state, LEFT "/1"));
  assert_true(has(*state, LEFT "/1.txt"));
  assert_true(has(*state, LEFT "/2"));
}

static void follows_no_links(void **state) {
  char target[PATH_BYTES], path[PATH_BYTES];
  make_directory(*state, "target", 0700);
  make_file(*state, "target/1");
  directory_join(target, *state, "target");
  directory_join(path, *state, LEFT);
  assert_int_equal(symlink(target, path), 0);
  sweep(*state);
  assert_true(has(*state, "target/1"));
  assert_int_equal(lease_take(path), UV_ENOTDIR);
  unlink(path);
  make_file(*state, LEFT);
  sweep(*state);
  assert_true(has(*state, LEFT));
}

static void says_what_is_not_there(void **state) {
  char path[PATH_BYTES];
  directory_join(path, *state, "none");
  assert_int_equal(lease_take(path), UV_ENOENT);
  lease_sweep(path, "perilune-");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      directory_test(removes_what_has_no_lease), directory_test(leaves_what_has_one),
      directory_test(leaves_other_names),        directory_test(leaves_what_others_may_enter),
      directory_test(leaves_other_files_in_it),  directory_test(follows_no_links),
      directory_test(says_what_is_not_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
