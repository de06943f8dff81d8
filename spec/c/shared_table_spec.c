/* shared_table_spec.c - a shared table without Lua: against a plain model, at its limits, in time.
 *
 * Time is a number here. What many threads do at once is in shared_threads_spec.c. */
#include "lib/shared_table.h"

#include "lib/shared_walk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 500, STEPS = 100000, MANY = 20000 };

struct bench {
  struct shared_budget budget;
  struct shared_table *table;
  uint64_t now_ns;
};

static struct bench *make_bench(const struct shared_options *options) {
  struct bench *bench = memory_alloc_zero(sizeof *bench);
  bench->budget.bytes_max = 64 * 1024 * 1024;
  bench->table = shared_table_create("spec", options, &bench->budget);
  bench->now_ns = 1000;
  return bench;
}

static int start_bench(void **state) {
  *state = make_bench(&(struct shared_options){0});
  return 0;
}

static int stop_bench(void **state) {
  struct bench *bench = *state;
  shared_table_destroy_all(&bench->budget);
  free(bench);
  return 0;
}

static struct shared_call call_for(struct bench *bench, int64_t key) {
  return (struct shared_call){.table = bench->table,
                              .key = shared_table_key(bench->table, NULL, 0, key),
                              .now_ns = bench->now_ns,
                              .waits = true};
}

static enum shared_result put(struct bench *bench, int64_t key, struct shared_put what) {
  struct shared_call call = call_for(bench, key);
  return shared_table_put(&call, &what);
}

static struct shared_value integer(int64_t number) {
  return (struct shared_value){.type = SHARED_INTEGER, .integer = number};
}

static struct shared_value text_of(size_t len) {
  char *bytes = memory_alloc_zero(len + 1);
  struct shared_value value = {.type = SHARED_STRING, .blob = blob_create(bytes, len)};
  free(bytes);
  return value;
}

static void set(struct bench *bench, int64_t key, int64_t number) {
  assert_int_equal(put(bench, key, (struct shared_put){.value = integer(number)}), SHARED_DONE);
}

static void delete_key(struct bench *bench, int64_t key) {
  assert_int_equal(put(bench, key, (struct shared_put){.value = {.type = SHARED_NIL}}),
                   SHARED_DONE);
}

/* The number at a key; -1: nothing is there. */
static int64_t get(struct bench *bench, int64_t key) {
  struct shared_call call = call_for(bench, key);
  struct shared_found found;
  assert_int_equal(shared_table_get(&call, &found), SHARED_DONE);
  bool is_there = found.value.type == SHARED_INTEGER;
  assert_true(is_there == (found.version > 0));
  return is_there ? found.value.integer : -1;
}

static int count_keys(struct bench *bench) {
  struct shared_call call = call_for(bench, 0);
  struct shared_walk walk = {0};
  struct shared_key key;
  size_t at = 0;
  int count = 0;
  assert_int_equal(shared_walk_on(&call, &walk), SHARED_DONE);
  while (shared_walk_read(&walk, &at, &key)) count++;
  shared_walk_finish(&walk);
  return count;
}

static void keeps_keys_of_both_types_apart(void **state) {
  struct bench *bench = *state;
  static const char *const texts[] = {"", "1", "a", "a longer key of several words"};
  struct shared_found found;
  set(bench, 1, 1);
  for (size_t i = 0; i < array_len(texts); i++) {
    struct shared_call call = call_for(bench, 0);
    call.key = shared_table_key(bench->table, texts[i], strlen(texts[i]), 0);
    const struct shared_put what = {.value = integer((int64_t)i + 10)};
    assert_int_equal(shared_table_put(&call, &what), SHARED_DONE);
  }
  for (size_t i = 0; i < array_len(texts); i++) {
    struct shared_call call = call_for(bench, 0);
    call.key = shared_table_key(bench->table, texts[i], strlen(texts[i]), 0);
    assert_int_equal(shared_table_get(&call, &found), SHARED_DONE);
    assert_int_equal(found.value.integer, i + 10);
  }
  assert_int_equal(get(bench, 1), 1);
  assert_int_equal(count_keys(bench), 1 + array_len(texts));
}

/* What a random course of operations leaves, in an array. */
static void does_what_a_plain_array_does(void **state) {
  struct bench *bench = *state;
  int64_t model[KEYS];
  uint64_t due[KEYS] = {0};
  srandom(42);
  for (int i = 0; i < KEYS; i++) model[i] = -1;
  for (int i = 0; i < STEPS; i++) {
    long key = random() % KEYS;
    bench->now_ns += (uint64_t)(random() % 3);
    for (int at = 0; at < KEYS; at++)
      if (due[at] > 0 && due[at] <= bench->now_ns) model[at] = -1, due[at] = 0;
    long what =
        random() % (i / (STEPS / 4) % 2 == 0 ? 4 : 12); /* times of growth and of shrinking */
    if (what <= 1) {
      due[key] = what == 1 ? bench->now_ns + 1 + (uint64_t)(random() % 1000) : 0;
      model[key] = i;
      const struct shared_put put_it = {.value = integer(i), .due_ns = due[key]};
      assert_int_equal(put(bench, key, put_it), SHARED_DONE);
    } else if (what <= 3) {
      assert_int_equal(get(bench, key), model[key]);
    } else {
      model[key] = -1;
      due[key] = 0;
      delete_key(bench, key);
    }
  }
  int count = 0;
  for (int i = 0; i < KEYS; i++) {
    assert_int_equal(get(bench, i), model[i]);
    if (model[i] >= 0) count++;
  }
  assert_int_equal(count_keys(bench), count);
}

static void gives_all_its_bytes_back(void **state) {
  struct bench *bench = *state;
  for (int i = 0; i < MANY; i++) set(bench, i, i);
  assert_int_equal(count_keys(bench), MANY);
  size_t bytes = shared_table_used_bytes(bench->table);
  assert_true(bytes >= MANY * sizeof(struct shard_entry));
  assert_int_equal(bytes, atomic_load(&bench->budget.used_bytes));
  for (int i = 0; i < MANY; i++) assert_int_equal(get(bench, i), i);
  for (int i = 0; i < MANY; i++) delete_key(bench, i);
  assert_int_equal(count_keys(bench), 0);
  assert_int_equal(shared_table_used_bytes(bench->table), 0);
  assert_int_equal(atomic_load(&bench->budget.used_bytes), 0);
  for (uint32_t i = 0; shared_table_shard(bench->table, i); i++)
    assert_in_range(shared_table_shard(bench->table, i)->chain_count, 0, LADDER_FIRST);
}

static void expires(void **state) {
  struct bench *bench = *state;
  struct shared_put what = {.value = integer(7), .due_ns = bench->now_ns + 10};
  assert_int_equal(put(bench, 1, what), SHARED_DONE);
  bench->now_ns += 9;
  assert_int_equal(get(bench, 1), 7);
  bench->now_ns += 1;
  assert_int_equal(get(bench, 1), -1);
  assert_int_equal(shared_table_used_bytes(bench->table), 0);
  what.due_ns = bench->now_ns + 10;
  assert_int_equal(put(bench, 1, what), SHARED_DONE);
  set(bench, 1, 8); /* for ever now */
  bench->now_ns += 1000;
  assert_int_equal(get(bench, 1), 8);
}

/* What is put off again and again lives on, and nothing hides behind it. */
static void expires_later_when_it_is_put_off(void **state) {
  struct bench *bench = *state;
  struct shared_put what = {.value = integer(1)};
  for (int round = 0; round < 20; round++) {
    what.due_ns = bench->now_ns + 100;
    for (int i = 0; i < KEYS; i++) assert_int_equal(put(bench, i, what), SHARED_DONE);
    bench->now_ns += 60;
  }
  for (int i = 0; i < KEYS; i++) assert_int_equal(get(bench, i), 1);
  what.due_ns = bench->now_ns + 1;
  assert_int_equal(put(bench, 7, what), SHARED_DONE);
  bench->now_ns += 1;
  assert_int_equal(get(bench, 7), -1);
  assert_int_equal(count_keys(bench), KEYS - 1);
  bench->now_ns += 100;
  for (int i = KEYS; i < KEYS + MANY; i++) assert_int_equal(get(bench, i), -1);
  assert_int_equal(shared_table_used_bytes(bench->table), 0); /* nobody had to ask for them */
}

/* Whatever expires is taken out by what goes on: the table does not grow. */
static void does_not_keep_what_has_expired(void **state) {
  struct bench *bench = *state;
  size_t most = 0;
  for (int i = 0; i < 10 * MANY; i++) {
    const struct shared_put what = {.value = integer(i), .due_ns = ++bench->now_ns + 100};
    assert_int_equal(put(bench, i, what), SHARED_DONE);
    size_t bytes = shared_table_used_bytes(bench->table);
    if (bytes > most) most = bytes;
  }
  assert_in_range(most, 0, 1000 * sizeof(struct shard_entry));
  bench->now_ns += 1000;
  assert_int_equal(count_keys(bench), 0);
}

static void is_full_at_its_limit(void **state) {
  stop_bench(state);
  struct bench *bench = *state = make_bench(&(struct shared_options){.bytes_max = 64 * 1024});
  struct shared_put large = {.value = text_of(64 * 1024)};
  assert_int_equal(put(bench, 0, large), SHARED_FULL);
  shared_value_release(&large.value);
  int count = 0;
  while (put(bench, count, (struct shared_put){.value = integer(count)}) == SHARED_DONE) count++;
  assert_in_range(count, 300, 64 * 1024 / sizeof(struct shard_entry));
  assert_in_range(shared_table_used_bytes(bench->table), 60 * 1024, 64 * 1024);
  for (int i = 0; i < count; i++) assert_int_equal(get(bench, i), i);
  set(bench, 0, 5); /* a value in the place of another one needs no room */
  struct shared_call call = call_for(bench, count);
  struct shared_value by = integer(1);
  assert_int_equal(shared_table_add(&call, &by, 0), SHARED_FULL);
  delete_key(bench, 1);
  set(bench, count, 1);
}

/* Room that something expired takes is found, in whatever shard or table it is. */
static void makes_room_of_what_has_expired(void **state) {
  stop_bench(state);
  struct bench *bench = *state = make_bench(&(struct shared_options){0});
  bench->budget.bytes_max = 64 * 1024;
  struct shared_table *other =
      shared_table_create("other", &(struct shared_options){0}, &bench->budget);
  struct shared_call call = call_for(bench, 1);
  call.table = other;
  call.key = shared_table_key(other, NULL, 0, 1);
  struct shared_put large = {.value = text_of(60 * 1024), .due_ns = bench->now_ns + 10};
  assert_int_equal(shared_table_put(&call, &large), SHARED_DONE);
  large.value = text_of(50 * 1024);
  large.due_ns = 0;
  assert_int_equal(put(bench, 1, large), SHARED_FULL);
  bench->now_ns += 10;
  assert_int_equal(put(bench, 1, large), SHARED_DONE);
  assert_int_equal(shared_table_used_bytes(other), 0);
}

static void evicts_what_was_not_used_for_longest(void **state) {
  stop_bench(state);
  const struct shared_options options = {.bytes_max = 100 * sizeof(struct shard_entry),
                                         .evicts = true};
  struct bench *bench = *state = make_bench(&options);
  for (int i = 0; i < 100; i++) set(bench, i, i);
  assert_int_equal(get(bench, 0), 0);
  set(bench, 1, 11);
  set(bench, 100, 100);
  set(bench, 101, 101);
  assert_int_equal(count_keys(bench), 100);
  assert_int_equal(get(bench, 0), 0);
  assert_int_equal(get(bench, 1), 11);
  assert_int_equal(get(bench, 2), -1);
  assert_int_equal(get(bench, 3), -1);
  assert_int_equal(get(bench, 4), 4);
  struct shared_put large = {.value = text_of(90 * sizeof(struct shard_entry))};
  assert_int_equal(put(bench, 102, large), SHARED_DONE);
  assert_in_range(count_keys(bench), 2, 10);
  assert_int_equal(get(bench, 4), 4);
}

static void puts_only_what_is_to_be_put(void **state) {
  struct bench *bench = *state;
  struct shared_put add = {.value = integer(1), .when = SHARED_IF_ABSENT};
  assert_int_equal(put(bench, 1, add), SHARED_DONE);
  assert_int_equal(put(bench, 1, add), SHARED_REFUSED);
  struct shared_call call = call_for(bench, 1);
  struct shared_found found;
  assert_int_equal(shared_table_get(&call, &found), SHARED_DONE);
  struct shared_put swap = {.value = integer(2), .when = SHARED_IF_VERSION};
  assert_int_equal(put(bench, 1, swap), SHARED_REFUSED);
  assert_int_equal(put(bench, 2, swap), SHARED_DONE);
  swap.version = found.version;
  assert_int_equal(put(bench, 1, swap), SHARED_DONE);
  assert_int_equal(put(bench, 1, swap), SHARED_REFUSED);
  delete_key(bench, 1);
  set(bench, 1, 1);
  assert_int_equal(put(bench, 1, swap), SHARED_REFUSED); /* versions are never used again */
}

static void adds_to_numbers_alone(void **state) {
  struct bench *bench = *state;
  struct shared_call call = call_for(bench, 1);
  struct shared_value by = integer(INT64_MAX);
  assert_int_equal(shared_table_add(&call, &by, 0), SHARED_DONE);
  by = integer(1);
  assert_int_equal(shared_table_add(&call, &by, 0), SHARED_OVERFLOW);
  assert_true(get(bench, 1) == INT64_MAX);
  by = (struct shared_value){.type = SHARED_FLOAT, .number = 0.5};
  assert_int_equal(shared_table_add(&call, &by, 0), SHARED_DONE);
  assert_int_equal(by.type, SHARED_FLOAT);
  assert_int_equal(put(bench, 2, (struct shared_put){.value = {.type = SHARED_TRUE}}), SHARED_DONE);
  call = call_for(bench, 2);
  assert_int_equal(shared_table_add(&call, &by, 0), SHARED_NOT_NUMBER);
}

static void refuses_to_wait_where_it_must_not(void **state) {
  struct bench *bench = *state;
  struct shared_call call = call_for(bench, 1);
  struct shared_found found;
  struct shared_walk walk = {0};
  call.waits = false;
  const struct shared_put what = {.value = integer(1)};
  for (uint32_t i = 0; shared_table_shard(bench->table, i); i++)
    assert_true(gate_try(&shared_table_shard(bench->table, i)->gate));
  assert_int_equal(shared_table_get(&call, &found), SHARED_BUSY);
  assert_int_equal(shared_table_put(&call, &what), SHARED_BUSY);
  assert_non_null(call.gate);
  assert_int_equal(shared_walk_on(&call, &walk), SHARED_BUSY);
  for (uint32_t i = 0; shared_table_shard(bench->table, i); i++)
    gate_leave(&shared_table_shard(bench->table, i)->gate);
  assert_int_equal(shared_table_put(&call, &what), SHARED_DONE);
  assert_int_equal(shared_walk_on(&call, &walk), SHARED_DONE);
  shared_walk_finish(&walk);
}

#define bench_test(name) cmocka_unit_test_setup_teardown(name, start_bench, stop_bench)

int main(void) {
  const struct CMUnitTest tests[] = {
      bench_test(keeps_keys_of_both_types_apart),
      bench_test(does_what_a_plain_array_does),
      bench_test(gives_all_its_bytes_back),
      bench_test(expires),
      bench_test(expires_later_when_it_is_put_off),
      bench_test(does_not_keep_what_has_expired),
      bench_test(is_full_at_its_limit),
      bench_test(makes_room_of_what_has_expired),
      bench_test(evicts_what_was_not_used_for_longest),
      bench_test(puts_only_what_is_to_be_put),
      bench_test(adds_to_numbers_alone),
      bench_test(refuses_to_wait_where_it_must_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
