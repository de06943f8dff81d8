/* fs_watcher.c - an inotify descriptor on the worker's loop, and scans of trees on libuv's threads.
 *
 * A scan watches a directory before it reads it: so a name that comes meanwhile is in the scan, in
 * the events, or in both. It has a descriptor of its own for the same instance, as it may outlive
 * the watcher. */
#include "lib/fs_watcher.h"

#include "base/limits.h"
#include "core/opened.h"
#include "core/worker.h"
#include "lib/content.h"
#include "lib/fs_error.h"
#include "lib/path.h"
#include "lib/sync.h"
#include "lib/tree.h"
#include "lib/work.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#define CLASS "watcher"

enum {
  AT_PATH = 1,
  EVENTS_BYTES = 64 * 1024,
  BATCH_MAX = STRESSED(10000, 10), /* events that one read gives */
  NO_DIRECTORY = 0                 /* in place of a watch's number */
};

static const uint32_t watched_events = IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE |
                                       IN_ATTRIB | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                       IN_MOVE_SELF | IN_ONLYDIR;

/* User value 1 is the path as the app gave it. */
struct watcher {
  int fd; /* -1: closed */
  uv_poll_t *poll;
  struct timers *timers; /* the real clock: files do not know another one */
  struct timer timer;
  struct list waiting; /* fiber.link */
  struct opened *opened;
};

/* ---- waiting for events ---- */

static void free_handle(uv_handle_t *handle) {
  free(handle);
}

static void notice(uv_poll_t *poll, int status, int events) {
  struct watcher *watcher = poll->data;
  (void)status;
  (void)events;
  uv_poll_stop(poll);
  fiber_wake_all(&watcher->waiting);
}

static void gathered(struct timer *timer) {
  fiber_wake_all(&container_of(timer, struct watcher, timer)->waiting);
}

static void close_watcher(struct watcher *watcher) {
  if (watcher->fd < 0) return;
  uv_poll_stop(watcher->poll);
  uv_close((uv_handle_t *)watcher->poll, free_handle);
  timer_stop(watcher->timers, &watcher->timer);
  close(watcher->fd);
  watcher->fd = -1;
  fiber_wake_all(&watcher->waiting);
}

static const char *name_event(uint32_t mask) {
  if (mask & IN_Q_OVERFLOW) return "overflow";
  if (mask & IN_IGNORED) return "ignored";
  if (mask & (IN_DELETE_SELF | IN_MOVE_SELF)) return "gone";
  if (mask & IN_CREATE) return "created";
  if (mask & IN_MOVED_TO) return "moved in";
  if (mask & IN_DELETE) return "removed";
  if (mask & IN_MOVED_FROM) return "moved out";
  return "changed";
}

static void append(lua_State *L, int list) {
  lua_rawseti(L, list, (lua_Integer)lua_rawlen(L, list) + 1);
}

static void add_event(lua_State *L, int list, const struct inotify_event *event) {
  lua_pushinteger(L, event->wd);
  append(L, list);
  lua_pushstring(L, name_event(event->mask));
  append(L, list);
  lua_pushstring(L, event->len > 0 ? event->name : "");
  append(L, list);
  lua_pushboolean(L, (event->mask & IN_ISDIR) != 0);
  append(L, list);
}

/* Adds the events that there are to the list, as many as fit; false when there are none. */
static bool add_events(lua_State *L, const struct watcher *watcher, int list) {
  char *block = lua_newuserdatauv(L, EVENTS_BYTES, 0);
  ssize_t len = read(watcher->fd, block, EVENTS_BYTES);
  for (ssize_t at = 0; at < len;) {
    const struct inotify_event *event = (const struct inotify_event *)(void *)(block + at);
    add_event(L, list, event);
    at += (ssize_t)(sizeof *event + event->len);
  }
  lua_pop(L, 1);
  return len > 0;
}

static int events_gathered(lua_State *L, int status, lua_KContext context) {
  const struct watcher *watcher = lua_touserdata(L, 1);
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  if (watcher->fd < 0) return 0;
  lua_newtable(L);
  int list = lua_gettop(L);
  while (lua_rawlen(L, list) < BATCH_MAX * 4 && add_events(L, watcher, list)) continue;
  return 1;
}

static int event_noticed(lua_State *L, int status, lua_KContext context) {
  struct watcher *watcher = lua_touserdata(L, 1);
  (void)status;
  if (fiber_was_cancelled(L) && watcher->fd >= 0) uv_poll_stop(watcher->poll);
  fiber_check_cancelled(L);
  if (watcher->fd < 0) return 0;
  timer_start(watcher->timers, &watcher->timer,
              timers_now(watcher->timers) + FS_WATCH_GATHER_MS * NS_PER_MS, gathered);
  return fiber_park_in(L, fiber_running(L), &watcher->waiting, "fs.watch", context,
                       events_gathered);
}

static int read_events(lua_State *L) {
  struct watcher *watcher = sync_check(L, CLASS, "read");
  lua_settop(L, 1);
  struct fiber *fiber = fiber_begin_wait(L, "fs.watch");
  if (watcher->fd < 0) return 0;
  uv_poll_start(watcher->poll, UV_READABLE, notice);
  return fiber_park_in(L, fiber, &watcher->waiting, "fs.watch", 0, event_noticed);
}

/* ---- scans ---- */

/* What was found is in `found`: for each name the number of its watch, if it is a directory that is
 * watched, then its path, terminated. */
struct scan {
  struct work work;
  int fd;
  struct tree_walk walk;
  char *from;
  struct buffer found;
  size_t count;
  uv_err error;
};

static void add_found(struct scan *scan, int32_t number, const char *path) {
  buffer_add(&scan->found, &number, sizeof number);
  buffer_add_text(&scan->found, scan->from);
  if (*scan->from && *path) buffer_add_byte(&scan->found, '/');
  buffer_add(&scan->found, path, strlen(path) + 1);
  scan->count++;
}

/* Watches a directory below the root of the scan. One that is gone, or may not be read, is left. */
static uv_err watch_below(struct scan *scan, const char *path, int32_t *number) {
  struct buffer whole = {0};
  buffer_printf(&whole, "%s/%s", scan->walk.root, path);
  buffer_add_byte(&whole, '\0');
  *number = inotify_add_watch(scan->fd, whole.data, watched_events | IN_DONT_FOLLOW);
  uv_err error = *number < 0 ? content_error() : 0;
  buffer_finish(&whole);
  if (error) *number = NO_DIRECTORY;
  return error == UV_ENOSPC || error == UV_ENOMEM ? error : 0;
}

static uv_err scan_entries(struct scan *scan) {
  struct tree_entry entry;
  uv_err error;
  while (!(error = tree_walk_next(&scan->walk, &entry)) && entry.path) {
    int32_t number = NO_DIRECTORY;
    if (atomic_load(&scan->work.given_up)) return UV_ECANCELED;
    if (scan->count == FS_NAMES_MAX) return UV_EFBIG;
    if (scan->walk.is_recursive && entry.type == TREE_DIRECTORY)
      error = watch_below(scan, entry.path, &number);
    if (error) return error;
    add_found(scan, number, entry.path);
  }
  return error;
}

static void run_scan(struct offload *offload) {
  struct scan *scan = container_of(offload, struct scan, work.offload);
  int32_t number = inotify_add_watch(scan->fd, scan->walk.root, watched_events);
  if (number < 0) {
    scan->error = content_error();
    return;
  }
  add_found(scan, number, "");
  scan->error = scan_entries(scan);
}

static void destroy_scan(struct offload *offload) {
  struct scan *scan = container_of(offload, struct scan, work.offload);
  if (scan->fd >= 0) close(scan->fd);
  tree_walk_finish(&scan->walk);
  buffer_finish(&scan->found);
  free(scan->from);
  free(scan);
}

static lua_nret fail_scan(lua_State *L, uv_err error) {
  lua_getiuservalue(L, 1, AT_PATH);
  const char *path = lua_tostring(L, -1);
  if (error == UV_ENOSPC)
    fs_error_push_text(L, error, "too many watched directories (fs.inotify.max_user_watches)",
                       path);
  else if (error == UV_EFBIG)
    fs_error_push_text(L, error, lua_pushfstring(L, "more than %d names to watch", FS_NAMES_MAX),
                       path);
  else
    fs_error_push(L, error, path, NULL);
  return WORK_FAILED;
}

static lua_nret end_scan(lua_State *L, struct work *work) {
  const struct scan *scan = container_of(work, struct scan, work);
  if (scan->error) return fail_scan(L, scan->error);
  lua_newtable(L);
  lua_createtable(L, (int)scan->count, 0);
  int names = lua_gettop(L), directories = names - 1;
  const char *at = scan->found.data;
  for (size_t i = 0; i < scan->count; i++) {
    int32_t number;
    memcpy(&number, at, sizeof number);
    const char *path = at + sizeof number;
    lua_pushstring(L, path);
    if (number != NO_DIRECTORY) {
      lua_pushvalue(L, -1);
      lua_rawseti(L, directories, number);
    }
    append(L, names);
    at = path + strlen(path) + 1;
  }
  return 2;
}

/* add(self, from, is_recursive) */
static int add(lua_State *L) {
  const struct watcher *watcher = sync_check(L, CLASS, "add");
  size_t len;
  const char *from = luaL_checklstring(L, 2, &len);
  bool is_recursive = lua_toboolean(L, 3);
  if (watcher->fd < 0) return luaL_error(L, "the watcher is closed");
  lua_settop(L, 3);
  lua_getiuservalue(L, 1, AT_PATH);
  const char *path = path_check(L, 4);
  if (len > 0) path = lua_pushfstring(L, "%s/%s", path, from);
  struct scan *scan = work_push(L, sizeof *scan, run_scan, destroy_scan);
  scan->from = memory_copy(from, len);
  scan->walk.root = memory_copy(path, strlen(path));
  scan->walk.is_recursive = is_recursive;
  scan->fd = fcntl(watcher->fd, F_DUPFD_CLOEXEC, 0);
  if (scan->fd < 0) {
    fail_scan(L, content_error());
    return lua_error(L);
  }
  return work_run(L, "fs.watch", end_scan);
}

/* ---- the rest ---- */

/* forget(self, number): what is told of that directory from now on is not wanted */
static int forget(lua_State *L) {
  const struct watcher *watcher = sync_check(L, CLASS, "forget");
  int number = (int)luaL_checkinteger(L, 2);
  if (watcher->fd >= 0) (void)inotify_rm_watch(watcher->fd, number);
  return 0;
}

static int close_method(lua_State *L) {
  struct watcher *watcher = sync_check(L, CLASS, "close");
  opened_close(&watcher->opened);
  close_watcher(watcher);
  return 0;
}

static int collect(lua_State *L) {
  struct watcher *watcher = lua_touserdata(L, 1);
  opened_collect(&watcher->opened);
  close_watcher(watcher);
  return 0;
}

/* watcher(path) */
static int create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  struct worker *worker = worker_of(L);
  struct watcher *watcher = sync_push(L, sizeof *watcher, SYNC_OWN_CLASS);
  watcher->fd = -1;
  list_init(&watcher->waiting);
  watcher->timers = &worker->timers;
  watcher->opened = NULL;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, AT_PATH);
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    fs_error_push_text(L, content_error(), "too many watches (fs.inotify.max_user_instances)",
                       lua_tostring(L, 1));
    return lua_error(L);
  }
  watcher->poll = memory_alloc(sizeof *watcher->poll);
  if (uv_poll_init(&worker->loop, watcher->poll, fd) != 0) {
    free(watcher->poll);
    close(fd);
    return luaL_error(L, "cannot wait for the kernel's events");
  }
  watcher->poll->data = watcher;
  watcher->fd = fd;
  watcher->opened = opened_add(L, OPENED_WATCH);
  return 1;
}

void fs_watcher_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", add},       {"read", read_events},
                                     {"forget", forget}, {"close", close_method},
                                     {"__gc", collect},  {NULL, NULL}};
  sync_push_class(L, CLASS, methods, 0);
  sync_add_constructor(L, CLASS, create);
}
