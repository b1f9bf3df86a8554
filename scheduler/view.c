#include <assert.h>
#include <stdlib.h>

#include "scheduler/view.h"

struct task_view *task_view_create(const struct task_record *rec)
{
    struct task_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    task_record_copy(rec, &v->rec);
    return v;
}

struct task_view *task_view_ref(struct task_view *v)
{
    atomic_fetch_add_explicit(&v->n_refs, 1, memory_order_relaxed);
    return v;
}

/* True for the last reference; all that others wrote is seen then. */
static bool drop_ref(_Atomic int *n_refs)
{
    int before = atomic_fetch_sub_explicit(n_refs, 1, memory_order_acq_rel);
    assert(before > 0);
    return before == 1;
}

void task_view_unref(struct task_view *v)
{
    if (v != NULL && drop_ref(&v->n_refs)) {
        task_record_fini(&v->rec);
        free(v);
    }
}

struct bad_view *bad_view_create(const struct bad_file *files, size_t n_files)
{
    struct bad_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    v->files = xcalloc(n_files, sizeof(*v->files));
    for (size_t i = 0; i < n_files; i++) {
        bad_file_copy(&files[i], &v->files[v->n_files++]);
    }
    return v;
}

struct bad_view *bad_view_ref(struct bad_view *v)
{
    if (v != NULL) {
        atomic_fetch_add_explicit(&v->n_refs, 1, memory_order_relaxed);
    }
    return v;
}

void bad_view_unref(struct bad_view *v)
{
    if (v == NULL || !drop_ref(&v->n_refs)) {
        return;
    }
    for (size_t i = 0; i < v->n_files; i++) {
        bad_file_fini(&v->files[i]);
    }
    free(v->files);
    free(v);
}

struct job_view *job_view_ref(struct job_view *v)
{
    atomic_fetch_add_explicit(&v->n_refs, 1, memory_order_relaxed);
    return v;
}

void job_view_unref(struct job_view *v)
{
    if (v == NULL || !drop_ref(&v->n_refs)) {
        return;
    }
    for (size_t i = 0; i < v->n_tasks; i++) {
        task_view_unref(v->tasks[i]);
    }
    free(v->tasks);
    job_record_fini(&v->rec);
    free(v->end_offset);
    free(v->runtime_msg);
    bad_view_unref(v->bad);
    free(v->evidence);
    free(v);
}

void snapshot_destroy(struct snapshot *s)
{
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->n_jobs; i++) {
        job_view_unref(s->jobs[i]);
    }
    free(s->jobs);
    free(s);
}
