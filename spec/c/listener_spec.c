/* listener_spec.c - binding one socket or several, errors in words, stopping.
 *
 * Ports are the kernel's choice; a port in use is one that the spec itself listens on. */
#include "http_site.h"

static void expect_failure(const char *host, uint16_t port, int count, const char *reason) {
  int fds[2];
  uint16_t bound;
  char message[LISTENER_MESSAGE_BYTES];
  assert_true(listener_bind(host, port, count, fds, &bound, message) < 0);
  if (!strstr(message, reason)) fail_msg("%s", message);
  assert_memory_equal(message, "cannot listen on ", strlen("cannot listen on "));
}

static void says_what_is_wrong(void **state) {
  struct site *site = *state;
  char expected[64];
  snprintf(expected, sizeof expected, "127.0.0.1:%u: address already in use", site->port);
  expect_failure("127.0.0.1", site->port, 1, expected);
  expect_failure("127.0.0.1", site->port, 2, expected);
  expect_failure("192.0.2.1", 8080, 1, "192.0.2.1:8080: address not available");
  expect_failure("no host", 8080, 1, "no host:8080: ");
}

/* Another process with several workers shares its port; that is noticed too. */
static void notices_a_port_that_is_shared(void **state) {
  (void)state;
  int fds[2], again[2];
  uint16_t port, bound;
  char message[LISTENER_MESSAGE_BYTES];
  assert_int_equal(listener_bind("127.0.0.1", 0, 2, fds, &port, message), 0);
  assert_true(port > 0);
  assert_int_equal(listen(fds[0], 1), 0);
  assert_int_equal(listener_bind("127.0.0.1", port, 2, again, &bound, message), UV_EADDRINUSE);
  close(fds[0]);
  close(fds[1]);
}

static void serves_on_several_sockets(void **state) {
  struct site *site = *state;
  enum { WORKERS = 3, CLIENTS = 30 };
  int fds[WORKERS];
  uint16_t port;
  char message[LISTENER_MESSAGE_BYTES];
  struct listener listeners[WORKERS];
  assert_int_equal(listener_bind("127.0.0.1", 0, WORKERS, fds, &port, message), 0);
  for (int i = 0; i < WORKERS; i++)
    assert_int_equal(listener_start(&listeners[i], &site->hub, fds[i]), 0);
  for (int i = 0; i < CLIENTS; i++) {
    int client = connect_to(port);
    client_send(client, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    client_expect(site, client, OK_HEAD("5") "hello");
    close(client);
  }
  for (int i = 0; i < WORKERS; i++) listener_stop(&listeners[i]);
  for (int i = 0; i < WORKERS; i++) listener_stop(&listeners[i]);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  for (int i = 0; i < WORKERS; i++) assert_true(listeners[i].is_closed);
}

static void serves_ipv6(void **state) {
  struct site *site = *state;
  int fd;
  uint16_t port;
  char message[LISTENER_MESSAGE_BYTES];
  if (listener_bind("::1", 0, 1, &fd, &port, message) != 0) skip();
  struct listener listener;
  assert_int_equal(listener_start(&listener, &site->hub, fd), 0);
  char expected[64];
  snprintf(expected, sizeof expected, "[::1]:%u: address already in use", port);
  expect_failure("::1", port, 1, expected);
  int client = socket(AF_INET6, SOCK_STREAM, 0);
  struct sockaddr_in6 address = {
      .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
  client_send(client, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  client_expect(site, client, OK_HEAD("5") "hello");
  close(client);
  listener_stop(&listener);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  assert_true(listener.is_closed);
}

static void accepts_what_is_queued_before_it_stops(void **state) {
  struct site *site = *state;
  enum { CLIENTS = 5 };
  int clients[CLIENTS];
  for (int i = 0; i < CLIENTS; i++) {
    clients[i] = site_connect(site);
    client_send(clients[i], "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  }
  listener_stop(&site->listener);
  hub_drain(&site->hub);
  for (int i = 0; i < CLIENTS; i++) {
    client_expect(site, clients[i], CLOSE_HEAD("5") "hello");
    client_expect_end(site, clients[i]);
  }
  site_wait_empty(site);
}

static void start_fails_on_what_is_no_socket(void **state) {
  struct site *site = *state;
  int fds[2];
  assert_int_equal(pipe(fds), 0);
  struct listener listener;
  assert_true(listener_start(&listener, &site->hub, fds[0]) < 0);
  listener_stop(&listener);
  for (int i = 0; i < TURNS_FEW; i++) site_turn(site);
  assert_true(listener.is_closed);
  close(fds[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SITE_TEST(says_what_is_wrong),
      SITE_TEST(notices_a_port_that_is_shared),
      SITE_TEST(serves_on_several_sockets),
      SITE_TEST(serves_ipv6),
      SITE_TEST(accepts_what_is_queued_before_it_stops),
      SITE_TEST(start_fails_on_what_is_no_socket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
