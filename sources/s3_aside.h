/*
 * Files that are not loaded but set aside: the entries of a plan, and the files among them that a
 * user wants tried again. One thread at a time.
 */
#ifndef SOURCES_S3_ASIDE_H
#define SOURCES_S3_ASIDE_H

#include "sources/s3_walk.h"

enum s3_aside_kind {
    S3_ASIDE_UNREADABLE,  /* Doris cannot read an object of this name */
    S3_ASIDE_OVERWRITTEN, /* "s3.overwritten"="error" */
};

/* One more file of ret->bad, with its mark if the source tracks. `why`: of an unreadable one. */
void s3_aside_add(const struct source *s, const struct s3_object *object, enum s3_aside_kind kind,
                  const char *why, int fe_version, struct plan *ret);
/* err tells of the first of ret->bad, for a job that does not set files aside. */
void s3_aside_tell(const struct source *s, const struct plan *ret, struct err *err);

/*
 * The first that is to be tried again by itself; NULL: none. One that lies before an ordered job,
 * whose offset was moved back, comes with the others, and would come twice.
 */
const struct bad_file *s3_aside_retried(const struct source *s, const struct plan_request *request);
/* The first that was overwritten and waits for a user's decision; NULL: none. */
const struct bad_file *s3_aside_undecided(const struct plan_request *request);
/* Fills err with what the user can decide about it. */
void s3_aside_ask(const struct bad_file *file, struct err *err);
/* The plan that tries it: a range of this file alone, or aside again, if that cannot be. */
enum plan_result s3_aside_retry(struct source *s, const struct plan_request *request,
                                const struct bad_file *file, struct plan *ret, struct err *err);

#endif
