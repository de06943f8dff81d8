/* proxy.h - who the client is when proxies stand between: X-Forwarded-* and RFC 7239.
 *
 * What a proxy says is believed only of a connection from a trusted address, and only hop by hop:
 * the list is walked from its end, where the nearest proxy wrote, up to the first address that is
 * not trusted. What stands before that, the client may have made up. Something malformed ends the
 * walk. Pure: the connection's other end comes in as text. */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "base/address.h"
#include "http/request.h"

#include <stdbool.h>

/* The address of a Unix socket's peer, which has none. */
#define PROXY_UNIX_PEER "unix:"

/* In the order of the values of --proxy-fields (settings.h). */
enum proxy_fields {
  PROXY_FIELDS_AUTO, /* Forwarded where no X-Forwarded-For, -Proto or -Host has come */
  PROXY_FIELDS_X_FORWARDED,
  PROXY_FIELDS_FORWARDED
};

struct proxy_trust {
  struct address_list proxies;
  enum proxy_fields fields;
};

struct proxy_client {
  const char *address; /* text; may point into this struct */
  bool is_https;       /* what the client spoke to the outermost proxy */
  struct slice host;   /* what it asked for, host and port; empty: what the request itself says */
  char _text[ADDRESS_TEXT_BYTES];
};

/* [owner] Trusts the addresses of a list as address_list_parse takes it (it has been checked). */
void proxy_trust_init(struct proxy_trust *trust, const char *list, enum proxy_fields fields);

/* [owner] Frees it; accepts a zeroed struct. */
void proxy_trust_finish(struct proxy_trust *trust);

/* [any thread] Whether anybody is trusted at all. */
bool proxy_trust_is_empty(const struct proxy_trust *trust);

/* [any thread] The client of a request that came from `peer` (an address, or PROXY_UNIX_PEER).
 * `out` points into the request, `peer` and itself. */
void proxy_find_client(const struct proxy_trust *trust, const struct request *request,
                       const char *peer, struct proxy_client *out);

#endif
