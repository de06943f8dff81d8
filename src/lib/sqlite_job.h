/* sqlite_job.h - something for a thread of a database to do, and what came of it.
 *
 * A fiber makes a job, submits it and parks; a thread runs it and posts it back to the fiber's
 * worker, which wakes it. Two hold a job from then on, the fiber's box and the thread (then the
 * message): either may let go first, the last one frees it. A fiber that lets go gives the job up:
 * it is not begun any more, or is interrupted. */
#ifndef LIB_SQLITE_JOB_H
#define LIB_SQLITE_JOB_H

#include "base/buffer.h"
#include "base/list.h"
#include "core/fiber.h"
#include "core/inbox.h"
#include "lib/sqlite_connection.h"
#include "lib/sqlite_value.h"

#include <stdatomic.h>

struct sqlite_cursor;
struct sqlite_database;
struct sqlite_registry;
struct sqlite_unit;

enum sqlite_job_kind {
  SQLITE_JOB_OPEN,   /* opens the database of `path` */
  SQLITE_JOB_RUN,    /* runs the SQL */
  SQLITE_JOB_BEGIN,  /* begins `begun`, inside `unit` */
  SQLITE_JOB_COMMIT, /* ends `unit` */
  SQLITE_JOB_NEXT    /* reads more rows of `cursor` */
};

enum sqlite_job_state { SQLITE_JOB_NEW, SQLITE_JOB_QUEUED, SQLITE_JOB_TAKEN };

/* Which rows are wanted of those that a statement gives. */
enum sqlite_job_wanted { SQLITE_WANTED_NONE, SQLITE_WANTED_FIRST, SQLITE_WANTED_ALL };

struct sqlite_job {
  struct message message;
  struct message blocked; /* to the worker: it waits for a task now, not for real work */
  struct list told;       /* of those that are about to be sent that */
  bool is_blocked;        /* it was sent; the writer's */
  struct list link;       /* of the queue that it is in */
  enum sqlite_job_kind kind;
  enum sqlite_job_state state; /* under the database's lock */
  _Atomic(int) references;
  _Atomic(bool) is_cancelled;
  struct sqlite_registry *registry;
  struct sqlite_database
      *database;            /* a reference, as the next three; an opened one is its result */
  struct sqlite_unit *unit; /* that it belongs to; NULL: none */
  struct sqlite_unit *begun;
  struct sqlite_cursor *cursor;

  char *path; /* owned */
  struct sqlite_options options;
  struct buffer sql;
  struct sqlite_parameters parameters;
  enum sqlite_job_wanted wanted;
  bool may_group; /* it writes, and may share a transaction with others */
  bool may_read;  /* it is for the readers, unless they find that it writes */

  struct sqlite_failure failure;
  struct buffer rows; /* sqlite_value.h; empty: none */
  size_t row_count;
  bool is_last;                 /* the cursor has no more rows */
  int64_t changes, inserted_id; /* 0: no row was inserted */

  uint64_t worker; /* number in the directory, of the fiber's */
  struct ticket ticket;
  bool is_back, is_dropped; /* the worker's own, as the next */
  struct worker *holder;    /* that the job holds (worker_hold); NULL: none */
};

/* [any thread] A job, held by the caller. The registry must outlive it. */
struct sqlite_job *sqlite_job_create(struct sqlite_registry *registry, enum sqlite_job_kind kind);

/* [any thread] Gives it a reference of its own to the database, and to the unit that it is to run
 * in (may be NULL). */
void sqlite_job_aim(struct sqlite_job *job, struct sqlite_database *database,
                    struct sqlite_unit *unit);

/* [any thread] Copies the SQL, and looks what kind of statement it is. */
void sqlite_job_set_sql(struct sqlite_job *job, struct slice sql);

/* [any thread] Whether behind the first `used` bytes of the SQL there are only blanks. */
bool sqlite_job_is_all(struct slice sql, size_t used);

/* [owner] The fiber that is to be woken. */
void sqlite_job_set_ticket(struct sqlite_job *job, struct fiber *fiber);

/* [any thread] One more who holds it, and one less. */
void sqlite_job_retain(struct sqlite_job *job);
void sqlite_job_release(struct sqlite_job *job);

/* [owner] Real work is under way for the worker, until the job is back. */
void sqlite_job_hold(struct sqlite_job *job, struct worker *worker);

/* [owner] The fiber lets go of it. Accepts NULL. */
void sqlite_job_drop(struct sqlite_job *job);

/* [any thread] It is done: posts it to its worker, and is not to be touched any more. */
void sqlite_job_finish(struct sqlite_job *job);

/* [any thread] It has to wait until a task ends its transaction: the worker need not hold still for
 * it. The caller gives a reference; once for each job. */
void sqlite_job_tell_blocked(struct sqlite_job *job);

/* [any thread] Whether it need not be done any more: nobody waits, or its transaction has been
 * given up. */
bool sqlite_job_is_given_up(const struct sqlite_job *job);

/* [any thread] Forgets what came of it: it is run again. */
void sqlite_job_reset(struct sqlite_job *job);

#endif
