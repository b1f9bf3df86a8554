#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "sources/s3_fill.h"
#include "sources/s3_tracked.h"

enum {
    SLICE_PAGES = 10,   /* of a sweep, with one plan */
    SLICE_US = 1000000, /* likewise */
    TAILS_IN_ROW = 8,   /* then a slice of the sweep comes first: a busy tail must not starve it */
};

void s3_sweep_fini(struct s3_sweep *w)
{
    free(w->offset);
    free(w->frontier);
    free(w->cursor);
    *w = (struct s3_sweep){0};
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
    w->n_tail = is_behind ? 0 : w->n_tail + 1;
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
    case S3_FILL_ASIDE: return note_range(w, end, false);
    case S3_FILL_FAIL: return PLAN_FAIL;
    case S3_FILL_NOTHING: return PLAN_END;
    case S3_FILL_PAUSE: break;
    }
    put_key(&w->frontier, s3_walk_last(&f.walk));
    return PLAN_EMPTY;
}

/* The sweep is through: its counts are those of a whole look. */
static void end_sweep(struct source *s)
{
    struct s3_sweep *w = &s->sweep;
    s->watch = (struct source_watch){.n_late = 0, .n_overwritten = w->n_overwritten};
    w->is_clean = !w->has_found;
    w->has_found = false;
    w->n_overwritten = 0;
    put_key(&w->cursor, NULL);
}

static char *first_key(const struct source *s)
{
    struct err ignored = {0}; /* the text was made by parse_offset() */
    return s->first_offset != NULL ? s3_offset_key(s->first_offset, &ignored) : NULL;
}

/* PLAN_END: it is through, PLAN_EMPTY: it goes on with the next plan. */
static enum plan_result sweep_on(struct source *s, const struct plan_request *request,
                                 struct plan *ret, struct err *err)
{
    _cleanup_s3_fill_ struct s3_fill f = {0};
    struct s3_sweep *w = &s->sweep;
    _cleanup_free_ char *first = first_key(s);
    if (tail_key(w) == NULL) { /* nothing lies behind the offset: the tail is the whole */
        end_sweep(s);
        return PLAN_END;
    }
    s3_fill_init(&f, s, request, w->cursor != NULL ? w->cursor : first);
    f.is_behind = true;
    f.walk.until = span_of(tail_key(w));
    if (s->options.is_one_time) { /* the job's end waits for it */
        f.walk.pause_us = half_time_us(request);
    } else {
        f.walk.pause_us = clock_mono_us() + SLICE_US;
        f.walk.max_pages = SLICE_PAGES;
    }
    enum s3_fill_end end = s3_fill_run(&f, ret, err);
    w->n_overwritten += end == S3_FILL_FAIL ? 0 : f.n_overwritten;
    switch (end) {
    case S3_FILL_RANGE:
    case S3_FILL_ASIDE:
        /* Not behind the find: should its task fail, the same files are found again. */
        if (f.found_after != NULL) {
            put_key(&w->cursor, f.found_after);
        }
        return note_range(w, end, true);
    case S3_FILL_FAIL: return PLAN_FAIL;
    case S3_FILL_NOTHING: end_sweep(s); return PLAN_END;
    case S3_FILL_PAUSE: break;
    }
    put_key(&w->cursor, s3_walk_last(&f.walk));
    return PLAN_EMPTY;
}

static bool is_found(enum plan_result result)
{
    return result != PLAN_EMPTY && result != PLAN_END;
}

enum plan_result s3_tracked_plan(struct source *s, const struct plan_request *request,
                                 struct plan *ret, struct err *err)
{
    struct s3_sweep *w = &s->sweep;
    if (!read_offset(s, request, err)) {
        return PLAN_FAIL;
    }
    /* While a bad file is searched for, the files of the range that failed must come again. */
    bool is_sweep_first = request->max_files > 0 ? w->was_behind : w->n_tail >= TAILS_IN_ROW;
    enum plan_result sweep = PLAN_EMPTY;
    if (is_sweep_first) {
        w->n_tail = 0;
        sweep = sweep_on(s, request, ret, err);
        if (is_found(sweep)) {
            return sweep;
        }
    }
    enum plan_result tail = look_at_tail(s, request, ret, err);
    if (is_found(tail) || tail == PLAN_EMPTY) {
        return tail;
    }
    if (!is_sweep_first) {
        sweep = sweep_on(s, request, ret, err);
        if (is_found(sweep)) {
            return sweep;
        }
    }
    return w->is_clean && s->options.is_one_time ? PLAN_END : PLAN_EMPTY;
}
