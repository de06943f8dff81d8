/* task_registry.c - a table of tasks by id, and the queue in which those that have ended leave it.
 *
 * What happens at a task's end and when its time is over runs outside of protected calls: it only
 * takes entries out of the table, which needs no memory. */
#include "lib/task_registry.h"

#include "base/limits.h"
#include "core/worker.h"
#include "lib/task.h"

#include <lauxlib.h>
#include <stdlib.h>

/* Registry keys: tasks by id; the struct registry. */
static const char tasks_key = 0;
static const char registry_key = 0;

struct registry {
  struct worker *worker;
  struct list ended;  /* ended_task.link, in the order of their ends */
  size_t count;       /* of those */
  struct timer timer; /* for the first of them */
};

struct ended_task {
  struct list link;
  uint64_t id, due_ns;
};

static struct registry *registry_of(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
  struct registry *registry = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return registry;
}

static void set_task(lua_State *L, uint64_t id) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
  lua_insert(L, -2);
  lua_rawseti(L, -2, (lua_Integer)id);
  lua_pop(L, 1);
}

static struct ended_task *first_ended(const struct registry *registry) {
  if (list_is_empty(&registry->ended)) return NULL;
  return container_of(registry->ended.next, struct ended_task, link);
}

static void forget_first(struct registry *registry) {
  struct ended_task *ended = first_ended(registry);
  lua_pushnil(registry->worker->L);
  set_task(registry->worker->L, ended->id);
  list_remove(&ended->link);
  registry->count--;
  free(ended);
}

static void forget_due(struct timer *timer);

static void arm(struct registry *registry) {
  const struct ended_task *first = first_ended(registry);
  if (first)
    timer_start(&registry->worker->timers, &registry->timer, first->due_ns, forget_due);
  else
    timer_stop(&registry->worker->timers, &registry->timer);
}

static void forget_due(struct timer *timer) {
  struct registry *registry = container_of(timer, struct registry, timer);
  uint64_t now = timers_now(&registry->worker->timers);
  const struct ended_task *first;
  while ((first = first_ended(registry)) && first->due_ns <= now) forget_first(registry);
  arm(registry);
}

void task_registry_add(lua_State *L, int index) {
  lua_pushvalue(L, index);
  set_task(L, task_at(L, -1)->id);
}

void task_registry_push(lua_State *L, uint64_t id) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
  lua_rawgeti(L, -1, (lua_Integer)id);
  lua_remove(L, -2);
}

void task_registry_end(lua_State *L, uint64_t id) {
  struct registry *registry = registry_of(L);
  struct ended_task *ended = memory_alloc(sizeof *ended);
  *ended = (struct ended_task){
      .id = id, .due_ns = timers_now(&registry->worker->timers) + TASK_KEPT_MS * NS_PER_MS};
  list_push(&registry->ended, &ended->link);
  if (++registry->count > TASKS_KEPT_MAX) forget_first(registry);
  if (registry->count == 1) arm(registry);
}

static int release(lua_State *L) {
  struct registry *registry = lua_touserdata(L, 1);
  struct list *link;
  timer_stop(&registry->worker->timers, &registry->timer);
  while ((link = list_pop(&registry->ended))) free(container_of(link, struct ended_task, link));
  return 0;
}

void task_registry_open(lua_State *L) {
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tasks_key);
  struct registry *registry = lua_newuserdatauv(L, sizeof *registry, 0);
  *registry = (struct registry){.worker = worker_of(L)};
  list_init(&registry->ended);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, release);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
}
