/* address.c - parsing with inet_pton, comparing prefixes of 128 bits.
 *
 * Text comes from requests too (X-Forwarded-For): what is not exactly an address is refused, and
 * nothing here allocates but address_list_parse. */
#include "base/address.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED_BYTES = 12, MAPPED_BITS = 96, ADDRESS_BITS = 128, PORT_MAX = 65535 };

static const uint8_t mapped_prefix[MAPPED_BYTES] = {[10] = 0xFF, [11] = 0xFF};

static_assert(ADDRESS_TEXT_BYTES == INET6_ADDRSTRLEN, "the longest text of an address");

static bool is_mapped(const struct address *address) {
  return memcmp(address->bytes, mapped_prefix, MAPPED_BYTES) == 0;
}

bool address_parse(const char *text, size_t len, struct address *out) {
  char copy[ADDRESS_TEXT_BYTES];
  if (len == 0 || len >= sizeof copy || memchr(text, '\0', len)) return false;
  memcpy(copy, text, len);
  copy[len] = '\0';
  memcpy(out->bytes, mapped_prefix, MAPPED_BYTES);
  if (inet_pton(AF_INET, copy, out->bytes + MAPPED_BYTES) == 1) return true;
  return inet_pton(AF_INET6, copy, out->bytes) == 1;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_BYTES]) {
  bool is_ipv4 = is_mapped(address);
  const void *bytes = is_ipv4 ? address->bytes + MAPPED_BYTES : address->bytes;
  const char *text = inet_ntop(is_ipv4 ? AF_INET : AF_INET6, bytes, out, ADDRESS_TEXT_BYTES);
  assert(text);
  (void)text;
}

void address_format_socket(const struct sockaddr *socket_address, char out[ADDRESS_TEXT_BYTES]) {
  struct address address;
  out[0] = '\0';
  if (socket_address->sa_family == AF_INET) {
    const struct sockaddr_in *ipv4 = (const void *)socket_address;
    memcpy(address.bytes, mapped_prefix, MAPPED_BYTES);
    memcpy(address.bytes + MAPPED_BYTES, &ipv4->sin_addr, sizeof ipv4->sin_addr);
  } else if (socket_address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *ipv6 = (const void *)socket_address;
    memcpy(address.bytes, &ipv6->sin6_addr, sizeof address.bytes);
  } else {
    return;
  }
  address_format(&address, out);
}

/* A whole number of at most five digits, up to `largest`. */
static bool parse_number(const char *text, size_t len, unsigned largest, unsigned *out) {
  unsigned sum = 0;
  if (len == 0 || len > 5) return false;
  for (size_t i = 0; i < len; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    sum = sum * 10 + (unsigned)(text[i] - '0');
  }
  *out = sum;
  return sum <= largest;
}

static bool parse_network(struct slice text, struct address_network *out) {
  const char *slash = memchr(text.data, '/', text.len);
  size_t len = slash ? (size_t)(slash - text.data) : text.len;
  if (!address_parse(text.data, len, &out->address)) return false;
  bool is_ipv4 = !memchr(text.data, ':', len);
  unsigned around = is_ipv4 ? MAPPED_BITS : 0;
  out->bits = ADDRESS_BITS;
  if (!slash) return true;
  if (!parse_number(slash + 1, text.len - len - 1, ADDRESS_BITS - around, &out->bits)) return false;
  out->bits += around;
  return true;
}

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

static struct slice trim(struct slice text) {
  for (; text.len && is_blank(text.data[0]); text.len--) text.data++;
  while (text.len && is_blank(text.data[text.len - 1])) text.len--;
  return text;
}

static bool add_element(struct address_list *list, struct slice text) {
  static const char unix_word[] = "unix";
  if (text.len == sizeof unix_word - 1 && memcmp(text.data, unix_word, text.len) == 0) {
    list->has_unix = true;
    return true;
  }
  struct address_network network;
  if (!parse_network(text, &network)) return false;
  list->networks = memory_resize(list->networks, (list->count + 1) * sizeof network);
  list->networks[list->count++] = network;
  return true;
}

bool address_list_parse(const char *text, struct address_list *out) {
  *out = (struct address_list){0};
  const char *end = text + strlen(text);
  if (trim((struct slice){text, (size_t)(end - text)}).len == 0) return true;
  for (;;) {
    const char *comma = memchr(text, ',', (size_t)(end - text));
    size_t len = (size_t)((comma ? comma : end) - text);
    if (!add_element(out, trim((struct slice){text, len}))) {
      address_list_finish(out);
      return false;
    }
    if (!comma) return true;
    text = comma + 1;
  }
}

void address_list_finish(struct address_list *list) {
  free(list->networks);
  *list = (struct address_list){0};
}

static bool is_in(const struct address *address, const struct address_network *network) {
  unsigned bytes = network->bits / 8, bits = network->bits % 8;
  if (memcmp(address->bytes, network->address.bytes, bytes) != 0) return false;
  if (bits == 0) return true;
  return (address->bytes[bytes] ^ network->address.bytes[bytes]) >> (8 - bits) == 0;
}

bool address_list_has(const struct address_list *list, const struct address *address) {
  for (size_t i = 0; i < list->count; i++)
    if (is_in(address, &list->networks[i])) return true;
  return false;
}

bool address_split_endpoint(const char *text, char host[ADDRESS_HOST_BYTES], uint16_t *port) {
  const char *colon = strrchr(text, ':');
  unsigned number;
  if (!colon || !parse_number(colon + 1, strlen(colon + 1), PORT_MAX, &number)) return false;
  size_t len = (size_t)(colon - text);
  if (len >= 2 && *text == '[' && text[len - 1] == ']') {
    text++;
    len -= 2;
  } else if (memchr(text, ':', len)) {
    return false; /* IPv6 without brackets: where its port begins cannot be told */
  }
  if (len == 0 || len >= ADDRESS_HOST_BYTES) return false;
  memcpy(host, text, len);
  host[len] = '\0';
  *port = (uint16_t)number;
  return true;
}
