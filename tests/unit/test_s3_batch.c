#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/glob.h"
#include "sources/s3_batch.h"
#include "sources/s3_rewrite.h"

enum { L = S3_KEY_LIST, E = S3_KEY_EXACT, U = S3_KEY_UNREADABLE };

/* How each version takes a name below "d/": 2.0, 2.1, 3.1, 4.0.1. */
static const struct {
    const char *name;
    int form[4];
} FORMS[] = {
    {"a.csv", {E, L, L, L}},    {"x/y.csv", {E, L, L, L}},
    {"a b.csv", {U, L, L, L}},  {"\xc3\xa9=&@:;!~'.csv", {E, L, L, L}},
    {"50%.csv", {U, L, L, L}},  {"a+b.csv", {E, L, L, L}},
    {"a,b", {E, E, E, E}},      {"a$1", {E, E, E, E}},
    {"a{", {U, E, E, E}},       {"a}b", {U, E, E, E}},
    {"{a}", {U, E, U, E}},      {"a*b", {U, E, E, E}},
    {"a[b", {U, E, E, E}},      {"a]b", {U, E, E, E}},
    {"a\\b", {U, E, E, E}},     {"{a$}", {U, E, U, U}},
    {"{a\\}", {U, E, U, U}},    {"$\\{a}", {U, E, U, E}},
    {"\"q\"", {U, L, L, L}},    {"7", {E, E, E, E}},
    {"007", {E, E, E, E}},      {"99999999999999999999", {E, E, E, E}},
    {"1..3", {E, E, E, E}},     {"-1..-3", {E, E, E, E}},
    {"-1", {E, L, L, L}},       {"1..3x", {E, L, L, L}},
    {"1..", {E, L, L, L}},      {"1.3", {E, L, L, L}},
    {"7.csv", {E, L, L, L}},    {" a", {U, E, E, E}},
    {"a/ b", {U, L, L, L}},     {"a ", {U, U, U, U}},
    {"a?b", {U, U, U, U}},      {"a#b", {U, U, U, U}},
    {"a//b", {U, U, U, U}},     {"a/./b", {U, U, U, U}},
    {"../b", {U, U, U, U}},     {"a/..", {U, U, U, U}},
    {"...", {E, L, L, L}},      {"a./b", {E, L, L, L}},
    {"http://x", {U, U, U, U}}, {"\xff.csv", {U, U, U, U}},
};
static const int VERSIONS[4] = {2000, 2001, 3001, 4001};

static char *below(const char *name)
{
    return xasprintf("d/%s", name);
}

static void test_forms(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(FORMS); i++) {
        char *key = below(FORMS[i].name);
        for (size_t v = 0; v < ARRAY_SIZE(VERSIONS); v++) {
            const char *why = NULL;
            int form = (int)s3_key_form(span_of(key), SPAN_LIT("d/"), VERSIONS[v], &why);
            if (form != FORMS[i].form[v] || (form != L && why == NULL)) {
                fail_msg("%s on %d: %d", key, VERSIONS[v], form);
            }
        }
        free(key);
    }
}

/*
 * An exact pattern matches its own key and none of the others, and what 4.0.1 does to the first
 * brace group (integers only, or '\' and '$' eaten) cannot touch it.
 */
static void test_patterns_are_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(FORMS); i++) {
        for (size_t v = 1; v < ARRAY_SIZE(VERSIONS); v++) {
            char *key = below(FORMS[i].name);
            char *pattern = s3_key_pattern(span_of(key), VERSIONS[v]);
            struct err err = {0};
            struct glob *g = FORMS[i].form[v] != U ? glob_create(span_of(pattern), &err) : NULL;
            if (FORMS[i].form[v] != U && (g == NULL || !glob_match(g, span_of(key)))) {
                fail_msg("%s as %s: %s", key, pattern, err.msg);
            }
            for (size_t k = 0; g != NULL && k < ARRAY_SIZE(FORMS); k++) {
                char *other = below(FORMS[k].name);
                assert_true(k == i || !glob_match(g, span_of(other)));
                free(other);
            }
            glob_destroy(g);
            free(pattern);
            free(key);
        }
    }
    char *pattern = s3_key_pattern(SPAN_LIT("{a,5,1..9}*"), 4001);
    assert_string_equal(pattern, "[{]a[,]5[,]1..9}[*]");
    free(pattern);
    pattern = s3_key_pattern(SPAN_LIT("a*[1]{2}\\"), 3000);
    assert_string_equal(pattern, "a\\*\\[1\\]\\{2\\}\\\\");
    free(pattern);
}

static struct s3_batch_limits limits(int64_t files, int64_t bytes, int version)
{
    return (struct s3_batch_limits){.max_files = files,
                                    .max_bytes = bytes,
                                    .fe_version = version,
                                    .dir = SPAN_LIT("d/"),
                                    .head_len = 12};
}

static enum s3_offer offer(struct s3_batch *b, const char *key, int64_t size)
{
    const char *why = NULL;
    struct s3_object object = {.key = (char *)key, .etag = (char *)"e\"1", .size = size};
    return s3_batch_offer(b, &object, &why);
}

static void test_closes_by_count(void **state)
{
    (void)state;
    struct s3_batch_limits two = limits(2, 100, 4001);
    struct s3_batch b;
    struct plan plan = {0};
    struct err err = {0};
    s3_batch_init(&b, &two);
    assert_int_equal(offer(&b, "d/a", 5), S3_OFFER_TAKEN);
    assert_false(b.is_closed);
    assert_int_equal(offer(&b, "d/b", 6), S3_OFFER_TAKEN);
    assert_true(b.is_closed);
    assert_int_equal(offer(&b, "d/c", 1), S3_OFFER_LATER);
    s3_batch_finish(&b, "d/c", &plan);
    assert_string_equal(plan.range, "{\"form\":\"list\",\"dir\":\"d/\",\"files\":["
                                    "{\"key\":\"d/a\",\"etag\":\"e\\\"1\",\"size\":5},"
                                    "{\"key\":\"d/b\",\"etag\":\"e\\\"1\",\"size\":6}]}");
    assert_string_equal(plan.offset_after, "{\"fileName\":\"d/b\"}");
    assert_string_equal(plan.running_offset, "{\"startFileName\":\"d/a\",\"endFileName\":\"d/b\"}");
    assert_string_equal(plan.end_offset, "{\"fileName\":\"d/c\"}");
    assert_int_equal(plan.n_files, 2);
    assert_int_equal(plan.n_bytes, 11);
    assert_true(plan.has_more);
    char *pattern = s3_range_pattern(plan.range, &err);
    assert_string_equal(pattern, "d/{a,b}");
    free(pattern);
    plan_fini(&plan);
    s3_batch_fini(&b);
}

/* "After adding": the file that passes the limit is taken; reaching the limit does not close. */
static void test_closes_by_bytes(void **state)
{
    (void)state;
    struct s3_batch_limits hundred = limits(256, 100, 4001);
    struct s3_batch b;
    s3_batch_init(&b, &hundred);
    assert_int_equal(offer(&b, "d/a", 100), S3_OFFER_TAKEN);
    assert_false(b.is_closed);
    assert_int_equal(offer(&b, "d/b", INT64_MAX), S3_OFFER_TAKEN);
    assert_true(b.is_closed);
    assert_true(b.n_bytes == INT64_MAX);
    s3_batch_fini(&b);
}

static void test_odd_keys_go_alone(void **state)
{
    (void)state;
    struct s3_batch_limits many = limits(256, 100, 4001);
    struct s3_batch b;
    struct plan plan = {0};
    struct err err = {0};
    s3_batch_init(&b, &many);
    assert_int_equal(offer(&b, "d/a", 1), S3_OFFER_TAKEN);
    assert_int_equal(offer(&b, "d/b,c", 1), S3_OFFER_LATER);
    assert_true(b.is_closed);
    s3_batch_finish(&b, "d/b,c", &plan);
    char *pattern = s3_range_pattern(plan.range, &err);
    assert_string_equal(pattern, "d/a"); /* one file needs no braces */
    free(pattern);
    plan_fini(&plan);
    s3_batch_fini(&b);

    s3_batch_init(&b, &many);
    assert_int_equal(offer(&b, "d/b*", 1), S3_OFFER_TAKEN);
    assert_true(b.is_closed);
    s3_batch_finish(&b, NULL, &plan);
    pattern = s3_range_pattern(plan.range, &err);
    assert_string_equal(pattern, "d/b\\*");
    assert_string_equal(plan.end_offset, "{\"fileName\":\"d/b*\"}");
    assert_false(plan.has_more);
    free(pattern);
    plan_fini(&plan);
    s3_batch_fini(&b);
}

static void test_unreadable_key(void **state)
{
    (void)state;
    struct s3_batch_limits many = limits(256, 100, 4001);
    struct s3_batch b;
    const char *why = NULL;
    struct s3_object object = {.key = (char *)"d/a?b", .etag = (char *)"", .size = 1};
    s3_batch_init(&b, &many);
    assert_int_equal(offer(&b, "d/a", 1), S3_OFFER_TAKEN);
    assert_int_equal(s3_batch_offer(&b, &object, &why), S3_OFFER_LATER); /* load the others first */
    s3_batch_fini(&b);
    s3_batch_init(&b, &many);
    assert_int_equal(s3_batch_offer(&b, &object, &why), S3_OFFER_UNREADABLE);
    assert_string_equal(why, "Doris cuts names at '?' and '#'");
    s3_batch_fini(&b);
}

/* So that it is struck off the list of bad files once it is loaded. */
static void test_file_that_was_set_aside(void **state)
{
    (void)state;
    struct bad_file bad[] = {{.key = (char *)"d/b"}, {.key = (char *)"d/x"}};
    struct s3_batch_limits many = limits(256, 100, 4001);
    struct s3_batch b;
    struct plan plan = {0};
    many.bad = bad;
    many.n_bad = 2;
    s3_batch_init(&b, &many);
    assert_int_equal(offer(&b, "d/a", 1), S3_OFFER_TAKEN);
    assert_int_equal(offer(&b, "d/b", 1), S3_OFFER_TAKEN);
    s3_batch_finish(&b, NULL, &plan);
    assert_non_null(strstr(plan.range, "{\"key\":\"d/b\",\"etag\":\"e\\\"1\",\"size\":1,"
                                       "\"bad\":true}"));
    assert_null(strstr(strstr(plan.range, "true") + 4, "true"));
    assert_int_equal(plan.watch.n_late, -1);
    plan_fini(&plan);
    s3_batch_fini(&b);
}

static void test_old_versions_get_one_file(void **state)
{
    (void)state;
    static const int OLD[] = {0, 2000};
    for (size_t i = 0; i < ARRAY_SIZE(OLD); i++) {
        struct s3_batch_limits many = limits(256, 100, OLD[i]);
        struct s3_batch b;
        s3_batch_init(&b, &many);
        assert_int_equal(offer(&b, "d/a", 1), S3_OFFER_TAKEN);
        assert_true(b.is_closed);
        s3_batch_fini(&b);
    }
}

static void test_uri_stays_short(void **state)
{
    (void)state;
    struct s3_batch_limits many = limits(1000000, INT64_MAX, 4001);
    struct s3_batch b;
    struct plan plan = {0};
    struct err err = {0};
    char name[1001] = "d/";
    memset(name + 2, 'k', 998);
    s3_batch_init(&b, &many);
    int n = 0;
    while (offer(&b, name, 1) == S3_OFFER_TAKEN) {
        n++;
    }
    assert_true(n > 500 && n < 530);
    assert_true(b.is_closed);
    s3_batch_finish(&b, name, &plan);
    char *pattern = s3_range_pattern(plan.range, &err);
    assert_non_null(pattern);
    assert_true(strlen(pattern) + 12 <= S3_MAX_URI);
    free(pattern);
    plan_fini(&plan);
    s3_batch_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_patterns_are_exact),
        cmocka_unit_test(test_closes_by_count),
        cmocka_unit_test(test_closes_by_bytes),
        cmocka_unit_test(test_odd_keys_go_alone),
        cmocka_unit_test(test_unreadable_key),
        cmocka_unit_test(test_file_that_was_set_aside),
        cmocka_unit_test(test_old_versions_get_one_file),
        cmocka_unit_test(test_uri_stays_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
