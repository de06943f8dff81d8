/* opened.h - what the code of a spec, and of its app, has opened and not closed: with the line.
 *
 * One list for all threads of a run of specs; other processes have none, and record nothing. Who
 * owns a handle keeps its record, and says how it has ended: closed by code, or found open by the
 * garbage collector, which stays in the list. What an app opens while it loads is not recorded. */
#ifndef CORE_OPENED_H
#define CORE_OPENED_H

#include <lua.h>
#include <stdbool.h>

struct buffer;
struct opened;
struct opened_list;
struct worker;

enum opened_kind { OPENED_FILE, OPENED_WATCH, OPENED_DATABASE, OPENED_SUBSCRIPTION, OPENED_STREAM };

enum opened_state {
  OPENED_STILL,
  OPENED_COLLECTED, /* nobody referred to it any more */
  OPENED_ENDED      /* it was open when its state ended */
};

enum { OPENED_LINE_BYTES = 256 };

/* A record, copied. */
struct opened_row {
  enum opened_kind kind;
  enum opened_state state;
  bool is_of_app;               /* a handler, hook or task of an app has opened it */
  char line[OPENED_LINE_BYTES]; /* "app.lua:34"; its beginning is cut where it is too long */
};

/* [owner] The caller owns it; nobody refers to it any more when it is destroyed. Accepts NULL. */
struct opened_list *opened_create(void);
void opened_destroy(struct opened_list *list);

/* [any thread] From now on records are made; those there were are no longer in the list. `worker`
 * runs the spec. */
void opened_watch(struct opened_list *list, const struct worker *worker);

/* [any thread] No more are made. */
void opened_unwatch(struct opened_list *list);

/* [any thread] Adds a struct opened_row for each record in the list. */
void opened_list(struct opened_list *list, struct buffer *rows);

/* [owner] A record for what the running code has opened, or NULL: nobody watches. Raises nothing.
 */
struct opened *opened_add(lua_State *L, enum opened_kind kind);

/* [owner] It was closed; was found open by the collector. The record is gone, and NULL; accepts
 * that. */
void opened_close(struct opened **opened);
void opened_collect(struct opened **opened);

/* [owner] Where this worker has recorded something since it was last called: collects garbage, so
 * that what nobody refers to is known. Outside of fibers and inside. Raises nothing. */
void opened_settle(lua_State *L);

#endif
