/* ask.h - what the code of a call asks of the worker that made the call.
 *
 * A blocking function may need what lives on its caller's thread, the client's connection for
 * instance. An ask travels there as a message, is answered at once or later, and travels back. The
 * one who asks may be cancelled meanwhile: the answer then frees the ask. */
#ifndef CORE_ASK_H
#define CORE_ASK_H

#include "core/fiber.h"
#include "core/inbox.h"

#include <lua.h>
#include <stdbool.h>

struct call;
struct call_host;
struct worker;

/* Part of a struct with the question and the answer. */
struct ask {
  struct message message;
  void (*serve)(struct ask *ask);   /* on the caller's thread; leads to ask_answer, now or later */
  void (*destroy)(struct ask *ask); /* frees the whole; on any thread */
  uint64_t home; /* number of the worker that is to serve it: the caller, or its caller, and so on;
                    answered unserved when none of them is. 0: the caller, whoever it is */

  /* From here on for ask.c only. */
  struct call_host *_host;
  struct call *_call; /* a reference: whose caller is to serve it; another one as it goes on */
  struct worker *_asker;
  struct ticket _ticket;
  bool _orphaned; /* guarded by the host's lock */
  bool _is_back;  /* the asker's own: the answer has come */
};

/* [owner] Whether code of a call is running here, so that there is someone to ask. */
bool ask_is_possible(lua_State *L);

/* [owner] Sends a zeroed ask with serve and destroy set and waits; fiber_begin_wait has been
 * called. `k` gets the ask as its context and must begin with ask_end. When the caller is gone the
 * ask is destroyed and kind "disconnected" raised. */
lua_nret ask_send(lua_State *L, struct fiber *fiber, struct ask *ask, const char *waits_for,
                  lua_KFunction k);

/* [owner] The wait is over: the answer is there, and the ask is the caller's to destroy. Raises
 * when the wait was cancelled; the ask is then given up. */
void ask_end(lua_State *L, struct ask *ask);

/* [owner] Frees an ask that has come back. */
void ask_destroy(struct ask *ask);

/* [owner] On the thread that serves: whether the one who asked still waits, and the `call` that it
 * asks for is still wanted. */
bool ask_is_wanted(struct ask *ask, const struct call *call);

/* [owner] On the thread that serves: whether the one who asked has stopped waiting. What it asked
 * for should not be done then; the ask is answered all the same. */
bool ask_is_given_up(struct ask *ask);

/* [owner] On the thread that serves: the answer is in the ask, which is not touched any more. */
void ask_answer(struct ask *ask);

#endif
