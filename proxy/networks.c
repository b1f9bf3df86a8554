#include <arpa/inet.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/networks.h"

enum { V4_BITS = 32, V6_BITS = 128, MAPPED_BITS = 96, SHOWN_BYTES = 64 };

static bool refuse(struct span entry, const char *why, struct err *err)
{
    entry.n = entry.n < SHOWN_BYTES ? entry.n : SHOWN_BYTES;
    return err_say(err, "\"%.*s\" %s", SPAN_ARG(entry), why);
}

static bool is_mapped(const uint8_t bytes[16])
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return memcmp(bytes, prefix, sizeof(prefix)) == 0;
}

static bool read_host(struct span text, struct network *ret)
{
    char host[INET6_ADDRSTRLEN] = "";
    if (text.n == 0 || text.n >= sizeof(host)) {
        return false;
    }
    memcpy(host, text.p, text.n);
    if (inet_pton(AF_INET, host, ret->bytes) == 1) {
        ret->family = AF_INET;
        ret->n_bits = V4_BITS;
        return true;
    }
    ret->family = AF_INET6;
    ret->n_bits = V6_BITS;
    return inet_pton(AF_INET6, host, ret->bytes) == 1;
}

static bool has_bits_behind(const struct network *net)
{
    unsigned n_bits = net->family == AF_INET ? V4_BITS : V6_BITS;
    for (unsigned i = net->n_bits; i < n_bits; i++) {
        if ((net->bytes[i / 8] >> (7 - i % 8) & 1) != 0) {
            return true;
        }
    }
    return false;
}

static bool read_network(struct span entry, struct network *ret, struct err *err)
{
    struct network net = {0};
    int64_t n_bits = 0;
    const char *slash = memchr(entry.p, '/', entry.n);
    struct span host = slash != NULL ? span_between(entry.p, slash) : entry;
    if (!read_host(host, &net)) {
        return refuse(entry, "is neither an IPv4 nor an IPv6 address or network", err);
    }
    if (slash != NULL) {
        struct span digits = span_between(slash + 1, entry.p + entry.n);
        if (!span_to_int64(digits, 0, net.n_bits, &n_bits)) {
            return refuse(entry,
                          net.family == AF_INET ? "has no prefix length from 0 to 32"
                                                : "has no prefix length from 0 to 128",
                          err);
        }
        net.n_bits = (unsigned)n_bits;
    }
    if (has_bits_behind(&net)) {
        return refuse(entry, "has bits set behind its prefix; give the network's own address", err);
    }
    if (net.family == AF_INET6 && net.n_bits >= MAPPED_BITS && is_mapped(net.bytes)) {
        struct network v4 = {.family = AF_INET, .n_bits = net.n_bits - MAPPED_BITS};
        memcpy(v4.bytes, net.bytes + 12, 4);
        net = v4;
    }
    *ret = net;
    return true;
}

static bool add_entry(struct networks *list, struct span entry, struct err *err)
{
    struct network net = {0};
    if (list->n == NETWORKS_MAX) {
        return refuse(entry, "is one too many", err);
    }
    if (!read_network(entry, &net, err)) {
        return false;
    }
    list->items = xrealloc_array(list->items, list->n + 1, sizeof(*list->items));
    list->items[list->n++] = net;
    return true;
}

bool networks_parse(struct span text, struct networks *ret, struct err *err)
{
    struct networks list = {0};
    const char *end = text.p + text.n;
    for (const char *p = text.p; p < end;) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        struct span entry = span_trim(span_between(p, comma != NULL ? comma : end));
        if (entry.n > 0 && !add_entry(&list, entry, err)) {
            networks_fini(&list);
            return false;
        }
        p = comma != NULL ? comma + 1 : end;
    }
    *ret = list;
    return true;
}

void networks_fini(struct networks *n)
{
    free(n->items);
    *n = (struct networks){0};
}

void networks_unmap(struct address *a)
{
    if (a->to.any.sa_family != AF_INET6 || !is_mapped(a->to.v6.sin6_addr.s6_addr)) {
        return;
    }
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = a->to.v6.sin6_port};
    memcpy(&v4.sin_addr, a->to.v6.sin6_addr.s6_addr + 12, 4);
    *a = (struct address){.to.v4 = v4, .size = sizeof(v4)};
}

static bool is_within(const struct network *net, const uint8_t *bytes)
{
    unsigned n_whole = net->n_bits / 8;
    unsigned n_rest = net->n_bits % 8;
    if (memcmp(net->bytes, bytes, n_whole) != 0) {
        return false;
    }
    return n_rest == 0 || (net->bytes[n_whole] ^ bytes[n_whole]) >> (8 - n_rest) == 0;
}

bool networks_contain(const struct networks *n, const struct address *a)
{
    struct address plain = *a;
    networks_unmap(&plain);
    int family = plain.to.any.sa_family;
    const uint8_t *bytes =
        family == AF_INET ? (const uint8_t *)&plain.to.v4.sin_addr : plain.to.v6.sin6_addr.s6_addr;
    for (size_t i = 0; i < n->n; i++) {
        if (n->items[i].family == family && is_within(&n->items[i], bytes)) {
            return true;
        }
    }
    return false;
}
