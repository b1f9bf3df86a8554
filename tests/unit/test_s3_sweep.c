/* Tracked discovery: the sweep behind the offset, its pace, and what it costs beside the tail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sources/s3_tracked.h"
#include "tests/unit/s3_rig.h"

#define TRACKED "s3.discovery", "tracked"

static void rig_expect_files(struct rig *r, int64_t n)
{
    assert_int_equal(rig_plan(r), PLAN_RANGE);
    assert_int_equal(r->plan.n_files, n);
    rig_commit(r);
}

static void put_all(struct rig *r, const char *names)
{
    for (const char *c = names; *c != '\0'; c++) {
        rig_put(r, (const char[]){*c, '\0'}, "1");
    }
}

static void test_sweep_in_slices(void **state)
{
    struct rig r;
    char name[16];
    (void)state;
    rig_start(&r, 3, (const char *const[]){TRACKED, NULL});
    for (int i = 0; i < 70; i++) {
        (void)snprintf(name, sizeof(name), "%02d", i);
        rig_put(&r, name, "1");
    }
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    assert_int_equal(r.plan.n_files, 70);
    rig_commit(&r);
    rig_put(&r, "68", "2");
    long before = r.store.n_requests;
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.store.n_requests - before, 11); /* the tail, and ten pages */
    assert_int_equal(r.plan.watch.n_late, -1);         /* no whole look yet */
    rig_put(&r, "00a", "1");
    rig_put(&r, "45a", "1");
    rig_expect(&r, "45a");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_overwritten, 1); /* counted once, though seen twice */
    rig_expect(&r, "00a");
    rig_stop(&r);
}

enum { S = 1000000 };

/* Through in 50 minutes, ten pages a plan at least, ten a second at most. */
static void test_pace(void **state)
{
    (void)state;
    assert_int_equal(s3_sweep_pages(10, 0, 0, 10), 10);           /* whole with each plan */
    assert_int_equal(s3_sweep_pages(1000, 0, 10 * S, 10), 10);    /* never slower than ten a plan */
    assert_int_equal(s3_sweep_pages(10000, 10, 0, 10), 10);       /* one that has just begun */
    assert_int_equal(s3_sweep_pages(10000, 10, 30 * S, 10), 90);  /* ten million files */
    assert_int_equal(s3_sweep_pages(10000, 100, 30 * S, 10), 10); /* which is ahead */
    assert_int_equal(s3_sweep_pages(10000, 0, 300 * S, 10), 100); /* far behind: at ten a second */
    assert_int_equal(s3_sweep_pages(10000, 10, 3600LL * S, 3600), 11990); /* all that is left */
    assert_int_equal(s3_sweep_pages(0, 10, 10 * S, 10), 90);       /* not known: at ten a second */
    assert_int_equal(s3_sweep_pages(1000000, 10, 10 * S, 10), 90); /* nor faster for a billion */
    assert_int_equal(s3_sweep_pages(1000000, 0, 10 * S, 1), 10);
    assert_int_equal(s3_sweep_pages(0, 0, INT64_C(1000000000) * S, 0), 10);
    assert_int_equal(s3_sweep_pages(0, 0, INT64_C(1000000000) * S, 1000000000), 30000);
    assert_int_equal(s3_sweep_time_us(1, 120LL * S), S);
    assert_int_equal(s3_sweep_time_us(10, 120LL * S), 5 * S);
    assert_int_equal(s3_sweep_time_us(0, 120LL * S), S);
    assert_int_equal(s3_sweep_time_us(3600, 120LL * S), 60 * S); /* the plan's deadline */
    assert_int_equal(s3_sweep_time_us(10, S), S / 2);
    assert_int_equal(s3_sweep_time_us(10, -S), 0);
}

struct idle_job {
    int64_t sweep_s; /* from the beginning of a sweep to its end */
    int64_t n_lists; /* of it, with looks at the tail */
    int64_t most;    /* pages with one plan */
};

/* A sweep of an idle job, as s3_tracked_plan() does it, over a store that needs page_ms for a page. */
static struct idle_job sweep_idle(int64_t n, int64_t n_known, int64_t interval_s, int64_t page_ms)
{
    struct idle_job job = {0};
    int64_t now_us = 0;
    int64_t done = 0;
    while (done < n) {
        int64_t left = s3_sweep_pages(n_known, done, now_us, interval_s);
        int64_t until_us = now_us + s3_sweep_time_us(interval_s, 120LL * S);
        job.most = left > job.most ? left : job.most;
        do {
            now_us += page_ms * 1000; /* the tail */
            job.n_lists++;
            int64_t slice_us = now_us + S;
            for (int i = 0; i < 10 && left > 0 && done < n; i++) {
                now_us += page_ms * 1000;
                job.n_lists++;
                done++;
                left--;
                if (now_us >= slice_us || now_us >= until_us) {
                    break;
                }
            }
        } while (left > 0 && done < n && now_us < until_us);
        now_us += interval_s * S;
    }
    job.sweep_s = now_us / S;
    return job;
}

/* The hour, and what it costs, as deploy/reference.md promises them. */
static void test_whole_sweep_within_an_hour(void **state)
{
    static const int64_t PAGES[] = {1, 9, 100, 1000, 3000, 5000, 10000};
    static const int64_t INTERVALS[] = {1, 2, 3, 5, 10, 30, 60};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(PAGES); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(INTERVALS); k++) {
            for (int64_t page_ms = 2; page_ms <= 80; page_ms += 78) {
                struct idle_job known = sweep_idle(PAGES[i], PAGES[i], INTERVALS[k], page_ms);
                struct idle_job first = sweep_idle(PAGES[i], 0, INTERVALS[k], page_ms);
                assert_in_range(known.sweep_s, 0, 3600);
                assert_in_range(first.sweep_s, 0, 3600);
                assert_in_range(first.most, 1, 10 * INTERVALS[k]);
            }
        }
    }
    struct idle_job small = sweep_idle(10, 10, 10, 2);
    struct idle_job million = sweep_idle(3000, 3000, 10, 2);
    struct idle_job ten = sweep_idle(10000, 10000, 10, 2);
    struct idle_job thirty = sweep_idle(30000, 30000, 10, 2);
    assert_int_equal(small.n_lists, 11);
    assert_in_range(million.n_lists * 86400 / million.sweep_s, 90000, 95100);
    assert_in_range(ten.n_lists * 86400 / ten.sweep_s, 300000, 330000);
    assert_in_range(thirty.n_lists * 86400 / thirty.sweep_s, 900000, 951000);
    assert_in_range(thirty.sweep_s, 3000, 3100);
    assert_in_range(sweep_idle(100000, 100000, 10, 2).sweep_s, 10000, 10300);
}

/* Pages of 3: the second plan does what is due, with a look at the tail before every ten pages. */
static void test_sweep_catches_up(void **state)
{
    struct rig r;
    char name[16];
    (void)state;
    rig_start(&r, 3, (const char *const[]){TRACKED, NULL});
    r.spec->max_interval_s = 60;
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "%03d", i);
        rig_put(&r, name, "1");
    }
    rig_expect_files(&r, 200);
    struct s3_sweep *w = &r.source->sweep;
    w->begun_us = 0; /* however long that took */
    long before = r.store.n_requests;
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_in_range(r.store.n_requests - before, 2, 11); /* the first one costs no user his time */
    w->begun_us = clock_mono_us() - 4 * (int64_t)S;      /* 40 pages should have been looked at */
    before = r.store.n_requests;
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_in_range(w->n_pages, 40, 60); /* more only on a machine that took seconds */
    assert_true(r.store.n_requests - before >= (w->n_pages - 10) * 11 / 10);
    w->begun_us -= 100 * (int64_t)S;
    assert_int_equal(r.plan.watch.n_late, -1);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_late, 0); /* through */
    assert_int_equal(w->n_whole, 67);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    w->begun_us -= 100 * (int64_t)S; /* of a known size: only ten are due */
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_in_range(w->n_pages, 2, 20);
    rig_put(&r, "999", "1");
    rig_expect(&r, "999");
    assert_int_equal(w->n_new_keys, 1);
    w->n_new_keys = 10000000; /* of a tail that was loaded since: 10,000 pages */
    w->begun_us -= 100 * (int64_t)S;
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(w->n_whole, 67); /* through */
    assert_true(w->n_pages == 0 && w->n_new_keys == 0 && w->begun_us == 0);
    rig_stop(&r);
}

/* What the sweep finds is walked over again by the next plan, and its pages count then. */
static void test_finds_are_no_progress(void **state)
{
    struct rig r;
    char name[16];
    (void)state;
    rig_start(&r, 3, (const char *const[]){TRACKED, NULL});
    for (int i = 0; i < 70; i++) {
        (void)snprintf(name, sizeof(name), "%02d", i);
        rig_put(&r, name, "1");
    }
    rig_expect_files(&r, 70);
    rig_put(&r, "20a", "1");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rig_plan(&r), PLAN_RANGE); /* its task is canceled */
        assert_int_equal(r.source->sweep.n_pages, 7);
    }
    rig_stop(&r);
}

/* A busy job sweeps as often as an idle one: a slice in each max_interval, before the tail. */
static void test_slice_of_a_busy_job(void **state)
{
    struct rig r;
    char name[16];
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, "s3.max_batch_files", "1", NULL});
    r.spec->max_interval_s = 1000;
    put_all(&r, "b");
    rig_expect(&r, "b");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    for (int i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof(name), "k%02d", i);
        rig_put(&r, name, "1");
    }
    put_all(&r, "a");
    rig_expect(&r, "k00");
    rig_expect(&r, "k01");
    r.source->sweep.swept_us -= 1000 * (int64_t)S;
    rig_expect(&r, "a");
    rig_expect(&r, "k02");
    r.source->sweep.swept_us -= 1000 * (int64_t)S;
    long before = r.store.n_requests;
    rig_expect(&r, "k03");
    assert_int_equal(r.store.n_requests - before, 2);
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_commit(&r);
    r.source->sweep.swept_us -= 1000 * (int64_t)S;
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    r.source->sweep.swept_us -= 1000 * (int64_t)S;
    put_all(&r, "z0");
    rig_expect(&r, "z"); /* an idle job looks at its tail first */
    rig_stop(&r);
}

/* A long tail of files that are known is walked over once, not with every look. */
static void test_known_tail(void **state)
{
    struct rig r;
    char name[16];
    (void)state;
    rig_start(&r, 3, (const char *const[]){TRACKED, NULL});
    for (int i = 0; i < 90; i++) {
        (void)snprintf(name, sizeof(name), "%02d", i);
        rig_put(&r, name, "1");
    }
    rig_expect_files(&r, 90);
    free(r.offset);
    r.offset = s3_offset_text("in/00.csv");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    long before = r.store.n_requests;
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_in_range(r.store.n_requests - before, 2, 11); /* the tail, and ten pages */
    rig_put(&r, "50a", "1");
    rig_put(&r, "95", "1");
    rig_expect(&r, "95");
    for (int i = 0; i < 10 && rig_plan(&r) == PLAN_EMPTY; i++) {
    }
    _cleanup_free_ char *late = rig_files(&r);
    assert_string_equal(late, "50a");
    rig_stop(&r);
}

/* The whole sweep comes when the tail is over: with each stretch of it, it would be quadratic. */
static void test_one_time_with_a_long_tail(void **state)
{
    struct rig r;
    char name[16];
    (void)state;
    rig_start(&r, 1,
              (const char *const[]){TRACKED, "s3.ingestion_mode", "ONE_TIME", "s3.max_batch_files",
                                    "1", NULL});
    for (int i = 0; i < 60; i++) {
        (void)snprintf(name, sizeof(name), "%02d", i);
        rig_put(&r, name, "1");
    }
    for (int i = 0; i < 60; i++) {
        long before = r.store.n_requests;
        (void)snprintf(name, sizeof(name), "%02d", i);
        rig_expect(&r, name);
        assert_in_range(r.store.n_requests - before, 1, 12);
    }
    int n_plans = 0;
    for (; n_plans < 3 && rig_plan(&r) != PLAN_END; n_plans++) {
    }
    assert_in_range(n_plans, 0, 2);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sweep_in_slices),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_whole_sweep_within_an_hour),
        cmocka_unit_test(test_sweep_catches_up),
        cmocka_unit_test(test_finds_are_no_progress),
        cmocka_unit_test(test_slice_of_a_busy_job),
        cmocka_unit_test(test_known_tail),
        cmocka_unit_test(test_one_time_with_a_long_tail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
