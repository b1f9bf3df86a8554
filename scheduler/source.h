/*
 * A source plans ranges and describes them; it never loads. One kind of source is one
 * `const struct source_ops` (sources/s3_source.c), chosen by the name of the table function in the
 * job's INSERT; main injects the table of them into the scheduler.
 *
 * plan(), verify(), check() and explain() run on a runner thread and may block until the deadline;
 * everything else is cheap and pure. A struct source is used by one runner at a time.
 */
#ifndef SCHEDULER_SOURCE_H
#define SCHEDULER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/cancel.h"
#include "scheduler/explain.h"
#include "scheduler/files.h"
#include "scheduler/spec.h"

enum plan_result {
    PLAN_RANGE,   /* ret is filled */
    PLAN_ASIDE,   /* ret->bad: files that Doris cannot read at all; offset_after lies behind them */
    PLAN_EMPTY,   /* nothing new at the source; ret->end_offset may be filled */
    PLAN_END,     /* nothing new, and there never will be: the job is FINISHED */
    PLAN_REFUSED, /* err: something that a user has to decide about; trying again changes nothing */
    PLAN_FAIL,    /* err is filled; try again later */
};

/* Files that were seen and are not loaded: the latest count of a whole look. -1: not known (yet). */
struct source_watch {
    int64_t n_late;        /* behind the offset, and newer than the task that passed them */
    int64_t n_overwritten; /* loaded, and another content since; -1 where they count as late */
};

/* A range of the source: what one task loads. All texts owned, JSON. */
struct plan {
    char *range;          /* everything rewrite() needs, and nothing that may change later */
    char *offset_after;   /* the committed offset once the range is loaded */
    char *running_offset; /* for tasks().RunningOffset */
    char *end_offset;     /* newest offset known at the source; NULL when unknown */
    int64_t n_files;
    int64_t n_bytes;
    bool has_more;        /* the next plan will find something at once */
    bool is_retry;        /* a bad file that is tried again: offset_after is the offset as it was */
    struct bad_file *bad; /* owned; of PLAN_ASIDE */
    size_t n_bad;
    struct file_marks marks; /* of PLAN_ASIDE: to be remembered with them */
    struct source_watch watch;
};

/* What the FE can do, as far as plans and decisions depend on it; filled by the sink's traits(). */
struct fe_traits {
    int version; /* 2000 for 2.0, 2001 for 2.1, 3000, 4000, 4001; 0 = unknown, assume the least */
    /* Its configuration, 0 where the service account may not read it. */
    int64_t label_keep_s; /* streaming_label_keep_max_second */
    int64_t label_num;    /* label_num_threshold: finished transactions kept of a database */
};

/* A task that succeeded: everything before `offset` was passed by then. */
struct plan_pass {
    const char *offset; /* borrowed; as offset_after of the task */
    int64_t at_ms;      /* wall clock, when its range had been planned */
};

/* All borrowed for the call. */
struct plan_request {
    const char *offset; /* the committed one; NULL = from the beginning */
    const struct fe_traits *fe;
    int64_t job_id;
    int64_t max_files; /* 0: as the job's properties say; fewer while bad files are searched for */
    const struct bad_file *bad; /* set aside so far, by key; one that is_retried is planned first */
    size_t n_bad;
    const struct plan_pass *passes; /* oldest first; those that are still known */
    size_t n_passes;
    const struct file_reader_ops *reader_ops;
    struct file_reader *reader; /* NULL: the source does not track (is_tracking()) */
    int64_t deadline_us;
    const struct cancel *cancel;
};

enum verify_result {
    VERIFY_SAME,
    VERIFY_CHANGED, /* err: which file is gone, or has another ETag or size, and since when */
    VERIFY_FAIL,    /* the source cannot be asked: err */
};

struct source;

struct source_ops {
    const char *tvf; /* lower-case name of the table function */

    /*
     * Reads and checks the table function's and the job's properties; no I/O. `spec` is borrowed
     * and outlives the source. NULL on failure.
     */
    struct source *(*create)(const struct job_spec *spec, struct err *err);
    void (*destroy)(struct source *s);

    /*
     * Reaches the source once: credentials, bucket, listing. An empty source is no failure. On
     * success *ret_is_empty tells whether plan() would find anything now.
     */
    bool (*check)(struct source *s, int64_t deadline_us, const struct cancel *cancel,
                  bool *ret_is_empty, struct err *err);

    /* Does the job need a reader of its tracked files to plan? Pure. */
    bool (*is_tracking)(const struct source *s);
    /* The range that comes next. */
    enum plan_result (*plan)(struct source *s, const struct plan_request *request, struct plan *ret,
                             struct err *err);
    /* Are the files of a range still what they were when it was planned? */
    enum verify_result (*verify)(struct source *s, const char *range, int64_t deadline_us,
                                 const struct cancel *cancel, struct err *err);
    /*
     * What to remember when the range was loaded, or, is_bad, when its one file is set aside; then
     * *ret_bad is that file with everything but reason, task_id and at_ms. Pure.
     */
    bool (*marks)(const struct source *s, const char *range, bool is_bad, struct file_marks *ret,
                  struct bad_file *ret_bad, struct err *err);
    /* Bad files of this job are set aside (else they pause it). Pure. */
    bool (*sets_aside)(const struct source *s);

    /*
     * The user's INSERT with `range` put into the table function's call and, unless `label` is
     * NULL, WITH LABEL put in its place ("" takes out the one the user wrote); no other byte differs.
     * Pure. The caller owns the text.
     */
    char *(*rewrite)(const struct source *s, const char *range, const char *label, struct err *err);

    /* The committed offset that property "offset" of CREATE or ALTER JOB means. Pure. */
    bool (*parse_offset)(const char *text, char **ret_offset, struct err *err);
    /*
     * For EXPLAIN CREATE JOB: plan() as the job's first task would, and what a user wants to know of
     * the source and of the properties that are its own, in lines. A failure is a line, too.
     */
    enum plan_result (*explain)(struct source *s, const struct plan_request *request,
                                struct plan *ret, struct explain *e);

    /* Is the one offset behind the other in the source, both as stored or as shown? Pure. */
    bool (*is_later)(const char *offset, const char *than);

    /* `offset` (the stored form) as CurrentOffset of jobs() shows it; the caller owns the text. */
    char *(*show_offset)(const char *offset);
};

void plan_fini(struct plan *p);

#endif
