/* offload.c - starting, waiting and letting go.
 *
 * libuv tells the end on the loop's thread, also for what is still on its way when a worker
 * finishes: by then the state has been closed, and everything here is dropped. */
#include "core/offload.h"

#include "core/worker.h"

#include <assert.h>

void offload_init(struct offload *offload, void (*run)(struct offload *offload),
                  void (*destroy)(struct offload *offload)) {
  *offload = (struct offload){.run = run, .destroy = destroy};
  list_init(&offload->_waiting);
}

static void run_work(uv_work_t *work) {
  struct offload *offload = container_of(work, struct offload, _work);
  offload->run(offload);
}

static void end_work(uv_work_t *work, int status) {
  struct offload *offload = container_of(work, struct offload, _work);
  (void)status;
  offload->running = false;
  worker_release(work->loop->data);
  if (offload->_dropped) {
    offload->destroy(offload);
    return;
  }
  fiber_wake_all(&offload->_waiting);
  if (offload->ended) offload->ended(offload);
}

void offload_start(struct offload *offload, struct worker *worker) {
  assert(!offload->running && !offload->_dropped);
  if (worker->role->runs_blocking) {
    offload->run(offload);
    return;
  }
  offload->running = true;
  worker_hold(worker);
  uv_err error = uv_queue_work(&worker->loop, &offload->_work, run_work, end_work);
  assert(error == 0 && "it fails only without a function");
  (void)error;
}

lua_nret offload_wait(lua_State *L, struct fiber *fiber, struct offload *offload,
                      const char *waits_for, lua_KContext context, lua_KFunction k) {
  assert(offload->running);
  return fiber_park_in(L, fiber, &offload->_waiting, waits_for, context, k);
}

void offload_drop(struct offload *offload) {
  if (!offload) return;
  assert(!offload->_dropped);
  offload->_dropped = true;
  fiber_wake_all(&offload->_waiting);
  if (!offload->running) offload->destroy(offload);
}
