/*
 * An S3 source before a fake store, with what its job remembers: for the tests of discovery. It
 * plays the scheduler: what is planned is loaded, and remembered. Include it in one test file.
 */
#ifndef TESTS_UNIT_S3_RIG_H
#define TESTS_UNIT_S3_RIG_H

#include <jansson.h>

#include "base/clock.h"
#include "sources/http.h"
#include "sources/s3_range.h"
#include "sources/s3_source.h"
#include "tests/unit/fake_reader.h"
#include "tests/unit/fake_store.h"

struct rig {
    struct fake_store store;
    struct file_reader reader;
    struct job_spec *spec;
    struct source *source;
    char *offset;
    struct bad_file bad[256]; /* set aside, by no order */
    size_t n_bad;
    const struct plan_pass *passes;
    size_t n_passes;
    int64_t max_files;
    int64_t timeout_us; /* of a plan; 0: plenty */
    struct plan plan;   /* of the last rig_plan() */
    struct err err;
};

static void rig_prop(struct spec_prop **props, size_t *n, const char *key, const char *value)
{
    *props = xrealloc_array(*props, *n + 1, sizeof(**props));
    (*props)[(*n)++] = (struct spec_prop){.key = xstrdup(key), .value = xstrdup(value)};
}

/* `props`: the job's properties, name and value by turns, NULL at the end. */
static void rig_start(struct rig *r, size_t page, const char *const *props)
{
    *r = (struct rig){0};
    fake_start(&r->store, page);
    r->spec = xcalloc(1, sizeof(*r->spec));
    r->spec->max_interval_s = 1;
    struct insert_spec *insert = &r->spec->insert;
    _cleanup_free_ char *endpoint = xasprintf("http://127.0.0.1:%d", r->store.port);
    insert->sql = xstrdup("");
    rig_prop(&insert->tvf_props, &insert->n_tvf_props, "uri", "s3://bucket/in/*.csv");
    rig_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.endpoint", endpoint);
    rig_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.access_key", "AK");
    rig_prop(&insert->tvf_props, &insert->n_tvf_props, "s3.secret_key", "hush");
    for (size_t i = 0; props[i] != NULL; i += 2) {
        rig_prop(&r->spec->props, &r->spec->n_props, props[i], props[i + 1]);
    }
    r->source = s3_source_ops.create(r->spec, &r->err);
    assert_non_null(r->source);
}

/* As after a restart: what was only in memory is gone. */
__attribute__((unused)) static void rig_restart(struct rig *r)
{
    s3_source_ops.destroy(r->source);
    r->source = s3_source_ops.create(r->spec, &r->err);
    assert_non_null(r->source);
}

static void rig_stop(struct rig *r)
{
    plan_fini(&r->plan);
    s3_source_ops.destroy(r->source);
    job_spec_destroy(r->spec);
    http_close_idle();
    fake_stop(&r->store);
    reader_clear(&r->reader);
    for (size_t i = 0; i < r->n_bad; i++) {
        bad_file_fini(&r->bad[i]);
    }
    free(r->offset);
}

static enum plan_result rig_plan(struct rig *r)
{
    static const struct fe_traits DORIS_4 = {.version = 4001};
    struct plan_request request = {
        .offset = r->offset,
        .fe = &DORIS_4,
        .job_id = 7,
        .max_files = r->max_files,
        .bad = r->bad,
        .n_bad = r->n_bad,
        .passes = r->passes,
        .n_passes = r->n_passes,
        .reader_ops = &READER_OPS,
        .reader = s3_source_ops.is_tracking(r->source) ? &r->reader : NULL,
        .deadline_us = clock_mono_us() + (r->timeout_us > 0 ? r->timeout_us : 20000000),
    };
    plan_fini(&r->plan);
    (void)err_say(&r->err, "of a plan before this one");
    enum plan_result result = s3_source_ops.plan(r->source, &request, &r->plan, &r->err);
    assert_false(r->reader.is_begun);
    return result;
}

static void rig_forget_bad(struct rig *r, const char *key)
{
    for (size_t i = 0; i < r->n_bad; i++) {
        if (strcmp(r->bad[i].key, key) == 0) {
            bad_file_fini(&r->bad[i]);
            r->bad[i] = r->bad[--r->n_bad];
            return;
        }
    }
}

static void rig_remember(struct rig *r, const struct file_marks *marks)
{
    for (size_t i = 0; i < marks->n_marks; i++) {
        reader_put(&r->reader, &marks->marks[i]);
    }
    for (size_t i = 0; i < marks->n_settled; i++) {
        rig_forget_bad(r, marks->settled[i]);
    }
}

static void rig_add_bad(struct rig *r, const struct bad_file *file)
{
    rig_forget_bad(r, file->key);
    assert_true(r->n_bad < ARRAY_SIZE(r->bad));
    bad_file_copy(file, &r->bad[r->n_bad++]);
}

static void rig_move(struct rig *r)
{
    if (!r->plan.is_retry) {
        free(r->offset);
        r->offset = xstrdup(r->plan.offset_after);
    }
}

/* The task succeeded. */
static void rig_commit(struct rig *r)
{
    _cleanup_file_marks_ struct file_marks marks = {0};
    assert_true(s3_source_ops.marks(r->source, r->plan.range, false, &marks, NULL, &r->err));
    rig_remember(r, &marks);
    rig_move(r);
}

/* The task of one file failed by its rows, and the file is set aside. */
__attribute__((unused)) static void rig_set_bad(struct rig *r)
{
    _cleanup_file_marks_ struct file_marks marks = {0};
    _cleanup_bad_file_ struct bad_file bad = {0};
    assert_true(s3_source_ops.marks(r->source, r->plan.range, true, &marks, &bad, &r->err));
    bad.reason = xstrdup("its rows");
    rig_remember(r, &marks);
    rig_add_bad(r, &bad);
    rig_move(r);
}

/* What PLAN_ASIDE asks for. */
__attribute__((unused)) static void rig_aside(struct rig *r)
{
    for (size_t i = 0; i < r->plan.n_bad; i++) {
        rig_add_bad(r, &r->plan.bad[i]);
    }
    rig_remember(r, &r->plan.marks);
    rig_move(r);
}

/* "a b c": the keys of the range without in/ and .csv; the caller owns the text. */
static char *rig_files(const struct rig *r)
{
    struct buf b = buf_with_max(1 << 20);
    struct s3_range range = {0};
    struct err err = {0};
    assert_true(s3_range_read(r->plan.range, &range, &err));
    for (size_t i = 0; i < range.n_files; i++) {
        buf_append_text(&b, i > 0 ? " " : "");
        buf_append(&b, range.files[i].key + 3, strlen(range.files[i].key) - 7);
    }
    s3_range_fini(&range);
    return buf_take_text(&b);
}

/* The plan is this range; then it is committed. */
__attribute__((unused)) static void rig_expect(struct rig *r, const char *files)
{
    enum plan_result result = rig_plan(r);
    if (result != PLAN_RANGE) {
        fail_msg("%s: plan is %d: %s", files, (int)result, r->err.msg);
    }
    _cleanup_free_ char *found = rig_files(r);
    assert_string_equal(found, files);
    rig_commit(r);
}

__attribute__((unused)) static void rig_put(struct rig *r, const char *name, const char *etag)
{
    _cleanup_free_ char *key = xasprintf("in/%s.csv", name);
    fake_put(&r->store, key, etag);
}

#endif
