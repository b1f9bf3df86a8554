/* Limits by user: counted, refused, moved, released; from many threads, too. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/session_limits.h"

enum { N_THREADS = 4, N_ROUNDS = 20000, MAX = 3, N_USERS = 600 };

static struct session_user *add(struct session_limits *l, const char *user, int64_t max)
{
    struct err err = {0};
    struct session_user *u = session_limits_add(l, user, max, &err);
    assert_int_equal(u == NULL, err_is_set(&err));
    return u;
}

static void test_refusal(void **state)
{
    struct session_limits l = {0};
    struct err err = {0};
    (void)state;
    struct session_user *a = add(&l, "ann", 2);
    struct session_user *b = add(&l, "ann", 2);
    assert_non_null(a);
    assert_ptr_equal(a, b);
    assert_null(session_limits_add(&l, "ann", 2, &err));
    assert_int_equal(err.code, 1203);
    assert_string_equal(err.sqlstate, "42000");
    assert_non_null(strstr(err.msg, "Reach limit of connections"));
    assert_non_null(strstr(err.msg, "ann"));
    assert_non_null(strstr(err.msg, "proxy.max_user_connections"));
    struct session_user *other = add(&l, "Ann", 2); /* Doris tells the cases apart */
    assert_non_null(other);
    assert_int_equal(atomic_load(&l.n_users), 2);
    session_limits_remove(&l, a);
    a = add(&l, "ann", 2);
    assert_non_null(a);
    session_limits_remove(&l, a);
    session_limits_remove(&l, b);
    session_limits_remove(&l, other);
    session_limits_remove(&l, NULL);
    assert_int_equal(atomic_load(&l.n_users), 0);
}

/* Sessions that came while there was no limit count once there is one. */
static void test_limit_that_comes_later(void **state)
{
    struct session_limits l = {0};
    struct session_user *all[5];
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        all[i] = add(&l, "", 0);
        assert_non_null(all[i]);
    }
    assert_null(add(&l, "", 5));
    session_limits_remove(&l, all[0]);
    all[0] = add(&l, "", 5);
    assert_non_null(all[0]);
    for (size_t i = 0; i < 5; i++) {
        session_limits_remove(&l, all[i]);
    }
    assert_int_equal(atomic_load(&l.n_users), 0);
}

/* More users than buckets, ended in another order. */
static void test_many_users(void **state)
{
    struct session_limits l = {0};
    struct session_user *all[N_USERS];
    (void)state;
    for (size_t i = 0; i < N_USERS; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "u%zu", i);
        all[i] = add(&l, name, 1);
        assert_non_null(all[i]);
        assert_null(add(&l, name, 1));
    }
    assert_int_equal(atomic_load(&l.n_users), N_USERS);
    for (size_t i = 0; i < N_USERS; i++) {
        session_limits_remove(&l, all[i * 7 % N_USERS]);
    }
    assert_int_equal(atomic_load(&l.n_users), 0);
}

struct shared {
    struct session_limits limits;
    _Atomic int n_inside;
    _Atomic int worst;
    _Atomic int n_refused;
};

static void *come_and_go(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < N_ROUNDS; i++) {
        struct err err;
        struct session_user *u = session_limits_add(&s->limits, "u", MAX, &err);
        if (u == NULL) {
            atomic_fetch_add(&s->n_refused, 1);
            continue;
        }
        int n = atomic_fetch_add(&s->n_inside, 1) + 1;
        if (n > atomic_load(&s->worst)) {
            atomic_store(&s->worst, n);
        }
        atomic_fetch_sub(&s->n_inside, 1);
        session_limits_remove(&s->limits, u);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct shared s = {0};
    pthread_t threads[N_THREADS];
    (void)state;
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &s), 0);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_in_range(atomic_load(&s.worst), 1, MAX);
    assert_int_equal(atomic_load(&s.limits.n_users), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusal),
        cmocka_unit_test(test_limit_that_comes_later),
        cmocka_unit_test(test_many_users),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
