#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "sources/glob.h"
#include "sources/s3_back.h"
#include "sources/s3_explain.h"
#include "sources/s3_fill.h"
#include "sources/s3_plan.h"
#include "sources/s3_rewrite.h"
#include "sources/s3_source.h"
#include "sources/s3_tracked.h"
#include "sources/s3_verify.h"

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
    s3_sweep_fini(&s->sweep);
    s3_back_fini(&s->back);
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
    return s3_options_read(s->spec, &s->options, err) && read_limits(s, err) &&
           (offset == NULL || parse_offset(offset, &s->first_offset, err));
}

static struct source *source_create(const struct job_spec *spec, struct err *err)
{
    struct source *s = xcalloc(1, sizeof(*s));
    s->spec = spec;
    s->watch = (struct source_watch){.n_late = -1, .n_overwritten = -1};
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

static char *source_rewrite(const struct source *s, const char *range, const char *label,
                            struct err *err)
{
    struct span head = {s->config.uri, s->config.key_at};
    return s3_rewrite(&s->spec->insert, s->uri, head, range, label, err);
}

static bool source_is_tracking(const struct source *s)
{
    return s->options.is_tracked;
}

static bool source_sets_aside(const struct source *s)
{
    return !s->options.is_pausing;
}

static bool source_marks(const struct source *s, const char *range, bool is_bad,
                         struct file_marks *ret, struct bad_file *ret_bad, struct err *err)
{
    struct s3_mark_rules rules = s3_fill_rules(s);
    return is_bad ? s3_range_bad(range, &rules, ret, ret_bad, err)
                  : s3_range_marks(range, &rules, ret, err);
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
    struct err ignored = {0};
    _cleanup_free_ char *key = s3_offset_key(offset, &ignored);
    if (key == NULL || s3_is_utf8(span_of(key))) {
        return xstrdup(offset);
    }
    _cleanup_free_ char *shown = s3_whole_key(span_of(key));
    return s3_offset_text(shown); /* without the bytes that only we read */
}

const struct source_ops s3_source_ops = {
    .tvf = "s3",
    .create = source_create,
    .destroy = source_destroy,
    .check = source_check,
    .is_tracking = source_is_tracking,
    .plan = s3_plan,
    .verify = s3_verify,
    .marks = source_marks,
    .sets_aside = source_sets_aside,
    .rewrite = source_rewrite,
    .explain = s3_explain,
    .parse_offset = parse_offset,
    .is_later = is_later,
    .show_offset = show_offset,
};
