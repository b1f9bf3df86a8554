/*
 * A walk over the objects that a job's uri matches, behind an offset, page by page; and the source
 * itself, which the files of the S3 source share. Only they include this. One thread at a time.
 */
#ifndef SOURCES_S3_WALK_H
#define SOURCES_S3_WALK_H

#include "sources/glob.h"
#include "sources/s3_batch.h"
#include "sources/s3_client.h"
#include "sources/s3_config.h"
#include "sources/s3_options.h"

enum { S3_PAGE_KEYS = 1000 }; /* as many as the services send at once */

/*
 * Files that are seen and not loaded are told of in the log: one line a look, and only of a look that
 * found more of them, or newer ones, than were told of; at most one a minute.
 */
struct s3_news {
    char *first; /* owned key: of this look, the first that was not told of yet, or any */
    bool is_first_new;
    int64_t newest_ms; /* of this look: the newest LastModified */
    int64_t told_n;    /* in the last line; less once there are less */
    int64_t told_ms;   /* newest_ms of the last line */
    int64_t told_us;   /* monotonic; 0: nothing was told yet */
};

/* Of "s3.discovery"="tracked", between two plans. Lost with the process, and found again. */
struct s3_sweep {
    char *offset;    /* owned key: the committed offset of the last plan */
    char *frontier;  /* owned key: all up to here is remembered, the tail is behind it; or NULL */
    char *cursor;    /* owned key: the sweep goes on behind it; NULL: from the beginning */
    bool has_found;  /* by this sweep, or behind it */
    bool is_clean;   /* the last whole sweep found nothing, and nothing was found since */
    bool was_behind; /* the last range was one of the sweep */
    int64_t n_tail;  /* ranges of the tail since the last slice of the sweep */
    int64_t n_overwritten; /* counted by this sweep so far */
    int64_t n_pages;       /* looked at by this sweep so far */
    int64_t n_whole;       /* pages of the last whole sweep; 0: not known yet */
    int64_t n_new_keys;    /* of the tail that were passed since */
    int64_t begun_us;      /* monotonic: this sweep; 0: none is under way */
    int64_t swept_us;      /* monotonic: the last slice ended; 0: there was none */
    struct s3_news news;   /* of overwritten files */
};

/* Of "s3.discovery"="ordered": the look back at what was passed, between two plans. */
struct s3_back {
    char *cursor;       /* owned key; NULL: from the beginning */
    int64_t next_us;    /* monotonic: not before this */
    int64_t n_late;     /* counted by this look so far */
    int64_t clock_us;   /* wall clock minus monotonic one, when looked at last; 0: never */
    int64_t stepped_ms; /* by how much the wall clock was set forward since the job began */
    int64_t slack_ms;   /* so much newer than its pass a late file must be; 0: not known */
    struct s3_news news;
};

struct source {
    const struct job_spec *spec; /* borrowed */
    const struct spec_prop *uri; /* borrowed from spec */
    struct s3_config config;
    struct s3_client *client;      /* owned */
    struct glob *glob;             /* owned */
    struct s3_batch_limits limits; /* fe_version is set anew for each plan */
    char *first_offset;            /* owned: property "offset", NULL when none */
    struct s3_options options;
    struct s3_sweep sweep;
    struct s3_back back;
    struct source_watch watch; /* of the last whole look */
    bool has_logged_skips;
};

struct s3_walk {
    struct source *source; /* borrowed */
    struct s3_list_request request;
    char *start_after; /* owned */
    struct s3_page page;
    size_t at; /* in page */
    bool is_begun;
    /* May be set before the first step: */
    struct span until; /* borrowed; nothing behind this key; p NULL: to the end of the listing */
    int64_t max_pages; /* 0: any number; S3_WALK_PAUSE after them */
    int64_t pause_us;  /* monotonic; 0: never; the same by time, at the end of a page */
    bool is_over;      /* a key behind `until` was seen */
    int64_t n_pages;
    int64_t n_skipped; /* empty objects and directory markers */
    int64_t n_seen;    /* objects looked at, of whatever name */
};

enum s3_walk_result {
    S3_WALK_OBJECT,
    S3_WALK_PAUSE, /* at the end of a page; there is more */
    S3_WALK_END,
    S3_WALK_FAIL,
};

/* `offset` NULL: from the job's first offset. False: the offset is not one. */
bool s3_walk_begin(struct s3_walk *w, struct source *s, const char *offset, int64_t deadline_us,
                   const struct cancel *cancel, struct err *err);
/* From behind `key`, NULL: from the first of all. */
void s3_walk_begin_behind(struct s3_walk *w, struct source *s, const char *key, int64_t deadline_us,
                          const struct cancel *cancel);
/* The next matching object, borrowed until the next call. */
enum s3_walk_result s3_walk_next(struct s3_walk *w, const struct s3_object **ret, struct err *err);
/* The same within the page in hand; NULL at its end. */
const struct s3_object *s3_walk_in_page(struct s3_walk *w);
/* The last key of the page in hand, which is not empty. */
const char *s3_walk_last(const struct s3_walk *w);
void s3_walk_fini(struct s3_walk *w);

/* A file of this look; one that is walked over twice may be noted twice. */
void s3_news_note(struct s3_news *n, const struct s3_object *object);
/* A whole look ends, with so many. True: log it, *ret_first is the first one, owned by the caller. */
bool s3_news_take(struct s3_news *n, int64_t n_files, int64_t now_us, char **ret_first);
/* The same, and logs it. */
void s3_news_tell(struct s3_news *n, const struct source *s, int64_t job_id, const char *event,
                  int64_t n_files, int64_t now_us);
void s3_news_fini(struct s3_news *n);

#define _cleanup_s3_walk_ _cleanup_(s3_walk_fini)

#endif
