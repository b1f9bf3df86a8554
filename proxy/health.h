/*
 * The thread that asks every FE, each proxy.health_interval, whether it is well: by /api/bootstrap
 * on the port of doris.http, which every FE of a cluster has alike, else by a login as doris.user.
 * Never by a bare connect and close, for which MySQL-like servers block a host. It tells backends.h,
 * which sessions choose by.
 */
#ifndef PROXY_HEALTH_H
#define PROXY_HEALTH_H

#include <stdint.h>

#include "base/err.h"
#include "sources/fe_conn.h"

struct backends;
struct health;

/* All borrowed until health_destroy(). */
struct health_options {
    struct backends *backends;
    const struct fe_login *login;
    int http_port; /* 0: doris.http is not configured */
    int64_t interval_ms;
};

/* Starts the thread. */
struct health *health_create(const struct health_options *options, struct err *err);
/* Ends and joins it, wherever it is. NULL is accepted. */
void health_destroy(struct health *h);

#endif
