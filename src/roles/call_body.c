/* call_body.c - running the function of a call.
 *
 * A stream that it returns is offered to the caller; once accepted it runs here, too. */
#include "roles/call_body.h"

#include "core/call.h"
#include "core/call_run.h"
#include "core/transfer.h"
#include "lib/stream.h"

#include <string.h>

static int offer_accepted(lua_State *L, int status, lua_KContext context);

/* The function has returned, or what it offered has been streamed. */
static int returned(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  struct call *call = call_run_find(L);
  if (call->takes_offer && stream_is_at(L, 1)) return stream_offer(L, offer_accepted);
  transfer_encode(L, 1, lua_gettop(L), "result", &call->result);
  call->kind = CALL_RETURNED;
  return 0;
}

static int offer_accepted(lua_State *L, int status, lua_KContext context) {
  (void)status;
  lua_callk(L, stream_push_offered(L, context), 0, 0, returned);
  return returned(L, LUA_OK, 0);
}

int call_body_run(lua_State *L) {
  int nargs = call_push_function(L, call_run_find(L));
  lua_callk(L, nargs, LUA_MULTRET, 0, returned);
  return returned(L, LUA_OK, 0);
}

/* Lua's own error has no more than its text. */
static bool is_out_of_memory(lua_State *L, int index) {
  static const char text[] = "not enough memory";
  size_t len, text_len = sizeof text - 1;
  const char *said = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
  return said && len >= text_len && memcmp(said + len - text_len, text, text_len) == 0;
}

int call_body_failed(lua_State *L) {
  struct call *call = call_run_find(L);
  const char *traceback = fiber_running(L)->traceback;
  buffer_clear(&call->result);
  if (is_out_of_memory(L, 1)) {
    call->kind = CALL_OUT_OF_MEMORY;
    if (traceback) buffer_add_text(&call->result, traceback);
  } else {
    transfer_encode_error(L, 1, traceback, &call->result);
  }
  call->told = true;
  return 0;
}
