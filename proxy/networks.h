/*
 * A list of IP networks, as configured: "10.0.0.0/8, 192.0.2.7, 2001:db8::/32". An IPv4 address that
 * comes as an IPv4-mapped IPv6 one (::ffff:10.0.0.7) is the IPv4 address. Pure; immutable once read;
 * any thread.
 */
#ifndef PROXY_NETWORKS_H
#define PROXY_NETWORKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "proxy/listener.h"

enum { NETWORKS_MAX = 256 };

struct network {
    int family;        /* AF_INET or AF_INET6 */
    unsigned n_bits;   /* of the prefix */
    uint8_t bytes[16]; /* 4 or 16 of them, in network order; 0 behind the prefix */
};

struct networks {
    struct network *items; /* owned */
    size_t n;
};

/*
 * Separated by commas; blanks around an entry and empty entries are skipped. An address without a
 * prefix length is that host alone. err names the entry that is wrong, and why.
 */
bool networks_parse(struct span text, struct networks *ret, struct err *err);
void networks_fini(struct networks *n);
bool networks_contain(const struct networks *n, const struct address *a);
/* An IPv4-mapped IPv6 address becomes the IPv4 one; every other stays as it is. */
void networks_unmap(struct address *a);

#endif
