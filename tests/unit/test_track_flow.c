/* Pipelined and split packets, sequence ids. */
#include "tests/unit/track_play.h"

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
    static const struct step ok = S(1, OK);
    struct track t;
    (void)state;
    login(&t, 0, 0);
    send_client(&t, &query);
    assert_int_equal(track_next_sequence(&t), 1);
    send_server(&t, &count, 100);
    assert_int_equal(track_next_sequence(&t), 2);
    login(&t, 0, 0);
    assert_int_equal(track_next_sequence(&t), 1); /* a command that the FE does not get */
    send_client(&t, &query);
    send_server(&t, &ok, 100);
    assert_int_equal(track_next_sequence(&t), 1);
}

/* Doris's OK to COM_QUIT changes nobody's name. */
static void test_behind_quit(void **state)
{
    static const struct step quit = C(0, "\x01");
    static const struct step change = C(0, "\x11root");
    static const struct step ok = S(1, OK);
    struct track t;
    (void)state;
    login(&t, 0, 0);
    t.auth = TRACK_AUTH_NONE;
    send_client(&t, &quit);
    send_client(&t, &change);
    send_server(&t, &ok, 100);
    assert_true(t.has_quit && track_is_idle(&t));
    assert_int_equal(t.auth, TRACK_AUTH_NONE);
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
        cmocka_unit_test(test_pipelined),      cmocka_unit_test(test_split_rows),
        cmocka_unit_test(test_split_commands), cmocka_unit_test(test_next_sequence),
        cmocka_unit_test(test_behind_quit),    cmocka_unit_test(test_incomplete_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
