#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/xmalloc.h"
#include "sources/s3_explain.h"
#include "sources/s3_fill.h"

enum {
    MOST_KEYS = 10000,     /* of an estimate */
    MOST_TIME_US = 5000000 /* likewise */
};

/* Batches as the job would make them, counted. */
struct estimate {
    struct s3_batch batch;
    int64_t n_batches, n_files, n_bytes; /* of whole batches */
    /* The first one: */
    struct plan plan;
    char *first_key;   /* owned */
    char *last_key;    /* owned */
    bool is_cut;       /* there is more than was looked at */
    struct err broken; /* the listing broke off, after some whole batches */
    /* Objects that Doris cannot read; where they pause the job, the count ends before the first. */
    int64_t n_unreadable;
    char *unreadable_key; /* owned; the first */
    const char *unreadable_why;
    bool is_stopped;
};

static void estimate_fini(struct estimate *t)
{
    s3_batch_fini(&t->batch);
    plan_fini(&t->plan);
    free(t->first_key);
    free(t->last_key);
    free(t->unreadable_key);
}

static void close_batch(struct estimate *t)
{
    struct s3_batch_limits limits = t->batch.limits;
    if (t->batch.n_files == 0) {
        return;
    }
    if (t->n_batches == 0) {
        s3_batch_finish(&t->batch, NULL, &t->plan);
        t->first_key = xstrdup(t->batch.first);
        t->last_key = xstrdup(t->batch.last);
    }
    t->n_batches++;
    t->n_files += t->batch.n_files;
    if (__builtin_add_overflow(t->n_bytes, t->batch.n_bytes, &t->n_bytes)) {
        t->n_bytes = INT64_MAX;
    }
    s3_batch_fini(&t->batch);
    s3_batch_init(&t->batch, &limits);
}

/* False: no job can get past this object. */
static bool take(struct estimate *t, const struct source *s, const struct s3_object *object)
{
    const char *why = "";
    enum s3_offer offer = s3_batch_offer(&t->batch, object, &why);
    if (offer == S3_OFFER_LATER) {
        close_batch(t);
        offer = s3_batch_offer(&t->batch, object, &why);
    }
    if (offer == S3_OFFER_TAKEN) {
        return true;
    }
    if (t->n_unreadable++ == 0) {
        t->unreadable_key = s3_shown_key(span_of(object->key));
        t->unreadable_why = why;
    }
    t->is_stopped = s->options.is_pausing;
    return !t->is_stopped;
}

static enum s3_walk_result count(struct estimate *t, struct s3_walk *w, struct err *err)
{
    int64_t end_us = clock_mono_us() + MOST_TIME_US;
    const struct s3_object *object = NULL;
    enum s3_walk_result result = S3_WALK_END;
    while ((result = s3_walk_next(w, &object, err)) == S3_WALK_OBJECT &&
           take(t, w->source, object)) {
        if (t->batch.is_closed) {
            close_batch(t);
        }
        bool has_any = t->n_batches > 0 || t->batch.n_files > 0;
        if (has_any && (w->n_seen >= MOST_KEYS || clock_mono_us() >= end_us)) {
            t->is_cut = s3_walk_in_page(w) != NULL || w->page.is_truncated;
            break;
        }
    }
    if (result != S3_WALK_FAIL) { /* no job would load the beginning of a batch */
        close_batch(t);
    }
    return result;
}

static void add_where(const struct source *s, struct explain *e)
{
    explain_add(e, "source", "%s at %s, region %s, %s", s->config.uri, s->config.base_url,
                s->config.region,
                s->config.access_key != NULL ? "with an access key" : "without an access key");
}

/* Doris passes over what it does not know, so that a slip of the hand would never be noticed. */
static void add_unknown(const struct source *s, struct explain *e)
{
    const struct insert_spec *insert = &s->spec->insert;
    for (size_t i = 0; i < insert->n_tvf_props; i++) {
        const char *key = insert->tvf_props[i].key;
        if (!s3_config_knows(key)) {
            explain_warn(e, "property",
                         "the property \"%s\" of S3(...) is not known to Sluice; it is passed to "
                         "the FE, which ignores what it does not know. Check its spelling",
                         key);
        }
    }
}

static void add_limits(const struct source *s, int fe_version, struct explain *e)
{
    bool is_alone = fe_version < S3_FIRST_LISTS;
    const struct job_spec *spec = s->spec;
    bool has_files = spec_prop_get(spec->props, spec->n_props, "s3.max_batch_files") != NULL;
    bool has_bytes = spec_prop_get(spec->props, spec->n_props, "s3.max_batch_bytes") != NULL;
    _cleanup_free_ char *bytes = explain_bytes(s->limits.max_bytes);
    enum explain_section section = e->section;
    e->section = EXPLAIN_PROPERTIES;
    explain_add(e, "s3.max_batch_files", "%" PRId64 "%s%s", s->limits.max_files,
                has_files ? "" : " (the default)",
                !is_alone         ? ""
                : fe_version == 0 ? "; the version of the FE is not known, so it is one file a task"
                                  : "; Doris 2.0 has no brace lists: one file a task");
    explain_add(e, "s3.max_batch_bytes", "%s%s", bytes, has_bytes ? "" : " (the default)");
    e->section = section;
}

static void add_nothing(const struct s3_walk *w, bool has_offset, bool is_one_time,
                        struct explain *e)
{
    const char *then = is_one_time ? "the job would be FINISHED at once, with nothing loaded"
                                   : "the job will wait for the first one";
    const struct s3_list_request *r = &w->request;
    const char *behind = has_offset ? " behind the offset" : "";
    if (w->n_seen == 0) {
        explain_warn(e, "first batch", "none: no object below \"%.*s\"%s; %s", SPAN_ARG(r->prefix),
                     behind, then);
        return;
    }
    explain_warn(e, "first batch",
                 "none: of %" PRId64
                 " objects below \"%.*s\"%s none matches the uri%s. Look at its "
                 "wildcards; %s",
                 w->n_seen, SPAN_ARG(r->prefix), behind,
                 w->n_skipped > 0 ? " and has bytes in it (empty ones are skipped)" : "", then);
}

static void add_first(const struct estimate *t, bool has_more, struct explain *e)
{
    _cleanup_free_ char *first = s3_shown_key(span_of(t->first_key));
    _cleanup_free_ char *last = s3_shown_key(span_of(t->last_key));
    _cleanup_free_ char *bytes = explain_bytes(t->plan.n_bytes);
    explain_add(e, "first batch", "%" PRId64 " file%s, %s; %s", t->plan.n_files,
                t->plan.n_files == 1 ? "" : "s", bytes,
                has_more ? "more files follow" : "no more files behind it");
    explain_add(e, "first file", "%s", first);
    explain_add(e, "last file", "%s", last);
}

static void add_estimate(const struct estimate *t, const struct s3_walk *w, struct explain *e)
{
    bool is_least = t->is_cut || t->is_stopped || err_is_set(&t->broken);
    _cleanup_free_ char *bytes = explain_bytes(t->n_bytes);
    explain_add(e, "estimate", "%s%" PRId64 " batch%s: %" PRId64 " file%s, %s%s",
                is_least ? "at least " : "", t->n_batches, t->n_batches == 1 ? "" : "es",
                t->n_files, t->n_files == 1 ? "" : "s", bytes,
                t->is_cut ? "; the listing was cut short here, there is more" : "");
    if (w->n_skipped > 0) {
        explain_add(e, "skipped", "%" PRId64 " empty objects and directory markers", w->n_skipped);
    }
}

static void add_unreadable(const struct estimate *t, int fe_version, struct explain *e)
{
    const char *unknown = fe_version == 0 ? " (the version of the FE is not known)" : "";
    if (t->n_unreadable == 0) {
        return;
    }
    if (t->is_stopped && t->n_batches == 0) {
        explain_fail(e, "first batch",
                     "the job will be PAUSED at its first object: \"%s\" cannot be loaded: %s%s. "
                     "Rename it, or let the job set such files aside: \"s3.bad_files\" = "
                     "\"quarantine\"",
                     t->unreadable_key, t->unreadable_why, unknown);
    } else if (t->is_stopped) {
        explain_warn(e, "later batch",
                     "the job will be PAUSED when it gets there: \"%s\" cannot be loaded: %s%s",
                     t->unreadable_key, t->unreadable_why, unknown);
    } else {
        explain_warn(e, "set aside",
                     "%" PRId64
                     " object%s cannot be read by Doris and will be set aside, the first "
                     "is \"%s\": %s%s. Rename what is to be loaded",
                     t->n_unreadable, t->n_unreadable == 1 ? "" : "s", t->unreadable_key,
                     t->unreadable_why, unknown);
    }
}

static void add_modes(const struct source *s, struct explain *e)
{
    static const char *const OVERWRITTEN[] = {
        [S3_OVERWRITTEN_IGNORE] = "ignore: a file that is overwritten after it was loaded is not "
                                  "read again; how many there are is counted",
        [S3_OVERWRITTEN_RELOAD] =
            "reload: a file that is overwritten is loaded again, besides what "
            "was loaded of it before",
        [S3_OVERWRITTEN_ERROR] = "error: the job pauses at a file that was overwritten, until "
                                 "RETRY FILE or SKIP FILE decides about it",
    };
    const struct s3_options *o = &s->options;
    enum explain_section section = e->section;
    e->section = EXPLAIN_PROPERTIES;
    explain_add(
        e, "s3.discovery", "%s",
        o->is_tracked
            ? "tracked: every file is remembered with its ETag and size; late files, with a "
              "key before the offset, are loaded"
            : "ordered: files behind the offset in the byte order of their keys; late files, "
              "with a key before it, are counted and not loaded, and so are overwritten ones");
    if (o->is_tracked) {
        explain_add(e, "s3.overwritten", "%s", OVERWRITTEN[o->overwritten]);
    }
    explain_add(
        e, "s3.bad_files", "%s",
        o->is_pausing
            ? "pause: a file that cannot be loaded pauses the job"
            : "quarantine: a file whose name Doris cannot read, or whose rows it refuses, is "
              "set aside with the reason, and the job goes on");
    explain_add(e, "s3.ingestion_mode", "%s",
                o->is_one_time ? "ONE_TIME: the job is FINISHED when everything that is there is "
                                 "loaded"
                               : "ORDERED_LIST: the job waits for new files for ever");
    e->section = section;
}

static enum plan_result look(struct source *s, struct estimate *t, struct s3_walk *w,
                             const char *offset, struct explain *e)
{
    int fe_version = t->batch.limits.fe_version;
    if (count(t, w, &t->broken) == S3_WALK_FAIL && t->n_batches == 0) {
        explain_fail(e, "source", "%s", t->broken.msg);
        return PLAN_FAIL;
    }
    if (t->n_batches == 0 && t->n_unreadable == 0) {
        add_nothing(w, offset != NULL || s->first_offset != NULL, s->options.is_one_time, e);
        return PLAN_EMPTY;
    }
    if (t->n_batches > 0) {
        bool has_more = t->n_batches > 1 || t->is_cut || t->is_stopped || err_is_set(&t->broken);
        add_first(t, has_more, e);
        add_estimate(t, w, e);
    }
    add_unreadable(t, fe_version, e);
    if (err_is_set(&t->broken)) {
        explain_warn(e, "estimate", "the listing broke off: %s", t->broken.msg);
    }
    return t->n_batches > 0 ? PLAN_RANGE : t->is_stopped ? PLAN_FAIL : PLAN_EMPTY;
}

enum plan_result s3_explain(struct source *s, const struct plan_request *request, struct plan *ret,
                            struct explain *e)
{
    __attribute__((cleanup(estimate_fini))) struct estimate t = {0};
    _cleanup_s3_walk_ struct s3_walk w = {0};
    struct s3_batch_limits limits = s3_fill_limits(s, request);
    struct err err = {0};
    s3_batch_init(&t.batch, &limits);
    add_where(s, e);
    add_unknown(s, e);
    add_limits(s, limits.fe_version, e);
    add_modes(s, e);
    if (!s3_walk_begin(&w, s, request->offset, request->deadline_us, request->cancel, &err)) {
        explain_fail(e, "offset", "%s", err.msg);
        return PLAN_FAIL;
    }
    enum plan_result result = look(s, &t, &w, request->offset, e);
    if (result == PLAN_RANGE) {
        *ret = t.plan;
        t.plan = (struct plan){0};
    }
    return result;
}
