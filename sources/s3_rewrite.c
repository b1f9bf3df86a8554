#include <assert.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "sources/s3_batch.h"
#include "sources/s3_rewrite.h"

/* What stands behind a range that does not read as one: the store was changed by hand. */
static bool bad_range(struct err *err, const char *what)
{
    return err_say(err, "the stored range of the task is damaged: %s", what);
}

static bool append_list(struct buf *b, const json_t *root, struct err *err)
{
    const char *dir = json_string_value(json_object_get(root, "dir"));
    const json_t *files = json_object_get(root, "files");
    size_t n = json_array_size(files);
    if (dir == NULL || n == 0) {
        return bad_range(err, "it has no dir or no files");
    }
    buf_append_text(b, dir);
    for (size_t i = 0; i < n; i++) {
        const char *key = json_string_value(json_object_get(json_array_get(files, i), "key"));
        if (key == NULL || !span_starts_with(span_of(key), dir)) {
            return bad_range(err, "a file is not below its dir");
        }
        buf_append_char(b, i == 0 ? '{' : ',');
        buf_append_text(b, key + strlen(dir));
    }
    buf_append_char(b, '}');
    return true;
}

static bool append_pattern(struct buf *b, const json_t *root, struct err *err)
{
    const char *form = json_string_value(json_object_get(root, "form"));
    const char *pattern = json_string_value(json_object_get(root, "pattern"));
    if (form == NULL) {
        return bad_range(err, "it has no form");
    }
    if (strcmp(form, "list") == 0) {
        return append_list(b, root, err);
    }
    if (strcmp(form, "exact") != 0 || pattern == NULL || pattern[0] == '\0') {
        return bad_range(err, "it is neither a list nor an exact name");
    }
    buf_append_text(b, pattern);
    return true;
}

char *s3_range_pattern(const char *range, struct err *err)
{
    _cleanup_buf_ struct buf b = buf_with_max(S3_MAX_URI);
    json_error_t why;
    json_t *root = json_loads(range, 0, &why);
    bool is_ok = root != NULL ? append_pattern(&b, root, err) : bad_range(err, why.text);
    json_decref(root);
    if (is_ok && !buf_ok(&b)) {
        is_ok = bad_range(err, "it names too many files for one statement");
    }
    return is_ok ? buf_take_text(&b) : NULL;
}

/* A literal that Doris reads back as `value`, whatever sql_mode says about quotes. */
static void append_literal(struct buf *b, char quote, struct span head, const char *key)
{
    struct span parts[] = {head, span_of(key)};
    buf_append_char(b, quote);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        for (size_t k = 0; k < parts[i].n; k++) {
            char c = parts[i].p[k];
            if (c == quote || c == '\\') {
                buf_append_char(b, c);
            }
            buf_append_char(b, c);
        }
    }
    buf_append_char(b, quote);
}

/* A piece of the statement to be replaced. */
struct edit {
    size_t from;
    size_t to;
    struct span text;
};

static char *apply(const struct insert_spec *insert, const struct edit *first,
                   const struct edit *second)
{
    struct buf b = buf_with_max(insert->sql_len + first->text.n + second->text.n);
    assert(first->from <= first->to && first->to <= second->from);
    assert(second->from <= second->to && second->to <= insert->sql_len);
    buf_append(&b, insert->sql, first->from);
    buf_append_span(&b, first->text);
    buf_append(&b, insert->sql + first->to, second->from - first->to);
    buf_append_span(&b, second->text);
    buf_append(&b, insert->sql + second->to, insert->sql_len - second->to);
    return buf_take_text(&b);
}

char *s3_rewrite(const struct insert_spec *insert, const struct spec_prop *uri, struct span head,
                 const char *range, const char *label, struct err *err)
{
    _cleanup_free_ char *key = s3_range_pattern(range, err);
    bool has_label = label != NULL && label[0] != '\0';
    _cleanup_free_ char *clause = has_label ? xasprintf(" WITH LABEL `%s`", label) : NULL;
    if (key == NULL) {
        return NULL;
    }
    assert(uri->value_at < uri->value_end && uri->value_end <= insert->sql_len);
    assert(insert->label_at <= insert->label_end && insert->label_end <= insert->sql_len);
    char quote = insert->sql[uri->value_at] == '\'' ? '\'' : '"';
    _cleanup_buf_ struct buf literal = buf_with_max(2 * (head.n + strlen(key)) + 2);
    append_literal(&literal, quote, head, key);
    struct edit at_uri = {uri->value_at, uri->value_end, buf_span(&literal)};
    struct edit at_label = {insert->label_at, insert->label_end, span_of(clause)};
    if (label == NULL) {
        at_label.to = at_label.from; /* a label the user wrote stays */
    }
    /* WITH … AS (SELECT … FROM S3(…)) INSERT: the uri may come first. */
    return at_label.from <= at_uri.from ? apply(insert, &at_label, &at_uri)
                                        : apply(insert, &at_uri, &at_label);
}
