/* file.c - the course of a file: waiting for its turn, looked for, sent.
 *
 * One struct file lives from file_respond to the last byte; when the client leaves while a thread
 * works on it, it is abandoned and freed when the thread is done. The thread sees only the lookup,
 * the sender and what is compressed. Small files leave in one write with their head; what was
 * compressed is kept for the next who ask (encoded_cache.h). */
#include "http/file.h"

#include "base/limits.h"
#include "base/log.h"
#include "http/answer.h"
#include "http/compress.h"
#include "http/connection.h"
#include "http/field.h"
#include "http/file_plan.h"
#include "http/hub.h"
#include "http/lookup.h"
#include "http/notice.h"
#include "http/output.h"
#include "http/sender.h"
#include "http/status.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

enum file_state {
  FILE_WAITING,  /* for its turn */
  FILE_LOOKING,  /* a thread looks for it */
  FILE_ENCODING, /* a thread reads and compresses it */
  FILE_SENDING,
  FILE_READING /* the same, and a thread reads ahead */
};

struct file {
  uv_work_t work;
  struct hub *hub;
  struct exchange *exchange; /* NULL: abandoned */
  enum file_state state;
  struct lookup lookup;
  enum lookup_result result;
  struct file_plan plan;
  struct compress *compress; /* ENCODING */
  struct buffer encoding;    /* the same: what the thread makes */
  int encode_error;          /* a negative errno */
  struct encoded *encoded;   /* the body, when it is not the file itself */
  struct sender sender;
  struct buffer block;
  int64_t found_seconds; /* since 1970: when it was as the plan says */
  int status;
  void (*otherwise)(struct exchange *exchange, size_t at);
  size_t at;
};

static void start_work(struct file *file, enum file_state state);

static const struct slice no_fields = {"", 0};

static struct file *create(struct hub *hub, const struct file_wanted *wanted) {
  struct file *file = memory_alloc_zero(sizeof *file);
  file->hub = hub;
  file->status = wanted->status;
  file->otherwise = wanted->otherwise;
  file->at = wanted->at;
  buffer_add(&file->block, wanted->block.data, wanted->block.len);
  lookup_init(&file->lookup);
  buffer_add(&file->lookup.path, wanted->path.data, wanted->path.len);
  buffer_add_byte(&file->lookup.path, '\0');
  if (wanted->root.len > 0) file->lookup.root = memory_copy(wanted->root.data, wanted->root.len);
  file->lookup.dir_fd = wanted->dir_fd;
  file->lookup.is_local = wanted->is_local;
  file->lookup.has_index = wanted->has_index;
  file->lookup.has_siblings = wanted->has_siblings;
  hub->file_count++;
  return file;
}

static void destroy(struct file *file) {
  file->hub->file_count--;
  sender_finish(&file->sender);
  encoded_cache_release(file->encoded);
  buffer_finish(&file->encoding);
  lookup_finish(&file->lookup);
  file_plan_finish(&file->plan);
  buffer_finish(&file->block);
  free(file);
}

static bool is_static(const struct file *file) {
  return file->otherwise != NULL;
}

static void log_problem(const struct file *file, const char *what) {
  const struct buffer *path = &file->lookup.path;
  const struct log_field fields[] = {log_bytes("path", path->data, path->len - 1),
                                     log_text("error", what)};
  if (file->hub->log)
    log_write(file->hub->log, LOG_ERROR, "a file cannot be sent", fields, array_len(fields));
}

/* ---- answers without the file ---- */

static void respond_status(struct file *file, int status, struct slice block) {
  struct exchange *exchange = file->exchange;
  exchange_take_back(exchange, false);
  exchange_respond_status(exchange, status, block);
  destroy(file);
}

/* Says `status`; the reason is only for the log. */
static void answer_problem(struct file *file, int status, const char *what) {
  static const char block[] = "Retry-After: 1\r\n";
  bool is_busy = status == STATUS_SERVICE_UNAVAILABLE;
  log_problem(file, what);
  respond_status(file, status, is_busy ? (struct slice){block, sizeof block - 1} : no_fields);
}

static void answer_nothing(struct file *file) {
  if (!is_static(file)) {
    respond_status(file, STATUS_NOT_FOUND, no_fields);
    return;
  }
  struct exchange *exchange = file->exchange;
  void (*otherwise)(struct exchange *, size_t) = file->otherwise;
  size_t at = file->at;
  exchange_take_back(exchange, true);
  destroy(file);
  otherwise(exchange, at);
}

/* The path is known, as if by a route: answered the same way. */
static void answer_matched(struct file *file, enum match_result matched) {
  struct exchange *exchange = file->exchange;
  exchange->_matched = matched;
  exchange->match.allowed =
      method_bit(METHOD_GET) | method_bit(METHOD_HEAD) | method_bit(METHOD_OPTIONS);
  exchange_take_back(exchange, true);
  destroy(file);
  answer_unmatched(exchange);
}

/* Nothing of it is for this client. */
static void answer_refused(struct file *file, int status) {
  struct exchange *exchange = file->exchange;
  exchange_take_back(exchange, true);
  destroy(file);
  answer_status(exchange, status);
}

/* What is no file: below a directory there is nothing to see, the path of a handler is a mistake.
 */
static void answer_wrong(struct file *file, int static_status, const char *what) {
  if (!is_static(file) && file->lookup.root && static_status == STATUS_NOT_FOUND)
    answer_nothing(file);
  else if (!is_static(file))
    answer_problem(file, STATUS_INTERNAL_SERVER_ERROR, what);
  else if (static_status == STATUS_NOT_FOUND)
    answer_nothing(file);
  else
    answer_refused(file, static_status);
}

/* ---- sending ---- */

static void end(struct file *file) {
  exchange_end_file(file->exchange);
  destroy(file);
}

/* The parts of a small file, which is in memory. */
static void add_contents(struct file *file, const char *contents) {
  const struct file_plan *plan = &file->plan;
  struct buffer *out = output_open(file->exchange->connection);
  for (size_t i = 0; i < plan->part_count; i++) {
    const struct file_part *part = &plan->parts[i];
    if (part->text_len > 0) buffer_add(out, plan->texts.data + part->text_at, part->text_len);
    buffer_add(out, contents + part->range.first, (size_t)part->range.len);
  }
  if (plan->end_text_len > 0)
    buffer_add(out, plan->texts.data + plan->texts.len - plan->end_text_len, plan->end_text_len);
}

static bool has_body(const struct file *file) {
  return file->exchange->request.method != METHOD_HEAD && file->plan.length > 0 &&
         response_has_content(file->plan.status);
}

/* What a small body is in; NULL: it is large. */
static const char *find_contents(const struct file *file) {
  if (!file->encoded) return file->lookup.fd < 0 ? file->lookup.contents.data : NULL;
  struct slice bytes = encoded_cache_bytes(file->encoded);
  return bytes.len <= FILE_MEMORY_BYTES_MAX ? bytes.data : NULL;
}

static void begin_response(struct file *file) {
  const struct file_plan *plan = &file->plan;
  struct response response = {.status = plan->status, .block = {plan->block.data, plan->block.len}};
  bool is_unknown = plan->encoding != ENCODING_IDENTITY && !file->encoded;
  bool is_told = response_has_content(plan->status);
  exchange_begin_file(file->exchange, &response,
                      is_unknown && is_told ? EXCHANGE_LENGTH_UNKNOWN : plan->length);
}

static void send_found(struct file *file) {
  struct connection *connection = file->exchange->connection;
  const struct file_plan *plan = &file->plan;
  const char *contents = find_contents(file);
  begin_response(file);
  if (!has_body(file) || contents) {
    if (has_body(file)) add_contents(file, contents);
    end(file);
    return;
  }
  if (file->encoded)
    sender_init_memory(&file->sender, connection, encoded_cache_bytes(file->encoded).data, plan);
  else
    sender_init(&file->sender, connection, file->lookup.fd, plan);
  file->state = FILE_SENDING;
  connection->sending = file;
  connection->write_since_ns = hub_now(connection->hub);
  connection->unread_bytes = output_unread(connection);
}

static void make_plan(struct file *file) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct file_facts facts = {.request = &file->exchange->request,
                             .lookup = &file->lookup,
                             .status = file->status,
                             .block = {file->block.data, file->block.len},
                             .now_seconds = now.tv_sec,
                             .may_encode = file->hub->compresses && !file->hub->notice};
  file->found_seconds = now.tv_sec;
  bool has_range = request_find(facts.request, FIELD_TEXT("range"), 0) < facts.request->field_count;
  if (has_range && getrandom(&facts.boundary, sizeof facts.boundary, GRND_NONBLOCK) < 0)
    facts.boundary = hub_now(file->hub);
  file_plan_make(&file->plan, &facts);
}

static struct encoded_key key_of(const struct file *file) {
  const struct lookup *lookup = &file->lookup;
  return (struct encoded_key){.device = lookup->device,
                              .inode = lookup->inode,
                              .size = lookup->size,
                              .modified_seconds = lookup->modified_seconds,
                              .modified_ns = lookup->modified_ns,
                              .encoding = file->plan.encoding};
}

/* The body is there. */
static void send_encoded(struct file *file) {
  file->plan.length = encoded_cache_bytes(file->encoded).len;
  file->plan.parts[0].range.len = file->plan.length;
  send_found(file);
}

static void end_encoding(struct file *file) {
  if (file->encode_error) {
    answer_problem(file, STATUS_INTERNAL_SERVER_ERROR, uv_strerror(file->encode_error));
    return;
  }
  struct encoded_key key = key_of(file);
  file->encoded = encoded_cache_make(&file->encoding);
  if (file->found_seconds - file->lookup.modified_seconds > FILE_SETTLED_SECONDS)
    encoded_cache_keep(&file->hub->_encoded_files, &key, file->encoded);
  send_encoded(file);
}

static void start_encoding(struct file *file) {
  struct encoded_key key = key_of(file);
  file->encoded = encoded_cache_find(&file->hub->_encoded_files, &key);
  if (file->encoded) {
    send_encoded(file);
    return;
  }
  file->compress = compress_jobs_take(&file->hub->jobs);
  start_work(file, FILE_ENCODING);
}

/* A page that is in memory, so that the hub's notice can be added to it; false: it is none. */
static bool answer_noticed(struct file *file) {
  const char *contents = file->hub->notice && has_body(file) ? find_contents(file) : NULL;
  const struct response response = {
      .status = file->plan.status,
      .block = {file->plan.block.data, file->plan.block.len},
      .body = {contents, (size_t)file->plan.length},
  };
  if (!contents || !notice_fits(response.status, response.block)) return false;
  struct exchange *exchange = file->exchange;
  exchange_take_back(exchange, is_static(file));
  exchange_respond(exchange, &response);
  if (is_static(file)) exchange_release(exchange);
  destroy(file);
  return true;
}

static void answer_found(struct file *file) {
  enum method method = file->exchange->request.method;
  if (is_static(file) && method != METHOD_GET && method != METHOD_HEAD) {
    answer_matched(file, method == METHOD_OPTIONS ? MATCH_OPTIONS : MATCH_METHOD);
    return;
  }
  make_plan(file);
  struct slice block = {file->plan.block.data, file->plan.block.len};
  bool is_refused = file->plan.status == STATUS_PRECONDITION_FAILED ||
                    file->plan.status == STATUS_RANGE_NOT_SATISFIABLE;
  if (is_refused)
    respond_status(file, file->plan.status, block.len > 0 ? block : no_fields);
  else if (file->plan.encoding != ENCODING_IDENTITY && has_body(file))
    start_encoding(file);
  else if (LIKELY(!answer_noticed(file)))
    send_found(file);
}

/* ---- looking ---- */

static void take_result(struct file *file) {
  switch (file->result) {
  case LOOKUP_FOUND:
    answer_found(file);
    break;
  case LOOKUP_SLASH:
    answer_matched(file, MATCH_SLASH);
    break;
  case LOOKUP_NOTHING:
    answer_nothing(file);
    break;
  case LOOKUP_DIRECTORY:
    answer_wrong(file, STATUS_NOT_FOUND, "it is a directory");
    break;
  case LOOKUP_SPECIAL:
    answer_wrong(file, STATUS_NOT_FOUND, "it is no regular file");
    break;
  case LOOKUP_FORBIDDEN:
    answer_wrong(file, STATUS_FORBIDDEN, uv_strerror(file->lookup.error));
    break;
  case LOOKUP_BUSY:
    answer_problem(file, STATUS_SERVICE_UNAVAILABLE, uv_strerror(file->lookup.error));
    break;
  case LOOKUP_FAILED:
    answer_problem(file, STATUS_INTERNAL_SERVER_ERROR, uv_strerror(file->lookup.error));
    break;
  }
}

/* ---- threads ---- */

/* What was read is not needed any more. */
static void encode(struct file *file) {
  struct buffer *contents = &file->lookup.contents, made = {0};
  file->encode_error = lookup_read(&file->lookup);
  if (file->encode_error) return;
  compress_run(file->compress, file->plan.encoding, (struct slice){contents->data, contents->len},
               &made);
  buffer_add(&file->encoding, made.data, made.len);
  buffer_finish(&made);
  buffer_finish(contents);
}

static void run_work(uv_work_t *work) {
  struct file *file = container_of(work, struct file, work);
  switch (file->state) {
  case FILE_WAITING:
  case FILE_SENDING:
    assert(false && "nothing to do for a thread");
    break;
  case FILE_LOOKING:
    file->result = lookup_run(&file->lookup);
    break;
  case FILE_ENCODING:
    encode(file);
    break;
  case FILE_READING:
    sender_read_ahead(&file->sender);
    break;
  }
}

static void take_work(struct file *file, enum file_state state) {
  switch (state) {
  case FILE_WAITING:
  case FILE_SENDING:
    break;
  case FILE_LOOKING:
    take_result(file);
    break;
  case FILE_ENCODING:
    end_encoding(file);
    break;
  case FILE_READING:
    file->state = FILE_SENDING;
    file->sender.is_warm = true;
    connection_touch(file->exchange->connection);
    break;
  }
}

static void end_work(uv_work_t *work, int error) {
  struct file *file = container_of(work, struct file, work);
  enum file_state state = file->state;
  assert(error == 0 || !file->exchange);
  (void)error;
  if (file->compress) compress_jobs_give_back(&file->hub->jobs, file->compress);
  file->compress = NULL;
  file->state = FILE_WAITING;
  if (file->exchange)
    take_work(file, state);
  else
    destroy(file);
}

static void start_work(struct file *file, enum file_state state) {
  file->state = state;
  uv_err error = uv_queue_work(file->hub->loop, &file->work, run_work, end_work);
  assert(error == 0 && "it fails only without a function");
  (void)error;
}

/* ---- the course ---- */

void file_begin(struct file *file) {
  if (lookup_try(&file->lookup, &file->result))
    take_result(file);
  else
    start_work(file, FILE_LOOKING);
}

void file_respond(struct exchange *exchange, const struct file_wanted *wanted) {
  struct file *file = create(exchange->hub, wanted);
  file->exchange = exchange;
  file->lookup.wants_contents = exchange->request.method == METHOD_GET;
  if (wanted->has_siblings) encoding_read_request(&file->lookup.wishes, &exchange->request);
  if (!exchange_hand_over(exchange, file)) {
    if (is_static(file)) exchange_release(exchange);
    destroy(file);
    return;
  }
  if (is_static(file)) exchange_release(exchange);
  if (exchange_is_first(exchange)) file_begin(file);
}

bool file_send(struct file *file, uv_err *error) {
  struct exchange *exchange = file->exchange;
  struct connection *connection = exchange->connection;
  if (file->state == FILE_READING) return false;
  switch (sender_step(&file->sender)) {
  case SENDER_WAITS:
    return false;
  case SENDER_TEXT:
    return true;
  case SENDER_COLD:
    start_work(file, FILE_READING);
    return false;
  case SENDER_DONE:
    connection->sending = NULL;
    end(file);
    return true;
  case SENDER_SHORT:
    log_problem(file, "it became shorter while it was sent");
    *error = UV_EOF;
    return false;
  case SENDER_FAILED:
    *error = UV_ECONNRESET;
    return false;
  }
  return false;
}

void file_abandon(struct file *file) {
  file->exchange = NULL;
  sender_finish(&file->sender);
  bool has_work =
      file->state == FILE_LOOKING || file->state == FILE_ENCODING || file->state == FILE_READING;
  if (has_work)
    uv_cancel((uv_req_t *)&file->work); /* a running one goes on to its end */
  else
    destroy(file);
}
