#include <inttypes.h>
#include <stdlib.h>

#include "scheduler/explain.h"
#include "sources/s3_range.h"
#include "sources/s3_verify.h"
#include "sources/s3_walk.h"

enum {
    MOST_KEYS = 1000, /* of one page */
    LEAST_KEYS = 4,   /* enough to see that two files of the range lie together */
    SPARSE = 8,       /* less than one in so many objects of a page is one of the range */
};

/* The walk over the range's files; `at` is the next one that is looked for. */
struct check {
    struct source *source;
    struct s3_range range;
    size_t at;
    int max_keys; /* of the next page */
    int64_t deadline_us;
    const struct cancel *cancel;
};

/*
 * A key just below `key`, with hardly any others between; NULL: there is none that is simple, and
 * the listing begins with the prefix. Only its cost depends on it.
 */
static char *just_below(const char *key)
{
    size_t n = strlen(key);
    unsigned char last = (unsigned char)key[n - 1];
    if (last > ' ' + 1 && last < 0x7f) {
        return xasprintf("%.*s%c~~~~", (int)(n - 1), key, last - 1);
    }
    while (n > 1 && ((unsigned char)key[n - 1] & 0xc0) == 0x80) {
        n--; /* a whole character of UTF-8 */
    }
    return n > 1 ? xmemdup0(key, n - 1) : NULL;
}

static bool say_gone(const struct s3_file *f, struct err *err)
{
    return err_say(err,
                   "file \"%s\" is gone: it had %" PRId64 " bytes (ETag \"%s\") when it was "
                   "planned, and the bucket has no object of this name any more",
                   f->key, f->size, f->etag);
}

static bool say_changed(const struct s3_file *f, const struct s3_object *o, struct err *err)
{
    _cleanup_free_ char *since = o->modified_ms > 0 ? explain_time(o->modified_ms) : xstrdup("");
    _cleanup_free_ char *etag = s3_whole_key(span_of(o->etag));
    return err_say(err,
                   "file \"%s\" has another content: ETag \"%s\" and %" PRId64
                   " bytes when it was planned, ETag \"%s\" and %" PRId64 " bytes now%s%s",
                   f->key, f->etag, f->size, etag, o->size, since[0] != '\0' ? ", written " : "",
                   since);
}

static bool is_same(const struct s3_file *f, const struct s3_object *o)
{
    /* An ETag that is not UTF-8 was stored as none; no store sends such a one. */
    bool has_etags = f->etag[0] != '\0' && o->etag[0] != '\0' && s3_is_utf8(span_of(o->etag));
    return f->size == o->size && (!has_etags || strcmp(f->etag, o->etag) == 0);
}

/* Small pages where the files lie far apart, large ones where they lie together. */
static void set_page_size(struct check *c, size_t n_found, size_t n_objects)
{
    bool is_sparse = n_found <= 1 || n_found * SPARSE < n_objects;
    int size = is_sparse ? c->max_keys / SPARSE : c->max_keys * SPARSE;
    c->max_keys = size < LEAST_KEYS ? LEAST_KEYS : size > MOST_KEYS ? MOST_KEYS : size;
}

/* Checks the files that the page can tell about. False: err tells of the first that changed. */
static bool check_page(struct check *c, const struct s3_page *page, struct err *err)
{
    size_t k = 0;
    size_t n_before = c->at;
    for (; c->at < c->range.n_files; c->at++) {
        const struct s3_file *f = &c->range.files[c->at];
        int order = 1;
        while (k < page->n_objects && (order = strcmp(page->objects[k].key, f->key)) < 0) {
            k++;
        }
        if (k == page->n_objects && page->is_truncated) {
            break; /* further on */
        }
        if (k == page->n_objects || order != 0) {
            return say_gone(f, err);
        }
        if (!is_same(f, &page->objects[k])) {
            return say_changed(f, &page->objects[k], err);
        }
    }
    set_page_size(c, c->at - n_before, page->n_objects);
    return true;
}

/* One small request for one file: nothing but it begins with its key and comes first. */
static enum verify_result check_one(struct check *c, struct err *err)
{
    _cleanup_s3_page_ struct s3_page page = {0};
    const struct s3_file *f = &c->range.files[c->at];
    struct s3_list_request request = {.prefix = span_of(f->key),
                                      .max_keys = 1,
                                      .deadline_us = c->deadline_us,
                                      .cancel = c->cancel};
    if (!s3_client_list(c->source->client, &request, &page, err)) {
        return VERIFY_FAIL;
    }
    if (page.n_objects == 0 || strcmp(page.objects[0].key, f->key) != 0) {
        (void)say_gone(f, err);
        return VERIFY_CHANGED;
    }
    c->at++;
    return is_same(f, &page.objects[0]) || say_changed(f, &page.objects[0], err) ? VERIFY_SAME
                                                                                 : VERIFY_CHANGED;
}

/* All files of the range that a page has which begins just below the next one. */
static enum verify_result check_some(struct check *c, struct err *err)
{
    _cleanup_s3_page_ struct s3_page page = {0};
    _cleanup_free_ char *below = just_below(c->range.files[c->at].key);
    struct span prefix = glob_literal_prefix(c->source->glob);
    struct s3_list_request request = {.prefix = prefix,
                                      .start_after = below,
                                      .max_keys = c->max_keys,
                                      .deadline_us = c->deadline_us,
                                      .cancel = c->cancel};
    size_t n_before = c->at;
    if (!s3_client_list(c->source->client, &request, &page, err)) {
        return VERIFY_FAIL;
    }
    if (!check_page(c, &page, err)) {
        return VERIFY_CHANGED;
    }
    /* Too much lies between the key below and the file itself: by itself, then. */
    return c->at > n_before ? VERIFY_SAME : check_one(c, err);
}

enum verify_result s3_verify(struct source *s, const char *range, int64_t deadline_us,
                             const struct cancel *cancel, struct err *err)
{
    _cleanup_s3_range_ struct s3_range files = {0};
    enum verify_result result = VERIFY_SAME;
    if (!s3_range_read(range, &files, err)) {
        return VERIFY_FAIL;
    }
    struct check c = {.source = s, .range = files, .deadline_us = deadline_us, .cancel = cancel};
    size_t wanted = files.n_files * 2 + 2; /* others may lie between them */
    c.max_keys = wanted < MOST_KEYS ? (int)wanted : MOST_KEYS;
    while (result == VERIFY_SAME && c.at < files.n_files) {
        bool is_last = c.at + 1 == files.n_files;
        result = is_last ? check_one(&c, err) : check_some(&c, err);
    }
    return result;
}
