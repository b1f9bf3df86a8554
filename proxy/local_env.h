/*
 * What the local side of every session uses; made by main, the same for all workers, immutable.
 */
#ifndef PROXY_LOCAL_ENV_H
#define PROXY_LOCAL_ENV_H

#include <stdint.h>

struct sched;
struct views;

struct local_env {
    struct sched *sched;
    struct views *views;
    int64_t default_interval_s;
};

#endif
