/* The wheel against a brute-force oracle: the same timers in a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "scheduler/wheel.h"

enum { N_TIMERS = 200, N_STEPS = 4000 };

static uint64_t random_below(unsigned *seed, uint64_t n)
{
    uint64_t r = ((uint64_t)rand_r(seed) << 31) ^ (uint64_t)rand_r(seed);
    return r % n;
}

/* Mostly near, sometimes beyond every level. */
static uint64_t random_delay(unsigned *seed)
{
    static const uint64_t reach[] = {3, 70, 5000, 300000, UINT64_C(1) << 25, UINT64_C(1) << 40};
    return random_below(seed, reach[random_below(seed, ARRAY_SIZE(reach))]);
}

static void check_due(struct wheel *w, struct wheel_timer *timers, const uint64_t *expected)
{
    struct wheel_timer *t = NULL;
    while ((t = wheel_take(w)) != NULL) {
        ptrdiff_t i = t - timers;
        assert_true(i >= 0 && i < N_TIMERS);
        assert_true(expected[i] <= w->now);
    }
    for (size_t i = 0; i < N_TIMERS; i++) {
        if (expected[i] <= w->now) {
            assert_false(wheel_timer_is_set(&timers[i])); /* came out above, or never was set */
        } else {
            assert_int_equal(wheel_timer_is_set(&timers[i]), expected[i] != UINT64_MAX);
        }
    }
}

static void test_against_oracle(void **state)
{
    for (unsigned seed = 1; seed <= 5; seed++) {
        unsigned s = seed;
        struct wheel w;
        struct wheel_timer timers[N_TIMERS] = {0};
        uint64_t expected[N_TIMERS];
        for (size_t i = 0; i < N_TIMERS; i++) {
            expected[i] = UINT64_MAX;
        }
        wheel_init(&w, seed * UINT64_C(123456789));
        for (int step = 0; step < N_STEPS; step++) {
            size_t i = random_below(&s, N_TIMERS);
            switch (random_below(&s, 4)) {
            case 0:
            case 1:
                expected[i] = w.now + random_delay(&s);
                wheel_set(&w, &timers[i], expected[i]);
                break;
            case 2:
                expected[i] = UINT64_MAX;
                wheel_unset(&w, &timers[i]);
                break;
            default:
                wheel_advance(&w, w.now + random_delay(&s));
                check_due(&w, timers, expected);
                for (size_t k = 0; k < N_TIMERS; k++) {
                    expected[k] = expected[k] <= w.now ? UINT64_MAX : expected[k];
                }
                break;
            }
            if (step % 97 == 0) {
                assert_true(wheel_check(&w));
            }
        }
    }
}

static void test_wait_is_never_late(void **state)
{
    unsigned s = 7;
    for (int round = 0; round < 2000; round++) {
        struct wheel w;
        struct wheel_timer t = {0};
        wheel_init(&w, random_below(&s, UINT64_C(1) << 30));
        uint64_t expires = w.now + random_delay(&s);
        wheel_set(&w, &t, expires);
        int turns = 0;
        while (wheel_timer_is_set(&t) && wheel_wait(&w) != 0) {
            assert_true(w.now + wheel_wait(&w) <= (expires > w.now ? expires : w.now));
            wheel_advance(&w, w.now + wheel_wait(&w));
            if (++turns > 200) {
                break; /* far away: the walk would only repeat itself */
            }
        }
    }
}

static void test_empty(void **state)
{
    struct wheel w;
    struct wheel_timer t = {0};
    wheel_init(&w, 5);
    assert_true(wheel_wait(&w) == UINT64_MAX);
    wheel_unset(&w, &t); /* not set: nothing happens */
    wheel_set(&w, &t, 5);
    assert_int_equal(wheel_wait(&w), 0);
    assert_ptr_equal(wheel_take(&w), &t);
    assert_null(wheel_take(&w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_oracle),
        cmocka_unit_test(test_wait_is_never_late),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
