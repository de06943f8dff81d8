/* fs_methods.c - what the methods of an open file do, and how files are opened.
 *
 * A step of a method runs when no operation does: it starts one, after which it is called again,
 * or it ends the method. Its arguments have been checked before, and are still on the stack. */
#include "lib/fs_methods.h"

#include "base/limits.h"
#include "lib/fs_error.h"
#include "lib/fs_file.h"
#include "lib/fs_handle.h"
#include "lib/options.h"
#include "lib/path.h"

#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { TEMPORARY_MODE = 0600, NEW_FILE_MODE = 0666 };

static struct fs_handle *check_readable(lua_State *L, const char *method) {
  struct fs_handle *handle = fs_handle_check(L, method);
  if (handle->file && (handle->file->flags & O_ACCMODE) == O_WRONLY)
    luaL_error(L, "file:%s: the file was opened for writing only", method);
  return handle;
}

static struct fs_handle *check_writable(lua_State *L, const char *method) {
  struct fs_handle *handle = fs_handle_check(L, method);
  if (handle->file && (handle->file->flags & O_ACCMODE) == O_RDONLY)
    luaL_error(L, "file:%s: the file was opened for reading only", method);
  return handle;
}

/* ---- reading; stack: the handle, what to read ---- */

enum { AT_FORMAT = 2 };

/* Ends a read with so many of the bytes that are there, and takes some more; nothing is taken when
 * there is no memory for the string. */
static lua_nret give(lua_State *L, struct fs_handle *handle, size_t len, size_t more) {
  fs_handle_hand_over(handle);
  lua_pushlstring(L, len > 0 ? fs_file_unread(handle->file).data : "", len);
  fs_file_take(handle->file, len + more);
  fs_handle_shut_if_done(L, handle);
  return 1;
}

static lua_nret give_nil(lua_State *L, struct fs_handle *handle) {
  fs_handle_pass_on(L, handle);
  lua_pushnil(L);
  return 1;
}

static lua_nret fail_large(lua_State *L, struct fs_handle *handle, const char *format,
                           uint64_t bytes_max) {
  fs_handle_pass_on(L, handle);
  const char *text = lua_pushfstring(L, format, (LUAI_UACINT)bytes_max);
  fs_error_push_text(L, UV_EFBIG, text, fs_handle_push_path(L));
  return lua_error(L);
}

static lua_nret read_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  struct fs_file *file = handle->file;
  size_t count = (size_t)lua_tointeger(L, AT_FORMAT), len = fs_file_unread(file).len;
  if (has_run && file->error) return fs_handle_fail(L, handle);
  if (len >= count) return give(L, handle, count, 0);
  if (has_run) return len > 0 ? give(L, handle, len, 0) : give_nil(L, handle);
  file->count = count;
  file->is_line = false;
  return fs_handle_operate(L, handle, FS_READ);
}

static lua_nret line_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  struct fs_file *file = handle->file;
  struct slice unread = fs_file_unread(file);
  if (has_run && file->error == UV_EFBIG)
    return fail_large(L, handle, "a line has more than %I bytes", FS_LINE_BYTES_MAX);
  if (has_run && file->error) return fs_handle_fail(L, handle);
  const char *end = unread.len > 0 ? memchr(unread.data, '\n', unread.len) : NULL;
  if (end) return give(L, handle, (size_t)(end - unread.data), 1);
  if (has_run) return unread.len > 0 ? give(L, handle, unread.len, 0) : give_nil(L, handle);
  file->count = FS_LINE_BYTES_MAX;
  file->is_line = true;
  return fs_handle_operate(L, handle, FS_READ);
}

static lua_nret all_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  struct fs_file *file = handle->file;
  size_t len = fs_file_unread(file).len;
  if (has_run && file->error) return fs_handle_fail(L, handle);
  if (len > handle->bytes_max)
    return fail_large(L, handle, "there are more than %I bytes (option \"max\" of fs.open)",
                      handle->bytes_max);
  if (has_run) return give(L, handle, len, 0);
  file->count = handle->bytes_max + 1;
  file->is_line = false;
  return fs_handle_operate(L, handle, FS_READ);
}

static const struct fs_method read_method = {"file:read", read_step};
static const struct fs_method line_method = {"file:read", line_step};
static const struct fs_method all_method = {"file:read", all_step};

static void check_count(lua_State *L, const struct fs_handle *handle, int index) {
  lua_Integer count = luaL_checkinteger(L, index);
  if (count < 1 || (lua_Unsigned)count > handle->bytes_max)
    luaL_argerror(L, index,
                  lua_pushfstring(L, "a number of bytes from 1 to %I expected, got %I",
                                  (LUAI_UACINT)handle->bytes_max, (LUAI_UACINT)count));
}

/* file:read(n | "line" | "all") */
static int file_read(lua_State *L) {
  const struct fs_handle *handle = check_readable(L, "read");
  lua_settop(L, AT_FORMAT);
  if (lua_type(L, AT_FORMAT) == LUA_TNUMBER) {
    check_count(L, handle, AT_FORMAT);
    return fs_handle_call(L, &read_method);
  }
  const char *format = luaL_optstring(L, AT_FORMAT, "all");
  bool is_line = strcmp(format, "line") == 0;
  luaL_argcheck(
      L, is_line || strcmp(format, "all") == 0, AT_FORMAT,
      lua_pushfstring(L, "a number of bytes, \"line\" or \"all\" expected, got \"%s\"", format));
  return fs_handle_call(L, is_line ? &line_method : &all_method);
}

/* Upvalues: the handle, the number of bytes or nil for lines. */
static int read_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, lua_upvalueindex(2));
  return fs_handle_call(L, lua_isnil(L, AT_FORMAT) ? &line_method : &read_method);
}

/* file:lines() -> iterator over lines, without their ends */
static int file_lines(lua_State *L) {
  check_readable(L, "lines");
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_pushcclosure(L, read_next, 2);
  return 1;
}

/* file:chunks([n]) -> iterator over pieces of n bytes, the last one of fewer */
static int file_chunks(lua_State *L) {
  const struct fs_handle *handle = check_readable(L, "chunks");
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pushinteger(L, FS_BLOCK_BYTES);
    lua_replace(L, 2);
  }
  check_count(L, handle, 2);
  lua_pushcclosure(L, read_next, 2);
  return 1;
}

/* ---- writing ---- */

static lua_nret write_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  struct fs_file *file = handle->file;
  if (has_run && file->error) return fs_handle_fail(L, handle);
  if (has_run) {
    fs_handle_pass_on(L, handle);
    lua_settop(L, 1);
    return 1;
  }
  size_t len;
  const char *text = lua_tolstring(L, 2, &len);
  buffer_clear(&file->out);
  buffer_add(&file->out, text, len);
  return fs_handle_operate(L, handle, FS_WRITE);
}

/* file:write(text) -> the file */
static int file_write(lua_State *L) {
  static const struct fs_method method = {"file:write", write_step};
  check_writable(L, "write");
  luaL_checktype(L, 2, LUA_TSTRING);
  lua_settop(L, 2);
  return fs_handle_call(L, &method);
}

static lua_nret sync_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  if (!has_run) return fs_handle_operate(L, handle, FS_SYNC);
  if (handle->file->error) return fs_handle_fail(L, handle);
  fs_handle_pass_on(L, handle);
  return 0;
}

/* file:sync(): what was written is on the disk */
static int file_sync(lua_State *L) {
  static const struct fs_method method = {"file:sync", sync_step};
  fs_handle_check(L, "sync");
  lua_settop(L, 1);
  return fs_handle_call(L, &method);
}

static lua_nret truncate_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  struct fs_file *file = handle->file;
  if (!has_run) {
    file->count = lua_isnil(L, 2) ? file->offset : (uint64_t)lua_tointeger(L, 2);
    return fs_handle_operate(L, handle, FS_TRUNCATE);
  }
  if (file->error) return fs_handle_fail(L, handle);
  fs_handle_pass_on(L, handle);
  return 0;
}

/* file:truncate([size]): cuts the file here, or makes it so long */
static int file_truncate(lua_State *L) {
  static const struct fs_method method = {"file:truncate", truncate_step};
  check_writable(L, "truncate");
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) luaL_argcheck(L, luaL_checkinteger(L, 2) >= 0, 2, "a size expected");
  return fs_handle_call(L, &method);
}

/* ---- places ---- */

static lua_nret size_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  if (!has_run) return fs_handle_operate(L, handle, FS_SIZE);
  if (handle->file->error) return fs_handle_fail(L, handle);
  lua_pushinteger(L, (lua_Integer)handle->file->count);
  fs_handle_pass_on(L, handle);
  return 1;
}

/* file:size() */
static int file_size(lua_State *L) {
  static const struct fs_method method = {"file:size", size_step};
  fs_handle_check(L, "size");
  lua_settop(L, 1);
  return fs_handle_call(L, &method);
}

enum whence { FROM_START, FROM_HERE, FROM_END };

/* Stack: the handle, from where, the offset. */
static lua_nret seek_step(lua_State *L, struct fs_handle *handle, bool has_run) {
  struct fs_file *file = handle->file;
  lua_Integer whence = lua_tointeger(L, 2), offset = lua_tointeger(L, 3), from = 0;
  if (!file->can_seek) file->error = UV_ESPIPE;
  if ((has_run && file->error) || !file->can_seek) return fs_handle_fail(L, handle);
  if (whence == FROM_END && !has_run) return fs_handle_operate(L, handle, FS_SIZE);
  if (whence == FROM_HERE) from = (lua_Integer)file->offset;
  if (whence == FROM_END) from = (lua_Integer)file->count;
  if (offset < -from || offset > LUA_MAXINTEGER - from) {
    fs_handle_pass_on(L, handle);
    return luaL_error(L, "file:seek: %I from there is not in a file", (LUAI_UACINT)offset);
  }
  fs_file_move(file, (uint64_t)(from + offset));
  fs_handle_pass_on(L, handle);
  lua_pushinteger(L, from + offset);
  return 1;
}

/* file:seek([whence], [offset]) -> the place, counted from the start of the file */
static int file_seek(lua_State *L) {
  static const char *const names[] = {"set", "cur", "end", NULL};
  static const struct fs_method method = {"file:seek", seek_step};
  fs_handle_check(L, "seek");
  int whence = luaL_checkoption(L, 2, "cur", names);
  lua_Integer offset = luaL_optinteger(L, 3, 0);
  lua_settop(L, 1);
  lua_pushinteger(L, whence);
  lua_pushinteger(L, offset);
  return fs_handle_call(L, &method);
}

/* ---- opening and closing ---- */

static int file_close(lua_State *L) {
  return fs_handle_close(L, true);
}

static int check_open_mode(lua_State *L, int index) {
  static const struct {
    const char *name;
    int flags;
  } modes[] = {{"r", O_RDONLY},
               {"r+", O_RDWR},
               {"w", O_WRONLY | O_CREAT | O_TRUNC},
               {"w+", O_RDWR | O_CREAT | O_TRUNC},
               {"a", O_WRONLY | O_CREAT | O_APPEND},
               {"a+", O_RDWR | O_CREAT | O_APPEND},
               {"x", O_WRONLY | O_CREAT | O_EXCL},
               {"x+", O_RDWR | O_CREAT | O_EXCL}};
  const char *mode = luaL_optstring(L, index, "r");
  for (size_t i = 0; i < array_len(modes); i++)
    if (strcmp(mode, modes[i].name) == 0) return modes[i].flags;
  return luaL_argerror(L, index,
                       lua_pushfstring(L,
                                       "\"r\", \"w\", \"a\" or \"x\" expected, with \"+\" for both "
                                       "directions, got \"%s\"",
                                       mode));
}

/* open(path, [mode], { mode =, max = }) */
static int open_path(lua_State *L) {
  static const char *const names[] = {"mode", "max", NULL};
  static const struct fs_method method = {"fs.open", fs_handle_open_step};
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: fs.open(path, mode)");
  lua_settop(L, 3);
  const char *path = path_check(L, 1);
  int flags = check_open_mode(L, 2);
  options_check(L, 3, names);
  mode_t mode = options_mode(L, 3, "mode", NEW_FILE_MODE);
  uint64_t bytes_max = options_bytes(L, 3, "max", FS_READ_BYTES_MAX);
  struct fs_handle *handle = fs_handle_push(L, 1);
  handle->bytes_max = bytes_max;
  handle->file = fs_file_create(path, flags, mode);
  return fs_handle_start(L, &method);
}

/* Pushes the path of a file that nobody has. */
static const char *push_temporary_path(lua_State *L, const char *directory, struct slice suffix) {
  uint64_t number;
  char name[32];
  if (getrandom(&number, sizeof number, 0) < 0) luaL_error(L, "there are no random numbers");
  (void)snprintf(name, sizeof name, "perilune.%016llx", (unsigned long long)number);
  return lua_pushfstring(L, "%s/%s%s", directory, name, suffix.data ? suffix.data : "");
}

static const char *check_directory(lua_State *L, int index) {
  const char *directory = getenv("TMPDIR");
  if (options_push_text(L, index, "dir").data) return path_check_option(L, -1, "dir");
  return directory && *directory == '/' ? directory : "/tmp";
}

/* tempfile{ dir =, suffix = } -> a file to be read and written, which is removed when it is closed
 */
static int open_temporary(lua_State *L) {
  static const char *const names[] = {"dir", "suffix", NULL};
  static const struct fs_method method = {"fs.tempfile", fs_handle_open_step};
  lua_settop(L, 1);
  options_check(L, 1, names);
  const char *directory = check_directory(L, 1);
  struct slice suffix = options_push_text(L, 1, "suffix");
  if (suffix.data && (memchr(suffix.data, '/', suffix.len) || strlen(suffix.data) != suffix.len))
    luaL_error(L, "option \"suffix\" is the end of a name, without slash and NUL");
  const char *path = push_temporary_path(L, directory, suffix);
  struct fs_handle *handle = fs_handle_push(L, lua_gettop(L));
  handle->bytes_max = FS_READ_BYTES_MAX;
  handle->file = fs_file_create(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, TEMPORARY_MODE);
  handle->file->is_temporary = true;
  return fs_handle_start(L, &method);
}

/* ---- the class; upvalue 1 of __index: the methods ---- */

static int index_file(lua_State *L) {
  fs_handle_check(L, "path");
  lua_settop(L, 2);
  if (lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "path") == 0) {
    fs_handle_push_path(L);
    return 1;
  }
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

void fs_methods_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", file_read},         {"lines", file_lines},
                                     {"chunks", file_chunks},     {"write", file_write},
                                     {"sync", file_sync},         {"seek", file_seek},
                                     {"truncate", file_truncate}, {"size", file_size},
                                     {"close", file_close},       {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"open", open_path}, {"tempfile", open_temporary}, {NULL, NULL}};
  lua_newtable(L);
  luaL_newlib(L, methods);
  lua_pushcclosure(L, index_file, 1);
  lua_setfield(L, -2, "__index");
  fs_handle_register(L);
  lua_pop(L, 1);
  luaL_setfuncs(L, functions, 0);
}
