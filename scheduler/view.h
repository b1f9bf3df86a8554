/*
 * Jobs and tasks as other threads see them: immutable snapshots, shared by counting references.
 * The scheduler's thread makes them; any thread may read, hold and drop them. A job's view is made
 * anew only when the job changed, so a snapshot of ten thousand idle jobs copies ten thousand
 * pointers.
 */
#ifndef SCHEDULER_VIEW_H
#define SCHEDULER_VIEW_H

#include <stdatomic.h>
#include <stddef.h>

#include "scheduler/files.h"
#include "scheduler/record.h"
#include "scheduler/source.h"
#include "scheduler/spec.h"

/* The bad files of a job, by key. Made anew only when one is added, removed or decided about. */
struct bad_view {
    _Atomic int n_refs;
    struct bad_file *files; /* owned */
    size_t n_files;
};

struct task_view {
    _Atomic int n_refs;
    struct task_record rec;
};

struct job_view {
    _Atomic int n_refs;
    struct job_record rec;    /* rec.offset in the form that CurrentOffset shows */
    char *end_offset;         /* NULL when unknown */
    char *runtime_msg;        /* NULL when none */
    struct task_view **tasks; /* oldest first; the open one last */
    size_t n_tasks;
    enum guarantee guarantee;
    struct source_watch watch; /* -1: not known */
    struct bad_view *bad;      /* a reference; NULL: none */
    /*
     * Of a task that is in doubt: its range and label, what was asked and answered, the window that
     * was in force; one sentence. NULL when none is.
     */
    char *evidence;
};

struct snapshot {
    struct job_view **jobs; /* by id */
    size_t n_jobs;
};

/* Copies the record. */
struct task_view *task_view_create(const struct task_record *rec);
struct task_view *task_view_ref(struct task_view *v);
void task_view_unref(struct task_view *v); /* NULL is accepted */
/* Copies the files. */
struct bad_view *bad_view_create(const struct bad_file *files, size_t n_files);
struct bad_view *bad_view_ref(struct bad_view *v); /* NULL is accepted */
void bad_view_unref(struct bad_view *v);           /* NULL is accepted */
struct job_view *job_view_ref(struct job_view *v);
void job_view_unref(struct job_view *v);   /* NULL is accepted */
void snapshot_destroy(struct snapshot *s); /* NULL is accepted */

#endif
