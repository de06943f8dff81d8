/* topic_hub.h - the topics of an app, by name, and what is published.
 *
 * A topic is there while somebody refers to it, in whatever state. What is published is bytes that
 * all states share; each state with subscribers has a branch (lib/topic_branch.h) that gets it.
 * Publishing never waits: who finds the topic's gate closed leaves the bytes there. */
#ifndef LIB_TOPIC_HUB_H
#define LIB_TOPIC_HUB_H

#include "base/list.h"
#include "core/blob.h"
#include "core/gate.h"

#include <stddef.h>

struct topic_hub;
struct worker;

struct topic {
  struct gate gate;     /* guards the branches, and what they say it does */
  struct list branches; /* topic_branch.link */
  struct list link;     /* in the hub, guarded by its gate */
  _Atomic(unsigned) references;
  size_t len;
  char name[]; /* terminated */
};

/* One reference to a topic; from its owner to its end. */
struct topic_ref {
  struct gate_note note;
  struct topic *topic;
  struct topic_hub *hub;
};

/* [owner] The hub of the app that the worker's state has loaded, or is loading; NULL when there is
 * none. It lives as long as the app, and as any reference. */
struct topic_hub *topic_hub_of(const struct worker *worker);

/* [any thread] The gate that guards which topics there are. */
struct gate *topic_hub_gate(struct topic_hub *hub);

/* [any thread] Inside that gate: a new reference to the topic of that name; NULL when there are too
 * many topics. */
struct topic_ref *topic_hub_find(struct topic_hub *hub, const char *name, size_t len);

/* [any thread] Another reference to the same. */
struct topic_ref *topic_hub_copy(const struct topic_ref *ref);

/* [any thread] Ends a reference; accepts NULL. Waits for nothing. */
void topic_hub_release(struct topic_ref *ref);

/* [any thread] Hands the bytes, whose reference is taken over, to all branches: in the order in
 * which one thread publishes. */
void topic_hub_publish(struct topic *topic, struct blob *blob);

#endif
