/* unwatched.c - the program without its watchdog, to measure what that costs.
 *
 * Its functions stand in for those of src/core/watchdog.c: no thread looks at the workers, and
 * nothing is interrupted or reported. `spec/bench/run --servers perilune,unwatched` runs both. */
#include "core/watchdog.h"
#include "core/worker.h"
#include "program.h"

uv_err watchdog_start(struct watchdog *watchdog, uint64_t stall_warn_ms, uint64_t stall_kill_ms) {
  (void)stall_warn_ms;
  (void)stall_kill_ms;
  *watchdog = (struct watchdog){0};
  return 0;
}

void watchdog_stop(struct watchdog *watchdog) {
  (void)watchdog;
}

void watchdog_add(struct watchdog *watchdog, struct worker *worker) {
  (void)watchdog;
  (void)worker;
}

void watchdog_remove(struct watchdog *watchdog, struct worker *worker) {
  (void)watchdog;
  (void)worker;
}

void watchdog_report(struct worker *worker, lua_State *L) {
  (void)worker;
  (void)L;
}

uint64_t watchdog_late_ns(const struct watchdog *watchdog) {
  (void)watchdog;
  return 0;
}

void watchdog_forget_stall(struct worker *worker) {
  (void)worker;
}

bool watchdog_take_stall(struct worker *worker, char *place) {
  (void)worker;
  (void)place;
  return false;
}

void watchdog_set_snapshot(struct worker *worker, struct snapshot *snapshot) {
  worker->snapshot = snapshot;
}

int main(int argc, char **argv) {
  return program_main(argc, argv);
}
