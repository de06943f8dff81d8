/* shared_method.c - arguments, time, and errors of the methods of shared tables.
 *
 * The time is that of the clock which the running fiber waits on. */
#include "lib/shared_method.h"

#include "core/error.h"
#include "core/module.h"
#include "core/worker.h"
#include "lib/gate_wait.h"
#include "lib/options.h"
#include "lib/shared_store.h"
#include "lib/sync.h"

#include <inttypes.h>

enum { CONTEXT_GATE, CONTEXT_MODULE };

static uint64_t now(lua_State *L) {
  const struct worker *worker = worker_of(L);
  return timers_now(worker->running ? worker->running->timers : &worker->timers);
}

struct shared_call shared_method_begin(lua_State *L, const char *method) {
  const struct shared_handle *handle = sync_check(L, "shared", method);
  return (struct shared_call){
      .table = handle->table, .now_ns = now(L), .waits = gate_wait_blocks(L)};
}

struct shared_call shared_method_begin_key(lua_State *L, const char *method) {
  struct shared_call call = shared_method_begin(L, method);
  call.key = shared_convert_key(L, 2, call.table);
  return call;
}

uint64_t shared_method_due(lua_State *L, int index, const struct shared_call *call) {
  if (lua_isnoneornil(L, index)) return 0;
  uint64_t ttl_ns = options_check_seconds(L, index);
  luaL_argcheck(L, ttl_ns > 0, index, "a time to live is more than 0 seconds");
  return call->now_ns + ttl_ns;
}

enum shared_result shared_method_get(lua_State *L, struct shared_call *call,
                                     struct shared_found *found) {
  shared_convert_prepare(L, lua_upvalueindex(SHARED_SCRATCH));
  return shared_table_get(call, found);
}

lua_nret shared_method_require(lua_State *L, lua_KFunction k) {
  return module_require(L, CONTEXT_MODULE, k);
}

lua_nret shared_method_give(lua_State *L, const struct shared_value *value, lua_KFunction k) {
  if (shared_convert_out(L, lua_upvalueindex(SHARED_SCRATCH), value)) return 1;
  return shared_method_require(L, k);
}

lua_nret shared_method_wait(lua_State *L, const struct shared_call *call, lua_KFunction k) {
  return gate_wait(L, call->gate, CONTEXT_GATE, k);
}

void shared_method_begin_again(lua_State *L, int status, lua_KContext context, int nargs) {
  if (context == CONTEXT_MODULE) module_end_require(L, status);
  lua_settop(L, nargs);
}

static NO_RETURN void raise_full(lua_State *L, const struct shared_table *table) {
  const struct shared_handle *handle = lua_touserdata(L, 1);
  size_t used = shared_table_used_bytes(table), own = shared_table_options(table)->bytes_max;
  if (own > 0)
    error_raise(L, "full", "shared table \"%s\" is full: it has %I bytes of %I",
                shared_table_name(table), (LUAI_UACINT)used, (LUAI_UACINT)own);
  error_raise(L, "full",
              "shared table \"%s\" is full: it has %I bytes, and all together may have %I "
              "(--shared-memory)",
              shared_table_name(table), (LUAI_UACINT)used,
              (LUAI_UACINT)shared_store_bytes_max(handle->store));
}

void shared_method_raise(lua_State *L, const struct shared_call *call, enum shared_result result) {
  const char *name = shared_table_name(call->table);
  const char *key = luaL_tolstring(L, 2, NULL);
  if (result == SHARED_FULL) raise_full(L, call->table);
  if (result == SHARED_OVERFLOW)
    luaL_error(L, "the sum of \"%s\" in shared table \"%s\" is too large for an integer", key,
               name);
  luaL_error(L, "\"%s\" in shared table \"%s\" is no number: nothing can be added to it", key,
             name);
  __builtin_unreachable();
}
