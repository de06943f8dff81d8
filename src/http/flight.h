/* flight.h - whether anything is on its way between a hub and a client in the same process.
 *
 * For clocks that specs move: while bytes are on their way, or have come and not been read, the one
 * who waits for them is not idle. Asks the kernel about both ends. */
#ifndef HTTP_FLIGHT_H
#define HTTP_FLIGHT_H

#include <stdbool.h>

struct hub;

/* The other end of a connection: its socket, and what it is ready for. */
struct flight_client {
  int fd;
  bool reads, writes;
};

/* [owner] Whether the hub has nothing to do, and has read all that has come. */
bool flight_is_over(const struct hub *hub);

/* [owner] Whether the client is connected to the hub and nothing is between the two. */
bool flight_is_settled(const struct hub *hub, const struct flight_client *client);

#endif
