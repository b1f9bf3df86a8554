/*
 * A worker: one thread with an event loop, a listener, and the sessions accepted on it.
 *
 *     main:    worker_create ─ worker_start ─ ... ─ worker_stop ─ worker_join ─ worker_destroy
 *     others:  msgq_send(worker_msgq(w), &call->m)  ─>  call->run(w, call) on the worker's thread
 *
 * Nothing of a worker is touched from another thread but its message queue and its counters.
 */
#ifndef PROXY_WORKER_H
#define PROXY_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/msgq.h"
#include "proxy/listener.h"

struct config;
struct event_base;
struct session;
struct worker;

/* Written by the worker, read by anyone. */
struct worker_counters {
    _Atomic uint64_t accepted;         /* connections, refused ones too */
    _Atomic uint64_t refused;          /* by proxy.max_connections */
    _Atomic uint64_t fe_failures;      /* connection attempts to an FE that failed */
    _Atomic uint64_t local_statements; /* answered here, not by the FE */
};

/*
 * What all workers of the process share; main owns it and it outlives them. n_sessions is the one
 * thing they all write: proxy.max_connections counts over all workers.
 */
struct worker_shared {
    const struct config *config;
    const struct address *backends; /* proxy.backend, resolved */
    size_t n_backends;
    _Atomic int64_t n_sessions;
};

struct worker_env {
    struct worker_shared *shared;
    int index;       /* 0..63, unique: part of the session ids */
    int listen_fd;   /* from listener_open(); the worker owns it */
    void *local_env; /* worker_local_env(), for the local side; borrowed */
};

enum worker_stop {
    WORKER_DRAIN, /* no new sessions, idle ones end, others within proxy.drain_timeout */
    WORKER_NOW,
};

/* Before the thread runs. On failure env->listen_fd is closed, too. */
struct worker *worker_create(const struct worker_env *env, struct err *err);
bool worker_start(struct worker *w, struct err *err);
/* From any thread, more than once if need be. */
void worker_stop(struct worker *w, enum worker_stop how);
/* Waits for the thread to end. After it, and before worker_destroy(), sends are still harmless. */
void worker_join(struct worker *w);
/* Joined or never started. NULL is accepted. */
void worker_destroy(struct worker *w);

/* From any thread. It takes struct msg_call only, with the worker as receiver. */
struct msgq *worker_msgq(struct worker *w);
const struct worker_counters *worker_counters(const struct worker *w);

/* From the worker's thread. */
void *worker_local_env(struct worker *w);
struct event_base *worker_base(struct worker *w);
const struct config *worker_config(const struct worker *w);
/* NULL when the session has ended or is ending: drop the reply then. */
struct session *worker_find_session(struct worker *w, uint64_t id);

#endif
