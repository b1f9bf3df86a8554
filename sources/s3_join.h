/*
 * The merge-join of a listing with the files that a job remembers: both come in the byte order of
 * their keys, so that each is read once, whatever their number. One thread at a time.
 *
 *     offer the objects of a listing in rising order -> what is known of each
 *
 * Files that are remembered and not listed any more are passed over: they are loaded.
 */
#ifndef SOURCES_S3_JOIN_H
#define SOURCES_S3_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/files.h"
#include "sources/s3_list.h"

enum s3_known {
    S3_NEW,         /* never seen */
    S3_SAME,        /* loaded, or set aside, as it is */
    S3_OVERWRITTEN, /* loaded when it had another content */
    S3_MENDED,      /* set aside when it had another content */
};

struct s3_join {
    const struct file_reader_ops *ops; /* borrowed */
    struct file_reader *reader;        /* borrowed; NULL: nothing is remembered, all are new */
    int64_t job_id;
    size_t prefix_len;     /* what remembered keys lack at their beginning */
    const char *from;      /* borrowed; where remembered keys are read from, NULL: the first */
    struct file_mark mark; /* the one in hand; its key is the reader's */
    bool is_begun;
    bool is_over;
};

bool s3_join_next(struct s3_join *j, const struct s3_object *object, enum s3_known *ret,
                  struct err *err);
void s3_join_fini(struct s3_join *j);

#define _cleanup_s3_join_ _cleanup_(s3_join_fini)

#endif
