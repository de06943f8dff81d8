/* proxy_fuzz.c - what proxies and clients write into X-Forwarded-* and Forwarded.
 *
 * The first line is the peer, the others are fields "name:value"; each value stands in a block of
 * exactly its size. Whatever they say, the client's address is the peer or a real address, an
 * address that only a trusted peer could name, and the host has nothing that would end it in a URL
 * or a header. */
#include "fuzz.h"
#include "http/proxy.h"

#include <stdlib.h>

enum { FIELDS_MAX = 32 };

#define TRUSTED "10.0.0.0/8, ::1, unix"

static void take_fields(struct input *input, struct request *request) {
  request->fields = memory_alloc_zero(FIELDS_MAX * sizeof *request->fields);
  while (input_left(input) > 0 && request->field_count < FIELDS_MAX) {
    struct slice line = input_line(input);
    const char *colon = line.len > 0 ? memchr(line.data, ':', line.len) : NULL;
    if (!colon) continue;
    uint32_t at = (uint32_t)request->head.len, name_len = (uint32_t)(colon - line.data);
    request->fields[request->field_count++] =
        (struct request_field){.name_at = at,
                               .name_len = name_len,
                               .value_at = at + name_len + 1,
                               .value_len = (uint32_t)line.len - name_len - 1};
    buffer_add(&request->head, line.data, line.len);
  }
}

static void check(const struct proxy_client *client, const char *peer, bool is_believed) {
  struct address address;
  char text[ADDRESS_TEXT_BYTES];
  if (client->address != peer) {
    assert(is_believed && address_parse(client->address, strlen(client->address), &address));
    address_format(&address, text);
    assert(strcmp(text, client->address) == 0);
  }
  assert(is_believed || (!client->is_https && client->host.len == 0));
  static const char unsafe[] = " \t\r\n\"/\\?#@,;<>%";
  for (const char *byte = unsafe; *byte; byte++) assert(!has_byte(client->host, *byte));
  assert(!has_byte(client->host, '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice line = input_line(&input);
  char *peer = memory_copy(line.data, line.len);
  struct request request = {0};
  struct proxy_trust trust;
  take_fields(&input, &request);
  for (int fields = PROXY_FIELDS_AUTO; fields <= PROXY_FIELDS_FORWARDED; fields++) {
    struct proxy_client client;
    struct address address;
    proxy_trust_init(&trust, TRUSTED, (enum proxy_fields)fields);
    bool is_believed =
        strcmp(peer, PROXY_UNIX_PEER) == 0 ||
        (address_parse(peer, strlen(peer), &address) && address_list_has(&trust.proxies, &address));
    proxy_find_client(&trust, &request, peer, &client);
    check(&client, peer, is_believed);
    proxy_trust_finish(&trust);
  }
  request_finish(&request);
  free(peer);
  return 0;
}
