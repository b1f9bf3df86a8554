/*
 * A conversation in both directions: byte 0 chooses the capabilities, then pieces of
 * | direction and size, 1 byte: high bit = from the FE | that many bytes, at most 127 |.
 * Two trackers see the same bytes, one of them one at a time, and must agree after each piece. Each
 * piece is also read as a greeting, a handshake response, and a statement.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/guess.h"
#include "proxy/handshake.h"
#include "proxy/packet.h"
#include "proxy/track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HELD_MAX = 512 };

static const uint64_t capability_sets[][2] = {
    {0, 0},
    {CAP_DEPRECATE_EOF, CAP_DEPRECATE_EOF},
    {CAP_DEPRECATE_EOF, 0},
    {CAP_MARIA_CACHE_META, CAP_MARIA_CACHE_META},
    {CAP_OPTIONAL_METADATA | CAP_DEPRECATE_EOF, CAP_OPTIONAL_METADATA | CAP_DEPRECATE_EOF},
};

/* A tracker with the client's bytes that wait for more, as a session has them. */
struct side {
    struct track track;
    char held[HELD_MAX];
    size_t n_held;
};

static void from_client(struct side *s, const char *p, size_t n)
{
    if (n > sizeof(s->held) - s->n_held) {
        return;
    }
    memcpy(s->held + s->n_held, p, n);
    s->n_held += n;
    size_t pos = 0;
    while (pos < s->n_held) {
        size_t body = track_client_body(&s->track, s->n_held - pos);
        struct span rest = {s->held + pos, s->n_held - pos};
        if (body > 0) {
            pos += body;
            continue;
        }
        enum track_client next = track_client_next(&s->track, rest);
        if (next == TRACK_CLIENT_MORE ||
            (next == TRACK_CLIENT_COMMAND && track_is_full(&s->track))) {
            break;
        }
        track_client_take(&s->track, rest);
        pos += PACKET_HEADER_SIZE;
    }
    s->n_held -= pos;
    memmove(s->held, s->held + pos, s->n_held);
    track_check(&s->track);
}

static void from_server(struct side *s, const char *p, size_t n, size_t piece)
{
    for (size_t i = 0; i < n; i += n - i < piece ? n - i : piece) {
        track_server(&s->track, p + i, n - i < piece ? n - i : piece);
        track_check(&s->track);
    }
}

static void must_agree(const struct track *a, const struct track *b)
{
    assert(a->state == b->state && a->queue_count == b->queue_count && a->auth == b->auth);
    assert(a->is_continued == b->is_continued && a->is_infile == b->is_infile);
    assert(a->n_definitions == b->n_definitions && track_is_idle(a) == track_is_idle(b));
    /* Within a packet one of them may have it in `head` and the other in `left`. */
    assert(track_is_between_packets(a) == track_is_between_packets(b));
    assert(!track_is_between_packets(a) || a->last_sequence == b->last_sequence);
}

static void read_login(struct span piece)
{
    struct handshake_greeting greeting = {.offered = UINT64_MAX, .hidden = CAP_COMPRESS};
    struct handshake_response response = {0};
    struct span user = {0};
    struct err err = {0};
    char *copy = xmemdup0(piece.n > 0 ? piece.p : "", piece.n);
    if (handshake_mask_greeting(copy, piece.n, &greeting, &err)) {
        assert((greeting.hidden & ~greeting.offered) == 0);
    }
    if (handshake_read_response(piece, &greeting, &response, &err)) {
        assert(response.user.n <= piece.n && response.database.n <= piece.n);
        assert((response.capabilities & greeting.hidden) == 0);
    }
    (void)handshake_read_change_user(piece, &user, &err);
    enum guess some = guess_is_local(piece, false);
    assert(some == GUESS_MORE || some == guess_is_local(piece, true));
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const uint64_t *capabilities = capability_sets[data[0] % ARRAY_SIZE(capability_sets)];
    struct side *whole = xcalloc(2, sizeof(*whole));
    struct side *bytes = whole + 1;
    track_init(&whole->track, capabilities[0], capabilities[1]);
    track_init(&bytes->track, capabilities[0], capabilities[1]);
    for (size_t at = 1; at < size;) {
        bool is_server = (data[at] & 0x80) != 0;
        size_t wanted = data[at] & 0x7f;
        size_t n = size - at - 1 < wanted ? size - at - 1 : wanted;
        const char *p = (const char *)data + at + 1;
        if (is_server) {
            from_server(whole, p, n, SIZE_MAX);
            from_server(bytes, p, n, 1);
        } else {
            from_client(whole, p, n);
            from_client(bytes, p, n);
        }
        must_agree(&whole->track, &bytes->track);
        (void)track_busy_with(&whole->track);
        (void)track_next_sequence(&whole->track);
        read_login((struct span){p, n});
        at += 1 + n;
    }
    free(whole);
    return 0;
}
