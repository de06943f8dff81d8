/* topic_spec.c - topics without Lua: many that publish at once, and what a slow state is left with.
 *
 * Each thread that publishes sends its number and counts; a branch must get all of them, each
 * thread's in order. A branch here belongs to no worker: its messages are refused. */
#include "lib/subscription.h"
#include "lib/topic_hub.h"

#include "base/limits.h"
#include "core/directory.h"
#include "core/snapshot.h"
#include "core/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { THREADS = 5, MESSAGES = 4000, TOPICS = 300 };

struct bench {
  struct snapshot *snapshot;
  struct directory directory;
  struct process process;
  struct worker worker;
  struct topic_hub *hub;
  struct topic_ref *ref;
  struct topic_branch *branch;
  struct list unused;
  _Atomic(int) next_index, publishing;
};

struct message_of_thread {
  int thread, number;
};

static struct topic_ref *find(struct bench *bench, const char *name) {
  gate_enter(topic_hub_gate(bench->hub));
  struct topic_ref *ref = topic_hub_find(bench->hub, name, strlen(name));
  gate_leave(topic_hub_gate(bench->hub));
  assert_non_null(ref);
  return ref;
}

static void wake_nobody(struct topic_branch *branch) {
  (void)branch;
}

static struct topic_branch *make_branch(struct bench *bench) {
  struct topic_branch *branch = topic_branch_create(bench->ref, &bench->worker);
  branch->wake = wake_nobody;
  return branch;
}

static int start_bench(void **state) {
  struct bench *bench = memory_alloc_zero(sizeof *bench);
  bench->snapshot = snapshot_create("/tmp");
  directory_init(&bench->directory);
  bench->process.directory = &bench->directory;
  bench->worker.process = &bench->process;
  bench->worker.snapshot = bench->snapshot;
  bench->hub = topic_hub_of(&bench->worker);
  bench->ref = find(bench, "spec");
  bench->branch = make_branch(bench);
  list_init(&bench->unused);
  *state = bench;
  return 0;
}

static int stop_bench(void **state) {
  struct bench *bench = *state;
  topic_branch_leave(bench->branch);
  topic_hub_release(bench->ref);
  snapshot_destroy(bench->snapshot);
  directory_finish(&bench->directory);
  free(bench);
  return 0;
}

/* What the owner of the branch does now and then. */
static void take(struct bench *bench, struct subscription *another) {
  struct topic_backlog backlog;
  uint32_t first_max, last_max;
  subscription_count(bench->branch, another, &first_max, &last_max);
  gate_enter(&bench->ref->topic->gate);
  topic_branch_take(bench->branch, &backlog, first_max, last_max);
  gate_leave(&bench->ref->topic->gate);
  subscription_distribute(bench->branch, &backlog);
  if (another) subscription_begin(another, bench->branch);
}

static void subscribe(struct bench *bench, struct subscription *subscription, uint32_t buffer,
                      bool drops_oldest) {
  *subscription = (struct subscription){.buffer = buffer, .drops_oldest = drops_oldest};
  subscription_init(subscription, &bench->unused);
  take(bench, subscription);
}

static void end(struct subscription *subscription) {
  subscription_end(subscription);
  subscription_clear(subscription);
}

static void publish(const struct bench *bench, int thread, int number) {
  const struct message_of_thread message = {thread, number};
  topic_hub_publish(bench->ref->topic, blob_create(&message, sizeof message));
}

/* The oldest message; its number is -1 when there is none. */
static struct message_of_thread receive(struct bench *bench, struct subscription *subscription) {
  struct message_of_thread message = {-1, -1};
  struct topic_copy *copy = subscription_pop(subscription);
  if (!copy) return message;
  memcpy(&message, copy->blob->data, sizeof message);
  subscription_release(copy, &bench->unused);
  return message;
}

static void expect_numbers(struct bench *bench, struct subscription *subscription, int from,
                           int to) {
  for (int i = from; i <= to; i++) assert_int_equal(receive(bench, subscription).number, i);
  assert_int_equal(receive(bench, subscription).number, -1);
}

static void publish_many(void *context) {
  struct bench *bench = context;
  int thread = atomic_fetch_add(&bench->next_index, 1);
  for (int i = 0; i < MESSAGES; i++) publish(bench, thread, i);
  atomic_fetch_sub(&bench->publishing, 1);
}

static void brings_everything_in_the_order_of_each_thread(void **state) {
  struct bench *bench = *state;
  struct subscription subscription;
  int next[THREADS] = {0}, count = 0;
  subscribe(bench, &subscription, THREADS * MESSAGES, true);
  uv_thread_t threads[THREADS];
  atomic_store(&bench->publishing, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], publish_many, bench), 0);
  bool is_over;
  do {
    is_over = atomic_load(&bench->publishing) == 0;
    take(bench, NULL);
    struct message_of_thread message;
    while ((message = receive(bench, &subscription)).thread >= 0) {
      assert_int_equal(message.number, next[message.thread]++);
      count++;
    }
  } while (!is_over);
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
  assert_int_equal(count, THREADS * MESSAGES);
  end(&subscription);
}

static uint32_t count_backlog(const struct bench *bench) {
  return bench->branch->backlog.first_count + bench->branch->backlog.last_count;
}

static void keeps_no_more_than_its_subscriptions_need(void **state) {
  struct bench *bench = *state;
  struct subscription dropping, small, closing, tiny;
  subscribe(bench, &dropping, 20, true);
  subscribe(bench, &small, 3, true);
  subscribe(bench, &closing, 10, false);
  subscribe(bench, &tiny, 1, false);
  for (int i = 1; i <= 1000; i++) publish(bench, 0, i);
  assert_int_equal(count_backlog(bench), 30);
  take(bench, NULL);
  expect_numbers(bench, &dropping, 981, 1000);
  expect_numbers(bench, &small, 998, 1000);
  expect_numbers(bench, &closing, 1, 10);
  expect_numbers(bench, &tiny, 1, 1);
  assert_int_equal(dropping.dropped, 980);
  assert_int_equal(small.dropped, 997);
  assert_true(closing.has_overflowed && tiny.has_overflowed);
  assert_false(dropping.has_overflowed || small.has_overflowed);
  take(bench, NULL); /* only the other two count now */
  for (int i = 1; i <= 1000; i++) publish(bench, 0, i);
  assert_int_equal(count_backlog(bench), 20);
  struct subscription *all[] = {&dropping, &small, &closing, &tiny};
  for (size_t i = 0; i < array_len(all); i++) end(all[i]);
}

static void overflows_only_when_it_is_full(void **state) {
  struct bench *bench = *state;
  struct subscription closing;
  subscribe(bench, &closing, 10, false);
  for (int i = 1; i <= 10; i++) publish(bench, 0, i);
  take(bench, NULL);
  assert_false(closing.has_overflowed);
  assert_int_equal(receive(bench, &closing).number, 1);
  publish(bench, 0, 11);
  take(bench, NULL);
  assert_false(closing.has_overflowed);
  publish(bench, 0, 12);
  take(bench, NULL);
  assert_true(closing.has_overflowed);
  expect_numbers(bench, &closing, 2, 11);
  end(&closing);
}

static void gives_a_new_subscription_nothing_old(void **state) {
  struct bench *bench = *state;
  struct subscription first, second;
  subscribe(bench, &first, 5, true);
  publish(bench, 0, 1);
  subscribe(bench, &second, 5, true);
  publish(bench, 0, 2);
  take(bench, NULL);
  expect_numbers(bench, &first, 1, 2);
  expect_numbers(bench, &second, 2, 2);
  end(&first);
  end(&second);
}

static void leaves_while_somebody_publishes(void **state) {
  struct bench *bench = *state;
  uv_thread_t threads[THREADS];
  atomic_store(&bench->publishing, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], publish_many, bench), 0);
  while (atomic_load(&bench->publishing) > 0) {
    struct subscription subscription;
    subscribe(bench, &subscription, 3, true);
    assert_ptr_equal(subscription_end(&subscription), bench->branch);
    subscription_clear(&subscription);
    topic_branch_leave(bench->branch);
    bench->branch = make_branch(bench);
  }
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
}

static void use_many_topics(void *context) {
  struct bench *bench = context;
  char name[32];
  for (int i = 0; i < MESSAGES; i++) {
    snprintf(name, sizeof name, "topic %d", i % TOPICS);
    struct topic_ref *ref = find(bench, name);
    struct topic_ref *copy = topic_hub_copy(ref);
    topic_hub_release(ref);
    topic_hub_publish(copy->topic, blob_create("x", 1));
    topic_hub_release(copy);
  }
}

/* All but one of as many as there may be can be made: no other is left. */
static void frees_topics_that_nobody_uses(void **state) {
  struct bench *bench = *state;
  uv_thread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(uv_thread_create(&threads[i], use_many_topics, bench), 0);
  for (int i = 0; i < THREADS; i++) uv_thread_join(&threads[i]);
  struct topic_ref **refs = memory_alloc(TOPICS_MAX * sizeof *refs);
  char name[32];
  for (int i = 0; i < TOPICS_MAX - 1; i++) {
    snprintf(name, sizeof name, "%d", i);
    refs[i] = find(bench, name);
  }
  gate_enter(topic_hub_gate(bench->hub));
  assert_null(topic_hub_find(bench->hub, "one more", 8));
  gate_leave(topic_hub_gate(bench->hub));
  for (int i = 0; i < TOPICS_MAX - 1; i++) topic_hub_release(refs[i]);
  free(refs);
  topic_hub_release(find(bench, "one more"));
}

#define bench_test(name) cmocka_unit_test_setup_teardown(name, start_bench, stop_bench)

int main(void) {
  const struct CMUnitTest tests[] = {
      bench_test(brings_everything_in_the_order_of_each_thread),
      bench_test(keeps_no_more_than_its_subscriptions_need),
      bench_test(overflows_only_when_it_is_full),
      bench_test(gives_a_new_subscription_nothing_old),
      bench_test(leaves_while_somebody_publishes),
      bench_test(frees_topics_that_nobody_uses),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
