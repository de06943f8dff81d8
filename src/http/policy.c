/* policy.c - putting a response's own fields and the app's together.
 *
 * One pass over the response's lines, one over the app's; Vary comes last, out of all that names
 * it. Knows nothing of connections. */
#include "http/policy.h"

#include "http/field.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct slice vary = FIELD_INIT("vary");

struct policy {
  struct buffer block; /* encoded fields, Vary not among them */
  struct buffer vary;  /* a list */
  struct cors *cors;
};

struct policy *policy_create(void) {
  return memory_alloc_zero(sizeof(struct policy));
}

void policy_destroy(struct policy *policy) {
  if (!policy) return;
  buffer_finish(&policy->block);
  buffer_finish(&policy->vary);
  cors_destroy(policy->cors);
  free(policy);
}

static void add_slice(struct buffer *out, struct slice slice) {
  buffer_add(out, slice.data, slice.len);
}

void policy_add_field(struct policy *policy, struct slice name, struct slice value) {
  if (field_equal(name, vary)) {
    if (policy->vary.len > 0) buffer_add_text(&policy->vary, ", ");
    add_slice(&policy->vary, value);
    return;
  }
  add_slice(&policy->block, name);
  buffer_add_text(&policy->block, ": ");
  add_slice(&policy->block, value);
  buffer_add_text(&policy->block, "\r\n");
}

void policy_set_cors(struct policy *policy, struct cors *cors) {
  assert(!policy->cors);
  policy->cors = cors;
}

const struct cors *policy_cors(const struct policy *policy) {
  return policy->cors;
}

/* ---- Vary ---- */

/* Adds the elements that the line, which begins at `start`, does not have yet. */
static void add_vary(struct buffer *out, size_t start, struct slice list) {
  struct slice element;
  while (field_next_element(&list, &element)) {
    if (out->len == start) {
      buffer_add_text(out, "Vary: ");
    } else {
      size_t value_at = start + strlen("Vary: ");
      struct slice so_far = {out->data + value_at, out->len - value_at};
      if (field_has_element(so_far, element)) continue;
      buffer_add_text(out, ", ");
    }
    add_slice(out, element);
  }
}

/* "*" says all (RFC 9110 12.5.5). */
static void finish_vary(struct buffer *out, size_t start) {
  if (out->len == start) return;
  size_t value_at = start + strlen("Vary: ");
  struct slice value = {out->data + value_at, out->len - value_at};
  if (field_has_element(value, FIELD_TEXT("*"))) {
    out->len = value_at;
    buffer_add_byte(out, '*');
  }
  buffer_add_text(out, "\r\n");
}

static void write_vary(struct buffer *out, const struct policy *policy, struct slice block,
                       bool varies_by_origin, bool varies_by_encoding) {
  struct field_line line;
  size_t start = out->len;
  while (field_find(block, vary, &line)) {
    add_vary(out, start, line.value);
    const char *end = block.data + block.len;
    block.data = line.all.data + line.all.len;
    block.len = (size_t)(end - block.data);
  }
  if (policy) add_vary(out, start, (struct slice){policy->vary.data, policy->vary.len});
  if (varies_by_origin) add_vary(out, start, FIELD_TEXT("Origin"));
  if (varies_by_encoding) add_vary(out, start, FIELD_TEXT("Accept-Encoding"));
  finish_vary(out, start);
}

/* ---- all the fields ---- */

/* The lines of the response itself, but for Vary. */
static void write_own(struct buffer *out, struct slice block, enum encoding encoding) {
  struct field_line line;
  while (field_next_line(&block, &line)) {
    if (field_equal(line.name, vary)) continue;
    bool is_strong_tag = encoding != ENCODING_IDENTITY && line.value.len > 0 &&
                         *line.value.data == '"' && field_equal(line.name, FIELD_TEXT("etag"));
    if (is_strong_tag) {
      buffer_add_text(out, "ETag: W/");
      add_slice(out, line.value);
      buffer_add_text(out, "\r\n");
    } else {
      add_slice(out, line.all);
    }
  }
}

static void write_added(struct buffer *out, const struct policy *policy, struct slice block) {
  struct slice added = {policy->block.data, policy->block.len};
  struct field_line line, own;
  while (field_next_line(&added, &line))
    if (!field_find(block, line.name, &own)) add_slice(out, line.all);
}

void policy_write(struct buffer *out, const struct policy *policy, const struct request *request,
                  struct slice block, struct policy_coding coding) {
  const struct cors *cors = policy ? policy->cors : NULL;
  struct field_line own;
  if (cors && field_find(block, FIELD_TEXT("access-control-allow-origin"), &own)) cors = NULL;
  write_own(out, block, coding.encoding);
  if (policy) write_added(out, policy, block);
  if (cors) cors_write_fields(cors, request, out);
  if (coding.encoding != ENCODING_IDENTITY)
    buffer_printf(out, "Content-Encoding: %s\r\n", encoding_name(coding.encoding));
  write_vary(out, policy, block, cors && cors_varies(cors), coding.varies);
}
