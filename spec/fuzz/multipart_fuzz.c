/* multipart_fuzz.c - any bytes as a multipart form, in any pieces.
 *
 * The first byte of an input chooses the size of the pieces, the first line behind it is the
 * Content-Type, the rest is the body. The events must be the same in one piece and in many, names
 * and lengths within their limits, and no data may be longer than the body. */
#include "base/limits.h"
#include "fuzz.h"
#include "http/multipart.h"

#include <stdlib.h>

struct run {
  struct multipart multipart;
  struct buffer told; /* every event, but for where data was cut */
  size_t data_bytes;
  unsigned parts, ended;
};

static void tell(struct run *run, struct slice text) {
  buffer_add(&run->told, text.data, text.len);
  buffer_add_byte(&run->told, '\n');
}

static void check_part(struct run *run) {
  const struct part *part = &run->multipart.part;
  struct slice text = {part->text.data, part->text.len};
  assert(run->parts == run->ended && run->parts < FORM_PARTS_MAX);
  run->parts++;
  assert(part->name.len <= FORM_NAME_BYTES_MAX && part->filename.len <= FORM_NAME_BYTES_MAX);
  assert(part->content_type.len <= FORM_PART_HEAD_BYTES_MAX);
  assert(is_inside(part->name, text) && is_inside(part->content_type, text));
  assert(part->filename.len == 0 || (part->is_file && is_inside(part->filename, text)));
  assert(!has_byte(part->filename, '/') && !has_byte(part->filename, '\\'));
  assert(!has_byte(part->filename, '\0') && !has_byte(part->name, '\0'));
  assert(part->filename.len != 1 || *part->filename.data != '.');
  tell(run, part->name);
  tell(run, part->filename);
  tell(run, part->content_type);
  buffer_add_byte(&run->told, part->is_file ? 'f' : 't');
}

static void check_data(struct run *run, struct slice data, struct slice piece) {
  const char *own = (const char *)&run->multipart;
  struct slice multipart = {own, sizeof run->multipart};
  assert(run->parts == run->ended + 1);
  assert(data.len > 0 && (is_inside(data, piece) || is_inside(data, multipart)));
  run->data_bytes += data.len;
  buffer_add(&run->told, data.data, data.len);
}

/* Feeds a piece in memory of exactly its size. */
static void feed(struct run *run, struct slice bytes) {
  char *copy = memory_resize(memory_copy(bytes.data, bytes.len), bytes.len);
  struct slice piece = {copy, bytes.len}, input = piece, data;
  enum multipart_event event = MULTIPART_DATA;
  while (event != MULTIPART_MORE && event != MULTIPART_REFUSED) {
    event = multipart_next(&run->multipart, &input, &data);
    switch (event) {
    case MULTIPART_PART:
      check_part(run);
      break;
    case MULTIPART_DATA:
      check_data(run, data, piece);
      break;
    case MULTIPART_END:
      run->ended++;
      buffer_add_byte(&run->told, '.');
      break;
    case MULTIPART_MORE:
      assert(input.len == 0);
      break;
    case MULTIPART_REFUSED:
      assert(run->multipart.problem.status == 400 || run->multipart.problem.status == 413);
      break;
    }
  }
  free(copy);
}

static void run_pieces(struct run *run, const struct form_type *type, struct input body,
                       size_t piece_bytes) {
  size_t body_bytes = input_left(&body);
  multipart_init(&run->multipart, type);
  while (input_left(&body)) feed(run, input_take(&body, piece_bytes));
  bool is_complete = multipart_end(&run->multipart);
  assert(is_complete == (run->multipart.problem.status == 0));
  assert(!is_complete || run->parts == run->ended);
  assert(run->data_bytes <= body_bytes);
  const char *detail = run->multipart.problem.detail;
  size_t detail_len = strnlen(detail, FORM_DETAIL_BYTES);
  assert(detail_len < FORM_DETAIL_BYTES);
  tell(run, (struct slice){detail, detail_len});
  multipart_finish(&run->multipart);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct input input = input_of(data, len);
  size_t piece_bytes = (size_t)input_byte(&input) + 1;
  struct form_type type;
  struct form_problem problem = {0};
  if (!form_read_type(input_line(&input), &type, &problem)) {
    assert(problem.status == 400);
    return 0;
  }
  if (type.kind != FORM_MULTIPART) return 0;
  assert(type.boundary_len > 0 && type.boundary_len <= FORM_BOUNDARY_BYTES);
  struct run cut = {0}, whole = {0};
  run_pieces(&cut, &type, input, piece_bytes);
  run_pieces(&whole, &type, input, input_left(&input));
  assert(cut.parts == whole.parts && cut.told.len == whole.told.len);
  assert(memcmp(cut.told.data, whole.told.data, cut.told.len) == 0);
  buffer_finish(&cut.told);
  buffer_finish(&whole.told);
  return 0;
}
