/*
 * A source of numbered units, each a file "unit <n>". Its properties are one text of words:
 *
 *     <n>  e<n>        how many units there are; e: and then the end
 *     batch=<n>        so many in a task, instead of one
 *     unreadable=<n>   Doris cannot read the name of this one
 *     ask=<n>          a user has to decide before this one
 *     pause            bad files pause the job
 *     tracked          the loaded units are remembered, and what is remembered is read
 *     transactional    guarantee
 *
 * A range is "<first>-<last>", or "<n>".
 */
#include <stdio.h>
#include <string.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_fakes.h"

struct source {
    int64_t n_units;
    bool has_end;
    int64_t batch;
    int64_t unreadable;
    int64_t ask;
    bool is_pausing;
    bool is_tracking;
};

struct fake_bucket fake_bucket;

static bool take_number(struct span word, const char *key, int64_t *ret)
{
    size_t n = strlen(key);
    if (word.n <= n || memcmp(word.p, key, n) != 0) {
        return false;
    }
    return span_to_int64((struct span){word.p + n, word.n - n}, 0, FAKE_UNITS, ret);
}

static bool take_word(struct source *s, struct span word)
{
    if (take_number(word, "", &s->n_units)) {
        return true;
    }
    if (take_number(word, "e", &s->n_units)) {
        s->has_end = true;
        return true;
    }
    s->is_pausing |= span_eq_text(word, "pause");
    s->is_tracking |= span_eq_text(word, "tracked");
    return take_number(word, "batch=", &s->batch) ||
           take_number(word, "unreadable=", &s->unreadable) || take_number(word, "ask=", &s->ask) ||
           span_eq_text(word, "pause") || span_eq_text(word, "tracked") ||
           span_eq_text(word, "transactional");
}

static struct source *source_create(const struct job_spec *spec, struct err *err)
{
    const char *text = spec_prop_get(spec->props, spec->n_props, "units");
    struct source *s = xcalloc(1, sizeof(*s));
    const char *at = text;
    bool is_right = true;
    s->batch = 1;
    while (*at != '\0' && is_right) {
        const char *end = at + strcspn(at, " ");
        is_right = take_word(s, span_between(at, end));
        at = end + (*end == ' ');
    }
    if (!is_right) {
        (void)err_say(err, "units: %s", text);
        free(s);
        return NULL;
    }
    return s;
}

static void source_destroy(struct source *s)
{
    free(s);
}

static bool source_check(struct source *s, int64_t deadline_us, const struct cancel *cancel,
                         bool *ret_is_empty, struct err *err)
{
    (void)deadline_us;
    (void)cancel;
    (void)err;
    *ret_is_empty = s->n_units == 0;
    return true;
}

static struct bad_file bad_unit(int64_t unit, const char *reason)
{
    return (struct bad_file){
        .key = xasprintf("unit %lld", (long long)unit),
        .etag = xstrdup(""),
        .size = 1,
        .reason = reason != NULL ? xstrdup(reason) : NULL,
    };
}

static int64_t unit_of(const char *key)
{
    int64_t unit = 0;
    return strncmp(key, "unit ", 5) == 0 && span_to_int64(span_of(key + 5), 1, FAKE_UNITS, &unit)
               ? unit
               : 0;
}

bool fake_range(struct span range, int64_t *ret_first, int64_t *ret_last)
{
    const char *dash = memchr(range.p, '-', range.n);
    if (dash == NULL) {
        *ret_last = 0;
        bool is_one = span_to_int64(range, 1, FAKE_UNITS, ret_first);
        *ret_last = *ret_first;
        return is_one;
    }
    return span_to_int64(span_between(range.p, dash), 1, FAKE_UNITS, ret_first) &&
           span_to_int64(span_between(dash + 1, range.p + range.n), *ret_first, FAKE_UNITS,
                         ret_last);
}

static char *range_text(int64_t first, int64_t last)
{
    return first == last ? xasprintf("%lld", (long long)first)
                         : xasprintf("%lld-%lld", (long long)first, (long long)last);
}

/* The remembered units, each once and in order; what this source can check of its reader. */
static bool read_marks(const struct plan_request *request, struct err *err)
{
    const struct file_reader_ops *ops = request->reader_ops;
    struct file_mark mark = {0};
    int got = 0;
    int n = 0;
    bool is_begun = ops->begin(request->reader, request->job_id, NULL, err);
    while (is_begun && (got = ops->next(request->reader, &mark, err)) == 1) {
        n++;
    }
    ops->end(request->reader);
    fake_bucket.n_read = n;
    return is_begun && got == 0;
}

static enum plan_result plan_aside(const struct source *s, struct plan *ret)
{
    ret->bad = xcalloc(1, sizeof(*ret->bad));
    ret->bad[ret->n_bad++] = bad_unit(s->unreadable, "no such name");
    ret->offset_after = range_text(s->unreadable, s->unreadable);
    return PLAN_ASIDE;
}

static void fill(struct plan *ret, int64_t first, int64_t last, const char *offset_after)
{
    ret->range = range_text(first, last);
    ret->running_offset = range_text(first, last);
    ret->offset_after = xstrdup(offset_after);
    ret->n_files = last - first + 1;
}

static bool plan_retry(const struct source *s, const struct plan_request *request, struct plan *ret)
{
    for (size_t i = 0; i < request->n_bad; i++) {
        if (request->bad[i].is_retried) {
            int64_t unit = unit_of(request->bad[i].key);
            if (unit == s->unreadable) {
                (void)plan_aside(s, ret);
                free(take_ptr(ret->offset_after)); /* it stays where it is */
                return true;
            }
            fill(ret, unit, unit, "0"); /* not to be committed: it is a retry */
            ret->is_retry = true;
            return true;
        }
    }
    return false;
}

static enum plan_result plan_next(const struct source *s, int64_t at, int64_t batch,
                                  struct plan *ret, struct err *err)
{
    int64_t last = at + batch < s->n_units ? at + batch : s->n_units;
    if (at >= s->n_units) {
        return s->has_end ? PLAN_END : PLAN_EMPTY;
    }
    if (s->unreadable == at + 1) {
        return plan_aside(s, ret);
    }
    if (s->ask == at + 1) {
        (void)err_say(err, "unit %lld: decide about it", (long long)at + 1);
        return PLAN_REFUSED;
    }
    last = s->unreadable > at && s->unreadable <= last ? s->unreadable - 1 : last;
    last = s->ask > at && s->ask <= last ? s->ask - 1 : last;
    _cleanup_free_ char *after = range_text(last, last);
    fill(ret, at + 1, last, after);
    return PLAN_RANGE;
}

static enum plan_result source_plan(struct source *s, const struct plan_request *request,
                                    struct plan *ret, struct err *err)
{
    const char *offset = request->offset;
    int64_t at = 0;
    int64_t batch =
        request->max_files != 0 && request->max_files < s->batch ? request->max_files : s->batch;
    ret->watch = (struct source_watch){.n_late = fake_bucket.n_late, .n_overwritten = -1};
    if (offset != NULL && !span_to_int64(span_of(offset), 0, FAKE_UNITS, &at)) {
        (void)err_say(err, "offset: %s", offset);
        return PLAN_FAIL;
    }
    if (s->is_tracking && !read_marks(request, err)) {
        return PLAN_FAIL;
    }
    fake_bucket.n_passes = (int)request->n_passes;
    if (plan_retry(s, request, ret)) {
        return ret->n_bad > 0 ? PLAN_ASIDE : PLAN_RANGE;
    }
    return plan_next(s, at, batch, ret, err);
}

static enum verify_result source_verify(struct source *s, const char *range, int64_t deadline_us,
                                        const struct cancel *cancel, struct err *err)
{
    (void)s;
    (void)deadline_us;
    (void)cancel;
    int i = fake_bucket.i_verify++;
    enum verify_result result = i < FAKE_VERIFIES ? fake_bucket.verify[i] : VERIFY_SAME;
    if (result == VERIFY_CHANGED) {
        (void)err_say(err, "a file of %s has another ETag", range);
    } else if (result == VERIFY_FAIL) {
        (void)err_say(err, "the bucket does not answer");
    }
    return result;
}

static void add_mark(struct file_marks *m, int64_t unit, bool is_bad)
{
    m->marks = xrealloc_array(m->marks, m->n_marks + 1, sizeof(*m->marks));
    m->marks[m->n_marks++] = (struct file_mark){
        .key = xasprintf("%03lld", (long long)unit), .tag = 1, .size = 1, .is_bad = is_bad};
}

static bool source_marks(const struct source *s, const char *range, bool is_bad,
                         struct file_marks *ret, struct bad_file *ret_bad, struct err *err)
{
    int64_t first = 0;
    int64_t last = 0;
    if (!fake_range(span_of(range), &first, &last)) {
        return err_say(err, "no range: %s", range);
    }
    for (int64_t unit = first; s->is_tracking && unit <= last; unit++) {
        add_mark(ret, unit, is_bad);
    }
    if (is_bad) {
        *ret_bad = bad_unit(first, NULL);
    } else if (first == last) {
        ret->settled = xcalloc(1, sizeof(char *));
        ret->settled[ret->n_settled++] = xasprintf("unit %lld", (long long)first);
    }
    return true;
}

static bool source_is_tracking(const struct source *s)
{
    return s->is_tracking;
}

static bool source_sets_aside(const struct source *s)
{
    return !s->is_pausing;
}

/* "<range> <label>", which is all that the sink wants to know. */
static char *source_rewrite(const struct source *s, const char *range, const char *label,
                            struct err *err)
{
    (void)s;
    (void)err;
    return xasprintf("%s %s", range, label != NULL ? label : "");
}

static enum plan_result source_explain(struct source *s, const struct plan_request *request,
                                       struct plan *ret, struct explain *e)
{
    struct err err = {0};
    explain_add(e, "source", "%lld units", (long long)s->n_units);
    return source_plan(s, request, ret, &err);
}

static bool source_parse_offset(const char *text, char **ret_offset, struct err *err)
{
    (void)err;
    *ret_offset = xstrdup(text);
    return true;
}

static bool source_is_later(const char *offset, const char *than)
{
    int64_t a = 0;
    int64_t b = 0;
    return span_to_int64(span_of(offset), 0, FAKE_UNITS, &a) &&
           span_to_int64(span_of(than), 0, FAKE_UNITS, &b) && a > b;
}

static char *source_show_offset(const char *offset)
{
    return xstrdup(offset);
}

const struct source_ops fake_source_ops = {
    .tvf = "s3",
    .create = source_create,
    .destroy = source_destroy,
    .check = source_check,
    .is_tracking = source_is_tracking,
    .plan = source_plan,
    .verify = source_verify,
    .marks = source_marks,
    .sets_aside = source_sets_aside,
    .rewrite = source_rewrite,
    .explain = source_explain,
    .parse_offset = source_parse_offset,
    .is_later = source_is_later,
    .show_offset = source_show_offset,
};

static void add_prop(struct job_spec *spec, const char *key, const char *value)
{
    spec->props = xrealloc_array(spec->props, spec->n_props + 1, sizeof(*spec->props));
    spec->props[spec->n_props++] = (struct spec_prop){.key = xstrdup(key), .value = xstrdup(value)};
}

bool fake_make_spec(const struct job_record *job, int64_t default_interval_s,
                    struct job_spec **ret_spec, struct err *err)
{
    if (strncmp(job->sql, "bad", 3) == 0) {
        return err_say(err, "not understood");
    }
    struct job_spec *spec = xcalloc(1, sizeof(*spec));
    spec->insert.sql = xstrdup(job->sql);
    spec->insert.sql_len = strlen(job->sql);
    spec->insert.target_db = xstrdup(job->target_db);
    spec->insert.target_table = xstrdup(job->target_table);
    spec->insert.tvf = xstrdup("s3");
    add_prop(spec, "units", job->properties);
    if (strstr(job->properties, "transactional") != NULL) {
        add_prop(spec, "guarantee", "transactional");
    }
    spec->max_interval_s = default_interval_s;
    *ret_spec = spec;
    return true;
}
