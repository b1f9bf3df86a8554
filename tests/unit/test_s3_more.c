/*
 * What a source must not take for "nothing new": answers that are missing, and memory that
 * breaks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sources/s3_join.h"
#include "tests/unit/s3_rig.h"

#define TRACKED "s3.discovery", "tracked"

/* A reader whose disk fails after the first mark. */
static int next_once(struct file_reader *r, struct file_mark *ret, struct err *err)
{
    if (r->at > 0) {
        (void)err_say(err, "the disk is gone");
        return -1;
    }
    return READER_OPS.next(r, ret, err);
}

/* Files that cannot be looked up are not new: taken for new they would be loaded again. */
static void test_memory_that_breaks_midway(void **state)
{
    static const struct file_reader_ops breaking = {
        .begin = reader_begin, .next = next_once, .end = reader_end};
    struct file_reader r = {0};
    struct err err = {0};
    enum s3_known known = S3_NEW;
    (void)state;
    reader_put(&r, &(struct file_mark){.key = (char *)"a", .tag = s3_etag_tag("x")});
    reader_put(&r, &(struct file_mark){.key = (char *)"b", .tag = s3_etag_tag("x")});
    struct s3_join j = {.ops = &breaking, .reader = &r};
    struct s3_object a = {.key = (char *)"a", .etag = (char *)"x"};
    struct s3_object b = {.key = (char *)"b", .etag = (char *)"x"};
    assert_true(s3_join_next(&j, &a, &known, &err));
    assert_int_equal(known, S3_SAME);
    assert_false(s3_join_next(&j, &b, &known, &err));
    assert_non_null(strstr(err.msg, "the disk is gone"));
    s3_join_fini(&j);
    reader_clear(&r);
}

/* A file that was loaded when its store sent no ETag is told by its size alone. */
static void test_an_etag_that_was_not_sent_once(void **state)
{
    struct file_reader r = {0};
    struct err err = {0};
    enum s3_known known = S3_NEW;
    (void)state;
    reader_put(&r, &(struct file_mark){.key = (char *)"a", .tag = s3_etag_tag(""), .size = 5});
    reader_put(&r, &(struct file_mark){.key = (char *)"b", .tag = s3_etag_tag(""), .size = 5});
    struct s3_join j = {.ops = &READER_OPS, .reader = &r};
    struct s3_object a = {.key = (char *)"a", .etag = (char *)"x", .size = 5};
    struct s3_object b = {.key = (char *)"b", .etag = (char *)"x", .size = 6};
    assert_true(s3_join_next(&j, &a, &known, &err));
    assert_int_equal(known, S3_SAME);
    assert_true(s3_join_next(&j, &b, &known, &err));
    assert_int_equal(known, S3_OVERWRITTEN);
    s3_join_fini(&j);
    reader_clear(&r);
}

/*
 * Nobody knows whether the files are the same, be they one or many: that is no "same", and it
 * ends.
 */
static void test_a_check_without_an_answer(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){NULL});
    rig_put(&r, "a", "1");
    rig_put(&r, "b", "1");
    rig_put(&r, "c", "1");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    r.err = (struct err){0};
    assert_int_equal(
        s3_source_ops.verify(r.source, r.plan.range, clock_mono_us() - 1, NULL, &r.err),
        VERIFY_FAIL);
    assert_non_null(strstr(r.err.msg, "Failed to list S3 files"));
    rig_stop(&r);
}

/* When it was written is said only where the store tells. */
static void test_a_changed_file_without_a_date(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){NULL});
    fake_put_at(&r.store, "in/a.csv", "1", 10, "");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    fake_put_at(&r.store, "in/a.csv", "2", 10, "");
    assert_int_equal(
        s3_source_ops.verify(r.source, r.plan.range, clock_mono_us() + 20000000, NULL, &r.err),
        VERIFY_CHANGED);
    assert_string_equal(r.err.msg,
                        "file \"in/a.csv\" has another content: ETag \"1\" and 10 bytes when it "
                        "was planned, ETag \"2\" and 10 bytes now");
    rig_stop(&r);
}

/* A job that is to end with its source ends with an empty one, too. */
static void test_one_time_over_nothing(void **state)
{
    struct rig r;
    enum plan_result result = PLAN_EMPTY;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, "s3.ingestion_mode", "ONE_TIME", NULL});
    for (int i = 0; i < 5 && result == PLAN_EMPTY; i++) {
        result = rig_plan(&r);
    }
    assert_int_equal(result, PLAN_END);
    rig_stop(&r);
}

/* A job whose stored offset cannot be read stops: "from the beginning" would load all again. */
static void test_an_offset_that_is_damaged(void **state)
{
    static const char *const ordered[] = {NULL};
    static const char *const tracked[] = {TRACKED, NULL};
    static const char *const *const kinds[] = {ordered, tracked};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        struct rig r;
        rig_start(&r, 1000, kinds[i]);
        rig_put(&r, "a", "1");
        r.offset = xstrdup("nonsense");
        assert_int_equal(rig_plan(&r), PLAN_FAIL);
        assert_non_null(strstr(r.err.msg, "the offset nonsense is not {\"fileName\": "));
        assert_non_null(strstr(r.err.msg, "}: ")); /* and why the text is no JSON */
        rig_stop(&r);
    }
}

/* The end of the source is not reached as long as nobody can tell which files were loaded. */
static void test_no_end_without_memory(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){TRACKED, "s3.ingestion_mode", "ONE_TIME", NULL});
    rig_put(&r, "a", "1");
    rig_expect(&r, "a");
    r.reader.is_broken = true;
    assert_int_equal(rig_plan(&r), PLAN_FAIL);
    assert_non_null(strstr(r.err.msg, "the disk is gone"));
    r.reader.is_broken = false;
    enum plan_result result = PLAN_EMPTY;
    for (int i = 0; i < 5 && result == PLAN_EMPTY; i++) {
        result = rig_plan(&r);
    }
    assert_int_equal(result, PLAN_END);
    rig_stop(&r);
}

/*
 * Keys are bytes: an offset stands for any of them, or its job could never go on behind that
 * file.
 */
static void test_an_offset_of_any_bytes(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        const char key[] = {'a', '\xff', (char)byte, 'b', '\0'};
        struct err err = {0};
        _cleanup_free_ char *text = s3_offset_text(key);
        _cleanup_free_ char *back = s3_offset_key(text, &err);
        assert_non_null(back);
        assert_string_equal(back, key);
    }
}

/* A range that names a file twice is not one that was planned. */
static void test_a_range_with_a_file_twice(void **state)
{
    struct s3_range range = {0};
    struct err err = {0};
    (void)state;
    assert_false(s3_range_read("{\"files\":[{\"key\":\"a\",\"etag\":\"1\",\"size\":1},"
                               "{\"key\":\"a\",\"etag\":\"1\",\"size\":1}]}",
                               &range, &err));
    assert_non_null(strstr(err.msg, "its keys do not rise"));
}

/* The last file that was passed is behind the offset as all before it: RETRY FILE loads it, too. */
static void test_the_last_passed_file_is_tried_again(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){NULL});
    rig_put(&r, "a", "1");
    assert_int_equal(rig_plan(&r), PLAN_RANGE);
    rig_set_bad(&r);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    r.bad[0].is_retried = true;
    rig_expect(&r, "a");
    assert_true(r.plan.is_retry);
    assert_int_equal(r.n_bad, 0);
    assert_int_equal(rig_plan(&r), PLAN_EMPTY);
    rig_stop(&r);
}

/* A file that was to be tried again, and is gone: set aside as of now, and no longer retried. */
static void test_a_retried_file_that_is_gone(void **state)
{
    struct rig r;
    (void)state;
    rig_start(&r, 1000, (const char *const[]){NULL});
    rig_put(&r, "a", "1");
    rig_expect(&r, "a");
    const struct bad_file gone = {.key = (char *)"in/A.csv",
                                  .etag = (char *)"1",
                                  .reason = (char *)"its rows",
                                  .at_ms = 1,
                                  .is_retried = true};
    rig_add_bad(&r, &gone);
    int64_t before_ms = clock_wall_ms();
    assert_int_equal(rig_plan(&r), PLAN_ASIDE);
    assert_int_equal(r.plan.n_bad, 1);
    assert_true(r.plan.bad[0].at_ms >= before_ms);
    assert_false(r.plan.bad[0].is_retried);
    assert_non_null(strstr(r.plan.bad[0].reason, "it is gone"));
    assert_string_equal(r.plan.offset_after, r.offset); /* nothing is passed by it */
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_that_breaks_midway),
        cmocka_unit_test(test_an_etag_that_was_not_sent_once),
        cmocka_unit_test(test_a_check_without_an_answer),
        cmocka_unit_test(test_a_changed_file_without_a_date),
        cmocka_unit_test(test_one_time_over_nothing),
        cmocka_unit_test(test_an_offset_that_is_damaged),
        cmocka_unit_test(test_no_end_without_memory),
        cmocka_unit_test(test_an_offset_of_any_bytes),
        cmocka_unit_test(test_a_range_with_a_file_twice),
        cmocka_unit_test(test_the_last_passed_file_is_tried_again),
        cmocka_unit_test(test_a_retried_file_that_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
