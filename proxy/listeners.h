/*
 * The sockets that clients connect to: opened here, one a worker, or taken over from systemd or
 * from the process that ran before. Main owns them and gives each worker copies of its own; what
 * was taken over is shared when there are more workers than sockets.
 */
#ifndef PROXY_LISTENERS_H
#define PROXY_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct address;
struct worker_env;

enum { LISTENERS_MAX = 64 };

struct listeners {
    size_t n;
    int fds[LISTENERS_MAX]; /* owned */
    bool live_on;           /* somebody else has them, too: clients in their queues are not lost */
};

/* n sockets on one address. Port 0: any free one, which *at is then. */
bool listeners_open(struct address *at, size_t n, struct listeners *ret, struct err *err);
/*
 * Adds copies for worker i of n to env: of the sockets of one address, each worker has its share,
 * or shares one with others.
 */
bool listeners_give(const struct listeners *l, size_t i, size_t n, struct worker_env *env,
                    struct err *err);
void listeners_close(struct listeners *l);

#endif
