/* inbox_spec.c - messages from many threads, in order, delivered by the owner and nobody else.
 *
 * The eventfd is looked at directly: its counter tells how often posting has written to it. Waits
 * for other threads run the inbox's own loop, with a limit. */
#include "core/inbox.h"

#include "core/timer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { THREADS = 8, MESSAGES = 5000, LIMIT_MS = 60000 };

struct bench {
  uv_loop_t loop;
  struct inbox inbox;
  bool finished;
  unsigned delivered;
  int trace[16];
  struct note *extra; /* posted by the first delivery; may be NULL */
};

struct note {
  struct message message;
  int number;
};

static int start_bench(void **state) {
  struct bench *bench = memory_alloc_zero(sizeof *bench);
  assert_int_equal(uv_loop_init(&bench->loop), 0);
  assert_int_equal(inbox_init(&bench->inbox, &bench->loop, bench), 0);
  *state = bench;
  return 0;
}

static int stop_bench(void **state) {
  struct bench *bench = *state;
  inbox_finish(&bench->inbox);
  uv_run(&bench->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&bench->loop), 0);
  free(bench);
  return 0;
}

static void deliver(struct message *message, void *owner) {
  struct note *note = container_of(message, struct note, message);
  struct bench *bench = owner;
  bench->trace[bench->delivered++] = note->number;
  if (bench->extra) {
    struct note *extra = bench->extra;
    bench->extra = NULL;
    inbox_post(&bench->inbox, &extra->message);
  }
}

static void post(struct bench *bench, struct note *note, int number) {
  *note = (struct note){.message.deliver = deliver, .number = number};
  inbox_post(&bench->inbox, &note->message);
}

/* How often the eventfd was written to since the last time; reads it, as the loop does. */
static uint64_t take_writes(struct bench *bench) {
  uint64_t count = 0;
  if (read(bench->inbox._fd, &count, sizeof count) < 0) return 0;
  atomic_store_explicit(&bench->inbox._woken, false, memory_order_relaxed);
  return count;
}

static void delivers_in_order_of_posting(void **state) {
  struct bench *bench = *state;
  struct note notes[5];
  assert_int_equal(inbox_drain(&bench->inbox), 0);
  for (int i = 0; i < 5; i++) post(bench, &notes[i], i);
  assert_int_equal(bench->delivered, 0);
  assert_int_equal(inbox_drain(&bench->inbox), 5);
  for (int i = 0; i < 5; i++) assert_int_equal(bench->trace[i], i);
  assert_int_equal(inbox_drain(&bench->inbox), 0);
}

static void writes_once_for_a_burst(void **state) {
  struct bench *bench = *state;
  struct note notes[6];
  for (int i = 0; i < 4; i++) post(bench, &notes[i], i);
  assert_int_equal(take_writes(bench), 1);
  assert_int_equal(take_writes(bench), 0);
  post(bench, &notes[4], 4);
  assert_int_equal(inbox_drain(&bench->inbox), 5);
  assert_int_equal(take_writes(bench), 1); /* it had been read when the last one came */
  post(bench, &notes[5], 5);
  assert_int_equal(take_writes(bench), 1);
  assert_int_equal(inbox_drain(&bench->inbox), 1);
}

static void wakes_the_loop_without_delivering(void **state) {
  struct bench *bench = *state;
  struct note note;
  post(bench, &note, 1);
  assert_int_not_equal(uv_run(&bench->loop, UV_RUN_ONCE), 0);
  assert_int_equal(bench->delivered, 0);
  assert_int_equal(take_writes(bench), 0); /* the callback has emptied it: the loop may sleep */
  assert_int_equal(inbox_drain(&bench->inbox), 1);
}

static void keeps_what_is_posted_while_draining_for_the_next_drain(void **state) {
  struct bench *bench = *state;
  struct note notes[2], extra = {.message.deliver = deliver, .number = 9};
  bench->extra = &extra;
  post(bench, &notes[0], 1);
  post(bench, &notes[1], 2);
  assert_int_equal(take_writes(bench), 1);
  assert_int_equal(inbox_drain(&bench->inbox), 2);
  assert_int_equal(take_writes(bench), 1); /* the loop comes back at once */
  assert_int_equal(inbox_drain(&bench->inbox), 1);
  assert_int_equal(bench->trace[2], 9);
}

static void delivers_the_rest_when_finished(void **state) {
  struct bench *bench = *state;
  struct note notes[2], extra = {.message.deliver = deliver, .number = 9};
  bench->extra = &extra;
  post(bench, &notes[0], 1);
  post(bench, &notes[1], 2);
  inbox_finish(&bench->inbox);
  assert_int_equal(bench->delivered, 3);
  assert_int_equal(bench->trace[2], 9);
  inbox_finish(&bench->inbox); /* twice is harmless */
  struct inbox zeroed = {0};
  inbox_finish(&zeroed);
}

/* ---- many threads ---- */

struct parcel {
  struct message message;
  struct sender *sender;
  int number;
};

struct sender {
  uv_thread_t thread;
  struct inbox *inbox;
  int received; /* the owner's */
  bool pauses;
};

static void deliver_parcel(struct message *message, void *owner) {
  struct parcel *parcel = container_of(message, struct parcel, message);
  (void)owner;
  assert_int_equal(parcel->number, parcel->sender->received);
  parcel->sender->received++;
  free(parcel);
}

static void send_parcels(void *context) {
  struct sender *sender = context;
  for (int i = 0; i < MESSAGES; i++) {
    struct parcel *parcel = memory_alloc(sizeof *parcel);
    *parcel = (struct parcel){.message.deliver = deliver_parcel, .sender = sender, .number = i};
    inbox_post(sender->inbox, &parcel->message);
  }
}

static void no_action(struct timer *timer) {
  (void)timer;
}

/* Drains as a worker does, sleeping in the loop: each message must have woken it. */
static void takes_from_many_threads(void **state) {
  struct bench *bench = *state;
  struct sender senders[THREADS];
  struct timers timers;
  struct timer limit = {0};
  assert_int_equal(timers_init(&timers, &bench->loop), 0);
  timer_start(&timers, &limit, timers_now(&timers) + LIMIT_MS * NS_PER_MS, no_action);
  for (int i = 0; i < THREADS; i++) {
    senders[i] = (struct sender){.inbox = &bench->inbox};
    assert_int_equal(uv_thread_create(&senders[i].thread, send_parcels, &senders[i]), 0);
  }
  unsigned delivered = 0;
  while (delivered < THREADS * MESSAGES) {
    timers_arm(&timers);
    uv_run(&bench->loop, UV_RUN_ONCE);
    delivered += inbox_drain(&bench->inbox);
    timers_run(&timers);
    assert_true(timer_is_started(&limit));
  }
  for (int i = 0; i < THREADS; i++) {
    uv_thread_join(&senders[i].thread);
    assert_int_equal(senders[i].received, MESSAGES);
  }
  assert_int_equal(inbox_drain(&bench->inbox), 0);
  timers_finish(&timers);
}

/* The owner finishes as soon as it has the last message, while its sender may still be posting. */
static void send_one(void *context) {
  struct sender *sender = context;
  struct parcel *parcel = memory_alloc(sizeof *parcel);
  *parcel = (struct parcel){.message.deliver = deliver_parcel, .sender = sender};
  inbox_add(sender->inbox, &parcel->message);
  if (sender->pauses) uv_sleep(2);
  inbox_wake(sender->inbox);
}

static void may_finish_with_the_last_message(void **state) {
  (void)state;
  for (int i = 0; i < 200; i++) {
    struct bench *bench;
    start_bench((void **)&bench);
    struct sender sender = {.inbox = &bench->inbox, .pauses = i % 2};
    assert_int_equal(uv_thread_create(&sender.thread, send_one, &sender), 0);
    while (inbox_drain(&bench->inbox) == 0) uv_run(&bench->loop, UV_RUN_NOWAIT);
    stop_bench((void **)&bench);
    uv_thread_join(&sender.thread);
    assert_int_equal(sender.received, 1);
  }
}

static void counts_what_is_on_its_way(void **state) {
  struct bench *bench = *state;
  _Atomic(int) count = 1;
  struct note first = {.message.deliver = deliver, .number = 1};
  struct note extra = {.message.deliver = deliver, .number = 2};
  inbox_count(&bench->inbox, &count);
  bench->extra = &extra;
  assert_true(inbox_is_empty(&bench->inbox));
  inbox_post(&bench->inbox, &first.message);
  assert_false(inbox_is_empty(&bench->inbox));
  assert_int_equal(atomic_load(&count), 2);
  assert_int_equal(inbox_drain(&bench->inbox), 1);
  assert_int_equal(atomic_load(&count), 2);
  assert_int_equal(inbox_drain(&bench->inbox), 1);
  assert_int_equal(atomic_load(&count), 1);
  assert_true(inbox_is_empty(&bench->inbox));
}

#define test(name) cmocka_unit_test_setup_teardown(name, start_bench, stop_bench)

int main(void) {
  const struct CMUnitTest tests[] = {
      test(delivers_in_order_of_posting),
      test(writes_once_for_a_burst),
      test(wakes_the_loop_without_delivering),
      test(keeps_what_is_posted_while_draining_for_the_next_drain),
      test(delivers_the_rest_when_finished),
      test(takes_from_many_threads),
      test(counts_what_is_on_its_way),
      cmocka_unit_test(may_finish_with_the_last_message),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
