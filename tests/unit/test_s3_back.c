/* The look back of an ordered job: what came late or was overwritten is counted, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sources/s3_back.h"
#include "tests/unit/s3_rig.h"

static const char *const ORDERED[] = {NULL};
static const int64_t NOW_MS = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */

static struct plan_pass pass(const char *name, int64_t at_ms)
{
    _cleanup_free_ char *key = xasprintf("in/%s.csv", name);
    return (struct plan_pass){.offset = s3_offset_text(key), .at_ms = at_ms};
}

static void free_passes(struct plan_pass *passes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)passes[i].offset);
    }
}

static void expect_passed(const struct s3_passes *p, const char *name, int64_t at_ms)
{
    _cleanup_free_ char *key = xasprintf("in/%s.csv", name);
    if (s3_passes_at_ms(p, key) != at_ms) {
        fail_msg("%s: %lld", name, (long long)s3_passes_at_ms(p, key));
    }
}

static void test_when_a_key_was_passed(void **state)
{
    struct plan_pass list[] = {pass("c", 10), pass("f", 20), pass("f", 25), pass("i", 30)};
    struct plan_request request = {.passes = list, .n_passes = ARRAY_SIZE(list)};
    struct s3_passes p = {0};
    (void)state;
    s3_passes_read(&request, &p);
    expect_passed(&p, "a", 10); /* or earlier */
    expect_passed(&p, "c", 10);
    expect_passed(&p, "d", 20);
    expect_passed(&p, "f", 20); /* a retry in between does not change it */
    expect_passed(&p, "i", 30);
    expect_passed(&p, "j", 0); /* passed by a user's hand, not by a task */
    s3_passes_fini(&p);
    free_passes(list, ARRAY_SIZE(list));
}

/* The offset was moved back: what is behind it is passed again. */
static void test_when_a_key_was_passed_again(void **state)
{
    struct plan_pass list[] = {pass("c", 10), pass("i", 20), pass("d", 30), pass("k", 40)};
    struct plan_request request = {.passes = list, .n_passes = ARRAY_SIZE(list)};
    struct s3_passes p = {0};
    (void)state;
    s3_passes_read(&request, &p);
    expect_passed(&p, "a", 10);
    expect_passed(&p, "d", 30);
    expect_passed(&p, "e", 40);
    expect_passed(&p, "i", 40);
    s3_passes_fini(&p);
    request.n_passes = 0;
    s3_passes_read(&request, &p);
    expect_passed(&p, "a", 0);
    s3_passes_fini(&p);
    free_passes(list, ARRAY_SIZE(list));
}

static void text_of(int64_t ms, char ret[32])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    (void)strftime(ret, 32, "%Y-%m-%dT%H:%M:%S.000Z", gmtime_r(&t, &tm));
}

static void put(struct rig *r, const char *name, int64_t modified_ms)
{
    char when[32] = "";
    _cleanup_free_ char *key = xasprintf("in/%s.csv", name);
    if (modified_ms != 0) {
        text_of(modified_ms, when);
    }
    fake_put_at(&r->store, key, "1", 1, when);
}

/* An idle plan with passes up to key "m", the last at NOW_MS; how many are told to be late. */
static int64_t count(struct rig *r)
{
    struct plan_pass list[] = {pass("f", NOW_MS - 100000), pass("m", NOW_MS)};
    r->passes = list;
    r->n_passes = ARRAY_SIZE(list);
    free(r->offset);
    r->offset = xstrdup(list[1].offset);
    assert_int_equal(rig_plan(r), PLAN_EMPTY);
    assert_int_equal(r->plan.watch.n_overwritten, -1);
    free_passes(list, ARRAY_SIZE(list));
    return r->plan.watch.n_late;
}

static void test_counts(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ORDERED);
    put(&r, "a", NOW_MS - 200000); /* loaded */
    put(&r, "b", NOW_MS - 90000);  /* late or overwritten: "f" was passed before */
    put(&r, "g", NOW_MS - 90000);  /* loaded by the second task */
    put(&r, "h", NOW_MS + 1000);   /* within the margin: perhaps loaded */
    put(&r, "i", NOW_MS + 60000);  /* late */
    put(&r, "j", 0);               /* a store that tells no time */
    put(&r, "k", NOW_MS + 60000);  /* set aside, which is told elsewhere */
    put(&r, "x", 0);
    fake_remove(&r.store, "in/x.csv");
    fake_put_at(&r.store, "in/l.txt", "1", 1, "2026-01-02T00:00:00.000Z");
    fake_put_at(&r.store, "in/l.csv", "1", 0, "2026-01-02T00:00:00.000Z");
    rig_add_bad(&r, &(struct bad_file){.key = (char *)"in/k.csv",
                                       .etag = (char *)"",
                                       .reason = (char *)"its rows"});
    assert_int_equal(count(&r), 2);
    rig_stop(&r);
}

/* A store whose clock is ahead writes later times; what it says in Date is allowed for. */
static void test_clock_of_the_store(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ORDERED);
    r.store.ahead_s = 3600;
    put(&r, "g", NOW_MS + 3600000);
    assert_int_equal(count(&r), 0);
    rig_restart(&r);
    put(&r, "g", NOW_MS + 3610000);
    assert_int_equal(count(&r), 1);
    rig_restart(&r);
    r.store.ahead_s = -3600;
    put(&r, "g", NOW_MS - 3590000);
    assert_int_equal(count(&r), 1);
    rig_restart(&r);
    r.store.ahead_s = INT64_MIN; /* without a Date nothing can be said */
    assert_int_equal(count(&r), 0);
    rig_stop(&r);
}

/* A page with an idle plan, not more often than every three polls, and never a part of a look told. */
static void test_pages_and_pauses(void **state)
{
    struct rig r;
    char name[] = "a";
    (void)state;
    rig_start(&r, 2, ORDERED);
    for (; name[0] <= 'e'; name[0]++) {
        put(&r, name, NOW_MS + 60000);
    }
    for (name[0] = 'n'; name[0] <= 'z'; name[0]++) { /* behind the offset, and not of the job */
        _cleanup_free_ char *key = xasprintf("in/%s.txt", name);
        fake_put(&r.store, key, "1");
    }
    assert_int_equal(count(&r), -1);
    assert_int_equal(r.store.n_requests, 8); /* the tail, and a page */
    assert_int_equal(count(&r), -1);
    assert_int_equal(r.store.n_requests, 15); /* the tail only */
    s3_source_ops.destroy(r.source);
    r.spec->max_interval_s = 0; /* no pause at all */
    r.source = s3_source_ops.create(r.spec, &r.err);
    assert_int_equal(count(&r), -1);
    assert_int_equal(count(&r), -1);
    assert_int_equal(count(&r), 5);
    put(&r, "0", NOW_MS + 60000);
    assert_int_equal(count(&r), 5); /* of the last whole look */
    assert_int_equal(count(&r), 5);
    assert_int_equal(count(&r), 5);
    assert_int_equal(count(&r), 6);
    rig_stop(&r);
}

/* What a user's hand passed, by ALTER JOB, is nobody's loss. */
static void test_offset_moved_on(void **state)
{
    struct plan_pass list[] = {pass("f", NOW_MS)};
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ORDERED);
    put(&r, "g", NOW_MS + 60000);
    r.passes = list;
    r.n_passes = 1;
    r.offset = s3_offset_text("in/m.csv");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_late, 0);
    free_passes(list, 1);
    rig_stop(&r);
}

/* The job that has loaded nothing in this life and knows of no pass tells nothing. */
static void test_nothing_known(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ORDERED);
    put(&r, "a", NOW_MS);
    rig_expect(&r, "a");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_late, -1);
    rig_stop(&r);
}

/* The clock of the store is known to a second or so; what changes less shall change no count. */
static void test_slack(void **state)
{
    int64_t slack_ms = s3_back_slack_ms(0, 400);
    (void)state;
    assert_int_equal(slack_ms, 3400);
    assert_int_equal(s3_back_slack_ms(slack_ms, 1399), 3400);
    assert_int_equal(s3_back_slack_ms(slack_ms, -5000), 3400);
    assert_int_equal(s3_back_slack_ms(slack_ms, 2000), 4000);
    assert_int_equal(s3_back_slack_ms(0, -3600000), -3597000);
    assert_int_equal(s3_back_slack_ms(-3597000, -3600900), -3597000);
}

/* As a job whose looks follow one another without a pause. */
static void start_without_pauses(struct rig *r)
{
    rig_start(r, 1000, ORDERED);
    s3_source_ops.destroy(r->source);
    r->spec->max_interval_s = 0;
    r->source = s3_source_ops.create(r->spec, &r->err);
}

/* A file near the margin goes once, and does not come and go with the store's clock. */
static void test_no_flicker(void **state)
{
    struct rig r;
    (void)state;
    start_without_pauses(&r);
    put(&r, "g", NOW_MS + 9000);
    assert_int_equal(count(&r), 1);
    for (int i = 0; i < 3; i++) {
        r.store.ahead_s = 10;
        assert_int_equal(count(&r), 0);
        r.store.ahead_s = 0;
        assert_int_equal(count(&r), 0);
    }
    put(&r, "h", NOW_MS + 30000);
    assert_int_equal(count(&r), 1);
    rig_stop(&r);
}

static void note(struct s3_news *n, const char *key, int64_t modified_ms)
{
    s3_news_note(n, &(struct s3_object){.key = (char *)key, .modified_ms = modified_ms});
}

static void expect_told(struct s3_news *n, int64_t n_files, int64_t at_s, const char *first)
{
    _cleanup_free_ char *found = NULL;
    assert_int_equal(s3_news_take(n, n_files, at_s * 1000000, &found), first != NULL);
    assert_true((first == NULL) == (found == NULL));
    if (first != NULL) {
        assert_string_equal(found, first);
    }
}

static void test_news(void **state)
{
    struct s3_news n = {0};
    (void)state;
    expect_told(&n, 0, 1000, NULL);
    note(&n, "b", 20);
    note(&n, "c", 10);
    expect_told(&n, 2, 1000, "b");
    note(&n, "b", 20);
    note(&n, "c", 10);
    expect_told(&n, 2, 2000, NULL); /* nothing new */
    note(&n, "b", 20);
    note(&n, "c", 10);
    note(&n, "d", 30);
    expect_told(&n, 3, 2001, "d"); /* which nobody was told of */
    note(&n, "a", 15);
    note(&n, "b", 20);
    note(&n, "c", 10);
    note(&n, "d", 30);
    expect_told(&n, 4, 2002, NULL); /* not more than one a minute */
    note(&n, "a", 15);
    note(&n, "b", 20);
    note(&n, "c", 10);
    note(&n, "d", 30);
    expect_told(&n, 4, 2070, "a"); /* but then */
    note(&n, "d", 30);
    expect_told(&n, 1, 3000, NULL); /* three are gone */
    note(&n, "d", 40);
    expect_told(&n, 1, 4000, "d"); /* overwritten again */
    note(&n, "d", 40);
    note(&n, "e", 0); /* a store that tells no time */
    expect_told(&n, 2, 5000, "d");
    note(&n, "e", 50); /* of a page that was not listed to its end */
    expect_told(&n, 0, 6000, NULL);
    note(&n, "f", 5);
    expect_told(&n, 1, 7000, "f");
    note(&n, "x", 1);
    s3_news_fini(&n);
}

/* What the log says of `n` looks; the caller owns the text. */
static char *logged(struct rig *r, int n)
{
    int kept = dup(STDERR_FILENO);
    char path[] = "/tmp/test_s3_back.XXXXXX";
    int fd = mkstemp(path);
    assert_true(kept >= 0 && fd >= 0 && unlink(path) == 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    for (int i = 0; i < n; i++) {
        (void)count(r);
    }
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    char *text = xcalloc(1, 4096);
    assert_true(pread(fd, text, 4095, 0) >= 0);
    (void)close(fd);
    (void)close(kept);
    return text;
}

/* One line with the count and the first file, not one with each look. */
static void test_log(void **state)
{
    struct rig r;
    (void)state;
    start_without_pauses(&r);
    put(&r, "b", NOW_MS - 200000);
    put(&r, "g", NOW_MS + 60000);
    put(&r, "h", NOW_MS + 60000);
    _cleanup_free_ char *text = logged(&r, 3);
    assert_non_null(strstr(text, "s3.late"));
    assert_non_null(strstr(text, "in/g.csv"));
    assert_non_null(strstr(text, "files=2"));
    assert_non_null(strstr(text, "job_id=7"));
    assert_true(strchr(text, '\n') == strrchr(text, '\n'));
    put(&r, "i", NOW_MS + 70000);
    r.source->back.news.told_us -= 60 * INT64_C(1000000);
    _cleanup_free_ char *more = logged(&r, 3);
    assert_non_null(strstr(more, "in/i.csv"));
    assert_non_null(strstr(more, "files=3"));
    assert_true(strchr(more, '\n') == strrchr(more, '\n'));
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_when_a_key_was_passed),
        cmocka_unit_test(test_when_a_key_was_passed_again),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_clock_of_the_store),
        cmocka_unit_test(test_pages_and_pauses),
        cmocka_unit_test(test_offset_moved_on),
        cmocka_unit_test(test_nothing_known),
        cmocka_unit_test(test_slack),
        cmocka_unit_test(test_no_flicker),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
