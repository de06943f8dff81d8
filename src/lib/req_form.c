/* req_form.c - reading a form once, whoever asks for it and how often.
 *
 * What has been read is a table kept with the `req`: `fields` (name, value, name, value, ...),
 * `form`, `files`, and while it is being read the reading itself. One fiber reads at a time, the
 * others wait; one that is cancelled leaves a reading that the next one goes on with. */
#include "lib/req_form.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/worker.h"
#include "http/field.h"
#include "http/form.h"
#include "http/status.h"
#include "lib/form_reader.h"
#include "lib/req.h"
#include "lib/req_body.h"
#include "lib/upload.h"

#include <lauxlib.h>

#define CLASS_READING "perilune.form.reading"
#define KEPT          "form data" /* no field of req is called so */

/* A form that is not complete: a userdata. */
struct reading {
  struct form_type type;
  uint64_t request;
  struct form_reader *reader; /* of a multipart form */
  struct buffer body;         /* of another one, when it is streamed */
  bool is_streamed;
  bool has_body;       /* a byte of it has come */
  bool is_fetching;    /* a piece of the body has been asked for */
  bool is_busy;        /* a fiber reads */
  struct list waiting; /* fiber.link: those that wait for that one */
};

/* Stack of the functions that read. */
enum { AT_REQ = 1, AT_DATA, AT_READING, AT_TOP = AT_READING };

/* ---- what has been read ---- */

static void add_table(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_setfield(L, AT_DATA, name);
}

static void add_list(lua_State *L, const char *name) {
  lua_newtable(L);
  class_set_array(L, -1);
  lua_setfield(L, AT_DATA, name);
}

static void append(lua_State *L, int list) {
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

/* Adds the field whose name and value are on top of the stack, and pops them. */
static void add_field(lua_State *L) {
  int value = lua_gettop(L), name = value - 1;
  lua_getfield(L, AT_DATA, "form");
  lua_pushvalue(L, name);
  if (lua_rawget(L, -2) == LUA_TNIL) {
    lua_pushvalue(L, name);
    lua_pushvalue(L, value);
    lua_rawset(L, -4);
  }
  lua_getfield(L, AT_DATA, "fields");
  int fields = lua_gettop(L);
  lua_pushvalue(L, name);
  append(L, fields);
  lua_pushvalue(L, value);
  append(L, fields);
  lua_settop(L, name - 1);
}

static void push_decoded(lua_State *L, struct slice raw) {
  luaL_Buffer buffer;
  char *out = luaL_buffinitsize(L, &buffer, raw.len);
  luaL_pushresultsize(&buffer, uri_decode(out, raw.data, raw.len, true));
}

static NO_RETURN void abort_form(lua_State *L, const struct form_problem *problem) {
  req_abort(L, problem->status, "%s", problem->detail);
}

static void check_text(lua_State *L, size_t len) {
  if (len > FORM_TEXT_BYTES_MAX)
    req_abort(L, STATUS_CONTENT_TOO_LARGE, "the form is larger than %d bytes", FORM_TEXT_BYTES_MAX);
}

static void read_fields(lua_State *L, struct slice body) {
  struct form_fields fields;
  struct slice name, value;
  check_text(L, body.len);
  form_fields_begin(&fields, body);
  while (form_fields_next(&fields, &name, &value)) {
    push_decoded(L, name);
    push_decoded(L, value);
    add_field(L);
  }
  if (fields.problem.status != 0) abort_form(L, &fields.problem);
}

/* A file input in which nothing was chosen sends a file without name and bytes. */
static bool is_no_file(const struct form_part *part) {
  return part->head.filename.len == 0 && part->size == 0;
}

static void add_part(lua_State *L, struct form_part *part, uint64_t request) {
  if (!part->head.is_file) {
    lua_pushlstring(L, part->head.name.data, part->head.name.len);
    lua_pushlstring(L, part->bytes.len > 0 ? part->bytes.data : "", part->bytes.len);
    add_field(L);
  } else if (!is_no_file(part)) {
    lua_getfield(L, AT_DATA, "files");
    upload_push(L, part, request);
    append(L, lua_gettop(L) - 1);
    lua_pop(L, 1);
  }
}

/* ---- reading: stack as above ---- */

static void drop_reader(struct reading *reading) {
  struct form_reader *reader = reading->reader;
  reading->reader = NULL;
  if (reader) offload_drop(&reader->offload);
  buffer_finish(&reading->body);
}

static int release_reading(lua_State *L) {
  drop_reader(lua_touserdata(L, 1));
  return 0;
}

static NO_RETURN void raise_no_form(lua_State *L) {
  static const char forms[] = "application/x-www-form-urlencoded or multipart/form-data";
  struct slice content_type = req_find_field(L, AT_REQ, FIELD_TEXT("Content-Type"));
  if (!content_type.data)
    req_abort(L, STATUS_UNSUPPORTED_MEDIA_TYPE,
              "the request body has no Content-Type; a form is %s", forms);
  lua_pushlstring(L, content_type.data, content_type.len);
  req_abort(L, STATUS_UNSUPPORTED_MEDIA_TYPE, "the request body is %s; a form is %s",
            lua_tostring(L, -1), forms);
}

/* Takes the piece on top of the stack, and pops it; false when it is nil: there are no more. */
static bool take_piece(lua_State *L, struct reading *reading) {
  struct slice piece;
  reading->is_fetching = false;
  piece.data = lua_tolstring(L, -1, &piece.len);
  if (!piece.data) return false;
  if (reading->type.kind == FORM_NEITHER) raise_no_form(L);
  if (reading->reader) {
    reading->reader->input = piece;
    reading->has_body = true;
    lua_setfield(L, AT_DATA, "piece"); /* keeps it */
    return true;
  }
  check_text(L, reading->body.len + piece.len);
  buffer_add(&reading->body, piece.data, piece.len);
  lua_pop(L, 1);
  return true;
}

/* The whole body has been seen. */
static int end_body(lua_State *L, struct reading *reading) {
  struct form_reader *reader = reading->reader;
  if (reader && reading->has_body && !multipart_end(&reader->multipart))
    abort_form(L, &reader->multipart.problem);
  if (!reader && reading->is_streamed)
    read_fields(L, (struct slice){reading->body.data, reading->body.len});
  else if (!reader)
    read_fields(L, req_find_origin(L, AT_REQ, "form").body);
  lua_pushboolean(L, true);
  lua_setfield(L, AT_DATA, "is_read");
  drop_reader(reading);
  return 0;
}

static NO_RETURN void raise_write_error(lua_State *L, uv_err error) {
  if (error == UV_ECANCELED) luaL_error(L, "the form of a request that has ended");
  error_push(L, "fs", "cannot write the temporary file of an upload: %s", uv_strerror(error));
  lua_pushstring(L, uv_err_name(error));
  lua_setfield(L, -2, "code");
  lua_error(L);
  __builtin_unreachable();
}

/* Goes on with the input there is: true when more is needed, false when something is written. */
static bool read_input(lua_State *L, const struct reading *reading) {
  struct form_reader *reader = reading->reader;
  while (!reader->offload.running) {
    if (reader->error) raise_write_error(L, reader->error);
    switch (form_reader_step(reader)) {
    case FORM_STEP_MORE:
      return true;
    case FORM_STEP_WRITE:
      offload_start(&reader->offload, worker_of(L));
      break;
    case FORM_STEP_PART:
      add_part(L, &reader->part, reading->request);
      form_reader_next_part(reader);
      break;
    case FORM_STEP_REFUSED:
      abort_form(L, &reader->multipart.problem);
    }
  }
  return false;
}

static int go_on(lua_State *L);

static int written(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return go_on(L);
}

static int piece_came(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct reading *reading = lua_touserdata(L, AT_READING);
  return take_piece(L, reading) ? go_on(L) : end_body(L, reading);
}

static int go_on(lua_State *L) {
  struct reading *reading = lua_touserdata(L, AT_READING);
  for (;;) {
    if (reading->reader && !read_input(L, reading)) {
      struct fiber *fiber = fiber_begin_wait(L, "req:form");
      return offload_wait(L, fiber, &reading->reader->offload, "req:form", 0, written);
    }
    if (!reading->is_streamed) return end_body(L, reading);
    lua_getfield(L, AT_DATA, "pieces");
    reading->is_fetching = true;
    lua_callk(L, 0, 1, 0, piece_came);
    if (!take_piece(L, reading)) return end_body(L, reading);
  }
}

/* read(req, data, reading): reads what is left. A piece that a pool thread has asked for, and did
 * not wait for, is nowhere any more. */
static int read_form(lua_State *L) {
  const struct reading *reading = lua_touserdata(L, AT_READING);
  if (reading->is_fetching && !req_find_origin(L, AT_REQ, "form").is_here)
    return luaL_error(L, "a part of the form was lost when the wait for it was cancelled");
  return go_on(L);
}

/* ---- the start of a reading ---- */

static void set_up_reader(lua_State *L, struct reading *reading, struct slice body) {
  reading->request = req_open_files(L, AT_REQ);
  reading->reader =
      form_reader_create(&reading->type, worker_of(L)->process->spool, reading->request);
  reading->reader->input = body;
  reading->has_body = body.len > 0;
}

static void set_up_pieces(lua_State *L) {
  lua_pushcfunction(L, req_body_chunks);
  lua_pushvalue(L, AT_REQ);
  lua_call(L, 1, 1);
  lua_setfield(L, AT_DATA, "pieces");
}

/* Makes the reading; the `req` and the data are at their places. */
static void begin_reading(lua_State *L) {
  struct req_origin origin = req_find_origin(L, AT_REQ, "form");
  struct reading *reading = lua_newuserdatauv(L, sizeof *reading, 0);
  *reading = (struct reading){.is_streamed = origin.streams_body};
  list_init(&reading->waiting);
  class_push(L, CLASS_READING);
  lua_setmetatable(L, -2);
  add_table(L, "form");
  add_table(L, "fields");
  add_list(L, "files");
  if (!origin.streams_body && origin.body.len == 0) return;
  struct form_problem problem = {0};
  struct slice content_type = req_find_field(L, AT_REQ, FIELD_TEXT("Content-Type"));
  if (!form_read_type(content_type, &reading->type, &problem)) abort_form(L, &problem);
  if (reading->type.kind == FORM_NEITHER && !origin.streams_body) raise_no_form(L);
  if (reading->type.kind == FORM_MULTIPART) set_up_reader(L, reading, origin.body);
  if (origin.streams_body) set_up_pieces(L);
}

/* ---- the methods; stack: the req, the data, the reading, and the name that is asked for ---- */

enum { AT_NAME = AT_TOP + 1, AT_HANDLER };

typedef int (*answer_fn)(lua_State *L);

static int answer_waited(lua_State *L, int status, lua_KContext context);

/* The reading is over, or has failed with the error on top of the stack. */
static int end_reading(lua_State *L, int status, lua_KContext context) {
  struct reading *reading = lua_touserdata(L, AT_READING);
  reading->is_busy = false;
  fiber_wake_all(&reading->waiting);
  if (status != LUA_OK && status != LUA_YIELD) return lua_error(L);
  lua_pushnil(L);
  lua_setfield(L, AT_DATA, "reading");
  lua_pushnil(L);
  lua_setfield(L, AT_DATA, "piece");
  lua_settop(L, AT_NAME);
  return ((answer_fn)context)(L);
}

/* Reads the form unless it has been read, then answers from the data. */
static int read_and_answer(lua_State *L, answer_fn answer) {
  lua_KContext context = (lua_KContext)answer;
  lua_settop(L, AT_NAME);
  lua_getfield(L, AT_DATA, "is_read");
  if (lua_toboolean(L, -1)) return answer(L);
  if (lua_getfield(L, AT_DATA, "reading") == LUA_TNIL) {
    begin_reading(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, AT_DATA, "reading");
  }
  lua_replace(L, AT_READING);
  lua_settop(L, AT_NAME);
  struct reading *reading = lua_touserdata(L, AT_READING);
  if (reading->is_busy) {
    struct fiber *fiber = fiber_begin_wait(L, "req:form");
    return fiber_park_inside(L, fiber, &reading->waiting, "req:form", context, answer_waited);
  }
  reading->is_busy = true;
  lua_pushcfunction(L, fiber_save_trail);
  lua_pushcfunction(L, read_form);
  for (int at = AT_REQ; at <= AT_READING; at++) lua_pushvalue(L, at);
  return end_reading(L, lua_pcallk(L, AT_READING, 0, AT_HANDLER, context, end_reading), context);
}

static int answer_waited(lua_State *L, int status, lua_KContext context) {
  (void)status;
  fiber_check_cancelled(L);
  return read_and_answer(L, (answer_fn)context);
}

/* Puts everything in its place; the name, if the method has one, is at 2. */
static int start(lua_State *L, const char *method, bool has_name, answer_fn answer) {
  req_find_origin(L, AT_REQ, method);
  if (has_name) luaL_checkstring(L, 2);
  lua_settop(L, 2);
  req_push_kept(L, AT_REQ);
  if (lua_getfield(L, -1, KEPT) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, KEPT);
  }
  lua_remove(L, 3);
  lua_insert(L, AT_DATA); /* req, data, name */
  lua_pushnil(L);
  lua_insert(L, AT_READING);
  return read_and_answer(L, answer);
}

static int answer_form(lua_State *L) {
  lua_getfield(L, AT_DATA, "form");
  return 1;
}

static int answer_all(lua_State *L) {
  lua_Integer count = 0;
  lua_getfield(L, AT_DATA, "fields");
  int fields = lua_gettop(L);
  lua_newtable(L);
  class_set_array(L, -1);
  for (lua_Integer i = 1; lua_rawgeti(L, fields, i) != LUA_TNIL; i += 2) {
    bool is_asked_for = lua_rawequal(L, -1, AT_NAME);
    lua_pop(L, 1);
    if (!is_asked_for) continue;
    lua_rawgeti(L, fields, i + 1);
    lua_rawseti(L, -2, ++count);
  }
  lua_pop(L, 1);
  return 1;
}

static int answer_file(lua_State *L) {
  lua_getfield(L, AT_DATA, "files");
  int files = lua_gettop(L);
  for (lua_Integer i = 1; lua_rawgeti(L, files, i) != LUA_TNIL; i++) {
    lua_getfield(L, -1, "name");
    bool is_asked_for = lua_rawequal(L, -1, AT_NAME);
    lua_pop(L, 1);
    if (is_asked_for) return 1;
    lua_pop(L, 1);
  }
  return 1;
}

static int answer_files(lua_State *L) {
  lua_getfield(L, AT_DATA, "files");
  return 1;
}

int req_form_read(lua_State *L) {
  return start(L, "form", false, answer_form);
}

int req_form_read_all(lua_State *L) {
  return start(L, "form_all", true, answer_all);
}

int req_form_file(lua_State *L) {
  return start(L, "file", true, answer_file);
}

int req_form_files(lua_State *L) {
  return start(L, "files", false, answer_files);
}

void req_form_open(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, release_reading);
  lua_setfield(L, -2, "__gc");
  class_register(L, CLASS_READING);
  lua_pop(L, 1);
}
