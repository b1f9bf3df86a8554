#include <assert.h>
#include <arpa/inet.h>
#include <string.h>

#include "proxy/networks.h"
#include "proxy/proxyproto.h"

enum {
    V2_HEAD_SIZE = 16,
    V2_SIZE_V4 = 12,
    V2_SIZE_V6 = 36,
    V2_SIZE_UNIX = 216,
    V2_LOCAL = 0x20, /* version 2 in the upper half */
    V2_PROXY = 0x21,
    TLV_HEAD_SIZE = 3,
    TLV_CRC32C = 3,
    CRC_SIZE = 4,
    N_WORDS = 6, /* of a v1 line */
};

static const char v1_signature[] = "PROXY ";
static const char v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";

enum { V1_SIGNATURE_SIZE = sizeof(v1_signature) - 1, V2_SIGNATURE_SIZE = sizeof(v2_signature) - 1 };

static enum proxyproto_step bad(struct err *err, const char *why)
{
    (void)err_set(err, ERR_HANDSHAKE, "08S01", "%s", why);
    return PROXYPROTO_BAD;
}

/* Do the bytes so far agree with the signature? */
static bool may_be(struct span bytes, const char *signature, size_t size)
{
    return memcmp(bytes.p, signature, bytes.n < size ? bytes.n : size) == 0;
}

/* --- v1 --------------------------------------------------------------------------------------- */

/* Words with exactly one blank between them; how many there are, or more than N_WORDS. */
static size_t split(struct span line, struct span words[N_WORDS])
{
    size_t n = 0;
    const char *end = line.p + line.n;
    for (const char *p = line.p;;) {
        const char *blank = memchr(p, ' ', (size_t)(end - p));
        if (n == N_WORDS) {
            return N_WORDS + 1;
        }
        words[n++] = span_between(p, blank != NULL ? blank : end);
        if (blank == NULL) {
            return n;
        }
        p = blank + 1;
    }
}

static bool read_address(int family, struct span host, struct span port, struct address *ret)
{
    char text[INET6_ADDRSTRLEN] = "";
    int64_t number = 0;
    struct address a = {0};
    if (host.n >= sizeof(text) || !span_to_int64(port, 0, UINT16_MAX, &number)) {
        return false;
    }
    memcpy(text, host.p, host.n);
    a.to.any.sa_family = (sa_family_t)family;
    if (family == AF_INET) {
        a.size = sizeof(a.to.v4);
        a.to.v4.sin_port = htons((uint16_t)number);
        *ret = a;
        return inet_pton(family, text, &ret->to.v4.sin_addr) == 1;
    }
    a.size = sizeof(a.to.v6);
    a.to.v6.sin6_port = htons((uint16_t)number);
    *ret = a;
    return inet_pton(family, text, &ret->to.v6.sin6_addr) == 1;
}

static enum proxyproto_step read_line(struct span line, struct proxyproto *ret, struct err *err)
{
    struct span words[N_WORDS] = {0};
    size_t n = split(line, words);
    if (n >= 2 && span_eq_text(words[1], "UNKNOWN")) {
        return PROXYPROTO_DONE; /* whatever follows is to be ignored */
    }
    if (n != N_WORDS || (!span_eq_text(words[1], "TCP4") && !span_eq_text(words[1], "TCP6"))) {
        return bad(err,
                   "the PROXY line is none of \"PROXY TCP4|TCP6 source destination port port\" "
                   "and \"PROXY UNKNOWN\"");
    }
    int family = span_eq_text(words[1], "TCP4") ? AF_INET : AF_INET6;
    if (!read_address(family, words[2], words[4], &ret->source) ||
        !read_address(family, words[3], words[5], &ret->destination)) {
        return bad(err, "the PROXY line has an address or port that is none");
    }
    ret->has_addresses = true;
    return PROXYPROTO_DONE;
}

static enum proxyproto_step parse_v1(struct span bytes, struct proxyproto *ret, struct err *err)
{
    size_t longest = bytes.n < PROXYPROTO_V1_MAX ? bytes.n : PROXYPROTO_V1_MAX;
    assert(bytes.p != NULL);
    const char *end = memmem(bytes.p, longest, "\r\n", 2);
    const char *cr = memchr(bytes.p, '\r', longest);
    if (cr != end && cr + 1 < bytes.p + longest) {
        return bad(err, "the PROXY line has a carriage return without a line feed");
    }
    if (end == NULL) {
        return bytes.n < PROXYPROTO_V1_MAX ? PROXYPROTO_MORE
                                           : bad(err, "the PROXY line has no end within 107 bytes");
    }
    size_t n = (size_t)(end - bytes.p);
    ret->size = n + 2;
    return read_line((struct span){bytes.p, n}, ret, err);
}

/* --- v2 --------------------------------------------------------------------------------------- */

static size_t get_u16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* CRC-32C (Castagnoli), one bit at a time: a header is short. */
static uint32_t crc32c(uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78U : crc >> 1;
        }
    }
    return crc;
}

/* Over the whole header, with the checksum's own bytes as zeros. */
static bool is_crc_right(struct span header, const uint8_t *value)
{
    static const uint8_t zeros[CRC_SIZE] = {0};
    const uint8_t *from = (const uint8_t *)header.p;
    size_t before = (size_t)(value - from);
    uint32_t crc = crc32c(UINT32_MAX, from, before);
    crc = crc32c(crc, zeros, CRC_SIZE);
    crc = ~crc32c(crc, value + CRC_SIZE, header.n - before - CRC_SIZE);
    uint32_t wanted = (uint32_t)get_u16(value) << 16 | (uint32_t)get_u16(value + 2);
    return crc == wanted;
}

/* What follows the addresses; only a checksum is of interest. */
static enum proxyproto_step check_tlvs(struct span header, size_t at, struct err *err)
{
    const uint8_t *p = (const uint8_t *)header.p;
    while (at < header.n) {
        if (header.n - at < TLV_HEAD_SIZE || get_u16(p + at + 1) > header.n - at - TLV_HEAD_SIZE) {
            return bad(err, "the PROXY v2 header has an extension that is cut short");
        }
        size_t length = get_u16(p + at + 1);
        const uint8_t *value = p + at + TLV_HEAD_SIZE;
        if (p[at] == TLV_CRC32C && (length != CRC_SIZE || !is_crc_right(header, value))) {
            return bad(err, "the PROXY v2 header's checksum is wrong");
        }
        at += TLV_HEAD_SIZE + length;
    }
    return PROXYPROTO_DONE;
}

static void read_v4(const uint8_t *p, struct proxyproto *ret)
{
    struct sockaddr_in *a[] = {&ret->source.to.v4, &ret->destination.to.v4};
    for (size_t i = 0; i < 2; i++) {
        a[i]->sin_family = AF_INET;
        memcpy(&a[i]->sin_addr, p + i * 4, 4);
        memcpy(&a[i]->sin_port, p + 8 + i * 2, 2);
    }
    ret->source.size = ret->destination.size = sizeof(struct sockaddr_in);
    ret->has_addresses = true;
}

static void read_v6(const uint8_t *p, struct proxyproto *ret)
{
    struct sockaddr_in6 *a[] = {&ret->source.to.v6, &ret->destination.to.v6};
    for (size_t i = 0; i < 2; i++) {
        a[i]->sin6_family = AF_INET6;
        memcpy(&a[i]->sin6_addr, p + i * 16, 16);
        memcpy(&a[i]->sin6_port, p + 32 + i * 2, 2);
    }
    ret->source.size = ret->destination.size = sizeof(struct sockaddr_in6);
    ret->has_addresses = true;
}

static enum proxyproto_step read_v2(struct span header, struct proxyproto *ret, struct err *err)
{
    static const size_t sizes[] = {0, V2_SIZE_V4, V2_SIZE_V6, V2_SIZE_UNIX};
    const uint8_t *p = (const uint8_t *)header.p;
    size_t family = p[13] >> 4;
    ret->size = header.n;
    if (p[12] == V2_LOCAL) {
        return PROXYPROTO_DONE; /* the rest is to be skipped, whatever it is */
    }
    if (p[12] != V2_PROXY || family >= sizeof(sizes) / sizeof(sizes[0]) || (p[13] & 0xf) > 2) {
        return bad(err,
                   "the PROXY v2 header has a version, command or address family that does not "
                   "exist");
    }
    if (header.n - V2_HEAD_SIZE < sizes[family]) {
        return bad(err, "the PROXY v2 header is too short for its addresses");
    }
    if (check_tlvs(header, V2_HEAD_SIZE + sizes[family], err) == PROXYPROTO_BAD) {
        return PROXYPROTO_BAD;
    }
    if (sizes[family] == V2_SIZE_V4) {
        read_v4(p + V2_HEAD_SIZE, ret);
    } else if (sizes[family] == V2_SIZE_V6) {
        read_v6(p + V2_HEAD_SIZE, ret);
    }
    return PROXYPROTO_DONE;
}

static enum proxyproto_step parse_v2(struct span bytes, struct proxyproto *ret, struct err *err)
{
    if (bytes.n < V2_HEAD_SIZE) {
        return PROXYPROTO_MORE;
    }
    size_t length = get_u16((const uint8_t *)bytes.p + 14);
    if (length > PROXYPROTO_V2_MAX - V2_HEAD_SIZE) {
        return bad(err, "the PROXY v2 header is longer than 4096 bytes");
    }
    if (bytes.n < V2_HEAD_SIZE + length) {
        return PROXYPROTO_MORE;
    }
    return read_v2((struct span){bytes.p, V2_HEAD_SIZE + length}, ret, err);
}

enum proxyproto_step proxyproto_parse(struct span bytes, struct proxyproto *ret, struct err *err)
{
    struct proxyproto header = {0};
    enum proxyproto_step step = PROXYPROTO_MORE;
    if (bytes.n == 0) {
        return PROXYPROTO_MORE;
    }
    if (may_be(bytes, v1_signature, V1_SIGNATURE_SIZE)) {
        step = parse_v1(bytes, &header, err);
    } else if (may_be(bytes, v2_signature, V2_SIGNATURE_SIZE)) {
        step = parse_v2(bytes, &header, err);
    } else {
        return bad(err, "it does not begin with a PROXY protocol header");
    }
    if (step == PROXYPROTO_DONE) {
        *ret = header;
    }
    return step;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_host(struct buf *out, const struct address *a)
{
    char text[INET6_ADDRSTRLEN] = "";
    bool is_v6 = a->to.any.sa_family == AF_INET6;
    const void *from = is_v6 ? (const void *)&a->to.v6.sin6_addr : (const void *)&a->to.v4.sin_addr;
    (void)inet_ntop(a->to.any.sa_family, from, text, sizeof(text)); /* both families are known */
    buf_append_text(out, text);
}

static unsigned port_of(const struct address *a)
{
    return ntohs(a->to.any.sa_family == AF_INET6 ? a->to.v6.sin6_port : a->to.v4.sin_port);
}

void proxyproto_put_v1(struct buf *out, const struct address *source,
                       const struct address *destination)
{
    struct address from = source != NULL ? *source : (struct address){0};
    struct address to = destination != NULL ? *destination : (struct address){0};
    networks_unmap(&from);
    networks_unmap(&to);
    int family = from.to.any.sa_family;
    if ((family != AF_INET && family != AF_INET6) || family != to.to.any.sa_family) {
        buf_append_text(out, "PROXY UNKNOWN\r\n");
        return;
    }
    buf_append_text(out, family == AF_INET ? "PROXY TCP4 " : "PROXY TCP6 ");
    put_host(out, &from);
    buf_append_char(out, ' ');
    put_host(out, &to);
    buf_printf(out, " %u %u\r\n", port_of(&from), port_of(&to));
}
