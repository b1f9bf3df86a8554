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

static void send_client(struct track *t, const struct step *step)
{
    _cleanup_buf_ struct buf b = buf_with_max(1 << 20);
    size_t at = packet_begin(&b, step->sequence);
    buf_append(&b, step->payload, step->n);
    (void)packet_end(&b, at);
    assert_int_not_equal(track_client_next(t, buf_span(&b)), TRACK_CLIENT_MORE);
    track_client_take(t, buf_span(&b));
    assert_int_equal(track_client_body(t, b.len), step->n);
}

static void send_server(struct track *t, const struct step *step, size_t piece)
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

static void login(struct track *t, uint64_t client, uint64_t server)
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

static void play(const struct step *steps, size_t n, uint64_t client, uint64_t server)
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

static void test_simple_replies(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),
        S_IDLE(1, OK),
        C(0, QUERY),
        S_IDLE(1, ERR),
        C(0, "\x0e"),
        S_IDLE(1, OK),
        C(0, "\x02"
             "db"),
        S_IDLE(1, ERR),
        C(0, "\x09"),
        S_IDLE(1, "Uptime: 7  Threads: 1"),
        C(0, "\x09"),
        S_IDLE(1, OK), /* Doris */
        C(0, "\x0d"),
        S_IDLE(1, EOF_),
        C(0, "\x1b\0\0"),
        S_IDLE(1, EOF_),
        C(0, "\x1f"),
        S_IDLE(1, OK),
        C(0, "\x1a\1\0\0\0"),
        S_IDLE(1, OK),
        C(0, "\x0c\1\0\0\0"),
        S_IDLE(1, OK),
        C(0, "\x77"),
        S_IDLE(1, ERR), /* a number nobody knows */
        C(0, ""),
        S_IDLE(1, ERR),
        C_IDLE(0, "\x19\1\0\0\0"), /* STMT_CLOSE has no reply */
        C_IDLE(0, "\x01"),
        S_IDLE(1, OK), /* Doris answers COM_QUIT */
    };
    (void)state;
    PLAY(steps);
    PLAY_DEPRECATED(steps);
}

static void test_result_set_classic(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),      S(1, "\2"),  S(2, DEF),       S(3, DEF),       S(4, EOF_),
        S(5, ROW),        S(6, "\0"), /* a row whose only column is empty looks like an OK */
        S(7, "\xfb"),     S(8, ROW),   S_IDLE(9, EOF_), C(0, QUERY),     S(1, "\1"),
        S(2, DEF),        S(3, EOF_),  S_IDLE(4, EOF_), /* no rows */
        C(0, QUERY),      S(1, "\1"),  S(2, DEF),       S(3, EOF_),      S(4, ROW),
        S_IDLE(5, ERR),   C(0, QUERY), S(1, "\1"),      S_IDLE(2, ERR),  C(0, QUERY),
        S(1, "\xfc\1\0"), S(2, DEF),   S(3, EOF_),      S_IDLE(4, EOF_),
    };
    (void)state;
    PLAY(steps);
}

static void test_result_set_deprecated(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),
        S(1, "\2"),
        S(2, DEF),
        S(3, DEF),
        S(4, ROW),
        S(5, "\0"),
        S_IDLE(6, "\xfe\0\0\2\0\0\0"),
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S_IDLE(3, "\xfe\0\0\2\0\0\0"),
        /* an OK with a long info */
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S_IDLE(3, "\xfe\0\0\2\0\0\0\x1d"
                  "thirty bytes of text, no less"),
        /* Doris ends rows with the five bytes of an EOF even so */
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S(3, ROW),
        S_IDLE(4, EOF_),
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S(3, ROW),
        S(4, EOF_MORE),
        S_IDLE(5, OK),
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S(3, ROW),
        S(4, "\xfe\0\0\x0a\0\0\0"),
        S_IDLE(5, OK),
    };
    (void)state;
    PLAY_DEPRECATED(steps);
    PLAY_WITH(steps, CAP_DEPRECATE_EOF, 0);
}

static void test_multi_results(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),
        S(1, OK_MORE),
        S(2, "\1"),
        S(3, DEF),
        S(4, EOF_),
        S(5, ROW),
        S(6, EOF_MORE),
        S(7, OK_MORE),
        S_IDLE(8, OK),
        C(0, QUERY),
        S(1, OK_MORE),
        S_IDLE(2, ERR),
        /* the flag in the first EOF says nothing */
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S(3, EOF_MORE),
        S(4, ROW),
        S_IDLE(5, EOF_),
        /* affected rows and insert id of nine bytes each */
        C(0, QUERY),
        S(1, "\0\xfe\1\1\1\1\1\1\1\1\xfe\1\1\1\1\1\1\1\1\x0a\0\0\0"),
        S_IDLE(2, OK),
    };
    (void)state;
    PLAY(steps);
}

static void test_prepare(void **state)
{
    static const struct step steps[] = {
        C(0, "\x16?"),
        S(1, "\0\1\0\0\0\1\0\2\0\0\0\0"),
        S(2, DEF),
        S(3, DEF),
        S(4, EOF_),
        S(5, DEF),
        S_IDLE(6, EOF_),
        C(0, "\x16?"),
        S_IDLE(1, "\0\1\0\0\0\0\0\0\0\0\0\0"),
        C(0, "\x16?"),
        S_IDLE(1, "\0\1\0\0\0\0\0\0\0\0"), /* Doris 2.0: ten bytes */
        C(0, "\x16?"),
        S(1, "\0\1\0\0\0\0\0\1\0\0\0\0"),
        S(2, DEF),
        S_IDLE(3, EOF_),
        C(0, "\x16?"),
        S(1, "\0\1\0\0\0\1\0\0\0\0\0\0"),
        S(2, DEF),
        S_IDLE(3, EOF_),
        C(0, "\x16?"),
        S_IDLE(1, ERR),
    };
    (void)state;
    PLAY(steps);
}

static void test_prepare_deprecated(void **state)
{
    static const struct step proper[] = {
        C(0, "\x16?"),
        S(1, "\0\1\0\0\0\1\0\2\0\0\0\0"),
        S(2, DEF),
        S(3, DEF),
        S_IDLE(4, DEF),
        /* a packet too many does not count as the next reply */
        C(0, QUERY),
        S_IDLE(1, OK),
    };
    static const struct step doris[] = {
        C(0, "\x16?"), S(1, "\0\1\0\0\0\1\0\1\0\0\0\0\1"),
        S(2, DEF),     S(3, OK),
        S(4, DEF),     S_IDLE(5, OK),
        C(0, "\x16?"), S(1, "\0\1\0\0\0\0\0\1\0\0\0\0\1"),
        S(2, DEF),     S_IDLE(3, OK),
    };
    static const struct step surplus[] = {
        C(0, "\x16?"),  S(1, "\0\1\0\0\0\0\0\1\0\0\0\0"),
        S_IDLE(2, DEF), S_IDLE(3, OK),
        C(0, "\x16?"),  S(1, "\0\1\0\0\0\0\0\1\0\0\0\0"),
        C(0, QUERY),    S(2, DEF),
        S(3, OK),       S_IDLE(1, OK),
    };
    (void)state;
    PLAY_DEPRECATED(proper);
    PLAY_WITH(doris, CAP_DEPRECATE_EOF, 0);
    PLAY_DEPRECATED(surplus);
}

static void test_cursors(void **state)
{
    static const struct step classic[] = {
        C(0, "\x17\1\0\0\0\1\1\0\0\0"),
        S(1, "\1"),
        S(2, DEF),
        S_IDLE(3, "\xfe\0\0\x42\0"),
        C(0, "\x1c\1\0\0\0\2\0\0\0"),
        S(1, "\0\0\1"),
        S(2, "\0\0\1"),
        S_IDLE(3, "\xfe\0\0\x42\0"),
        C(0, "\x1c\1\0\0\0\2\0\0\0"),
        S_IDLE(1, "\xfe\0\0\x82\0"),
        C(0, "\x1c\1\0\0\0\2\0\0\0"),
        S_IDLE(1, ERR),
        /* without the flag the rows follow */
        C(0, "\x17\1\0\0\0\1\1\0\0\0"),
        S(1, "\1"),
        S(2, DEF),
        S(3, EOF_),
        S(4, "\0\0\1"),
        S_IDLE(5, EOF_),
    };
    static const struct step deprecated[] = {
        C(0, "\x17\1\0\0\0\1\1\0\0\0"),
        S(1, "\1"),
        S(2, DEF),
        S_IDLE(3, "\xfe\0\0\x42\0\0\0"),
        C(0, "\x1c\1\0\0\0\2\0\0\0"),
        S(1, "\0\0\1"),
        S_IDLE(2, "\xfe\0\0\x42\0\0\0"),
    };
    (void)state;
    PLAY(classic);
    PLAY_DEPRECATED(deprecated);
}

static void test_metadata_left_out(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY), S(1, "\1\1"), S(2, DEF),  S(3, EOF_), S(4, ROW),       S_IDLE(5, EOF_),
        C(0, QUERY), S(1, "\1\0"), S(2, EOF_), S(3, ROW),  S_IDLE(4, EOF_),
    };
    (void)state;
    PLAY_WITH(steps, CAP_MARIA_CACHE_META, CAP_MARIA_CACHE_META);
    PLAY_WITH(steps, CAP_OPTIONAL_METADATA, CAP_OPTIONAL_METADATA);
}

static void test_infile(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),
        S(1, "\xfb/tmp/x"),
        C(2, "\x01row"),
        C(3, "\x03row"),
        C(4, ""),
        S_IDLE(5, OK),
        C(0, QUERY),
        S(1, "\xfb/tmp/x"),
        C(2, ""),
        S_IDLE(3, ERR),
        /* the FE gives up early: the client still sends all of it */
        C(0, QUERY),
        S(1, "\xfb/tmp/x"),
        C(2, "row"),
        S(3, ERR),
        C(3, "row"),
        C_IDLE(4, ""),
        C(0, QUERY),
        S(1, OK_MORE),
        S(2, "\xfb/tmp/x"),
        C(3, ""),
        S_IDLE(4, OK),
    };
    (void)state;
    PLAY(steps);
}

static void test_long_data(void **state)
{
    static const struct step mysql[] = {
        C_IDLE(0, "\x18\1\0\0\0\0\0abc"),
        C_IDLE(0, "\x18\1\0\0\0\0\0abc"),
        C(0, "\x17\1\0\0\0"),
        S_IDLE(1, OK),
        C_IDLE(0, "\x18\1\0\0\0\0\0abc"),
        C(0, "\x77"),
        S_IDLE(1, "\xff\x17\x04#08S01Unknown command"),
    };
    static const char refusal[] = "\xff\x17\x04#08S01Unsupported command(COM_STMT_SEND_LONG_DATA)";
    struct step doris[] = {
        C_IDLE(0, "\x18\1\0\0\0\0\0abc"),
        S_IDLE(1, ""),
        C_IDLE(0, "\x18\1\0\0\0\0\0abc"),
        C_IDLE(0, "\x18\1\0\0\0\0\0abc"),
        C(0, "\x17\1\0\0\0"),
        S(1, ""),
        S(1, ""),
        S_IDLE(1, OK),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(doris); i++) {
        if (doris[i].from == 'S' && doris[i].n == 0) {
            doris[i].payload = refusal;
            doris[i].n = sizeof(refusal) - 1;
        }
    }
    PLAY(mysql);
    PLAY(doris);
}

static void test_field_list(void **state)
{
    static const struct step steps[] = {
        C(0, "\x04t\0"), S(1, DEF),      S(2, DEF),       S_IDLE(3, EOF_),
        C(0, "\x04t\0"), S_IDLE(1, ERR), C(0, "\x04t\0"), S_IDLE(1, EOF_),
    };
    (void)state;
    PLAY(steps);
}

static void test_change_user(void **state)
{
    static const struct step steps[] = {
        C(0, "\x11"
             "bob\0"),
        S(1, "\xfemysql_native_password\0"
             "12345678901234567890"),
        C(2, "12345678901234567890"),
        S_IDLE(3, OK),
        C(0, "\x11"
             "bob\0"),
        S(1, "\xfe"
             "caching_sha2_password\0"),
        C(2, "\x03"),
        S(3, "\1\4"),
        C(4, "\x16"
             "secret\0"),
        S_IDLE(5, ERR),
    };
    struct track t;
    (void)state;
    PLAY(steps);
    login(&t, 0, 0);
    for (size_t i = 0; i < 4; i++) {
        (steps[i].from == 'C' ? send_client(&t, &steps[i]) : send_server(&t, &steps[i], 1));
    }
    assert_int_equal(t.auth, TRACK_AUTH_OK);
}

static void test_binlog_stream(void **state)
{
    static const struct step steps[] = {
        C(0, "\x12\4\0\0\0"),          S(1, "\0event"), S(2, "\0event"),
        C(0, "\xef semi-sync answer"), S(3, "\0event"), S_IDLE(4, EOF_),
        C(0, "\x1e\4\0\0\0"),          S(1, "\0event"), S_IDLE(2, ERR),
    };
    (void)state;
    PLAY(steps);
}

static void test_progress_reports(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),
        S(1, "\xff\xff\xff\1\1\2\3\4\4copy"),
        S(2, "\xff\xff\xff\1\1\2\3\4\4copy"),
        S_IDLE(3, OK),
    };
    (void)state;
    PLAY(steps);
}

static void test_pipelined(void **state)
{
    static const struct step steps[] = {
        C(0, QUERY),
        C(0, "\x0e"),
        C(0, "\x19\1\0\0\0"),
        C(0, "\x16?"),
        S(1, "\1"),
        S(2, DEF),
        S(3, EOF_),
        S(4, EOF_),
        S(1, OK),
        S_IDLE(1, "\0\1\0\0\0\0\0\0\0\0\0\0"),
    };
    struct track t;
    (void)state;
    PLAY(steps);
    login(&t, 0, 0);
    for (size_t i = 0; i < TRACK_QUEUE_SIZE; i++) {
        assert_false(track_is_full(&t));
        send_client(&t, &steps[0]);
    }
    assert_true(track_is_full(&t));
    assert_string_equal(track_busy_with(&t), "COM_QUERY");
}

/* A server packet of `size` bytes whose first one is `mark`, without ever holding it. */
static void send_huge(struct track *t, uint8_t sequence, size_t size, uint8_t mark)
{
    static char zeros[1 << 16];
    size_t left = size;
    for (bool is_first = true, is_last = false; !is_last; is_first = false) {
        size_t n = left < PACKET_MAX_PAYLOAD ? left : PACKET_MAX_PAYLOAD;
        is_last = n < PACKET_MAX_PAYLOAD;
        uint8_t header[] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), sequence++, mark};
        size_t n_sent = n > 0 ? 1 : 0;
        header[4] = is_first ? mark : 0xfe; /* a continuation may begin like an EOF */
        track_server(t, (const char *)header, 4 + n_sent);
        while (n_sent < n) {
            size_t piece = n - n_sent < sizeof(zeros) ? n - n_sent : sizeof(zeros);
            track_server(t, zeros, piece);
            n_sent += piece;
        }
        left -= n;
    }
    track_check(t);
}

static void test_split_rows(void **state)
{
    static const size_t sizes[] = {PACKET_MAX_PAYLOAD - 1, PACKET_MAX_PAYLOAD,
                                   PACKET_MAX_PAYLOAD + 3, 3 * PACKET_MAX_PAYLOAD};
    static const struct step head[] = {C(0, QUERY), S(1, "\1"), S(2, DEF), S(3, EOF_), S(4, ROW)};
    static const struct step last = S(9, EOF_);
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct track t;
        login(&t, 0, 0);
        send_client(&t, &head[0]);
        for (size_t k = 1; k < ARRAY_SIZE(head); k++) {
            send_server(&t, &head[k], 1000);
        }
        send_huge(&t, 5, sizes[i], 0xfe); /* a column of 16 MB and more */
        assert_false(track_is_idle(&t));
        assert_true(track_is_between_packets(&t));
        send_server(&t, &last, 1000);
        assert_true(track_is_idle(&t));
    }
}

static void test_split_commands(void **state)
{
    static const char full[] = "\xff\xff\xff\0\x03";
    static const char rest[] = "\2\0\0\1\x01\x01"; /* a continuation is no COM_QUIT */
    static const struct step ok = S(2, OK);
    struct track t;
    (void)state;
    login(&t, 0, 0);
    track_client_take(&t, (struct span){full, 5});
    assert_int_equal(track_client_body(&t, 1000), 1000);
    assert_int_equal(track_client_body(&t, SIZE_MAX), PACKET_MAX_PAYLOAD - 1000);
    assert_int_equal(track_client_next(&t, (struct span){rest, 3}), TRACK_CLIENT_MORE);
    assert_int_equal(track_client_next(&t, (struct span){rest, 6}), TRACK_CLIENT_DATA);
    track_client_take(&t, (struct span){rest, 6});
    assert_int_equal(track_client_body(&t, 2), 2);
    assert_false(t.has_quit);
    assert_false(track_is_idle(&t));
    assert_int_equal(track_next_sequence(&t), 2);
    send_server(&t, &ok, 1);
    assert_true(track_is_idle(&t));
}

static void test_next_sequence(void **state)
{
    static const struct step query = C(0, QUERY);
    static const struct step count = S(1, "\1");
    struct track t;
    (void)state;
    login(&t, 0, 0);
    send_client(&t, &query);
    assert_int_equal(track_next_sequence(&t), 1);
    send_server(&t, &count, 100);
    assert_int_equal(track_next_sequence(&t), 2);
}

static void test_incomplete_commands(void **state)
{
    struct track t;
    (void)state;
    login(&t, 0, 0);
    assert_int_equal(track_client_next(&t, (struct span){"\1\0\0", 3}), TRACK_CLIENT_MORE);
    assert_int_equal(track_client_next(&t, (struct span){"\1\0\0\0", 4}), TRACK_CLIENT_MORE);
    assert_int_equal(track_client_next(&t, (struct span){"\0\0\0\0", 4}), TRACK_CLIENT_COMMAND);
    assert_int_equal(track_client_next(&t, (struct span){"\1\0\0\0\x0e", 5}), TRACK_CLIENT_COMMAND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_replies),
        cmocka_unit_test(test_result_set_classic),
        cmocka_unit_test(test_result_set_deprecated),
        cmocka_unit_test(test_multi_results),
        cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_prepare_deprecated),
        cmocka_unit_test(test_cursors),
        cmocka_unit_test(test_metadata_left_out),
        cmocka_unit_test(test_infile),
        cmocka_unit_test(test_long_data),
        cmocka_unit_test(test_field_list),
        cmocka_unit_test(test_change_user),
        cmocka_unit_test(test_binlog_stream),
        cmocka_unit_test(test_progress_reports),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_split_rows),
        cmocka_unit_test(test_split_commands),
        cmocka_unit_test(test_next_sequence),
        cmocka_unit_test(test_incomplete_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
