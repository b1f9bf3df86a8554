/*
 * Tracked discovery against a store in memory: late, overwritten and mended files, one-time jobs
 * (its sweep: test_s3_sweep.c); and random histories against a model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sources/s3_tracked.h"
#include "tests/unit/s3_rig.h"

#define TRACKED "s3.discovery", "tracked"

static uint64_t seed = 88172645463325252ULL;

static unsigned int chance(unsigned int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned int)(seed % n);
}

static void put_all(struct rig *r, const char *names)
{
    for (const char *c = names; *c != '\0'; c++) {
        rig_put(r, (const char[]){*c, '\0'}, "1");
    }
}

static void test_late_files(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, NULL});
    put_all(&r, "bdf");
    rig_expect(&r, "b d f");
    assert_string_equal(r.plan.end_offset, "{\"fileName\":\"in/f.csv\"}");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_late, 0);
    put_all(&r, "ace");
    rig_expect(&r, "a c e");
    assert_string_equal(r.offset, "{\"fileName\":\"in/f.csv\"}");
    assert_string_equal(r.plan.end_offset, "{\"fileName\":\"in/f.csv\"}");
    put_all(&r, "g0");
    rig_expect(&r, "g"); /* the tail first */
    rig_expect(&r, "0");
    assert_string_equal(r.offset, "{\"fileName\":\"in/g.csv\"}");
    rig_restart(&r);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_stop(&r);
}

static void test_overwritten(void **state)
{
    static const char *const PROPS[][5] = {{TRACKED, "s3.overwritten", "ignore", NULL},
                                           {TRACKED, "s3.overwritten", "reload", NULL}};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig r;
        rig_start(&r, 1000, PROPS[i]);
        put_all(&r, "abc");
        rig_expect(&r, "a b c");
        rig_put(&r, "b", "2");
        if (i == 0) {
            assert_int_equal(rig_plan(&r), PLAN_EMPTY);
            assert_int_equal(r.plan.watch.n_overwritten, 1);
            assert_int_equal(r.source->sweep.news.told_n, 1); /* in the log */
            rig_put(&r, "c", "2");
            assert_int_equal(rig_plan(&r), PLAN_EMPTY);
            assert_int_equal(r.plan.watch.n_overwritten, 2);
        } else {
            rig_expect(&r, "b");
            assert_false(r.plan.is_retry);
            assert_int_equal(rig_plan(&r), PLAN_EMPTY);
            assert_int_equal(r.plan.watch.n_overwritten, 0);
        }
        rig_stop(&r);
    }
}

static const char *const ON_ERROR[] = {TRACKED, "s3.overwritten", "error", NULL};

/* What the text tells to send can be sent as it stands there. */
static void test_a_key_with_a_quote_is_asked_for_quoted(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ON_ERROR);
    rig_put(&r, "it's", "1");
    rig_expect(&r, "it's");
    rig_put(&r, "it's", "2");
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    rig_aside(&r);
    assert_int_equal(rig_plan(&r), PLAN_REFUSED);
    assert_non_null(strstr(r.err.msg, "RETRY FILE 'in/it''s.csv' loads"));
    assert_non_null(strstr(r.err.msg, "SKIP FILE 'in/it''s.csv' accepts"));
    rig_stop(&r);
}

/* The job is refused to go on until RETRY FILE or SKIP FILE. */
static void test_overwritten_is_an_error(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, ON_ERROR);
    put_all(&r, "abc");
    rig_expect(&r, "a b c");
    rig_put(&r, "b", "2");
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    assert_int_equal(r.plan.n_bad, 1);
    assert_string_equal(r.plan.bad[0].key, "in/b.csv");
    assert_string_equal(r.plan.bad[0].etag, "2");
    assert_string_equal(r.plan.offset_after, r.offset);
    rig_aside(&r);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_plan(&r), PLAN_REFUSED);
        assert_non_null(strstr(r.err.msg, "RETRY FILE 'in/b.csv'"));
        assert_non_null(strstr(r.err.msg, "SKIP FILE 'in/b.csv'"));
        rig_restart(&r);
    }
    rig_put(&r, "b", "3"); /* does not get round the question */
    assert_int_equal(rig_plan(&r), PLAN_REFUSED);
    r.bad[0].is_retried = true;
    rig_expect(&r, "b");
    assert_true(r.plan.is_retry);
    assert_int_equal(r.n_bad, 0);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_put(&r, "a", "2");
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    rig_aside(&r);
    rig_forget_bad(&r, "in/a.csv"); /* SKIP FILE: it is fine as it is now, and only now */
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_put(&r, "a", "3");
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    rig_stop(&r);
}

/* A file that was set aside is tried again when it has another content: alone, the offset stays. */
static void test_mended(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, NULL});
    put_all(&r, "ab");
    r.max_files = 1;
    rig_expect(&r, "a");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_set_bad(&r);
    r.max_files = 0;
    assert_string_equal(r.offset, "{\"fileName\":\"in/b.csv\"}");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    put_all(&r, "0");
    rig_put(&r, "b", "2");
    rig_expect(&r, "0"); /* not together with others */
    rig_expect(&r, "b");
    assert_true(r.plan.is_retry);
    assert_int_equal(r.n_bad, 0);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_put(&r, "b", "3"); /* loaded by now: overwritten */
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_overwritten, 1);
    rig_stop(&r);
}

/* RETRY FILE goes first, whatever else waits; what cannot be tried is set aside again. */
static void test_retry(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, NULL});
    put_all(&r, "ab");
    r.max_files = 1;
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_set_bad(&r);
    r.max_files = 0;
    r.bad[0].is_retried = true;
    rig_expect(&r, "a");
    assert_true(r.plan.is_retry && r.plan.has_more);
    rig_expect(&r, "b");
    rig_add_bad(&r, &(struct bad_file){.key = (char *)"in/gone.csv",
                                       .etag = (char *)"",
                                       .reason = (char *)"x",
                                       .is_retried = true});
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    assert_string_equal(r.plan.offset_after, r.offset);
    assert_non_null(strstr(r.plan.bad[0].reason, "it is gone"));
    assert_false(r.plan.bad[0].is_retried);
    rig_aside(&r);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_stop(&r);
}

static void test_names_that_doris_cannot_read(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, NULL});
    put_all(&r, "az");
    rig_expect(&r, "a z");
    rig_put(&r, "b?", "1");
    rig_put(&r, "c#", "1");
    rig_put(&r, "d\xff", "1");
    put_all(&r, "e");
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    assert_int_equal(r.plan.n_bad, 3);
    assert_string_equal(r.plan.bad[2].key, "in/d%FF.csv");
    assert_non_null(strstr(r.plan.bad[0].reason, "'?'"));
    assert_string_equal(r.plan.offset_after, r.offset);
    rig_aside(&r);
    rig_expect(&r, "e");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_put(&r, "zz?", "1");
    rig_put(&r, "zz\xff", "1");
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    rig_aside(&r); /* behind a name that is not UTF-8, too */
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_put(&r, "b?", "2"); /* is told of anew */
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    assert_string_equal(r.plan.bad[0].etag, "2");
    rig_aside(&r);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_overwritten, 0);
    rig_stop(&r);
}

/* Pages of 3, slices of 10 pages: the sweep goes on where it was, and begins again. */
/* A range of the sweep that spans pages: these are walked over again, and counted then. */
static void test_counted_once_behind_a_find(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 2, (const char *const[]){TRACKED, NULL});
    put_all(&r, "bcdefghi");
    rig_expect(&r, "b c d e f g h i");
    put_all(&r, "a");
    rig_put(&r, "e", "2");
    rig_put(&r, "i", "2");
    rig_expect(&r, "a");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    assert_int_equal(r.plan.watch.n_overwritten, 2);
    rig_stop(&r);
}

/* A tail that always has something does not keep late files out. */
static void test_busy_tail(void **state)
{
    struct rig r;
    char name[16];
    bool is_found = false;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, "s3.max_batch_files", "1", NULL});
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof(name), "k%02d", i);
        rig_put(&r, name, "1");
    }
    for (int i = 0; i < 20; i++) { /* the sweep in between takes none of the tail's */
        (void)snprintf(name, sizeof(name), "k%02d", i);
        rig_expect(&r, name);
        assert_non_null(strstr(r.offset, name));
    }
    rig_put(&r, "a", "1");
    for (int i = 0; i < 10 && !is_found; i++) {
        assert_int_equal(rig_plan(&r), PLAN_RANGE);
        _cleanup_free_ char *files = rig_files(&r);
        is_found = strcmp(files, "a") == 0;
        rig_commit(&r);
    }
    assert_true(is_found);
    rig_stop(&r);
}

/* While a bad file is searched for, the first files of the range that failed come again. */
static void test_search_in_a_range_of_the_sweep(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 2, (const char *const[]){TRACKED, NULL});
    put_all(&r, "klmnz");
    rig_expect(&r, "k l m n z");
    put_all(&r, "abcd");
    assert_int_equal(rig_plan(&r), PLAN_RANGE); /* and fails */
    assert_int_equal(r.plan.n_files, 4);
    put_all(&r, "~"); /* the tail must wait */
    r.max_files = 2;
    rig_expect(&r, "a b");
    r.max_files = 1;
    rig_expect(&r, "c");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_set_bad(&r);
    r.max_files = 0;
    assert_string_equal(r.bad[0].key, "in/d.csv");
    rig_expect(&r, "~");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_stop(&r);
}

/* ALTER JOB moved the offset back: what is remembered is not loaded again. */
static void test_offset_moved_back(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 2, (const char *const[]){TRACKED, NULL});
    put_all(&r, "abcdef");
    rig_expect(&r, "a b c d e f");
    free(r.offset);
    r.offset = s3_offset_text("in/b.csv");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    put_all(&r, "gC");
    rig_expect(&r, "g");
    rig_expect(&r, "C");
    assert_string_equal(r.offset, "{\"fileName\":\"in/g.csv\"}");
    put_all(&r, "h");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_set_bad(&r);
    free(r.offset);
    r.offset = s3_offset_text("in/b.csv");
    rig_put(&r, "h", "2");
    rig_expect(&r, "h");
    assert_true(r.plan.is_retry);
    assert_string_equal(r.plan.offset_after, "{\"fileName\":\"in/b.csv\"}");
    rig_stop(&r);
}

/* A tail that is too long for one plan goes on with the next one. */
static void test_long_tail(void **state)
{
    struct rig r;
    char name[16];
    enum plan_result result = PLAN_EMPTY;
    (void)state;
    rig_start(&r, 1, (const char *const[]){TRACKED, "s3.max_batch_files", "1000", NULL});
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "%04d", i);
        rig_put(&r, name, "1");
    }
    r.store.page = 1000;
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_commit(&r);
    free(r.offset);
    r.offset = s3_offset_text("in/0000.csv");
    rig_put(&r, "z", "1");
    r.store.page = 1;
    r.timeout_us = 40000;
    for (int i = 0; i < 1000 && result != PLAN_RANGE; i++) { /* PLAN_FAIL: a busy machine */
        result = rig_plan(&r);
    }
    assert_int_equal(result, PLAN_RANGE);
    assert_string_equal(r.plan.offset_after, "{\"fileName\":\"in/z.csv\"}");
    rig_stop(&r);
}

/* Nothing is loaded yet, and the first file lies further on than one plan gets. */
static void test_long_way_to_the_first_file(void **state)
{
    struct rig r;
    char key[32];
    enum plan_result result = PLAN_EMPTY;
    (void)state;
    rig_start(&r, 1, (const char *const[]){TRACKED, NULL});
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof(key), "in/%04d.txt", i);
        fake_put(&r.store, key, "1");
    }
    rig_put(&r, "z", "1");
    r.timeout_us = 40000;
    for (int i = 0; i < 300 && result != PLAN_RANGE; i++) { /* PLAN_FAIL: a busy machine */
        result = rig_plan(&r);
    }
    assert_int_equal(result, PLAN_RANGE);
    assert_string_equal(r.plan.offset_after, "{\"fileName\":\"in/z.csv\"}");
    rig_stop(&r);
}

/* What comes before the property "offset" is not of the job, early or late. */
static void test_lower_bound(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, "offset", "{\"fileName\":\"in/c\"}", NULL});
    put_all(&r, "abde");
    rig_expect(&r, "d e");
    put_all(&r, "0C");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    put_all(&r, "c");
    rig_expect(&r, "c");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_stop(&r);
}

static void test_one_time(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 2, (const char *const[]){TRACKED, "s3.ingestion_mode", "ONE_TIME", NULL});
    put_all(&r, "bcdef");
    rig_expect(&r, "b c d e f");
    put_all(&r, "a");
    rig_expect(&r, "a");
    assert_int_equal(rig_plan(&r), PLAN_EMPTY); /* the sweep that found a ends here */
    assert_int_equal(rig_plan(&r), PLAN_END);
    rig_stop(&r);
    rig_start(&r, 2, (const char *const[]){"s3.ingestion_mode", "ONE_TIME", NULL});
    put_all(&r, "b");
    rig_expect(&r, "b");
    assert_int_equal(rig_plan(&r), PLAN_END);
    rig_stop(&r);
}

static void test_broken_reader(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 2, (const char *const[]){TRACKED, NULL});
    put_all(&r, "b");
    r.reader.is_broken = true;
    assert_int_equal(rig_plan(&r), PLAN_FAIL);
    assert_non_null(strstr(r.err.msg, "the disk is gone"));
    rig_stop(&r);
}

/* What the model knows of the 60 files of a random history. */
struct file {
    int version; /* what the store has, 0: nothing */
    int loaded;  /* the version loaded last, 0: none */
    int n_loads; /* of this version */
    bool is_bad; /* set aside as it is */
    int bad_version;
};

enum { N_FILES = 60 };

static void name_of(int i, char ret[32])
{
    (void)snprintf(ret, 32, "in/%c%d.csv", 'a' + i % 3, i);
}

static int number_in(const char *text, const char *tail)
{
    int64_t n = -1;
    assert_true(span_to_int64((struct span){text, strlen(text) - strlen(tail)}, 0, INT32_MAX, &n));
    return (int)n;
}

static void change_some(struct rig *r, struct file *files)
{
    char name[32];
    char etag[16];
    for (unsigned int k = chance(6); k > 0; k--) {
        int i = (int)chance(N_FILES);
        name_of(i, name);
        if (files[i].version > 0 && chance(4) == 0) {
            fake_remove(&r->store, name);
            files[i] = (struct file){.loaded = files[i].loaded,
                                     .is_bad = files[i].is_bad,
                                     .bad_version = files[i].bad_version};
        } else {
            files[i].version = (int)chance(1000000) + 1;
            files[i].n_loads = 0;
            (void)snprintf(etag, sizeof(etag), "v%d", files[i].version);
            fake_put(&r->store, name, etag);
        }
    }
}

/* The range is loaded, or its one file is refused; the model keeps what was loaded. */
static void play_range(struct rig *r, struct file *files)
{
    struct s3_range range = {0};
    assert_true(s3_range_read(r->plan.range, &range, &r->err));
    bool is_refused = range.n_files == 1 && chance(5) == 0;
    for (size_t k = 0; k < range.n_files; k++) {
        struct file *f = &files[number_in(range.files[k].key + 4, ".csv")];
        int version = number_in(range.files[k].etag + 1, "");
        assert_int_equal(version, f->version);
        assert_false(f->is_bad && f->bad_version == version);
        f->is_bad = is_refused;
        f->bad_version = is_refused ? version : 0;
        if (!is_refused) {
            f->loaded = version;
            f->n_loads++;
            assert_int_equal(f->n_loads, 1);
        }
    }
    s3_range_fini(&range);
    if (is_refused) {
        rig_set_bad(r);
    } else {
        rig_commit(r);
    }
}

static void check_all(const struct rig *r, const struct file *files)
{
    for (int i = 0; i < N_FILES; i++) {
        const struct file *f = &files[i];
        bool is_set_aside = f->is_bad && f->bad_version == f->version;
        if (f->version != 0 && f->loaded != f->version && !is_set_aside) {
            fail_msg("file %d of version %d was not loaded (seed %llu)", i, f->version,
                     (unsigned long long)seed);
        }
    }
    assert_true(r->n_bad <= N_FILES);
}

static void one_history(size_t page)
{
    static const char *const PROPS[] = {
        TRACKED, "s3.overwritten", "reload", "s3.max_batch_files", "4", NULL};
    struct rig r;
    struct file files[N_FILES] = {0};
    rig_start(&r, page, PROPS);
    for (int round = 0; round < 30; round++) {
        int n_empty = 0;
        change_some(&r, files);
        if (chance(8) == 0) {
            rig_restart(&r);
        }
        int wanted = chance(3) == 0 ? 1 : 12; /* a whole sweep takes some plans with tiny pages */
        for (int k = 0; k < 400 && n_empty < wanted; k++) {
            enum plan_result result = rig_plan(&r);
            assert_true(result == PLAN_RANGE || result == PLAN_EMPTY);
            n_empty += result == PLAN_EMPTY;
            if (result == PLAN_RANGE && chance(6) > 0) { /* else the task was canceled */
                play_range(&r, files);
            }
        }
        if (wanted == 12) {
            check_all(&r, files);
        }
    }
    rig_stop(&r);
}

static void test_random_histories(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++) {
        one_history(i % 3 == 0 ? 1 : i % 3 == 1 ? 7 : 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_late_files),
        cmocka_unit_test(test_overwritten),
        cmocka_unit_test(test_overwritten_is_an_error),
        cmocka_unit_test(test_a_key_with_a_quote_is_asked_for_quoted),
        cmocka_unit_test(test_mended),
        cmocka_unit_test(test_retry),
        cmocka_unit_test(test_names_that_doris_cannot_read),
        cmocka_unit_test(test_counted_once_behind_a_find),
        cmocka_unit_test(test_busy_tail),
        cmocka_unit_test(test_search_in_a_range_of_the_sweep),
        cmocka_unit_test(test_offset_moved_back),
        cmocka_unit_test(test_long_tail),
        cmocka_unit_test(test_long_way_to_the_first_file),
        cmocka_unit_test(test_lower_bound),
        cmocka_unit_test(test_one_time),
        cmocka_unit_test(test_broken_reader),
        cmocka_unit_test(test_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
