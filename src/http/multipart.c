/* multipart.c - finding delimiters, and what may stand around them.
 *
 * The delimiter starts with CR and has no other: after a mismatch the search goes on at the byte
 * that did not match, and what had matched is data again, told from the delimiter itself. So no
 * byte of a body is ever kept. A boundary followed by anything but "--", blanks or CRLF is refused:
 * readers disagree on what that is. */
#include "http/multipart.h"

#include "base/limits.h"

#include <assert.h>
#include <string.h>

#define LINE_END     "\r\n"
#define LINE_END_LEN 2

void multipart_init(struct multipart *multipart, const struct form_type *type) {
  assert(type->kind == FORM_MULTIPART && type->boundary_len > 0);
  static const char start[] = "\r\n--";
  size_t start_len = sizeof start - 1;
  *multipart = (struct multipart){._delimiter_len = start_len + type->boundary_len};
  memcpy(multipart->_delimiter, start, start_len);
  memcpy(multipart->_delimiter + start_len, type->boundary, type->boundary_len);
  multipart->_matched = LINE_END_LEN; /* the first boundary needs none before it */
}

void multipart_finish(struct multipart *multipart) {
  part_finish(&multipart->part);
  buffer_finish(&multipart->_head);
}

static void advance(struct slice *input, size_t count) {
  input->data += count;
  input->len -= count;
}

static enum multipart_event refuse(struct multipart *multipart, const char *what) {
  form_fail(&multipart->problem, 400, "%s", what);
  return MULTIPART_REFUSED;
}

/* ---- data ---- */

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

/* How many bytes of the input come before a delimiter, or before its beginning at the end of the
 * input. Linear, whatever the input is full of. */
static size_t find_delimiter(const struct multipart *multipart, struct slice input) {
  size_t delimiter_len = multipart->_delimiter_len;
  const char *end = input.data + input.len;
  const char *found = memmem(input.data, input.len, multipart->_delimiter, delimiter_len);
  if (found) return (size_t)(found - input.data);
  size_t tail_len = smaller(input.len, delimiter_len - 1);
  for (const char *at = end - tail_len; at < end; at++)
    if (memcmp(at, multipart->_delimiter, (size_t)(end - at)) == 0)
      return (size_t)(at - input.data);
  return input.len;
}

/* Goes on with a delimiter that has begun; false when it was none. */
static bool match_delimiter(struct multipart *multipart, struct slice *input) {
  size_t len = smaller(input->len, multipart->_delimiter_len - multipart->_matched);
  const char *wanted = multipart->_delimiter + multipart->_matched;
  for (size_t i = 0; i < len; i++) {
    if (input->data[i] == wanted[i]) continue;
    multipart->_matched += i;
    advance(input, i);
    return false;
  }
  multipart->_matched += len;
  advance(input, len);
  return true;
}

/* What was taken for a delimiter is data after all. */
static struct slice take_back(struct multipart *multipart) {
  struct slice data = {multipart->_delimiter + multipart->_virtual,
                       multipart->_matched - multipart->_virtual};
  multipart->_matched = multipart->_virtual = 0;
  return data;
}

/* Reads up to a delimiter and behind it. MULTIPART_DATA: `data`, perhaps none; MULTIPART_END: there
 * is the delimiter. */
static enum multipart_event read_data(struct multipart *multipart, struct slice *input,
                                      struct slice *data) {
  if (multipart->_matched == 0) {
    size_t len = find_delimiter(multipart, *input);
    *data = (struct slice){input->data, len};
    advance(input, len);
    if (len > 0) return MULTIPART_DATA;
  }
  if (!match_delimiter(multipart, input)) {
    *data = take_back(multipart);
    return MULTIPART_DATA;
  }
  if (multipart->_matched < multipart->_delimiter_len) return MULTIPART_MORE;
  multipart->_matched = multipart->_virtual = 0;
  multipart->_state = MULTIPART_AT_DELIMITER;
  return MULTIPART_END;
}

/* ---- the head of a part ---- */

static void begin_head(struct multipart *multipart) {
  multipart->_state = MULTIPART_IN_HEAD;
  multipart->_line_at = 0;
  buffer_clear(&multipart->_head);
}

static enum multipart_event begin_part(struct multipart *multipart) {
  struct slice head = {multipart->_head.data, multipart->_line_at};
  if (++multipart->_part_count > FORM_PARTS_MAX) {
    form_fail(&multipart->problem, 413, "the form has more than %d parts", FORM_PARTS_MAX);
    return MULTIPART_REFUSED;
  }
  if (!part_read(&multipart->part, head, multipart->_part_count, &multipart->problem))
    return MULTIPART_REFUSED;
  multipart->_state = MULTIPART_IN_DATA;
  multipart->_matched = multipart->_virtual = LINE_END_LEN; /* the empty line may be all there is */
  return MULTIPART_PART;
}

/* Adds input up to the end of a line. */
static enum multipart_event read_head(struct multipart *multipart, struct slice *input) {
  struct buffer *head = &multipart->_head;
  const char *end = memchr(input->data, '\n', input->len);
  size_t len = end ? (size_t)(end - input->data) + 1 : input->len;
  if (head->len + len > FORM_PART_HEAD_BYTES_MAX) {
    form_fail(&multipart->problem, 413, "part %u of the form: its header is larger than %d bytes",
              multipart->_part_count + 1, FORM_PART_HEAD_BYTES_MAX);
    return MULTIPART_REFUSED;
  }
  buffer_add(head, input->data, len);
  advance(input, len);
  if (!end) return MULTIPART_MORE;
  size_t line_len = head->len - multipart->_line_at;
  if (line_len < LINE_END_LEN || head->data[head->len - LINE_END_LEN] != '\r')
    return refuse(multipart, "a header line of a part does not end with CRLF");
  if (line_len == LINE_END_LEN) return begin_part(multipart);
  multipart->_line_at = head->len;
  return MULTIPART_MORE;
}

/* ---- around delimiters ---- */

static bool is_blank(char byte) {
  return byte == ' ' || byte == '\t';
}

static bool is_refused_after_boundary(struct multipart *multipart) {
  refuse(multipart, "a boundary is followed by neither CRLF nor \"--\"");
  return false;
}

/* Whether the byte may follow the delimiter. */
static bool read_after_delimiter(struct multipart *multipart, char byte) {
  bool is_padding = is_blank(byte);
  if (is_padding)
    multipart->_state = MULTIPART_IN_PADDING;
  else if (byte == '\r')
    multipart->_state = MULTIPART_AT_LINE_END;
  else if (byte == '-' && multipart->_state == MULTIPART_AT_DELIMITER)
    multipart->_state = MULTIPART_AT_DASH;
  else
    return is_refused_after_boundary(multipart);
  return true;
}

static bool read_after_last(struct multipart *multipart, char byte) {
  if (byte == '\r')
    multipart->_state = MULTIPART_AT_CLOSED;
  else if (!is_blank(byte))
    return is_refused_after_boundary(multipart);
  return true;
}

static bool read_exactly(struct multipart *multipart, char byte, char wanted,
                         enum multipart_state next) {
  if (byte != wanted) return is_refused_after_boundary(multipart);
  multipart->_state = next;
  return true;
}

/* One byte in one of the states between two parts. */
static bool read_between(struct multipart *multipart, char byte) {
  switch (multipart->_state) {
  case MULTIPART_AT_DELIMITER:
  case MULTIPART_IN_PADDING:
    return read_after_delimiter(multipart, byte);
  case MULTIPART_AT_DASH:
    return read_exactly(multipart, byte, '-', MULTIPART_IN_CLOSING);
  case MULTIPART_AT_LINE_END:
    if (byte == '\n') begin_head(multipart);
    return byte == '\n' || is_refused_after_boundary(multipart);
  case MULTIPART_IN_CLOSING:
    return read_after_last(multipart, byte);
  case MULTIPART_AT_CLOSED:
    return read_exactly(multipart, byte, '\n', MULTIPART_IN_EPILOGUE);
  case MULTIPART_IN_PREAMBLE:
  case MULTIPART_IN_HEAD:
  case MULTIPART_IN_DATA:
  case MULTIPART_IN_EPILOGUE:
    break;
  }
  assert(false && "no state between parts");
  return false;
}

/* ---- */

/* MULTIPART_MORE: nothing to tell yet. */
static enum multipart_event step(struct multipart *multipart, struct slice *input,
                                 struct slice *data) {
  enum multipart_event event;
  switch (multipart->_state) {
  case MULTIPART_IN_PREAMBLE:
    event = read_data(multipart, input, data);
    assert(event != MULTIPART_REFUSED);
    return MULTIPART_MORE;
  case MULTIPART_IN_DATA:
    event = read_data(multipart, input, data);
    return event == MULTIPART_DATA && data->len == 0 ? MULTIPART_MORE : event;
  case MULTIPART_IN_HEAD:
    return read_head(multipart, input);
  case MULTIPART_IN_EPILOGUE:
    advance(input, input->len);
    return MULTIPART_MORE;
  case MULTIPART_AT_DELIMITER:
  case MULTIPART_AT_DASH:
  case MULTIPART_IN_PADDING:
  case MULTIPART_AT_LINE_END:
  case MULTIPART_IN_CLOSING:
  case MULTIPART_AT_CLOSED:
    break;
  }
  char byte = *input->data;
  advance(input, 1);
  return read_between(multipart, byte) ? MULTIPART_MORE : MULTIPART_REFUSED;
}

enum multipart_event multipart_next(struct multipart *multipart, struct slice *input,
                                    struct slice *data) {
  if (multipart->problem.status != 0) return MULTIPART_REFUSED;
  while (input->len > 0) {
    enum multipart_event event = step(multipart, input, data);
    if (event != MULTIPART_MORE) return event;
  }
  return MULTIPART_MORE;
}

bool multipart_end(struct multipart *multipart) {
  enum multipart_state state = multipart->_state;
  if (multipart->problem.status != 0) return false;
  if (state == MULTIPART_IN_CLOSING || state == MULTIPART_IN_EPILOGUE) return true;
  if (state == MULTIPART_IN_PREAMBLE)
    refuse(multipart, "the body does not have the boundary that Content-Type names");
  else
    refuse(multipart, "the body ends before its last boundary");
  return false;
}
