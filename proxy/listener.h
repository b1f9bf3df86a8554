/*
 * Addresses and listening sockets. Resolving may block, so main does it before the loops run.
 */
#ifndef PROXY_LISTENER_H
#define PROXY_LISTENER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/err.h"

struct host_port;

/* A numeric address; 28 bytes instead of sockaddr_storage's 128, as every session keeps one. */
struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    socklen_t size;
};

enum { ADDRESS_TEXT_SIZE = 64 };

/* "10.0.0.7:5311" or "[::1]:5311". */
void address_format(const struct address *a, char ret_text[ADDRESS_TEXT_SIZE]);
/*
 * All addresses that a host has, in the resolver's order; *ret (owned by the caller, free()) grows
 * from *ret_n entries. May block.
 */
bool address_resolve(const struct host_port *from, struct address **ret, size_t *ret_n,
                     struct err *err);

/*
 * Does nobody listen there yet? SO_REUSEPORT alone would let a second Sluice of the same user join
 * in, and take half of the connections.
 */
bool listener_check_free(const struct address *at, struct err *err);
/*
 * A non-blocking listening socket with SO_REUSEPORT; -1 and *err on failure. With port 0 the kernel
 * picks one: ask listener_address() and give that to the listeners of the other workers.
 */
int listener_open(const struct address *at, struct err *err);
bool listener_address(int fd, struct address *ret, struct err *err);

#endif
