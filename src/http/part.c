/* part.c - lines of a part's head, and the parameters of Content-Disposition.
 *
 * Promises that a name that is given has no NUL and a file name no '/' and '\', and is not "." or
 * "..". A line, or a parameter that counts, that comes twice is an error: nobody can tell which one
 * was meant. Other lines are ignored (RFC 7578 4.8). */
#include "http/part.h"

#include "base/limits.h"
#include "http/field.h"
#include "http/parameter.h"
#include "http/uri.h"

/* What the lines say; all zero: nothing. */
struct lines {
  struct slice disposition, content_type, encoding;
};

struct disposition {
  struct parameter name, filename, extended;
};

struct reading {
  struct part *part;
  unsigned number;
  struct form_problem *problem;
};

static bool refuse(struct reading *reading, const char *what) {
  form_fail(reading->problem, 400, "part %u of the form: %s", reading->number, what);
  return false;
}

/* ---- lines ---- */

static bool has_control(struct slice text) {
  for (size_t i = 0; i < text.len; i++) {
    unsigned char byte = (unsigned char)text.data[i];
    if ((byte < ' ' && byte != '\t') || byte == 0x7F) return true;
  }
  return false;
}

/* Takes a line off the head, without its CRLF. */
static struct slice take_line(struct slice *head) {
  const char *end = memchr(head->data, '\n', head->len);
  struct slice line = {head->data, (size_t)(end - head->data) - 1};
  head->data += line.len + 2;
  head->len -= line.len + 2;
  return line;
}

static bool keep(struct slice *slot, struct slice value) {
  if (slot->data) return false;
  *slot = value;
  return true;
}

static bool read_line(struct reading *reading, struct slice line, struct lines *lines) {
  const char *colon = memchr(line.data, ':', line.len);
  if (has_control(line)) return refuse(reading, "a control character in its header");
  if (!colon) return refuse(reading, "a header line without a colon");
  struct slice name = {line.data, (size_t)(colon - line.data)};
  struct slice value = field_trim((struct slice){colon + 1, line.len - name.len - 1});
  if (!field_is_token(name)) return refuse(reading, "a header line without a proper name");
  if (field_equal(name, FIELD_TEXT("Content-Disposition")))
    return keep(&lines->disposition, value) || refuse(reading, "two Content-Dispositions");
  if (field_equal(name, FIELD_TEXT("Content-Type")))
    return keep(&lines->content_type, value) || refuse(reading, "two Content-Types");
  if (field_equal(name, FIELD_TEXT("Content-Transfer-Encoding")))
    return keep(&lines->encoding, value) || refuse(reading, "two Content-Transfer-Encodings");
  return true;
}

/* RFC 7578 4.7: nobody should send one; those that change nothing do no harm. */
static bool is_plain_encoding(struct slice encoding) {
  return !encoding.data || field_equal(encoding, FIELD_TEXT("binary")) ||
         field_equal(encoding, FIELD_TEXT("8bit")) || field_equal(encoding, FIELD_TEXT("7bit"));
}

/* ---- Content-Disposition ---- */

static bool keep_parameter(struct parameter *slot, const struct parameter *found) {
  if (slot->name.data) return false;
  *slot = *found;
  return true;
}

static bool take_parameter(struct disposition *disposition, const struct parameter *found) {
  if (field_equal(found->name, FIELD_TEXT("name")))
    return keep_parameter(&disposition->name, found);
  if (field_equal(found->name, FIELD_TEXT("filename")))
    return keep_parameter(&disposition->filename, found);
  if (field_equal(found->name, FIELD_TEXT("filename*")))
    return keep_parameter(&disposition->extended, found);
  return true;
}

static bool read_disposition(struct reading *reading, struct slice value,
                             struct disposition *disposition) {
  struct parameter parameter;
  enum parameter_result result;
  if (!value.data) return refuse(reading, "no Content-Disposition");
  if (!field_equal(parameter_begin(&value), FIELD_TEXT("form-data")))
    return refuse(reading, "its Content-Disposition is not form-data");
  while ((result = parameter_next(&value, &parameter)) == PARAMETER_FOUND)
    if (!take_parameter(disposition, &parameter))
      return refuse(reading, "its Content-Disposition has a parameter twice");
  if (result == PARAMETER_MALFORMED) return refuse(reading, "its Content-Disposition is malformed");
  return disposition->name.name.data || refuse(reading, "its Content-Disposition has no name");
}

/* ---- decoding ---- */

/* Room for `len` bytes at the end of the part's text; all of it is reserved beforehand, so slices
 * of it stay. */
static char *claim(struct part *part, size_t len) {
  return buffer_reserve(&part->text, len);
}

static struct slice commit(struct part *part, size_t len) {
  struct slice text = {part->text.data + part->text.len, len};
  part->text.len += len;
  return text;
}

/* Decodes %22, %0D and %0A in place and nothing else: no other byte is ever escaped. */
static size_t decode_browser_escapes(char *text, size_t len) {
  const char *end = text + len;
  char *out = text;
  for (const char *at = text; at < end; at++) {
    int byte = uri_read_escape(at, end);
    bool is_escape = byte == '"' || byte == '\r' || byte == '\n';
    *out++ = is_escape ? (char)byte : *at;
    if (is_escape) at += 2;
  }
  return (size_t)(out - text);
}

static struct slice decode_parameter(struct part *part, struct slice value) {
  char *text = claim(part, value.len);
  return commit(part, decode_browser_escapes(text, parameter_unquote(text, value)));
}

/* Takes what is before the next apostrophe off the text. */
static bool take_quoted_piece(struct slice *text, struct slice *piece) {
  const char *end = text->len > 0 ? memchr(text->data, '\'', text->len) : NULL;
  if (!end) return false;
  *piece = (struct slice){text->data, (size_t)(end - text->data)};
  text->len -= piece->len + 1;
  text->data = end + 1;
  return true;
}

/* RFC 8187 3.2: charset'language'bytes. ISO-8859-1 becomes UTF-8, at most twice as long. */
static bool decode_extended(struct reading *reading, struct slice value, struct slice *filename) {
  struct part *part = reading->part;
  struct slice charset, language;
  if (!take_quoted_piece(&value, &charset) || !take_quoted_piece(&value, &language))
    return refuse(reading, "its filename* is malformed");
  bool is_utf8 = field_equal(charset, FIELD_TEXT("utf-8"));
  if (!is_utf8 && !field_equal(charset, FIELD_TEXT("iso-8859-1")))
    return refuse(reading, "its filename* is in a charset other than UTF-8 and ISO-8859-1");
  const char *end = value.data + value.len;
  claim(part, 2 * value.len);
  size_t start = part->text.len;
  for (const char *at = value.data; at < end; at++) {
    int byte = *at == '%' ? uri_read_escape(at, end) : (unsigned char)*at;
    if (byte <= 0) return refuse(reading, "its filename* is malformed");
    if (*at == '%') at += 2;
    if (is_utf8)
      buffer_add_byte(&part->text, (char)byte);
    else
      buffer_add_utf8(&part->text, (uint32_t)byte);
  }
  *filename = (struct slice){part->text.data + start, part->text.len - start};
  return true;
}

/* Some clients send whole paths, of their own system. */
static struct slice base_name(struct slice path) {
  size_t start = path.len;
  while (start > 0 && path.data[start - 1] != '/' && path.data[start - 1] != '\\') start--;
  struct slice name = {path.data + start, path.len - start};
  bool is_directory =
      (name.len == 1 && *name.data == '.') || (name.len == 2 && memcmp(name.data, "..", 2) == 0);
  if (is_directory) name.len = 0;
  return name;
}

static bool is_short(struct reading *reading, struct slice text, const char *what) {
  if (text.len <= FORM_NAME_BYTES_MAX) return true;
  form_fail(reading->problem, 413, "part %u of the form: its %s is longer than %d bytes",
            reading->number, what, FORM_NAME_BYTES_MAX);
  return false;
}

static bool read_names(struct reading *reading, const struct disposition *disposition) {
  struct part *part = reading->part;
  struct slice filename = {"", 0};
  part->name = decode_parameter(part, disposition->name.value);
  part->is_file = disposition->filename.name.data || disposition->extended.name.data;
  if (disposition->extended.name.data) {
    if (!decode_extended(reading, disposition->extended.value, &filename)) return false;
  } else if (part->is_file) {
    filename = decode_parameter(part, disposition->filename.value);
  }
  part->filename = base_name(filename);
  return is_short(reading, part->name, "name") && is_short(reading, part->filename, "file name");
}

static void keep_content_type(struct part *part, struct slice content_type) {
  char *text = claim(part, content_type.len);
  if (content_type.len > 0) memcpy(text, content_type.data, content_type.len);
  part->content_type = commit(part, content_type.len);
}

bool part_read(struct part *part, struct slice head, unsigned number,
               struct form_problem *problem) {
  struct reading reading = {part, number, problem};
  struct lines lines = {0};
  struct disposition disposition = {0};
  size_t text_bytes_max = 2 * head.len;
  while (head.len > 0)
    if (!read_line(&reading, take_line(&head), &lines)) return false;
  if (!read_disposition(&reading, lines.disposition, &disposition)) return false;
  if (!is_plain_encoding(lines.encoding))
    return refuse(&reading, "its Content-Transfer-Encoding is not understood");
  buffer_clear(&part->text);
  buffer_reserve(&part->text, text_bytes_max);
  keep_content_type(part, lines.content_type);
  return read_names(&reading, &disposition);
}

void part_finish(struct part *part) {
  buffer_finish(&part->text);
  *part = (struct part){0};
}
