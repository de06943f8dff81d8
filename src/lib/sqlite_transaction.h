/* sqlite_transaction.h - db:transaction: a function that runs in a transaction, or in a savepoint.
 *
 * It is committed when the function returns, and rolled back when that ends in any other way. The
 * commit is not reached by cancellation: what it gives is what has become of it. */
#ifndef LIB_SQLITE_TRANSACTION_H
#define LIB_SQLITE_TRANSACTION_H

#include <lua.h>

/* [owner] The method. */
int sqlite_transaction(lua_State *L);

#endif
