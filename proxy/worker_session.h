/*
 * What a session sees of its worker beyond worker.h. Only for proxy/session*.c and worker.c.
 */
#ifndef PROXY_WORKER_SESSION_H
#define PROXY_WORKER_SESSION_H

#include "proxy/worker.h"

enum { WORKER_SCRATCH_SIZE = 64 << 10 };

/* One read buffer for all sessions of the worker: its content is worth nothing after a callback. */
char *worker_scratch(struct worker *w);
struct worker_shared *worker_shared(struct worker *w);
struct worker_counters *worker_own_counters(struct worker *w);
/* The FE that the last session reached; new sessions try it first. */
size_t worker_good_backend(const struct worker *w);
void worker_set_good_backend(struct worker *w, size_t i);
bool worker_is_draining(const struct worker *w);
/* The session is ending: worker_find_session() does not find it any more. */
void worker_session_ended(struct worker *w, struct session *s);
/* Nothing of it is left to do: destroyed at the end of the loop turn. */
void worker_session_dead(struct worker *w, struct session *s);

static inline void worker_count(_Atomic uint64_t *counter)
{
    /* One writer: a plain add, without the lock prefix of atomic_fetch_add(). */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + 1, memory_order_relaxed);
}

#endif
