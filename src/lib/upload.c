/* upload.c - name, filename, content_type, size, path, read and save of an upload.
 *
 * Whatever touches the disk is a work (work.h) with copies of all it needs: the upload may be
 * collected, and its fiber cancelled, while the job runs. */
#include "lib/upload.h"

#include "core/class.h"
#include "core/error.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/content.h"
#include "lib/form_reader.h"
#include "lib/path.h"
#include "lib/save.h"
#include "lib/spool.h"
#include "lib/work.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLASS_UPLOAD "perilune.upload"

enum { VALUE_NAME = 1, VALUE_FILENAME, VALUE_CONTENT_TYPE, VALUE_COUNT = VALUE_CONTENT_TYPE };

struct upload {
  uint64_t request; /* whose files it belongs to */
  uint64_t size;
  struct buffer bytes; /* all of it, unless it came spooled */
  char *path;          /* NULL: it has none yet */
};

static bool is_in_memory(const struct upload *upload) {
  return !upload->path || upload->bytes.len == upload->size;
}

/* ---- jobs ---- */

enum job_kind { JOB_READ, JOB_SAVE, JOB_SPOOL };

struct job {
  struct work work;
  enum job_kind kind;
  struct spool *spool;
  uint64_t request;
  struct buffer bytes;         /* to save or spool; read */
  char *from;                  /* NULL: the bytes are in memory */
  char *to;                    /* JOB_SAVE */
  char path[SPOOL_PATH_BYTES]; /* JOB_SPOOL: of the file that was made */
  uv_err error;
  bool is_gone; /* what is to be read is not there, or nothing may be written any more */
};

static uv_err write_file(struct job *job) {
  int fd = spool_make_file(job->spool, job->request, job->path);
  if (fd < 0) return fd;
  struct slice bytes = {job->bytes.data, job->bytes.len};
  uv_err error = content_write(fd, CONTENT_HERE, bytes, &job->work.given_up, NULL);
  close(fd);
  return error;
}

static uv_err save_to(const struct job *job) {
  const struct save save = {.to = job->to, .mode = SAVE_FILE_MODE, .stop = &job->work.given_up};
  if (job->from) return save_file(job->from, job->to, spool_file_mode(job->spool));
  return save_bytes(&save, (struct slice){job->bytes.data, job->bytes.len});
}

static void run_job(struct offload *offload) {
  struct job *job = container_of(offload, struct job, work.offload);
  switch (job->kind) {
  case JOB_READ:
    job->error = content_read(job->from, UINT64_MAX, &job->work.given_up, &job->bytes);
    break;
  case JOB_SAVE:
    job->error = save_to(job);
    break;
  case JOB_SPOOL:
    job->error = write_file(job);
    break;
  }
  bool is_missing = job->error == UV_ENOENT && job->from && access(job->from, F_OK) != 0;
  job->is_gone = is_missing || job->error == UV_ECANCELED;
}

static void destroy_job(struct offload *offload) {
  struct job *job = container_of(offload, struct job, work.offload);
  buffer_finish(&job->bytes);
  free(job->from);
  free(job->to);
  free(job);
}

/* Pushes the box of a job on the upload (lib/work.h); it has the path, or a copy of the bytes. */
static struct job *push_job(lua_State *L, const struct upload *upload, enum job_kind kind) {
  struct job *job = work_push(L, sizeof *job, run_job, destroy_job);
  job->kind = kind;
  job->spool = worker_of(L)->process->spool;
  job->request = upload->request;
  if (is_in_memory(upload))
    buffer_add(&job->bytes, upload->bytes.data, upload->bytes.len);
  else
    job->from = memory_copy(upload->path, strlen(upload->path));
  return job;
}

static lua_nret fail(lua_State *L, const struct job *job) {
  if (job->is_gone)
    error_push(L, "fs", "the uploaded file is gone: it lives until the request and its tasks end");
  else if (job->kind == JOB_SAVE)
    error_push(L, "fs", "cannot save the uploaded file as %s: %s", job->to,
               uv_strerror(job->error));
  else
    error_push(L, "fs", "cannot %s the temporary file of an upload: %s",
               job->kind == JOB_READ ? "read" : "write", uv_strerror(job->error));
  lua_pushstring(L, uv_err_name(job->error));
  lua_setfield(L, -2, "code");
  return WORK_FAILED;
}

/* Pushes what the job gives; the upload is at 1. */
static lua_nret end_job(lua_State *L, struct work *work) {
  const struct job *job = container_of(work, struct job, work);
  struct upload *upload = lua_touserdata(L, 1);
  if (job->error) return fail(L, job);
  switch (job->kind) {
  case JOB_READ:
    lua_pushlstring(L, job->bytes.data, job->bytes.len);
    break;
  case JOB_SAVE:
    lua_pushstring(L, job->to);
    break;
  case JOB_SPOOL:
    if (!upload->path) upload->path = memory_copy(job->path, strlen(job->path));
    lua_pushstring(L, upload->path);
    break;
  }
  return 1;
}

/* ---- fields and methods ---- */

static struct upload *check_upload(lua_State *L, const char *method) {
  const char *class = class_name(L, 1);
  if (!class || strcmp(class, CLASS_UPLOAD) != 0)
    luaL_error(L, "file.%s was called without its file: use a colon (file:%s)", method, method);
  return lua_touserdata(L, 1);
}

static int read_upload(lua_State *L) {
  struct upload *upload = check_upload(L, "read");
  lua_settop(L, 1);
  if (is_in_memory(upload)) {
    lua_pushlstring(L, upload->bytes.data ? upload->bytes.data : "", upload->bytes.len);
    return 1;
  }
  if (upload->size > worker_of(L)->memory.limit_bytes && worker_of(L)->memory.limit_bytes > 0)
    return luaL_error(L, "not enough memory");
  push_job(L, upload, JOB_READ);
  return work_run(L, "file:read", end_job);
}

/* save(self, path) -> the absolute path */
static int save_upload(lua_State *L) {
  struct upload *upload = check_upload(L, "save");
  lua_settop(L, 2);
  const char *path = path_check(L, 2);
  struct job *job = push_job(L, upload, JOB_SAVE);
  job->to = memory_copy(path, strlen(path));
  return work_run(L, "file:save", end_job);
}

static int push_path(lua_State *L, struct upload *upload) {
  if (upload->path) {
    lua_pushstring(L, upload->path);
    return 1;
  }
  push_job(L, upload, JOB_SPOOL);
  return work_run(L, "file.path", end_job);
}

static int index_upload(lua_State *L) {
  static const char *const names[] = {"name", "filename", "content_type"};
  struct upload *upload = check_upload(L, "path");
  const char *key = luaL_checkstring(L, 2);
  lua_settop(L, 2);
  for (int i = 0; i < (int)array_len(names); i++) {
    if (strcmp(key, names[i]) != 0) continue;
    lua_getiuservalue(L, 1, i + 1);
    return 1;
  }
  if (strcmp(key, "path") == 0) return push_path(L, upload);
  if (strcmp(key, "size") == 0)
    lua_pushinteger(L, (lua_Integer)upload->size);
  else if (strcmp(key, "read") == 0)
    lua_pushcfunction(L, read_upload);
  else if (strcmp(key, "save") == 0)
    lua_pushcfunction(L, save_upload);
  else
    lua_pushnil(L);
  return 1;
}

static int describe(lua_State *L) {
  const struct upload *upload = check_upload(L, "name");
  lua_getiuservalue(L, 1, VALUE_FILENAME);
  lua_pushfstring(L, "file: %s (%I bytes)", lua_tostring(L, -1), (lua_Integer)upload->size);
  return 1;
}

static int release(lua_State *L) {
  struct upload *upload = lua_touserdata(L, 1);
  buffer_finish(&upload->bytes);
  free(upload->path);
  upload->path = NULL;
  return 0;
}

/* ---- making one ---- */

/* An empty one; its values are on top of the stack and are popped. */
static struct upload *push_empty(lua_State *L) {
  int first = lua_gettop(L) - VALUE_COUNT + 1;
  struct upload *upload = lua_newuserdatauv(L, sizeof *upload, VALUE_COUNT);
  *upload = (struct upload){0};
  class_push(L, CLASS_UPLOAD);
  lua_setmetatable(L, -2);
  for (int i = 0; i < VALUE_COUNT; i++) {
    lua_pushvalue(L, first + i);
    lua_setiuservalue(L, -2, i + 1);
  }
  lua_replace(L, first);
  lua_settop(L, first);
  return upload;
}

/* The bytes are outside of what the collector counts: tells it of them. */
static void count_bytes(lua_State *L, size_t len) {
  int kibibytes = (int)(len >> 10);
  if (kibibytes > 0) lua_gc(L, LUA_GCSTEP, kibibytes);
}

void upload_push(lua_State *L, struct form_part *part, uint64_t request) {
  static const char default_type[] = "text/plain"; /* RFC 7578 4.4 */
  const struct part *head = &part->head;
  luaL_checkstack(L, VALUE_COUNT + 3, "upload");
  lua_pushlstring(L, head->name.data, head->name.len);
  lua_pushlstring(L, head->filename.data, head->filename.len);
  if (head->content_type.len > 0)
    lua_pushlstring(L, head->content_type.data, head->content_type.len);
  else
    lua_pushstring(L, default_type);
  struct upload *upload = push_empty(L);
  upload->request = request;
  upload->size = part->size;
  if (part->is_spooled) upload->path = memory_copy(part->path, strlen(part->path));
  upload->bytes = part->bytes;
  part->bytes = (struct buffer){0};
  count_bytes(L, upload->bytes.len);
}

/* ---- crossing to another state: the values, then the struct, its path and its bytes ---- */

struct sent {
  uint64_t request, size;
  size_t values_len, path_len, bytes_len;
};

static bool encode_upload(lua_State *L, int index, struct buffer *out) {
  const struct upload *upload = lua_touserdata(L, index);
  struct sent sent = {.request = upload->request,
                      .size = upload->size,
                      .path_len = upload->path ? strlen(upload->path) : 0,
                      .bytes_len = upload->bytes.len};
  size_t start = out->len;
  int first = lua_gettop(L) + 1;
  buffer_add(out, &sent, sizeof sent);
  for (int i = 1; i <= VALUE_COUNT; i++) lua_getiuservalue(L, index, i);
  transfer_encode(L, first, VALUE_COUNT, "file", out);
  lua_settop(L, first - 1);
  sent.values_len = out->len - start - sizeof sent;
  memcpy(out->data + start, &sent, sizeof sent);
  buffer_add(out, upload->path, sent.path_len);
  buffer_add(out, upload->bytes.data, sent.bytes_len);
  return true;
}

static void decode_upload(lua_State *L, const char *data, size_t len) {
  struct sent sent;
  (void)len;
  memcpy(&sent, data, sizeof sent);
  const char *values = data + sizeof sent, *path = values + sent.values_len;
  transfer_decode(L, values, sent.values_len);
  struct upload *upload = push_empty(L);
  upload->request = sent.request;
  upload->size = sent.size;
  if (sent.path_len > 0) upload->path = memory_copy(path, sent.path_len);
  buffer_add(&upload->bytes, path + sent.path_len, sent.bytes_len);
  count_bytes(L, sent.bytes_len);
}

static const struct transfer_kind upload_kind = {CLASS_UPLOAD, encode_upload, decode_upload};

void upload_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"__index", index_upload}, {"__tostring", describe}, {"__gc", release}, {NULL, NULL}};
  luaL_newlib(L, functions);
  class_register(L, CLASS_UPLOAD);
  lua_pop(L, 1);
  transfer_register(L, &upload_kind);
}
