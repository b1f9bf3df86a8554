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

struct source {
    const struct job_spec *spec; /* borrowed */
    const struct spec_prop *uri; /* borrowed from spec */
    struct s3_config config;
    struct s3_client *client;      /* owned */
    struct glob *glob;             /* owned */
    struct s3_batch_limits limits; /* fe_version is set anew for each plan */
    char *first_offset;            /* owned: property "offset", NULL when none */
    bool has_logged_skips;
};

struct s3_walk {
    struct source *source; /* borrowed */
    struct s3_list_request request;
    char *start_after; /* owned */
    struct s3_page page;
    size_t at; /* in page */
    bool is_begun;
    int64_t n_skipped; /* empty objects and directory markers */
    int64_t n_seen;    /* objects looked at, of whatever name */
};

enum s3_walk_result { S3_WALK_OBJECT, S3_WALK_END, S3_WALK_FAIL };

/* `offset` NULL: from the job's first offset. False: the offset is not one. */
bool s3_walk_begin(struct s3_walk *w, struct source *s, const char *offset, int64_t deadline_us,
                   const struct cancel *cancel, struct err *err);
/* The next matching object, borrowed until the next call. */
enum s3_walk_result s3_walk_next(struct s3_walk *w, const struct s3_object **ret, struct err *err);
/* The same within the page in hand; NULL at its end. */
const struct s3_object *s3_walk_in_page(struct s3_walk *w);
void s3_walk_fini(struct s3_walk *w);

#define _cleanup_s3_walk_ _cleanup_(s3_walk_fini)

#endif
