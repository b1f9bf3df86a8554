/*
 * What EXPLAIN CREATE JOB tells of an S3 source, against canned replies: long listings, objects that
 * Doris cannot read, a listing that breaks off. tests/integration/test_explain.py has a real store.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "sources/s3_source.h"
#include "tests/unit/canned_http.h"

static const int64_t SECOND = 1000000;

#define HTTP(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body
#define PAGE(truncated, objects)                                                                   \
    HTTP("200 OK", "<ListBucketResult><IsTruncated>" truncated "</IsTruncated>" objects            \
                   "</ListBucketResult>")
#define OBJECT(key, size)                                                                          \
    "<Contents><Key>" key "</Key><ETag>\"e\"</ETag><Size>" size "</Size></Contents>"
#define DENIED HTTP("403 Forbidden", "<Error><Code>AccessDenied</Code></Error>")

static void add_prop(struct spec_prop **props, size_t *n, const char *key, const char *value)
{
    *props = xrealloc_array(*props, *n + 1, sizeof(**props));
    (*props)[(*n)++] = (struct spec_prop){.key = xstrdup(key), .value = xstrdup(value)};
}

/* More properties of the job, name and value by turns, NULL at the end; may be NULL. */
static const char *const *job_props;

static struct job_spec *make_spec(int port)
{
    struct job_spec *spec = xcalloc(1, sizeof(*spec));
    struct insert_spec *insert = &spec->insert;
    _cleanup_free_ char *endpoint = xasprintf("http://127.0.0.1:%d", port);
    insert->sql = xstrdup("");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "uri", "s3://bucket/in/*.csv");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.endpoint", endpoint);
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.access_key", "AK");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.secret_key", "hush");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "Column_Separator", ",");
    add_prop(&insert->tvf_props, &insert->n_tvf_props, "column_seperator", ",");
    add_prop(&spec->props, &spec->n_props, "s3.max_batch_files", "2");
    for (size_t i = 0; job_props != NULL && job_props[i] != NULL; i += 2) {
        add_prop(&spec->props, &spec->n_props, job_props[i], job_props[i + 1]);
    }
    return spec;
}

/* The lines; *ret is filled when there is a first batch. */
static enum plan_result look_with(int version, const char *const *script, size_t n,
                                  const char *offset, struct plan *ret, struct explain *e)
{
    struct fe_traits traits = {.version = version};
    struct canned_http server;
    struct err err = {0};
    canned_start(&server, script, n);
    struct job_spec *spec = make_spec(server.port);
    struct source *source = s3_source_ops.create(spec, &err);
    assert_non_null(source);
    enum plan_result result = s3_source_ops.explain(
        source,
        &(struct plan_request){
            .offset = offset, .fe = &traits, .deadline_us = clock_mono_us() + 20 * SECOND},
        ret, e);
    s3_source_ops.destroy(source);
    job_spec_destroy(spec);
    canned_stop(&server);
    assert_int_equal(server.n_served, n);
    return result;
}

static enum plan_result look(const char *const *script, size_t n, const char *offset,
                             struct plan *ret, struct explain *e)
{
    return look_with(4001, script, n, offset, ret, e);
}

static void assert_says(const struct explain *e, const char *item, enum explain_level level,
                        const char *words)
{
    for (size_t i = 0; i < e->n; i++) {
        const struct explain_line *l = &e->lines[i];
        if (strcmp(l->item, item) == 0 && l->level == level && strstr(l->text, words) != NULL) {
            return;
        }
    }
    for (size_t i = 0; i < e->n; i++) {
        print_error("%s (%s): %s\n", e->lines[i].item, explain_level_name(e->lines[i].level),
                    e->lines[i].text);
    }
    fail_msg("no line %s with \"%s\"", item, words);
}

static void test_batches(void **state)
{
    static const char *const script[] = {
        PAGE("true", OBJECT("in/a.csv", "5") OBJECT("in/b.csv", "0") OBJECT("in/b.txt", "1")),
        PAGE("true", OBJECT("in/c.csv", "10") OBJECT("in/d.csv", "20") OBJECT("in/e.csv", "30")),
        PAGE("false", OBJECT("in/f.csv", "40")),
    };
    struct plan plan = {0};
    struct explain e = {0};
    (void)state;
    assert_int_equal(look(script, ARRAY_SIZE(script), NULL, &plan, &e), PLAN_RANGE);
    assert_non_null(strstr(plan.range, "in/c.csv"));
    assert_null(strstr(plan.range, "in/d.csv"));
    assert_int_equal(plan.n_files, 2);
    assert_says(&e, "first batch", EXPLAIN_FACT, "2 files, 15 bytes; more files follow");
    assert_says(&e, "first file", EXPLAIN_FACT, "in/a.csv");
    assert_says(&e, "last file", EXPLAIN_FACT, "in/c.csv");
    assert_says(&e, "estimate", EXPLAIN_FACT, "3 batches: 5 files, 105 bytes");
    assert_says(&e, "skipped", EXPLAIN_FACT, "1 empty");
    assert_int_equal(explain_count(&e, EXPLAIN_WARNING), 1);
    assert_says(&e, "property", EXPLAIN_WARNING, "\"column_seperator\" of S3(...) is not known");
    plan_fini(&plan);
    explain_fini(&e);
}

/* Why the first batch has one file although two are allowed. */
static void test_no_brace_lists(void **state)
{
    static const struct {
        int version;
        const char *why;
    } cases[] = {{2000, "2; Doris 2.0 has no brace lists: one file a task"},
                 {0, "2; the version of the FE is not known, so it is one file a task"},
                 {2001, "2"}};
    static const char *const script[] = {
        PAGE("false", OBJECT("in/a.csv", "5") OBJECT("in/b.csv", "6"))};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct plan plan = {0};
        struct explain e = {0};
        assert_int_equal(look_with(cases[i].version, script, 1, NULL, &plan, &e), PLAN_RANGE);
        assert_int_equal(plan.n_files, cases[i].version < 2001 ? 1 : 2);
        for (size_t k = 0; k < e.n; k++) {
            if (strcmp(e.lines[k].item, "s3.max_batch_files") == 0) {
                assert_string_equal(e.lines[k].text, cases[i].why);
            }
        }
        plan_fini(&plan);
        explain_fini(&e);
    }
}

/* A page of n keys; the caller owns it. */
static char *long_page(int first, int n)
{
    struct buf b = buf_with_max(4 << 20);
    buf_append_text(&b, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                        "<ListBucketResult><IsTruncated>true</IsTruncated>");
    for (int i = first; i < first + n; i++) {
        _cleanup_free_ char *key = xasprintf("in/%06d.csv", i);
        buf_append_text(&b, "<Contents><Key>");
        buf_append_text(&b, key);
        buf_append_text(&b, "</Key><ETag>\"e\"</ETag><Size>1</Size></Contents>");
    }
    buf_append_text(&b, "</ListBucketResult>");
    return buf_take_text(&b);
}

/* After ten thousand keys it is enough. */
static void test_long_listing(void **state)
{
    char *script[3];
    struct plan plan = {0};
    struct explain e = {0};
    (void)state;
    for (int i = 0; i < 3; i++) {
        script[i] = long_page(4000 * i, 4000);
    }
    assert_int_equal(look((const char *const *)script, 3, NULL, &plan, &e), PLAN_RANGE);
    assert_says(&e, "estimate", EXPLAIN_FACT, "at least 5000 batches: 10000 files");
    assert_says(&e, "estimate", EXPLAIN_FACT, "cut short");
    plan_fini(&plan);
    explain_fini(&e);
    for (int i = 0; i < 3; i++) {
        free(script[i]);
    }
}

/* Where bad files pause the job, and where they are set aside. */
static void test_unreadable_objects(void **state)
{
    static const char *const first[] = {
        PAGE("false", OBJECT("in/a?.csv", "5") OBJECT("in/b.csv", "5"))};
    static const char *const later[] = {
        PAGE("false", OBJECT("in/a.csv", "5") OBJECT("in/b?.csv", "5") OBJECT("in/c?.csv", "5"))};
    struct plan plan = {0};
    struct explain e = {0};
    (void)state;
    job_props = (const char *const[]){"s3.bad_files", "pause", NULL};
    assert_int_equal(look(first, 1, NULL, &plan, &e), PLAN_FAIL);
    assert_null(plan.range);
    assert_says(&e, "first batch", EXPLAIN_ERROR, "Doris cuts names at '?'");
    explain_fini(&e);
    assert_int_equal(look(later, 1, NULL, &plan, &e), PLAN_RANGE);
    assert_says(&e, "first batch", EXPLAIN_FACT, "1 file, 5 bytes; more files follow");
    assert_says(&e, "estimate", EXPLAIN_FACT, "at least 1 batch");
    assert_says(&e, "later batch", EXPLAIN_WARNING, "will be PAUSED when it gets there");
    assert_says(&e, "s3.bad_files", EXPLAIN_FACT, "pause: ");
    plan_fini(&plan);
    explain_fini(&e);
    job_props = NULL;
    assert_int_equal(look(first, 1, NULL, &plan, &e), PLAN_RANGE);
    assert_non_null(strstr(plan.range, "in/b.csv"));
    assert_says(&e, "set aside", EXPLAIN_WARNING, "1 object cannot be read by Doris");
    assert_says(&e, "s3.bad_files", EXPLAIN_FACT, "quarantine: ");
    plan_fini(&plan);
    explain_fini(&e);
    assert_int_equal(look(later, 1, NULL, &plan, &e), PLAN_RANGE);
    assert_says(&e, "set aside", EXPLAIN_WARNING,
                "2 objects cannot be read by Doris and will be "
                "set aside, the first is \"in/b?.csv\"");
    assert_says(&e, "estimate", EXPLAIN_FACT, "1 batch: 1 file");
    plan_fini(&plan);
    explain_fini(&e);
}

static void test_modes(void **state)
{
    static const char *const empty[] = {PAGE("false", "")};
    static const char *const plain[] = {NULL};
    static const char *const other[] = {
        "s3.discovery", "tracked", "s3.overwritten", "reload", "s3.ingestion_mode",
        "one_time",     NULL};
    struct plan plan = {0};
    struct explain e = {0};
    (void)state;
    job_props = plain;
    (void)look(empty, 1, NULL, &plan, &e);
    assert_says(&e, "s3.discovery", EXPLAIN_FACT, "ordered: files behind the offset");
    assert_says(&e, "s3.discovery", EXPLAIN_FACT, "are counted and not loaded");
    assert_says(&e, "s3.ingestion_mode", EXPLAIN_FACT, "ORDERED_LIST: ");
    for (size_t i = 0; i < e.n; i++) {
        assert_string_not_equal(e.lines[i].item, "s3.overwritten");
    }
    explain_fini(&e);
    job_props = other;
    (void)look(empty, 1, NULL, &plan, &e);
    assert_says(&e, "s3.discovery", EXPLAIN_FACT, "tracked: every file is remembered");
    assert_says(&e, "s3.overwritten", EXPLAIN_FACT, "reload: ");
    assert_says(&e, "s3.ingestion_mode", EXPLAIN_FACT, "ONE_TIME: ");
    explain_fini(&e);
    job_props = NULL;
}

static void test_listing_that_fails(void **state)
{
    static const char *const at_once[] = {DENIED};
    static const char *const later[] = {
        PAGE("true", OBJECT("in/a.csv", "5") OBJECT("in/b.csv", "5")), DENIED};
    struct plan plan = {0};
    struct explain e = {0};
    (void)state;
    assert_int_equal(look(at_once, 1, NULL, &plan, &e), PLAN_FAIL);
    assert_says(&e, "source", EXPLAIN_ERROR, "AccessDenied");
    explain_fini(&e);
    assert_int_equal(look(later, 2, NULL, &plan, &e), PLAN_RANGE);
    assert_says(&e, "first batch", EXPLAIN_FACT, "2 files");
    assert_says(&e, "estimate", EXPLAIN_WARNING, "the listing broke off");
    plan_fini(&plan);
    explain_fini(&e);
}

static void test_nothing(void **state)
{
    static const char *const empty[] = {PAGE("false", "")};
    static const char *const others[] = {
        PAGE("false", OBJECT("in/a.txt", "5") OBJECT("in/b.csv", "0"))};
    struct plan plan = {0};
    struct explain e = {0};
    (void)state;
    assert_int_equal(look(empty, 1, "{\"fileName\":\"in/x\"}", &plan, &e), PLAN_EMPTY);
    assert_says(&e, "first batch", EXPLAIN_WARNING, "no object below \"in/\" behind the offset");
    explain_fini(&e);
    assert_int_equal(look(others, 1, NULL, &plan, &e), PLAN_EMPTY);
    assert_says(&e, "first batch", EXPLAIN_WARNING,
                "of 2 objects below \"in/\" none matches the uri and has bytes in it");
    explain_fini(&e);
    assert_int_equal(look(NULL, 0, "no offset", &plan, &e), PLAN_FAIL);
    assert_says(&e, "offset", EXPLAIN_ERROR, "no offset");
    explain_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),      cmocka_unit_test(test_no_brace_lists),
        cmocka_unit_test(test_long_listing), cmocka_unit_test(test_unreadable_objects),
        cmocka_unit_test(test_modes),        cmocka_unit_test(test_listing_that_fails),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
