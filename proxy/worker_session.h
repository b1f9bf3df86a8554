/*
 * What a session sees of its worker beyond worker.h. Only for proxy/session*.c and worker.c.
 */
#ifndef PROXY_WORKER_SESSION_H
#define PROXY_WORKER_SESSION_H

#include "proxy/worker.h"

/*
 * Of one read. Not 64 KB: sending so much makes a segment of the largest size, 65,483 bytes on
 * loopback, and a tiny one, which costs 30 % more CPU per byte than 32 or 48, and more than 256 KB do.
 */
enum { WORKER_SCRATCH_SIZE = 48 << 10 };

/* One read buffer for all sessions of the worker: its content is worth nothing after a callback. */
char *worker_scratch(struct worker *w);
struct worker_shared *worker_shared(struct worker *w);
struct worker_counters *worker_own_counters(struct worker *w);
/* Of now, as worker_config(): proxy.tls and proxy.backend_tls; NULL: neither. */
struct tls_context *worker_tls(const struct worker *w);
bool worker_is_draining(const struct worker *w);
/* How many sessions are in a state: one has left `from`. Of WORKER_N_STATES, one is none. */
void worker_session_moved(struct worker *w, unsigned from, unsigned to);
/* The session is ending: worker_find_session() does not find it any more. */
void worker_session_ended(struct worker *w, struct session *s);
/* Nothing of it is left to do: destroyed at the end of the loop turn. */
void worker_session_dead(struct worker *w, struct session *s);

static inline void worker_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* One writer: a plain add, without the lock prefix of atomic_fetch_add(). */
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

static inline void worker_count(_Atomic uint64_t *counter)
{
    worker_add(counter, 1);
}

/* Sees every session, those that are ending, too; it must not end any. */
void worker_each_session(struct worker *w, void (*each)(struct session *s, void *arg), void *arg);

#endif
