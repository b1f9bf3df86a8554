/* Are the files of a range still what they were? Against a store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/s3_rig.h"

static const char *const ORDERED[] = {NULL};

static uint64_t seed = 88172645463325252ULL;

static unsigned int chance(unsigned int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned int)(seed % n);
}

static enum verify_result verify(struct rig *r, const char *range)
{
    r->err = (struct err){0};
    return s3_source_ops.verify(r->source, range, clock_mono_us() + 20000000, NULL, &r->err);
}

static void expect(struct rig *r, const char *range, enum verify_result wanted)
{
    enum verify_result result = verify(r, range);
    if (result != wanted || err_is_set(&r->err) != (wanted != VERIFY_SAME)) {
        fail_msg("%d instead of %d: %s", (int)result, (int)wanted, r->err.msg);
    }
}

static void test_what_changes(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ORDERED);
    fake_put_at(&r.store, "in/a.csv", "1", 10, "");
    fake_put_at(&r.store, "in/b.csv", "1", 20, "");
    fake_put_at(&r.store, "in/c.csv", "1", 30, "");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    const char *range = r.plan.range;
    expect(&r, range, VERIFY_SAME);
    assert_int_equal(r.store.n_requests, 2);        /* the plan, and all three at once */
    fake_put_at(&r.store, "in/bb.csv", "1", 1, ""); /* not of the range */
    expect(&r, range, VERIFY_SAME);
    fake_put_at(&r.store, "in/b.csv", "2", 21, "2026-01-02T03:04:05.000Z");
    expect(&r, range, VERIFY_CHANGED);
    assert_string_equal(
        r.err.msg, "file \"in/b.csv\" has another content: ETag \"1\" and 20 bytes when it was "
                   "planned, ETag \"2\" and 21 bytes now, written 2026-01-02 03:04:05 UTC");
    fake_put_at(&r.store, "in/b.csv", "1", 21, ""); /* the size alone */
    expect(&r, range, VERIFY_CHANGED);
    fake_put_at(&r.store, "in/b.csv", "", 20, ""); /* a store that sends no ETag now */
    expect(&r, range, VERIFY_SAME);
    fake_put_at(&r.store, "in/b.csv", "1", 20, "");
    fake_remove(&r.store, "in/c.csv");
    expect(&r, range, VERIFY_CHANGED);
    assert_string_equal(r.err.msg,
                        "file \"in/c.csv\" is gone: it had 30 bytes (ETag \"1\") when it "
                        "was planned, and the bucket has no object of this name any more");
    fake_put_at(&r.store, "in/c.csv1", "1", 30, "");
    expect(&r, range, VERIFY_CHANGED);
    rig_stop(&r);
}

static void test_that_it_cannot_be_asked(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ORDERED);
    fake_put(&r.store, "in/a.csv", "1");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    char *range = xstrdup(r.plan.range);
    expect(&r, "{}", VERIFY_FAIL);
    assert_int_equal(s3_source_ops.verify(r.source, range, clock_mono_us() - 1, NULL, &r.err),
                     VERIFY_FAIL);
    assert_non_null(strstr(r.err.msg, "Failed to list S3 files of bucket bucket"));
    free(range);
    rig_stop(&r);
}

/* One file, and two that are far apart, take no listing of what lies between. */
static void test_sparse_ranges_cost_little(void **state)
{
    struct rig r;
    char name[32];
    (void)state;
    rig_start(&r, 1000, (const char *const[]){"s3.discovery", "tracked", NULL});
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(name, sizeof(name), "in/%05d.csv", i);
        fake_put(&r.store, name, "1");
    }
    while (rig_plan(&r) == PLAN_RANGE) {
        rig_commit(&r);
    }
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "in/%05da.csv", i * 250);
        fake_put(&r.store, name, "1");
    }
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    assert_int_equal(r.plan.n_files, 20);
    long requests = r.store.n_requests;
    long sent = r.store.n_sent;
    expect(&r, r.plan.range, VERIFY_SAME);
    assert_true(r.store.n_requests - requests <= 20);
    assert_true(r.store.n_sent - sent < 150);
    assert_non_null(strstr(r.store.last_query, "max-keys=1&"));
    assert_non_null(strstr(r.store.last_query, "prefix=in%2F04750a.csv"));
    rig_stop(&r);
}

/* Where no simple key lies just below, and too much in between: that file by itself. */
static void test_no_key_just_below(void **state)
{
    static const char RANGE[] = "{\"form\":\"list\",\"dir\":\"in/\",\"files\":["
                                "{\"key\":\"in/a\xc3\xa9\",\"etag\":\"1\",\"size\":1},"
                                "{\"key\":\"in/b!\",\"etag\":\"1\",\"size\":1},"
                                "{\"key\":\"in/c\",\"etag\":\"1\",\"size\":1}]}";
    struct rig r;
    char name[32];
    (void)state;
    rig_start(&r, 4, ORDERED);
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "in/a%02d", i);
        fake_put(&r.store, name, "1");
        (void)snprintf(name, sizeof(name), "in/b %02d", i);
        fake_put(&r.store, name, "1");
    }
    fake_put(&r.store, "in/a\xc3\xa9", "1");
    fake_put(&r.store, "in/b!", "1");
    fake_put(&r.store, "in/c", "1");
    expect(&r, RANGE, VERIFY_SAME);
    assert_int_equal(r.store.n_requests, 5);
    fake_put(&r.store, "in/b!", "2");
    expect(&r, RANGE, VERIFY_CHANGED);
    fake_remove(&r.store, "in/b!");
    expect(&r, RANGE, VERIFY_CHANGED);
    assert_non_null(strstr(r.err.msg, "file \"in/b!\" is gone"));
    rig_stop(&r);
}

static void test_dense_ranges_take_pages(void **state)
{
    struct rig r;
    char name[32];
    (void)state;
    rig_start(&r, 100, ORDERED);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "in/%05d.csv", i);
        fake_put(&r.store, name, "1");
    }
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    assert_int_equal(r.plan.n_files, 256);
    long requests = r.store.n_requests;
    expect(&r, r.plan.range, VERIFY_SAME);
    assert_int_equal(r.store.n_requests - requests, 3); /* and not to the end of the bucket */
    rig_stop(&r);
}

/* Any names, any pages: what the model says. */
static void one_round(size_t page)
{
    static const char *const NAMES[] = {"in/!.csv",
                                        "in/  .csv",
                                        "in/a.csv",
                                        "in/a.csv.csv",
                                        "in/a~~~~~.csv",
                                        "in/\xc3\xa9.csv",
                                        "in/\xef\xbd\x9e.csv",
                                        "in/b.csv",
                                        "in/a\xf0\x90\x90\xb7.csv",
                                        "in/z~.csv",
                                        "in/z.csv",
                                        "in/0.csv",
                                        "in/00.csv",
                                        "in/1,2.csv",
                                        "in/x\x7f.csv"};
    struct rig r;
    int version = 1;
    rig_start(&r, page, ORDERED);
    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        if (chance(3) > 0) {
            fake_put(&r.store, NAMES[i], "1");
        }
    }
    while (rig_plan(&r) == PLAN_RANGE) {
        bool is_changed = false;
        struct s3_range range = {0};
        assert_true(s3_range_read(r.plan.range, &range, &r.err));
        for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
            unsigned int what = chance(12);
            bool is_in = false;
            for (size_t k = 0; k < range.n_files; k++) {
                is_in = is_in || strcmp(range.files[k].key, NAMES[i]) == 0;
            }
            if (what == 0) {
                fake_remove(&r.store, NAMES[i]);
            } else if (what == 1 || (what < 6 && !is_in)) {
                char etag[16];
                (void)snprintf(etag, sizeof(etag), "%d", ++version);
                fake_put(&r.store, NAMES[i], etag);
            }
            is_changed = is_changed || (is_in && what < 2);
        }
        s3_range_fini(&range);
        expect(&r, r.plan.range, is_changed ? VERIFY_CHANGED : VERIFY_SAME);
        rig_commit(&r);
    }
    rig_stop(&r);
}

static void test_random(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        one_round(1 + chance(i % 2 == 0 ? 3 : 20));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_changes),
        cmocka_unit_test(test_that_it_cannot_be_asked),
        cmocka_unit_test(test_sparse_ranges_cost_little),
        cmocka_unit_test(test_no_key_just_below),
        cmocka_unit_test(test_dense_ranges_take_pages),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
