/*
 * Files of a source that the store remembers one by one:
 *
 *     tracked files   with "s3.discovery"="tracked": every file that was loaded or set aside, with
 *                     what it was then, so that a late file is found and an overwritten one is seen
 *     bad files       set aside with the reason, because Doris cannot read their name or refused
 *                     their rows, while the stream goes on; until they are retried or skipped
 *
 * Keys are bytes, compared as memcmp() does. Of a tracked file the source says what the key is
 * (below the job's fixed prefix, to save space); the key of a bad file is the whole one, which users
 * see and name in ALTER JOB n RETRY|SKIP FILE 'key'. Plain values; owned by one thread at a time.
 */
#ifndef SCHEDULER_FILES_H
#define SCHEDULER_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "base/xmalloc.h"

struct file_mark {
    char *key;    /* owned; as the source stores it */
    int64_t tag;  /* hash of the ETag */
    int64_t size; /* bytes */
    bool is_bad;  /* set aside: never loaded as what it was */
};

/* What a source wants remembered together with the offset. Zeroed: nothing. */
struct file_marks {
    struct file_mark *marks; /* owned; tracked files that are added or changed */
    size_t n_marks;
    char **settled; /* owned; whole keys of bad files that were loaded now, so are no longer bad */
    size_t n_settled;
};

void file_marks_fini(struct file_marks *m);

/* A file that was set aside. */
struct bad_file {
    char *key;       /* owned; whole, UTF-8 with what is not UTF-8 as %XX */
    char *etag;      /* owned; "" when the service sent none */
    int64_t size;    /* bytes */
    char *reason;    /* owned; for the user */
    int64_t task_id; /* the task that failed with it, 0: its name, it was never tried */
    int64_t at_ms;   /* wall clock */
    bool is_retried; /* RETRY FILE: the next plan is this file alone */
};

void bad_file_fini(struct bad_file *f);
void bad_file_copy(const struct bad_file *from, struct bad_file *ret);

/*
 * Reads the tracked files of one job in key order, on a runner's thread, while the scheduler's
 * thread writes: a snapshot as of begin(). One thread at a time.
 */
struct file_reader;

struct file_reader_ops {
    /* From the first key >= `from` (NULL: the first of all) of the job. */
    bool (*begin)(struct file_reader *r, int64_t job_id, const char *from, struct err *err);
    /* 1: *ret is filled, its key borrowed until the next call; 0: no more; -1: err. */
    int (*next)(struct file_reader *r, struct file_mark *ret, struct err *err);
    void (*end)(struct file_reader *r); /* of what begin() began; also when it failed */
    void (*close)(struct file_reader *r);
};

#define _cleanup_file_marks_ _cleanup_(file_marks_fini)
#define _cleanup_bad_file_   _cleanup_(bad_file_fini)

#endif
