/* spool_spec.c - temporary files: who may have them, and that none is left.
 *
 * Each spool has its directory below a $TMPDIR of the spec; removals run on a loop of the spec. */
#include "directory.h"

#include "lib/spool.h"

#include <sys/wait.h>

struct site {
  struct directory parent;
  uv_loop_t loop;
  struct spool *spool;
};

static int start(void **state) {
  struct site *site = memory_alloc_zero(sizeof *site);
  directory_make(&site->parent);
  setenv("TMPDIR", site->parent.path, 1);
  uv_loop_init(&site->loop);
  site->spool = spool_create();
  *state = site;
  return 0;
}

static int stop(void **state) {
  struct site *site = *state;
  uv_run(&site->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&site->loop), 0);
  spool_destroy(site->spool);
  assert_int_equal(directory_count(site->parent.path), 0);
  directory_remove(&site->parent);
  free(site);
  return 0;
}

static void make_file(struct site *site, uint64_t request, char path[SPOOL_PATH_BYTES]) {
  int fd = spool_make_file(site->spool, request, path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "x", 1), 1);
  close(fd);
}

static void makes_nothing_before_the_first_file(void **state) {
  struct site *site = *state;
  spool_open(site->spool, 1);
  assert_int_equal(directory_count(site->parent.path), 0);
}

static void makes_files_that_nobody_else_can_read(void **state) {
  struct site *site = *state;
  char path[SPOOL_PATH_BYTES], other[SPOOL_PATH_BYTES];
  struct stat info;
  spool_open(site->spool, 1);
  make_file(site, 1, path);
  make_file(site, 1, other);
  assert_string_not_equal(path, other);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  *strrchr(path, '/') = '\0';
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0700);
}

static void makes_files_for_open_requests_only(void **state) {
  struct site *site = *state;
  char path[SPOOL_PATH_BYTES];
  assert_int_equal(spool_make_file(site->spool, 1, path), UV_ECANCELED);
  spool_open(site->spool, 2);
  assert_int_equal(spool_make_file(site->spool, 1, path), UV_ECANCELED);
  spool_close(site->spool, 2, &site->loop);
  assert_int_equal(spool_make_file(site->spool, 2, path), UV_ECANCELED);
}

static void removes_the_files_of_what_closes(void **state) {
  struct site *site = *state;
  char first[SPOOL_PATH_BYTES], second[SPOOL_PATH_BYTES], kept[SPOOL_PATH_BYTES];
  spool_open(site->spool, 1);
  spool_open(site->spool, 1);
  spool_open(site->spool, 257); /* of the same bucket */
  make_file(site, 1, first);
  make_file(site, 1, second);
  make_file(site, 257, kept);
  spool_close(site->spool, 1, &site->loop);
  spool_close(site->spool, 1, &site->loop);
  spool_close(site->spool, 3, &site->loop);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  assert_false(file_exists(first));
  assert_false(file_exists(second));
  assert_true(file_exists(kept));
}

static void opens_again(void **state) {
  struct site *site = *state;
  char first[SPOOL_PATH_BYTES], second[SPOOL_PATH_BYTES];
  spool_open(site->spool, 1);
  make_file(site, 1, first);
  spool_close(site->spool, 1, &site->loop);
  spool_open(site->spool, 1);
  make_file(site, 1, second);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  assert_false(file_exists(first));
  assert_true(file_exists(second));
}

static void makes_its_directory_again(void **state) {
  struct site *site = *state;
  char path[SPOOL_PATH_BYTES], directory[SPOOL_PATH_BYTES];
  spool_open(site->spool, 1);
  make_file(site, 1, path);
  snprintf(directory, sizeof directory, "%s", path);
  *strrchr(directory, '/') = '\0';
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(directory), 0);
  make_file(site, 1, path);
}

static void refuses_a_directory_that_others_made(void **state) {
  struct site *site = *state;
  char path[SPOOL_PATH_BYTES], directory[SPOOL_PATH_BYTES];
  spool_open(site->spool, 1);
  make_file(site, 1, path);
  snprintf(directory, sizeof directory, "%s", path);
  *strrchr(directory, '/') = '\0';
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(directory), 0);
  assert_int_equal(symlink("/nowhere", directory), 0);
  assert_int_equal(spool_make_file(site->spool, 1, path), UV_EACCES);
  assert_int_equal(unlink(directory), 0);
}

/* A process that ends without a word, with a file. */
static void leave_behind(char path[SPOOL_PATH_BYTES]) {
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    struct spool *spool = spool_create();
    spool_open(spool, 1);
    bool is_made = spool_make_file(spool, 1, path) >= 0;
    ssize_t written = write(ends[1], path, SPOOL_PATH_BYTES);
    _exit(is_made && written == SPOOL_PATH_BYTES ? 0 : 1);
  }
  int status;
  assert_int_equal(read(ends[0], path, SPOOL_PATH_BYTES), SPOOL_PATH_BYTES);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  close(ends[0]);
  close(ends[1]);
}

static void removes_what_ended_processes_have_left(void **state) {
  struct site *site = *state;
  char left[SPOOL_PATH_BYTES], first[SPOOL_PATH_BYTES], second[SPOOL_PATH_BYTES];
  leave_behind(left);
  assert_true(file_exists(left));
  spool_open(site->spool, 1);
  make_file(site, 1, first);
  assert_false(file_exists(left));
  struct spool *other = spool_create();
  spool_open(other, 1);
  int fd = spool_make_file(other, 1, second);
  assert_true(fd >= 0);
  close(fd);
  assert_true(file_exists(first)); /* its process lives */
  spool_destroy(other);
  assert_false(file_exists(second));
}

static void says_when_there_is_no_place(void **state) {
  struct site *site = *state;
  char path[SPOOL_PATH_BYTES];
  setenv("TMPDIR", "/nowhere/at/all", 1);
  struct spool *spool = spool_create();
  spool_open(spool, 1);
  assert_int_equal(spool_make_file(spool, 1, path), UV_ENOENT);
  spool_close(spool, 1, &site->loop);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  spool_destroy(spool);
  spool_destroy(NULL);
}

static void clears_everything_at_once(void **state) {
  struct site *site = *state;
  char closed[SPOOL_PATH_BYTES], open[SPOOL_PATH_BYTES];
  spool_open(site->spool, 1);
  spool_open(site->spool, 2);
  make_file(site, 1, closed);
  make_file(site, 2, open);
  spool_close(site->spool, 1, &site->loop);
  spool_clear(site->spool);
  assert_int_equal(directory_count(site->parent.path), 0);
  assert_int_equal(spool_make_file(site->spool, 2, open), UV_ECANCELED);
}

/* ---- many threads ---- */

enum { THREADS = 4, ROUNDS = 200 };

static void make_many(void *context) {
  struct site *site = context;
  char path[SPOOL_PATH_BYTES];
  for (uint64_t i = 0; i < ROUNDS; i++) {
    int fd = spool_make_file(site->spool, i, path);
    assert_true(fd >= 0 || fd == UV_ECANCELED);
    if (fd >= 0) close(fd);
  }
}

/* Requests close while files are made for them: stop() finds none left. */
static void leaves_nothing_behind_a_race(void **state) {
  struct site *site = *state;
  uv_thread_t threads[THREADS];
  for (uint64_t i = 0; i < ROUNDS; i++) spool_open(site->spool, i);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], make_many, site), 0);
  for (uint64_t i = 0; i < ROUNDS; i++) {
    spool_close(site->spool, i, &site->loop);
    uv_run(&site->loop, UV_RUN_NOWAIT);
  }
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
  uv_run(&site->loop, UV_RUN_DEFAULT);
  DIR *parent = opendir(site->parent.path);
  for (struct dirent *entry; (entry = readdir(parent));) {
    char path[PATH_BYTES];
    if (entry->d_name[0] == '.') continue;
    directory_join(path, &site->parent, entry->d_name);
    assert_int_equal(directory_count(path), 0);
  }
  closedir(parent);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
  const struct CMUnitTest tests[] = {
      TEST(makes_nothing_before_the_first_file),
      TEST(makes_files_that_nobody_else_can_read),
      TEST(makes_files_for_open_requests_only),
      TEST(removes_the_files_of_what_closes),
      TEST(opens_again),
      TEST(makes_its_directory_again),
      TEST(refuses_a_directory_that_others_made),
      TEST(removes_what_ended_processes_have_left),
      TEST(says_when_there_is_no_place),
      TEST(clears_everything_at_once),
      TEST(leaves_nothing_behind_a_race),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
