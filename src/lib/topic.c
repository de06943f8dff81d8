/* topic.c - topics by name, and publishing; subscriptions are in topic_subscribe.c.
 *
 * A state has one handle for each topic while it is used there. */
#include "lib/topic.h"

#include "base/limits.h"
#include "core/class.h"
#include "core/error.h"
#include "core/transfer.h"
#include "core/worker.h"
#include "lib/encoded.h"
#include "lib/gate_wait.h"
#include "lib/named.h"
#include "lib/sync.h"
#include "lib/topic_subscribe.h"

#include <string.h>

#define CLASS       "topic"
#define CLASS_TOPIC "perilune.topic"

/* Registry keys: the constructor; handles by name. */
static const char constructor_key = 0, handles_key = 0;

/* publish(self, value) */
static int publish(lua_State *L) {
  const struct topic_handle *handle = sync_check(L, CLASS, "publish");
  luaL_argcheck(L, !lua_isnoneornil(L, 2), 2,
                "nil cannot be published: receive gives it once a subscription is closed");
  lua_settop(L, 2);
  topic_hub_publish(handle->ref->topic, encoded_make(L, 2, "value"));
  return 0;
}

/* ---- handles ---- */

static int release_handle(lua_State *L) {
  struct topic_handle *handle = lua_touserdata(L, 1);
  topic_subscribe_leave(handle);
  topic_hub_release(handle->ref);
  handle->ref = NULL;
  return 0;
}

static int describe(lua_State *L) {
  const struct topic_handle *handle = sync_check(L, CLASS, "__tostring");
  lua_pushfstring(L, "topic: %s", handle->ref->topic->name);
  return 1;
}

static struct topic_hub *check_hub(lua_State *L) {
  struct topic_hub *hub = topic_hub_of(worker_of(L));
  if (!hub) luaL_error(L, "topics belong to an app, and there is none");
  return hub;
}

static lua_nret find(lua_State *L);

static int find_again(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  lua_settop(L, 1);
  return find(L);
}

/* Stack: the name. */
static lua_nret find(lua_State *L) {
  size_t len;
  const char *name = lua_tolstring(L, 1, &len);
  struct topic_hub *hub = check_hub(L);
  const struct topic_handle *known = named_push(L, &handles_key, name);
  if (known && known->ref && known->ref->hub == hub) return 1;
  lua_settop(L, 1);
  struct topic_handle *handle = sync_push(L, sizeof *handle, SYNC_OWN_CLASS);
  struct gate *gate = topic_hub_gate(hub);
  if (!gate_wait_enter(L, gate)) return gate_wait(L, gate, 0, find_again);
  handle->ref = topic_hub_find(hub, name, len);
  gate_leave(gate);
  if (!handle->ref)
    error_raise(L, "full", "there are %d topics in use already: \"%s\" cannot be made", TOPICS_MAX,
                name);
  named_add(L, &handles_key, name);
  return 1;
}

/* topic(name) -> the topic of that name */
static int find_topic(lua_State *L) {
  size_t len;
  const char *name = luaL_checklstring(L, 1, &len);
  luaL_argcheck(L, len > 0 && len <= TOPIC_NAME_BYTES_MAX && strlen(name) == len, 1,
                "the name of a topic has 1 to 1024 bytes, none of them zero");
  lua_settop(L, 1);
  return find(L);
}

/* ---- crossing ---- */

static bool encode(lua_State *L, int index, struct buffer *out) {
  const struct topic_handle *handle = lua_touserdata(L, index);
  if (!handle->ref) return false;
  buffer_add_text(out, handle->ref->topic->name);
  return true;
}

static void decode(lua_State *L, const char *data, size_t len) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &constructor_key) == LUA_TNIL) {
    lua_pop(L, 1);
    topic_open(L);
  }
  lua_pushlstring(L, data, len);
  lua_call(L, 1, 1);
}

void topic_open_transfer(lua_State *L) {
  static const struct transfer_kind kind = {CLASS_TOPIC, encode, decode};
  transfer_register(L, &kind);
}

/* ---- the module ---- */

int topic_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"publish", publish},
                                     {"subscribe", topic_subscribe},
                                     {"__tostring", describe},
                                     {"__gc", release_handle},
                                     {NULL, NULL}};
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &constructor_key) != LUA_TNIL) return 1;
  lua_pop(L, 1);
  topic_subscribe_push_class(L);
  sync_push_class(L, CLASS, methods, 2);
  class_register(L, CLASS_TOPIC);
  lua_pushcclosure(L, find_topic, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &constructor_key);
  return 1;
}
