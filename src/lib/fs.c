/* fs.c - the functions of perilune.fs on whole files and directories.
 *
 * Each checks its arguments, makes a job with copies of all it needs, and waits for it. The path
 * as the app gave it stays at 1 (the second one at 2) for the error's text. */
#include "lib/fs.h"

#include "base/limits.h"
#include "core/class.h"
#include "lib/fs_each.h"
#include "lib/fs_error.h"
#include "lib/fs_job.h"
#include "lib/fs_methods.h"
#include "lib/fs_watcher.h"
#include "lib/options.h"
#include "lib/path.h"
#include "lib/tree.h"

#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Argument `options` of a function whose first one is a path; gives the absolute path. */
static const char *check_path(lua_State *L, const char *what, int options,
                              const char *const names[]) {
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: %s(path)", what);
  lua_settop(L, options);
  const char *path = path_check(L, 1);
  options_check(L, options, names);
  return path;
}

static lua_nret fail(lua_State *L, const struct fs_job *job) {
  fs_error_push(L, job->error, lua_tostring(L, 1), job->to ? lua_tostring(L, 2) : NULL);
  return WORK_FAILED;
}

static lua_nret end_plain(lua_State *L, struct work *work) {
  const struct fs_job *job = container_of(work, struct fs_job, work);
  return job->error ? fail(L, job) : 0;
}

/* ---- content ---- */

static lua_nret end_read(lua_State *L, struct work *work) {
  const struct fs_job *job = container_of(work, struct fs_job, work);
  if (job->error == UV_EFBIG) {
    const char *text = lua_pushfstring(L, "the file has more than %I bytes (option \"max\")",
                                       (LUAI_UACINT)job->bytes_max);
    fs_error_push_text(L, job->error, text, lua_tostring(L, 1));
    return WORK_FAILED;
  }
  if (job->error) return fail(L, job);
  lua_pushlstring(L, job->bytes.data, job->bytes.len);
  return 1;
}

/* read(path, { max = }) -> its bytes */
static int fs_read(lua_State *L) {
  static const char *const names[] = {"max", NULL};
  const char *path = check_path(L, "fs.read", 2, names);
  uint64_t bytes_max = options_bytes(L, 2, "max", FS_READ_BYTES_MAX);
  struct fs_job *job = fs_job_push(L, fs_job_read, path, NULL);
  job->bytes_max = bytes_max;
  return work_run(L, "fs.read", end_read);
}

/* Options of write and append, which have the text at 2. */
static lua_nret start_writing(lua_State *L, const char *what, const char *const names[],
                              uv_err (*run)(struct fs_job *job)) {
  struct slice text;
  const char *path = check_path(L, what, 3, names);
  luaL_checktype(L, 2, LUA_TSTRING);
  text.data = lua_tolstring(L, 2, &text.len);
  mode_t mode = options_mode(L, 3, "mode", FS_JOB_NO_MODE);
  bool syncs = options_flag(L, 3, "sync", false);
  bool is_atomic = options_flag(L, 3, "atomic", true);
  struct fs_job *job = fs_job_push(L, run, path, NULL);
  buffer_add(&job->bytes, text.data, text.len);
  job->mode = mode;
  job->syncs = syncs;
  job->is_atomic = is_atomic;
  return work_run(L, what, end_plain);
}

/* write(path, text, { atomic =, mode =, sync = }) */
static int fs_write(lua_State *L) {
  static const char *const names[] = {"atomic", "mode", "sync", NULL};
  return start_writing(L, "fs.write", names, fs_job_write);
}

/* append(path, text, { mode =, sync = }) */
static int fs_append(lua_State *L) {
  static const char *const names[] = {"mode", "sync", NULL};
  return start_writing(L, "fs.append", names, fs_job_append);
}

/* ---- two paths ---- */

static lua_nret start_pair(lua_State *L, const char *what, uv_err (*run)(struct fs_job *job)) {
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: %s(from, to)", what);
  luaL_argcheck(L, lua_isnoneornil(L, 3), 3, lua_pushfstring(L, "%s has no options", what));
  lua_settop(L, 2);
  const char *path = path_check(L, 1), *to = path_check(L, 2);
  fs_job_push(L, run, path, to);
  return work_run(L, what, end_plain);
}

/* rename(from, to) */
static int fs_rename(lua_State *L) {
  return start_pair(L, "fs.rename", fs_job_rename);
}

/* copy(from, to) */
static int fs_copy(lua_State *L) {
  return start_pair(L, "fs.copy", fs_job_copy);
}

/* ---- looking ---- */

static lua_nret end_exists(lua_State *L, struct work *work) {
  const struct fs_job *job = container_of(work, struct fs_job, work);
  bool is_missing = job->error == UV_ENOENT || job->error == UV_ENOTDIR;
  if (job->error && !is_missing) return fail(L, job);
  lua_pushboolean(L, !is_missing);
  return 1;
}

/* exists(path) -> whether there is something; a link that leads nowhere is nothing */
static int fs_exists(lua_State *L) {
  if (lua_istable(L, 1)) luaL_error(L, "use a dot: fs.exists(path)");
  luaL_argcheck(L, lua_isnoneornil(L, 2), 2, "fs.exists has no options");
  lua_settop(L, 1);
  fs_job_push(L, fs_job_stat, path_check(L, 1), NULL)->follows = true;
  return work_run(L, "fs.exists", end_exists);
}

static void set_time(lua_State *L, const char *name, struct timespec time) {
  lua_pushnumber(L, (lua_Number)time.tv_sec + (lua_Number)time.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

static void set_integer(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

/* The mode as options take it: "644". */
static void set_mode(lua_State *L, mode_t mode) {
  char text[8];
  (void)snprintf(text, sizeof text, "%03o", (unsigned)mode & 07777u);
  lua_pushstring(L, text);
  lua_setfield(L, -2, "mode");
}

static lua_nret end_stat(lua_State *L, struct work *work) {
  const struct fs_job *job = container_of(work, struct fs_job, work);
  const struct stat *info = &job->info;
  if (job->error) return fail(L, job);
  lua_createtable(L, 0, 12);
  lua_pushstring(L, fs_each_type_name(tree_type_of(info->st_mode)));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", (uint64_t)info->st_size);
  set_mode(L, info->st_mode);
  set_time(L, "mtime", info->st_mtim);
  set_time(L, "atime", info->st_atim);
  set_time(L, "ctime", info->st_ctim);
  set_integer(L, "uid", info->st_uid);
  set_integer(L, "gid", info->st_gid);
  set_integer(L, "inode", info->st_ino);
  set_integer(L, "device", info->st_dev);
  set_integer(L, "links", info->st_nlink);
  if (S_ISLNK(info->st_mode)) {
    lua_pushstring(L, job->bytes.data);
    lua_setfield(L, -2, "target");
  }
  return 1;
}

/* stat(path, { follow = true }) -> { type =, size =, mode =, mtime =, ... } */
static int fs_stat(lua_State *L) {
  static const char *const names[] = {"follow", NULL};
  const char *path = check_path(L, "fs.stat", 2, names);
  bool follows = options_flag(L, 2, "follow", true);
  fs_job_push(L, fs_job_stat, path, NULL)->follows = follows;
  return work_run(L, "fs.stat", end_stat);
}

/* ---- directories ---- */

static lua_nret end_list(lua_State *L, struct work *work) {
  const struct fs_job *job = container_of(work, struct fs_job, work);
  if (job->error == UV_EFBIG) {
    const char *text =
        lua_pushfstring(L, "more than %d names (fs.each gives them one by one)", FS_NAMES_MAX);
    fs_error_push_text(L, job->error, text, lua_tostring(L, 1));
    return WORK_FAILED;
  }
  if (job->error) return fail(L, job);
  lua_createtable(L, (int)job->count, 0);
  class_set_array(L, -1);
  const char *name = job->bytes.data;
  for (size_t i = 1; i <= job->count; i++, name += strlen(name) + 1) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, (lua_Integer)i);
  }
  return 1;
}

/* list(path, { recursive =, type = }) -> sorted names */
static int fs_list(lua_State *L) {
  static const char *const names[] = {"recursive", "type", NULL};
  const char *path = check_path(L, "fs.list", 2, names);
  bool is_recursive = options_flag(L, 2, "recursive", false);
  int type = fs_each_check_type(L, 2);
  struct fs_job *job = fs_job_push(L, fs_job_list, path, NULL);
  job->is_recursive = is_recursive;
  job->type = type;
  return work_run(L, "fs.list", end_list);
}

/* mkdir(path, { parents =, mode = }) */
static int fs_mkdir(lua_State *L) {
  static const char *const names[] = {"parents", "mode", NULL};
  const char *path = check_path(L, "fs.mkdir", 2, names);
  bool with_parents = options_flag(L, 2, "parents", false);
  mode_t mode = options_mode(L, 2, "mode", FS_JOB_NO_MODE);
  struct fs_job *job = fs_job_push(L, fs_job_make_directory, path, NULL);
  job->is_recursive = with_parents;
  job->mode = mode;
  return work_run(L, "fs.mkdir", end_plain);
}

/* What nobody means to remove with all that is in it: the root, the app itself, or what is around
 * something. */
static bool is_dangerous(const char *path) {
  size_t len = strlen(path);
  while (len > 0 && path[len - 1] == '/') len--;
  size_t begin = len;
  while (begin > 0 && path[begin - 1] != '/') begin--;
  const char *last = path + begin;
  size_t last_len = len - begin;
  return last_len == 0 || (last_len == 1 && *last == '.') ||
         (last_len == 2 && strncmp(last, "..", 2) == 0);
}

static lua_nret end_remove(lua_State *L, struct work *work) {
  const struct fs_job *job = container_of(work, struct fs_job, work);
  bool is_missing = job->error == UV_ENOENT || job->error == UV_ENOTDIR;
  return job->error && !(is_missing && job->missing_ok) ? fail(L, job) : 0;
}

/* remove(path, { recursive =, missing_ok = }) */
static int fs_remove(lua_State *L) {
  static const char *const names[] = {"recursive", "missing_ok", NULL};
  const char *path = check_path(L, "fs.remove", 2, names);
  bool is_recursive = options_flag(L, 2, "recursive", false);
  bool missing_ok = options_flag(L, 2, "missing_ok", false);
  luaL_argcheck(L, !is_dangerous(path), 1, "a path that ends in a name expected");
  struct fs_job *job = fs_job_push(L, fs_job_remove, path, NULL);
  job->is_recursive = is_recursive;
  job->missing_ok = missing_ok;
  return work_run(L, "fs.remove", end_remove);
}

int fs_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"read", fs_read},     {"write", fs_write}, {"append", fs_append}, {"exists", fs_exists},
      {"stat", fs_stat},     {"list", fs_list},   {"mkdir", fs_mkdir},   {"remove", fs_remove},
      {"rename", fs_rename}, {"copy", fs_copy},   {NULL, NULL}};
  lua_createtable(L, 0, 2);
  luaL_newlib(L, functions);
  fs_each_open(L);
  fs_methods_open(L);
  lua_setfield(L, -2, "functions");
  fs_watcher_open(L);
  return 1;
}
