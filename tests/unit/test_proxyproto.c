#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "proxy/proxyproto.h"

static enum proxyproto_step parse(struct span bytes, struct proxyproto *ret)
{
    struct err err = {0};
    enum proxyproto_step step = proxyproto_parse(bytes, ret, &err);
    assert_int_equal(step == PROXYPROTO_BAD, err_is_set(&err));
    return step;
}

/* Every shorter piece of a good header wants more, and what follows it is not looked at. */
static void check_cut(struct span bytes)
{
    struct proxyproto whole = {0};
    assert_int_equal(parse(bytes, &whole), PROXYPROTO_DONE);
    for (size_t n = 0; n < whole.size; n++) {
        struct proxyproto ignored = {0};
        assert_int_equal(parse((struct span){bytes.p, n}, &ignored), PROXYPROTO_MORE);
    }
    for (size_t n = whole.size; n <= bytes.n; n++) {
        struct proxyproto again = {0};
        assert_int_equal(parse((struct span){bytes.p, n}, &again), PROXYPROTO_DONE);
        assert_int_equal(again.size, whole.size);
    }
}

static void check_text(const struct address *a, const char *wanted)
{
    char text[ADDRESS_TEXT_SIZE];
    address_format(a, text);
    assert_string_equal(text, wanted);
}

/* 108 bytes with its end: one too many. */
#define LONG_V1                                                                                    \
    "PROXY UNKNOWN 90123456789012345678901234567890123456789012345678901234567890123456789012"     \
    "34567890123456789012345678901234567890"

static void test_v1(void **state)
{
    static const struct {
        const char *text;
        const char *source, *destination; /* NULL: none */
    } cases[] = {
        {"PROXY TCP4 192.0.2.1 198.51.100.2 51111 3306\r\nrest", "192.0.2.1:51111",
         "198.51.100.2:3306"},
        {"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", "0.0.0.0:0", "255.255.255.255:65535"},
        {"PROXY TCP6 2001:db8::1 ::1 1 2\r\nPROXY", "[2001:db8::1]:1", "[::1]:2"},
        {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"PROXY UNKNOWN\r\n", NULL, NULL},
        {"PROXY UNKNOWN whatever there is 1 2 3 4\r\n\r\n", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxyproto found = {0};
        print_message("%s\n", cases[i].text);
        assert_int_equal(parse(span_of(cases[i].text), &found), PROXYPROTO_DONE);
        assert_int_equal(found.size, strstr(cases[i].text, "\r\n") - cases[i].text + 2);
        assert_int_equal(found.has_addresses, cases[i].source != NULL);
        if (cases[i].source != NULL) {
            check_text(&found.source, cases[i].source);
            check_text(&found.destination, cases[i].destination);
        }
        check_cut(span_of(cases[i].text));
    }
}

static void test_v1_bad(void **state)
{
    static const char *const cases[] = {
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXX",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4  2\r\n",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY TCP6 1111111111222222222233333333334444444444555555 ::1 1 2\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r1234",
        LONG_V1 "\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxyproto found = {0};
        print_message("%s\n", cases[i]);
        assert_int_equal(parse(span_of(cases[i]), &found), PROXYPROTO_BAD);
    }
}

static void test_v1_longest(void **state)
{
    char text[PROXYPROTO_V1_MAX + 2];
    struct proxyproto found = {0};
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "PROXY UNKNOWN ", 14);
    memcpy(text + PROXYPROTO_V1_MAX - 2, "\r\n", 2);
    check_cut((struct span){text, PROXYPROTO_V1_MAX});
    memcpy(text + PROXYPROTO_V1_MAX - 2, "x\r\n", 3);
    assert_int_equal(parse((struct span){text, PROXYPROTO_V1_MAX - 1}, &found), PROXYPROTO_MORE);
    assert_int_equal(parse((struct span){text, PROXYPROTO_V1_MAX}, &found), PROXYPROTO_BAD);
    assert_int_equal(parse((struct span){text, PROXYPROTO_V1_MAX + 1}, &found), PROXYPROTO_BAD);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4        "\xc0\x00\x02\x01\xc6\x33\x64\x02\xc7\xa7\x0c\xea"
#define V6        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"
#define BYTES(t)                                                                                   \
    {                                                                                              \
        (t), sizeof(t) - 1                                                                         \
    }

static void test_v2(void **state)
{
    static const struct {
        struct span bytes;
        const char *source, *destination;
    } cases[] = {
        {BYTES(SIGNATURE "\x21\x11\0\x0c" V4 "rest"), "192.0.2.1:51111", "198.51.100.2:3306"},
        {BYTES(SIGNATURE "\x21\x12\0\x0c" V4), "192.0.2.1:51111", "198.51.100.2:3306"},
        {BYTES(SIGNATURE "\x21\x21\0\x24" V6), "[2001:db8::1]:1", "[::1]:2"},
        {BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\x04\0\4abcd"), "192.0.2.1:51111",
         "198.51.100.2:3306"},
        {BYTES(SIGNATURE "\x21\x00\0\0"), NULL, NULL},
        {BYTES(SIGNATURE "\x20\x00\0\0x"), NULL, NULL},
        {BYTES(SIGNATURE "\x20\x11\0\x0c" V4), NULL, NULL},
        {BYTES(SIGNATURE "\x20\xff\0\5abcde"), NULL, NULL},
        /* the checksum of all, with zeros for itself */
        {BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\4\x14\x7a\x31\xe0"), "192.0.2.1:51111",
         "198.51.100.2:3306"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxyproto found = {0};
        print_message("case %zu\n", i);
        assert_int_equal(parse(cases[i].bytes, &found), PROXYPROTO_DONE);
        assert_int_equal(found.has_addresses, cases[i].source != NULL);
        if (cases[i].source != NULL) {
            check_text(&found.source, cases[i].source);
            check_text(&found.destination, cases[i].destination);
        }
        check_cut(cases[i].bytes);
    }
}

static void test_v2_unix(void **state)
{
    char bytes[16 + 216] = SIGNATURE "\x21\x31\0\xd8";
    struct proxyproto found = {0};
    (void)state;
    assert_int_equal(parse((struct span){bytes, sizeof(bytes)}, &found), PROXYPROTO_DONE);
    assert_int_equal(found.size, sizeof(bytes));
    assert_false(found.has_addresses);
}

static void test_v2_bad(void **state)
{
    static const struct span cases[] = {
        BYTES(SIGNATURE "\x31\x11\0\x0c" V4),             /* version 3 */
        BYTES(SIGNATURE "\x22\x11\0\x0c" V4),             /* command 2 */
        BYTES(SIGNATURE "\x21\x41\0\x0c" V4),             /* family 4 */
        BYTES(SIGNATURE "\x21\x13\0\x0c" V4),             /* transport 3 */
        BYTES(SIGNATURE "\x21\x11\0\x0b" V4),             /* too short for IPv4 */
        BYTES(SIGNATURE "\x21\x21\0\x23" V6),             /* for IPv6 */
        BYTES(SIGNATURE "\x21\x31\0\x24" V6),             /* for Unix */
        BYTES(SIGNATURE "\x21\x11\0\x0e" V4 "\x04\0"),    /* half an extension */
        BYTES(SIGNATURE "\x21\x11\0\x10" V4 "\x04\0\2a"), /* longer than what is left */
        BYTES(SIGNATURE "\x21\x11\0\x13" V4 "\x03\0\4\x14\x7a\x31\xe1"), /* checksum */
        BYTES(SIGNATURE "\x21\x11\0\x12" V4 "\x03\0\3\x14\x7a\x31"),     /* of three bytes */
        BYTES(SIGNATURE "\x21\x11\x0f\xf1"),                             /* more than 4 KB */
        BYTES(SIGNATURE "\x20\x00\xff\xff"),
        BYTES("\r\n\r\n\0\r\nQUIX"),
        BYTES("\0"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct proxyproto found = {0};
        print_message("case %zu\n", i);
        assert_int_equal(parse(cases[i], &found), PROXYPROTO_BAD);
    }
}

static void test_v2_longest(void **state)
{
    static char bytes[PROXYPROTO_V2_MAX] = SIGNATURE "\x21\x11\x0f\xf0" V4 "\x04\x0f\xe1";
    struct proxyproto found = {0};
    (void)state;
    assert_int_equal(parse((struct span){bytes, sizeof(bytes) - 1}, &found), PROXYPROTO_MORE);
    assert_int_equal(parse((struct span){bytes, sizeof(bytes)}, &found), PROXYPROTO_DONE);
    assert_int_equal(found.size, sizeof(bytes));
}

static struct address address_of(const char *text, uint16_t port)
{
    struct address a = {0};
    if (inet_pton(AF_INET, text, &a.to.v4.sin_addr) == 1) {
        a.to.v4.sin_family = AF_INET;
        a.to.v4.sin_port = htons(port);
        return a;
    }
    memset(&a, 0, sizeof(a));
    assert_int_equal(inet_pton(AF_INET6, text, &a.to.v6.sin6_addr), 1);
    a.to.v6.sin6_family = AF_INET6;
    a.to.v6.sin6_port = htons(port);
    return a;
}

static void test_put(void **state)
{
    static const struct {
        const char *source, *destination, *wanted;
    } cases[] = {
        {"192.0.2.1", "198.51.100.2", "PROXY TCP4 192.0.2.1 198.51.100.2 1 65535\r\n"},
        {"2001:db8::1", "::1", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"},
        {"::ffff:192.0.2.1", "198.51.100.2", "PROXY TCP4 192.0.2.1 198.51.100.2 1 65535\r\n"},
        {"::ffff:192.0.2.1", "::ffff:10.0.0.1", "PROXY TCP4 192.0.2.1 10.0.0.1 1 65535\r\n"},
        {"192.0.2.1", "::1", "PROXY UNKNOWN\r\n"},
        {"::1", "192.0.2.1", "PROXY UNKNOWN\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = buf_with_max(PROXYPROTO_V1_MAX);
        struct address source = address_of(cases[i].source, 1);
        struct address destination = address_of(cases[i].destination, 65535);
        proxyproto_put_v1(&out, &source, &destination);
        assert_string_equal(buf_text(&out), cases[i].wanted);
        check_cut(buf_span(&out));
        buf_reset(&out);
        proxyproto_put_v1(&out, &source, NULL);
        assert_string_equal(buf_text(&out), "PROXY UNKNOWN\r\n");
        buf_fini(&out);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v1),         cmocka_unit_test(test_v1_bad),
        cmocka_unit_test(test_v1_longest), cmocka_unit_test(test_v2),
        cmocka_unit_test(test_v2_unix),    cmocka_unit_test(test_v2_bad),
        cmocka_unit_test(test_v2_longest), cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
