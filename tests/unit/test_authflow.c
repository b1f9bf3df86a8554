#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/authflow.h"
#include "proxy/packet.h"

static const struct authflow_sides plain = {0};
static const struct authflow_sides client_only = {.has_client_tls = true};
static const struct authflow_sides fe_only = {.has_server_tls = true};
static const struct authflow_sides both = {.has_client_tls = true, .has_server_tls = true};
static const struct authflow_sides trusting = {.may_show_password = true};

struct packet {
    char bytes[128];
    size_t n;
};

static struct packet make_packet(uint8_t number, const void *payload, size_t n)
{
    struct packet p = {.n = PACKET_HEADER_SIZE + n};
    assert_true(n <= sizeof(p.bytes) - PACKET_HEADER_SIZE);
    p.bytes[0] = (char)n;
    p.bytes[3] = (char)number;
    memcpy(p.bytes + PACKET_HEADER_SIZE, payload, n);
    return p;
}

/* The FE sends it; what number does the client see? */
static uint8_t from_server(struct authflow *f, uint8_t number, const void *payload, size_t n)
{
    struct err err = {0};
    struct packet p = make_packet(number, payload, n);
    assert_true(authflow_from_server(f, p.bytes, p.n, &err));
    assert_memory_equal(p.bytes + PACKET_HEADER_SIZE, payload, n);
    authflow_sent(f);
    return packet_sequence(p.bytes);
}

static uint8_t from_client(struct authflow *f, uint8_t number)
{
    struct packet p = make_packet(number, "secret", 6);
    authflow_from_client(f, p.bytes);
    assert_memory_equal(p.bytes + PACKET_HEADER_SIZE, "secret", 6);
    return packet_sequence(p.bytes);
}

/* What the client is told instead, and as which packet. */
static void assert_refused(struct authflow *f, uint8_t number, const void *payload, size_t n,
                           uint8_t expected, const char *part)
{
    struct err err = {0};
    struct packet p = make_packet(number, payload, n);
    assert_false(authflow_from_server(f, p.bytes, p.n, &err));
    assert_int_equal(err.code, 1251);
    assert_string_equal(err.sqlstate, "08004");
    assert_non_null(strstr(err.msg, part));
    assert_int_equal(authflow_next_number(f), expected);
}

static struct authflow begin(const struct authflow_sides *sides, uint8_t number,
                             enum handshake_plugin plugin)
{
    struct authflow f = {0};
    struct err err = {0};
    assert_true(authflow_begin_login(&f, sides, number, plugin, &err));
    assert_true(f.is_active);
    return f;
}

static void test_numbers(void **state)
{
    static const struct {
        const struct authflow_sides *sides;
        uint8_t client, server; /* the response's */
    } cases[] = {{&plain, 1, 1}, {&client_only, 2, 1}, {&fe_only, 1, 2}, {&both, 2, 2}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t c = cases[i].client;
        uint8_t s = cases[i].server;
        struct authflow f = begin(cases[i].sides, c, HANDSHAKE_PLUGIN_OTHER);
        assert_int_equal(authflow_next_number(&f), c + 1);
        assert_int_equal(from_client(&f, c), s);
        assert_int_equal(from_server(&f, s + 1, "\xfemysql_native_password\0abc", 26), c + 1);
        assert_int_equal(from_client(&f, c + 2), s + 2);
        assert_int_equal(authflow_next_number(&f), c + 3);
        assert_int_equal(from_server(&f, s + 3, "\1data", 5), c + 3);
        assert_int_equal(from_server(&f, s + 4, "\0\0\0\2\0\0\0", 7), c + 4);
        assert_int_equal(authflow_next_number(&f), c + 5);
    }
}

static void test_numbers_wrap(void **state)
{
    struct authflow f = begin(&fe_only, 1, HANDSHAKE_PLUGIN_OTHER);
    (void)state;
    assert_int_equal(from_server(&f, 0, "\1", 1), 255);
    assert_int_equal(authflow_next_number(&f), 0);
    assert_int_equal(from_client(&f, 255), 0);
}

static void test_change_user_keeps_numbers(void **state)
{
    struct authflow f = {0};
    struct err err = {0};
    (void)state;
    assert_true(authflow_begin_change(&f, &client_only, HANDSHAKE_PLUGIN_OTHER, &err));
    assert_int_equal(authflow_next_number(&f), 1);
    assert_int_equal(from_server(&f, 1, "\xfemysql_native_password\0abc", 26), 1);
    assert_int_equal(from_client(&f, 2), 2);
    assert_int_equal(from_server(&f, 3, "\0\0\0\2\0\0\0", 7), 3);
}

static void test_clear_password(void **state)
{
    static const char request[] = "\xfemysql_clear_password";
    struct authflow f = begin(&plain, 1, HANDSHAKE_PLUGIN_OTHER);
    struct err err = {0};
    (void)state;
    assert_refused(&f, 2, request, sizeof(request), 2, "proxy.allow_clear_passwords");
    f = begin(&fe_only, 1, HANDSHAKE_PLUGIN_OTHER);
    assert_refused(&f, 3, request, sizeof(request) - 1, 2, "in clear"); /* without its NUL */
    f = begin(&fe_only, 1, HANDSHAKE_PLUGIN_OTHER);
    assert_refused(&f, 3,
                   "\xfe"
                   "dialog\0\2Password:",
                   18, 2, "in clear");
    f = begin(&client_only, 2, HANDSHAKE_PLUGIN_OTHER);
    assert_int_equal(from_server(&f, 2, request, sizeof(request)), 3);
    f = begin(&trusting, 1, HANDSHAKE_PLUGIN_OTHER);
    assert_int_equal(from_server(&f, 2, request, sizeof(request)), 2);
    assert_false(authflow_begin_login(&f, &plain, 1, HANDSHAKE_PLUGIN_CLEAR, &err));
    assert_int_equal(authflow_next_number(&f), 2);
    assert_false(authflow_begin_change(&f, &fe_only, HANDSHAKE_PLUGIN_CLEAR, &err));
    assert_int_equal(authflow_next_number(&f), 1);
    assert_true(authflow_begin_login(&f, &both, 2, HANDSHAKE_PLUGIN_CLEAR, &err));
    assert_true(authflow_begin_change(&f, &trusting, HANDSHAKE_PLUGIN_CLEAR, &err));
}

/* The scramble may go either way; the full exchange needs the same on both sides. */
static void test_caching_sha2(void **state)
{
    static const char request[] = "\xfe"
                                  "caching_sha2_password\0aaaaaaaaaaaaaaaaaaaa";
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct authflow_sides *sides = i == 0 ? &client_only : &fe_only;
        struct authflow f = begin(sides, 1, HANDSHAKE_PLUGIN_CACHING_SHA2);
        (void)from_server(&f, 2, "\1\3", 2);
        assert_refused(&f, 3, "\1\4", 2, (uint8_t)(i == 0 ? 4 : 2), "proxy.backend_tls");
        f = begin(sides, 1, HANDSHAKE_PLUGIN_OTHER);
        (void)from_server(&f, 2, "\1\4", 2); /* another plugin's, whatever it means */
        (void)from_server(&f, 3, request, sizeof(request));
        assert_refused(&f, 5, "\1\4", 2, (uint8_t)(i == 0 ? 6 : 4), "caching_sha2_password");
        f = begin(i == 0 ? &plain : &both, 1, HANDSHAKE_PLUGIN_CACHING_SHA2);
        (void)from_server(&f, 2, "\1\4", 2);
        (void)from_server(&f, 4, "\1-----BEGIN PUBLIC KEY-----", 27);
    }
}

static void test_sha256(void **state)
{
    static const char request[] = "\xfesha256_password\0aaaaaaaaaaaaaaaaaaaa";
    struct authflow f = {0};
    struct err err = {0};
    (void)state;
    assert_false(authflow_begin_login(&f, &client_only, 2, HANDSHAKE_PLUGIN_SHA256, &err));
    assert_false(authflow_begin_login(&f, &fe_only, 1, HANDSHAKE_PLUGIN_SHA256, &err));
    assert_true(authflow_begin_login(&f, &plain, 1, HANDSHAKE_PLUGIN_SHA256, &err));
    f = begin(&client_only, 2, HANDSHAKE_PLUGIN_OTHER);
    assert_refused(&f, 2, request, sizeof(request), 3, "sha256_password");
    f = begin(&both, 2, HANDSHAKE_PLUGIN_OTHER);
    (void)from_server(&f, 3, request, sizeof(request));
}

static void test_odd_packets(void **state)
{
    struct authflow f = begin(&client_only, 2, HANDSHAKE_PLUGIN_CLEAR);
    (void)state;
    (void)from_server(&f, 2, "", 0);
    (void)from_server(&f, 3, "\xfe", 1); /* the switch of MySQL 3.23 */
    assert_int_equal(f.plugin, HANDSHAKE_PLUGIN_OTHER);
    (void)from_server(&f, 4, "\1", 1);
    (void)from_server(&f, 5, "\xff\x15\x04#28000no", 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_wrap),
        cmocka_unit_test(test_change_user_keeps_numbers),
        cmocka_unit_test(test_clear_password),
        cmocka_unit_test(test_caching_sha2),
        cmocka_unit_test(test_sha256),
        cmocka_unit_test(test_odd_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
