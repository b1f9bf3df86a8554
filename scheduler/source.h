/*
 * A source plans ranges and describes them; it never loads. One kind of source is one
 * `const struct source_ops` (sources/s3_source.c), chosen by the name of the table function in the
 * job's INSERT; main injects the table of them into the scheduler.
 *
 * plan() and check() run on a runner thread and may block until the deadline; everything else is
 * cheap and pure. A struct source is used by one runner at a time.
 */
#ifndef SCHEDULER_SOURCE_H
#define SCHEDULER_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/cancel.h"
#include "scheduler/explain.h"
#include "scheduler/spec.h"

enum plan_result {
    PLAN_RANGE, /* ret is filled */
    PLAN_EMPTY, /* nothing new at the source; ret->end_offset may be filled */
    PLAN_END,   /* nothing new, and there never will be: the job is FINISHED */
    PLAN_FAIL,  /* err is filled; try again later */
};

/* A range of the source: what one task loads. All texts owned, JSON. */
struct plan {
    char *range;          /* everything rewrite() needs, and nothing that may change later */
    char *offset_after;   /* the committed offset once the range is loaded */
    char *running_offset; /* for tasks().RunningOffset */
    char *end_offset;     /* newest offset known at the source; NULL when unknown */
    int64_t n_files;
    int64_t n_bytes;
    bool has_more; /* the next plan will find something at once */
};

/* What the FE can do, as far as a rewrite depends on it; filled by the sink's check(). */
struct fe_traits {
    int version; /* 2000 for 2.0, 2001 for 2.1, 3000, 4000, 4001; 0 = unknown, assume the least */
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

    /* The range after `offset` (JSON, NULL = from the beginning). */
    enum plan_result (*plan)(struct source *s, const char *offset, const struct fe_traits *fe,
                             int64_t deadline_us, const struct cancel *cancel, struct plan *ret,
                             struct err *err);

    /*
     * The user's INSERT with `range` put into the table function's call and, unless `label` is
     * NULL, WITH LABEL put in its place; no other byte differs. Pure. The caller owns the text.
     */
    char *(*rewrite)(const struct source *s, const char *range, const char *label, struct err *err);

    /* The committed offset that property "offset" of CREATE or ALTER JOB means. Pure. */
    bool (*parse_offset)(const char *text, char **ret_offset, struct err *err);
    /*
     * For EXPLAIN CREATE JOB: plan() as the job's first task would, and what a user wants to know of
     * the source and of the properties that are its own, in lines. A failure is a line, too.
     */
    enum plan_result (*explain)(struct source *s, const char *offset, const struct fe_traits *fe,
                                int64_t deadline_us, const struct cancel *cancel, struct plan *ret,
                                struct explain *e);

    /* Is the one offset behind the other in the source, both as stored or as shown? Pure. */
    bool (*is_later)(const char *offset, const char *than);

    /* `offset` (the stored form) as CurrentOffset of jobs() shows it; the caller owns the text. */
    char *(*show_offset)(const char *offset);
};

void plan_fini(struct plan *p);

#endif
