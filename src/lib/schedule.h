/* schedule.h - when tasks start: now, when the handler has returned, or when the response is out.
 *
 * The agenda of a request outlives its handler, so a scheduler (`req.tasks`) that was kept still
 * works: what comes too late starts at once. Tasks of one timing start in the order of scheduling.
 */
#ifndef LIB_SCHEDULE_H
#define LIB_SCHEDULE_H

#include "base/list.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define CLASS_SCHEDULER "perilune.scheduler"

struct fiber;
struct instance;
struct req_source;
struct task;
struct timers;
struct worker;

enum task_when { TASK_NOW, TASK_AFTER_ROUTE, TASK_AFTER_RESPONSE };

/* The tasks of one request that wait for a point in its course, its response, and its temporary
 * files, which live until the request and all tasks of it have ended. */
struct agenda {
  unsigned references;
  unsigned unfinished; /* tasks that have not ended; the request itself is one more */
  bool has_files;      /* open in the spool */
  bool failed;         /* the handler, at the point that was reached last */
  int response;        /* registry reference: kept by task_response.c */
  struct worker *worker;
  uint64_t request;
  struct fiber *handler;  /* NULL once it has ended */
  enum task_when reached; /* what is scheduled for a point reached starts at once */
  struct list waiting[3]; /* fiber.link, by enum task_when; [TASK_NOW] stays empty */
};

/* Where a request is handled, as other states know it. */
struct schedule_home {
  uint64_t worker;           /* number in the directory */
  struct req_source *source; /* not to be looked into elsewhere; NULL: the app's own tasks */
  uint64_t request;          /* id of the request at the source; 0: none */
};

/* [owner] Registers the class in a state. */
void schedule_open(lua_State *L);

/* [owner] The agenda of the request of a source that is being handled or answered, made when there
 * is none; its reference is given back by schedule_agenda_leave when the request has ended. NULL
 * where there is none and the handler has ended. */
struct agenda *schedule_agenda_of(struct req_source *source);

/* [owner] As schedule_agenda_of, for the request with that id; NULL when the source, which may be
 * NULL, has another one by now or none. */
struct agenda *schedule_agenda_find(struct req_source *source, uint64_t request);

/* [owner] Gives back a reference; accepts NULL. */
void schedule_agenda_release(struct agenda *agenda);

/* [owner] Lets temporary files be made for the request; nothing once all of it has ended. */
void schedule_agenda_open_files(struct agenda *agenda);

/* [owner] The request, or a task of it, has ended: gives back its reference. Accepts NULL. */
void schedule_agenda_leave(struct agenda *agenda);

/* [owner] The request has come to a point: its tasks start, or are dropped when the handler has not
 * ended as they want it to; those of later points that can be told so, too. */
void schedule_agenda_reach(struct agenda *agenda, enum task_when when, bool failed);

/* [owner] Takes a task that waits off its agenda and makes it ready. */
void schedule_start(struct task *task);

/* [owner] A spawned task belongs to the request of the one that spawns it, until it ends. */
void schedule_join_parent(struct task *task);

/* [owner] The app at `index` is served as the instance that is shown, whose fibers run on that
 * clock: its `tasks` are those that its fibers find. Ended by schedule_end_app. Raises. */
void schedule_begin_app(lua_State *L, int index, struct timers *timers);
void schedule_end_app(lua_State *L, const struct instance *instance);

/* [owner] scheduler() -> one without options that belongs to no app yet: what becomes app.tasks. */
int schedule_make(lua_State *L);

/* [owner] current() -> perilune.tasks: that of the running request, else that of its app. */
int schedule_current(lua_State *L);

/* [owner] Pushes a scheduler on an agenda (NULL: every point counts as reached), with the defaults
 * of the running fiber's app. */
void schedule_push(lua_State *L, struct agenda *agenda, enum task_when when);

/* [owner] Pushes a scheduler of the app that is served on this worker, as app.tasks with that
 * timing; pushes nothing and gives false when there is none. */
bool schedule_push_app(lua_State *L, enum task_when when);

/* [owner] Pushes a scheduler of a request that is handled on another worker. */
void schedule_push_remote(lua_State *L, const struct schedule_home *home, enum task_when when);

/* [owner] Gives the scheduler at `index`, which is new, the table of options on top of the stack
 * (popped) over those it has. Raises when they are none. */
void schedule_set_options(lua_State *L, int index);

/* [owner] The method schedule(self, function, ...). */
int schedule_method(lua_State *L);

/* [owner] The same for a scheduler of this state that is no app's, however many tasks there are: of
 * one that only tells why another cannot be. */
int schedule_beyond_limit(lua_State *L);

#endif
