/* Plays conversations to a tracker, for test_track*.c. */
#ifndef TESTS_UNIT_TRACK_PLAY_H
#define TESTS_UNIT_TRACK_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "proxy/track.h"

/*
 * A conversation: client packets and FE packets in their order, and after each the question whether
 * every reply has ended. Each is run with the FE's bytes in one piece and byte by byte.
 */
struct step {
    char from;    /* 'C' or 'S' */
    bool is_idle; /* afterwards */
    uint8_t sequence;
    size_t n;
    const char *payload;
};

#define C(sequence, payload)                                                                       \
    {                                                                                              \
        'C', false, sequence, sizeof(payload) - 1, payload                                         \
    }
#define C_IDLE(sequence, payload)                                                                  \
    {                                                                                              \
        'C', true, sequence, sizeof(payload) - 1, payload                                          \
    }
#define S(sequence, payload)                                                                       \
    {                                                                                              \
        'S', false, sequence, sizeof(payload) - 1, payload                                         \
    }
#define S_IDLE(sequence, payload)                                                                  \
    {                                                                                              \
        'S', true, sequence, sizeof(payload) - 1, payload                                          \
    }

#define QUERY                                                                                      \
    "\x03"                                                                                         \
    "select"
#define OK       "\0\0\0\2\0\0\0"
#define OK_MORE  "\0\0\0\x0a\0\0\0"
#define EOF_     "\xfe\0\0\2\0"
#define EOF_MORE "\xfe\0\0\x0a\0"
#define ERR      "\xff\x28\x04#42000no"
#define DEF      "\3def\0\0\0\1a\1a\x0c\x3f\0\1\0\0\0\3\0\0\0\0\0"
#define ROW                                                                                        \
    "\1"                                                                                           \
    "1"

static inline void send_client(struct track *t, const struct step *step)
{
    _cleanup_buf_ struct buf b = buf_with_max(1 << 20);
    size_t at = packet_begin(&b, step->sequence);
    buf_append(&b, step->payload, step->n);
    (void)packet_end(&b, at);
    assert_int_not_equal(track_client_next(t, buf_span(&b)), TRACK_CLIENT_MORE);
    track_client_take(t, buf_span(&b));
    assert_int_equal(track_client_body(t, b.len), step->n);
}

static inline void send_server(struct track *t, const struct step *step, size_t piece)
{
    _cleanup_buf_ struct buf b = buf_with_max(1 << 20);
    size_t at = packet_begin(&b, step->sequence);
    buf_append(&b, step->payload, step->n);
    (void)packet_end(&b, at);
    for (size_t i = 0; i < b.len; i += piece) {
        track_server(t, b.data + i, b.len - i < piece ? b.len - i : piece);
        track_check(t);
    }
    assert_true(track_is_between_packets(t));
}

static inline void login(struct track *t, uint64_t client, uint64_t server)
{
    const struct step ok = S(2, OK);
    track_init(t, client, server);
    assert_false(track_is_idle(t));
    assert_string_equal(track_busy_with(t), "the login");
    send_server(t, &ok, 100);
    assert_true(track_is_idle(t));
    assert_int_equal(t->auth, TRACK_AUTH_OK);
    t->auth = TRACK_AUTH_NONE;
}

static inline void play(const struct step *steps, size_t n, uint64_t client, uint64_t server)
{
    static const size_t pieces[] = {1 << 20, 1, 3};
    for (size_t p = 0; p < ARRAY_SIZE(pieces); p++) {
        struct track t;
        login(&t, client, server);
        for (size_t i = 0; i < n; i++) {
            if (steps[i].from == 'C') {
                send_client(&t, &steps[i]);
            } else {
                send_server(&t, &steps[i], pieces[p]);
            }
            track_check(&t);
            if (track_is_idle(&t) != steps[i].is_idle) {
                fail_msg("step %zu in pieces of %zu", i, pieces[p]);
            }
        }
    }
}

#define PLAY_WITH(steps, client, server) play(steps, ARRAY_SIZE(steps), client, server)
#define PLAY(steps)                      PLAY_WITH(steps, CAP_PROTOCOL_41, CAP_PROTOCOL_41)
#define PLAY_DEPRECATED(steps)           PLAY_WITH(steps, CAP_DEPRECATE_EOF, CAP_DEPRECATE_EOF)

#endif
