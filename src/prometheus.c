/* prometheus.c - HELP, TYPE and one line for each value.
 *
 * Names follow Prometheus' conventions: base units, counters end in _total; what every client
 * library says of a process has the same names here. */
#include "prometheus.h"

#include "base/limits.h"
#include "core/line_writer.h"
#include "core/log_writer.h"
#include "roles/background.h"
#include "roles/pool.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <uv.h>

/* Pools, or loops, that are told. */
enum { NAMED_MAX = POOLS_MAX };

enum { US_PER_S = 1000000 };

#define SECOND_NS 1e9

static void add_head(struct buffer *out, const char *name, const char *type, const char *help) {
  buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void add_integer(struct buffer *out, const char *name, const char *type, const char *help,
                        uint64_t value) {
  add_head(out, name, type, help);
  buffer_printf(out, "%s %" PRIu64 "\n", name, value);
}

static void add_seconds(struct buffer *out, const char *name, const char *type, const char *help,
                        double value) {
  add_head(out, name, type, help);
  buffer_printf(out, "%s %.9g\n", name, value);
}

/* ---- workers ---- */

struct row {
  const char *name, *type, *label, *help;
};

static const struct row rows[METRIC_COUNT] = {
#define ROW(metric, ...) [METRIC_##metric] = {__VA_ARGS__},
    METRICS(ROW)
#undef ROW
};

static void add_worker_value(struct buffer *out, const struct row *row, int worker, bool is_ns,
                             uint64_t value) {
  const char *comma = *row->label ? "," : "";
  buffer_printf(out, "%s{worker=\"%d\"%s%s} ", row->name, worker, comma, row->label);
  if (is_ns)
    buffer_printf(out, "%.9f\n", (double)value / SECOND_NS);
  else
    buffer_printf(out, "%" PRIu64 "\n", value);
}

void prometheus_write_workers(struct buffer *out, const struct metrics *const *workers, int count) {
  for (int metric = 0; metric < METRIC_COUNT; metric++) {
    const struct row *row = &rows[metric];
    bool is_first = metric == 0 || strcmp(row[-1].name, row->name) != 0;
    if (is_first) add_head(out, row->name, row->type, row->help);
    for (int i = 0; i < count; i++)
      add_worker_value(out, row, i, metric == METRIC_LOOP_IDLE_NS,
                       metrics_get(workers[i], (enum metric)metric));
  }
}

/* ---- pools ---- */

static void add_label_value(struct buffer *out, const char *text) {
  for (; *text; text++) {
    if (*text == '\\' || *text == '"') buffer_add_byte(out, '\\');
    if (*text == '\n')
      buffer_add_text(out, "\\n");
    else
      buffer_add_byte(out, *text);
  }
}

static void add_named_value(struct buffer *out, const char *name, const char *label,
                            const char *text, uint64_t value) {
  buffer_printf(out, "%s{%s=\"", name, label);
  add_label_value(out, text);
  buffer_printf(out, "\"} %" PRIu64 "\n", value);
}

static void add_histogram(struct buffer *out, const char *name, const char *pool,
                          const struct histogram *histogram) {
  uint64_t count = 0;
  for (int i = 0; i < HISTOGRAM_BUCKETS; i++) {
    count += histogram->counts[i];
    buffer_printf(out, "%s_bucket{pool=\"", name);
    add_label_value(out, pool);
    buffer_printf(out, "\",le=\"%s\"} %" PRIu64 "\n", histogram_bound(i), count);
  }
  buffer_printf(out, "%s_sum{pool=\"", name);
  add_label_value(out, pool);
  buffer_printf(out, "\"} %.9f\n", (double)histogram->sum_ns / SECOND_NS);
  buffer_printf(out, "%s_count{pool=\"", name);
  add_label_value(out, pool);
  buffer_printf(out, "\"} %" PRIu64 "\n", count);
}

void prometheus_write_pools(struct buffer *out, struct pools *pools) {
  static const struct row pool_rows[] = {
      {"perilune_pool_threads", "gauge", "", "Threads that are started."},
      {"perilune_pool_busy_threads", "gauge", "", "Threads that run a call."},
      {"perilune_pool_queued_calls", "gauge", "", "Calls that wait for a thread."},
      {"perilune_pool_waiting_threads", "gauge", "",
       "Threads of the busy ones that wait for a call to another pool."},
      {"perilune_pool_lost_threads", "gauge", "",
       "Threads of the busy ones whose call is given up, and that are stuck in C."},
      {"perilune_pool_lua_memory_bytes", "gauge", "", "Memory of the threads' Lua states."},
      {"perilune_pool_rejected_calls_total", "counter", "", "Calls that found the queue full."},
      {"perilune_pool_cancelled_calls_total", "counter", "",
       "Calls that were given up while they waited for a thread."},
      {"perilune_pool_replaced_threads_total", "counter", "",
       "Threads that ended because their Lua state had reached its memory limit."},
  };
  struct pool_counts counts[NAMED_MAX];
  size_t count = pools_count(pools, counts, NAMED_MAX);
  for (size_t row = 0; row < array_len(pool_rows); row++) {
    const char *name = pool_rows[row].name;
    add_head(out, name, pool_rows[row].type, pool_rows[row].help);
    for (size_t i = 0; i < count; i++) {
      const uint64_t values[] = {
          (uint64_t)counts[i].threads, (uint64_t)counts[i].busy,    (uint64_t)counts[i].queued,
          (uint64_t)counts[i].waiting, (uint64_t)counts[i].lost,    counts[i].lua_bytes,
          counts[i].figures.rejected,  counts[i].figures.cancelled, counts[i].figures.replaced};
      add_named_value(out, name, "pool", counts[i].name, values[row]);
    }
  }
  static const char wait[] = "perilune_pool_wait_seconds", run[] = "perilune_pool_run_seconds";
  add_head(out, wait, "histogram", "Time from a call to the start of its function.");
  for (size_t i = 0; i < count; i++)
    add_histogram(out, wait, counts[i].name, &counts[i].figures.wait);
  add_head(out, run, "histogram", "Time from the start of a function to its end.");
  for (size_t i = 0; i < count; i++)
    add_histogram(out, run, counts[i].name, &counts[i].figures.run);
}

/* ---- loops ---- */

void prometheus_write_loops(struct buffer *out, struct background *background) {
  static const struct row loop_rows[] = {
      {"perilune_background_unfinished_calls", "gauge", "", "Calls that wait or run."},
      {"perilune_background_refused_calls_total", "counter", "",
       "Calls that its queue had no room for."},
      {"perilune_background_lua_memory_bytes", "gauge", "", "Memory of the loop's Lua state."},
  };
  struct background_counts counts[NAMED_MAX];
  size_t count = background_count(background, counts, NAMED_MAX);
  for (size_t row = 0; row < array_len(loop_rows) && count > 0; row++) {
    const char *name = loop_rows[row].name;
    add_head(out, name, loop_rows[row].type, loop_rows[row].help);
    for (size_t i = 0; i < count; i++) {
      const uint64_t values[] = {(uint64_t)counts[i].calls, counts[i].refused, counts[i].lua_bytes};
      add_named_value(out, name, "loop", counts[i].name, values[row]);
    }
  }
}

/* ---- the process ---- */

/* Open descriptors, without that of the look. */
static uint64_t count_descriptors(void) {
  uint64_t count = 0;
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return 0;
  for (const struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
  closedir(dir);
  return count - 1;
}

static double seconds_of(struct timeval time) {
  return (double)time.tv_sec + (double)time.tv_usec / US_PER_S;
}

static void add_resources(struct buffer *out) {
  struct rusage used;
  struct rlimit limit;
  size_t resident_bytes;
  if (getrusage(RUSAGE_SELF, &used) == 0)
    add_seconds(out, "process_cpu_seconds_total", "counter", "User and system CPU time.",
                seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
  if (uv_resident_set_memory(&resident_bytes) == 0)
    add_integer(out, "process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes);
  add_integer(out, "process_open_fds", "gauge", "Open file descriptors.", count_descriptors());
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    add_integer(out, "process_max_fds", "gauge", "Limit of open file descriptors.",
                (uint64_t)limit.rlim_cur);
}

void prometheus_write_process(struct buffer *out, const struct prometheus_process *process) {
  const char *build = "perilune_build_info";
  add_head(out, build, "gauge", "The version that runs, and those of its libraries.");
  buffer_printf(out, "%s{version=\"%s\",libuv=\"%s\"} 1\n", build, PERILUNE_VERSION,
                uv_version_string());
  double started = (double)process->started.tv_sec + (double)process->started.tv_nsec / SECOND_NS;
  add_head(out, "process_start_time_seconds", "gauge", "When the process started, since 1970.");
  buffer_printf(out, "process_start_time_seconds %.3f\n", started);
  add_seconds(out, "perilune_uptime_seconds", "gauge", "Since the server started.",
              (double)(uv_hrtime() - process->started_ns) / SECOND_NS);
  add_resources(out);
  add_integer(out, "perilune_log_dropped_lines_total", "counter",
              "Lines of the log that were not written.", log_writer_dropped(process->log));
  if (process->access_log)
    add_integer(out, "perilune_access_log_dropped_lines_total", "counter",
                "Lines of the access log that were not written.",
                line_writer_dropped(process->access_log));
}
