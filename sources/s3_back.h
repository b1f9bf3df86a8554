/*
 * "s3.discovery"="ordered": what was passed is not loaded any more, but looked back at: an object
 * with a key before the offset that is newer than the task that passed it came late, or was
 * overwritten, and is counted. One page with an idle plan now and then; a whole look may take long.
 * A file that was loaded as it is, is never counted: where clocks or the past are not known well
 * enough, the count is too low. One thread at a time.
 */
#ifndef SOURCES_S3_BACK_H
#define SOURCES_S3_BACK_H

#include "sources/s3_walk.h"

/* Counts one page if it is time to; failures count nothing. s->watch changes with a whole look. */
void s3_back_look(struct source *s, const struct plan_request *request, int64_t now_us);
void s3_back_fini(struct s3_back *b);

/*
 * By how much a file must be newer than its pass to count, when it was `known_ms` before (0: nothing
 * was) and the store's clock is at most `ahead_ms` ahead by its last reply. Pure.
 */
int64_t s3_back_slack_ms(int64_t known_ms, int64_t ahead_ms);

/*
 * The passes that still hold, oldest first, keys rising: of an offset that a user moved back only
 * those since; what was read again was passed again. Pure.
 */
struct s3_passes {
    char **keys; /* owned */
    int64_t *at_ms;
    size_t n;
};
void s3_passes_read(const struct plan_request *request, struct s3_passes *ret);
void s3_passes_fini(struct s3_passes *p);
/* Wall clock (ms) by which `key` had been passed; 0: not known. */
int64_t s3_passes_at_ms(const struct s3_passes *p, const char *key);

#define _cleanup_s3_passes_ _cleanup_(s3_passes_fini)

#endif
