/* file_plan.c - validators, conditions, ranges, and the fields that tell of them.
 *
 * RFC 9110: 8.8 validators, 13 conditions, 14 ranges, 15.4.5 what a 304 carries. A field that the
 * app has set is not written again. */
#include "http/file_plan.h"

#include "base/limits.h"
#include "http/compress.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/field.h"
#include "http/media_type.h"
#include "http/status.h"

#include <stdio.h>
#include <string.h>

enum { ETAG_BYTES = 64, NS_PER_S = 1000000000 };

#define SEPARATOR "\r\n--%016llx"
#define PART_HEAD SEPARATOR "\r\nContent-Type: %.*s\r\nContent-Range: bytes %llu-%llu/%llu\r\n\r\n"

typedef unsigned long long ull;

/* A plan that is being made. */
struct making {
  struct file_plan *plan;
  const struct file_facts *facts;
  struct slice type;
  struct validators validators;
  char etag[ETAG_BYTES];
  bool varies; /* another Accept-Encoding would have got another body */
};

void file_plan_finish(struct file_plan *plan) {
  buffer_finish(&plan->block);
  buffer_finish(&plan->texts);
}

static bool find_field(const struct making *making, const char *name, struct slice *value) {
  struct field_line line;
  if (!field_find(making->facts->block, (struct slice){name, strlen(name)}, &line)) return false;
  *value = line.value;
  return true;
}

static void add_field(struct making *making, const char *name, struct slice value) {
  struct slice set;
  if (find_field(making, name, &set)) return;
  buffer_printf(&making->plan->block, "%s: %.*s\r\n", name, (int)value.len, value.data);
}

/* ---- coding ---- */

static bool has_field(const struct making *making, struct slice name) {
  const struct request *request = making->facts->request;
  return request_find(request, name, 0) < request->field_count;
}

/* Parts are parts of the file as it is. */
static void choose_encoding(struct making *making) {
  const unsigned available = encoding_bit(ENCODING_GZIP) | encoding_bit(ENCODING_BROTLI);
  const struct file_facts *facts = making->facts;
  const struct lookup *lookup = facts->lookup;
  enum method method = facts->request->method;
  making->varies = lookup->varies;
  if (!facts->may_encode || lookup->encoding != ENCODING_IDENTITY) return;
  if (lookup->size < COMPRESS_BYTES_MIN || lookup->size > FILE_ENCODE_BYTES_MAX) return;
  if (method != METHOD_GET && method != METHOD_HEAD) return;
  if (!compress_is_allowed(facts->block, making->type)) return;
  making->varies = true;
  if (has_field(making, FIELD_TEXT("range")) || has_field(making, FIELD_TEXT("if-range"))) return;
  making->plan->encoding = encoding_choose_for(facts->request, available);
}

static bool is_encoded(const struct making *making) {
  return making->plan->encoding != ENCODING_IDENTITY;
}

/* ---- validators ---- */

static void make_etag(struct making *making) {
  const struct lookup *lookup = making->facts->lookup;
  uint64_t changed = (uint64_t)lookup->modified_seconds * NS_PER_S + lookup->modified_ns;
  int len = snprintf(making->etag, sizeof making->etag, "\"%llx-%llx-%llx%s%s\"", (ull)lookup->size,
                     (ull)changed, (ull)lookup->inode, is_encoded(making) ? "-" : "",
                     is_encoded(making) ? encoding_name(making->plan->encoding) : "");
  making->validators.etag = (struct slice){making->etag, (size_t)len};
}

/* Those of the file, unless the app has set its own. A file from the future counts as changed just
 * now: RFC 9110 8.8.2.1. */
static void find_validators(struct making *making) {
  struct validators *validators = &making->validators;
  const struct file_facts *facts = making->facts;
  int64_t now = facts->now_seconds, modified = facts->lookup->modified_seconds;
  struct slice value;
  validators->now_seconds = now;
  if (!find_field(making, "ETag", &validators->etag)) make_etag(making);
  validators->modified_seconds = modified < now ? modified : now;
  if (find_field(making, "Last-Modified", &value) &&
      !date_parse(value, now, &validators->modified_seconds))
    validators->modified_seconds = -1;
}

static void add_validators(struct making *making) {
  char date[DATE_LEN];
  add_field(making, "ETag", making->validators.etag);
  if (making->validators.modified_seconds < 0) return;
  date_format(date, making->validators.modified_seconds);
  add_field(making, "Last-Modified", (struct slice){date, DATE_LEN});
}

/* ---- fields ---- */

/* A strong tag of the app's is that of the bytes as they are: RFC 9110 8.8.1. */
static void add_app_field(struct making *making, const struct field_line *line) {
  struct buffer *block = &making->plan->block;
  bool is_weakened = is_encoded(making) && line->value.len > 0 && line->value.data[0] == '"' &&
                     field_equal(line->name, FIELD_TEXT("etag"));
  if (is_weakened)
    buffer_printf(block, "ETag: W/%.*s\r\n", (int)line->value.len, line->value.data);
  else
    buffer_add(block, line->all.data, line->all.len);
}

/* The app's fields but those whose names start with `but` (nothing: all of them). */
static void add_app_fields(struct making *making, struct slice but) {
  struct slice block = making->facts->block;
  struct field_line line;
  while (field_next_line(&block, &line)) {
    bool is_left_out = but.len > 0 && line.name.len >= but.len &&
                       field_equal((struct slice){line.name.data, but.len}, but);
    if (!is_left_out) add_app_field(making, &line);
  }
}

static void add_vary(struct making *making) {
  static const struct slice coding = FIELD_INIT("Accept-Encoding");
  struct slice set;
  if (!making->varies) return;
  if (!find_field(making, "Vary", &set))
    add_field(making, "Vary", coding);
  else if (!field_has_element(set, coding))
    buffer_add_text(&making->plan->block, "Vary: Accept-Encoding\r\n");
}

static void find_type(struct making *making) {
  const struct buffer *path = &making->facts->lookup->path;
  if (!find_field(making, "Content-Type", &making->type))
    making->type = media_type_find((struct slice){path->data, path->len - 1})->type;
}

static void add_encoding(struct making *making) {
  enum encoding encoding = making->facts->lookup->encoding;
  if (is_encoded(making)) encoding = making->plan->encoding;
  if (encoding == ENCODING_IDENTITY) return;
  const char *name = encoding_name(encoding);
  add_field(making, "Content-Encoding", (struct slice){name, strlen(name)});
}

/* ---- bodies ---- */

static void plan_whole(struct making *making) {
  struct file_plan *plan = making->plan;
  plan->status = making->facts->status;
  plan->length = making->facts->lookup->size;
  plan->part_count = plan->length > 0;
  plan->parts[0] = (struct file_part){.range = {0, plan->length}};
  add_app_fields(making, FIELD_TEXT(""));
  add_field(making, "Content-Type", making->type);
  add_encoding(making);
  if (plan->status != STATUS_OK) return;
  if (!is_encoded(making)) add_field(making, "Accept-Ranges", FIELD_TEXT("bytes"));
  add_validators(making);
  add_vary(making);
}

static void plan_single(struct making *making, const struct range *range) {
  struct file_plan *plan = making->plan;
  plan->part_count = 1;
  plan->parts[0] = (struct file_part){.range = *range};
  plan->length = range->len;
  add_field(making, "Content-Type", making->type);
  buffer_printf(&plan->block, "Content-Range: bytes %llu-%llu/%llu\r\n", (ull)range->first,
                (ull)(range->first + range->len - 1), (ull)making->facts->lookup->size);
}

/* multipart/byteranges: RFC 9110 14.6. */
static void plan_several(struct making *making, const struct range_list *ranges) {
  struct file_plan *plan = making->plan;
  ull boundary = making->facts->boundary;
  for (size_t i = 0; i < ranges->count; i++) {
    const struct range *range = &ranges->ranges[i];
    size_t at = plan->texts.len;
    buffer_printf(&plan->texts, PART_HEAD, boundary, (int)making->type.len, making->type.data,
                  (ull)range->first, (ull)(range->first + range->len - 1),
                  (ull)making->facts->lookup->size);
    plan->parts[plan->part_count++] = (struct file_part){*range, at, plan->texts.len - at};
    plan->length += range->len;
  }
  size_t at = plan->texts.len;
  buffer_printf(&plan->texts, SEPARATOR "--\r\n", boundary);
  plan->end_text_len = plan->texts.len - at;
  plan->length += plan->texts.len;
  buffer_printf(&plan->block, "Content-Type: multipart/byteranges; boundary=%016llx\r\n", boundary);
}

static void plan_parts(struct making *making, const struct range_list *ranges) {
  making->plan->status = STATUS_PARTIAL_CONTENT;
  if (ranges->count == 1) {
    add_app_fields(making, FIELD_TEXT(""));
    plan_single(making, &ranges->ranges[0]);
  } else {
    add_app_fields(making, FIELD_TEXT("Content-Type"));
    plan_several(making, ranges);
  }
  add_encoding(making);
  add_field(making, "Accept-Ranges", FIELD_TEXT("bytes"));
  add_validators(making);
  add_vary(making);
}

static void plan_unsatisfiable(struct making *making) {
  making->plan->status = STATUS_RANGE_NOT_SATISFIABLE;
  buffer_printf(&making->plan->block, "Content-Range: bytes */%llu\r\n",
                (ull)making->facts->lookup->size);
}

static void plan_range(struct making *making, struct slice value) {
  struct range_list ranges;
  switch (range_parse(&ranges, value, making->facts->lookup->size)) {
  case RANGE_WHOLE:
    plan_whole(making);
    break;
  case RANGE_PARTS:
    plan_parts(making, &ranges);
    break;
  case RANGE_NONE:
    plan_unsatisfiable(making);
    break;
  }
}

void file_plan_make(struct file_plan *plan, const struct file_facts *facts) {
  struct making making = {.plan = plan, .facts = facts};
  struct slice value;
  find_type(&making);
  if (facts->status != STATUS_OK) {
    plan_whole(&making);
    return;
  }
  choose_encoding(&making);
  find_validators(&making);
  switch (conditional_check(facts->request, &making.validators)) {
  case CONDITIONAL_PASSED:
    if (conditional_range(facts->request, &making.validators, &value))
      plan_range(&making, value);
    else
      plan_whole(&making);
    break;
  case CONDITIONAL_NOT_MODIFIED:
    plan->status = STATUS_NOT_MODIFIED;
    /* RFC 9110 15.4.5: nothing of the body that is not there */
    add_app_fields(&making, FIELD_TEXT("Content-"));
    add_validators(&making);
    add_vary(&making);
    break;
  case CONDITIONAL_FAILED:
    plan->status = STATUS_PRECONDITION_FAILED;
    break;
  }
}
