/* fs_watcher.h - what the kernel tells of directories (inotify), for lua/perilune/watch.lua.
 *
 * One descriptor for a whole tree. The kernel keeps what nobody has read yet, up to its own limit;
 * that it has lost something is an event too. */
#ifndef LIB_FS_WATCHER_H
#define LIB_FS_WATCHER_H

#include <lua.h>

/* [owner] Adds `watcher` to the table on top: watcher(path) -> a watcher of nothing yet, with
 *   :add(from, is_recursive) -> directories (number to path), names (list of paths)
 *   :read() -> list of number, what, name, is_directory, number, ...; nil once it is closed
 *   :forget(number), :close()
 * Paths are relative to the watcher's; from is one of them, "" the directory itself. */
void fs_watcher_open(lua_State *L);

#endif
