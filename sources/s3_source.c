#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "sources/glob.h"
#include "sources/s3_batch.h"
#include "sources/s3_explain.h"
#include "sources/s3_rewrite.h"
#include "sources/s3_source.h"
#include "sources/s3_walk.h"

#define DETAIL "errCode = 2, detailMessage = " /* as Doris begins what it says of properties */
#define FORM   "{\"fileName\":\"<key>\"}"

static const int64_t DEFAULT_BATCH_FILES = 256;
static const int64_t MIN_BATCH_BYTES = INT64_C(100) << 20;
static const int64_t MAX_BATCH_BYTES = INT64_C(10) << 30; /* the default as well */

static void source_destroy(struct source *s)
{
    if (s == NULL) {
        return;
    }
    s3_client_destroy(s->client);
    glob_destroy(s->glob);
    s3_config_fini(&s->config);
    free(s->first_offset);
    free(s);
}

static bool parse_offset(const char *text, char **ret_offset, struct err *err)
{
    json_error_t why;
    json_t *root = NULL;
    if (span_trim(span_of(text)).n == 0) {
        return err_say(err, DETAIL "Invalid format for offset: %s (expected " FORM ")", text);
    }
    root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL) {
        return err_say(err,
                       DETAIL "Failed to initialize offset, %s is not JSON: %s (expected " FORM ")",
                       text, why.text);
    }
    const char *key = json_string_value(json_object_get(root, "fileName"));
    bool is_ok = key != NULL && span_trim(span_of(key)).n > 0;
    if (is_ok) {
        *ret_offset = s3_offset_text(key);
    } else {
        (void)err_say(err, DETAIL "Invalid format for offset: %s (expected " FORM ")", text);
    }
    json_decref(root);
    return is_ok;
}

static bool read_limits(struct source *s, struct err *err)
{
    const struct job_spec *spec = s->spec;
    const char *files = spec_prop_get(spec->props, spec->n_props, "s3.max_batch_files");
    const char *bytes = spec_prop_get(spec->props, spec->n_props, "s3.max_batch_bytes");
    struct span prefix = glob_literal_prefix(s->glob);
    while (prefix.n > 0 && prefix.p[prefix.n - 1] != '/') {
        prefix.n--;
    }
    s->limits = (struct s3_batch_limits){
        .max_files = DEFAULT_BATCH_FILES,
        .max_bytes = MAX_BATCH_BYTES,
        .dir = prefix,
        .head_len = s->config.key_at,
    };
    if (files != NULL && !span_to_int64(span_of(files), 1, INT64_MAX, &s->limits.max_files)) {
        return err_say(err, "s3.max_batch_files must be at least 1, but was %s", files);
    }
    if (bytes != NULL &&
        !span_to_int64(span_of(bytes), MIN_BATCH_BYTES, MAX_BATCH_BYTES, &s->limits.max_bytes)) {
        return err_say(err, "s3.max_batch_bytes must be between 100 MB and 10 GB, but was %s",
                       bytes);
    }
    return true;
}

static bool fill(struct source *s, struct err *err)
{
    const struct insert_spec *insert = &s->spec->insert;
    const char *offset = spec_prop_get(s->spec->props, s->spec->n_props, "offset");
    if (!s3_config_read(insert->tvf_props, insert->n_tvf_props, &s->config, err)) {
        return false;
    }
    s->uri = spec_prop_find(insert->tvf_props, insert->n_tvf_props, "uri");
    if (s->uri == NULL) {
        return err_say(err, "the S3 property \"uri\" is missing");
    }
    s->glob = glob_create(s3_config_pattern(&s->config), err);
    if (s->glob == NULL) {
        return err_prefix(err, "Invalid uri: ");
    }
    s->client = s3_client_create(&s->config);
    return read_limits(s, err) && (offset == NULL || parse_offset(offset, &s->first_offset, err));
}

static struct source *source_create(const struct job_spec *spec, struct err *err)
{
    struct source *s = xcalloc(1, sizeof(*s));
    s->spec = spec;
    if (!fill(s, err)) {
        source_destroy(s);
        return NULL;
    }
    return s;
}

static bool source_check(struct source *s, int64_t deadline_us, const struct cancel *cancel,
                         bool *ret_is_empty, struct err *err)
{
    _cleanup_s3_walk_ struct s3_walk w = {0};
    const struct s3_object *object = NULL;
    if (!s3_walk_begin(&w, s, NULL, deadline_us, cancel, err)) {
        return false;
    }
    enum s3_walk_result result = s3_walk_next(&w, &object, err);
    if (result == S3_WALK_FAIL) {
        return err_prefix(err, "Can not build s3(): "); /* as Doris at CREATE */
    }
    *ret_is_empty = result == S3_WALK_END;
    return true;
}

/*
 * Fills the batch. When a limit closed it, the walk goes on in the same page only, for the next
 * matching key: the newest one that is known (Doris shows it as EndOffset).
 */
static enum plan_result fill_batch(struct s3_walk *w, struct s3_batch *b, struct plan *ret,
                                   struct err *err)
{
    const struct s3_object *object = NULL;
    while (!b->is_closed) {
        enum s3_walk_result result = s3_walk_next(w, &object, err);
        if (result == S3_WALK_FAIL) {
            return PLAN_FAIL;
        }
        if (result == S3_WALK_END) {
            break;
        }
        switch (s3_batch_offer(b, object, err)) {
        case S3_OFFER_REFUSED: return PLAN_FAIL;
        case S3_OFFER_LATER: w->at--; break; /* closed now; it is the next key */
        case S3_OFFER_TAKEN: break;
        }
    }
    if (b->n_files == 0) {
        return PLAN_EMPTY;
    }
    const struct s3_object *next = b->is_closed ? s3_walk_in_page(w) : NULL;
    s3_batch_finish(b, next != NULL ? next->key : NULL, ret);
    ret->has_more = next != NULL || (b->is_closed && w->page.is_truncated);
    return PLAN_RANGE;
}

static enum plan_result source_plan(struct source *s, const struct plan_request *request,
                                    struct plan *ret, struct err *err)
{
    _cleanup_s3_walk_ struct s3_walk w = {0};
    _cleanup_s3_batch_ struct s3_batch batch = {0};
    struct s3_batch_limits limits = s->limits;
    limits.fe_version = request->fe != NULL ? request->fe->version : 0;
    s3_batch_init(&batch, &limits);
    *ret = (struct plan){0};
    if (!s3_walk_begin(&w, s, request->offset, request->deadline_us, request->cancel, err)) {
        return PLAN_FAIL;
    }
    return fill_batch(&w, &batch, ret, err);
}

static char *source_rewrite(const struct source *s, const char *range, const char *label,
                            struct err *err)
{
    struct span head = {s->config.uri, s->config.key_at};
    return s3_rewrite(&s->spec->insert, s->uri, head, range, label, err);
}

/* issue 5: placeholders until the S3 source tracks, verifies and sets aside. */
static bool source_is_tracking(const struct source *s)
{
    (void)s;
    return false;
}

static bool source_sets_aside(const struct source *s)
{
    (void)s;
    return false;
}

static enum verify_result source_verify(struct source *s, const char *range, int64_t deadline_us,
                                        const struct cancel *cancel, struct err *err)
{
    (void)s;
    (void)range;
    (void)deadline_us;
    (void)cancel;
    (void)err;
    return VERIFY_SAME;
}

static bool source_marks(const struct source *s, const char *range, bool is_bad,
                         struct file_marks *ret, struct bad_file *ret_bad, struct err *err)
{
    (void)s;
    (void)range;
    (void)is_bad;
    (void)ret_bad;
    (void)err;
    *ret = (struct file_marks){0};
    return true;
}

static bool is_later(const char *offset, const char *than)
{
    struct err err = {0};
    _cleanup_free_ char *key = s3_offset_key(offset, &err);
    _cleanup_free_ char *other = s3_offset_key(than, &err);
    return key != NULL && other != NULL && strcmp(key, other) > 0; /* in the order of a listing */
}

static char *show_offset(const char *offset)
{
    return xstrdup(offset);
}

const struct source_ops s3_source_ops = {
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
    .explain = s3_explain,
    .parse_offset = parse_offset,
    .is_later = is_later,
    .show_offset = show_offset,
};
