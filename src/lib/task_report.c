/* task_report.c - log lines of tasks, and calling the handlers that their options name.
 *
 * A handler that fails is logged, and nothing else happens. */
#include "lib/task_report.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/settings.h"
#include "core/error.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/worker.h"
#include "lib/req.h"
#include "lib/task.h"
#include "lib/task_options.h"

#include <lauxlib.h>
#include <string.h>

#define FIELDS_MAX 6

/* ---- log lines ---- */

struct line {
  struct log_field fields[FIELDS_MAX];
  size_t count;
  char request[17];
};

static void add(struct line *line, struct log_field field) {
  line->fields[line->count++] = field;
}

/* Begins a line of the task at 1; what it pushes stays until the line is written. */
static void begin_line(lua_State *L, struct line *line) {
  const struct task *task = lua_touserdata(L, 1);
  uint64_t request = fiber_running(L)->request;
  line->count = 0;
  task_push_name(L, 1);
  add(line, log_text("task", lua_tostring(L, -1)));
  add(line, log_integer("attempt", task->attempt > 0 ? task->attempt : 1));
  if (request == 0) return;
  req_format_id(line->request, request);
  add(line, log_text("request", line->request));
}

static void write_line(lua_State *L, enum log_level level, const char *message,
                       const struct line *line) {
  log_write(worker_of(L)->process->log, level, message, line->fields, line->count);
}

void task_report_failure(lua_State *L, int error, const char *traceback) {
  const struct task *task = lua_touserdata(L, 1);
  bool is_failed = task->status == TASK_FAILED;
  struct line line;
  if (is_failed) metrics_add(&worker_of(L)->metrics, METRIC_TASKS_FAILED, 1);
  begin_line(L, &line);
  add(&line, log_text("error", error_push_text(L, error)));
  add(&line, log_text("traceback", traceback ? traceback : ""));
  write_line(L, LOG_ERROR, is_failed ? "task failed" : "errors while a task was cancelled", &line);
}

void task_report_retry(lua_State *L, int error, lua_Number wait_s) {
  struct line line;
  begin_line(L, &line);
  add(&line, log_text("error", error_push_text(L, error)));
  add(&line, log_number("next_in_seconds", wait_s));
  write_line(L, LOG_WARN, "attempt of a task failed", &line);
}

void task_report_handler_failure(lua_State *L, const char *what, int failure, int error) {
  struct line line;
  const char *trail = fiber_find_trail(L, failure);
  begin_line(L, &line);
  add(&line, log_text("error", error_push_text(L, failure)));
  add(&line, log_text("task_error", error_push_text(L, error)));
  if (trail) add(&line, log_text("traceback", trail));
  write_line(L, LOG_ERROR, lua_pushfstring(L, "%s of a task failed", what), &line);
}

/* ---- handlers; stack: the task, its error, the message handler, then the handler's ---- */

enum { AT_TASK = 1, AT_ERROR, AT_MESSAGE_HANDLER };

static const char *handler_name(lua_State *L) {
  const struct task *task = lua_touserdata(L, AT_TASK);
  return task->status == TASK_FAILED ? "on_error" : "on_cancel";
}

static int handled(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status != LUA_OK && status != LUA_YIELD)
    task_report_handler_failure(L, handler_name(L), lua_gettop(L), AT_ERROR);
  return 0;
}

/* Pushes the reason in the text of a cancellation, or nil. */
static void push_reason(lua_State *L) {
  static const char prefix[] = "cancelled: ";
  const char *text = luaL_tolstring(L, AT_ERROR, NULL);
  if (strncmp(text, prefix, sizeof prefix - 1) == 0)
    lua_pushstring(L, text + sizeof prefix - 1);
  else if (strcmp(text, "cancelled") == 0)
    lua_pushnil(L);
  else
    lua_pushvalue(L, -1);
  lua_remove(L, -2);
}

static bool push_handler(lua_State *L, int options) {
  const struct task *task = lua_touserdata(L, AT_TASK);
  if (task->status == TASK_FAILED) return task_options_push_handler(L, options, AT_ERROR);
  if (!task->has_on_cancel) return false;
  task_options_push_field(L, options, "on_cancel");
  return true;
}

int task_report_handle(lua_State *L) {
  const struct task *task = lua_touserdata(L, AT_TASK);
  if (!task->has_options) return 0;
  lua_pushcfunction(L, fiber_save_trail);
  task_push_options(L, AT_TASK);
  if (!push_handler(L, AT_MESSAGE_HANDLER + 1)) return 0;
  lua_replace(L, AT_MESSAGE_HANDLER + 1);
  lua_pushvalue(L, AT_TASK);
  if (task->status == TASK_FAILED)
    lua_pushvalue(L, AT_ERROR);
  else
    push_reason(L);
  if (task->status == TASK_CANCELLED) fiber_running(L)->shielded = true; /* it has to clean up */
  return handled(L, lua_pcallk(L, 2, 0, AT_MESSAGE_HANDLER, 0, handled), 0);
}

/* ---- too many ---- */

/* Whether a line of its kind may be written now: one a second. */
static bool is_due(struct worker *worker, uint64_t *last_ns) {
  if (*last_ns && worker->now_ns - *last_ns < TASKS_REPORT_MS * NS_PER_MS) return false;
  *last_ns = worker->now_ns;
  return true;
}

void task_report_full(lua_State *L) {
  struct worker *worker = worker_of(L);
  int limit = worker->process->settings->tasks_max;
  metrics_add(&worker->metrics, METRIC_TASKS_REFUSED, 1);
  if (is_due(worker, &worker->tasks.full_logged_ns)) {
    const struct log_field fields[] = {
        log_integer("max_tasks", limit),
        log_integer("refused", (int64_t)metrics_get(&worker->metrics, METRIC_TASKS_REFUSED)),
    };
    log_write(worker->process->log, LOG_WARN, "tasks refused: too many have not ended", fields,
              array_len(fields));
  }
  error_raise(L, "full", "%d tasks have not ended: this one was not started (--max-tasks)", limit);
}

/* ---- the end of the server ---- */

void task_report_check_open(lua_State *L) {
  if (UNLIKELY(instance_end_of(worker_of(L), fiber_running(L))->closed))
    error_raise(L, "stopping", "nothing can be scheduled any more: the server stops");
}

void task_report_end(const struct fiber *fiber, const struct task *task) {
  enum metric metric = METRIC_TASKS_ENDED_CANCELLED;
  if (task->dropped)
    metric = METRIC_TASKS_ENDED_DROPPED;
  else if (task->status == TASK_DONE)
    metric = METRIC_TASKS_ENDED_DONE;
  else if (task->status == TASK_FAILED)
    metric = METRIC_TASKS_ENDED_FAILED;
  instance_count_tasks(fiber->worker, fiber->instance, metric);
  if (task->shielded && instance_end_of(fiber->worker, fiber)->closed)
    instance_count_tasks(fiber->worker, fiber->instance, METRIC_TASKS_WAITED_FOR);
}

/* The first line of a traceback that is one of Lua code: "app.lua:12". */
static struct slice find_line(const char *traceback) {
  for (const char *at = strstr(traceback, "\n\t"); at; at = strstr(at + 2, "\n\t")) {
    const char *line = at + 2;
    size_t len = strcspn(line, " \n");
    if (line[0] == '[' || len < 2) continue;
    return (struct slice){line, len - 1}; /* without the colon behind it */
  }
  return (struct slice){"?", 1};
}

void task_report_stopped(lua_State *L, const char *traceback) {
  struct task_end *end = instance_end_of(worker_of(L), fiber_running(L));
  struct buffer *text = &end->cancelled_at;
  const struct task *task = lua_touserdata(L, 1);
  struct slice at = {"its start", 9};
  if (traceback && task->has_box)
    at = (struct slice){"its pool", 8};
  else if (traceback)
    at = find_line(traceback);
  task_push_name(L, 1);
  if (task->scheduled && text->len < TASKS_CANCELLED_AT_BYTES_MAX)
    buffer_printf(text, "%s at %.*s\n", lua_tostring(L, -1), (int)at.len, at.data);
  lua_pop(L, 1);
  if (!end->overdue) return;
  struct line line;
  begin_line(L, &line);
  add(&line, log_text("traceback", traceback ? traceback : ""));
  write_line(L, LOG_ERROR, "task interrupted: the shutdown has taken too long", &line);
  lua_pop(L, 1);
}

void task_report_shielded(lua_State *L) {
  struct worker *worker = worker_of(L);
  if (worker->tasks.shielded <= SHIELDED_TASKS_WARN) return;
  if (!is_due(worker, &worker->tasks.shielded_logged_ns)) return;
  const struct log_field fields[] = {
      log_integer("shielded", worker->tasks.shielded),
      log_text("hint", "the shutdown waits for each of them"),
  };
  log_write(worker->process->log, LOG_WARN, "many tasks are shielded", fields, array_len(fields));
}
