/* topic_hub.c - topics in lists by hash of their names.
 *
 * References are taken out of the hub, and topics freed, inside its gate alone: so what was found
 * there cannot go meanwhile. A note that was left at the gate of a topic needs no reference: who is
 * inside has one, and does not give it back before the note has run. */
#include "lib/topic_hub.h"

#include "base/limits.h"
#include "base/siphash.h"
#include "core/snapshot.h"
#include "core/worker.h"
#include "lib/topic_branch.h"

#include <stdlib.h>
#include <string.h>

enum { LISTS = 8192 };

struct topic_hub {
  struct gate gate; /* guards the lists and the count */
  _Atomic(unsigned) references;
  struct siphash_key secret;
  int count;                 /* of topics */
  struct list topics[LISTS]; /* topic.link */
};

static void *create(const void *context) {
  struct topic_hub *hub = memory_alloc_zero(sizeof *hub);
  (void)context;
  atomic_init(&hub->references, 1);
  hub->secret = siphash_make_key();
  for (int i = 0; i < LISTS; i++) list_init(&hub->topics[i]);
  return hub;
}

static void release_hub(void *hub) {
  struct topic_hub *own = hub;
  if (atomic_fetch_sub_explicit(&own->references, 1, memory_order_acq_rel) == 1) free(own);
}

struct topic_hub *topic_hub_of(const struct worker *worker) {
  static const struct snapshot_part part = {create, release_hub};
  return worker->snapshot ? snapshot_share(worker->snapshot, &part, NULL) : NULL;
}

struct gate *topic_hub_gate(struct topic_hub *hub) {
  return &hub->gate;
}

/* ---- references ---- */

static struct topic_ref *make_ref(struct topic_hub *hub, struct topic *topic) {
  struct topic_ref *ref = memory_alloc_zero(sizeof *ref);
  atomic_fetch_add_explicit(&topic->references, 1, memory_order_relaxed);
  atomic_fetch_add_explicit(&hub->references, 1, memory_order_relaxed);
  ref->topic = topic;
  ref->hub = hub;
  return ref;
}

static struct topic *make_topic(struct topic_hub *hub, struct list *topics, const char *name,
                                size_t len) {
  struct topic *topic = memory_alloc_zero(sizeof *topic + len + 1);
  list_init(&topic->branches);
  topic->len = len;
  memcpy(topic->name, name, len);
  list_push(topics, &topic->link);
  hub->count++;
  return topic;
}

struct topic_ref *topic_hub_find(struct topic_hub *hub, const char *name, size_t len) {
  struct list *topics = &hub->topics[siphash(&hub->secret, name, len) % LISTS];
  for (struct list *link = topics->next; link != topics; link = link->next) {
    struct topic *topic = container_of(link, struct topic, link);
    if (topic->len == len && memcmp(topic->name, name, len) == 0) return make_ref(hub, topic);
  }
  if (hub->count == TOPICS_MAX) return NULL;
  return make_ref(hub, make_topic(hub, topics, name, len));
}

struct topic_ref *topic_hub_copy(const struct topic_ref *ref) {
  return make_ref(ref->hub, ref->topic);
}

/* Inside the gate of the hub. */
static void end_ref(struct gate_note *note) {
  struct topic_ref *ref = container_of(note, struct topic_ref, note);
  struct topic *topic = ref->topic;
  if (atomic_fetch_sub_explicit(&topic->references, 1, memory_order_acq_rel) == 1) {
    list_remove(&topic->link);
    ref->hub->count--;
    free(topic);
  }
  free(ref);
}

void topic_hub_release(struct topic_ref *ref) {
  if (!ref) return;
  struct topic_hub *hub = ref->hub;
  ref->note.run = end_ref;
  if (gate_try_or_note(&hub->gate, &ref->note)) {
    end_ref(&ref->note);
    gate_leave(&hub->gate);
  }
  release_hub(hub);
}

/* ---- publishing ---- */

struct publication {
  struct gate_note note;
  struct topic *topic;
  struct blob *blob;
};

/* Inside the gate of the topic. */
static void distribute(struct gate_note *note) {
  struct publication *publication = container_of(note, struct publication, note);
  struct list *branches = &publication->topic->branches;
  for (struct list *link = branches->next; link != branches; link = link->next)
    topic_branch_add(container_of(link, struct topic_branch, link), publication->blob);
  blob_release(publication->blob);
  free(publication);
}

void topic_hub_publish(struct topic *topic, struct blob *blob) {
  struct publication *publication = memory_alloc_zero(sizeof *publication);
  *publication = (struct publication){.note = {.run = distribute}, topic, blob};
  if (!gate_try_or_note(&topic->gate, &publication->note)) return;
  distribute(&publication->note);
  gate_leave(&topic->gate);
}
