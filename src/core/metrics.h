/* metrics.h - what a worker publishes of itself for the admin endpoint.
 *
 * One writer, the worker's thread; any thread may read, at any time, without a lock. Values are
 * those of the end of the worker's last turn, each right for itself, not all of one moment. Nothing
 * is published unless somebody may ask (process.has_metrics). */
#ifndef CORE_METRICS_H
#define CORE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(metric, name, type, label, help): names as Prometheus wants them, rows of one name together;
 * `label` is a further label besides the worker's, or "". */
#define METRICS(X)                                                                                 \
  X(CONNECTIONS_OPEN, "perilune_http_connections", "gauge", "", "Open connections.")               \
  X(CONNECTIONS, "perilune_http_connections_total", "counter", "", "Connections accepted.")        \
  X(ACCEPTS_PAUSED, "perilune_http_accept_pauses_total", "counter", "",                            \
    "Times that accepting stopped because of --max-connections.")                                  \
  X(ACCEPTS_FAILED, "perilune_http_accept_failures_total", "counter", "",                          \
    "Connections that could not be accepted, mostly for want of file descriptors.")                \
  X(REQUESTS_IN_FLIGHT, "perilune_http_requests_in_flight", "gauge", "",                           \
    "Requests that are being handled, or whose response is on its way.")                           \
  X(REQUESTS_2XX, "perilune_http_requests_total", "counter", "code=\"2xx\"",                       \
    "Answered requests by the class of their status.")                                             \
  X(REQUESTS_3XX, "perilune_http_requests_total", "counter", "code=\"3xx\"", "")                   \
  X(REQUESTS_4XX, "perilune_http_requests_total", "counter", "code=\"4xx\"", "")                   \
  X(REQUESTS_5XX, "perilune_http_requests_total", "counter", "code=\"5xx\"", "")                   \
  X(REQUESTS_REFUSED, "perilune_http_requests_refused_total", "counter", "",                       \
    "Requests that the server answered without asking the app.")                                   \
  X(BYTES_IN, "perilune_http_received_bytes_total", "counter", "", "Bytes read from clients.")     \
  X(BYTES_OUT, "perilune_http_sent_bytes_total", "counter", "", "Bytes written to clients.")       \
  X(TASKS_SCHEDULED, "perilune_tasks_scheduled_total", "counter", "",                              \
    "Tasks that have been scheduled.")                                                             \
  X(TASKS_ENDED_DONE, "perilune_tasks_ended_total", "counter", "end=\"done\"",                     \
    "Scheduled tasks that have ended, by how.")                                                    \
  X(TASKS_ENDED_FAILED, "perilune_tasks_ended_total", "counter", "end=\"failed\"", "")             \
  X(TASKS_ENDED_CANCELLED, "perilune_tasks_ended_total", "counter", "end=\"cancelled\"", "")       \
  X(TASKS_ENDED_DROPPED, "perilune_tasks_ended_total", "counter", "end=\"dropped\"", "")           \
  X(TASKS_WAITED_FOR, "perilune_tasks_waited_for_total", "counter", "",                            \
    "Shielded tasks that the end of the server has waited for.")                                   \
  X(TASKS_FAILED, "perilune_tasks_failed_total", "counter", "",                                    \
    "Tasks that ended with an error that nobody waited for.")                                      \
  X(TASKS_DROPPED, "perilune_tasks_dropped_total", "counter", "",                                  \
    "Tasks that were not started because their handler failed.")                                   \
  X(TASKS_REFUSED, "perilune_tasks_refused_total", "counter", "",                                  \
    "Tasks that were not started because of --max-tasks.")                                         \
  X(LUA_BYTES, "perilune_lua_memory_bytes", "gauge", "", "Memory of the worker's Lua state.")      \
  X(LOOP_TURNS, "perilune_loop_turns_total", "counter", "", "Turns of the event loop.")            \
  X(LOOP_IDLE_NS, "perilune_loop_idle_seconds_total", "counter", "",                               \
    "Time that the event loop waited for something to do; the rest it was busy.")

enum metric {
#define METRICS_ENUM(metric, ...) METRIC_##metric,
  METRICS(METRICS_ENUM)
#undef METRICS_ENUM
      METRIC_COUNT
};

struct metrics {
  _Atomic(uint64_t) values[METRIC_COUNT];
};

/* [any thread] The value, as last published. */
static inline uint64_t metrics_get(const struct metrics *metrics, enum metric metric) {
  return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

/* [owner] Publishes a value. */
static inline void metrics_set(struct metrics *metrics, enum metric metric, uint64_t value) {
  atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

/* [owner] Adds to a value; of things that happen rarely. */
static inline void metrics_add(struct metrics *metrics, enum metric metric, uint64_t count) {
  metrics_set(metrics, metric, metrics_get(metrics, metric) + count);
}

#endif
