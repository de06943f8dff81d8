/* save_spec.c - files put in their place: whole, with the right mode, nothing beside them.
 *
 * Copying is tried through /dev/shm where that is another file system. */
#include "directory.h"

#include "lib/save.h"

enum { LARGE = 300000 };

static char *make_content(void) {
  char *content = memory_alloc(LARGE);
  for (size_t i = 0; i < LARGE; i++) content[i] = (char)(i * 31 + i / 256);
  return content;
}

static void write_file(const char *path, const char *content, size_t len, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, content, len), (ssize_t)len);
  close(fd);
}

static uv_err save_text(const char *to, const char *text, size_t len) {
  const struct save save = {.to = to, .mode = SAVE_FILE_MODE};
  return save_bytes(&save, (struct slice){text, len});
}

static mode_t mode_of(const char *path) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  return info.st_mode & 0777;
}

static void saves_bytes(void **state) {
  char to[PATH_BYTES];
  char *content = make_content();
  directory_join(to, *state, "to");
  mode_t mask = umask(027);
  assert_int_equal(save_text(to, content, LARGE), 0);
  umask(mask);
  assert_file(to, content, LARGE);
  assert_int_equal(mode_of(to), 0640);
  assert_int_equal(save_text(to, "new", 3), 0);
  assert_file(to, "new", 3);
  assert_int_equal(save_text(to, "", 0), 0);
  assert_file(to, "", 0);
  assert_int_equal(directory_count(((struct directory *)*state)->path), 1);
  free(content);
}

static void saves_a_file_by_another_name(void **state) {
  char from[PATH_BYTES], to[PATH_BYTES];
  struct stat info;
  directory_join(from, *state, "from");
  directory_join(to, *state, "to");
  write_file(from, "content", 7, 0600);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(save_file(from, to, 0644), 0);
    assert_file(to, "content", 7);
    assert_int_equal(mode_of(to), 0644);
    assert_true(file_exists(from));
    assert_int_equal(directory_count(((struct directory *)*state)->path), 2);
  }
  assert_int_equal(stat(to, &info), 0);
  assert_int_equal(info.st_nlink, 2);
  unlink(from);
  assert_file(to, "content", 7);
}

static void copies_to_another_file_system(void **state) {
  char to[PATH_BYTES], from[64] = "/dev/shm/perilune-spec-XXXXXX";
  struct stat here, there;
  const struct directory *directory = *state;
  if (stat("/dev/shm", &there) != 0 || stat(directory->path, &here) != 0 ||
      here.st_dev == there.st_dev) {
    skip();
    return;
  }
  int fd = mkstemp(from);
  assert_true(fd >= 0);
  close(fd);
  char *content = make_content();
  write_file(from, content, LARGE, 0600);
  directory_join(to, directory, "to");
  write_file(to, "old", 3, 0600);
  mode_t mask = umask(022);
  uv_err error = save_file(from, to, 0644);
  umask(mask);
  unlink(from);
  assert_int_equal(error, 0);
  assert_file(to, content, LARGE);
  assert_int_equal(mode_of(to), 0644);
  assert_int_equal(directory_count(directory->path), 1);
  free(content);
}

static void leaves_nothing_when_it_fails(void **state) {
  char from[PATH_BYTES], to[PATH_BYTES], nowhere[PATH_BYTES];
  const struct directory *directory = *state;
  directory_join(from, directory, "from");
  directory_join(to, directory, "to");
  directory_join(nowhere, directory, "none/to");
  assert_int_equal(save_file(from, to, 0644), UV_ENOENT);
  assert_int_equal(save_text(nowhere, "new", 3), UV_ENOENT);
  assert_int_equal(directory_count(directory->path), 0);
  write_file(from, "content", 7, 0600);
  assert_int_equal(save_file(from, nowhere, 0644), UV_ENOENT);
  assert_int_equal(mkdir(to, 0700), 0);
  assert_int_equal(save_file(from, to, 0644), UV_EISDIR);
  assert_int_equal(save_text(to, "new", 3), UV_EISDIR);
  assert_int_equal(directory_count(directory->path), 2);
}

static void refuses_names_that_are_too_long(void **state) {
  (void)state;
  char *to = memory_alloc_zero(5000);
  memset(to, 'x', 4999);
  *to = '/';
  assert_int_equal(save_text(to, "x", 1), UV_ENAMETOOLONG);
  assert_int_equal(save_file("/dev/null", to, 0644), UV_ENAMETOOLONG);
  free(to);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      directory_test(saves_bytes),
      directory_test(saves_a_file_by_another_name),
      directory_test(copies_to_another_file_system),
      directory_test(leaves_nothing_when_it_fails),
      directory_test(refuses_names_that_are_too_long),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
