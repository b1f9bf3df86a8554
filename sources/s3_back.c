#include <stdlib.h>

#include "base/clock.h"
#include "sources/s3_back.h"

enum {
    MARGIN_MS = 2000,  /* stores round times to seconds, up or down */
    JITTER_MS = 1000,  /* by so much what is known of the store's clock changes with each reply */
    LOOK_US = 2000000, /* a page that takes longer is left for another time */
    STEP_MS = 1000,    /* by less than this clocks are only corrected */
};

/* Between two pages, in polls of the job: most of what an idle job costs shall be its polls. */
static const int64_t PAUSE_POLLS = 3;

void s3_back_fini(struct s3_back *b)
{
    free(b->cursor);
    s3_news_fini(&b->news);
    *b = (struct s3_back){0};
}

void s3_passes_read(const struct plan_request *request, struct s3_passes *ret)
{
    size_t n = request->n_passes;
    struct s3_passes p = {.keys = xcalloc(n, sizeof(*p.keys)),
                          .at_ms = xcalloc(n, sizeof(*p.at_ms))};
    for (size_t i = 0; i < n; i++) {
        struct err ignored = {0};
        char *key = s3_offset_key(request->passes[i].offset, &ignored);
        while (p.n > 0 && (key == NULL || strcmp(p.keys[p.n - 1], key) > 0)) {
            free(p.keys[--p.n]);
        }
        if (key != NULL) {
            p.keys[p.n] = key;
            p.at_ms[p.n++] = request->passes[i].at_ms;
        }
    }
    *ret = p;
}

void s3_passes_fini(struct s3_passes *p)
{
    for (size_t i = 0; i < p->n; i++) {
        free(p->keys[i]);
    }
    free(p->keys);
    free(p->at_ms);
    *p = (struct s3_passes){0};
}

int64_t s3_passes_at_ms(const struct s3_passes *p, const char *key)
{
    size_t low = 0;
    size_t high = p->n;
    while (low < high) { /* the first pass that reached the key */
        size_t middle = low + (high - low) / 2;
        if (strcmp(p->keys[middle], key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < p->n ? p->at_ms[low] : 0;
}

static bool is_set_aside(const struct plan_request *request, const char *key)
{
    for (size_t i = 0; i < request->n_bad; i++) {
        if (strcmp(request->bad[i].key, key) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * The wall clock may be set forward after a pass was noted by it. How far it was, in this life, is
 * allowed for; a step back makes old passes look younger, which is harmless.
 */
static void note_clock(struct s3_back *b, int64_t now_us)
{
    int64_t clock_us = clock_wall_us() - now_us;
    int64_t step_ms = b->clock_us != 0 ? (clock_us - b->clock_us) / 1000 : 0;
    if (step_ms > STEP_MS) {
        b->stepped_ms += step_ms;
    }
    b->clock_us = clock_us;
}

/*
 * The slack grows when the store's clock turns out to be further ahead, and never shrinks: else a
 * file near it would be late by one look and not by the next.
 */
int64_t s3_back_slack_ms(int64_t known_ms, int64_t ahead_ms)
{
    int64_t least_ms = ahead_ms + MARGIN_MS;
    return known_ms == 0 ? least_ms + JITTER_MS : least_ms > known_ms ? least_ms : known_ms;
}

static bool note_slack(struct source *s)
{
    struct s3_back *b = &s->back;
    int64_t skew_ms = 0;
    if (!s3_client_skew_ms(s->client, &skew_ms)) {
        return false;
    }
    b->slack_ms = s3_back_slack_ms(b->slack_ms, skew_ms + b->stepped_ms);
    return true;
}

static bool is_late(const struct source *s, const struct plan_request *request,
                    const struct s3_passes *passes, const struct s3_object *object)
{
    int64_t passed_ms = s3_passes_at_ms(passes, object->key);
    return object->modified_ms != 0 && passed_ms > 0 &&
           object->modified_ms > passed_ms + s->back.slack_ms &&
           !is_set_aside(request, object->key);
}

/* S3_WALK_PAUSE: there is more. */
static enum s3_walk_result count_page(struct source *s, struct s3_walk *w,
                                      const struct plan_request *request)
{
    _cleanup_s3_passes_ struct s3_passes passes = {0};
    const struct s3_object *object = NULL;
    struct err ignored = {0}; /* the same listing fails for the plans, if it matters */
    enum s3_walk_result result = S3_WALK_OBJECT;
    int64_t n_late = 0;
    s3_passes_read(request, &passes);
    while ((result = s3_walk_next(w, &object, &ignored)) == S3_WALK_OBJECT) {
        if (note_slack(s) && is_late(s, request, &passes, object)) {
            s3_news_note(&s->back.news, object);
            n_late++;
        }
    }
    s->back.n_late += result == S3_WALK_FAIL ? 0 : n_late;
    return result;
}

static void look(struct source *s, const struct plan_request *request, const char *first,
                 const char *until, int64_t now_us)
{
    struct s3_back *b = &s->back;
    _cleanup_s3_walk_ struct s3_walk w = {0};
    int64_t deadline_us =
        request->deadline_us < now_us + LOOK_US ? request->deadline_us : now_us + LOOK_US;
    s3_walk_begin_behind(&w, s, b->cursor != NULL ? b->cursor : first, deadline_us,
                         request->cancel);
    w.until = span_of(until);
    w.max_pages = 1;
    enum s3_walk_result result = count_page(s, &w, request);
    if (result == S3_WALK_END) {
        s->watch = (struct source_watch){.n_late = b->n_late, .n_overwritten = -1};
        s3_news_tell(&b->news, s, request->job_id, "s3.late", b->n_late, now_us);
        b->n_late = 0;
    }
    if (result != S3_WALK_FAIL) {
        char *cursor = result == S3_WALK_PAUSE ? xstrdup(s3_walk_last(&w)) : NULL;
        free(b->cursor);
        b->cursor = cursor;
    }
}

void s3_back_look(struct source *s, const struct plan_request *request, int64_t now_us)
{
    struct err ignored = {0}; /* the plan has read both offsets */
    note_clock(&s->back, now_us);
    if (request->offset == NULL || request->n_passes == 0 || now_us < s->back.next_us) {
        return;
    }
    _cleanup_free_ char *until = s3_offset_key(request->offset, &ignored);
    _cleanup_free_ char *first =
        s->first_offset != NULL ? s3_offset_key(s->first_offset, &ignored) : NULL;
    s->back.next_us = now_us + PAUSE_POLLS * s->spec->max_interval_s * 1000000;
    if (until != NULL) {
        look(s, request, first, until, now_us);
    }
}
