/* host.h - whether a text may be the authority of a request: "example.com", "[::1]:8080".
 *
 * For the Host field and for targets in absolute form. Only looks: finds no address, knows no
 * names, allocates nothing. */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>

/* [any thread] uri-host [":" port] of RFC 9112 3.2 and RFC 3986 3.2.2, and stricter where that
 * leaves room: the host is not empty (RFC 9110 4.2.1), an address in brackets is IPv6, a port is at
 * most 65535, and a comma, by which two Host fields may have been joined, is refused. No userinfo.
 */
bool host_is_valid(const char *data, size_t len);

#endif
