/* task_group.h - tasks that one fiber waits for together, and whose end ends the others.
 *
 * The parent waits until every member has ended; what the end of one means for the others is told
 * in advance. A task may be in several groups, and twice in one. */
#ifndef LIB_TASK_GROUP_H
#define LIB_TASK_GROUP_H

#include "base/list.h"
#include "core/fiber.h"

#include <lua.h>
#include <stdbool.h>

struct task;

/* Which task is the first that matters: the others are cancelled then. */
enum task_group_first {
  GROUP_FIRST_NONE,   /* none is */
  GROUP_FIRST_FAILED, /* or was cancelled by others */
  GROUP_FIRST_ERROR,  /* failed; one that was cancelled is no loss */
  GROUP_FIRST_ENDED,
  GROUP_FIRST_DONE
};

struct task_group {
  struct list waiting; /* fiber.link of the parent */
  struct list members; /* member.in_group: those that have not ended */
  struct list ended;   /* member.in_group: those that have, if keeps_ended */
  enum task_group_first matters;
  bool keeps_ended;   /* and wakes the parent for each */
  struct task *first; /* that mattered; the parent keeps it alive */
  bool first_is_done;
  struct scope *scope;   /* what is cancelled with the members; may be NULL */
  struct scope *around;  /* the parent's innermost scope around what was made for the group */
  const char *reason;    /* for that: static text */
  unsigned errors;       /* members that had any, the first one too */
  int failures;          /* reference of a list that gets them; LUA_NOREF: none is kept */
  bool cancelled;        /* its members were, whatever the reason */
  bool parent_cancelled; /* the parent was, while it waited for them */
  struct scope shield;   /* under which it waits from then on */
};

/* [owner] A group without members. `reason` is static text. */
void task_group_init(struct task_group *group, enum task_group_first matters, const char *reason);

/* [owner] Parts the group from the members that it still has, which go on. Twice is harmless. */
void task_group_finish(struct task_group *group);

/* [owner] Makes a task a member; one that has ended counts at once. `key` is the caller's own. */
void task_group_add(struct task_group *group, struct task *task, lua_Integer key);

/* [owner] As task_group_add, for a task that was made for this group: what is around the parent is
 * around the task. */
void task_group_adopt(struct task_group *group, struct task *task, lua_Integer key);

/* [owner] Cancels all members. */
void task_group_cancel(struct task_group *group, const char *reason);

/* [owner] Whether the fiber is that of a member. */
bool task_group_has(const struct task_group *group, const struct fiber *fiber);

/* [owner] For task.c: the task at `index` has errors; it goes on the lists of its groups. Raises
 * when there is no memory. */
void task_group_keep_failed(lua_State *L, int index);

/* [owner] For task.c: whether an error of the task is told to the parent of one of its groups: one
 * that has its answer already tells nobody. */
bool task_group_wants_error(const struct task *task);

/* [owner] For task.c: the task has ended; its groups are told and left. */
void task_group_tell(struct task *task);

/* [owner] Takes the next member that has ended off a group that keeps them: its task, and its key;
 * NULL when there is none. */
struct task *task_group_take_ended(struct task_group *group, lua_Integer *key);

/* [owner] Waits until the parent is woken: every member has ended, or one has where the group keeps
 * them. `k` begins with task_group_woken. */
lua_nret task_group_wait(lua_State *L, struct task_group *group, const char *waits_for,
                         lua_KContext context, lua_KFunction k);

/* [owner] In the continuation: a parent that was cancelled cancels the members, and from then on
 * waits under a shield. */
void task_group_woken(lua_State *L, struct task_group *group);

#endif
