/* sqlite_handle.h - what an app holds of a database: handles, transactions and blobs.
 *
 * All three cross to other Lua states: a handle and a transaction are the same ones there. A
 * transaction is known to the fiber that runs it, and to all that it starts, by their context
 * (core/context.h); their calls join it. */
#ifndef LIB_SQLITE_HANDLE_H
#define LIB_SQLITE_HANDLE_H

#include "base/base.h"
#include "core/scope.h"

#include <lua.h>
#include <stdbool.h>

struct opened;
struct sqlite_database;
struct sqlite_unit;

#define CLASS_SQLITE_DATABASE    "perilune.sqlite.database"
#define CLASS_SQLITE_TRANSACTION "perilune.sqlite.transaction"
#define CLASS_SQLITE_BLOB        "perilune.sqlite.blob"

struct sqlite_handle {
  struct sqlite_database *database; /* a reference; NULL: closed */
  bool nulls;                       /* rows have perilune.null for NULL */
  struct opened *opened;            /* where it was opened; not where it has come to */
};

struct sqlite_transaction {
  struct sqlite_unit *unit; /* a reference; NULL: it had ended when it came here */
  bool nulls;
  bool is_owner; /* it ends with the function that runs in it */
  struct fiber *fiber;
  uint32_t life;       /* of the fiber */
  struct scope shield; /* of the commit */
};

/* What a call is for. Borrowed. */
struct sqlite_target {
  struct sqlite_database *database;
  struct sqlite_unit *unit; /* in which it is done; NULL: in none */
  bool nulls;
};

/* [owner] Makes the classes known in a new state; the tables of methods are on top of the stack,
 * those of handles and those of transactions, and are popped. */
void sqlite_handle_open(lua_State *L);

/* [owner] Pushes a handle, which gets a reference of its own. */
struct sqlite_handle *sqlite_handle_push(lua_State *L, struct sqlite_database *database,
                                         bool nulls);

/* [owner] Pushes a transaction for a new unit, which it takes over. */
struct sqlite_transaction *sqlite_handle_push_transaction(lua_State *L, struct sqlite_unit *unit,
                                                          bool nulls);

/* [owner] The handle at 1; raises when it is none: "use a colon". */
struct sqlite_handle *sqlite_handle_check(lua_State *L, const char *method);

/* [owner] What a call of the handle or transaction at 1 is for. Raises when it is neither, or is
 * closed. */
struct sqlite_target sqlite_handle_check_target(lua_State *L, const char *method);

/* [owner] Pushes the context's key of a database. */
void sqlite_handle_push_key(lua_State *L, const struct sqlite_database *database);

/* [owner] blob(s): bytes that are stored as a blob. */
int sqlite_handle_blob(lua_State *L);

/* [owner] The bytes of the blob at `index`; false when it is none. */
bool sqlite_handle_read_blob(lua_State *L, int index, struct slice *bytes);

#endif
