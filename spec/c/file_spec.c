/* file_spec.c - files on their way to clients: order, budget, slow and leaving clients, truncation,
 * drain, and what is open afterwards.
 *
 * One large file that no socket buffer takes whole, its bytes known by their place, and a small
 * one. Clocks stand still, so timeouts happen when the spec says so. */
#include "http/file.h"

#include "http/sender.h"
#include "http/static.h"
#include "http_site.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

enum {
  LARGE_BYTES = 24 * 1024 * 1024,
  READ_BYTES = 64 * 1024,
  WRITE_TIMEOUT_MS = 30000,
  STALLED_TURNS = 50,
  SLOW_ROUNDS = 4
};

#define LARGE_GET "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"
#define HELD_GET  "GET /held HTTP/1.1\r\nHost: h\r\n\r\n"
#define HELLO_GET "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"

struct files {
  struct site *site;
  char path[64];
  struct statics *statics;
  struct sender sender; /* of a spec that sends by itself; finished whatever becomes of the spec */
};

static char byte_at(size_t at) {
  return (char)('a' + at * 7 / 3 % 26);
}

static void write_large(const char *path) {
  char bytes[READ_BYTES];
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (size_t at = 0; at < LARGE_BYTES; at += sizeof bytes) {
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = byte_at(at + i);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
  }
  close(fd);
}

static int setup(void **state) {
  struct files *files = memory_alloc_zero(sizeof *files);
  void *site;
  char name[96];
  site_setup(&site);
  files->site = site;
  snprintf(files->path, sizeof files->path, "/tmp/perilune_file_XXXXXX");
  assert_non_null(mkdtemp(files->path));
  snprintf(name, sizeof name, "%s/large", files->path);
  write_large(name);
  snprintf(name, sizeof name, "%s/small", files->path);
  int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  assert_int_equal(write(fd, "small", 5), 5);
  close(fd);
  files->statics = static_create();
  struct static_mount mount = {.prefix = {"", 0}, .block = {"", 0}};
  mount.dir_fd = open(files->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  static_add(files->statics, &mount);
  files->site->hub.statics = files->statics;
  *state = files;
  return 0;
}

static void site_wait_files(struct site *site) {
  for (int turn = 0; turn < TURNS_MAX && site->hub.file_count; turn++) site_turn(site);
  assert_int_equal(site->hub.file_count, 0);
}

static int teardown(void **state) {
  struct files *files = *state;
  void *site = files->site;
  char name[96];
  sender_finish(&files->sender);
  hub_close_all(&files->site->hub);
  site_wait_files(files->site);
  site_teardown(&site);
  static_destroy(files->statics);
  snprintf(name, sizeof name, "%s/large", files->path);
  unlink(name);
  snprintf(name, sizeof name, "%s/small", files->path);
  unlink(name);
  rmdir(files->path);
  free(files);
  return 0;
}

#define FILE_TEST(spec) cmocka_unit_test_setup_teardown(spec, setup, teardown)

static void respond_path(struct exchange *exchange, const char *path) {
  struct file_wanted wanted = {.path = {path, strlen(path)}, .dir_fd = -1, .status = 200};
  file_respond(exchange, &wanted);
}

/* A client that has asked for the large file; its request is number `count` to /held. */
static int ask_held(struct files *files, unsigned count) {
  char path[96];
  int client = site_connect(files->site);
  client_send(client, HELD_GET);
  snprintf(path, sizeof path, "%s/large", files->path);
  respond_path(site_wait_held(files->site, count), path);
  return client;
}

/* Reads the head of a response up to the empty line. */
static void read_head(struct site *site, int client, struct buffer *head) {
  buffer_clear(head);
  for (int turn = 0; turn < TURNS_MAX; turn++) {
    char byte;
    while (recv(client, &byte, 1, MSG_DONTWAIT) == 1) {
      buffer_add_byte(head, byte);
      if (head->len >= 4 && memcmp(head->data + head->len - 4, "\r\n\r\n", 4) == 0) {
        buffer_add_byte(head, '\0');
        return;
      }
    }
    site_turn(site);
  }
  fail_msg("no head");
}

/* Takes what has come of the large file, whose first `at` bytes are there; gives how much. */
static size_t take_bytes(int client, size_t at) {
  static char bytes[READ_BYTES];
  size_t total = 0;
  while (at + total < LARGE_BYTES) {
    size_t left = LARGE_BYTES - at - total;
    ssize_t got = recv(client, bytes, left < sizeof bytes ? left : sizeof bytes, MSG_DONTWAIT);
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; i++) {
      if (bytes[i] != byte_at(at + total + (size_t)i))
        fail_msg("byte %zu is another", at + total + (size_t)i);
    }
    total += (size_t)got;
  }
  return total;
}

/* What is sent may still be on its way to the client. */
static void read_rest(struct site *site, int client, size_t at) {
  for (int turn = 0; turn < TURNS_MAX && at < LARGE_BYTES; turn++) {
    site_turn(site);
    at += take_bytes(client, at);
  }
  assert_int_equal(at, LARGE_BYTES);
}

static void read_large(struct site *site, int client) {
  read_rest(site, client, 0);
}

static unsigned count_descriptors(void) {
  unsigned count = 0;
  DIR *dir = opendir("/proc/self/fd");
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

static void comes_whole_before_what_is_behind_it(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  int client = site_connect(files->site);
  client_send(client,
              LARGE_GET HELLO_GET "GET /small HTTP/1.1\r\nHost: h\r\n\r\n" LARGE_GET
                                  "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  for (int round = 0; round < 2; round++) {
    read_head(files->site, client, &head);
    assert_non_null(strstr(head.data, "HTTP/1.1 200 OK\r\n"));
    assert_non_null(strstr(head.data, "Content-Length: 25165824\r\n"));
    read_large(files->site, client);
    if (round > 0) break;
    client_expect(files->site, client, OK_HEAD("5") "hello");
    read_head(files->site, client, &head);
    assert_non_null(strstr(head.data, "Content-Length: 5\r\n"));
    client_expect(files->site, client, "small");
  }
  client_expect(files->site, client, CLOSE_HEAD("5") "hello");
  client_expect_end(files->site, client);
  site_wait_files(files->site);
  buffer_finish(&head);
}

static void takes_a_bounded_part_of_a_turn(void **state) {
  struct files *files = *state;
  struct hub *hub = &files->site->hub;
  enum { CLIENTS = 3, ROUNDS = 40 };
  int clients[CLIENTS];
  size_t at[CLIENTS] = {0};
  struct buffer head = {0};
  for (int i = 0; i < CLIENTS; i++) {
    clients[i] = site_connect(files->site);
    client_send(clients[i], LARGE_GET);
  }
  for (int i = 0; i < CLIENTS; i++) read_head(files->site, clients[i], &head);
  for (int round = 0; round < ROUNDS; round++) {
    uint64_t before = hub->counts.bytes_out;
    site_turn(files->site);
    assert_in_range(hub->counts.bytes_out - before, 0, CLIENTS * FILE_TURN_BYTES_MAX);
    for (int i = 0; i < CLIENTS; i++) at[i] += take_bytes(clients[i], at[i]);
  }
  for (int i = 0; i < CLIENTS; i++) {
    assert_true(at[i] > 0);
    close(clients[i]);
  }
  site_wait_empty(files->site);
  buffer_finish(&head);
}

/* With its first stream a loop opens a descriptor in reserve, and keeps it. */
static void let_one_client_come(struct site *site) {
  int client = site_connect(site);
  client_send(client, HELLO_GET);
  client_expect(site, client, OK_HEAD("5") "hello");
  close(client);
  site_wait_empty(site);
}

static void ends_with_a_client_that_leaves(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  let_one_client_come(files->site);
  unsigned before = count_descriptors();
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  assert_true(take_bytes(client, 0) > 0);
  client_reset(client);
  site_wait_empty(files->site);
  site_wait_files(files->site);
  assert_int_equal(files->site->sent_count, 1);
  assert_int_equal(files->site->gone_count, 0);
  assert_false(files->site->delivered);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(files->site);
  assert_int_equal(count_descriptors(), before);
  buffer_finish(&head);
}

static void tells_when_it_was_delivered(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  assert_int_equal(files->site->sent_count, 0);
  read_large(files->site, client);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(files->site);
  assert_int_equal(files->site->sent_count, 1);
  assert_true(files->site->delivered);
  assert_int_equal(files->site->hub.connection_count, 1);
  close(client);
  buffer_finish(&head);
}

/* The owner may go as soon as it has answered. */
static void goes_on_without_its_owner(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  int client = ask_held(files, 1);
  exchange_release(files->site->held[0]);
  assert_int_equal(files->site->hub.exchange_count, 0);
  read_head(files->site, client, &head);
  read_large(files->site, client);
  client_send(client, HELLO_GET);
  client_expect(files->site, client, OK_HEAD("5") "hello");
  assert_int_equal(files->site->sent_count, 0);
  client_send(client, HELD_GET);
  respond_path(site_wait_held(files->site, 2), "/nowhere");
  exchange_release(files->site->held[1]);
  client_expect(files->site, client, NOT_FOUND(""));
  close(client);
  buffer_finish(&head);
}

static void waits_for_a_client_that_takes_something(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  size_t at = 0;
  for (int round = 0; round < SLOW_ROUNDS; round++) {
    size_t wanted = at + 2 * FILE_TURN_BYTES_MAX;
    for (int turn = 0; turn < TURNS_MAX && at < wanted; turn++) {
      site_turn(files->site);
      at += take_bytes(client, at);
    }
    site_advance(files->site, WRITE_TIMEOUT_MS - 1);
  }
  assert_int_equal(files->site->hub.connection_count, 1);
  for (int turn = 0; turn < STALLED_TURNS; turn++) site_turn(files->site);
  site_advance(files->site, 2 * WRITE_TIMEOUT_MS);
  site_wait_empty(files->site);
  assert_int_equal(files->site->sent_count, 1);
  assert_false(files->site->delivered);
  assert_int_equal(files->site->hub.file_count, 0);
  close(client);
  buffer_finish(&head);
}

/* A client that takes nothing must cost the loop nothing: no turn may do more work for it. */
static void sleeps_while_the_client_does(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  for (int turn = 0; turn < STALLED_TURNS; turn++) site_turn(files->site);
  uint64_t before = files->site->hub.counts.bytes_out;
  for (int turn = 0; turn < STALLED_TURNS; turn++) {
    site_turn(files->site);
    assert_true(list_is_empty(&files->site->hub._dirty));
  }
  assert_int_equal(files->site->hub.counts.bytes_out, before);
  close(client);
  buffer_finish(&head);
}

static void closes_when_the_file_gets_shorter(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  char path[96];
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  snprintf(path, sizeof path, "%s/large", files->path);
  assert_int_equal(truncate(path, LARGE_BYTES / 2), 0);
  size_t at = 0;
  for (int turn = 0; turn < TURNS_MAX && files->site->hub.connection_count; turn++) {
    site_turn(files->site);
    at += take_bytes(client, at);
  }
  assert_int_equal(files->site->hub.connection_count, 0);
  at += take_bytes(client, at);
  assert_in_range(at, 1, LARGE_BYTES / 2);
  assert_int_equal(files->site->sent_count, 1);
  assert_false(files->site->delivered);
  close(client);
  buffer_finish(&head);
}

static void is_finished_by_a_drain(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  hub_drain(&files->site->hub);
  read_large(files->site, client);
  client_expect_end(files->site, client);
  site_wait_empty(files->site);
  assert_true(files->site->delivered);
  buffer_finish(&head);
}

/* Not in the page cache: threads look and read ahead. Where the file system keeps it there all the
 * same, this is the usual course. */
static void comes_from_a_disk_too(void **state) {
  struct files *files = *state;
  struct buffer head = {0};
  char path[96];
  snprintf(path, sizeof path, "%s/large", files->path);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  fsync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  int client = ask_held(files, 1);
  read_head(files->site, client, &head);
  read_large(files->site, client);
  site_wait_files(files->site);
  snprintf(path, sizeof path, "%s/small", files->path);
  fd = open(path, O_RDWR | O_CLOEXEC);
  fsync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
  client_send(client, "GET /small HTTP/1.1\r\nHost: h\r\n\r\n");
  read_head(files->site, client, &head);
  client_expect(files->site, client, "small");
  close(client);
  buffer_finish(&head);
}

/* The same with a client that has gone while a thread may be at work. */
static void is_abandoned_at_any_point(void **state) {
  struct files *files = *state;
  char path[96];
  snprintf(path, sizeof path, "%s/large", files->path);
  for (int turns = 0; turns < TURNS_FEW; turns++) {
    int fd = open(path, O_RDWR | O_CLOEXEC);
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    int client = site_connect(files->site);
    client_send(client, LARGE_GET LARGE_GET);
    for (int i = 0; i < turns; i++) site_turn(files->site);
    client_reset(client);
    site_wait_empty(files->site);
  }
  site_wait_files(files->site);
}

/* A file system without sendfile: the same bytes, read and sent. */
static void copies_where_it_has_to(void **state) {
  struct files *files = *state;
  char path[96];
  int client = site_connect(files->site);
  client_send(client, HELD_GET);
  struct exchange *exchange = site_wait_held(files->site, 1);
  snprintf(path, sizeof path, "%s/large", files->path);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  struct file_plan plan = {.part_count = 1, .parts = {{.range = {0, LARGE_BYTES}}}};
  struct sender *sender = &files->sender;
  sender_init(sender, exchange->connection, fd, &plan);
  sender->copies = true;
  size_t at = 0;
  enum sender_result result = SENDER_WAITS;
  for (int turn = 0; turn < TURNS_MAX && result != SENDER_DONE; turn++) {
    site_turn(files->site);
    do result = sender_step(sender);
    while (result == SENDER_TEXT);
    assert_true(result == SENDER_WAITS || result == SENDER_DONE);
    at += take_bytes(client, at);
  }
  assert_int_equal(result, SENDER_DONE);
  read_rest(files->site, client, at);
  sender_finish(sender);
  sender_finish(sender);
  close(fd);
  site_respond(files->site, 0, "behind");
  client_expect(files->site, client, OK_HEAD("6") "behind");
  close(client);
}

/* As many descriptors as there are may be open; one more may not. */
static void is_refused_when_no_descriptor_is_left(void **state) {
  struct files *files = *state;
  struct rlimit before, now;
  char path[96];
  int client = site_connect(files->site);
  client_send(client, HELD_GET HELD_GET);
  site_wait_held(files->site, 2);
  getrlimit(RLIMIT_NOFILE, &before);
  int next = dup(client);
  close(next);
  now = before;
  now.rlim_cur = (rlim_t)next;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
  snprintf(path, sizeof path, "%s/small", files->path);
  respond_path(files->site->held[0], path);
  client_expect(files->site, client,
                DETAIL_HEAD("503 Service Unavailable", "Retry-After: 1\r\n", "32",
                            "") "{\"detail\":\"Service Unavailable\"}");
  /* One for the file, none to wait for its client. */
  now.rlim_cur = (rlim_t)next + 1;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
  snprintf(path, sizeof path, "%s/large", files->path);
  respond_path(files->site->held[1], path);
  site_wait_empty(files->site);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(files->site->sent_count, 2);
  assert_false(files->site->delivered);
  assert_int_equal(files->site->hub.file_count, 0);
  close(client);
}

static void is_reported_for_a_client_that_has_gone(void **state) {
  struct files *files = *state;
  int client = site_connect(files->site);
  client_send(client, HELD_GET);
  struct exchange *exchange = site_wait_held(files->site, 1);
  client_reset(client);
  site_wait_empty(files->site);
  assert_int_equal(files->site->gone_count, 1);
  respond_path(exchange, "/tmp");
  site_turn(files->site);
  assert_int_equal(files->site->sent_count, 1);
  assert_false(files->site->delivered);
  assert_int_equal(files->site->hub.file_count, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {FILE_TEST(comes_whole_before_what_is_behind_it),
                                     FILE_TEST(takes_a_bounded_part_of_a_turn),
                                     FILE_TEST(ends_with_a_client_that_leaves),
                                     FILE_TEST(tells_when_it_was_delivered),
                                     FILE_TEST(goes_on_without_its_owner),
                                     FILE_TEST(waits_for_a_client_that_takes_something),
                                     FILE_TEST(sleeps_while_the_client_does),
                                     FILE_TEST(closes_when_the_file_gets_shorter),
                                     FILE_TEST(is_finished_by_a_drain),
                                     FILE_TEST(comes_from_a_disk_too),
                                     FILE_TEST(is_abandoned_at_any_point),
                                     FILE_TEST(copies_where_it_has_to),
                                     FILE_TEST(is_refused_when_no_descriptor_is_left),
                                     FILE_TEST(is_reported_for_a_client_that_has_gone)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
