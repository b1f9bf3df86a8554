/* The merge-join of a listing with remembered files, against a naive model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/s3_join.h"
#include "sources/s3_range.h"
#include "tests/unit/fake_reader.h"

static uint64_t seed = 88172645463325252ULL;

static unsigned int chance(unsigned int n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned int)(seed % n);
}

static enum s3_known naive(const struct file_reader *r, const char *key, const char *etag,
                           int64_t size)
{
    for (size_t i = 0; i < r->n; i++) {
        if (strcmp(r->marks[i].key, key) == 0) {
            const struct file_mark *m = &r->marks[i];
            bool is_same = m->size == size && (m->tag == s3_etag_tag(etag) || etag[0] == '\0');
            return is_same ? S3_SAME : m->is_bad ? S3_MENDED : S3_OVERWRITTEN;
        }
    }
    return S3_NEW;
}

static void one_round(void)
{
    static const char *const ETAGS[] = {"", "x", "y"};
    struct file_reader r = {0};
    unsigned int share = chance(10);
    for (int i = 0; i < 100; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%02d", i);
        if (chance(10) < share) {
            reader_put(&r, &(struct file_mark){.key = key,
                                               .tag = s3_etag_tag(ETAGS[1 + chance(2)]),
                                               .size = chance(2),
                                               .is_bad = chance(4) == 0});
        }
    }
    int first = (int)chance(100);
    char from[16];
    (void)snprintf(from, sizeof(from), "%02d", first);
    struct s3_join j = {.ops = &READER_OPS, .reader = &r, .prefix_len = 3, .from = from};
    share = chance(10);
    for (int i = first; i < 100; i++) {
        char key[16];
        struct err err = {0};
        enum s3_known known = S3_NEW;
        (void)snprintf(key, sizeof(key), "in/%02d", i);
        struct s3_object o = {.key = key, .etag = (char *)ETAGS[chance(3)], .size = chance(2)};
        if (chance(10) < share) {
            assert_true(s3_join_next(&j, &o, &known, &err));
            assert_int_equal(known, naive(&r, key + 3, o.etag, o.size));
        }
    }
    s3_join_fini(&j);
    reader_clear(&r);
}

static void test_against_model(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        one_round();
    }
}

static void test_bytes_are_compared(void **state)
{
    static const char *const KEYS[] = {"a", "\x7f", "\xc3\xa9", "\xef\xbd\x9e", "\xf0\x90\x90\xb7"};
    struct file_reader r = {0};
    struct s3_join j = {.ops = &READER_OPS, .reader = &r};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++) {
        reader_put(&r, &(struct file_mark){.key = (char *)KEYS[i], .tag = s3_etag_tag("x")});
    }
    for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++) {
        struct s3_object o = {.key = (char *)KEYS[i], .etag = (char *)"x"};
        struct err err = {0};
        enum s3_known known = S3_NEW;
        assert_true(s3_join_next(&j, &o, &known, &err));
        assert_int_equal(known, S3_SAME);
    }
    s3_join_fini(&j);
    reader_clear(&r);
}

static void test_without_reader_and_with_a_broken_one(void **state)
{
    struct file_reader r = {.is_broken = true};
    struct s3_object o = {.key = (char *)"in/a", .etag = (char *)"x"};
    struct s3_join j = {0};
    struct err err = {0};
    enum s3_known known = S3_SAME;
    (void)state;
    assert_true(s3_join_next(&j, &o, &known, &err));
    assert_int_equal(known, S3_NEW);
    s3_join_fini(&j);
    j = (struct s3_join){.ops = &READER_OPS, .reader = &r};
    assert_false(s3_join_next(&j, &o, &known, &err));
    assert_string_equal(err.msg, "Failed to read the files the job remembers: the disk is gone");
    s3_join_fini(&j);
    assert_false(r.is_begun);
    reader_clear(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model),
        cmocka_unit_test(test_bytes_are_compared),
        cmocka_unit_test(test_without_reader_and_with_a_broken_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
