/*
 * The PROXY protocol: the header by which a load balancer tells whose connection it hands on, v1
 * (text) and v2 (binary), and v1 as Doris reads it. Source: haproxy, doc/proxy-protocol.txt. Pure;
 * any thread.
 *
 *     v1   PROXY TCP4 192.0.2.1 192.0.2.2 51111 3306\r\n      TCP6 likewise; PROXY UNKNOWN ...\r\n
 *
 *     v2   signature 12 | version 4, command 4 | family 4, transport 4 | length 2 | addresses | TLVs
 *          command     0 LOCAL, the balancer's own    1 PROXY
 *          addresses   0 none   1 IPv4, 12 bytes   2 IPv6, 36   3 Unix, 216; then type 1, length 2 ...
 */
#ifndef PROXY_PROXYPROTO_H
#define PROXY_PROXYPROTO_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "proxy/listener.h"

enum {
    PROXYPROTO_V1_MAX = 107,  /* line end included */
    PROXYPROTO_V2_MAX = 4096, /* all of it; the protocol would allow 64 KB of TLVs */
    PROXYPROTO_MAX_SIZE = PROXYPROTO_V2_MAX,
};

struct proxyproto {
    size_t size;                /* bytes of the header; what follows is the client's */
    bool has_addresses;         /* false: UNKNOWN, LOCAL, Unix: the peer is who it seems */
    struct address source;      /* the client */
    struct address destination; /* where it connected to */
};

enum proxyproto_step {
    PROXYPROTO_MORE, /* all of `bytes` belongs to the header, which goes on */
    PROXYPROTO_DONE,
    PROXYPROTO_BAD, /* *err says why */
};

/* What begins the connection so far; from MORE on it is called with more of it. */
enum proxyproto_step proxyproto_parse(struct span bytes, struct proxyproto *ret, struct err *err);

/*
 * Appends a v1 header. Addresses of two families cannot be told by it: UNKNOWN is, then, and for
 * NULL. IPv4-mapped IPv6 addresses go as IPv4.
 */
void proxyproto_put_v1(struct buf *out, const struct address *source,
                       const struct address *destination);

#endif
