/* file_fuzz.c - what a request says of a file: its name, dates, conditions and ranges.
 *
 * An input is the size of the file in decimal, the path, and the request's fields, a line each. A
 * name must stay beneath its directory; what is planned must lie inside the file and add up to the
 * length that is announced. */
#include "fuzz.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/field.h"
#include "http/file_plan.h"
#include "http/static.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS_MAX = 16, NOW = 1790000000, BOUNDARY = 0x1234 };

static void check_segment(struct slice segment, bool has_dotfiles) {
  assert(segment.len > 0);
  assert(!(segment.len == 2 && memcmp(segment.data, "..", 2) == 0));
  if (segment.data[0] == '.' && !has_dotfiles) {
    bool is_well_known = segment.len == 11 && memcmp(segment.data, ".well-known", 11) == 0;
    assert(is_well_known || segment.len == 1);
  }
}

static void check_name(struct slice path, const char *prefix, bool has_dotfiles) {
  struct static_mount mount = {.prefix = {prefix, strlen(prefix)}, .has_dotfiles = has_dotfiles};
  struct buffer name = {0};
  bool has_slash;
  if (static_name(&name, &mount, path, &has_slash)) {
    assert(name.len >= 2 && strlen(name.data) == name.len - 1 && !strchr(name.data, '\\'));
    char *start = name.data;
    for (char *slash; (slash = strchr(start, '/')); start = slash + 1)
      check_segment((struct slice){start, (size_t)(slash - start)}, has_dotfiles);
    check_segment((struct slice){start, strlen(start)}, has_dotfiles);
  }
  buffer_finish(&name);
}

static void check_date(struct slice text) {
  int64_t seconds, again;
  char written[DATE_LEN];
  if (!date_parse(text, NOW, &seconds) || seconds < 0) return;
  date_format(written, seconds);
  assert(date_parse((struct slice){written, DATE_LEN}, NOW, &again) && again == seconds);
}

/* The fields as request_end would leave them. */
static void read_fields(struct input *input, struct request *request) {
  while (input_left(input) > 0 && request->field_count < FIELDS_MAX) {
    struct slice line = input_line(input);
    const char *colon = line.len ? memchr(line.data, ':', line.len) : NULL;
    if (!colon) continue;
    struct slice name = {line.data, (size_t)(colon - line.data)};
    struct slice value = field_trim((struct slice){colon + 1, line.len - name.len - 1});
    check_date(value);
    struct request_field *field = &request->fields[request->field_count++];
    *field = (struct request_field){.name_at = (uint32_t)request->head.len,
                                    .name_len = (uint32_t)name.len};
    buffer_add(&request->head, name.data, name.len);
    field->value_at = (uint32_t)request->head.len;
    field->value_len = (uint32_t)value.len;
    buffer_add(&request->head, value.data, value.len);
  }
}

static void check_plan(const struct request *request, uint64_t size) {
  struct lookup lookup;
  lookup_init(&lookup);
  lookup.size = size;
  lookup.modified_seconds = 784111777;
  lookup.varies = size % 2;
  buffer_add(&lookup.path, "a.html", sizeof "a.html");
  struct file_facts facts = {.request = request,
                             .lookup = &lookup,
                             .status = 200,
                             .block = {"", 0},
                             .now_seconds = NOW,
                             .boundary = BOUNDARY};
  struct file_plan plan = {0};
  file_plan_make(&plan, &facts);
  bool is_file = plan.status == 200 || plan.status == 206;
  assert(is_file || plan.status == 304 || plan.status == 412 || plan.status == 416);
  assert(is_file || (plan.length == 0 && plan.part_count == 0));
  uint64_t length = plan.end_text_len, file_bytes = 0;
  for (size_t i = 0; i < plan.part_count; i++) {
    const struct file_part *part = &plan.parts[i];
    assert(part->range.len > 0 && part->range.first < size);
    assert(part->range.len <= size - part->range.first);
    assert(part->text_at + part->text_len <= plan.texts.len);
    length += part->text_len + part->range.len;
    file_bytes += part->range.len;
  }
  assert(length == plan.length && file_bytes <= size);
  file_plan_finish(&plan);
  lookup_finish(&lookup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  struct slice digits = input_line(&input), path = input_line(&input);
  uint64_t size = 0;
  for (size_t i = 0; i < digits.len && i < 18; i++)
    size = size * 10 + (uint64_t)((unsigned char)digits.data[i] % 10);
  check_name(path, "", false);
  check_name(path, "", true);
  check_name(path, "/a", false);
  struct request_field fields[FIELDS_MAX];
  struct request request = {.method = METHOD_GET, .fields = fields};
  buffer_add_byte(&request.head, '/');
  read_fields(&input, &request);
  check_plan(&request, size);
  request.method = METHOD_HEAD;
  check_plan(&request, size);
  buffer_finish(&request.head);
  return 0;
}
