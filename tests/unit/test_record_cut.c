#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/record_cut.h"

enum { STREAM_SIZE = 4096, MAX_RECORD = 64 };

struct stream {
    char bytes[STREAM_SIZE];
    bool is_inside[STREAM_SIZE + 1]; /* a cut in front of this byte would split a header */
    size_t n;
};

static void add_packet(struct stream *s, uint32_t length)
{
    assert_true(s->n + PACKET_HEADER_SIZE + length <= STREAM_SIZE);
    for (size_t i = 0; i < PACKET_HEADER_SIZE; i++) {
        s->bytes[s->n + i] = i < 3 ? (char)(length >> (8 * i)) : 0;
        s->is_inside[s->n + i] = i > 0;
    }
    memset(s->bytes + s->n + PACKET_HEADER_SIZE, 0x5a, length);
    s->n += PACKET_HEADER_SIZE + length;
}

static struct stream *make_stream(unsigned seed)
{
    struct stream *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    srandom(seed);
    for (;;) {
        uint32_t length = (uint32_t)random() % ((uint32_t)random() % 200 + 1);
        if (s->n + PACKET_HEADER_SIZE + length > STREAM_SIZE) {
            return s;
        }
        add_packet(s, length);
    }
}

static void test_whole_packets_and_bodies(void **state)
{
    struct record_cut cut = {0};
    char bytes[16] = {8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1};
    (void)state;
    assert_int_equal(record_cut_size(&cut, bytes, 16, 100), 16);
    assert_int_equal(record_cut_size(&cut, bytes, 16, 16), 16);
    assert_int_equal(record_cut_size(&cut, bytes, 16, 15), 12);
    assert_int_equal(record_cut_size(&cut, bytes, 14, 100), 12);
    assert_int_equal(record_cut_size(&cut, bytes, 9, 100), 9);
    assert_int_equal(record_cut_size(&cut, bytes, 16, 4), 4);
    record_cut_sent(&cut, bytes, 9);
    assert_int_equal(record_cut_size(&cut, bytes + 9, 7, 100), 7);
    assert_int_equal(record_cut_size(&cut, bytes + 9, 7, 6), 3);
}

/* There is nothing better to do; what follows is in step all the same. */
static void test_half_a_header_alone(void **state)
{
    struct record_cut cut = {0};
    char bytes[12] = {2, 0, 0, 0, 'a', 'b', 3, 0, 0, 1, 'c', 'd'};
    (void)state;
    assert_int_equal(record_cut_size(&cut, bytes, 2, 100), 2);
    record_cut_sent(&cut, bytes, 2);
    assert_int_equal(record_cut_size(&cut, bytes + 2, 1, 100), 1);
    record_cut_sent(&cut, bytes + 2, 1);
    assert_int_equal(record_cut_size(&cut, bytes + 3, 9, 8), 8);
    assert_int_equal(record_cut_size(&cut, bytes + 3, 5, 100), 3);
    record_cut_sent(&cut, bytes + 3, 3);
    assert_int_equal(record_cut_size(&cut, bytes + 6, 6, 100), 6);
}

/* As the relay does it: writes arrive in pieces that begin with whole headers. */
static void test_random_streams(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 300; seed++) {
        struct stream *s = make_stream(seed);
        struct record_cut cut = {0};
        size_t sent = 0;
        while (sent < s->n) {
            size_t given = s->n - sent;
            if (seed % 2 != 0) {
                given = 1 + (size_t)random() % given;
                while (s->is_inside[sent + given] && sent + given < s->n) {
                    given++;
                }
            }
            size_t max = PACKET_HEADER_SIZE + (size_t)random() % MAX_RECORD;
            size_t size = record_cut_size(&cut, s->bytes + sent, given, max);
            assert_in_range(size, 1, given < max ? given : max);
            assert_true(sent + size == s->n || !s->is_inside[sent + size]);
            /* A write that is tried again may have more behind it, never takes less. */
            assert_true(record_cut_size(&cut, s->bytes + sent, s->n - sent, max) >= size);
            record_cut_sent(&cut, s->bytes + sent, size);
            sent += size;
        }
        free(s);
    }
}

static void test_bytes_in_any_pieces(void **state)
{
    struct stream *s = make_stream(7);
    (void)state;
    for (size_t piece = 1; piece < 50; piece++) {
        struct record_cut whole = {0};
        struct record_cut parts = {0};
        record_cut_sent(&whole, s->bytes, s->n - 3);
        for (size_t at = 0; at < s->n - 3; at += piece) {
            size_t n = s->n - 3 - at < piece ? s->n - 3 - at : piece;
            record_cut_sent(&parts, s->bytes + at, n);
        }
        assert_int_equal(whole.left, parts.left);
        assert_int_equal(whole.n_header, parts.n_header);
    }
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_packets_and_bodies),
        cmocka_unit_test(test_half_a_header_alone),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_bytes_in_any_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
