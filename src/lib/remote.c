/* remote.c - sending asks from the pool, serving them where the request is.
 *
 * Serving touches C structs only. A request that has ended is known by its source's number, so an
 * ask that comes too late is answered and not mistaken for one of the next request. */
#include "lib/remote.h"

#include "core/error.h"

#include <stdlib.h>

static void destroy(struct ask *ask) {
  struct remote *remote = container_of(ask, struct remote, ask);
  buffer_finish(&remote->data);
  free(remote);
}

/* ---- each returns false when the answer has to wait ---- */

static bool read_body(struct remote *remote, struct exchange *exchange) {
  exchange_read(exchange, &remote->data);
  if (remote->data.len > 0) return true;
  switch (exchange->body) {
  case EXCHANGE_BODY_WHOLE:
    remote->result = REMOTE_END;
    return true;
  case EXCHANGE_BODY_COMING:
    return false;
  case EXCHANGE_BODY_BROKEN:
    remote->result = REMOTE_BROKEN;
    remote->status = exchange->body_status;
    return true;
  }
  return true;
}

static bool write_response(struct remote *remote, struct exchange *exchange) {
  if (exchange->state != EXCHANGE_STREAMED || !exchange->connection) {
    remote->result = REMOTE_GONE;
    return true;
  }
  if (!remote->written) exchange_write(exchange, remote->data.data, remote->data.len);
  remote->written = true;
  remote->source->wrote = true;
  return !exchange->clogged;
}

static bool try_serve(struct remote *remote) {
  struct req_source *source = remote->source;
  struct exchange *exchange = source->exchange;
  remote->result = REMOTE_DONE;
  if (ask_is_given_up(&remote->ask)) return true; /* what it would take is the next one's */
  if (source->number != remote->number || !exchange) {
    remote->result = REMOTE_GONE;
    return true;
  }
  switch (remote->kind) {
  case REMOTE_READ:
    return read_body(remote, exchange);
  case REMOTE_WRITE:
    return write_response(remote, exchange);
  case REMOTE_HAS_LEFT:
    if (exchange_has_left(exchange)) remote->result = REMOTE_GONE;
    return true;
  }
  return true;
}

static void serve(struct ask *ask) {
  struct remote *remote = container_of(ask, struct remote, ask);
  if (try_serve(remote))
    ask_answer(ask);
  else
    list_push(&remote->source->remotes, &remote->link);
}

void remote_serve(struct req_source *source) {
  for (struct list *link = source->remotes.next, *next; link != &source->remotes; link = next) {
    next = link->next;
    struct remote *remote = container_of(link, struct remote, link);
    if (!try_serve(remote)) continue;
    list_remove(link);
    ask_answer(&remote->ask);
  }
}

lua_nret remote_send(lua_State *L, enum remote_kind kind, struct call_target target,
                     struct slice data, lua_KFunction k) {
  static const char *const names[] = {"req:chunks", "write", "req:is_disconnected"};
  if (!ask_is_possible(L)) error_raise(L, "disconnected", "%s: the request has ended", names[kind]);
  struct fiber *fiber = fiber_begin_wait(L, names[kind]);
  struct remote *remote = memory_alloc_zero(sizeof *remote);
  list_init(&remote->link);
  remote->ask.serve = serve;
  remote->ask.destroy = destroy;
  remote->ask.home = target.home;
  remote->result = REMOTE_GONE;
  remote->kind = kind;
  remote->source = target.data;
  remote->number = target.number;
  buffer_add(&remote->data, data.data, data.len);
  return ask_send(L, fiber, &remote->ask, names[kind], k);
}
