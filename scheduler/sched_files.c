/* Bad files of a job: set aside, shown, and decided about by users. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

/* --- the list ----------------------------------------------------------------------------------- */

static void changed(struct job *j)
{
    bad_view_unref(take_ptr(j->bad_view));
}

static void count_aside(const struct job *j, int64_t n)
{
    atomic_fetch_add(&j->sched->counters.files_aside, n);
}

static int64_t known(int64_t n)
{
    return n > 0 ? n : 0;
}

void sched_files_watch(struct job *j, const struct source_watch *watch)
{
    struct sched_counters *c = &j->sched->counters;
    atomic_fetch_add(&c->files_late, known(watch->n_late) - known(j->watch.n_late));
    atomic_fetch_add(&c->files_overwritten,
                     known(watch->n_overwritten) - known(j->watch.n_overwritten));
    j->watch = *watch;
}

/* Where the key is, or belongs. */
static size_t find_place(const struct job *j, const char *key, bool *ret_is_there)
{
    size_t low = 0;
    size_t high = j->n_bad;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(j->bad[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *ret_is_there = low < j->n_bad && strcmp(j->bad[low].key, key) == 0;
    return low;
}

static struct bad_file *find_file(struct job *j, const char *key)
{
    bool is_there = false;
    size_t i = find_place(j, key, &is_there);
    return is_there ? &j->bad[i] : NULL;
}

void sched_files_put(struct job *j, const struct bad_file *file)
{
    bool is_there = false;
    size_t i = find_place(j, file->key, &is_there);
    if (is_there) {
        bad_file_fini(&j->bad[i]);
    } else {
        if (j->n_bad == j->bad_size) {
            j->bad_size = j->bad_size > 0 ? j->bad_size * 2 : 4;
            j->bad = xrealloc_array(j->bad, j->bad_size, sizeof(*j->bad));
        }
        memmove(&j->bad[i + 1], &j->bad[i], (j->n_bad - i) * sizeof(*j->bad));
        j->n_bad++;
        count_aside(j, 1);
    }
    bad_file_copy(file, &j->bad[i]);
    changed(j);
}

void sched_files_remove(struct job *j, const char *key)
{
    bool is_there = false;
    size_t i = find_place(j, key, &is_there);
    if (is_there) {
        bad_file_fini(&j->bad[i]);
        memmove(&j->bad[i], &j->bad[i + 1], (j->n_bad - i - 1) * sizeof(*j->bad));
        j->n_bad--;
        count_aside(j, -1);
        changed(j);
    }
}

void sched_files_fini(struct job *j)
{
    for (size_t i = 0; i < j->n_bad; i++) {
        bad_file_fini(&j->bad[i]);
    }
    count_aside(j, -(int64_t)j->n_bad);
    sched_files_watch(j, &(struct source_watch){0});
    free(j->bad);
    j->bad = NULL;
    j->n_bad = 0;
    j->bad_size = 0;
    changed(j);
}

struct bad_view *sched_files_view(struct job *j)
{
    if (j->bad_view == NULL && j->n_bad > 0) {
        j->bad_view = bad_view_create(j->bad, j->n_bad);
    }
    return j->bad_view;
}

bool sched_files_wants_aside(const struct job *j)
{
    return j->body != NULL && j->body->ops->sets_aside(j->body->source);
}

bool sched_files_has_room(const struct job *j, size_t n)
{
    return j->n_bad + n <= SCHED_MOST_BAD;
}

int64_t sched_files_in_a_row(const struct job *j)
{
    int64_t n = 0;
    for (size_t i = 0; i < j->n_bad; i++) {
        n += j->bad[i].task_id > j->rec.committed_task_id;
    }
    return n;
}

void sched_files_log(const struct job *j, const char *event, const struct bad_file *file)
{
    log_warn(event, "job", j->rec.name, "file", file->key, "task",
             LOG_FMT("%" PRId64, file->task_id), "user", j->actor, "reason", file->reason, NULL);
}

/* --- RETRY FILE, SKIP FILE ------------------------------------------------------------------------ */

static bool may_decide(struct job *j, const struct sched_request *r, struct err *err)
{
    const char *name = j->rec.name;
    bool is_over = j->step.state == JOB_FINISHED || j->step.state == JOB_STOPPED;
    if (j->n_bad == 0) {
        return err_say(
            err,
            "errCode = 2, detailMessage = Job %s has no file that is set aside: there is "
            "nothing to %s",
            name, r->is_retry ? "retry" : "skip");
    }
    if (r->file_key != NULL && find_file(j, r->file_key) == NULL) {
        _cleanup_free_ char *key = quote_text(r->file_key);
        _cleanup_free_ char *quoted = quote_name(name);
        return err_say(err,
                       "errCode = 2, detailMessage = Job %s has not set aside a file %s. EXPLAIN "
                       "JOB %s lists the %zu it has, with their whole keys",
                       name, key, quoted, j->n_bad);
    }
    if (r->is_retry && is_over) {
        return err_say(err,
                       "errCode = 2, detailMessage = Job %s is %s and loads nothing any more. Load "
                       "the file by an INSERT of your own, and SKIP FILE it here",
                       name, job_state_name(j->step.state));
    }
    return true;
}

static enum store_result store_decision(struct job *j, const struct sched_request *r,
                                        struct err *err)
{
    const struct sched_options *o = &j->sched->options;
    return o->store_ops->file_decide(o->store, j->rec.id, r->file_key,
                                     r->is_retry ? FILE_RETRY : FILE_SKIP, err);
}

static void log_decision(const struct job *j, const struct sched_request *r,
                         const struct bad_file *file)
{
    sched_files_log(j, r->is_retry ? "file.retried" : "file.skipped", file);
}

/* In memory as in the store. */
static void take_decision(struct job *j, struct sched_request *r)
{
    r->n_files = 0;
    for (size_t i = j->n_bad; i-- > 0;) {
        struct bad_file *file = &j->bad[i];
        if (r->file_key != NULL && strcmp(file->key, r->file_key) != 0) {
            continue;
        }
        r->n_files++;
        log_decision(j, r, file);
        if (r->is_retry) {
            file->is_retried = true;
        }
    }
    if (!r->is_retry && r->file_key != NULL) {
        sched_files_remove(j, r->file_key);
    } else if (!r->is_retry) {
        sched_files_fini(j);
    }
    changed(j);
}

/*
 * A plan under way was made of the files as they were: it would load one that is skipped by now, or
 * end a job that has one to load yet. Another one follows at once.
 */
static void plan_anew(struct job *j)
{
    if (j->step.phase == PHASE_PLANNING && j->run != NULL) {
        cancel_raise(&j->run->cancel);
    }
}

/* One that waits for its next look at the source looks at once. */
static void hurry(struct job *j)
{
    bool is_active = j->step.state == JOB_PENDING || j->step.state == JOB_RUNNING;
    if (is_active && j->step.phase == PHASE_IDLE && wheel_timer_is_set(&j->timer)) {
        sched_arm(j->sched, j, 0);
    }
}

bool sched_file_decide(struct job *j, struct sched_request *r)
{
    if (!may_decide(j, r, &r->err)) {
        return false;
    }
    switch (store_decision(j, r, &r->err)) {
    case STORE_OK: break;
    case STORE_FAIL: return err_prefix(&r->err, "Nothing was done for job %s: ", j->rec.name);
    case STORE_STALE:
    case STORE_DUPLICATE:
        return err_say(&r->err,
                       "Nothing was done for job %s: another Sluice has taken over the store",
                       j->rec.name);
    }
    take_decision(j, r);
    sched_job_say(j, take_ptr(j->runtime_msg)); /* its view is made anew */
    plan_anew(j);
    if (r->is_retry) {
        hurry(j);
    }
    return true;
}
