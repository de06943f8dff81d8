/* shared_store.h - the shared tables of an app, by name.
 *
 * There is one store for each app that is served, whatever states it has. Tables are made when
 * first asked for and live as long as the store. */
#ifndef LIB_SHARED_STORE_H
#define LIB_SHARED_STORE_H

#include "lib/shared_table.h"

struct shared_store;
struct worker;

enum shared_store_problem {
  SHARED_STORE_NONE,
  SHARED_STORE_TOO_MANY, /* tables */
  SHARED_STORE_DIFFERS   /* the table has other options */
};

/* [owner] The store of the app that the worker's state has loaded, or is loading; NULL when there
 * is none. */
struct shared_store *shared_store_of(const struct worker *worker);

/* [any thread] One more reference to it; and one less (accepts NULL). */
struct shared_store *shared_store_retain(struct shared_store *store);
void shared_store_release(struct shared_store *store);

/* [any thread] The table of that name, made with those options (NULL: none were given, and any are
 * right) if it is not there; NULL where that is a problem. */
struct shared_table *shared_store_find(struct shared_store *store, const char *name,
                                       const struct shared_options *options,
                                       enum shared_store_problem *problem);

/* [any thread] The bytes that its tables may have together. */
size_t shared_store_bytes_max(const struct shared_store *store);

#endif
