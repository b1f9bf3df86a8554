/*
 * One look at a stretch of the listing for the next range: objects are walked over, joined with what
 * is remembered, and what is to be loaded fills a batch. One thread at a time.
 *
 *     s3_fill_init -> (limits of .walk, .join) -> s3_fill_run -> s3_fill_fini
 */
#ifndef SOURCES_S3_FILL_H
#define SOURCES_S3_FILL_H

#include "sources/s3_join.h"
#include "sources/s3_walk.h"

/* Of files set aside in one plan; the next plan takes the rest. */
enum { S3_MAX_ASIDE = 1000 };

enum s3_fill_end {
    S3_FILL_RANGE,   /* the plan is filled with a range */
    S3_FILL_ASIDE,   /* the plan is filled with files to be set aside; err tells of the first */
    S3_FILL_NOTHING, /* the stretch ends, and there is nothing in it */
    S3_FILL_PAUSE,   /* nothing so far, and the time is over; there is more */
    S3_FILL_FAIL,
};

struct s3_fill {
    struct source *source;              /* borrowed */
    const struct plan_request *request; /* borrowed */
    struct s3_walk walk;
    struct s3_join join;
    struct s3_batch batch;
    bool is_behind; /* the stretch lies before the offset, which stays where it is */
    bool is_mended; /* the batch is one file that was set aside and has another content now */
    /* Of the pages that are behind us for good: where the first find was not on. */
    int64_t n_overwritten;
    int64_t n_in_page; /* overwritten ones of the page in hand */
    int64_t page;      /* its number */
    char *found_after; /* owned key: the page with the first find was listed behind it */
    bool has_found;
};

/* Behind `key` (NULL: from the first). `rules`: of remembered files, is_tracked false for none. */
void s3_fill_init(struct s3_fill *f, struct source *s, const struct plan_request *request,
                  const char *key);
void s3_fill_fini(struct s3_fill *f);
enum s3_fill_end s3_fill_run(struct s3_fill *f, struct plan *ret, struct err *err);

/* The limits of a batch for this request. */
struct s3_batch_limits s3_fill_limits(const struct source *s, const struct plan_request *request);
/* What the source remembers of its files. */
struct s3_mark_rules s3_fill_rules(const struct source *s);

#define _cleanup_s3_fill_ _cleanup_(s3_fill_fini)

#endif
