/* worker.h - one thread with one libuv loop, one Lua state, one scheduler and one inbox.
 *
 * HTTP, pool and background are roles of the same struct: a role says what starts a fiber, worker.c
 * never asks which role it runs. Everything a running worker knows hangs off this struct. */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H

#include "base/base.h"
#include "base/list.h"
#include "core/code.h"
#include "core/heartbeat.h"
#include "core/inbox.h"
#include "core/metrics.h"
#include "core/stall.h"
#include "core/state.h"
#include "core/stuck.h"
#include "core/timer.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct clock;
struct clock_face;
struct coverage;
struct directory;
struct fiber;
struct instance;
struct line_writer;
struct log;
struct log_keeper;
struct opened_list;
struct settings;
struct snapshot;
struct spool;
struct sqlite_registry;
struct watchdog;
struct worker;

struct worker_role {
  const char *name;
  bool stalls_matter; /* whether the watchdog reports code that holds this worker */
  bool runs_blocking; /* whether blocking functions run right here */
  void (*begin)(struct worker *worker); /* before the fibers of a turn run; may be NULL */
  void (*turn)(struct worker *worker);  /* at the end of each turn; may be NULL */
  /* Why this fiber, which computes, is one that heartbeat.cancel means, or NULL: it is not. May be
   * NULL: all are. */
  const char *(*cancels)(struct worker *worker, const struct fiber *fiber);

  /* [watchdog] May be NULL: what the worker runs has been cancelled and is stuck in C; called once,
   * and each time that it is told again. Gives what comes of it, for the log (static text). */
  const char *(*stuck)(struct worker *worker, const struct stuck_report *report);
};

/* What the workers of a process share; read-only once they run, but for what is atomic. */
struct process {
  const struct settings *settings;
  struct log *log;
  struct log_keeper *log_keeper; /* of a run of specs; NULL elsewhere, as the next two */
  struct opened_list *opened;
  struct coverage *coverage;
  struct line_writer *access_log; /* NULL: there is none */
  bool has_metrics;               /* workers publish what they count */
  bool warns_of_holding;          /* an app is being developed: core/holding.h */
  bool shows_errors;              /* and served meanwhile: errors are in the responses */
  struct watchdog *watchdog;
  struct directory *directory;
  struct spool *spool;                    /* temporary files of requests: lib/spool.h */
  struct sqlite_registry *databases;      /* that are open: lib/sqlite_registry.h */
  _Atomic(uint64_t) shuffle_seed;         /* of workers that begin: core/stress.h; 0: none */
  const char *lua_dir;                    /* the framework's Lua files */
  struct slice app_settings;              /* app.settings, as a transfer message; empty: none */
  unsigned char code_key[CODE_KEY_BYTES]; /* seals code that crosses between states */
  /* The name of the task that the running code belongs to, cut; false: none. NULL: nobody knows. */
  bool (*write_task)(lua_State *L, char *text, size_t size);
  lua_CFunction open_libs; /* registers the modules in C; runs once in each new state */
};

/* How tasks end when the server stops; and the memory of the text, kept by who stops it. */
struct task_end {
  bool closed;                /* no more are scheduled */
  bool overdue;               /* it has taken too long: what is left is interrupted */
  struct buffer cancelled_at; /* lines of text: tasks that the stop has cancelled, and where */
};

struct worker {
  const struct worker_role *role;
  void *role_data;
  struct process *process;
  struct snapshot *snapshot; /* the app's files, as first read; of the instance that is shown */
  int index;                 /* among those of its kind */
  const char *title;         /* for logs, where `stuck` is told: "thread 3 of pool default" */
  const char *loop_name;     /* of a background loop; NULL elsewhere */

  uv_loop_t loop;
  lua_State *L;
  struct memory memory;
  struct timers timers;
  struct timers *app_timers; /* that what it runs of the app lives on */
  struct inbox inbox;
  uint64_t now_ns; /* uv_hrtime when this turn began */
  bool stopped;
  bool again; /* the role has more to do: the next turn does not wait */

  struct clock *clock;     /* of the app, where specs move it, on its pools and loops; or NULL */
  struct clock_face *face; /* of that; kept by clock.c, as the next two */
  struct list faces;       /* clock_face.of_owner: of that, or of those that it moves */
  struct list still_faces; /* clock_face.of_owner */
  int holds;               /* kept by worker_hold */

  struct instance *instance;   /* that the state shows; kept by instance.c, as the next three */
  struct list instances;       /* instance.link */
  struct list ended_instances; /* instance.link */
  int instance_count;          /* in the first list */

  struct list ready;       /* fiber.link */
  struct list fibers;      /* fiber.live */
  struct list idle_fibers; /* fiber.link; ended, their coroutines may be used again */
  size_t idle_coroutines;
  struct fiber *running;
  int operations_left;    /* that the running fiber may do without a wait */
  uint64_t stress_random; /* kept by stress.c */
  bool shuffles;          /* fibers are woken in an order of that, in this build too */
  int opened_new;         /* kept by opened.c */
  uint64_t request_count; /* makes request ids */
  struct metrics metrics;
  struct {
    int unfinished, shielded;
    int watchers; /* kept by lib/schedule_watch.c */
    struct task_end end;
    uint64_t full_logged_ns, shielded_logged_ns;
    int metatable;                   /* of tasks: a reference */
    const void *scheduler_metatable; /* for tests */
  } tasks;                           /* kept by lib/task.c */

  struct heartbeat heartbeat;
  struct list watched; /* watchdog.workers */
  struct sight sight;  /* the watchdog's */
  struct stuck stuck;
  struct stall stall;
  struct list listed; /* directory.workers */
  uint64_t number;    /* there: of this worker alone, ever */
  uv_thread_t thread;
  int hook_mask, hook_count; /* of a debugger or profiler, while ours is set */
  lua_Hook hook;
};

/* [owner] Opens the loop, inbox and Lua state on the calling thread, and puts the worker before
 * the watchdog. The struct is zeroed before but for role, process, snapshot and index.
 * 0 or a libuv error; UV_ENOMEM when the Lua state does not fit its memory limit. */
uv_err worker_init(struct worker *worker);

/* [owner] Runs turns until `stopped`. */
void worker_run(struct worker *worker);

/* [owner] Runs one turn; waits for something to happen first unless a fiber is ready. */
void worker_turn(struct worker *worker);

/* Why the end of a server cancels what runs. */
#define WORKER_STOPS   "the server stops"
#define WORKER_OVERDUE "the shutdown has taken too long"

/* [owner] Cancels every fiber that still lives. */
void worker_cancel_all(struct worker *worker, const char *reason);

/* [owner] Cancels every fiber that still lives and is not shielded. */
void worker_cancel_unshielded(struct worker *worker, const char *reason);

/* [owner] Closes all of it; nobody may post to its inbox any more. */
void worker_finish(struct worker *worker);

/* [owner] Real work that a fiber may wait for is under way, until it is released: the clock of an
 * app under test stands still (core/clock.h). */
void worker_hold(struct worker *worker);
void worker_release(struct worker *worker);

/* [owner] The worker of a Lua state. */
struct worker *worker_of(lua_State *L);

#endif
