/* topic_subscribe.c - subscriptions in Lua: taking what has come, waiting for it, and their end.
 *
 * Whoever receives first takes what there is for all subscriptions of the state. What is published
 * is decoded by the first that receives it, and the value kept for the others of the state. */
#include "lib/topic_subscribe.h"

#include "base/limits.h"
#include "core/error.h"
#include "core/module.h"
#include "core/opened.h"
#include "core/timer.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/gate_wait.h"
#include "lib/options.h"
#include "lib/subscription.h"
#include "lib/sync.h"

#include <string.h>

#define CLASS     "subscription"
#define BOX_CLASS "perilune.topic.box"

/* Upvalues: of methods of subscriptions, behind their class; of those of topics, behind both. */
enum { OWN_MEMORY = 2, TOPIC_MEMORY = 3 };

/* User value 1: values that are kept, by address of their copy. */
struct memory_of_state {
  struct list unused; /* topic_copy.link */
};

/* User value 1: the handle of the topic. */
struct holder {
  struct subscription subscription;
  struct opened *opened;
  struct topic_handle *handle;
};

/* A copy that is being decoded. */
struct box {
  struct topic_copy *copy;
  struct list *unused;
};

/* ---- the state's memory ---- */

static void free_unused(struct memory_of_state *memory) {
  struct list *link;
  while ((link = list_pop(&memory->unused)))
    topic_branch_free_copy(container_of(link, struct topic_copy, link));
}

static int collect_memory(lua_State *L) {
  free_unused(lua_touserdata(L, 1));
  return 0;
}

/* Forgets the values that nobody is to receive any more. */
static void forget_unused(lua_State *L) {
  struct memory_of_state *memory = lua_touserdata(L, lua_upvalueindex(OWN_MEMORY));
  if (LIKELY(list_is_empty(&memory->unused))) return;
  lua_getiuservalue(L, lua_upvalueindex(OWN_MEMORY), 1);
  for (struct list *link = memory->unused.next; link != &memory->unused; link = link->next) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, container_of(link, struct topic_copy, link));
  }
  lua_pop(L, 1);
  free_unused(memory);
}

static int collect_box(lua_State *L) {
  struct box *box = lua_touserdata(L, 1);
  if (box->copy) subscription_release(box->copy, box->unused);
  box->copy = NULL;
  return 0;
}

static struct box *push_box(lua_State *L, struct list *unused) {
  struct box *box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = (struct box){.unused = unused};
  luaL_setmetatable(L, BOX_CLASS);
  return box;
}

/* ---- from the branch ---- */

static struct gate *gate_of(const struct topic_branch *branch) {
  return &branch->ref->topic->gate;
}

void topic_subscribe_leave(struct topic_handle *handle) {
  if (handle->branch) topic_branch_leave(handle->branch);
  handle->branch = NULL;
}

/* Inside the gate, which it leaves: gives what has come to the subscriptions there are; `another`
 * (may be NULL) gets what comes from now on. */
static void take(struct topic_handle *handle, struct holder *another) {
  struct topic_branch *branch = handle->branch;
  struct subscription *subscription = another ? &another->subscription : NULL;
  struct topic_backlog backlog;
  uint32_t first_max, last_max;
  subscription_count(branch, subscription, &first_max, &last_max);
  topic_branch_take(branch, &backlog, first_max, last_max);
  gate_leave(gate_of(branch));
  subscription_distribute(branch, &backlog);
  if (subscription) subscription_begin(subscription, branch);
  if (list_is_empty(&branch->subscriptions)) topic_subscribe_leave(handle);
}

static bool has_backlog(const struct holder *holder) {
  const struct topic_branch *branch = holder->subscription.branch;
  return branch && atomic_load_explicit(&branch->has_backlog, memory_order_acquire);
}

static void wake_all(struct topic_branch *branch) {
  struct list *subscriptions = &branch->subscriptions;
  for (struct list *link = subscriptions->next; link != subscriptions; link = link->next)
    fiber_wake_all(&container_of(link, struct subscription, link)->waiting);
}

/* ---- receive; stack: the subscription ---- */

static lua_nret receive_now(lua_State *L, lua_KContext due_ns);

static int receive_again(lua_State *L, int status, lua_KContext due_ns) {
  (void)status;
  lua_settop(L, 1);
  return receive_now(L, due_ns);
}

static int receive_loaded(lua_State *L, int status, lua_KContext due_ns) {
  module_end_require(L, status);
  return receive_again(L, status, due_ns);
}

static int woken(lua_State *L, int status, lua_KContext due_ns) {
  sync_end_wait(L);
  return receive_again(L, status, due_ns);
}

/* Pushes the value of a copy; false: the name of a module instead. */
static bool push_value(lua_State *L, struct topic_copy *copy) {
  if (copy->is_kept) {
    lua_getiuservalue(L, lua_upvalueindex(OWN_MEMORY), 1);
    lua_rawgetp(L, -1, copy);
    lua_remove(L, -2);
    return true;
  }
  if (transfer_decode_loaded(L, copy->blob->data, copy->blob->len) == TRANSFER_NOT_LOADED)
    return false;
  if (copy->references == 1) return true;
  lua_getiuservalue(L, lua_upvalueindex(OWN_MEMORY), 1);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, copy);
  lua_pop(L, 1);
  copy->is_kept = true;
  return true;
}

/* Gives the oldest value, which there is. */
static lua_nret give(lua_State *L, struct holder *holder, lua_KContext due_ns) {
  struct subscription *subscription = &holder->subscription;
  struct box *box = push_box(L, subscription->unused);
  struct topic_copy *copy = box->copy = subscription_pop(subscription);
  bool is_loaded = push_value(L, copy);
  box->copy = NULL;
  if (!is_loaded) {
    subscription_unpop(subscription, copy);
    return module_require(L, due_ns, receive_loaded);
  }
  subscription_release(copy, subscription->unused);
  forget_unused(L);
  return 1;
}

static lua_nret park(lua_State *L, struct holder *holder, lua_KContext due_ns) {
  static const char what[] = "subscription:receive";
  struct fiber *fiber = fiber_begin_wait(L, what);
  if (due_ns != 0) {
    if (timers_now(fiber->timers) >= (uint64_t)due_ns)
      error_raise(L, "timeout", "nothing was published in time");
    timer_start(fiber->timers, &fiber->timer, (uint64_t)due_ns, fiber_wake_by_timer);
  }
  return fiber_park_in(L, fiber, &holder->subscription.waiting, what, due_ns, woken);
}

static lua_nret receive_now(lua_State *L, lua_KContext due_ns) {
  struct holder *holder = lua_touserdata(L, 1);
  const struct subscription *subscription = &holder->subscription;
  if (has_backlog(holder)) {
    struct gate *gate = gate_of(subscription->branch);
    if (!gate_wait_enter(L, gate)) return gate_wait(L, gate, due_ns, receive_again);
    take(holder->handle, NULL);
    forget_unused(L);
  }
  if (subscription->count > 0) return give(L, holder, due_ns);
  if (subscription->has_overflowed) {
    opened_close(&holder->opened);
    error_raise(L, "overflow",
                "the subscription has ended: more than %d values of topic \"%s\" were not received",
                (int)subscription->buffer, holder->handle->ref->topic->name);
  }
  if (subscription->branch) return park(L, holder, due_ns);
  lua_pushnil(L);
  return 1;
}

static int paused(lua_State *L, int status, lua_KContext due_ns) {
  fiber_check_cancelled(L);
  return receive_again(L, status, due_ns);
}

static lua_nret begin_receive(lua_State *L, lua_KContext due_ns) {
  lua_settop(L, 1);
  if (fiber_must_pause(L)) return fiber_pause(L, "subscription:receive", due_ns, paused);
  return receive_now(L, due_ns);
}

/* receive(self, [timeout]) -> value, or nil once it is closed */
static int receive(lua_State *L) {
  sync_check(L, CLASS, "receive");
  lua_KContext limit_ns = sync_check_limit(L, 2);
  if (limit_ns == SYNC_FOREVER) return begin_receive(L, 0);
  const struct fiber *fiber = fiber_begin_wait(L, "subscription:receive");
  return begin_receive(L, (lua_KContext)timers_now(fiber->timers) + limit_ns);
}

/* What `for` calls. */
static int next_value(lua_State *L) {
  sync_check(L, CLASS, "receive");
  return begin_receive(L, 0);
}

/* ---- the end ---- */

static int end_subscription(lua_State *L, struct holder *holder) {
  struct subscription *subscription = &holder->subscription;
  if (!subscription->unused) return 0;
  const struct topic_branch *branch = subscription_end(subscription);
  subscription->has_overflowed = false;
  if (branch) topic_subscribe_leave(holder->handle);
  subscription_clear(subscription);
  forget_unused(L);
  fiber_wake_all(&subscription->waiting);
  return 0;
}

static int close_subscription(lua_State *L) {
  struct holder *holder = sync_check(L, CLASS, "close");
  opened_close(&holder->opened);
  return end_subscription(L, holder);
}

static int collect_subscription(lua_State *L) {
  struct holder *holder = lua_touserdata(L, 1);
  opened_collect(&holder->opened);
  return end_subscription(L, holder);
}

/* ---- what can be read of it ---- */

/* index(self, key): `dropped`, and methods (upvalue 3) */
static int index_subscription(lua_State *L) {
  struct holder *holder = sync_check(L, CLASS, "receive");
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "dropped") != 0) {
    lua_rawget(L, lua_upvalueindex(3));
    return 1;
  }
  if (has_backlog(holder) && gate_try(gate_of(holder->subscription.branch)))
    take(holder->handle, NULL);
  forget_unused(L);
  lua_pushinteger(L, (lua_Integer)holder->subscription.dropped);
  return 1;
}

static int describe(lua_State *L) {
  const struct holder *holder = sync_check(L, CLASS, "__tostring");
  const struct subscription *subscription = &holder->subscription;
  if (!holder->handle) return luaL_error(L, "the subscription was not made");
  lua_pushfstring(L, "subscription: %s, %d of %d%s", holder->handle->ref->topic->name,
                  (int)subscription->count, (int)subscription->buffer,
                  subscription->branch ? "" : ", closed");
  sync_add_waiting(L, &subscription->waiting, "");
  return 1;
}

/* ---- subscribe; stack: the topic, the subscription ---- */

static void read_options(lua_State *L, struct subscription *subscription) {
  static const char *const names[] = {"buffer", "overflow", NULL};
  options_check(L, 2, names);
  *subscription = (struct subscription){.buffer = TOPIC_BUFFER_DEFAULT, .drops_oldest = true};
  if (lua_isnoneornil(L, 2)) return;
  if (lua_getfield(L, 2, "buffer") != LUA_TNIL) {
    lua_Integer buffer = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (buffer < 1 || buffer > TOPIC_BUFFER_MAX)
      luaL_error(L, "option \"buffer\" is a whole number from 1 to %d, not %s", TOPIC_BUFFER_MAX,
                 options_push_shown(L, -1));
    subscription->buffer = (uint32_t)buffer;
  }
  if (lua_getfield(L, 2, "overflow") != LUA_TNIL) {
    const char *overflow = lua_tostring(L, -1);
    subscription->drops_oldest = overflow && strcmp(overflow, "drop_oldest") == 0;
    if (!subscription->drops_oldest && (!overflow || strcmp(overflow, "close") != 0))
      luaL_error(L, "option \"overflow\" is \"drop_oldest\" or \"close\", not %s",
                 options_push_shown(L, -1));
  }
}

static lua_nret begin(lua_State *L);

static int begin_again(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  return begin(L);
}

static lua_nret begin(lua_State *L) {
  struct topic_handle *handle = lua_touserdata(L, 1);
  if (!handle->branch) {
    handle->branch = topic_branch_create(handle->ref, worker_of(L));
    handle->branch->wake = wake_all;
  }
  struct gate *gate = gate_of(handle->branch);
  if (!gate_wait_enter(L, gate)) return gate_wait(L, gate, 0, begin_again);
  struct holder *holder = lua_touserdata(L, 2);
  take(handle, holder);
  holder->opened = opened_add(L, OPENED_SUBSCRIPTION);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 2);
  return 4;
}

int topic_subscribe(lua_State *L) {
  struct topic_handle *handle = sync_check(L, "topic", "subscribe");
  struct memory_of_state *memory = lua_touserdata(L, lua_upvalueindex(TOPIC_MEMORY));
  struct subscription options;
  read_options(L, &options);
  lua_settop(L, 1);
  struct holder *holder = sync_push(L, sizeof *holder, SYNC_PART_CLASS);
  holder->subscription = options;
  subscription_init(&holder->subscription, &memory->unused);
  holder->opened = NULL;
  holder->handle = handle;
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, 2, 1);
  return begin(L);
}

/* ---- classes ---- */

static void push_memory(lua_State *L) {
  struct memory_of_state *memory = lua_newuserdatauv(L, sizeof *memory, 1);
  list_init(&memory->unused);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect_memory);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
}

void topic_subscribe_push_class(lua_State *L) {
  static const luaL_Reg methods[] = {{"receive", receive},
                                     {"close", close_subscription},
                                     {"__call", next_value},
                                     {"__close", close_subscription},
                                     {"__gc", collect_subscription},
                                     {"__tostring", describe},
                                     {NULL, NULL}};
  luaL_newmetatable(L, BOX_CLASS);
  lua_pushcfunction(L, collect_box);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  push_memory(L);
  lua_pushvalue(L, -1);
  sync_push_class(L, CLASS, methods, 1);
  lua_pushvalue(L, -1); /* upvalues of __index: the class, the memory, the methods */
  lua_pushvalue(L, -3);
  lua_getfield(L, -2, "__index");
  lua_pushcclosure(L, index_subscription, 3);
  lua_setfield(L, -2, "__index");
  lua_insert(L, -2);
}
