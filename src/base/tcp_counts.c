/* tcp_counts.c - TCP_INFO, as the kernel's own header has it.
 *
 * The states are numbers of the kernel's interface, which that header does not name. */
#include "base/tcp_counts.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { STATE_ESTABLISHED = 1, STATE_CLOSE_WAIT = 8 };

bool tcp_counts_read(int fd, struct tcp_counts *counts) {
  struct tcp_info info = {0};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  *counts = (struct tcp_counts){
      .sent = info.tcpi_bytes_sent - info.tcpi_bytes_retrans,
      .received = info.tcpi_bytes_received,
      .unsent = info.tcpi_notsent_bytes,
      .is_established = info.tcpi_state == STATE_ESTABLISHED,
      .is_ended = info.tcpi_state == STATE_CLOSE_WAIT,
  };
  return true;
}
