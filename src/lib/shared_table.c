/* shared_table.c - the operations, each in three parts: go in, do it, and clean up outside.
 *
 * Memory is allocated before going in, as far as it is known what for: who finds inside that
 * something is lacking comes out, gets it and goes in again. What is freed, and who is woken, is
 * carried out and dealt with there. */
#include "lib/shared_table.h"

#include "base/limits.h"
#include "base/siphash.h"
#include "core/directory.h"
#include "core/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  SHARDS = STRESSED(64, 2),
  EXPIRE_MAX = 2, /* entries that an operation takes out because they are due */
  EVICT_MAX = 16, /* entries that are evicted in one go */
  CLEAR_MAX = 64  /* such steps in one shard in search of room */
};

struct shared_table {
  char *name;
  struct shared_options options;
  struct shared_budget *budget;
  struct shared_table *next; /* of that budget */
  struct siphash_key secret;
  uint32_t
      shard_count; /* a power of two; 1 where entries are evicted, so that they have an order */
  _Alignas(64) _Atomic(size_t) used_bytes;
  struct shard shards[];
};

/* An operation on its way through a gate. */
struct op {
  const struct shared_call *call;
  struct shared_table *table;
  struct shard *shard;
  struct shard_luggage luggage;
  struct shared_value old; /* that was replaced */
  struct list woken;       /* shared_waiter.link */
  bool lacks_entry;
};

/* ---- life ---- */

struct shared_table *shared_table_create(const char *name, const struct shared_options *options,
                                         struct shared_budget *budget) {
  uint32_t count = options->evicts ? 1 : SHARDS;
  size_t size = sizeof(struct shared_table) + count * sizeof(struct shard);
  struct shared_table *table = aligned_alloc(_Alignof(struct shared_table), size);
  if (!table) abort();
  memset(table, 0, size);
  table->name = memory_copy(name, strlen(name));
  table->options = *options;
  table->budget = budget;
  table->secret = siphash_make_key();
  table->shard_count = count;
  for (uint32_t i = 0; i < count; i++) shard_init(&table->shards[i]);
  table->next = atomic_load(&budget->tables);
  while (!atomic_compare_exchange_weak(&budget->tables, &table->next, table)) continue;
  return table;
}

static void destroy(struct shared_table *table) {
  for (uint32_t i = 0; i < table->shard_count; i++) shard_finish(&table->shards[i]);
  free(table->name);
  free(table);
}

void shared_table_destroy_all(struct shared_budget *budget) {
  struct shared_table *table = atomic_load(&budget->tables);
  while (table) {
    struct shared_table *next = table->next;
    destroy(table);
    table = next;
  }
  *budget = (struct shared_budget){.bytes_max = budget->bytes_max};
}

struct shared_table *shared_table_find(struct shared_budget *budget, const char *name) {
  struct shared_table *table = atomic_load_explicit(&budget->tables, memory_order_acquire);
  while (table && strcmp(table->name, name) != 0) table = table->next;
  return table;
}

size_t shared_table_used_bytes(const struct shared_table *table) {
  return atomic_load_explicit(&table->used_bytes, memory_order_relaxed);
}

struct shard *shared_table_shard(struct shared_table *table, uint32_t number) {
  return number < table->shard_count ? &table->shards[number] : NULL;
}

const char *shared_table_name(const struct shared_table *table) {
  return table->name;
}

const struct shared_options *shared_table_options(const struct shared_table *table) {
  return &table->options;
}

struct shared_key shared_table_key(const struct shared_table *table, const char *text, size_t len,
                                   int64_t integer) {
  struct shared_key key = {.text = text, .len = len, .integer = integer};
  if (text)
    key.hash = siphash(&table->secret, text, len);
  else
    key.hash = ~siphash(&table->secret, &integer, sizeof integer);
  return key;
}

static struct shard *shard_of(struct shared_table *table, uint64_t hash) {
  return &table->shards[(hash >> 32) & (table->shard_count - 1)];
}

/* ---- bytes ---- */

static size_t count_bytes(size_t key_len, const struct shared_value *value) {
  if (value->type == SHARED_NIL) return 0;
  const struct blob *blob = shared_value_blob(value);
  return sizeof(struct shard_entry) + key_len + (blob ? sizeof *blob + blob->len : 0);
}

static size_t count_entry(const struct shard_entry *entry) {
  return count_bytes(entry->len, &entry->value);
}

static bool take_bytes(_Atomic(size_t) *used, size_t bytes, size_t bytes_max) {
  if (atomic_fetch_add_explicit(used, bytes, memory_order_relaxed) + bytes <= bytes_max)
    return true;
  atomic_fetch_sub_explicit(used, bytes, memory_order_relaxed);
  return false;
}

static void give_bytes(struct shared_table *table, size_t bytes) {
  atomic_fetch_sub_explicit(&table->used_bytes, bytes, memory_order_relaxed);
  atomic_fetch_sub_explicit(&table->budget->used_bytes, bytes, memory_order_relaxed);
}

static size_t bytes_max_of(const struct shared_table *table) {
  size_t all = table->budget->bytes_max, own = table->options.bytes_max;
  return own == 0 || own > all ? all : own;
}

/* What had `before` bytes has `after` bytes from now on; false when there is no room for that. */
static bool charge(struct shared_table *table, size_t before, size_t after) {
  struct shared_budget *budget = table->budget;
  if (after <= before) {
    if (after < before) give_bytes(table, before - after);
    return true;
  }
  size_t more = after - before;
  if (!take_bytes(&table->used_bytes, more, bytes_max_of(table))) return false;
  if (take_bytes(&budget->used_bytes, more, budget->bytes_max)) return true;
  atomic_fetch_sub_explicit(&table->used_bytes, more, memory_order_relaxed);
  return false;
}

/* ---- who waits ---- */

static void release_waiter(struct shared_waiter *waiter) {
  if (atomic_fetch_sub_explicit(&waiter->references, 1, memory_order_acq_rel) == 1) free(waiter);
}

static void deliver_change(struct message *message, void *owner) {
  struct shared_waiter *waiter = container_of(message, struct shared_waiter, message);
  const struct worker *worker = owner;
  if (worker->L) fiber_wake(waiter->ticket);
  release_waiter(waiter);
}

struct shared_waiter *shared_table_make_waiter(struct fiber *fiber) {
  struct shared_waiter *waiter = memory_alloc_zero(sizeof *waiter);
  waiter->message.deliver = deliver_change;
  list_init(&waiter->link);
  atomic_init(&waiter->references, 1);
  waiter->directory = fiber->worker->process->directory;
  waiter->worker = fiber->worker->number;
  waiter->ticket = fiber_ticket(fiber);
  return waiter;
}

/* The value of an entry changes, or goes. */
static void take_waiters(struct op *op, struct shard_entry *entry) {
  struct list *link;
  while ((link = list_pop(&entry->waiters))) {
    struct shared_waiter *waiter = container_of(link, struct shared_waiter, link);
    waiter->entry = NULL;
    atomic_store_explicit(&waiter->is_over, true, memory_order_release);
    list_push(&op->woken, link);
  }
}

static void wake_waiters(struct list *woken) {
  struct list *link;
  while ((link = list_pop(woken))) {
    struct shared_waiter *waiter = container_of(link, struct shared_waiter, link);
    if (!directory_post(waiter->directory, waiter->worker, &waiter->message))
      release_waiter(waiter);
  }
}

/* ---- in and out ---- */

static void op_init(struct op *op, const struct shared_call *call, struct shard *shard) {
  *op = (struct op){.call = call, .table = call->table, .shard = shard};
  list_init(&op->woken);
}

static void take_out(struct op *op, struct shard_entry *entry) {
  take_waiters(op, entry);
  give_bytes(op->table, count_entry(entry));
  shard_remove(op->shard, entry, &op->luggage);
}

/* Gives how many steps it has taken, `max` at most: it is not done then. */
static int expire(struct op *op, int max) {
  int left = max;
  struct shard_entry *entry;
  while (left > 0 && (entry = shard_find_due(op->shard, op->call->now_ns, &left))) {
    take_out(op, entry);
    left--;
  }
  return max - left;
}

static bool enter(struct op *op, struct shared_call *call) {
  if (call->waits) {
    gate_enter(&op->shard->gate);
  } else if (!gate_try(&op->shard->gate)) {
    call->gate = &op->shard->gate;
    return false;
  }
  expire(op, EXPIRE_MAX);
  return true;
}

static void clean_up(struct op *op) {
  shard_unpack(&op->luggage);
  shared_value_release(&op->old);
  wake_waiters(&op->woken);
}

/* An entry that is there, be it for those who wait alone. */
static struct shard_entry *find(struct op *op) {
  struct shard_entry *entry = shard_find(op->shard, &op->call->key);
  if (!entry || entry->due_ns == 0 || entry->due_ns > op->call->now_ns) return entry;
  take_out(op, entry);
  return NULL;
}

static bool has_value(const struct shard_entry *entry) {
  return entry && entry->value.type != SHARED_NIL;
}

static void touch(struct op *op, struct shard_entry *entry) {
  if (!op->table->options.evicts) return;
  list_remove(&entry->used);
  list_push(&op->shard->used, &entry->used);
}

/* ---- room ---- */

static struct shard_entry *make_entry(const struct shared_key *key) {
  struct shard_entry *entry = memory_alloc_zero(sizeof *entry + key->len);
  entry->hash = key->hash;
  entry->has_integer_key = !key->text;
  entry->integer = key->integer;
  entry->len = key->len;
  if (key->len > 0) memcpy(entry->text, key->text, key->len);
  list_init(&entry->used);
  list_init(&entry->waiters);
  return entry;
}

static void pack_rung(void ***rung, uint32_t len) {
  free(*rung);
  *rung = memory_alloc_zero(len * sizeof **rung);
}

/* Outside: gets what was lacking inside; false when nothing was. */
static bool pack(struct op *op) {
  struct shard_luggage *luggage = &op->luggage;
  bool lacks = op->lacks_entry || luggage->lacks_chains || luggage->lacks_due;
  if (op->lacks_entry) luggage->entry = make_entry(&op->call->key);
  if (luggage->lacks_chains) pack_rung(&luggage->chains, luggage->chains_len);
  if (luggage->lacks_due) pack_rung(&luggage->due, luggage->due_len);
  op->lacks_entry = luggage->lacks_chains = luggage->lacks_due = false;
  return lacks;
}

/* Inside: whether the entry (NULL: a new one) can be given a value that expires, or not. */
static bool is_packed(struct op *op, const struct shard_entry *entry, bool expires) {
  op->lacks_entry = !entry && !op->luggage.entry;
  return shard_reserve(op->shard, &op->luggage, expires) && !op->lacks_entry;
}

static bool evict(struct op *op, const struct shard_entry *except) {
  for (struct list *link = op->shard->used.next; link != &op->shard->used; link = link->next) {
    struct shard_entry *entry = container_of(link, struct shard_entry, used);
    if (entry == except) continue;
    take_out(op, entry);
    return true;
  }
  return false;
}

/* Inside: as charge(), for the value of an entry (NULL: a new one). */
static bool make_room(struct op *op, const struct shard_entry *entry, size_t after) {
  size_t before = entry ? count_entry(entry) : 0;
  for (int i = 0; !charge(op->table, before, after); i++)
    if (!op->table->options.evicts || i == EVICT_MAX || !evict(op, entry)) return false;
  return true;
}

/* Outside: takes what has expired out of a table; gives how much that was, about. */
static int clear_table(struct shared_call *call, struct shared_table *table) {
  struct shared_call clearing = {.table = table, .now_ns = call->now_ns, .waits = call->waits};
  int count = 0;
  for (uint32_t i = 0; i < table->shard_count && !call->gate; i++) {
    struct op op;
    op_init(&op, &clearing, &table->shards[i]);
    bool is_in = enter(&op, &clearing);
    call->gate = clearing.gate;
    if (!is_in) break;
    count += expire(&op, CLEAR_MAX) + (op.luggage.taken_out ? 1 : 0);
    gate_leave(&op.shard->gate);
    clean_up(&op);
  }
  return count;
}

/* Outside: looks for room in all tables; false when there is none, or a gate is closed. */
static bool find_room(struct shared_call *call) {
  int count = clear_table(call, call->table);
  struct shared_table *table = atomic_load(&call->table->budget->tables);
  for (; table && count == 0 && !call->gate; table = table->next) count = clear_table(call, table);
  return count > 0 && !call->gate;
}

/* ---- values ---- */

/* Inside: how a step has gone that may have to be taken again. */
enum step { STEP_DONE, STEP_LACKS, STEP_FULL, STEP_REFUSED, STEP_NOT_NUMBER, STEP_OVERFLOW };

/* Gives the entry (NULL: a new one) a value, which is taken over. */
static enum step set_value(struct op *op, struct shard_entry *entry,
                           const struct shared_value *value, uint64_t due_ns) {
  if (!is_packed(op, entry, due_ns > 0)) return STEP_LACKS;
  if (!make_room(op, entry, count_bytes(op->call->key.len, value))) return STEP_FULL;
  if (!entry) entry = shard_insert(op->shard, &op->luggage);
  op->old = entry->value;
  entry->value = *value;
  entry->version = ++op->shard->version;
  shard_set_due(op->shard, entry, due_ns);
  take_waiters(op, entry);
  touch(op, entry);
  return STEP_DONE;
}

static enum step put_value(struct op *op, const void *what) {
  const struct shared_put *put = what;
  struct shard_entry *entry = find(op);
  uint64_t version = has_value(entry) ? entry->version : 0;
  if (put->when == SHARED_IF_ABSENT && version > 0) return STEP_REFUSED;
  if (put->when == SHARED_IF_VERSION && version != put->version) return STEP_REFUSED;
  if (put->value.type != SHARED_NIL) {
    bool keeps_due = put->keeps_due && version > 0;
    return set_value(op, entry, &put->value, keeps_due ? entry->due_ns : put->due_ns);
  }
  if (has_value(entry)) take_out(op, entry);
  return STEP_DONE;
}

struct addition {
  struct shared_value *by;
  uint64_t due_ns;
};

static double number_of(const struct shared_value *value) {
  return value->type == SHARED_FLOAT ? value->number : (double)value->integer;
}

static enum step add_numbers(const struct shared_value *a, const struct shared_value *b,
                             struct shared_value *sum) {
  if (a->type != SHARED_INTEGER && a->type != SHARED_FLOAT) return STEP_NOT_NUMBER;
  sum->type = a->type == SHARED_FLOAT || b->type == SHARED_FLOAT ? SHARED_FLOAT : SHARED_INTEGER;
  if (sum->type == SHARED_FLOAT)
    sum->number = number_of(a) + number_of(b);
  else if (__builtin_add_overflow(a->integer, b->integer, &sum->integer))
    return STEP_OVERFLOW;
  return STEP_DONE;
}

static enum step add_value(struct op *op, const void *what) {
  const struct addition *addition = what;
  struct shard_entry *entry = find(op);
  struct shared_value sum = *addition->by;
  uint64_t due_ns = addition->due_ns;
  if (has_value(entry)) {
    enum step step = add_numbers(&entry->value, addition->by, &sum);
    if (step != STEP_DONE) return step;
    due_ns = entry->due_ns;
  }
  enum step step = set_value(op, entry, &sum, due_ns);
  if (step == STEP_DONE) *addition->by = sum;
  return step;
}

/* Takes a step until it is done, or cannot be; cleans up. */
static enum shared_result take_step(struct shared_call *call,
                                    enum step (*take)(struct op *op, const void *what),
                                    const void *what) {
  static const enum shared_result results[] = {[STEP_DONE] = SHARED_DONE,
                                               [STEP_LACKS] = SHARED_DONE,
                                               [STEP_FULL] = SHARED_FULL,
                                               [STEP_REFUSED] = SHARED_REFUSED,
                                               [STEP_NOT_NUMBER] = SHARED_NOT_NUMBER,
                                               [STEP_OVERFLOW] = SHARED_OVERFLOW};
  struct op op;
  op_init(&op, call, shard_of(call->table, call->key.hash));
  enum step step;
  bool again;
  do {
    if (!enter(&op, call)) {
      clean_up(&op);
      return SHARED_BUSY;
    }
    step = take(&op, what);
    bool has_evicted = op.table->options.evicts && op.luggage.taken_out;
    gate_leave(&op.shard->gate);
    again = step == STEP_LACKS ? pack(&op) : step == STEP_FULL && (has_evicted || find_room(call));
    if (step == STEP_FULL && !again && call->gate) {
      clean_up(&op);
      return SHARED_BUSY;
    }
    if (step == STEP_FULL) clean_up(&op);
  } while (again);
  clean_up(&op);
  return results[step];
}

enum shared_result shared_table_put(struct shared_call *call, const struct shared_put *put) {
  call->gate = NULL;
  if (count_bytes(call->key.len, &put->value) > bytes_max_of(call->table)) return SHARED_FULL;
  return take_step(call, put_value, put);
}

enum shared_result shared_table_add(struct shared_call *call, struct shared_value *by,
                                    uint64_t due_ns) {
  const struct addition addition = {by, due_ns};
  call->gate = NULL;
  return take_step(call, add_value, &addition);
}

enum shared_result shared_table_get(struct shared_call *call, struct shared_found *found) {
  struct op op;
  *found = (struct shared_found){0};
  op_init(&op, call, shard_of(call->table, call->key.hash));
  if (!enter(&op, call)) return SHARED_BUSY;
  struct shard_entry *entry = find(&op);
  if (has_value(entry)) {
    *found = (struct shared_found){shared_value_copy(&entry->value), entry->version, entry->due_ns};
    touch(&op, entry);
  }
  gate_leave(&op.shard->gate);
  clean_up(&op);
  return SHARED_DONE;
}

/* ---- waiting for a change ---- */

struct watching {
  struct shared_waiter *waiter;
  uint64_t version;
};

static enum step watch(struct op *op, const void *what) {
  const struct watching *watching = what;
  struct shard_entry *entry = find(op);
  if ((has_value(entry) ? entry->version : 0) != watching->version) return STEP_REFUSED;
  if (!is_packed(op, entry, false)) return STEP_LACKS;
  if (!entry) entry = shard_insert(op->shard, &op->luggage);
  struct shared_waiter *waiter = watching->waiter;
  waiter->entry = entry;
  waiter->table = op->table;
  waiter->shard = op->shard;
  list_push(&entry->waiters, &waiter->link);
  atomic_fetch_add_explicit(&waiter->references, 1, memory_order_relaxed);
  return STEP_DONE;
}

enum shared_result shared_table_watch(struct shared_call *call, struct shared_waiter *waiter,
                                      uint64_t version) {
  const struct watching watching = {waiter, version};
  call->gate = NULL;
  return take_step(call, watch, &watching);
}

/* Inside. */
static void stop_watching(struct shared_waiter *waiter) {
  struct shard_entry *entry = waiter->entry;
  if (!entry) return;
  struct shard_luggage luggage = {0};
  waiter->entry = NULL;
  list_remove(&waiter->link);
  if (list_is_empty(&entry->waiters) && !has_value(entry))
    shard_remove(waiter->shard, entry, &luggage);
  shard_unpack(&luggage);
  release_waiter(waiter);
}

static void run_unwatch(struct gate_note *note) {
  struct shared_waiter *waiter = container_of(note, struct shared_waiter, note);
  stop_watching(waiter);
  release_waiter(waiter);
}

bool shared_table_unwatch(struct shared_waiter *waiter) {
  bool is_over = atomic_load_explicit(&waiter->is_over, memory_order_acquire);
  waiter->note.run = run_unwatch;
  if (is_over || !waiter->shard) {
    release_waiter(waiter);
  } else if (gate_try_or_note(&waiter->shard->gate, &waiter->note)) {
    struct gate *gate = &waiter->shard->gate;
    run_unwatch(&waiter->note);
    gate_leave(gate);
  }
  return is_over;
}
