#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/handshake.h"
#include "proxy/packet.h"

/* The greeting of Doris 2.1 (facts/doris-ports.md A1), but for the capabilities. */
struct greeting {
    char bytes[128];
    size_t n;
};

static struct greeting make_greeting(const char *version, uint64_t capabilities)
{
    struct greeting g = {0};
    struct buf b = buf_with_max(sizeof(g.bytes));
    packet_put_u8(&b, 10);
    buf_append(&b, version, strlen(version) + 1);
    packet_put_u32(&b, 77);
    buf_append(&b, "12345678", 9);
    packet_put_u16(&b, (uint16_t)capabilities);
    packet_put_u8(&b, 33);
    packet_put_u16(&b, 0);
    packet_put_u16(&b, (uint16_t)(capabilities >> 16));
    packet_put_u8(&b, 21);
    buf_append(&b, "\0\0\0\0\0\0", 6);
    packet_put_u32(&b, (uint32_t)(capabilities >> 32));
    buf_append(&b, "123456789012", 13);
    buf_append(&b, "mysql_native_password", 22);
    assert_true(buf_ok(&b));
    memcpy(g.bytes, b.data, b.len);
    g.n = b.len;
    buf_fini(&b);
    return g;
}

#define DORIS_CAPABILITIES                                                                         \
    (CAP_PROTOCOL_41 | CAP_CONNECT_WITH_DB | CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH | 0x80 | 0x4)

static void test_greeting_of_doris_stays(void **state)
{
    struct greeting g = make_greeting("5.7.99", DORIS_CAPABILITIES);
    struct greeting before = g;
    struct handshake_greeting seen;
    struct err err = {0};
    (void)state;
    assert_true(handshake_mask_greeting(g.bytes, g.n, &seen, &err));
    assert_memory_equal(g.bytes, before.bytes, g.n);
    assert_int_equal(seen.offered, DORIS_CAPABILITIES);
    assert_int_equal(seen.hidden, 0);
}

static void test_hidden_bits_alone_change(void **state)
{
    uint64_t hidden = CAP_COMPRESS | CAP_SSL | CAP_ZSTD;
    struct greeting g = make_greeting("8.4.0", DORIS_CAPABILITIES | CAP_LONG_PASSWORD | hidden);
    struct greeting wanted = make_greeting("8.4.0", DORIS_CAPABILITIES | CAP_LONG_PASSWORD);
    struct handshake_greeting seen;
    struct err err = {0};
    (void)state;
    assert_true(handshake_mask_greeting(g.bytes, g.n, &seen, &err));
    assert_memory_equal(g.bytes, wanted.bytes, g.n);
    assert_int_equal(seen.hidden, hidden);
}

static void test_maria_capabilities(void **state)
{
    uint64_t shown = DORIS_CAPABILITIES | CAP_MARIA_CACHE_META | CAP_MARIA_EXTENDED_META;
    struct greeting g = make_greeting("11.8.2-MariaDB", shown | CAP_MARIA_COM_MULTI);
    struct greeting wanted = make_greeting("11.8.2-MariaDB", shown);
    struct handshake_greeting seen;
    struct err err = {0};
    (void)state;
    assert_true(handshake_mask_greeting(g.bytes, g.n, &seen, &err));
    assert_memory_equal(g.bytes, wanted.bytes, g.n);
    assert_int_equal(seen.offered, shown | CAP_MARIA_COM_MULTI);

    /* Where LONG_PASSWORD is set those four bytes are only reserved. */
    g = make_greeting("8.4.0", shown | CAP_LONG_PASSWORD | CAP_MARIA_COM_MULTI);
    wanted = g;
    assert_true(handshake_mask_greeting(g.bytes, g.n, &seen, &err));
    assert_memory_equal(g.bytes, wanted.bytes, g.n);
    assert_int_equal(seen.offered >> 32, 0);
}

static void test_greeting_cut_anywhere(void **state)
{
    (void)state;
    for (size_t n = 0; n < 80; n++) {
        struct greeting g = make_greeting("5.7.99", UINT32_MAX & ~CAP_LONG_PASSWORD);
        struct handshake_greeting seen;
        struct err err = {0};
        size_t cut = n < g.n ? n : g.n;
        char *exact = test_malloc(cut + 1);
        memcpy(exact, g.bytes, cut);
        bool is_ok = handshake_mask_greeting(exact, cut, &seen, &err);
        assert_int_equal(is_ok, cut >= 23); /* version, "5.7.99", id, scramble, 0, two bytes */
        assert_int_equal(is_ok, !err_is_set(&err));
        test_free(exact);
    }
}

static void test_not_a_greeting(void **state)
{
    char http[] = "HTTP/1.1 400 Bad Request\r\n\r\n and some more, all of it text";
    struct handshake_greeting seen;
    struct err err = {0};
    (void)state;
    assert_false(handshake_mask_greeting(http, sizeof(http), &seen, &err));
    assert_int_equal(err.code, ERR_HANDSHAKE);
    assert_non_null(strstr(err.msg, "query_port"));
}

static void put_response(struct buf *b, uint64_t capabilities, struct span user)
{
    packet_put_u32(b, (uint32_t)capabilities);
    packet_put_u32(b, 1 << 24);
    packet_put_u8(b, 33);
    buf_append(b, "0123456789012345678", 19);
    packet_put_u32(b, (uint32_t)(capabilities >> 32));
    buf_append_span(b, user);
    packet_put_u8(b, 0);
}

static void test_response_forms(void **state)
{
    static const struct {
        uint64_t capabilities;
        const char *auth;
        size_t n;
    } forms[] = {
        {CAP_AUTH_LENENC | CAP_SECURE_CONNECTION,
         "\x03"
         "abc",
         4},
        {CAP_SECURE_CONNECTION,
         "\x03"
         "abc",
         4},
        {0, "abc", 4},
    };
    const struct handshake_greeting greeting = {.offered = UINT64_MAX & ~CAP_SSL};
    (void)state;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        _cleanup_buf_ struct buf b = buf_with_max(512);
        struct handshake_response response;
        struct err err = {0};
        uint64_t caps = CAP_PROTOCOL_41 | CAP_CONNECT_WITH_DB | CAP_LONG_PASSWORD;
        put_response(&b, caps | forms[i].capabilities, SPAN_LIT("anna#HIGH"));
        buf_append(&b, forms[i].auth, forms[i].n);
        buf_append(&b, "hive.db", 8);
        assert_true(handshake_read_response(buf_span(&b), &greeting, &response, &err));
        assert_true(span_eq_text(response.user, "anna"));
        assert_true(span_eq_text(response.database, "hive.db"));
        assert_int_equal(response.capabilities, caps | forms[i].capabilities);
    }
}

static bool read_caps(uint64_t capabilities, const struct handshake_greeting *greeting,
                      struct handshake_response *ret, struct err *err)
{
    _cleanup_buf_ struct buf b = buf_with_max(512);
    put_response(&b, capabilities, SPAN_LIT("u"));
    packet_put_u8(&b, 0);
    return handshake_read_response(buf_span(&b), greeting, ret, err);
}

static void test_response_refused(void **state)
{
    struct handshake_greeting greeting = {.offered = UINT32_MAX, .hidden = CAP_COMPRESS | CAP_SSL};
    struct handshake_response response;
    struct err err = {0};
    (void)state;
    assert_false(read_caps(CAP_PROTOCOL_41 | CAP_COMPRESS, &greeting, &response, &err));
    assert_non_null(strstr(err.msg, "compression"));
    assert_false(read_caps(CAP_PROTOCOL_41 | CAP_SSL, &greeting, &response, &err));
    assert_non_null(strstr(err.msg, "TLS"));
    assert_false(read_caps(CAP_LONG_PASSWORD, &greeting, &response, &err));
    assert_int_equal(err.code, 1251);

    /* What the FE never offered it ignores, too: Doris without TLS (A4). */
    greeting.hidden = 0;
    assert_true(read_caps(CAP_PROTOCOL_41 | CAP_COMPRESS, &greeting, &response, &err));

    /* A bare TLS request is none of those: it has no user. */
    _cleanup_buf_ struct buf tls = buf_with_max(64);
    put_response(&tls, CAP_PROTOCOL_41 | CAP_SSL, SPAN_LIT(""));
    tls.len = 32;
    assert_false(handshake_read_response(buf_span(&tls), &greeting, &response, &err));
    assert_non_null(strstr(err.msg, "TLS"));
}

static void test_maria_response(void **state)
{
    struct handshake_greeting greeting = {.offered = CAP_PROTOCOL_41 | CAP_MARIA_CACHE_META};
    struct handshake_response response;
    struct err err = {0};
    (void)state;
    assert_true(read_caps(CAP_PROTOCOL_41 | CAP_MARIA_CACHE_META, &greeting, &response, &err));
    assert_int_equal(response.capabilities, CAP_PROTOCOL_41 | CAP_MARIA_CACHE_META);
    greeting.offered |= CAP_LONG_PASSWORD;
    assert_true(read_caps(CAP_PROTOCOL_41 | CAP_MARIA_CACHE_META, &greeting, &response, &err));
    assert_int_equal(response.capabilities, CAP_PROTOCOL_41);
}

static void test_response_cut_anywhere(void **state)
{
    const struct handshake_greeting greeting = {.offered = UINT32_MAX};
    uint64_t caps = CAP_PROTOCOL_41 | CAP_CONNECT_WITH_DB | CAP_AUTH_LENENC | CAP_LONG_PASSWORD;
    _cleanup_buf_ struct buf b = buf_with_max(512);
    (void)state;
    put_response(&b, caps, SPAN_LIT("root"));
    buf_append(&b,
               "\x02"
               "ab"
               "db",
               6);
    for (size_t n = 0; n <= b.len; n++) {
        struct handshake_response response;
        struct err err = {0};
        char *exact = test_malloc(n + 1);
        memcpy(exact, b.data, n);
        bool is_ok = handshake_read_response((struct span){exact, n}, &greeting, &response, &err);
        assert_int_equal(is_ok, n >= 32 + 5);
        assert_int_equal(is_ok, !err_is_set(&err));
        if (is_ok) {
            assert_true(span_eq_text(response.user, "root"));
        }
        test_free(exact);
    }
}

static void test_change_user(void **state)
{
    struct span user = {0};
    struct err err = {0};
    (void)state;
    assert_true(handshake_read_change_user(SPAN_LIT("\x11"
                                                    "bob#x\0\0\0"),
                                           &user, &err));
    assert_true(span_eq_text(user, "bob"));
    assert_false(handshake_read_change_user(SPAN_LIT("\x11"
                                                     "bob"),
                                            &user, &err));
    assert_true(err_is_set(&err));
}

/* Only the bit changes; the FE's own offer is remembered. */
static void test_offer_tls(void **state)
{
    static const uint64_t offers[] = {DORIS_CAPABILITIES, DORIS_CAPABILITIES | CAP_SSL};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct greeting g = make_greeting("5.7.99", offers[i]);
        struct greeting expected = make_greeting("5.7.99", DORIS_CAPABILITIES | CAP_SSL);
        struct handshake_greeting seen;
        struct err err = {0};
        assert_true(handshake_mask_greeting(g.bytes, g.n, &seen, &err));
        assert_false(seen.is_tls_offered);
        handshake_offer_tls(g.bytes, g.n, &seen);
        assert_memory_equal(g.bytes, expected.bytes, g.n);
        assert_true(seen.is_tls_offered);
        assert_int_equal(seen.offered, offers[i]);
        assert_int_equal(seen.hidden, 0);
        assert_int_equal(seen.plugin, HANDSHAKE_PLUGIN_OTHER);
    }
}

static void test_tls_request(void **state)
{
    char response[40] = "\x05\xa2\x0a\0";
    char request[HANDSHAKE_TLS_REQUEST_SIZE];
    (void)state;
    handshake_make_tls_request((struct span){response, sizeof(response)}, request);
    assert_true(handshake_is_tls_request((struct span){request, sizeof(request)}));
    assert_false(handshake_is_tls_request((struct span){response, 32}));
    assert_false(handshake_is_tls_request((struct span){request, 31}));
    assert_false(handshake_is_tls_request((struct span){request, 0}));
    request[1] &= (char)~0x08;
    assert_memory_equal(request, response, sizeof(request));
    handshake_set_tls(response, true);
    assert_int_equal((uint8_t)response[1], 0xaa);
    handshake_set_tls(response, false);
    assert_int_equal((uint8_t)response[1], 0xa2);
}

static void test_plugins(void **state)
{
    static const char change[] = "\x11"
                                 "anna\0\3abc"
                                 "db\0\x2d\0sha256_password";
    const struct handshake_greeting greeting = {.plugin = HANDSHAKE_PLUGIN_CACHING_SHA2};
    struct span payload = {change, sizeof(change)};
    uint64_t agreed = CAP_SECURE_CONNECTION | CAP_PLUGIN_AUTH;
    (void)state;
    assert_int_equal(handshake_plugin_of(SPAN_LIT("mysql_clear_password")), HANDSHAKE_PLUGIN_CLEAR);
    assert_int_equal(handshake_plugin_of(SPAN_LIT("mysql_native_password")),
                     HANDSHAKE_PLUGIN_OTHER);
    assert_int_equal(handshake_plugin_of(SPAN_LIT("")), HANDSHAKE_PLUGIN_OTHER);
    assert_int_equal(handshake_plugin_of_change(payload, agreed, &greeting),
                     HANDSHAKE_PLUGIN_SHA256);
    payload.n--; /* without the NUL */
    assert_int_equal(handshake_plugin_of_change(payload, agreed, &greeting),
                     HANDSHAKE_PLUGIN_SHA256);
    assert_int_equal(handshake_plugin_of_change(payload, CAP_SECURE_CONNECTION, &greeting),
                     HANDSHAKE_PLUGIN_OTHER);
    payload.n = 10; /* it names none */
    assert_int_equal(handshake_plugin_of_change(payload, agreed, &greeting),
                     HANDSHAKE_PLUGIN_CACHING_SHA2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offer_tls),
        cmocka_unit_test(test_tls_request),
        cmocka_unit_test(test_plugins),
        cmocka_unit_test(test_greeting_of_doris_stays),
        cmocka_unit_test(test_hidden_bits_alone_change),
        cmocka_unit_test(test_maria_capabilities),
        cmocka_unit_test(test_greeting_cut_anywhere),
        cmocka_unit_test(test_not_a_greeting),
        cmocka_unit_test(test_response_forms),
        cmocka_unit_test(test_response_refused),
        cmocka_unit_test(test_maria_response),
        cmocka_unit_test(test_response_cut_anywhere),
        cmocka_unit_test(test_change_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
