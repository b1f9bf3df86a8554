#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sources/s3_fill.h"
#include "sources/s3_tracked.h"

enum {
    SLICE_PAGES = 10,   /* of a sweep, between two looks at the tail */
    SLICE_US = 1000000, /* likewise */
    SWEEP_S = 3000,     /* a whole one: promised is an hour, of which plans and polls take a part */
    SWEEP_RATE = 10,    /* pages a second, at most */
    TAILS_IN_ROW = 8,   /* then a slice of the sweep comes first: a busy tail must not starve it */
};

/* Of the slices of one plan: what may still be used. */
struct slices {
    int64_t n_pages;
    int64_t until_us;  /* monotonic; 0: the first one has not begun */
    bool is_tail_over; /* there is nothing new behind the offset */
};

void s3_sweep_fini(struct s3_sweep *w)
{
    free(w->offset);
    free(w->frontier);
    free(w->cursor);
    s3_news_fini(&w->news);
    *w = (struct s3_sweep){0};
}

static int64_t between(int64_t n, int64_t low, int64_t high)
{
    return n < low ? low : n > high ? high : n;
}

int64_t s3_sweep_pages(int64_t n_whole, int64_t n_done, int64_t elapsed_us, int64_t interval_s)
{
    int64_t most = (int64_t)SWEEP_RATE * SWEEP_S;
    int64_t n_known = n_whole > 0 && n_whole < most ? n_whole : most;
    int64_t due = n_known * (elapsed_us / 1000) / 1000 / SWEEP_S - n_done;
    return between(due, SLICE_PAGES, SWEEP_RATE * between(interval_s, 1, SWEEP_S));
}

int64_t s3_sweep_time_us(int64_t interval_s, int64_t left_us)
{
    int64_t half_us = between(left_us / 2, 0, INT64_MAX);
    return between(between(interval_s * 1000000 / 2, SLICE_US, INT64_MAX), 0, half_us);
}

static void put_key(char **to, const char *key)
{
    char *copy = key != NULL ? xstrdup(key) : NULL;
    free(*to);
    *to = copy;
}

/* Half of the time that is left. */
static int64_t half_time_us(const struct plan_request *request)
{
    int64_t now_us = clock_mono_us();
    return now_us + (request->deadline_us > now_us ? (request->deadline_us - now_us) / 2 : 0);
}

/* The offset may have been moved by ALTER JOB; then the tail begins there. */
static bool read_offset(struct source *s, const struct plan_request *request, struct err *err)
{
    struct s3_sweep *w = &s->sweep;
    const char *text = request->offset != NULL ? request->offset : s->first_offset;
    _cleanup_free_ char *key = text != NULL ? s3_offset_key(text, err) : NULL;
    if (text != NULL && key == NULL) {
        return false;
    }
    bool is_same =
        (key == NULL) == (w->offset == NULL) && (key == NULL || strcmp(key, w->offset) == 0);
    if (!is_same) {
        put_key(&w->offset, key);
        put_key(&w->frontier, NULL);
        w->is_clean = false;
    }
    return true;
}

/* Where the tail begins; NULL: with the first key of all. */
static const char *tail_key(const struct s3_sweep *w)
{
    return w->frontier != NULL ? w->frontier : w->offset;
}

static enum plan_result note_range(struct s3_sweep *w, enum s3_fill_end end, bool is_behind)
{
    w->was_behind = is_behind;
    w->n_tail += !is_behind;
    w->has_found = true;
    w->is_clean = false;
    return end == S3_FILL_RANGE ? PLAN_RANGE : PLAN_ASIDE;
}

static enum plan_result look_at_tail(struct source *s, const struct plan_request *request,
                                     struct plan *ret, struct err *err)
{
    _cleanup_s3_fill_ struct s3_fill f = {0};
    struct s3_sweep *w = &s->sweep;
    s3_fill_init(&f, s, request, tail_key(w));
    f.walk.pause_us = half_time_us(request);
    enum s3_fill_end end = s3_fill_run(&f, ret, err);
    switch (end) {
    case S3_FILL_RANGE:
    case S3_FILL_ASIDE: w->n_new_keys += f.walk.n_seen; return note_range(w, end, false);
    case S3_FILL_FAIL: return PLAN_FAIL;
    case S3_FILL_NOTHING:
        if (f.walk.n_pages > 1) { /* of what is known already the next look takes one page */
            put_key(&w->frontier, f.walk.start_after);
        }
        return PLAN_END;
    case S3_FILL_PAUSE: break;
    }
    put_key(&w->frontier, s3_walk_last(&f.walk));
    return PLAN_EMPTY;
}

/* The sweep is through: its counts are those of a whole look. */
static void end_sweep(struct source *s, const struct plan_request *request)
{
    struct s3_sweep *w = &s->sweep;
    s3_news_tell(&w->news, s, request->job_id, "s3.overwritten", w->n_overwritten, clock_mono_us());
    s->watch = (struct source_watch){.n_late = 0, .n_overwritten = w->n_overwritten};
    w->is_clean = !w->has_found;
    w->has_found = false;
    w->n_overwritten = 0;
    w->n_whole = w->n_pages;
    w->n_pages = 0;
    w->n_new_keys = 0;
    w->begun_us = 0;
    put_key(&w->cursor, NULL);
}

static char *first_key(const struct source *s)
{
    struct err ignored = {0}; /* the text was made by parse_offset() */
    return s->first_offset != NULL ? s3_offset_key(s->first_offset, &ignored) : NULL;
}

/* What this plan may use for the sweep, which begins with it if none is under way. */
static struct slices slices_of_plan(struct source *s, const struct plan_request *request)
{
    struct s3_sweep *w = &s->sweep;
    int64_t now_us = clock_mono_us();
    int64_t interval_s = s->spec->max_interval_s;
    w->begun_us = w->begun_us > 0 ? w->begun_us : now_us;
    int64_t n_whole = w->n_whole > 0 ? w->n_whole + w->n_new_keys / S3_PAGE_KEYS : 0;
    int64_t elapsed_us = now_us - w->begun_us;
    return (struct slices){.n_pages = s3_sweep_pages(n_whole, w->n_pages, elapsed_us, interval_s)};
}

static void limit_slice(const struct source *s, const struct plan_request *request,
                        struct slices *left, struct s3_walk *walk)
{
    int64_t now_us = clock_mono_us();
    if (s->options.is_one_time && left->is_tail_over) { /* the job's end waits for it */
        walk->pause_us = half_time_us(request);
        return;
    }
    if (left->until_us == 0) {
        left->until_us =
            now_us + s3_sweep_time_us(s->spec->max_interval_s, request->deadline_us - now_us);
    }
    walk->pause_us = between(now_us + SLICE_US, 0, left->until_us);
    walk->max_pages = between(left->n_pages, 1, SLICE_PAGES);
}

/* PLAN_END: the sweep is through, PLAN_EMPTY: it goes on with the next slice. */
static enum plan_result note_slice(struct source *s, const struct plan_request *request,
                                   const struct s3_fill *f, enum s3_fill_end end)
{
    struct s3_sweep *w = &s->sweep;
    w->n_overwritten += end == S3_FILL_FAIL ? 0 : f->n_overwritten;
    switch (end) {
    case S3_FILL_RANGE:
    case S3_FILL_ASIDE:
        /* Not behind the find: should its task fail, the same files are found again. */
        if (f->found_after != NULL) {
            put_key(&w->cursor, f->found_after);
        }
        w->n_pages += f->page - 1;
        return note_range(w, end, true);
    case S3_FILL_FAIL: return PLAN_FAIL;
    case S3_FILL_NOTHING:
        w->n_pages += f->walk.n_pages;
        end_sweep(s, request);
        return PLAN_END;
    case S3_FILL_PAUSE: break;
    }
    w->n_pages += f->walk.n_pages;
    put_key(&w->cursor, s3_walk_last(&f->walk));
    return PLAN_EMPTY;
}

static enum plan_result sweep_slice(struct source *s, const struct plan_request *request,
                                    struct slices *left, struct plan *ret, struct err *err)
{
    _cleanup_s3_fill_ struct s3_fill f = {0};
    struct s3_sweep *w = &s->sweep;
    _cleanup_free_ char *first = first_key(s);
    if (tail_key(w) == NULL) { /* nothing lies behind the offset: the tail is the whole */
        end_sweep(s, request);
        return PLAN_END;
    }
    s3_fill_init(&f, s, request, w->cursor != NULL ? w->cursor : first);
    f.is_behind = true;
    f.walk.until = span_of(tail_key(w));
    limit_slice(s, request, left, &f.walk);
    enum plan_result result = note_slice(s, request, &f, s3_fill_run(&f, ret, err));
    left->n_pages -= f.walk.n_pages;
    w->n_tail = 0;
    w->swept_us = clock_mono_us();
    return result;
}

static bool is_found(enum plan_result result)
{
    return result != PLAN_EMPTY && result != PLAN_END;
}

/* A tail that always has something leaves the sweep a slice in each max_interval, and more often. */
static bool is_sweep_first(const struct source *s, const struct plan_request *request)
{
    const struct s3_sweep *w = &s->sweep;
    if (request->max_files > 0) {
        /* While a bad file is searched for, the files of the range that failed must come again. */
        return w->was_behind;
    }
    int64_t since_us = clock_mono_us() - w->swept_us;
    bool is_due = w->swept_us > 0 && since_us >= s->spec->max_interval_s * 1000000;
    return w->n_tail >= TAILS_IN_ROW || (w->n_tail > 0 && is_due);
}

static bool has_left(enum plan_result sweep, const struct slices *left)
{
    bool is_in_time = left->until_us == 0 || clock_mono_us() < left->until_us;
    return sweep != PLAN_END && left->n_pages > 0 && is_in_time;
}

enum plan_result s3_tracked_plan(struct source *s, const struct plan_request *request,
                                 struct plan *ret, struct err *err)
{
    if (!read_offset(s, request, err)) {
        return PLAN_FAIL;
    }
    struct slices left = slices_of_plan(s, request);
    enum plan_result sweep = PLAN_EMPTY;
    if (is_sweep_first(s, request)) {
        sweep = sweep_slice(s, request, &left, ret, err);
        if (is_found(sweep)) {
            return sweep;
        }
    }
    do {
        enum plan_result tail = look_at_tail(s, request, ret, err);
        if (is_found(tail) || tail == PLAN_EMPTY) {
            return tail;
        }
        left.is_tail_over = true;
        if (!has_left(sweep, &left)) {
            break;
        }
        sweep = sweep_slice(s, request, &left, ret, err);
        if (is_found(sweep)) {
            return sweep;
        }
    } while (has_left(sweep, &left));
    return s->sweep.is_clean && s->options.is_one_time ? PLAN_END : PLAN_EMPTY;
}
