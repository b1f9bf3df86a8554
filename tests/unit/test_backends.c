#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "proxy/backends.h"
#include "proxy/config.h"

enum { U = BACKEND_UP, K = BACKEND_UNKNOWN, D = BACKEND_DOWN, NONE = -1 };

static void test_choose(void **state)
{
    static const struct {
        size_t n;
        int states[4];
        int preferred;
        int order[4]; /* in which they are tried */
    } cases[] = {
        {1, {U}, NONE, {0}},
        {1, {D}, NONE, {0}},
        {3, {U, U, U}, NONE, {0, 1, 2}},
        {3, {U, U, U}, 1, {1, 0, 2}},
        {3, {U, U, U}, 2, {2, 0, 1}},
        {3, {D, U, K}, NONE, {1, 2, 0}},
        {3, {D, U, K}, 0, {1, 2, 0}},
        {3, {D, U, K}, 2, {1, 2, 0}},
        {4, {K, D, K, D}, 3, {0, 2, 3, 1}},
        {4, {K, K, U, U}, 3, {3, 2, 0, 1}},
        {3, {D, D, D}, 1, {1, 0, 2}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum backend_state states[4];
        uint64_t tried = 0;
        size_t preferred = cases[i].preferred < 0 ? SIZE_MAX : (size_t)cases[i].preferred;
        for (size_t k = 0; k < 4; k++) {
            states[k] = (enum backend_state)cases[i].states[k];
        }
        print_message("case %zu\n", i);
        for (size_t k = 0; k < cases[i].n; k++) {
            size_t next = backends_choose(states, cases[i].n, preferred, tried);
            assert_int_equal(next, cases[i].order[k]);
            tried |= UINT64_C(1) << next;
        }
        assert_int_equal(backends_choose(states, cases[i].n, preferred, tried), cases[i].n);
    }
}

static struct address address_of(uint32_t host, uint16_t port)
{
    struct address a = {.size = sizeof(a.to.v4)};
    a.to.v4.sin_family = AF_INET;
    a.to.v4.sin_addr.s_addr = htonl(host);
    a.to.v4.sin_port = htons(port);
    return a;
}

enum { FE = 0x0a000001, HOST = 0x7f000001 };

static struct backends *make(size_t n)
{
    struct backends *b = backends_create();
    for (size_t i = 0; i < n; i++) {
        struct address a = address_of(FE + (uint32_t)i, 9030);
        backends_add_address(b, "fe.example", &a);
    }
    return b;
}

static void test_addresses(void **state)
{
    struct backends *b = make(2);
    (void)state;
    assert_int_equal(backends_count(b), 2);
    assert_string_equal(backends_text(b, 1), "10.0.0.2:9030");
    assert_string_equal(backends_numeric_host(b, 1), "10.0.0.2");
    assert_string_equal(backends_host(b, 1), "fe.example");
    assert_int_equal(backends_port(b, 1), 9030);
    backends_destroy(b);
}

/* Two names of one FE, or one name twice: else its metrics would be there twice. */
static void test_same_address(void **state)
{
    static char one[] = "127.0.0.1";
    static char two[] = "127.0.0.2";
    static const struct host_port names[] = {{one, 9030}, {one, 9030}, {one, 9031}, {two, 9030}};
    struct backends *b = backends_create();
    struct err err = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(backends_add(b, &names[i], &err));
    }
    assert_int_equal(backends_count(b), 3);
    assert_string_equal(backends_text(b, 1), "127.0.0.1:9031");
    assert_string_equal(backends_text(b, 2), "127.0.0.2:9030");
    backends_destroy(b);
}

static enum backend_state state_of(const struct backends *b, size_t i)
{
    struct backend_health health;
    backends_health(b, i, &health);
    return health.state;
}

static void test_checked(void **state)
{
    struct backends *b = make(2);
    struct address client = address_of(HOST, 1);
    struct backend_health health;
    (void)state;
    backends_set_checked(b);
    assert_int_equal(backends_next(b, &client, 0), 0);
    uint32_t seen = backends_begin_check(b, 1);
    backends_is_up(b, 1, seen);
    assert_int_equal(backends_next(b, &client, 0), 1);
    backends_failed(b, 1, "Connection refused");
    backends_health(b, 1, &health);
    assert_int_equal(health.state, BACKEND_DOWN);
    assert_string_equal(health.reason, "Connection refused");
    assert_true(health.since_ms > 0);
    assert_true(backends_is_doubted(b, 1));
    assert_int_equal(backends_next(b, &client, 0), 0);

    backends_is_up(b, 1, seen); /* an answer of before the failure */
    assert_int_equal(state_of(b, 1), BACKEND_DOWN);
    backends_is_down(b, 1, "it is not ready");
    assert_true(backends_is_doubted(b, 1));
    backends_is_up(b, 1, backends_begin_check(b, 1));
    assert_int_equal(state_of(b, 1), BACKEND_UP);
    assert_false(backends_is_doubted(b, 1));
    backends_health(b, 1, &health);
    assert_string_equal(health.reason, "");
    backends_destroy(b);
}

/* Nobody asks: a session that gets through is what there is. */
static void test_unchecked(void **state)
{
    struct backends *b = make(2);
    struct address client = address_of(HOST, 1);
    (void)state;
    backends_failed(b, 0, "Connection refused");
    assert_int_equal(backends_next(b, &client, 0), 1);
    assert_int_equal(backends_next(b, &client, 2), 0); /* DOWN is better than none */
    backends_leave(b, 0, backends_enter(b, 0, &client));
    assert_int_equal(state_of(b, 0), BACKEND_UNKNOWN);
    assert_int_equal(backends_next(b, &client, 0), 0);
    backends_destroy(b);
}

static void test_affinity(void **state)
{
    struct backends *b = make(3);
    struct address client = address_of(HOST, 1);
    struct address again = address_of(HOST, 2); /* another port of the same host */
    struct address other = address_of(HOST + 1, 1);
    (void)state;
    uint32_t first = backends_enter(b, 2, &client);
    assert_int_equal(backends_next(b, &again, 0), 2);
    assert_int_equal(backends_next(b, &other, 0), 0);
    uint32_t second = backends_enter(b, 2, &again);
    uint32_t elsewhere = backends_enter(b, 1, &again); /* those at 2 came first */
    assert_int_equal(elsewhere, 0);
    assert_int_equal(backends_sessions(b, 2), 2);
    assert_int_equal(backends_sessions(b, 1), 1);
    backends_leave(b, 2, first);
    assert_int_equal(backends_next(b, &client, 0), 2);
    backends_leave(b, 2, second);
    assert_int_equal(backends_next(b, &client, 0), 0); /* nobody of them is left there */
    backends_leave(b, 1, elsewhere);
    assert_int_equal(backends_sessions(b, 1) + backends_sessions(b, 2), 0);
    backends_destroy(b);
}

enum { N_TURNS = 20000 };

static struct backends *shared;
static _Atomic bool is_over;

static void *write_reasons(void *arg)
{
    const char *reason = arg;
    for (int i = 0; i < N_TURNS; i++) {
        backends_failed(shared, 0, reason);
    }
    return NULL;
}

static void *read_reasons(void *arg)
{
    const char *const *reasons = arg;
    while (!atomic_load(&is_over)) {
        struct backend_health health;
        backends_health(shared, 0, &health);
        if (health.state == BACKEND_DOWN && health.reason[0] != '\0') {
            assert_true(strcmp(health.reason, reasons[0]) == 0 ||
                        strcmp(health.reason, reasons[1]) == 0);
        }
    }
    return NULL;
}

/* A reason is never half of one and half of another. */
static void test_threads(void **state)
{
    char a[BACKENDS_REASON_SIZE];
    char b[BACKENDS_REASON_SIZE];
    const char *reasons[] = {a, b};
    pthread_t threads[3];
    (void)state;
    memset(a, 'a', sizeof(a) - 1);
    memset(b, 'b', sizeof(b) - 1);
    a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
    shared = make(1);
    backends_set_checked(shared);
    assert_int_equal(pthread_create(&threads[0], NULL, read_reasons, reasons), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, write_reasons, a), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, write_reasons, b), 0);
    (void)pthread_join(threads[1], NULL);
    (void)pthread_join(threads[2], NULL);
    atomic_store(&is_over, true);
    (void)pthread_join(threads[0], NULL);
    backends_destroy(shared);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choose),       cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_same_address), cmocka_unit_test(test_checked),
        cmocka_unit_test(test_unchecked),    cmocka_unit_test(test_affinity),
        cmocka_unit_test(test_threads),
    };
    log_setup(LOG_ERROR, LOG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
