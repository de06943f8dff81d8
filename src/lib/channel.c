/* channel.c - a ring of values, the fibers that wait to send and those that wait to receive.
 *
 * The value of a fiber that waits to send stays on top of the stack of its coroutine until it is
 * taken from there; one that waits to receive gets its value put there. The ring is a table, user
 * value 1, which grows with what is in it. Allocating may run finalizers, and they may use the
 * channel: whoever allocates looks at it again afterwards. */
#include "lib/channel.h"

#include "base/limits.h"
#include "core/error.h"
#include "lib/sync.h"

#define CLASS "channel"

enum { SLOTS_MIN = STRESSED(8, 1) };

struct channel {
  struct list senders;   /* fiber.link; nobody unless it is full */
  struct list receivers; /* fiber.link; nobody unless it is empty and open */
  lua_Integer capacity;
  lua_Integer slots; /* of the ring: 0, or a power of 2 */
  lua_Integer first, count;
  bool is_closed;
};

/* ---- the ring; its table is user value 1 of the channel ---- */

static lua_Integer slot_at(const struct channel *channel, lua_Integer i) {
  return ((channel->first + i) & (channel->slots - 1)) + 1;
}

/* Pops the value; the table is at `table`. */
static void put(lua_State *L, struct channel *channel, int table) {
  lua_rawseti(L, table, slot_at(channel, channel->count));
  channel->count++;
}

/* A table that only a burst has needed goes when it is empty. */
static void drop_ring(lua_State *L, struct channel *channel) {
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 1);
  channel->slots = channel->first = 0;
}

/* Pushes the first value; the table is at `table`. */
static void take(lua_State *L, struct channel *channel, int table) {
  lua_Integer slot = slot_at(channel, 0);
  lua_rawgeti(L, table, slot);
  lua_pushnil(L);
  lua_rawseti(L, table, slot);
  channel->first = slot & (channel->slots - 1);
  channel->count--;
  if (channel->count == 0 && channel->slots > CHANNEL_SLOTS_KEPT_MAX) drop_ring(L, channel);
}

static void grow(lua_State *L, struct channel *channel) {
  lua_Integer slots = channel->slots > 0 ? 2 * channel->slots : SLOTS_MIN;
  lua_createtable(L, (int)slots, 0);
  if (channel->slots < slots) {
    lua_getiuservalue(L, 1, 1);
    for (lua_Integer i = 0; i < channel->count; i++) {
      lua_rawgeti(L, -1, slot_at(channel, i));
      lua_rawseti(L, -3, i + 1);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, 1, 1);
    channel->first = 0;
    channel->slots = slots;
  }
  lua_pop(L, 1);
}

/* ---- send; stack: the channel, the value until it is taken ---- */

static int sent(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  sync_end_wait(L);
  if (lua_gettop(L) > 1) error_raise(L, "closed", "the channel was closed");
  return 0;
}

static int send_now(lua_State *L, struct channel *channel) {
  while (!channel->is_closed) {
    struct fiber *receiver = sync_first(&channel->receivers);
    if (receiver) {
      lua_xmove(L, receiver->parked_co, 1);
      sync_wake(receiver);
      return 0;
    }
    if (channel->count == channel->capacity)
      return sync_park(L, &channel->senders, "channel:send", SYNC_FOREVER, sent);
    if (channel->count < channel->slots) {
      lua_getiuservalue(L, 1, 1);
      lua_pushvalue(L, 2);
      put(L, channel, 3);
      return 0;
    }
    grow(L, channel);
  }
  error_raise(L, "closed", "the channel is closed");
}

static int send_paused(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  fiber_check_cancelled(L);
  return send_now(L, lua_touserdata(L, 1));
}

static int send_value(lua_State *L) {
  struct channel *channel = sync_check(L, CLASS, "send");
  luaL_argcheck(L, !lua_isnoneornil(L, 2), 2,
                "nil cannot be sent: receive gives it once the channel is closed and empty");
  lua_settop(L, 2);
  if (fiber_must_pause(L)) return fiber_pause(L, "channel:send", 0, send_paused);
  return send_now(L, channel);
}

/* ---- receive; stack: the channel, then the value ---- */

static void take_from_sender(lua_State *L, struct fiber *sender) {
  lua_xmove(sender->parked_co, L, 1);
  sync_wake(sender);
}

static int received(lua_State *L, int status, lua_KContext limit_ns);

static int receive_now(lua_State *L, struct channel *channel, lua_KContext limit_ns) {
  struct fiber *sender = sync_first(&channel->senders);
  if (channel->count > 0) {
    lua_getiuservalue(L, 1, 1);
    take(L, channel, 2);
    if (!sender) return 1;
    take_from_sender(L, sender);
    put(L, channel, 2);
    return 1;
  }
  if (sender)
    take_from_sender(L, sender);
  else if (channel->is_closed)
    lua_pushnil(L);
  else
    return sync_park(L, &channel->receivers, "channel:receive", limit_ns, received);
  return 1;
}

/* Who was handed nothing was woken by close, or by the time limit; after the latter something may
 * have been sent before the channel was closed. */
static int received(lua_State *L, int status, lua_KContext limit_ns) {
  (void)status;
  struct channel *channel = lua_touserdata(L, 1);
  sync_end_wait(L);
  if (lua_gettop(L) > 1) return 1;
  if (channel->is_closed) return receive_now(L, channel, limit_ns);
  error_raise(L, "timeout", "nothing was sent in time");
}

static int receive_paused(lua_State *L, int status, lua_KContext limit_ns) {
  (void)status;
  fiber_check_cancelled(L);
  return receive_now(L, lua_touserdata(L, 1), limit_ns);
}

static int begin_receive(lua_State *L, struct channel *channel, lua_KContext limit_ns) {
  if (fiber_must_pause(L)) return fiber_pause(L, "channel:receive", limit_ns, receive_paused);
  return receive_now(L, channel, limit_ns);
}

static int receive(lua_State *L) {
  struct channel *channel = sync_check(L, CLASS, "receive");
  lua_KContext limit_ns = sync_check_limit(L, 2);
  lua_settop(L, 1);
  return begin_receive(L, channel, limit_ns);
}

/* Upvalue 1: the channel. */
static int receive_next(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return begin_receive(L, lua_touserdata(L, 1), SYNC_FOREVER);
}

static int each(lua_State *L) {
  sync_check(L, CLASS, "each");
  lua_settop(L, 1);
  lua_pushcclosure(L, receive_next, 1);
  return 1;
}

/* ---- the rest ---- */

static int close_channel(lua_State *L) {
  struct channel *channel = sync_check(L, CLASS, "close");
  channel->is_closed = true;
  fiber_wake_all(&channel->receivers);
  fiber_wake_all(&channel->senders);
  return 0;
}

static int describe(lua_State *L) {
  const struct channel *channel = sync_check(L, CLASS, "__tostring");
  lua_pushfstring(L, "channel: %I of %I%s", (LUAI_UACINT)channel->count,
                  (LUAI_UACINT)channel->capacity, channel->is_closed ? ", closed" : "");
  sync_add_waiting(L, &channel->senders, " to send");
  sync_add_waiting(L, &channel->receivers, " to receive");
  return 1;
}

static int create(lua_State *L) {
  lua_Integer capacity = luaL_optinteger(L, 1, 0);
  luaL_argcheck(L, capacity >= 0 && capacity <= CHANNEL_CAPACITY_MAX, 1,
                lua_pushfstring(L, "a whole number from 0 to %d expected, got %I",
                                CHANNEL_CAPACITY_MAX, (LUAI_UACINT)capacity));
  struct channel *channel = sync_push(L, sizeof *channel, SYNC_OWN_CLASS);
  list_init(&channel->senders);
  list_init(&channel->receivers);
  channel->capacity = capacity;
  return 1;
}

void channel_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"send", send_value},     {"receive", receive},
                                     {"each", each},           {"close", close_channel},
                                     {"__tostring", describe}, {NULL, NULL}};
  sync_push_class(L, CLASS, methods, 0);
  sync_add_constructor(L, CLASS, create);
}
