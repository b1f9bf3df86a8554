#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "sources/s3_range.h"
#include "sources/s3_walk.h"

static const int64_t NEWS_PAUSE_US = 60 * INT64_C(1000000);

void s3_walk_fini(struct s3_walk *w)
{
    struct source *s = w->source;
    if (w->n_skipped > 0 && !s->has_logged_skips) {
        s->has_logged_skips = true;
        log_debug("s3.skipped", "bucket", s->config.bucket, "uri", s->config.uri, "objects",
                  LOG_FMT("%lld", (long long)w->n_skipped), "reason", "empty or directory marker",
                  NULL);
    }
    s3_page_fini(&w->page);
    free(w->start_after);
}

void s3_walk_begin_behind(struct s3_walk *w, struct source *s, const char *key, int64_t deadline_us,
                          const struct cancel *cancel)
{
    *w = (struct s3_walk){
        .source = s,
        .request = {.prefix = glob_literal_prefix(s->glob),
                    .max_keys = S3_PAGE_KEYS,
                    .deadline_us = deadline_us,
                    .cancel = cancel},
        .start_after = key != NULL ? xstrdup(key) : NULL,
    };
}

bool s3_walk_begin(struct s3_walk *w, struct source *s, const char *offset, int64_t deadline_us,
                   const struct cancel *cancel, struct err *err)
{
    const char *text = offset != NULL ? offset : s->first_offset;
    _cleanup_free_ char *key = text != NULL ? s3_offset_key(text, err) : NULL;
    s3_walk_begin_behind(w, s, key, deadline_us, cancel);
    return text == NULL || key != NULL;
}

const char *s3_walk_last(const struct s3_walk *w)
{
    assert(w->page.n_objects > 0);
    return w->page.objects[w->page.n_objects - 1].key;
}

static bool is_spent(const struct s3_walk *w)
{
    return (w->max_pages > 0 && w->n_pages >= w->max_pages) ||
           (w->pause_us > 0 && clock_mono_us() >= w->pause_us);
}

static enum s3_walk_result walk_page(struct s3_walk *w, struct err *err)
{
    if (w->is_over || (w->is_begun && !w->page.is_truncated)) {
        return S3_WALK_END;
    }
    if (w->is_begun && is_spent(w)) {
        return S3_WALK_PAUSE;
    }
    if (w->is_begun) { /* s3_page_check(): a page with more behind it is not empty */
        free(w->start_after);
        w->start_after = xstrdup(s3_walk_last(w));
    }
    s3_page_fini(&w->page);
    w->request.start_after = w->start_after;
    w->is_begun = true;
    w->n_pages++;
    w->at = 0;
    return s3_client_list(w->source->client, &w->request, &w->page, err) ? S3_WALK_OBJECT
                                                                         : S3_WALK_FAIL;
}

/* The next object of the page in hand that is to be loaded; NULL at the end of the page. */
const struct s3_object *s3_walk_in_page(struct s3_walk *w)
{
    while (!w->is_over && w->at < w->page.n_objects) {
        const struct s3_object *o = &w->page.objects[w->at++];
        struct span key = span_of(o->key);
        if (w->until.p != NULL && span_cmp(key, w->until) > 0) {
            w->is_over = true;
            break;
        }
        w->n_seen++;
        if (o->size == 0 || key.p[key.n - 1] == '/') {
            w->n_skipped++;
        } else if (glob_match(w->source->glob, key)) {
            return o;
        }
    }
    return NULL;
}

enum s3_walk_result s3_walk_next(struct s3_walk *w, const struct s3_object **ret, struct err *err)
{
    for (;;) {
        *ret = s3_walk_in_page(w);
        if (*ret != NULL) {
            return S3_WALK_OBJECT;
        }
        enum s3_walk_result result = walk_page(w, err);
        if (result != S3_WALK_OBJECT) {
            return result;
        }
    }
}

void s3_news_note(struct s3_news *n, const struct s3_object *object)
{
    bool is_new = object->modified_ms > n->told_ms;
    if (n->first == NULL || (is_new && !n->is_first_new)) {
        free(n->first);
        n->first = xstrdup(object->key);
        n->is_first_new = is_new;
    }
    if (object->modified_ms > n->newest_ms) {
        n->newest_ms = object->modified_ms;
    }
}

bool s3_news_take(struct s3_news *n, int64_t n_files, int64_t now_us, char **ret_first)
{
    bool is_more = n_files > n->told_n || n->newest_ms > n->told_ms;
    bool is_news = n_files > 0 && n->first != NULL && is_more;
    bool is_told = is_news && (n->told_us == 0 || now_us - n->told_us >= NEWS_PAUSE_US);
    *ret_first = is_told ? take_ptr(n->first) : NULL;
    if (is_told) {
        n->told_us = now_us;
        n->told_ms = n->newest_ms;
    }
    if (is_told || n_files < n->told_n) {
        n->told_n = n_files;
    }
    free(n->first);
    n->first = NULL;
    n->is_first_new = false;
    n->newest_ms = 0;
    return is_told;
}

void s3_news_tell(struct s3_news *n, const struct source *s, int64_t job_id, const char *event,
                  int64_t n_files, int64_t now_us)
{
    _cleanup_free_ char *first = NULL;
    if (s3_news_take(n, n_files, now_us, &first)) {
        _cleanup_free_ char *shown = s3_whole_key(span_of(first));
        log_warn(event, "job_id", LOG_FMT("%" PRId64, job_id), "uri", s->config.uri, "files",
                 LOG_FMT("%" PRId64, n_files), "first", shown, NULL);
    }
}

void s3_news_fini(struct s3_news *n)
{
    free(n->first);
    *n = (struct s3_news){0};
}
