/* stuck.c - reads a Lua stack inside a signal handler, on the thread whose stack it is.
 *
 * It reads and never writes, allocates or raises: lua_getstack and lua_getinfo with "Sln" only fill
 * their struct. What they read holds still where the handler looks: the hook was set 50 ms before
 * and has not fired, so no function was entered since then, and nothing but a C function or Lua's
 * own code (a collection, a long concatenation) is under way. Moving a stack is what is left: while
 * Lua does that the slots that frames begin with are not addresses of one stack, and then, or when
 * the innermost frame has changed since the signal before, the handler looks away until the next.
 * Finalizers run without hooks, and are told of without being looked at. */
#include "core/stuck.h"

#include "core/fiber.h"
#include "core/function_name.h"
#include "core/interrupt.h"
#include "core/worker.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS_MAX = 30, BODY_LEVELS_MAX = 16, NAME_BYTES = 32 };

/* Bytes of the largest stack that Lua makes (LUAI_MAXSTACK slots): slots of one stack are no
 * further apart, and addresses are larger than twice that. */
#define STACK_BYTES_MAX ((uintptr_t)1000000 * 16)

struct stuck_name {
  lua_CFunction function;
  char text[NAME_BYTES];
};

/* ---- names ---- */

static void add_name(struct stuck *stuck, lua_CFunction function, const char *prefix,
                     const char *name) {
  stuck->names = memory_resize(stuck->names, (stuck->name_count + 1) * sizeof *stuck->names);
  struct stuck_name *added = &stuck->names[stuck->name_count++];
  added->function = function;
  snprintf(added->text, sizeof added->text, "%s%s", prefix, name);
}

/* The functions of the table on top of the stack. */
static void add_names(lua_State *L, const char *prefix) {
  struct stuck *stuck = &worker_of(L)->stuck;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_iscfunction(L, -1)) continue;
    add_name(stuck, lua_tocfunction(L, -1), prefix, lua_tostring(L, -2));
  }
}

void stuck_open(lua_State *L) {
  lua_settop(L, 0);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (lua_pushnil(L); lua_next(L, 1); lua_settop(L, 2)) {
    const char *module = lua_tostring(L, 2);
    char prefix[NAME_BYTES] = "";
    if (strcmp(module, LUA_GNAME) != 0) snprintf(prefix, sizeof prefix, "%s.", module);
    if (lua_istable(L, 3)) add_names(L, prefix);
  }
  luaL_getmetatable(L, LUA_FILEHANDLE);
  if (lua_getfield(L, -1, "__index") == LUA_TTABLE) add_names(L, "file:");
  lua_settop(L, 0);
}

void stuck_finish(struct worker *worker) {
  free(worker->stuck.names);
  worker->stuck.names = NULL;
  worker->stuck.name_count = 0;
}

/* ---- in the handler: text ---- */

struct text {
  char *data;
  size_t len, size;
};

NOT_SANITIZED static void add(struct text *text, const char *more) {
  while (*more && text->len + 1 < text->size) text->data[text->len++] = *more++;
  text->data[text->len] = '\0';
}

NOT_SANITIZED static void add_line(struct text *text, int line) {
  char digits[12];
  int at = (int)sizeof digits - 1;
  digits[at] = '\0';
  do {
    digits[--at] = (char)('0' + line % 10);
    line /= 10;
  } while (line > 0);
  add(text, digits + at);
}

/* ---- in the handler: frames ---- */

/* A frame begins with the address of its function's slot. */
NOT_SANITIZED static uintptr_t slot_of(const lua_Debug *debug) {
  return *(const uintptr_t *)(const void *)debug->i_ci;
}

NOT_SANITIZED static bool is_finalizing(lua_State *L) {
  int from_which_it_tells = LUA_VERSION_RELEASE_NUM >= 50404 ? 0 : 1;
  return lua_gc(L, LUA_GCISRUNNING) < from_which_it_tells;
}

/* Fills the struct for a level that can be read, and gives whether it can. */
NOT_SANITIZED static bool read_level(lua_State *L, int level, uintptr_t innermost,
                                     lua_Debug *debug) {
  if (!lua_getstack(L, level, debug)) return false;
  uintptr_t slot = slot_of(debug);
  if (slot > innermost || innermost - slot > STACK_BYTES_MAX) return false;
  return lua_getinfo(L, "Sln", debug) != 0;
}

/* The name of the C function that runs. Its own slot is the one below its first argument,
 * which the API does not promise, and which is so in every Lua 5.4. */
NOT_SANITIZED static const char *find_name(const struct stuck *stuck, lua_State *L,
                                           const lua_Debug *debug) {
  lua_CFunction function = lua_tocfunction(L, -(lua_gettop(L) + 1));
  for (size_t i = 0; i < stuck->name_count && function; i++)
    if (stuck->names[i].function == function) return stuck->names[i].text;
  return debug->name ? debug->name : "a C function";
}

NOT_SANITIZED static bool is_c(const lua_Debug *debug) {
  return debug->what[0] == 'C';
}

NOT_SANITIZED static void add_place(struct text *text, const lua_Debug *debug) {
  add(text, debug->short_src);
  if (debug->currentline < 0) return;
  add(text, ":");
  add_line(text, debug->currentline);
}

NOT_SANITIZED static void add_level(struct text *text, const lua_Debug *debug, const char *name) {
  if (text->len > 0) add(text, "\n");
  add_place(text, debug);
  add(text, ": in ");
  add(text, name);
}

NOT_SANITIZED static void write_levels(struct stuck *stuck, lua_State *L, uintptr_t innermost) {
  struct stuck_report *report = &stuck->report;
  struct text where = {report->where, 0, sizeof report->where};
  struct text traceback = {report->traceback, 0, sizeof report->traceback};
  lua_Debug debug;
  bool is_told = false;
  add(&where, "in ");
  add(&traceback, "");
  for (int level = 0; level < LEVELS_MAX && read_level(L, level, innermost, &debug); level++) {
    bool in_c = is_c(&debug);
    const char *name = debug.name ? debug.name : in_c ? "?" : debug.what;
    if (level == 0 && in_c) name = find_name(stuck, L, &debug);
    if (level == 0) add(&where, in_c ? name : "Lua itself");
    add_level(&traceback, &debug, name);
    if (in_c || is_told) continue;
    is_told = true;
    add(&where, ", called from ");
    add_place(&where, &debug);
  }
}

/* The outermost function of Lua, which is what the body of the coroutine runs, or what that has
 * become by a tail call. */
NOT_SANITIZED static bool find_body(lua_State *co, lua_Debug *debug) {
  int last = 0, beyond = 1;
  if (!lua_getstack(co, 0, debug)) return false;
  uintptr_t innermost = slot_of(debug);
  while (lua_getstack(co, beyond, debug)) last = beyond, beyond *= 2;
  while (beyond - last > 1) {
    int middle = last + (beyond - last) / 2;
    *(lua_getstack(co, middle, debug) ? &last : &beyond) = middle;
  }
  for (int level = last; level >= 0 && level > last - BODY_LEVELS_MAX; level--)
    if (read_level(co, level, innermost, debug) && !is_c(debug)) return true;
  return false;
}

/* ---- what runs ---- */

NOT_SANITIZED static void write_name(struct stuck_report *report, const struct fiber *fiber) {
  struct text runs = {report->runs, 0, sizeof report->runs};
  add(&runs, fiber && fiber->name ? fiber->name : "?");
  report->source[0] = '\0';
  report->request = fiber ? fiber->request : 0;
}

NOT_SANITIZED void stuck_write_fiber(struct stuck_report *report, const struct worker *worker) {
  const struct fiber *fiber = worker->running;
  lua_Debug body;
  write_name(report, fiber);
  if (!fiber || !fiber->is_generic || !find_body(fiber->co, &body)) return;
  struct text runs = {report->runs, 0, sizeof report->runs};
  struct text source = {report->source, 0, sizeof report->source};
  add(&runs, body.short_src);
  add(&runs, ":");
  add_line(&runs, body.linedefined);
  add(&source, body.source);
  report->line = body.linedefined;
}

void stuck_name_function(struct stuck_report *report, struct snapshot *snapshot) {
  struct slice name;
  if (report->source[0] && function_name_find(snapshot, report->source, report->line, &name))
    snprintf(report->runs, sizeof report->runs, "%.*s", (int)name.len, name.data);
}

/* ---- in the handler ---- */

/* Whether the signal before has found the same frame, in the same stack. */
NOT_SANITIZED static bool holds_still(struct stuck *stuck, lua_State *L, uint64_t resume) {
  lua_Debug debug;
  if (!lua_getstack(L, 0, &debug)) return false;
  uintptr_t slot = slot_of(&debug);
  bool same =
      stuck->seen_resume == resume && stuck->seen_frame == debug.i_ci && stuck->seen_slot == slot;
  stuck->seen_resume = resume;
  stuck->seen_frame = debug.i_ci;
  stuck->seen_slot = slot;
  return same && slot > 2 * STACK_BYTES_MAX;
}

NOT_SANITIZED void stuck_look(struct worker *worker, lua_State *L, uint64_t resume) {
  struct stuck *stuck = &worker->stuck;
  atomic_fetch_add_explicit(&stuck->looks, 1, memory_order_relaxed);
  if (atomic_load_explicit(&stuck->written, memory_order_acquire)) return;
  if (is_finalizing(L)) {
    struct text where = {stuck->report.where, 0, sizeof stuck->report.where};
    add(&where, "in a finalizer (__gc)");
    stuck->report.traceback[0] = '\0';
    write_name(&stuck->report, worker->running);
  } else if (holds_still(stuck, L, resume)) {
    write_levels(stuck, L, stuck->seen_slot);
    stuck_write_fiber(&stuck->report, worker);
  } else {
    return;
  }
  stuck->report.since_ns = worker->now_ns;
  atomic_store_explicit(&stuck->written, true, memory_order_release);
}

bool stuck_take(struct stuck *stuck, struct stuck_report *out) {
  if (!atomic_load_explicit(&stuck->written, memory_order_acquire)) return false;
  *out = stuck->report;
  atomic_store_explicit(&stuck->written, false, memory_order_release);
  return true;
}
