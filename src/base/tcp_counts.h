/* tcp_counts.h - how many bytes a TCP socket has sent and received.
 *
 * A file of its own because the kernel's header with these counters does not go together with the
 * C library's, which libuv includes. */
#ifndef BASE_TCP_COUNTS_H
#define BASE_TCP_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

struct tcp_counts {
  uint64_t sent, received; /* sent: each byte once */
  uint32_t unsent;         /* taken from the program, and still here */
  bool is_established;     /* both sides are open */
  bool is_ended;           /* the other side has ended */
};

/* [any thread] False: it is no TCP socket. */
bool tcp_counts_read(int fd, struct tcp_counts *counts);

#endif
