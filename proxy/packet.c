#include <assert.h>
#include <string.h>

#include "proxy/packet.h"

struct packet_reader packet_reader_of(struct span payload)
{
    const uint8_t *p = (const uint8_t *)payload.p;
    return (struct packet_reader){.p = p, .end = payload.n > 0 ? p + payload.n : p};
}

struct span packet_get_bytes(struct packet_reader *r, size_t n)
{
    if (r->is_bad || n > packet_left(r)) {
        r->is_bad = true;
        return (struct span){.p = "", .n = 0};
    }
    struct span s = {.p = (const char *)r->p, .n = n};
    if (n > 0) {
        r->p += n;
    }
    return s;
}

static uint64_t get_int(struct packet_reader *r, unsigned n)
{
    struct span s = packet_get_bytes(r, n);
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        value |= (uint64_t)(uint8_t)s.p[i] << (8 * i);
    }
    return value;
}

uint8_t packet_get_u8(struct packet_reader *r)
{
    return (uint8_t)get_int(r, 1);
}

uint16_t packet_get_u16(struct packet_reader *r)
{
    return (uint16_t)get_int(r, 2);
}

uint32_t packet_get_u32(struct packet_reader *r)
{
    return (uint32_t)get_int(r, 4);
}

uint64_t packet_get_lenenc(struct packet_reader *r)
{
    uint8_t first = packet_get_u8(r);
    switch (first) {
    case 0xfb:
    case 0xff: r->is_bad = true; return 0;
    case 0xfc: return get_int(r, 2);
    case 0xfd: return get_int(r, 3);
    case 0xfe: return get_int(r, 8);
    default: return first;
    }
}

struct span packet_get_text0(struct packet_reader *r)
{
    size_t left = packet_left(r);
    const uint8_t *nul = !r->is_bad && left > 0 ? memchr(r->p, 0, left) : NULL;
    if (nul == NULL) {
        r->is_bad = true;
        return (struct span){.p = "", .n = 0};
    }
    struct span s = packet_get_bytes(r, (size_t)(nul - r->p));
    r->p++;
    return s;
}

struct span packet_get_text(struct packet_reader *r)
{
    if (!r->is_bad && packet_left(r) > 0 && *r->p == 0xfb) {
        r->p++;
        return (struct span){.p = NULL, .n = 0};
    }
    uint64_t n = packet_get_lenenc(r);
    if (n > SIZE_MAX) {
        r->is_bad = true;
    }
    return packet_get_bytes(r, (size_t)n);
}

void packet_get_err(struct span payload, struct err *ret)
{
    struct packet_reader r = packet_reader_of(payload);
    char state[6] = "HY000";
    (void)packet_get_u8(&r);
    int code = packet_get_u16(&r);
    if (!r.is_bad && packet_left(&r) >= 6 && *r.p == '#') {
        (void)packet_get_u8(&r);
        struct span text = packet_get_bytes(&r, sizeof(state) - 1);
        memcpy(state, text.p, text.n);
    }
    struct span text = packet_get_bytes(&r, packet_left(&r));
    (void)err_set(ret, code != 0 ? code : ERR_UNKNOWN, state, "%.*s", SPAN_ARG(text));
}

size_t packet_begin(struct buf *out, uint8_t sequence)
{
    size_t at = out->len;
    const char header[PACKET_HEADER_SIZE] = {0, 0, 0, (char)sequence};
    buf_append(out, header, sizeof(header));
    return at;
}

static void put_header(char *at, uint32_t length, uint8_t sequence)
{
    at[0] = (char)(length & 0xff);
    at[1] = (char)(length >> 8 & 0xff);
    at[2] = (char)(length >> 16 & 0xff);
    at[3] = (char)sequence;
}

uint8_t packet_end(struct buf *out, size_t at)
{
    if (!buf_ok(out)) {
        return 0;
    }
    assert(out->len >= at + PACKET_HEADER_SIZE);
    uint8_t sequence = packet_sequence(out->data + at);
    size_t size = out->len - at - PACKET_HEADER_SIZE;
    size_t n_more = size / PACKET_MAX_PAYLOAD; /* packets behind the first */
    char *room = n_more > 0 ? buf_reserve(out, n_more * PACKET_HEADER_SIZE) : out->data;
    if (room == NULL) {
        return 0;
    }
    char *first = out->data + at;
    for (size_t i = n_more; i > 0; i--) { /* from the back, as each piece moves up */
        size_t from = i * PACKET_MAX_PAYLOAD;
        size_t n = i == n_more ? size - from : PACKET_MAX_PAYLOAD;
        char *header = first + i * (PACKET_MAX_PAYLOAD + PACKET_HEADER_SIZE);
        memmove(header + PACKET_HEADER_SIZE, first + PACKET_HEADER_SIZE + from, n);
        put_header(header, (uint32_t)n, (uint8_t)(sequence + i));
    }
    put_header(first, n_more > 0 ? PACKET_MAX_PAYLOAD : (uint32_t)size, sequence);
    out->len += n_more * PACKET_HEADER_SIZE;
    return (uint8_t)(sequence + n_more + 1);
}

static void put_int(struct buf *out, uint64_t value, unsigned n)
{
    char bytes[8];
    for (unsigned i = 0; i < n; i++) {
        bytes[i] = (char)(value >> (8 * i) & 0xff);
    }
    buf_append(out, bytes, n);
}

void packet_put_u8(struct buf *out, uint8_t value)
{
    put_int(out, value, 1);
}

void packet_put_u16(struct buf *out, uint16_t value)
{
    put_int(out, value, 2);
}

void packet_put_u32(struct buf *out, uint32_t value)
{
    put_int(out, value, 4);
}

void packet_put_lenenc(struct buf *out, uint64_t value)
{
    if (value < 0xfb) {
        put_int(out, value, 1);
    } else if (value <= 0xffff) {
        packet_put_u8(out, 0xfc);
        put_int(out, value, 2);
    } else if (value <= 0xffffff) {
        packet_put_u8(out, 0xfd);
        put_int(out, value, 3);
    } else {
        packet_put_u8(out, 0xfe);
        put_int(out, value, 8);
    }
}

void packet_put_text(struct buf *out, struct span text)
{
    packet_put_lenenc(out, text.n);
    buf_append_span(out, text);
}

/* Client libraries count their own errors in this range; from a server libmariadb refuses them. */
enum { FIRST_CLIENT_ERROR = 2000, LAST_CLIENT_ERROR = 2999 };

void packet_put_err(struct buf *out, uint8_t sequence, const struct err *err,
                    enum packet_err_form form)
{
    bool is_of_clients = err->code >= FIRST_CLIENT_ERROR && err->code <= LAST_CLIENT_ERROR;
    size_t at = packet_begin(out, sequence);
    packet_put_u8(out, PACKET_ERR);
    packet_put_u16(out, (uint16_t)(is_of_clients ? ERR_UNKNOWN : err->code));
    if (form == PACKET_ERR_FULL) {
        buf_append_char(out, '#');
        buf_append(out, err->sqlstate, 5);
    }
    buf_append_text(out, err->msg);
    (void)packet_end(out, at); /* the message is far below 16 MB */
}
