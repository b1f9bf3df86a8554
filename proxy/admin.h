/*
 * The admin HTTP server (http.listen) on main's loop: GET /health (200; 503 while Sluice drains, so
 * that a load balancer sends nobody any more) and GET /metrics (Prometheus text). It reads counters only and never blocks. No authentication: bind it to a private address.
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct event_base;
struct host_port;
struct sched_counters;
struct worker;
struct worker_shared;

/* Written and read by main. */
struct app_status {
    bool is_draining;
    bool is_reload_ok; /* of the last time the configuration was read */
    int64_t reload_ms; /* when that was; wall clock */
};

struct admin_env {
    struct worker *const *workers; /* borrowed */
    size_t n_workers;
    const struct sched_counters *sched; /* borrowed, as the next two */
    const struct worker_shared *shared;
    const struct app_status *status;
};

struct admin;

/* `env` is borrowed. */
struct admin *admin_create(struct event_base *base, const struct host_port *listen,
                           const struct admin_env *env, struct err *err);
/* The same on n sockets, one or more, that listen already; closed in the end, or on failure. */
struct admin *admin_adopt(struct event_base *base, const int *fds, size_t n,
                          const struct admin_env *env, struct err *err);
void admin_destroy(struct admin *a); /* NULL is accepted */

#endif
