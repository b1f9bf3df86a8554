/* Every kind of reply, as MySQL, MariaDB and Doris send them. */
#include "tests/unit/track_play.h"

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
        C(0, "\x16?"),
        S(1, "\0\1\0\0\0\1\0\1\0\0\0\0\1"),
        S(2, DEF),
        S(3, OK),
        S(4, DEF),
        S_IDLE(5, OK),
        C(0, "\x16?"),
        S(1, "\0\1\0\0\0\0\0\1\0\0\0\0\1"),
        S(2, DEF),
        S_IDLE(3, OK),
        /* claimed to an FE that did not offer it, it changes nothing else */
        C(0, QUERY),
        S(1, "\1"),
        S(2, DEF),
        S(3, EOF_),
        S_IDLE(4, EOF_),
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

/* MariaDB's COM_STMT_BULK_EXECUTE: one OK, or with unit results a result set. */
static void test_bulk(void **state)
{
    static const struct step steps[] = {
        C(0, "\xfa\1\0\0\0\x80\0"),
        S_IDLE(1, OK),
        C(0, "\xfa\1\0\0\0\x80\0"),
        S_IDLE(1, ERR),
        C(0, "\xfa\1\0\0\0\xc0\0"),
        S(1, "\1"),
        S(2, DEF),
        S(3, EOF_),
        S(4, "\0\0\1"),
        S_IDLE(5, EOF_),
    };
    struct track t;
    (void)state;
    PLAY(steps);
    login(&t, 0, 0);
    send_client(&t, &steps[0]);
    assert_string_equal(track_busy_with(&t), "COM_STMT_BULK_EXECUTE");
}

/* Behind a PREPARE's reply one packet more may come; any packet settles it. */
static void test_owed(void **state)
{
    static const struct step steps[] = {C(0, "\x16?"), S(1, "\0\1\0\0\0\0\0\1\0\0\0\0"), S(2, DEF),
                                        S_IDLE(3, EOF_)};
    static const struct step more[] = {S_IDLE(4, EOF_), C(0, QUERY), S_IDLE(1, OK)};
    struct track t;
    (void)state;
    login(&t, 0, 0);
    assert_false(track_may_be_owed(&t));
    send_client(&t, &steps[0]);
    for (size_t i = 1; i < ARRAY_SIZE(steps); i++) {
        assert_false(track_may_be_owed(&t));
        send_server(&t, &steps[i], 100);
    }
    assert_true(track_may_be_owed(&t) && track_is_idle(&t));
    struct track copy = t;
    send_server(&t, &more[0], 1);
    assert_false(track_may_be_owed(&t));
    send_client(&copy, &more[1]);
    assert_true(track_may_be_owed(&copy));
    send_server(&copy, &more[2], 100);
    assert_false(track_may_be_owed(&copy));
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
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_owed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
