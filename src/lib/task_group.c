/* task_group.c - membership of tasks in groups, and the parent's wait.
 *
 * A member is a small block on two lists, the group's and the task's; it goes when the task ends or
 * the group is finished, whichever comes first. */
#include "lib/task_group.h"

#include "lib/task.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>

struct member {
  struct list in_group, in_task;
  struct task_group *group;
  struct task *task;
  lua_Integer key;
};

void task_group_init(struct task_group *group, enum task_group_first matters, const char *reason) {
  *group = (struct task_group){.matters = matters, .reason = reason, .failures = LUA_NOREF};
  list_init(&group->waiting);
  list_init(&group->members);
  list_init(&group->ended);
}

static void leave(struct member *member) {
  list_remove(&member->in_group);
  list_remove(&member->in_task);
  free(member);
}

/* A task that has not ended is alive, whatever became of its handle. */
static void part(struct member *member) {
  struct scope *base = member->task->fiber->base;
  if (base && base->around == &member->group->around) base->around = NULL;
  leave(member);
}

void task_group_finish(struct task_group *group) {
  struct list *members = &group->members, *ended = &group->ended;
  while (!list_is_empty(members)) part(container_of(members->next, struct member, in_group));
  while (!list_is_empty(ended)) leave(container_of(ended->next, struct member, in_group));
  if (group->shield.fiber) scope_pop(&group->shield);
}

void task_group_cancel(struct task_group *group, const char *reason) {
  group->cancelled = true;
  for (struct list *link = group->members.next, *next; link != &group->members; link = next) {
    next = link->next;
    task_cancel(container_of(link, struct member, in_group)->task, reason);
  }
}

static bool matters(const struct task_group *group, const struct task *task) {
  switch (group->matters) {
  case GROUP_FIRST_NONE:
    return false;
  case GROUP_FIRST_FAILED:
    return task->status != TASK_DONE;
  case GROUP_FIRST_ERROR:
    return task->status == TASK_FAILED;
  case GROUP_FIRST_ENDED:
    return true;
  case GROUP_FIRST_DONE:
    return task->status == TASK_DONE;
  }
  return false;
}

static void note_end(struct task_group *group, struct task *task) {
  if (task_has_errors(task)) group->errors++;
  if (group->first || !matters(group, task)) return;
  group->first = task;
  group->first_is_done = task->status == TASK_DONE;
  task_group_cancel(group, group->reason);
  if (group->scope) scope_cancel(group->scope, group->reason);
}

void task_group_add(struct task_group *group, struct task *task, lua_Integer key) {
  if (!task->fiber) {
    assert(!group->keeps_ended);
    note_end(group, task);
    return;
  }
  struct member *member = memory_alloc(sizeof *member);
  *member = (struct member){.group = group, .task = task, .key = key};
  list_push(&group->members, &member->in_group);
  list_push(&task->groups, &member->in_task);
  if (group->cancelled) task_cancel(task, group->reason);
}

void task_group_adopt(struct task_group *group, struct task *task, lua_Integer key) {
  scope_base(task->fiber)->around = &group->around;
  task_group_add(group, task, key);
}

bool task_group_has(const struct task_group *group, const struct fiber *fiber) {
  const struct list *members = &group->members;
  for (const struct list *link = members->next; link != members; link = link->next)
    if (container_of(link, const struct member, in_group)->task->fiber == fiber) return true;
  return false;
}

void task_group_keep_failed(lua_State *L, int index) {
  const struct task *task = task_at(L, index);
  for (struct list *link = task->groups.next; link != &task->groups; link = link->next) {
    const struct task_group *group = container_of(link, struct member, in_task)->group;
    if (group->failures == LUA_NOREF) continue;
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->failures);
    lua_pushvalue(L, index);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 1);
  }
}

bool task_group_wants_error(const struct task *task) {
  for (const struct list *link = task->groups.next; link != &task->groups; link = link->next) {
    const struct task_group *group = container_of(link, const struct member, in_task)->group;
    bool has_answer = group->first && group->first_is_done;
    if (!has_answer || group->parent_cancelled) return true;
  }
  return false;
}

void task_group_tell(struct task *task) {
  while (!list_is_empty(&task->groups)) {
    struct member *member = container_of(task->groups.next, struct member, in_task);
    struct task_group *group = member->group;
    list_remove(&member->in_group);
    list_remove(&member->in_task);
    if (group->keeps_ended)
      list_push(&group->ended, &member->in_group);
    else
      free(member);
    note_end(group, task);
    if (group->keeps_ended || list_is_empty(&group->members)) fiber_wake_all(&group->waiting);
  }
}

struct task *task_group_take_ended(struct task_group *group, lua_Integer *key) {
  if (list_is_empty(&group->ended)) return NULL;
  struct member *member = container_of(group->ended.next, struct member, in_group);
  struct task *task = member->task;
  *key = member->key;
  leave(member);
  return task;
}

lua_nret task_group_wait(lua_State *L, struct task_group *group, const char *waits_for,
                         lua_KContext context, lua_KFunction k) {
  return fiber_park_inside(L, fiber_running(L), &group->waiting, waits_for, context, k);
}

void task_group_woken(lua_State *L, struct task_group *group) {
  if (!fiber_was_cancelled(L) || group->parent_cancelled) return;
  group->parent_cancelled = true;
  scope_push(fiber_running(L), &group->shield, 0, true);
  task_group_cancel(group, "the task that waits for it was cancelled");
}
