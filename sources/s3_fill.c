#include <stdlib.h>

#include "sources/s3_aside.h"
#include "sources/s3_fill.h"

struct s3_batch_limits s3_fill_limits(const struct source *s, const struct plan_request *request)
{
    struct s3_batch_limits limits = s->limits;
    limits.fe_version = request->fe != NULL ? request->fe->version : 0;
    limits.bad = request->bad;
    limits.n_bad = request->n_bad;
    if (request->max_files > 0 && request->max_files < limits.max_files) {
        limits.max_files = request->max_files;
    }
    return limits;
}

struct s3_mark_rules s3_fill_rules(const struct source *s)
{
    return (struct s3_mark_rules){.is_tracked = s->options.is_tracked,
                                  .prefix_len = glob_literal_prefix(s->glob).n};
}

/* Where remembered keys begin that are behind `key`; NULL: with the first. */
static const char *below_prefix(const struct source *s, const char *key)
{
    struct span prefix = glob_literal_prefix(s->glob);
    bool is_below = key != NULL && strlen(key) >= prefix.n && memcmp(key, prefix.p, prefix.n) == 0;
    return is_below ? key + prefix.n : NULL;
}

void s3_fill_init(struct s3_fill *f, struct source *s, const struct plan_request *request,
                  const char *key)
{
    struct s3_batch_limits limits = s3_fill_limits(s, request);
    *f = (struct s3_fill){.source = s, .request = request};
    s3_walk_begin_behind(&f->walk, s, key, request->deadline_us, request->cancel);
    s3_batch_init(&f->batch, &limits);
    if (s->options.is_tracked && request->reader != NULL) {
        f->join = (struct s3_join){.ops = request->reader_ops,
                                   .reader = request->reader,
                                   .job_id = request->job_id,
                                   .prefix_len = glob_literal_prefix(s->glob).n,
                                   .from = below_prefix(s, f->walk.start_after)};
    }
}

void s3_fill_fini(struct s3_fill *f)
{
    s3_join_fini(&f->join);
    s3_batch_fini(&f->batch);
    s3_walk_fini(&f->walk);
    free(f->found_after);
}

/* Counts of a page count once the walk has left it: after a find it is walked over again. */
static void note_page(struct s3_fill *f)
{
    if (f->page != f->walk.n_pages && !f->has_found) {
        f->page = f->walk.n_pages;
        f->n_overwritten += f->n_in_page;
        f->n_in_page = 0;
    }
}

static void note_find(struct s3_fill *f)
{
    if (!f->has_found) {
        f->has_found = true;
        f->found_after = f->walk.start_after != NULL ? xstrdup(f->walk.start_after) : NULL;
    }
}

static bool is_wanted(const struct source *s, enum s3_known known)
{
    switch (known) {
    case S3_SAME: return false;
    case S3_OVERWRITTEN: return s->options.overwritten != S3_OVERWRITTEN_IGNORE;
    case S3_NEW:
    case S3_MENDED: break;
    }
    return true;
}

/* The next object that is to be loaded or set aside, in the page in hand only; *ret NULL: none. */
static bool next_in_page(struct s3_fill *f, const struct s3_object **ret, enum s3_known *ret_known,
                         struct err *err)
{
    while ((*ret = s3_walk_in_page(&f->walk)) != NULL) {
        if (!s3_join_next(&f->join, *ret, ret_known, err)) {
            return false;
        }
        if (is_wanted(f->source, *ret_known)) {
            break;
        }
    }
    return true;
}

static enum s3_walk_result next_wanted(struct s3_fill *f, const struct s3_object **ret,
                                       enum s3_known *ret_known, struct err *err)
{
    enum s3_walk_result result = S3_WALK_OBJECT;
    while ((result = s3_walk_next(&f->walk, ret, err)) == S3_WALK_OBJECT) {
        note_page(f);
        if (!s3_join_next(&f->join, *ret, ret_known, err)) {
            return S3_WALK_FAIL;
        }
        if (is_wanted(f->source, *ret_known)) {
            return S3_WALK_OBJECT;
        }
        if (*ret_known == S3_OVERWRITTEN) {
            f->n_in_page++;
            s3_news_note(&f->source->sweep.news, *ret);
        }
    }
    return result;
}

static char *offset_as_it_was(const struct s3_fill *f)
{
    const char *offset = f->request->offset != NULL ? f->request->offset : f->source->first_offset;
    return offset != NULL ? xstrdup(offset) : s3_offset_text("");
}

/*
 * The consecutive ones of the page in hand, so that a folder of them takes no thousand plans; in
 * between only what need not be loaded.
 */
static enum s3_fill_end gather_unreadable(struct s3_fill *f, const struct s3_object *object,
                                          const char *why, struct plan *ret, struct err *err)
{
    const struct s3_batch_limits *l = &f->batch.limits;
    enum s3_known known = S3_NEW;
    enum s3_key_form form = S3_KEY_UNREADABLE;
    const char *last = NULL;
    while (object != NULL && form == S3_KEY_UNREADABLE && ret->n_bad < S3_MAX_ASIDE) {
        s3_aside_add(f->source, object, S3_ASIDE_UNREADABLE, why, l->fe_version, ret);
        last = object->key;
        if (!next_in_page(f, &object, &known, err)) {
            return S3_FILL_FAIL;
        }
        if (object != NULL) {
            form = s3_key_form(span_of(object->key), l->dir, l->fe_version, &why);
        }
        if (known == S3_OVERWRITTEN) {
            break; /* that is for the user to decide about, not for its name */
        }
    }
    ret->offset_after = f->is_behind ? offset_as_it_was(f) : s3_offset_text(last);
    ret->has_more = object != NULL || f->walk.page.is_truncated;
    s3_aside_tell(f->source, ret, err);
    return S3_FILL_ASIDE;
}

static enum s3_fill_end set_overwritten_aside(struct s3_fill *f, const struct s3_object *object,
                                              struct plan *ret, struct err *err)
{
    s3_aside_add(f->source, object, S3_ASIDE_OVERWRITTEN, NULL, 0, ret);
    ret->offset_after = offset_as_it_was(f); /* it was loaded once: the offset is behind it */
    ret->has_more = true;
    s3_aside_tell(f->source, ret, err);
    return S3_FILL_ASIDE;
}

/*
 * Closes the batch and looks on in the page in hand for the next file that is to be loaded: the
 * newest one that is known (Doris shows it as EndOffset).
 */
static enum s3_fill_end finish(struct s3_fill *f, struct plan *ret, struct err *err)
{
    enum s3_known known = S3_NEW;
    const struct s3_object *next = NULL;
    if (f->batch.is_closed && !next_in_page(f, &next, &known, err)) {
        return S3_FILL_FAIL;
    }
    s3_batch_finish(&f->batch, next != NULL ? next->key : NULL, ret);
    ret->has_more = next != NULL || (f->batch.is_closed && f->walk.page.is_truncated);
    ret->is_retry = f->is_mended;
    if (f->is_behind || f->is_mended) {
        free(ret->offset_after);
        ret->offset_after = offset_as_it_was(f);
    }
    if (f->is_behind) {
        free(ret->end_offset);
        ret->end_offset = offset_as_it_was(f);
    }
    return S3_FILL_RANGE;
}

/* True: the batch went on. False: it is closed, or *ret_end says what became of the look. */
static bool take(struct s3_fill *f, const struct s3_object *object, enum s3_known known,
                 struct plan *ret, enum s3_fill_end *ret_end, struct err *err)
{
    const char *why = "";
    bool is_alone = known == S3_MENDED || (known == S3_OVERWRITTEN &&
                                           f->source->options.overwritten == S3_OVERWRITTEN_ERROR);
    enum s3_offer offer = S3_OFFER_LATER;
    if (is_alone && f->batch.n_files > 0) {
        f->batch.is_closed = true;
    } else if (is_alone && known == S3_OVERWRITTEN) {
        *ret_end = set_overwritten_aside(f, object, ret, err);
        return false;
    } else {
        offer = s3_batch_offer(&f->batch, object, &why);
    }
    switch (offer) {
    case S3_OFFER_LATER: f->walk.at--; break; /* it is the next one */
    case S3_OFFER_UNREADABLE: *ret_end = gather_unreadable(f, object, why, ret, err); return false;
    case S3_OFFER_TAKEN:
        f->is_mended = known == S3_MENDED;
        f->batch.is_closed = f->batch.is_closed || is_alone;
        break;
    }
    if (f->batch.is_closed) {
        *ret_end = finish(f, ret, err);
    }
    return !f->batch.is_closed;
}

enum s3_fill_end s3_fill_run(struct s3_fill *f, struct plan *ret, struct err *err)
{
    const struct s3_object *object = NULL;
    enum s3_known known = S3_NEW;
    enum s3_fill_end end = S3_FILL_NOTHING;
    for (;;) {
        enum s3_walk_result result = next_wanted(f, &object, &known, err);
        if (result == S3_WALK_FAIL) {
            return S3_FILL_FAIL;
        }
        if (result == S3_WALK_OBJECT) {
            note_find(f);
            if (!take(f, object, known, ret, &end, err)) {
                return end;
            }
            continue;
        }
        if (f->batch.n_files > 0) {
            return finish(f, ret, err);
        }
        f->n_overwritten += f->n_in_page;
        f->n_in_page = 0;
        return result == S3_WALK_END ? S3_FILL_NOTHING : S3_FILL_PAUSE;
    }
}
