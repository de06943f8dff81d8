/* client_failure.c - what curl and the limits of time say, in words.
 *
 * curl's own text for an error is more exact than that of its code, where there is one. */
#include "lib/client_failure.h"

#include "core/error.h"
#include "lib/client_request.h"
#include "lib/fetch_file.h"

#include <lauxlib.h>

bool client_failure_is_there(const struct fetch *fetch) {
  return fetch->outcome == FETCH_TIMED_OUT ||
         (fetch->outcome == FETCH_ENDED && fetch->code != CURLE_OK);
}

static NO_RETURN void raise_timeout(lua_State *L, const struct fetch *fetch) {
  const struct fetch_request *request = &fetch->request;
  const char *what = "no complete response";
  uint64_t limit_ns = request->timeout_ns;
  switch (fetch->limit) {
  case FETCH_LIMIT_TOTAL:
    if (!fetch->has_begun) what = "its turn has not come";
    break;
  case FETCH_LIMIT_CONNECT:
    what = "no connection";
    limit_ns = request->connect_timeout_ns;
    break;
  case FETCH_LIMIT_IDLE:
    what = "not a byte";
    limit_ns = request->idle_timeout_ns;
    break;
  }
  error_push(L, "timeout", "%s: %s within %f s", fetch->label.data, what,
             (lua_Number)limit_ns / (lua_Number)NS_PER_SECOND);
  client_request_raise(L, CURLE_OPERATION_TIMEDOUT);
}

static const char *push_size(lua_State *L, uint64_t bytes) {
  enum { KIB = 1024, MIB = 1024 * 1024 };
  if (bytes > 0 && bytes % MIB == 0)
    return lua_pushfstring(L, "%I MiB", (LUAI_UACINT)(bytes / MIB));
  if (bytes > 0 && bytes % KIB == 0)
    return lua_pushfstring(L, "%I KiB", (LUAI_UACINT)(bytes / KIB));
  return lua_pushfstring(L, "%I bytes", (LUAI_UACINT)bytes);
}

/* The reason of a failure in words. */
static const char *push_problem(lua_State *L, const struct fetch *fetch) {
  const char *path;
  const char *file = fetch->code == CURLE_READ_ERROR ? fetch_file_problem(fetch, &path) : NULL;
  if (file) return lua_pushfstring(L, "cannot read %s: %s", path, file);
  if (!fetch->too_large)
    return lua_pushstring(L, *fetch->problem ? fetch->problem : curl_easy_strerror(fetch->code));
  if (fetch->in_head)
    return lua_pushfstring(L, "the head of the response is larger than %s",
                           push_size(L, HTTP_RESPONSE_HEAD_BYTES_MAX));
  return lua_pushfstring(L, "the response is larger than %s",
                         push_size(L, fetch->request.body_bytes_max));
}

void client_failure_raise(lua_State *L, const struct fetch *fetch) {
  if (fetch->outcome == FETCH_TIMED_OUT) raise_timeout(L, fetch);
  error_push(L, "http", "%s: %s", fetch->label.data, push_problem(L, fetch));
  client_request_raise(L, fetch->code);
}
