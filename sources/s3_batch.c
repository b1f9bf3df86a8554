#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sources/s3_batch.h"

/* How a version's own glob engine is told that a character stands for itself. */
enum escape {
    ESCAPE_BACKSLASH, /* Hadoop's globs (2.1, 3.0) and Java's (4.0) */
    ESCAPE_SET,       /* [x]: where 4.0.1's rewriting of braces would eat the backslash */
};

static bool has_any(struct span s, const char *chars)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\0' && strchr(chars, s.p[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static bool has_edge_blank(struct span s)
{
    return span_trim(s).n != s.n;
}

static size_t n_digits(struct span s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') {
        n++;
    }
    return n;
}

static struct span without_sign_and_digits(struct span s)
{
    size_t sign = s.n > 0 && s.p[0] == '-';
    struct span rest = {s.p + sign, s.n - sign};
    size_t n = n_digits(rest);
    return n > 0 ? (struct span){rest.p + n, rest.n - n} : s;
}

/* What 4.0.1 takes for a number in a brace list: 7, 007, 1..9. It then drops all other elements. */
static bool is_numeric(struct span s)
{
    struct span rest = without_sign_and_digits(s);
    if (s.n > 0 && n_digits(s) == s.n) {
        return true;
    }
    if (rest.n == s.n || rest.n < 3 || rest.p[0] != '.' || rest.p[1] != '.') {
        return false;
    }
    rest = (struct span){rest.p + 2, rest.n - 2};
    return without_sign_and_digits(rest).n == 0;
}

static bool has_vanishing_part(struct span key)
{
    struct span rest = key;
    for (;;) {
        const char *slash = rest.n > 0 ? memchr(rest.p, '/', rest.n) : NULL;
        struct span part = {rest.p, slash != NULL ? (size_t)(slash - rest.p) : rest.n};
        if ((part.n == 0 && slash != NULL) || span_eq_text(part, ".") || span_eq_text(part, "..")) {
            return true;
        }
        if (slash == NULL) {
            return false;
        }
        rest.p += part.n + 1;
        rest.n -= part.n + 1;
    }
}

/* The text between the first '{' and the '}' behind it, with both; empty when there is none. */
static struct span brace_group(struct span key)
{
    const char *open = memchr(key.p, '{', key.n);
    const char *close = open != NULL ? memchr(open, '}', (size_t)(key.p + key.n - open)) : NULL;
    return close != NULL ? span_between(open, close + 1) : (struct span){.p = key.p, .n = 0};
}

/* NULL when Doris can read it, else the reason. */
static const char *unreadable_reason(struct span key, int version)
{
    if (!s3_is_utf8(key)) {
        return "its name is not UTF-8";
    }
    if (has_any(key, "?#")) {
        return "Doris cuts names at '?' and '#'";
    }
    if (has_vanishing_part(key)) {
        return "Doris removes empty parts, \".\" and \"..\" from paths";
    }
    if (has_edge_blank(key)) {
        return "Doris trims blanks from both ends of names";
    }
    if (version < 2001) {
        for (size_t i = 0; i < key.n; i++) {
            unsigned char c = (unsigned char)key.p[i];
            if (c <= ' ' || c == 0x7f || strchr("\"<>\\^`{|}[]%*", c) != NULL) {
                return "Doris 2.0 takes no blanks and none of \" < > \\ ^ ` { | } [ ] % * in names";
            }
        }
    }
    struct span group = brace_group(key);
    if (version >= 3001 && version < 4000 && group.n > 0) {
        return "Doris 3.1 may take the braces in it for a list of numbers";
    }
    if (version >= 4000 && has_any(group, "\\$")) {
        return "Doris 4 cannot be told a '\\' or '$' between braces";
    }
    return NULL;
}

enum s3_key_form s3_key_form(struct span key, struct span dir, int fe_version, const char **ret_why)
{
    const char *reason = unreadable_reason(key, fe_version);
    if (reason != NULL) {
        *ret_why = reason;
        return S3_KEY_UNREADABLE;
    }
    if (fe_version < S3_FIRST_LISTS) {
        *ret_why = "Doris 2.0 has no brace lists";
        return S3_KEY_EXACT;
    }
    assert(key.n >= dir.n && span_eq((struct span){key.p, dir.n}, dir));
    struct span name = {key.p + dir.n, key.n - dir.n};
    if (name.n == 0 || has_any(name, ",{}*[]\\$") || has_any(dir, "{}*[]\\") ||
        has_edge_blank(name)) {
        *ret_why = "a character of its name means something in a brace list";
        return S3_KEY_EXACT;
    }
    if (is_numeric(name)) {
        *ret_why = "Doris 4.0.1 rewrites numbers in a brace list";
        return S3_KEY_EXACT;
    }
    return S3_KEY_LIST;
}

char *s3_key_pattern(struct span key, int fe_version)
{
    enum escape how = fe_version >= 4000 && brace_group(key).n > 0 ? ESCAPE_SET : ESCAPE_BACKSLASH;
    struct buf b = buf_with_max(S3_MAX_URI);
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (how == ESCAPE_SET && strchr("*[{,", c) != NULL && c != '\0') {
            buf_append_char(&b, '[');
            buf_append_char(&b, c);
            buf_append_char(&b, ']');
        } else if (how == ESCAPE_SET && c == '\\') {
            buf_append_text(&b, "[\\]"); /* outside the braces only, see unreadable_reason() */
        } else {
            bool is_special = how == ESCAPE_BACKSLASH && strchr("*?[]{}\\", c) != NULL;
            buf_append_text(&b, is_special && c != '\0' ? "\\" : "");
            buf_append_char(&b, c);
        }
    }
    return buf_take_text(&b);
}

void s3_batch_init(struct s3_batch *b, const struct s3_batch_limits *limits)
{
    *b = (struct s3_batch){.limits = *limits, .files = json_array()};
    b->uri_len = limits->head_len + limits->dir.n + 2; /* braces */
}

void s3_batch_fini(struct s3_batch *b)
{
    json_decref(b->files);
    free(b->first);
    free(b->last);
    free(b->pattern);
    *b = (struct s3_batch){0};
}

static bool is_set_aside(const struct s3_batch_limits *l, const char *key)
{
    for (size_t i = 0; i < l->n_bad; i++) {
        if (strcmp(l->bad[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

static void take(struct s3_batch *b, const struct s3_object *object)
{
    json_t *file = json_pack("{s:s, s:s, s:I}", "key", object->key, "etag",
                             s3_is_utf8(span_of(object->etag)) ? object->etag : "", "size",
                             (json_int_t)object->size);
    bool is_bad = is_set_aside(&b->limits, object->key);
    if (file == NULL || (is_bad && json_object_set_new(file, "bad", json_true()) != 0) ||
        json_array_append_new(b->files, file) != 0) {
        abort(); /* key and ETag are UTF-8, so only memory can be missing: as in xmalloc.h */
    }
    if (b->first == NULL) {
        b->first = xstrdup(object->key);
    }
    free(b->last);
    b->last = xstrdup(object->key);
    b->n_files++;
    if (__builtin_add_overflow(b->n_bytes, object->size, &b->n_bytes)) {
        b->n_bytes = INT64_MAX;
    }
    b->uri_len += strlen(object->key) - b->limits.dir.n + 1;
    b->is_closed = b->n_files >= b->limits.max_files || b->n_bytes > b->limits.max_bytes;
}

static void take_alone(struct s3_batch *b, const struct s3_object *object)
{
    take(b, object);
    b->pattern = s3_key_pattern(span_of(object->key), b->limits.fe_version);
    b->is_closed = true;
}

enum s3_offer s3_batch_offer(struct s3_batch *b, const struct s3_object *object,
                             const char **ret_why)
{
    struct span key = span_of(object->key);
    if (b->is_closed) {
        return S3_OFFER_LATER;
    }
    enum s3_key_form form = s3_key_form(key, b->limits.dir, b->limits.fe_version, ret_why);
    size_t more = key.n - b->limits.dir.n + 1;
    if (b->n_files > 0 && (form != S3_KEY_LIST || more > S3_MAX_URI - b->uri_len)) {
        b->is_closed = true;
        return S3_OFFER_LATER;
    }
    switch (form) {
    case S3_KEY_LIST: take(b, object); return S3_OFFER_TAKEN;
    case S3_KEY_EXACT: take_alone(b, object); return S3_OFFER_TAKEN;
    case S3_KEY_UNREADABLE: break;
    }
    return S3_OFFER_UNREADABLE;
}

static char *dump(json_t *owned)
{
    char *text = owned != NULL ? json_dumps(owned, JSON_COMPACT) : NULL;
    json_decref(owned);
    if (text == NULL) {
        abort(); /* made of checked texts, so only memory can be missing: as in xmalloc.h */
    }
    return text;
}

static char *range_text(const struct s3_batch *b)
{
    if (b->n_files == 1) {
        _cleanup_free_ char *plain = s3_key_pattern(span_of(b->first), b->limits.fe_version);
        return dump(json_pack("{s:s, s:s, s:O}", "form", "exact", "pattern",
                              b->pattern != NULL ? b->pattern : plain, "files", b->files));
    }
    return dump(json_pack("{s:s, s:s%, s:O}", "form", "list", "dir", b->limits.dir.p,
                          b->limits.dir.n, "files", b->files));
}

void s3_batch_finish(const struct s3_batch *b, const char *next_key, struct plan *ret)
{
    assert(b->n_files > 0);
    *ret = (struct plan){
        .range = range_text(b),
        .offset_after = s3_offset_text(b->last),
        .running_offset =
            dump(json_pack("{s:s, s:s}", "startFileName", b->first, "endFileName", b->last)),
        .end_offset = s3_offset_text(next_key != NULL ? next_key : b->last),
        .n_files = b->n_files,
        .n_bytes = b->n_bytes,
        .has_more = next_key != NULL,
        .watch = {.n_late = -1, .n_overwritten = -1},
    };
}
