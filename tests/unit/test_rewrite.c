/* The FE's reply to a part: numbers, the flag of its last packet, and what is hidden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "proxy/rewrite.h"

enum { MORE = STATUS_MORE_RESULTS };

#define OK      "\0\0\0\2\0\0\0"
#define OK_INFO "\0\xfc\1\1\0\2\0\0\0\x1athis is a long information"
#define EOF_    "\xfe\0\0\2\0"
#define EOF_OK  "\xfe\0\0\2\0\0\0"
#define ERR     "\xff\x28\x04#42000this is a very long error message"
#define DEF     "\3def\0\0\0\1a\1a\x0c\x3f\0\1\0\0\0\3\0\0\0\0\0"
#define ROW     "\1x"

struct packet {
    size_t n;
    const char *payload;
};
#define P(payload)                                                                                 \
    {                                                                                              \
        sizeof(payload) - 1, payload                                                               \
    }

static struct buf packets_of(const struct packet *packets, size_t n, uint8_t first)
{
    struct buf out = buf_with_max(64 << 20);
    for (size_t i = 0; i < n; i++) {
        size_t at = packet_begin(&out, first);
        buf_append(&out, packets[i].payload, packets[i].n);
        first = packet_end(&out, at);
    }
    assert_true(buf_ok(&out));
    return out;
}

/* A tracker that waits for the reply to a COM_QUERY. */
static void begin_query(struct track *t, uint64_t capabilities)
{
    track_init(t, capabilities, capabilities);
    track_server(t, "\7\0\0\2\0\0\0\2\0\0\0", 11);
    track_client_take(t, (struct span){"\1\0\0\0\x03", 5});
    (void)track_client_body(t, 1);
}

struct play {
    uint64_t capabilities;
    enum rewrite_mode mode;
    uint16_t status;
    bool has_failed; /* expected */
};

/* In one piece, byte by byte and otherwise, the client gets `to` when the FE sends `from`. */
static void play(const struct play *p, const struct packet *from, size_t n_from,
                 const struct packet *to, size_t n_to)
{
    static const size_t pieces[] = {1 << 30, 1, 3, 27};
    _cleanup_buf_ struct buf sent = packets_of(from, n_from, 1);
    _cleanup_buf_ struct buf expected = packets_of(to, n_to, 7);
    for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
        _cleanup_buf_ struct buf got = buf_with_max(64 << 20);
        struct track t;
        struct rewrite rw;
        enum rewrite_step step = REWRITE_MORE;
        begin_query(&t, p->capabilities);
        rewrite_init(&rw, &t, p->mode, 7, p->status);
        for (size_t at = 0; at < sent.len;) {
            size_t n = sent.len - at < pieces[i] ? sent.len - at : pieces[i];
            size_t used = 0;
            assert_int_equal(step, REWRITE_MORE);
            step = rewrite_feed(&rw, sent.data + at, n, &got, &used);
            assert_int_equal(used, n);
            at += n;
        }
        assert_int_equal(step, REWRITE_DONE);
        assert_true(rewrite_is_between_packets(&rw));
        assert_int_equal(rw.has_failed, p->has_failed);
        assert_int_equal(rw.next_sequence, 7 + n_to);
        assert_int_equal(got.len, expected.len);
        assert_memory_equal(got.data, expected.data, got.len);
    }
}

static void test_shown(void **state)
{
    static const struct packet ok[] = {P(OK)};
    static const struct packet ok_more[] = {P("\0\0\0\x0a\0\0\0")};
    static const struct packet info[] = {P(OK_INFO)};
    static const struct packet info_more[] = {
        P("\0\xfc\1\1\0\x0a\0\0\0\x1athis is a long information")};
    static const struct packet rows[] = {P("\1"), P(DEF), P(EOF_), P(ROW), P(EOF_)};
    static const struct packet rows_more[] = {P("\1"), P(DEF), P(EOF_), P(ROW),
                                              P("\xfe\0\0\x0a\0")};
    static const struct packet two[] = {P("\0\0\0\x0a\0\0\0"), P(OK)};
    static const struct packet two_more[] = {P("\0\0\0\x0a\0\0\0"), P("\0\0\0\x0a\0\0\0")};
    static const struct packet new_rows[] = {P("\1"), P(DEF), P(ROW), P(EOF_OK)};
    static const struct packet new_more[] = {P("\1"), P(DEF), P(ROW), P("\xfe\0\0\x0a\0\0\0")};
    static const struct packet err[] = {P("\1"), P(DEF), P(EOF_), P(ROW), P(ERR)};
    (void)state;
    const struct play more = {0, REWRITE_SHOW, MORE, false};
    const struct play last = {0, REWRITE_SHOW, 0, false};
    const struct play new = {CAP_DEPRECATE_EOF, REWRITE_SHOW, MORE, false};
    const struct play failed = {0, REWRITE_SHOW, MORE, true};
    play(&more, ok, 1, ok_more, 1);
    play(&last, ok, 1, ok, 1);
    play(&more, info, 1, info_more, 1);
    play(&more, rows, 5, rows_more, 5);
    play(&last, rows, 5, rows, 5);
    play(&more, two, 2, two_more, 2);
    play(&new, new_rows, 4, new_more, 4);
    play(&failed, err, 5, err, 5);
}

static void test_hidden(void **state)
{
    static const struct packet rows[] = {P("\1"), P(DEF), P(EOF_), P(ROW), P("\xfe\0\0\x0a\0"),
                                         P(OK)};
    static const struct packet late_err[] = {P("\1"), P(DEF), P(EOF_), P(ROW), P(ERR)};
    static const struct packet err[] = {P(ERR)};
    static const struct play quiet = {0, REWRITE_HIDE, 0, false};
    static const struct play failed = {0, REWRITE_HIDE, 0, true};
    static const struct play dropped = {0, REWRITE_DROP, 0, true};
    (void)state;
    play(&quiet, rows, 6, NULL, 0);
    play(&failed, late_err, 5, err, 1);
    play(&failed, err, 1, err, 1);
    play(&dropped, err, 1, NULL, 0);
}

/* Rows of 16 MB and more are packets with numbers of their own. */
static void test_split_row(void **state)
{
    static const struct play more = {0, REWRITE_SHOW, MORE, false};
    char *row = xcalloc(1, (20 << 20) + 5);
    (void)state;
    memcpy(row, "\xfd\0\0\0", 4);
    memset(row + 4, 'y', 20 << 20);
    const struct packet from[] = {P("\1"), P(DEF), P(EOF_), {(20 << 20) + 4, row}, P(EOF_)};
    _cleanup_buf_ struct buf sent = packets_of(from, ARRAY_SIZE(from), 1);
    _cleanup_buf_ struct buf got = buf_with_max(64 << 20);
    struct track t;
    struct rewrite rw;
    size_t used = 0;
    begin_query(&t, 0);
    rewrite_init(&rw, &t, more.mode, 250, more.status);
    for (size_t at = 0; at < sent.len; at += used) {
        size_t n = sent.len - at < 100000 ? sent.len - at : 100000;
        (void)rewrite_feed(&rw, sent.data + at, n, &got, &used);
        assert_int_equal(used, n);
    }
    assert_int_equal(got.len, sent.len);
    assert_int_equal(rw.next_sequence, 0); /* six packets from 250 on */
    free(row);
}

/* The file's packets are renumbered towards the FE; the next number is behind the last of them. */
static void test_file(void **state)
{
    static const char ask[] = "\3\0\0\4\xfb/x";
    static const char ok[] = "\7\0\0\7\0\0\0\2\0\0\0";
    static const enum rewrite_mode modes[] = {REWRITE_SHOW, REWRITE_HIDE};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        _cleanup_buf_ struct buf got = buf_with_max(1000);
        char data[] = "\1\0\0\x0b"
                      "z\0\0\0\x0c";
        struct track t;
        struct rewrite rw;
        size_t used = 0;
        begin_query(&t, 0);
        rewrite_init(&rw, &t, modes[i], 10, MORE);
        assert_int_equal(rewrite_feed(&rw, ask, 7, &got, &used), REWRITE_MORE);
        assert_memory_equal(got.data, "\3\0\0\x0a\xfb/x", 7);
        rewrite_file_header(&rw, data);
        assert_int_equal(data[3], 5);
        track_client_take(&t, (struct span){data, 9});
        assert_int_equal(track_client_body(&t, 5), 1);
        rewrite_file_header(&rw, data + 5);
        assert_int_equal(data[8], 6);
        track_client_take(&t, (struct span){data + 5, 4});
        buf_reset(&got);
        assert_int_equal(rewrite_feed(&rw, ok, 11, &got, &used), REWRITE_DONE);
        if (modes[i] == REWRITE_SHOW) {
            assert_memory_equal(got.data, "\7\0\0\x0d\0\0\0\x0a\0\0\0", 11);
        } else {
            assert_int_equal(got.len, 0);
        }
        assert_int_equal(rw.next_sequence, modes[i] == REWRITE_SHOW ? 14 : 13);
    }
}

/* What comes behind the end does not belong to it. */
static void test_end(void **state)
{
    static const char bytes[] = "\7\0\0\1\0\0\0\2\0\0\0\7\0\0\1";
    _cleanup_buf_ struct buf got = buf_with_max(1000);
    struct track t;
    struct rewrite rw;
    size_t used = 0;
    (void)state;
    begin_query(&t, 0);
    rewrite_init(&rw, &t, REWRITE_SHOW, 1, 0);
    assert_int_equal(rewrite_feed(&rw, bytes, sizeof(bytes) - 1, &got, &used), REWRITE_DONE);
    assert_int_equal(used, 11);
    assert_int_equal(got.len, 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),     cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_split_row), cmocka_unit_test(test_file),
        cmocka_unit_test(test_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
