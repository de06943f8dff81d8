/* transfer_encode_function.c - how functions are written, and what has a name in every state.
 *
 * In this order: a marked function by its mark; a function of the app that exists once by its
 * identity; a module, or what is in one, by its path; any other function of Lua as its code, with
 * copies of its upvalues. Upvalues that closures share stay shared within the message. */
#include "core/code.h"
#include "core/function_index.h"
#include "core/place.h"
#include "core/transfer_encoder.h"

#include <assert.h>
#include <lauxlib.h>

/* ---- names ---- */

void encoder_put_path(struct encoder *e, const struct module_path *path) {
  encoder_put_string(e, path->module, strlen(path->module));
  encoder_put_byte(e, path->count);
  for (int i = 0; i < path->count; i++)
    encoder_put_string(e, path->fields[i], strlen(path->fields[i]));
}

/* Begins an object that is written by its name. */
static void begin_named(struct encoder *e, int index, struct seen *slot, int lead) {
  uint32_t offset = (uint32_t)encoder_position(e);
  encoder_put_byte(e, lead);
  encoder_set(e, slot, (struct seen){lua_topointer(e->L, index), offset, 0});
}

static void put_module(struct encoder *e, int index, struct seen *slot,
                       const struct module_path *path) {
  begin_named(e, index, slot, LEAD_MODULE);
  encoder_put_path(e, path);
  uint64_t fingerprint = transfer_fingerprint(e->L, index);
  memcpy(encoder_claim(e, sizeof fingerprint), &fingerprint, sizeof fingerprint);
  e->out->len += sizeof fingerprint;
}

bool encoder_put_module(struct encoder *e, int index, struct seen *slot) {
  lua_pushvalue(e->L, index);
  bool may_be = lua_rawget(e->L, e->names) != LUA_TNIL;
  lua_pop(e->L, 1);
  if (LIKELY(!may_be)) return false;
  struct module_path path = {.module = module_name(e->L, index)};
  if (!path.module) return false;
  put_module(e, index, slot, &path);
  return true;
}

bool encoder_put_app(struct encoder *e, int index, struct seen *slot) {
  lua_Integer number = function_index_find_app(e->L, index);
  if (number == 0) return false;
  begin_named(e, index, slot, LEAD_APP);
  encoder_put_varint(e, (size_t)number);
  return true;
}

static bool put_marked(struct encoder *e, int index, struct seen *slot) {
  const struct place *place = place_of(e->L, index);
  if (!place) return false;
  begin_named(e, index, slot, LEAD_MARKED);
  encoder_put_string(e, place->identity, place->identity_len);
  return true;
}

static bool put_member(struct encoder *e, int index, struct seen *slot) {
  struct module_path path;
  if (!module_find(e->L, index, &path)) return false;
  put_module(e, index, slot, &path);
  return true;
}

/* Writes the place of a function, which tells in messages which it is. */
static void put_title(struct encoder *e, int index) {
  lua_State *L = e->L;
  lua_Debug debug;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &debug);
  size_t len;
  lua_pushfstring(L, "%s:%d", debug.source + (*debug.source == '@'), debug.linedefined);
  const char *title = lua_tolstring(L, -1, &len);
  encoder_put_string(e, title, len);
  lua_pop(L, 1);
}

static bool put_indexed(struct encoder *e, int index, struct seen *slot) {
  uint64_t identity;
  if (!function_index_find(e->L, index, &identity)) return false;
  begin_named(e, index, slot, LEAD_INDEXED);
  memcpy(encoder_claim(e, sizeof identity), &identity, sizeof identity);
  e->out->len += sizeof identity;
  put_title(e, index);
  return true;
}

/* ---- code ---- */

/* Writes the upvalue on top of the stack, or where it was written before. */
static void put_upvalue(struct encoder *e, int function, int number, uint32_t offset) {
  const void *id = lua_upvalueid(e->L, function, number);
  struct seen *slot = encoder_find(e, id);
  if (slot->object) {
    encoder_put_byte(e, LEAD_UPVALUE);
    encoder_put_varint(e, slot->offset);
    encoder_put_byte(e, (int)slot->upvalue);
    encoder_share(e, slot->offset);
    return;
  }
  encoder_set(e, slot, (struct seen){id, offset, (uint32_t)number});
  encoder_put_value(e, lua_gettop(e->L));
}

static void put_upvalues(struct encoder *e, int function, uint32_t offset) {
  lua_State *L = e->L;
  struct transfer_step step = {.up = e->step};
  e->step = &step;
  e->depth++;
  for (int i = 1; (step.upvalue = lua_getupvalue(L, function, i)) != NULL; i++) {
    int top = lua_gettop(L);
    put_upvalue(e, function, i, offset);
    lua_settop(L, top - 1);
  }
  e->depth--;
  e->step = step.up;
}

/* A function of which this state has no right to send the code is refused. */
static bool put_code(struct encoder *e, int index, struct seen *slot) {
  lua_State *L = e->L;
  lua_Debug debug;
  size_t start = e->out->len;
  uint32_t offset = (uint32_t)encoder_position(e);
  encoder_put_byte(e, LEAD_CODE);
  size_t begun = encoder_begin_length(e);
  if (!code_write(L, index, e->out)) {
    e->out->len = start;
    return false;
  }
  encoder_end_length(e, begun);
  encoder_set(e, slot, (struct seen){lua_topointer(L, index), offset, 0});
  lua_pushvalue(L, index);
  lua_getinfo(L, ">u", &debug);
  encoder_put_byte(e, debug.nups);
  put_upvalues(e, index, offset);
  return true;
}

/* encode(buffer, function) -> nothing; raises when it cannot cross */
static int try_function(lua_State *L) {
  struct encoder e;
  encoder_init(&e, L, "", lua_touserdata(L, 1));
  encoder_put_varint(&e, 1 * 2);
  encoder_put_function(&e, 2);
  return 0;
}

/* Whether a function crosses with all that it holds. */
static bool can_cross(lua_State *L, int index) {
  struct buffer scratch = {0};
  lua_pushcfunction(L, try_function);
  lua_pushlightuserdata(L, &scratch);
  lua_pushvalue(L, index);
  bool can = lua_pcall(L, 2, 0, 0) == LUA_OK;
  if (!can) lua_pop(L, 1);
  buffer_finish(&scratch);
  return can;
}

void encoder_put_function(struct encoder *e, int index) {
  lua_State *L = e->L;
  luaL_checkstack(L, LUA_MINSTACK, "transfer");
  struct seen *slot = encoder_find(e, lua_topointer(L, index));
  if (encoder_put_ref(e, slot)) return;
  if (put_marked(e, index, slot) || put_indexed(e, index, slot) || put_member(e, index, slot))
    return;
  if (lua_iscfunction(L, index) || (e->lenient && !can_cross(L, index))) {
    encoder_refuse(e, index, "function", "");
    return;
  }
  if (encoder_refuse_depth(e, index)) return;
  if (!put_code(e, index, slot)) encoder_refuse(e, index, "function", "");
}
