/* compress_job_spec.c - large bodies on libuv's threads: the loop goes on, order stays, clients may
 * leave.
 *
 * There is one such thread, and the spec holds it for as long as it wants to. */
#include "http_site.h"

#include <uv.h>

enum { LARGE_BYTES = 200000, SMALL_BYTES = 2000 };

/* Work that keeps the thread until it is let go. */
struct hold {
  uv_work_t work;
  uv_sem_t is_held, may_go;
  bool is_over;
};

static void hold_thread(uv_work_t *work) {
  struct hold *hold = container_of(work, struct hold, work);
  uv_sem_post(&hold->is_held);
  uv_sem_wait(&hold->may_go);
}

static void on_let_go(uv_work_t *work, int status) {
  assert_int_equal(status, 0);
  container_of(work, struct hold, work)->is_over = true;
}

static void hold(struct site *site, struct hold *hold) {
  hold->is_over = false;
  uv_sem_init(&hold->is_held, 0);
  uv_sem_init(&hold->may_go, 0);
  uv_queue_work(&site->loop, &hold->work, hold_thread, on_let_go);
  uv_sem_wait(&hold->is_held);
}

static void let_go(struct hold *hold) {
  uv_sem_post(&hold->may_go);
}

/* Of a thread that was let go. */
static void finish(struct site *site, struct hold *hold) {
  for (int turn = 0; turn < TURNS_MAX && !(hold->is_over && site->hub.jobs.count == 0); turn++)
    site_turn(site);
  assert_true(hold->is_over);
  assert_int_equal(site->hub.jobs.count, 0);
  uv_sem_destroy(&hold->is_held);
  uv_sem_destroy(&hold->may_go);
}

static void ask(int client) {
  client_send(client, "GET /held HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n");
}

static void respond_bytes(struct exchange *exchange, size_t len) {
  char *body = memory_alloc(len);
  memset(body, 'a', len);
  respond_text(exchange, (struct slice){body, len});
  free(body);
}

/* Reads one compressed response and gives the length of its body. */
static size_t receive_gzip(struct site *site, int client) {
  struct buffer text = {0};
  char byte;
  const char *end = NULL;
  for (int turn = 0; turn < TURNS_MAX && !end; turn++) {
    site_turn(site);
    while (!end && recv(client, &byte, 1, MSG_DONTWAIT) == 1) {
      buffer_add_byte(&text, byte);
      buffer_add_byte(&text, '\0');
      text.len--;
      end = strstr(text.data, "\r\n\r\n");
    }
  }
  assert_non_null(end);
  assert_non_null(strstr(text.data, "Content-Encoding: gzip\r\n"));
  const char *length = strstr(text.data, "Content-Length: ");
  assert_non_null(length);
  size_t len = strtoul(length + strlen("Content-Length: "), NULL, 10);
  for (size_t got = 0; got < len;) {
    site_turn(site);
    while (got < len && recv(client, &byte, 1, MSG_DONTWAIT) == 1) got++;
  }
  buffer_finish(&text);
  return len;
}

static void leaves_the_loop_to_others(void **state) {
  struct site *site = *state;
  struct hold held;
  site->hub.compresses = true;
  int slow = site_connect(site), quick = site_connect(site);
  ask(slow);
  struct exchange *exchange = site_wait_held(site, 1);
  hold(site, &held);
  respond_bytes(exchange, LARGE_BYTES);
  assert_int_equal(exchange->state, EXCHANGE_ENCODING);
  client_expect_nothing(site, slow);
  client_send(quick, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  client_expect(site, quick, OK_HEAD("5") "hello");
  assert_int_equal(exchange->state, EXCHANGE_ENCODING);
  let_go(&held);
  assert_in_range(receive_gzip(site, slow), 1, LARGE_BYTES / 100);
  assert_int_equal(site->sent_count, 1);
  assert_true(site->delivered);
  close(slow);
  close(quick);
  finish(site, &held);
}

static void keeps_the_order(void **state) {
  struct site *site = *state;
  struct hold held;
  site->hub.compresses = true;
  int client = site_connect(site);
  ask(client);
  client_send(client, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  ask(client);
  struct exchange *last = site_wait_held(site, 2);
  hold(site, &held);
  respond_bytes(last, SMALL_BYTES); /* ready at once, behind the others */
  respond_bytes(site->held[0], LARGE_BYTES);
  client_expect_nothing(site, client);
  let_go(&held);
  assert_in_range(receive_gzip(site, client), 100, LARGE_BYTES / 100);
  client_expect(site, client, OK_HEAD("5") "hello");
  assert_in_range(receive_gzip(site, client), 1, 100);
  close(client);
  finish(site, &held);
}

static void may_lose_the_client(void **state) {
  struct site *site = *state;
  struct hold held;
  site->hub.compresses = true;
  int client = site_connect(site);
  ask(client);
  struct exchange *exchange = site_wait_held(site, 1);
  hold(site, &held);
  respond_bytes(exchange, LARGE_BYTES);
  assert_int_equal(site->hub.jobs.count, 1);
  client_reset(client);
  site_wait_empty(site);
  assert_int_equal(site->sent_count, 1);
  assert_false(site->delivered);
  assert_int_equal(site->hub.exchange_count, 0);
  let_go(&held);
  finish(site, &held);
}

static void may_be_released_before_it_ends(void **state) {
  struct site *site = *state;
  struct hold held;
  site->hub.compresses = true;
  int stays = site_connect(site), leaves = site_connect(site);
  ask(stays);
  site_wait_held(site, 1);
  ask(leaves);
  site_wait_held(site, 2);
  hold(site, &held);
  for (unsigned i = 0; i < 2; i++) {
    respond_bytes(site->held[i], LARGE_BYTES);
    exchange_release(site->held[i]);
  }
  client_reset(leaves);
  for (int turn = 0; turn < TURNS_MAX && site->hub.connection_count > 1; turn++) site_turn(site);
  assert_int_equal(site->hub.connection_count, 1);
  let_go(&held);
  assert_in_range(receive_gzip(site, stays), 1, LARGE_BYTES / 100);
  assert_int_equal(site->sent_count, 0);
  close(stays);
  finish(site, &held);
}

static void does_not_begin_for_small_bodies(void **state) {
  struct site *site = *state;
  site->hub.compresses = true;
  int client = site_connect(site);
  ask(client);
  struct exchange *exchange = site_wait_held(site, 1);
  respond_bytes(exchange, COMPRESS_INLINE_BYTES_MAX);
  assert_int_equal(site->hub.jobs.count, 0);
  assert_in_range(receive_gzip(site, client), 1, SMALL_BYTES);
  close(client);
}

static void is_off_unless_asked_for(void **state) {
  struct site *site = *state;
  int client = site_connect(site);
  ask(client);
  struct exchange *exchange = site_wait_held(site, 1);
  respond_bytes(exchange, LARGE_BYTES);
  assert_int_equal(exchange->state, EXCHANGE_QUEUED);
  close(client);
}

int main(void) {
  setenv("UV_THREADPOOL_SIZE", "1", 1);
  const struct CMUnitTest tests[] = {
      SITE_TEST(leaves_the_loop_to_others),
      SITE_TEST(keeps_the_order),
      SITE_TEST(may_lose_the_client),
      SITE_TEST(may_be_released_before_it_ends),
      SITE_TEST(does_not_begin_for_small_bodies),
      SITE_TEST(is_off_unless_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
