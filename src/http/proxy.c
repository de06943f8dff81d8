/* proxy.c - walking the lists that proxies append to, from the right.
 *
 * Elements are taken off the end, so that nothing a client put in front (an open quote, say) can
 * change how the part is read that trusted proxies wrote behind it. */
#include "http/proxy.h"

#include "http/field.h"

#include <assert.h>
#include <string.h>

enum { PORT_DIGITS_MAX = 5, HOST_BYTES_MAX = 255 };

static const struct slice name_for = FIELD_INIT("x-forwarded-for");
static const struct slice name_proto = FIELD_INIT("x-forwarded-proto");
static const struct slice name_host = FIELD_INIT("x-forwarded-host");
static const struct slice name_forwarded = FIELD_INIT("forwarded");

void proxy_trust_init(struct proxy_trust *trust, const char *list, enum proxy_fields fields) {
  bool is_right = address_list_parse(list, &trust->proxies);
  assert(is_right);
  (void)is_right;
  trust->fields = fields;
}

void proxy_trust_finish(struct proxy_trust *trust) {
  address_list_finish(&trust->proxies);
}

bool proxy_trust_is_empty(const struct proxy_trust *trust) {
  return trust->proxies.count == 0 && !trust->proxies.has_unix;
}

/* ---- lists from their end ---- */

/* The elements of all fields of one name, last to first. */
struct backward {
  const struct request *request;
  struct slice name;
  uint32_t field; /* fields from here on have been looked at */
  struct slice rest;
};

static struct backward begin(const struct request *request, struct slice name) {
  return (struct backward){.request = request, .name = name, .field = request->field_count};
}

/* Where the last element of a list begins: behind its last comma outside of quotes. */
static size_t find_last(struct slice list) {
  bool is_quoted = false;
  for (size_t i = list.len; i > 0; i--) {
    char byte = list.data[i - 1];
    bool is_escaped = is_quoted && i > 1 && list.data[i - 2] == '\\';
    if (byte == '"' && !is_escaped) is_quoted = !is_quoted;
    if (byte == ',' && !is_quoted) return i;
  }
  return 0;
}

/* The next element to the left that is not empty; false when there is none. */
static bool previous(struct backward *list, struct slice *element) {
  for (;;) {
    if (list->rest.len == 0) {
      do {
        if (list->field == 0) return false;
        list->field--;
      } while (!field_equal(request_field_name(list->request, list->field), list->name));
      list->rest = request_field_value(list->request, list->field);
    }
    size_t at = find_last(list->rest);
    *element = field_trim((struct slice){list->rest.data + at, list->rest.len - at});
    list->rest.len = at > 0 ? at - 1 : 0;
    if (element->len > 0) return true;
  }
}

/* ---- what elements say ---- */

/* ":80" or ":_obfuscated", or nothing. */
static bool is_port(const char *at, const char *end) {
  if (at == end) return true;
  if (*at++ != ':' || at == end) return false;
  if (*at == '_') return true;
  if (end - at > PORT_DIGITS_MAX) return false;
  for (; at < end; at++)
    if (*at < '0' || *at > '9') return false;
  return true;
}

/* An address with or without a port, IPv6 with or without brackets. "unknown" and obfuscated
 * names are no addresses (RFC 7239 section 6). */
static bool parse_node(struct slice node, struct address *out) {
  if (node.len == 0) return false;
  const char *end = node.data + node.len;
  if (*node.data == '[') {
    const char *bracket = memchr(node.data, ']', node.len);
    if (!bracket || !is_port(bracket + 1, end)) return false;
    size_t len = (size_t)(bracket - node.data) - 1;
    return memchr(node.data + 1, ':', len) && address_parse(node.data + 1, len, out);
  }
  const char *colon = memchr(node.data, ':', node.len);
  bool is_ipv4 = !colon || !memchr(colon + 1, ':', (size_t)(end - colon) - 1);
  if (!is_ipv4) return address_parse(node.data, node.len, out);
  if (colon && !is_port(colon, end)) return false;
  return address_parse(node.data, colon ? (size_t)(colon - node.data) : node.len, out);
}

static void take_scheme(struct slice value, struct proxy_client *out) {
  if (field_equal(value, FIELD_TEXT("https")))
    out->is_https = true;
  else if (field_equal(value, FIELD_TEXT("http")))
    out->is_https = false;
}

/* A name, IPv4 or IPv6 address with an optional port; nothing that would change a URL around it. */
static void take_host(struct slice value, struct proxy_client *out) {
  if (value.len == 0 || value.len > HOST_BYTES_MAX) return;
  for (size_t i = 0; i < value.len; i++) {
    char byte = value.data[i];
    bool is_letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    bool is_digit = byte >= '0' && byte <= '9';
    if (!is_letter && !is_digit && (byte == '\0' || !strchr("-._:[]", byte))) return;
  }
  out->host = value;
}

static bool is_trusted(const struct proxy_trust *trust, const struct address *address) {
  return address_list_has(&trust->proxies, address);
}

/* Makes the node at this hop the client; false when the walk ends here. */
static bool take_node(const struct proxy_trust *trust, struct slice node,
                      struct proxy_client *out) {
  struct address address;
  if (!parse_node(node, &address)) return false;
  address_format(&address, out->_text);
  out->address = out->_text;
  return is_trusted(trust, &address);
}

/* ---- X-Forwarded-* ---- */

/* What the hop `count` from the end says; a proxy that passes the field on without adding to it
 * leaves fewer elements, then the first one counts. */
static struct slice element_of_hop(const struct request *request, struct slice name,
                                   unsigned count) {
  struct backward list = begin(request, name);
  struct slice element = {"", 0}, found = element;
  for (unsigned i = 0; i < count && previous(&list, &element); i++) found = element;
  return found;
}

static void walk_x_forwarded(const struct proxy_trust *trust, const struct request *request,
                             struct proxy_client *out) {
  struct backward list = begin(request, name_for);
  struct slice element;
  unsigned hops = 0;
  bool goes_on = true;
  while (goes_on && previous(&list, &element)) {
    goes_on = take_node(trust, element, out);
    hops++;
  }
  if (hops == 0) hops = 1;
  take_scheme(element_of_hop(request, name_proto, hops), out);
  take_host(element_of_hop(request, name_host, hops), out);
}

/* ---- Forwarded ---- */

struct forwarded {
  struct slice node, scheme, host;
};

/* Takes "name=value" off the pairs of an element; the value without its quotes. */
static bool take_pair(struct slice *pairs, struct slice *name, struct slice *value) {
  const char *equals = memchr(pairs->data, '=', pairs->len);
  if (!equals) return false;
  *name = field_trim((struct slice){pairs->data, (size_t)(equals - pairs->data)});
  const char *at = equals + 1, *end = pairs->data + pairs->len, *stop;
  if (at < end && *at == '"') {
    at++;
    stop = memchr(at, '"', (size_t)(end - at));
    if (!stop || memchr(at, '\\', (size_t)(stop - at))) return false;
    *value = (struct slice){at, (size_t)(stop - at)};
    at = stop + 1;
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    if (at < end && *at != ';') return false;
  } else {
    stop = memchr(at, ';', (size_t)(end - at));
    if (!stop) stop = end;
    *value = field_trim((struct slice){at, (size_t)(stop - at)});
    at = stop;
  }
  if (at < end) at++;
  *pairs = field_trim((struct slice){at, (size_t)(end - at)});
  return field_is_token(*name) && value->len > 0;
}

/* One parameter; each may stand once in an element. */
static bool set_once(struct slice *place, struct slice value) {
  if (place->len > 0) return false;
  *place = value;
  return true;
}

static bool parse_forwarded(struct slice element, struct forwarded *out) {
  struct slice name, value;
  *out = (struct forwarded){0};
  while (element.len > 0) {
    if (!take_pair(&element, &name, &value)) return false;
    bool is_right = true;
    if (field_equal(name, FIELD_TEXT("for"))) is_right = set_once(&out->node, value);
    if (field_equal(name, FIELD_TEXT("proto"))) is_right = set_once(&out->scheme, value);
    if (field_equal(name, FIELD_TEXT("host"))) is_right = set_once(&out->host, value);
    if (!is_right) return false;
  }
  return true;
}

static void walk_forwarded(const struct proxy_trust *trust, const struct request *request,
                           struct proxy_client *out) {
  struct backward list = begin(request, name_forwarded);
  struct slice element;
  struct forwarded hop;
  while (previous(&list, &element) && parse_forwarded(element, &hop)) {
    take_scheme(hop.scheme, out);
    take_host(hop.host, out);
    if (!take_node(trust, hop.node, out)) return;
  }
}

/* ---- */

static bool has_field(const struct request *request, struct slice name) {
  return request_find(request, name, 0) < request->field_count;
}

static bool uses_forwarded(const struct proxy_trust *trust, const struct request *request) {
  switch (trust->fields) {
  case PROXY_FIELDS_AUTO:
    return !has_field(request, name_for) && !has_field(request, name_proto) &&
           !has_field(request, name_host);
  case PROXY_FIELDS_X_FORWARDED:
    return false;
  case PROXY_FIELDS_FORWARDED:
    return true;
  }
  return false;
}

void proxy_find_client(const struct proxy_trust *trust, const struct request *request,
                       const char *peer, struct proxy_client *out) {
  struct address address;
  *out = (struct proxy_client){.address = peer, .host = {"", 0}};
  bool is_believed =
      strcmp(peer, PROXY_UNIX_PEER) == 0
          ? trust->proxies.has_unix
          : address_parse(peer, strlen(peer), &address) && is_trusted(trust, &address);
  if (!is_believed) return;
  if (uses_forwarded(trust, request))
    walk_forwarded(trust, request, out);
  else
    walk_x_forwarded(trust, request, out);
}
