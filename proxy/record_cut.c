#include <assert.h>
#include <string.h>

#include "proxy/record_cut.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many bytes, of at most n, belong to the header that was begun. */
static size_t header_rest(const struct record_cut *c, size_t n)
{
    return c->n_header > 0 ? smaller(PACKET_HEADER_SIZE - c->n_header, n) : 0;
}

void record_cut_sent(struct record_cut *c, const char *p, size_t n)
{
    size_t pos = smaller(c->left, n);
    c->left -= (uint32_t)pos;
    while (pos < n) {
        size_t wanted = PACKET_HEADER_SIZE - (size_t)c->n_header;
        size_t got = smaller(wanted, n - pos);
        memcpy(c->header + c->n_header, p + pos, got);
        c->n_header = (uint8_t)(c->n_header + got);
        pos += got;
        if (c->n_header == PACKET_HEADER_SIZE) {
            c->n_header = 0;
            c->left = packet_length(c->header);
            size_t body = smaller(c->left, n - pos);
            c->left -= (uint32_t)body;
            pos += body;
        }
    }
}

size_t record_cut_size(const struct record_cut *c, const char *p, size_t n, size_t max)
{
    assert(max >= PACKET_HEADER_SIZE);
    size_t limit = smaller(n, max);
    struct record_cut at = *c;
    size_t pos = smaller(header_rest(c, n), limit);
    record_cut_sent(&at, p, pos);
    pos += smaller(at.left, limit - pos);
    while (limit - pos >= PACKET_HEADER_SIZE) {
        size_t length = PACKET_HEADER_SIZE + (size_t)packet_length(p + pos);
        if (length > limit - pos) {
            return limit;
        }
        pos += length;
    }
    return pos > 0 ? pos : limit;
}
