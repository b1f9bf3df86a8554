#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sources/s3_range.h"

#define TWO                                                                                        \
    "{\"form\":\"list\",\"dir\":\"in/\",\"files\":[{\"key\":\"in/a\",\"etag\":\"x\",\"size\":5},"  \
    "{\"key\":\"in/b\",\"etag\":\"\",\"size\":6,\"bad\":true}]}"
#define ONE                                                                                        \
    "{\"form\":\"exact\",\"pattern\":\"in/b\",\"files\":[{\"key\":\"in/b\",\"etag\":\"y\","        \
    "\"size\":6,\"bad\":true}]}"

#define FALLING                                                                                    \
    "{\"files\":[{\"key\":\"b\",\"etag\":\"\",\"size\":1},"                                        \
    "{\"key\":\"a\",\"etag\":\"\",\"size\":1}]}"

static const struct s3_mark_rules TRACKED = {.is_tracked = true, .prefix_len = 3};
static const struct s3_mark_rules ORDERED = {.is_tracked = false, .prefix_len = 3};

static void test_marks(void **state)
{
    _cleanup_file_marks_ struct file_marks marks = {0};
    struct err err = {0};
    (void)state;
    assert_true(s3_range_marks(TWO, &TRACKED, &marks, &err));
    assert_int_equal(marks.n_marks, 2);
    assert_string_equal(marks.marks[0].key, "a");
    assert_true(marks.marks[0].tag == s3_etag_tag("x") && marks.marks[0].size == 5);
    assert_string_equal(marks.marks[1].key, "b");
    assert_true(marks.marks[1].tag == 0 && !marks.marks[1].is_bad);
    assert_int_equal(marks.n_settled, 1);
    assert_string_equal(marks.settled[0], "in/b");
}

/* The file that was bad before is settled, whatever the discovery. */
static void test_marks_of_ordered(void **state)
{
    _cleanup_file_marks_ struct file_marks marks = {0};
    struct err err = {0};
    (void)state;
    assert_true(s3_range_marks(TWO, &ORDERED, &marks, &err));
    assert_int_equal(marks.n_marks, 0);
    assert_int_equal(marks.n_settled, 1);
}

static void test_bad(void **state)
{
    _cleanup_file_marks_ struct file_marks marks = {0};
    _cleanup_bad_file_ struct bad_file bad = {0};
    struct err err = {0};
    (void)state;
    assert_false(s3_range_bad(TWO, &TRACKED, &marks, &bad, &err));
    assert_non_null(strstr(err.msg, "has several"));
    assert_true(s3_range_bad(ONE, &TRACKED, &marks, &bad, &err));
    assert_string_equal(bad.key, "in/b");
    assert_string_equal(bad.etag, "y");
    assert_int_equal(bad.size, 6);
    assert_int_equal(marks.n_marks, 1);
    assert_true(marks.marks[0].is_bad);
    assert_int_equal(marks.n_settled, 0);
}

static void test_damaged_ranges(void **state)
{
    static const char *const DAMAGED[] = {
        "",
        "[]",
        "{}",
        "{\"files\":[]}",
        "{\"files\":[7]}",
        "{\"files\":[{\"key\":\"a\"}]}",
        "{\"files\":[{\"key\":\"\",\"etag\":\"\",\"size\":1}]}",
        "{\"files\":[{\"key\":\"a\",\"etag\":\"\",\"size\":\"1\"}]}",
        FALLING,
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(DAMAGED); i++) {
        struct s3_range r = {0};
        struct err err = {0};
        assert_false(s3_range_read(DAMAGED[i], &r, &err));
        assert_non_null(strstr(err.msg, "is damaged"));
    }
}

static void test_tags(void **state)
{
    (void)state;
    assert_true(s3_etag_tag("") == 0);
    assert_true(s3_etag_tag("a") != s3_etag_tag("b") && s3_etag_tag("a") != 0);
    /* Stored for years: never to be computed otherwise. */
    assert_true((uint64_t)s3_etag_tag("a") == UINT64_C(0xaf63dc4c8601ec8c));
}

static void expect_offset(const char *key, const char *text)
{
    struct err err = {0};
    _cleanup_free_ char *made = s3_offset_text(key);
    assert_string_equal(made, text);
    _cleanup_free_ char *back = s3_offset_key(made, &err);
    assert_string_equal(back, key);
}

static void test_offsets(void **state)
{
    static const char *const WRONG[] = {"{\"fileName\":7}",
                                        "nonsense",
                                        "{}",
                                        "{\"fileName\":\"a\",\"bytes\":\"6\"}",
                                        "{\"fileName\":\"a\",\"bytes\":\"00\"}",
                                        "{\"fileName\":\"a\",\"bytes\":\"6g\"}"};
    (void)state;
    expect_offset("a\"\\\xc3\xa9", "{\"fileName\":\"a\\\"\\\\\xc3\xa9\"}");
    expect_offset("", "{\"fileName\":\"\"}");
    /* What is not UTF-8 is shown, and kept to the byte. */
    expect_offset("in/\xff\xc3\xa9\xc3", "{\"fileName\":\"in/%FF\xc3\xa9%C3\","
                                         "\"bytes\":\"696e2fffc3a9c3\"}");
    for (size_t i = 0; i < ARRAY_SIZE(WRONG); i++) {
        struct err err = {0};
        assert_null(s3_offset_key(WRONG[i], &err));
        assert_non_null(strstr(err.msg, WRONG[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks), cmocka_unit_test(test_marks_of_ordered),
        cmocka_unit_test(test_bad),   cmocka_unit_test(test_damaged_ranges),
        cmocka_unit_test(test_tags),  cmocka_unit_test(test_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
