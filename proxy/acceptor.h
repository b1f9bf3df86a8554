/*
 * Accepts connections on the listening sockets of one worker. Owned by the worker; used on its
 * thread.
 */
#ifndef PROXY_ACCEPTOR_H
#define PROXY_ACCEPTOR_H

#include <stddef.h>

#include "base/err.h"
#include "proxy/listener.h"

struct event_base;
struct acceptor;

/* Takes fd, a non-blocking socket. */
typedef void (*acceptor_fn)(int fd, const struct address *peer, void *arg);

/* Accepting begins with the loop. `fds` are borrowed and outlive it. */
struct acceptor *acceptor_create(struct event_base *base, const int *fds, size_t n_fds,
                                 acceptor_fn on_connection, void *arg, struct err *err);
/*
 * Takes what waits in the sockets' queues, to the last one; nobody is added any more, and they can be
 * closed. Only for sockets that nobody else has.
 */
void acceptor_empty(struct acceptor *a);
void acceptor_destroy(struct acceptor *a); /* NULL is accepted */

#endif
