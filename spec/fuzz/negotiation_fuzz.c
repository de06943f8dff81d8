/* negotiation_fuzz.c - what requests ask for: codings, and who may read (CORS).
 *
 * Each line of the input is a field: its first byte chooses the name, the rest is the value, any
 * bytes. What is answered must be fields that may be sent, and an origin that is let through must
 * be of the host that the rules name. */
#include "fuzz.h"
#include "http/cors.h"
#include "http/encoding.h"
#include "http/field.h"
#include "http/policy.h"
#include "http/response.h"

enum { FIELDS_MAX = 12 };

static const struct slice names[] = {FIELD_INIT("Accept-Encoding"), FIELD_INIT("Origin"),
                                     FIELD_INIT("Access-Control-Request-Method"),
                                     FIELD_INIT("Access-Control-Request-Headers")};

static void read_request(struct input *input, struct request *request) {
  request->method = METHOD_OPTIONS;
  while (input_left(input) > 0 && request->field_count < FIELDS_MAX) {
    struct slice name = names[input_byte(input) % array_len(names)], value = input_line(input);
    struct request_field *field = &request->fields[request->field_count++];
    field->name_at = (uint32_t)request->head.len;
    field->name_len = (uint32_t)name.len;
    buffer_add(&request->head, name.data, name.len);
    field->value_at = (uint32_t)request->head.len;
    field->value_len = (uint32_t)value.len;
    buffer_add(&request->head, value.data, value.len);
  }
}

static struct policy *make_policy(bool any_header) {
  static const struct slice origins[] = {FIELD_INIT("https://example.com"),
                                         FIELD_INIT("https://*.example.com:8443")};
  struct cors_options options = {.origins = origins,
                                 .origin_count = array_len(origins),
                                 .methods = FIELD_INIT("GET, PUT"),
                                 .headers = {"*", any_header},
                                 .credentials = true};
  struct policy *policy = policy_create();
  policy_set_cors(policy, cors_create(&options));
  return policy;
}

static void check_origin(struct slice origin) {
  static const struct slice host = FIELD_INIT("example.com"), port = FIELD_INIT(":8443");
  assert(origin.len > host.len && !has_byte(origin, '@') && !has_byte(origin, '\\'));
  bool has_port = origin.data[origin.len - 1] == '3';
  if (has_port) origin.len -= port.len;
  struct slice end = {origin.data + origin.len - host.len, host.len};
  assert(field_equal(end, host));
  assert(end.data[-1] == (has_port ? '.' : '/'));
}

static void check_block(struct slice block) {
  struct field_line line;
  while (field_next_line(&block, &line)) {
    assert(response_check_field(line.name, line.value) == RESPONSE_FIELD_OK);
    if (field_equal(line.name, FIELD_TEXT("Access-Control-Allow-Origin"))) check_origin(line.value);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct request_field fields[FIELDS_MAX] = {0};
  struct request request = {.fields = fields};
  struct policy *policy = make_policy(input_byte(&input) & 1);
  struct buffer block = {0}, out = {0};
  read_request(&input, &request);
  const unsigned available = encoding_bit(ENCODING_GZIP);
  struct policy_coding coding = {.encoding = encoding_choose_for(&request, available),
                                 .varies = true};
  assert(coding.encoding != ENCODING_BROTLI);
  const char *refusal = cors_judge(policy_cors(policy), &request, &block);
  assert(!refusal || block.len == 0);
  check_block((struct slice){block.data, block.len});
  policy_write(&out, policy, &request, (struct slice){block.data, block.len}, coding);
  check_block((struct slice){out.data, out.len});
  buffer_finish(&block);
  buffer_finish(&out);
  buffer_finish(&request.head);
  policy_destroy(policy);
  return 0;
}
