#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "proxy/networks.h"

static struct address address_of(const char *text)
{
    struct address a = {0};
    if (inet_pton(AF_INET, text, &a.to.v4.sin_addr) == 1) {
        a.to.any.sa_family = AF_INET;
        a.size = sizeof(a.to.v4);
        return a;
    }
    memset(&a, 0, sizeof(a));
    assert_int_equal(inet_pton(AF_INET6, text, &a.to.v6.sin6_addr), 1);
    a.to.any.sa_family = AF_INET6;
    a.size = sizeof(a.to.v6);
    return a;
}

static void test_match(void **state)
{
    static const struct {
        const char *networks;
        const char *address;
        bool wanted;
    } cases[] = {
        {"", "127.0.0.1", false},
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "9.255.255.255", false},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"10.128.0.0/9", "10.128.0.0", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"::/0", "127.0.0.1", false},
        {"::/0", "::ffff:127.0.0.1", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"127.0.0.0/8", "::ffff:127.0.0.1", true},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
        {"::ffff:10.0.0.0/104", "11.1.2.3", false},
        {" 10.0.0.0/8 ,, 192.0.2.0/31,\t::1 ,", "192.0.2.1", true},
        {" 10.0.0.0/8 ,, 192.0.2.0/31,\t::1 ,", "192.0.2.2", false},
        {" 10.0.0.0/8 ,, 192.0.2.0/31,\t::1 ,", "::1", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct networks n = {0};
        struct err err = {0};
        struct address a = address_of(cases[i].address);
        print_message("%s in %s\n", cases[i].address, cases[i].networks);
        assert_true(networks_parse(span_of(cases[i].networks), &n, &err));
        assert_int_equal(networks_contain(&n, &a), cases[i].wanted);
        networks_fini(&n);
    }
}

static void test_bad(void **state)
{
    static const struct {
        const char *text;
        const char *entry; /* that the error names */
    } cases[] = {
        {"10.0.0.0/33", "\"10.0.0.0/33\""},
        {"::1, ::/129", "\"::/129\""},
        {"10.0.0.0/", "\"10.0.0.0/\""},
        {"10.0.0.0/-1", "\"10.0.0.0/-1\""},
        {"10.0.0.0/8x", "\"10.0.0.0/8x\""},
        {"10.0.0/8", "\"10.0.0/8\""},
        {"example.com", "\"example.com\""},
        {"::1, 10.0.0.1/8", "\"10.0.0.1/8\""},
        {"2001:db8::1/32", "\"2001:db8::1/32\""},
        {"/8", "\"/8\""},
        {"10.0.0.0 /8", "\"10.0.0.0 /8\""},
        {"1.2.3.4:80", "\"1.2.3.4:80\""},
        {"[::1]/128", "\"[::1]/128\""},
        {"::1 ::2", "\"::1 ::2\""},
        {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
         "\"1234567890"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct networks n = {0};
        struct err err = {0};
        print_message("%s\n", cases[i].text);
        assert_false(networks_parse(span_of(cases[i].text), &n, &err));
        assert_non_null(strstr(err.msg, cases[i].entry));
        assert_null(n.items);
    }
}

static void test_most(void **state)
{
    char text[(NETWORKS_MAX + 1) * 4 + 1] = "";
    struct networks n = {0};
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i <= NETWORKS_MAX; i++) {
        memcpy(text + i * 4, "::1,", 4);
    }
    assert_true(networks_parse((struct span){text, NETWORKS_MAX * 4}, &n, &err));
    assert_int_equal(n.n, NETWORKS_MAX);
    networks_fini(&n);
    assert_false(networks_parse(span_of(text), &n, &err));
    assert_non_null(strstr(err.msg, "one too many"));
}

static void test_unmap(void **state)
{
    struct address mapped = address_of("::ffff:192.0.2.7");
    struct address v6 = address_of("2001:db8::1");
    struct address same = v6;
    (void)state;
    mapped.to.v6.sin6_port = htons(5311);
    networks_unmap(&mapped);
    assert_int_equal(mapped.to.any.sa_family, AF_INET);
    assert_int_equal(mapped.to.v4.sin_port, htons(5311));
    assert_int_equal(mapped.to.v4.sin_addr.s_addr, inet_addr("192.0.2.7"));
    assert_int_equal(mapped.size, sizeof(struct sockaddr_in));
    networks_unmap(&v6);
    assert_memory_equal(&v6, &same, sizeof(v6));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_most),
        cmocka_unit_test(test_unmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
