#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/packet.h"

enum { BIG = 40 << 20 };

static struct span bytes(const char *p, size_t n)
{
    return (struct span){.p = p, .n = n};
}

static void test_integers(void **state)
{
    static const char raw[] = "\x01\x02\x03\x04\x05\x06\x07\xfa\xfc\x34\x12\xfd\x56\x34\x12"
                              "\xfe\x08\x07\x06\x05\x04\x03\x02\x01";
    struct packet_reader r = packet_reader_of(bytes(raw, sizeof(raw) - 1));
    (void)state;
    assert_int_equal(packet_get_u8(&r), 1);
    assert_int_equal(packet_get_u16(&r), 0x0302);
    assert_int_equal(packet_get_u32(&r), 0x07060504);
    assert_int_equal(packet_get_lenenc(&r), 0xfa);
    assert_int_equal(packet_get_lenenc(&r), 0x1234);
    assert_int_equal(packet_get_lenenc(&r), 0x123456);
    assert_int_equal(packet_get_lenenc(&r), 0x0102030405060708);
    assert_int_equal(packet_left(&r), 0);
    assert_false(r.is_bad);
    assert_int_equal(packet_get_u8(&r), 0);
    assert_true(r.is_bad);
}

static void test_reader_is_sticky(void **state)
{
    struct packet_reader r = packet_reader_of(bytes("\x01\x02\x03", 3));
    (void)state;
    assert_int_equal(packet_get_u32(&r), 0);
    assert_true(r.is_bad);
    assert_int_equal(packet_get_u8(&r), 0); /* though three bytes are left */
    assert_int_equal(packet_get_text0(&r).n, 0);
    assert_int_equal(packet_get_text(&r).n, 0);

    struct packet_reader empty = packet_reader_of((struct span){0});
    assert_int_equal(packet_get_bytes(&empty, 0).n, 0);
    assert_false(empty.is_bad);
}

static void test_texts(void **state)
{
    static const char raw[] = "ab\0\x03xyz\xfb\x00\xfe\xff\xff\xff\xff\xff\xff\xff\xff";
    struct packet_reader r = packet_reader_of(bytes(raw, sizeof(raw) - 1));
    (void)state;
    assert_true(span_eq_text(packet_get_text0(&r), "ab"));
    assert_true(span_eq_text(packet_get_text(&r), "xyz"));
    assert_null(packet_get_text(&r).p); /* SQL NULL */
    assert_false(r.is_bad);
    struct span empty = packet_get_text(&r);
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    (void)packet_get_text(&r); /* claims 2^64 - 1 bytes */
    assert_true(r.is_bad);

    struct packet_reader open = packet_reader_of(bytes("no end", 6));
    (void)packet_get_text0(&open);
    assert_true(open.is_bad);
}

static void test_invalid_lenenc(void **state)
{
    struct packet_reader r = packet_reader_of(bytes("\xff", 1));
    (void)state;
    assert_int_equal(packet_get_lenenc(&r), 0);
    assert_true(r.is_bad);
}

static void test_lenenc_round_trip(void **state)
{
    static const uint64_t values[] = {0,       1,        0xfa,      0xfb,     0xff,      0xffff,
                                      0x10000, 0xffffff, 0x1000000, 1U << 31, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        _cleanup_buf_ struct buf b = buf_with_max(16);
        packet_put_lenenc(&b, values[i]);
        struct packet_reader r = packet_reader_of(buf_span(&b));
        assert_int_equal(packet_get_lenenc(&r), values[i]);
        assert_false(r.is_bad);
        assert_int_equal(packet_left(&r), 0);
    }
}

static void test_err_round_trip(void **state)
{
    _cleanup_buf_ struct buf b = buf_with_max(4096);
    struct err err = {0};
    struct err back = {0};
    (void)state;
    (void)err_set(&err, 1064, "42000", "near 'x'");
    packet_put_err(&b, 5, &err, PACKET_ERR_FULL);
    assert_memory_equal(b.data, "\x11\0\0\x05\xff\x28\x04#42000near 'x'", b.len);
    packet_get_err(bytes(b.data + 4, b.len - 4), &back);
    assert_int_equal(back.code, 1064);
    assert_string_equal(back.sqlstate, "42000");
    assert_string_equal(back.msg, "near 'x'");

    buf_reset(&b);
    packet_put_err(&b, 0, &err, PACKET_ERR_BEFORE_HANDSHAKE);
    assert_memory_equal(b.data, "\x0b\0\0\0\xff\x28\x04near 'x'", b.len);
    packet_get_err(bytes(b.data + 4, b.len - 4), &back);
    assert_string_equal(back.sqlstate, "HY000");
    assert_string_equal(back.msg, "near 'x'");

    buf_reset(&b);
    (void)err_set(&err, 2013, "HY000", "lost"); /* a number of the client libraries' own */
    packet_put_err(&b, 1, &err, PACKET_ERR_FULL);
    packet_get_err(bytes(b.data + 4, b.len - 4), &back);
    assert_int_equal(back.code, ERR_UNKNOWN);
}

static void test_err_cut_short(void **state)
{
    static const char *const raw[] = {"", "\xff", "\xff\x28", "\xff\x28\x04", "\xff\x28\x04#42"};
    (void)state;
    for (size_t i = 0; i < sizeof(raw) / sizeof(raw[0]); i++) {
        struct err err = {0};
        packet_get_err(span_of(raw[i]), &err);
        assert_true(err_is_set(&err));
        assert_int_equal(strlen(err.sqlstate), 5);
    }
}

/* One payload of `size` bytes, each telling its place; returns the number of packets it took. */
static unsigned put_and_check(size_t size)
{
    _cleanup_buf_ struct buf b = buf_with_max(BIG);
    size_t at = packet_begin(&b, 254);
    char *p = buf_reserve(&b, size);
    for (size_t i = 0; i < size; i++) {
        p[i] = (char)(i * 7 + (i >> 16));
    }
    b.len += size;
    uint8_t next = packet_end(&b, at);
    unsigned n_packets = 0;
    size_t seen = 0;
    size_t pos = 0;
    uint32_t length = PACKET_MAX_PAYLOAD;
    while (length == PACKET_MAX_PAYLOAD) {
        length = packet_length(b.data + pos);
        assert_int_equal(packet_sequence(b.data + pos), (uint8_t)(254 + n_packets));
        pos += PACKET_HEADER_SIZE;
        for (size_t i = 0; i < length; i++, seen++) {
            if (b.data[pos + i] != (char)(seen * 7 + (seen >> 16))) {
                fail_msg("byte %zu", seen);
            }
        }
        pos += length;
        n_packets++;
    }
    assert_int_equal(pos, b.len);
    assert_int_equal(seen, size);
    assert_int_equal(next, (uint8_t)(254 + n_packets));
    return n_packets;
}

static void test_split(void **state)
{
    (void)state;
    assert_int_equal(put_and_check(0), 1);
    assert_int_equal(put_and_check(PACKET_MAX_PAYLOAD - 1), 1);
    assert_int_equal(put_and_check(PACKET_MAX_PAYLOAD), 2);
    assert_int_equal(put_and_check(PACKET_MAX_PAYLOAD + 1), 2);
    assert_int_equal(put_and_check(2 * PACKET_MAX_PAYLOAD + 5), 3);
}

static void test_writer_is_sticky(void **state)
{
    _cleanup_buf_ struct buf b = buf_with_max(6);
    (void)state;
    size_t at = packet_begin(&b, 0);
    packet_put_u32(&b, 1);
    assert_false(buf_ok(&b));
    assert_int_equal(packet_end(&b, at), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_reader_is_sticky),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_invalid_lenenc),
        cmocka_unit_test(test_lenenc_round_trip),
        cmocka_unit_test(test_err_round_trip),
        cmocka_unit_test(test_err_cut_short),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_writer_is_sticky),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
