/*
 * The admin HTTP server (http.listen) on main's loop: GET /health and GET /metrics (Prometheus
 * text). It reads counters only and never blocks. No authentication: bind it to a private address.
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include <stddef.h>

#include "base/err.h"

struct event_base;
struct host_port;
struct sched_counters;
struct worker;

struct admin_env {
    struct worker *const *workers; /* borrowed */
    size_t n_workers;
    const struct sched_counters *sched; /* borrowed */
};

struct admin;

/* `env` is borrowed. */
struct admin *admin_create(struct event_base *base, const struct host_port *listen,
                           const struct admin_env *env, struct err *err);
void admin_destroy(struct admin *a); /* NULL is accepted */

#endif
