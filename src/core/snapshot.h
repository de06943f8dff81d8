/* snapshot.h - an app's Lua files as they were when first read.
 *
 * All states of a process load the same text: the first one to read a file puts it here, later
 * ones take it from here, so changing files under a running server mixes nothing. What else belongs
 * to one app being served, and to all of its states, is a part of its snapshot. */
#ifndef CORE_SNAPSHOT_H
#define CORE_SNAPSHOT_H

#include "base/base.h"
#include "base/buffer.h"

#include <stdbool.h>

struct snapshot;

/* Something that all states of an app share beside its files. */
struct snapshot_part {
  void *(*create)(const void *context);
  void (*release)(void *part); /* the snapshot has its end; others may still refer to the part */
};

/* [any thread] An empty snapshot of the directory `dir` (absolute; copied). The caller owns it. */
struct snapshot *snapshot_create(const char *dir);

/* [any thread] Frees it and all texts; accepts NULL. */
void snapshot_destroy(struct snapshot *snapshot);

/* [any thread] The text of `path`, relative to the directory; false when there is no such file.
 * The bytes live as long as the snapshot. */
bool snapshot_read(struct snapshot *snapshot, const char *path, struct slice *text);

/* [any thread] The part of that kind, made with its context by who asks for it first; lives as long
 * as the snapshot. */
void *snapshot_share(struct snapshot *snapshot, const struct snapshot_part *kind,
                     const void *context);

/* [owner] What app.settings is for all states of the app, as a transfer message, before any of them
 * loads; the bytes are taken over. Without: those of the process. */
void snapshot_set_settings(struct snapshot *snapshot, struct buffer *settings);
struct slice snapshot_settings(const struct snapshot *snapshot);

/* [any thread] The directory, and how messages name it: relative to where the process was started
 * when it is inside. */
const char *snapshot_dir(const struct snapshot *snapshot);
const char *snapshot_shown_dir(const struct snapshot *snapshot);

#endif
