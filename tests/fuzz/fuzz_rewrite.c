/*
 * An FE's reply to a part of a text: byte 0 chooses the mode and DEPRECATE_EOF, byte 1 the size of
 * the pieces. Two rewriters see the same bytes, one of them in pieces, and must agree; the client
 * gets whole packets whose numbers count up from the first one.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "proxy/packet.h"
#include "proxy/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct side {
    struct track track;
    struct rewrite rw;
    struct buf out;
    size_t used;
    enum rewrite_step step;
};

static void run(struct side *s, uint8_t choice, struct span bytes, size_t piece)
{
    static const enum rewrite_mode modes[] = {REWRITE_SHOW, REWRITE_HIDE, REWRITE_DROP};
    uint64_t capabilities = (choice & 0x80) != 0 ? CAP_DEPRECATE_EOF : 0;
    track_init(&s->track, capabilities, capabilities);
    track_server(&s->track, "\7\0\0\2\0\0\0\2\0\0\0", 11);
    track_client_take(&s->track, (struct span){"\1\0\0\0\x03", 5});
    (void)track_client_body(&s->track, 1);
    s->out = buf_with_max(bytes.n + 64);
    rewrite_init(&s->rw, &s->track, modes[choice % 3], 200, STATUS_MORE_RESULTS);
    while (s->used < bytes.n && s->step == REWRITE_MORE) {
        size_t n = bytes.n - s->used < piece ? bytes.n - s->used : piece;
        size_t used = 0;
        s->step = rewrite_feed(&s->rw, bytes.p + s->used, n, &s->out, &used);
        assert(used == n || (used < n && s->step == REWRITE_DONE));
        s->used += used;
        track_check(&s->track);
    }
    assert(buf_ok(&s->out) && s->out.len <= bytes.n);
}

/* Strays come first and keep their numbers; the others count up to `next`. */
static void check_numbers(struct span out, uint8_t next)
{
    uint8_t sequences[4096];
    size_t n = 0;
    for (size_t at = 0; at + PACKET_HEADER_SIZE <= out.n && n < sizeof(sequences);) {
        sequences[n++] = packet_sequence(out.p + at);
        at += PACKET_HEADER_SIZE + packet_length(out.p + at);
    }
    uint8_t n_numbered = (uint8_t)(next - 200);
    assert(n_numbered <= n);
    for (uint8_t i = 1; i <= n_numbered && n < sizeof(sequences); i++) {
        assert(sequences[n - i] == (uint8_t)(next - i));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct span bytes = {(const char *)data + 2, size - 2};
    struct side sides[2] = {{.step = REWRITE_MORE}, {.step = REWRITE_MORE}};
    run(&sides[0], data[0], bytes, SIZE_MAX);
    run(&sides[1], data[0], bytes, 1 + data[1] % 32);
    assert(sides[0].used == sides[1].used && sides[0].step == sides[1].step);
    assert(sides[0].rw.has_failed == sides[1].rw.has_failed);
    assert(sides[0].out.len == sides[1].out.len);
    assert(sides[0].out.len == 0 ||
           memcmp(sides[0].out.data, sides[1].out.data, sides[0].out.len) == 0);
    check_numbers(buf_span(&sides[0].out), sides[0].rw.next_sequence);
    buf_fini(&sides[0].out);
    buf_fini(&sides[1].out);
    return 0;
}
