/* events.c - many clients of one event stream, and how soon each event comes to each of them.
 *
 *   events PORT CLIENTS RATE SECONDS PID
 * connects so many clients to /events of the process PID, then asks for /publish. An event is the
 * time at which it was published. Prints events a second, how many of those that were published
 * have come, how late they were, and the memory that the server has taken for each client. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 65536, LINE_BYTES = 256, READY_SECONDS = 60, BATCH = 256 };

struct client {
  int fd;
  bool is_ready; /* the head of the response has come */
  char line[LINE_BYTES];
  size_t len;
};

struct bench {
  int port, count, rate, seconds, pid, epoll;
  struct client *clients;
  int ready;
  double *late_ms;
  size_t events, events_max;
};

static void fail(const char *what) {
  fprintf(stderr, "events: %s: %s\n", what, strerror(errno));
  _Exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static long rss_kib(int pid) {
  char path[64], line[256];
  long kib = 0;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  if (file) fclose(file);
  return kib;
}

static int request(int port, const char *path) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  char text[256];
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) fail("connect");
  int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path);
  if (write(fd, text, (size_t)len) != len) fail("write");
  return fd;
}

static void take_line(struct bench *bench, struct client *client) {
  double published;
  if (!client->is_ready && strncmp(client->line, "HTTP/1.1 200", 12) == 0) {
    client->is_ready = true;
    bench->ready++;
  }
  if (sscanf(client->line, "data: %lf", &published) != 1) return;
  if (bench->events < bench->events_max) bench->late_ms[bench->events] = (now() - published) * 1000;
  bench->events++;
}

static void take_bytes(struct bench *bench, struct client *client) {
  static const char ended[] = "the server has ended a stream";
  char bytes[READ_BYTES];
  ssize_t count = read(client->fd, bytes, sizeof bytes);
  if (count == 0) fail(ended);
  for (ssize_t i = 0; i < count; i++) {
    if (bytes[i] != '\n') {
      if (client->len < LINE_BYTES - 1) client->line[client->len++] = bytes[i];
      continue;
    }
    client->line[client->len] = '\0';
    client->len = 0;
    take_line(bench, client);
  }
}

static void take_events(struct bench *bench, int wait_ms) {
  struct epoll_event events[BATCH];
  int count = epoll_wait(bench->epoll, events, BATCH, wait_ms);
  for (int i = 0; i < count; i++) take_bytes(bench, events[i].data.ptr);
}

static void connect_all(struct bench *bench) {
  bench->epoll = epoll_create1(0);
  bench->clients = calloc((size_t)bench->count, sizeof *bench->clients);
  for (int i = 0; i < bench->count; i++) {
    struct client *client = &bench->clients[i];
    client->fd = request(bench->port, "/events");
    fcntl(client->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(bench->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0) fail("epoll_ctl");
    take_events(bench, 0);
  }
  double limit = now() + READY_SECONDS;
  while (bench->ready < bench->count && now() < limit) take_events(bench, 10);
  if (bench->ready < bench->count) fail("not all streams have begun");
}

static int compare(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

static void print(struct bench *bench, double seconds, double bytes) {
  size_t count = bench->events < bench->events_max ? bench->events : bench->events_max;
  double published = (double)bench->rate * bench->seconds * bench->count;
  qsort(bench->late_ms, count, sizeof *bench->late_ms, compare);
  printf("events_per_second %.0f\n", (double)bench->events / seconds);
  printf("come_percent %.1f\n", 100 * (double)bench->events / published);
  printf("late_p50_ms %.2f\n", count ? bench->late_ms[count / 2] : 0);
  printf("late_p99_ms %.2f\n", count ? bench->late_ms[count * 99 / 100] : 0);
  printf("bytes_per_client %.0f\n", bytes);
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: events PORT CLIENTS RATE SECONDS PID\n");
    return 2;
  }
  char path[128];
  struct bench bench = {.port = (int)strtol(argv[1], NULL, 10),
                        .count = (int)strtol(argv[2], NULL, 10),
                        .rate = (int)strtol(argv[3], NULL, 10),
                        .seconds = (int)strtol(argv[4], NULL, 10),
                        .pid = (int)strtol(argv[5], NULL, 10)};
  bench.events_max = (size_t)bench.count * (size_t)bench.rate * (size_t)bench.seconds + 1;
  bench.late_ms = calloc(bench.events_max, sizeof *bench.late_ms);
  long before = rss_kib(bench.pid);
  connect_all(&bench);
  double bytes = (double)(rss_kib(bench.pid) - before) * 1024 / bench.count;
  snprintf(path, sizeof path, "/publish?rate=%d&seconds=%d", bench.rate, bench.seconds);
  int publisher = request(bench.port, path);
  double first = now();
  while (now() - first < bench.seconds) take_events(&bench, 10);
  double seconds = now() - first;
  print(&bench, seconds, bytes);
  close(publisher);
  return 0;
}
