/* sqlite_registry.h - the databases that are open in this process, and who starts their threads.
 *
 * All Lua states share it: a file that is opened twice is one database. Files are looked at, and
 * threads made, by a thread of its own, the keeper: it begins when the first state wants a
 * database, so that no thread of a database has the low priority of a pool thread. */
#ifndef LIB_SQLITE_REGISTRY_H
#define LIB_SQLITE_REGISTRY_H

#include <stdbool.h>
#include <stdint.h>

struct directory;
struct sqlite_database;
struct sqlite_job;
struct sqlite_registry;

/* [any thread] An empty one; finds workers in `directory`. The caller owns it. */
struct sqlite_registry *sqlite_registry_create(struct directory *directory);

/* [any thread] Waits until all databases have ended, those too that a job still holds; for what a
 * Lua state holds that was not closed, SQLITE_LEAVE_MS at most. False: one is still held and stays
 * as it is, and its threads may use the directory. Accepts NULL. */
bool sqlite_registry_destroy(struct sqlite_registry *registry);

/* [any thread] Starts the keeper, unless it runs. False when it cannot be started. */
bool sqlite_registry_start(struct sqlite_registry *registry);

/* [any thread] Submits a job that opens a database. */
void sqlite_registry_open(struct sqlite_registry *registry, struct sqlite_job *job);

/* [any thread] The open database of that id, a reference for the caller, or NULL. */
struct sqlite_database *sqlite_registry_find(struct sqlite_registry *registry, uint64_t id);

/* [any thread] Takes a database off that nobody holds any more, and closes it. */
void sqlite_registry_remove(struct sqlite_registry *registry, struct sqlite_database *database);

/* [any thread] Has a thread made for a database, which has counted it. */
void sqlite_registry_start_thread(struct sqlite_registry *registry,
                                  struct sqlite_database *database, bool is_writer);

/* [any thread] A database that was removed is gone. */
void sqlite_registry_note_end(struct sqlite_registry *registry);

/* [any thread] A number that is never given twice. */
uint64_t sqlite_registry_next_id(struct sqlite_registry *registry);

/* [any thread] The workers of the process. */
struct directory *sqlite_registry_directory(struct sqlite_registry *registry);

#endif
