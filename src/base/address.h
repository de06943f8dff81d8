/* address.h - IP addresses, networks and lists of them, from text and back.
 *
 * IPv4 addresses are kept as IPv4-mapped IPv6 ones, so that 127.0.0.1 and ::ffff:127.0.0.1 are one
 * address everywhere and are written as IPv4. No names, no zones, no I/O. */
#ifndef BASE_ADDRESS_H
#define BASE_ADDRESS_H

#include "base/base.h"

#include <stdbool.h>
#include <stdint.h>

/* Room for an address as text. */
#define ADDRESS_TEXT_BYTES 46

/* Room for a host of an endpoint. */
#define ADDRESS_HOST_BYTES 256

struct sockaddr;

struct address {
  uint8_t bytes[16];
};

struct address_network {
  struct address address;
  unsigned bits; /* of the 128 that count */
};

/* Addresses that something holds for: those in one of the networks and, with has_unix, the peers of
 * Unix sockets. */
struct address_list {
  struct address_network *networks;
  size_t count;
  bool has_unix;
};

/* [any thread] Reads "192.0.2.1" or "2001:db8::1", nothing around it. */
bool address_parse(const char *text, size_t len, struct address *out);

/* [any thread] Writes the address as RFC 5952 has it, IPv4 in its own form. */
void address_format(const struct address *address, char out[ADDRESS_TEXT_BYTES]);

/* [any thread] The same of an IPv4 or IPv6 socket address; "" of any other. */
void address_format_socket(const struct sockaddr *socket_address, char out[ADDRESS_TEXT_BYTES]);

/* [any thread] Reads a list "127.0.0.1, 10.0.0.0/8, fd00::/8, unix"; blanks around the commas do
 * not count, an empty text is an empty list. False, and an empty list, when an element is none of
 * these. The caller owns the list. */
bool address_list_parse(const char *text, struct address_list *out);

/* [owner] Frees it; accepts a zeroed list. */
void address_list_finish(struct address_list *list);

/* [any thread] Whether the address is in one of the list's networks. */
bool address_list_has(const struct address_list *list, const struct address *address);

/* [any thread] Reads "host:port" or "[IPv6]:port" with a port from 0 to 65535; the host comes
 * without brackets. */
bool address_split_endpoint(const char *text, char host[ADDRESS_HOST_BYTES], uint16_t *port);

#endif
