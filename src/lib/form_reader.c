/* form_reader.c - events of multipart.h collected into parts.
 *
 * The block to write belongs to the thread that writes it while the offload runs; the rest is the
 * owner's. A file is made by its first write and closed by its last. */
#include "lib/form_reader.h"

#include "base/limits.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- on libuv's threads ---- */

static uv_err write_all(int fd, const struct buffer *block) {
  for (size_t at = 0; at < block->len;) {
    ssize_t written = write(fd, block->data + at, block->len - at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return uv_translate_sys_error(errno);
    at += (size_t)written;
  }
  return 0;
}

static void close_file(struct form_reader *reader) {
  if (reader->_fd >= 0) close(reader->_fd);
  reader->_fd = -1;
}

static void write_block(struct offload *offload) {
  struct form_reader *reader = container_of(offload, struct form_reader, offload);
  if (reader->_fd < 0)
    reader->_fd = spool_make_file(reader->_spool, reader->_request, reader->part.path);
  reader->error = reader->_fd < 0 ? reader->_fd : write_all(reader->_fd, &reader->_block);
  if (reader->_flushes || reader->error) close_file(reader);
  buffer_clear(&reader->_block);
}

/* ---- */

static void destroy(struct offload *offload) {
  struct form_reader *reader = container_of(offload, struct form_reader, offload);
  close_file(reader);
  multipart_finish(&reader->multipart);
  part_finish(&reader->part.head);
  buffer_finish(&reader->part.bytes);
  buffer_finish(&reader->_block);
  free(reader);
}

struct form_reader *form_reader_create(const struct form_type *type, struct spool *spool,
                                       uint64_t request) {
  struct form_reader *reader = memory_alloc_zero(sizeof *reader);
  offload_init(&reader->offload, write_block, destroy);
  multipart_init(&reader->multipart, type);
  reader->_fd = -1;
  reader->_spool = spool;
  reader->_request = request;
  return reader;
}

/* ---- data ---- */

static void take(struct form_reader *reader, struct buffer *to, size_t len) {
  if (len > reader->_data.len) len = reader->_data.len;
  buffer_add(to, reader->_data.data, len);
  reader->part.size += len;
  reader->_data.data += len;
  reader->_data.len -= len;
}

static enum form_step take_text(struct form_reader *reader) {
  reader->_text_bytes += reader->_data.len;
  if (reader->_text_bytes > FORM_TEXT_BYTES_MAX) {
    form_fail(&reader->multipart.problem, 413,
              "the text fields of the form are larger than %d bytes together", FORM_TEXT_BYTES_MAX);
    return FORM_STEP_REFUSED;
  }
  take(reader, &reader->part.bytes, reader->_data.len);
  return FORM_STEP_MORE;
}

/* From now on the part goes to a file, with what there is of it. */
static void begin_spooling(struct form_reader *reader) {
  struct form_part *part = &reader->part;
  reader->_memory_bytes -= part->bytes.len;
  buffer_finish(&reader->_block);
  reader->_block = part->bytes;
  part->bytes = (struct buffer){0};
  part->is_spooled = true;
}

static enum form_step take_file(struct form_reader *reader) {
  struct form_part *part = &reader->part;
  size_t len = reader->_data.len;
  bool is_large = part->bytes.len + len > FORM_PART_BYTES_MAX ||
                  reader->_memory_bytes + len > FORM_MEMORY_BYTES_MAX;
  if (!part->is_spooled && is_large) begin_spooling(reader);
  if (!part->is_spooled) {
    reader->_memory_bytes += len;
    take(reader, &part->bytes, len);
    return FORM_STEP_MORE;
  }
  size_t filled = reader->_block.len;
  if (filled < FORM_BLOCK_BYTES) take(reader, &reader->_block, FORM_BLOCK_BYTES - filled);
  return reader->_block.len < FORM_BLOCK_BYTES ? FORM_STEP_MORE : FORM_STEP_WRITE;
}

/* ---- events ---- */

static void begin_part(struct form_reader *reader) {
  struct form_part *part = &reader->part;
  part->head = reader->multipart.part;
  reader->multipart.part = (struct part){0};
  part->size = 0;
  part->is_spooled = false;
}

static enum form_step end_part(struct form_reader *reader) {
  reader->_is_complete = true;
  if (!reader->part.is_spooled) return FORM_STEP_PART;
  reader->_flushes = true;
  return FORM_STEP_WRITE;
}

static enum form_step take_event(struct form_reader *reader) {
  switch (multipart_next(&reader->multipart, &reader->input, &reader->_data)) {
  case MULTIPART_MORE:
    return FORM_STEP_MORE;
  case MULTIPART_PART:
    begin_part(reader);
    return FORM_STEP_MORE;
  case MULTIPART_DATA:
    return FORM_STEP_MORE;
  case MULTIPART_END:
    reader->_data.len = 0;
    return end_part(reader);
  case MULTIPART_REFUSED:
    break;
  }
  return FORM_STEP_REFUSED;
}

enum form_step form_reader_step(struct form_reader *reader) {
  if (reader->_is_complete) return FORM_STEP_PART;
  do {
    enum form_step step;
    if (reader->_data.len == 0)
      step = take_event(reader);
    else
      step = reader->part.head.is_file ? take_file(reader) : take_text(reader);
    if (step != FORM_STEP_MORE) return step;
  } while (reader->_data.len > 0 || reader->input.len > 0);
  return FORM_STEP_MORE;
}

void form_reader_next_part(struct form_reader *reader) {
  reader->_is_complete = reader->_flushes = false;
  part_finish(&reader->part.head);
  buffer_finish(&reader->part.bytes);
}
