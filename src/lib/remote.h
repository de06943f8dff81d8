/* remote.h - what code on a pool thread asks of the request that it works for.
 *
 * The connection lives on its HTTP worker's thread; reading a streamed body, writing a streamed
 * response and looking whether the client is there are asks (core/ask.h) to it. They wait at the
 * request's source until the client has sent or taken something, or is gone. */
#ifndef LIB_REMOTE_H
#define LIB_REMOTE_H

#include "base/buffer.h"
#include "core/ask.h"
#include "core/call.h"
#include "lib/req.h"

#include <lua.h>

enum remote_kind {
  REMOTE_READ,    /* more of the body */
  REMOTE_WRITE,   /* more of the response */
  REMOTE_HAS_LEFT /* whether the client has left */
};

enum remote_result {
  REMOTE_DONE,
  REMOTE_END,    /* READ: there is no more */
  REMOTE_BROKEN, /* READ: there will be no more; `status` as exchange.body_status */
  REMOTE_GONE    /* the client is gone, or the request has ended */
};

struct remote {
  struct ask ask;
  struct list link; /* source.remotes */
  enum remote_kind kind;
  struct req_source *source;
  uint64_t number;
  struct buffer data; /* read, or to write */
  bool written;
  enum remote_result result;
  int status;
};

/* [owner] On a pool thread: asks and waits; `k` gets the struct as its context and must begin with
 * ask_end, and end with ask_destroy. Raises when nobody can be asked. */
lua_nret remote_send(lua_State *L, enum remote_kind kind, struct call_target target,
                     struct slice data, lua_KFunction k);

/* [owner] On the HTTP worker: something has changed; answers what can be answered. */
void remote_serve(struct req_source *source);

#endif
