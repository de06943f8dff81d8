/* open_file_spec.c - what can be opened beneath a directory, with openat2 and with the walk that
 * stands in for it.
 *
 * The directory has a file, a directory, symbolic links to both, out of it and to nowhere, a FIFO;
 * beside it lies what must not be reached. */
#include "http/open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs some of the above. */
#include <cmocka.h>

struct place {
  char path[64];
  int dir_fd;
};

static void write_file(int dir_fd, const char *name, const char *text) {
  int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
}

static int make_place(void **state) {
  struct place *place = calloc(1, sizeof *place);
  snprintf(place->path, sizeof place->path, "/tmp/perilune_open_XXXXXX");
  assert_non_null(mkdtemp(place->path));
  int outer = open(place->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  char absolute[96];
  assert_int_equal(mkdirat(outer, "site", 0700), 0);
  write_file(outer, "secret", "secret");
  snprintf(absolute, sizeof absolute, "%s/site", place->path);
  place->dir_fd = open_file_directory(absolute);
  assert_true(place->dir_fd >= 0);
  int site = place->dir_fd;
  write_file(site, "file", "inside");
  assert_int_equal(mkdirat(site, "dir", 0700), 0);
  write_file(site, "dir/file", "deep");
  snprintf(absolute, sizeof absolute, "%s/site/file", place->path);
  assert_int_equal(symlinkat("file", site, "to_file"), 0);
  assert_int_equal(symlinkat("../file", site, "dir/up"), 0);
  assert_int_equal(symlinkat("dir", site, "to_dir"), 0);
  assert_int_equal(symlinkat(absolute, site, "absolute"), 0);
  assert_int_equal(symlinkat("../secret", site, "out"), 0);
  assert_int_equal(symlinkat("..", site, "out_dir"), 0);
  assert_int_equal(symlinkat("/etc/passwd", site, "passwd"), 0);
  assert_int_equal(symlinkat("nowhere", site, "dangling"), 0);
  assert_int_equal(symlinkat("loop", site, "loop"), 0);
  assert_int_equal(symlinkat("/proc/self/fd/0", site, "magic"), 0);
  assert_int_equal(mkfifoat(site, "fifo", 0600), 0);
  close(outer);
  *state = place;
  return 0;
}

static int remove_place(void **state) {
  struct place *place = *state;
  char command[128];
  close(place->dir_fd);
  snprintf(command, sizeof command, "rm -r %s", place->path);
  assert_int_equal(system(command), 0);
  free(place);
  return 0;
}

static const struct {
  const char *path;
  int beneath, walked; /* 0: opened; else the errno */
} cases[] = {
    {"file", 0, 0},
    {"dir/file", 0, 0},
    {"./file", 0, 0},
    {"dir//file", 0, 0},
    {"dir", 0, 0},
    {"dir/", 0, 0},
    {".", 0, 0},
    {"fifo", 0, 0},
    {"none", ENOENT, ENOENT},
    {"none/file", ENOENT, ENOENT},
    {"file/file", ENOTDIR, ENOTDIR},
    /* links inside */
    {"to_file", 0, ELOOP},
    {"to_dir/file", 0, ENOTDIR},
    {"dir/up", 0, ELOOP},
    /* and out */
    {"out", EXDEV, ELOOP},
    {"out_dir/secret", EXDEV, ENOTDIR},
    {"out_dir", EXDEV, ELOOP},
    {"passwd", EXDEV, ELOOP},
    {"absolute", EXDEV, ELOOP},
    {"magic", EXDEV, ELOOP},
    {"dangling", ENOENT, ELOOP},
    {"loop", ELOOP, ELOOP},
    /* paths that lead out by themselves */
    {"..", EXDEV, EXDEV},
    {"../secret", EXDEV, EXDEV},
    {"../site/file", EXDEV, EXDEV},
    {"dir/../../secret", EXDEV, EXDEV},
    {"/etc/passwd", EXDEV, EXDEV},
};

static int outcome(int fd) {
  if (fd < 0) return -fd;
  close(fd);
  return 0;
}

static void stays_beneath(void **state) {
  const struct place *place = *state;
  for (size_t i = 0; i < array_len(cases); i++) {
    int beneath = outcome(open_file_beneath(place->dir_fd, cases[i].path));
    int walked = outcome(open_file_walk(place->dir_fd, cases[i].path));
    if (beneath != cases[i].beneath || walked != cases[i].walked)
      fail_msg("%s: %s; walked: %s", cases[i].path, strerror(beneath), strerror(walked));
  }
}

/* What is in the caches is opened without waiting; what is not says so. Both are right. */
static void may_be_told_not_to_wait(void **state) {
  const struct place *place = *state;
  for (size_t i = 0; i < array_len(cases); i++) {
    int cached = outcome(open_file_cached(place->dir_fd, cases[i].path));
    if (cached != cases[i].beneath && cached != EAGAIN)
      fail_msg("%s: %s", cases[i].path, strerror(cached));
  }
}

static void knows_local_file_systems(void **state) {
  (void)state;
  int proc = open_file_directory("/proc");
  assert_true(proc >= 0);
  assert_false(open_file_is_local(proc));
  close(proc);
  assert_false(open_file_is_local(-1));
}

static void reads_what_it_opens(void **state) {
  const struct place *place = *state;
  char text[16] = {0};
  int fd = open_file_walk(place->dir_fd, "dir/file");
  assert_int_equal(read(fd, text, sizeof text), 4);
  assert_string_equal(text, "deep");
  assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  close(fd);
}

static void opens_anywhere_when_asked(void **state) {
  const struct place *place = *state;
  char path[96];
  snprintf(path, sizeof path, "%s/site/out", place->path);
  assert_int_equal(outcome(open_file_anywhere(path)), 0);
  snprintf(path, sizeof path, "%s/site/none", place->path);
  assert_int_equal(outcome(open_file_anywhere(path)), ENOENT);
  snprintf(path, sizeof path, "%s/site/file", place->path);
  assert_int_equal(outcome(open_file_directory(path)), ENOTDIR);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(stays_beneath), cmocka_unit_test(may_be_told_not_to_wait),
      cmocka_unit_test(reads_what_it_opens), cmocka_unit_test(knows_local_file_systems),
      cmocka_unit_test(opens_anywhere_when_asked)};
  return cmocka_run_group_tests(tests, make_place, remove_place);
}
