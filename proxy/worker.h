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
#include "proxy/session_limits.h"

struct backends;
struct config;
struct event_base;
struct killer;
struct networks;
struct session;
struct settings;
struct tls_context;
struct worker;

enum { WORKER_MAX_LISTENERS = 64, WORKER_N_STATES = 9, WORKER_N_ENDINGS = 16 };

/* Written by the worker, read by anyone. */
struct worker_counters {
    _Atomic uint64_t accepted;                  /* connections, refused ones too */
    _Atomic uint64_t refused;                   /* by proxy.max_connections */
    _Atomic uint64_t fe_failures;               /* connection attempts to an FE that failed */
    _Atomic uint64_t local_statements;          /* answered here, not by the FE */
    _Atomic uint64_t from_clients;              /* bytes read, TLS taken off */
    _Atomic uint64_t tls_sessions;              /* of those logged in now, by TLS with the client */
    _Atomic uint64_t to_clients;                /* bytes, our own answers too */
    _Atomic uint64_t states[WORKER_N_STATES];   /* sessions now, by enum session_state */
    _Atomic uint64_t endings[WORKER_N_ENDINGS]; /* sessions so far, by enum session_ending */
};

/*
 * What all workers of the process share; main owns it and it outlives them. n_sessions and limits
 * are what they all write: proxy.max_connections and max_user_connections count over all workers.
 */
struct worker_shared {
    const struct config *config;           /* at the start; worker_config() is that of now */
    struct backends *backends;             /* proxy.backend, resolved; at least one */
    const struct networks *announced_from; /* proxy.proxy_protocol_from; NULL: nowhere */
    struct tls_context *tls;               /* at the start; NULL: no TLS at all */
    struct killer *killer;                 /* for KILL on other FEs; NULL: KILL is relayed */
    /* All of them, for KILL; set before any starts. */
    struct worker *const *workers;
    size_t n_workers;
    _Atomic int64_t n_sessions;
    struct session_limits limits;
};

struct worker_env {
    struct worker_shared *shared;
    int index; /* 0..63, unique: part of the session ids */
    size_t n_listen_fds;
    int listen_fds[WORKER_MAX_LISTENERS]; /* from listener_open(); the worker owns them */
    void *local_env;                      /* worker_local_env(), for the local side; borrowed */
};

enum worker_stop {
    WORKER_DRAIN, /* no new sessions, idle ones end, others within proxy.drain_timeout */
    WORKER_LEAVE, /* the same; clients in the sockets' queues are left to who else has these */
    WORKER_NOW,
};

/* Before the thread runs. On failure env->listen_fds are closed, too. */
struct worker *worker_create(const struct worker_env *env, struct err *err);
bool worker_start(struct worker *w, struct err *err);
/* From any thread, more than once if need be. */
void worker_stop(struct worker *w, enum worker_stop how);
/* From any thread. Takes the caller's reference: worker_config() shows these from then on. */
void worker_reconfigure(struct worker *w, struct settings *settings);
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
