/*
 * What is known of Doris's transactions: the newest id that any answer told, the newest success of
 * each database (the witness), and how long the FE remembers labels. Ids are global and rise, so
 * that two of them bound how many transactions lie between.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

/* Of what the FE remembers a quarter is relied on: its clock and its count are not ours. */
enum { MARGIN = 4 };

static int64_t id_of(const char *text)
{
    int64_t id = 0;
    return text != NULL && span_to_int64(span_of(text), 1, INT64_MAX, &id) ? id : 0;
}

void sched_txn_see(struct sched *s, const char *text)
{
    int64_t id = id_of(text);
    s->newest_txn = id > s->newest_txn ? id : s->newest_txn;
}

void sched_txn_see_own(struct job *j, const char *text)
{
    struct sched *s = j->sched;
    int64_t id = id_of(text);
    if (id != 0 && id <= j->task.txn_before) {
        log_warn("fe.went_back", "job", j->rec.name, "label", j->task.label, "transaction", text,
                 "before", LOG_FMT("%" PRId64, j->task.txn_before), NULL);
        s->newest_txn = id; /* lower than what was proved with: no such proof is young any more */
        return;
    }
    sched_txn_see(s, text);
}

void sched_txn_see_traits(struct sched *s, const struct run *run)
{
    if (run->has_traits) {
        s->fe = run->traits;
    }
}

void sched_txn_update(struct job *j)
{
    const struct sched *s = j->sched;
    j->step.newest_txn = s->newest_txn;
    j->step.fe_window_ms = s->fe.label_keep_s * 1000 / MARGIN;
    j->step.fe_max_txns = s->fe.label_num / MARGIN;
    if (s->fe.label_num > 0 && j->step.fe_max_txns == 0) { /* too few to have a margin */
        j->step.fe_max_txns = 1;                           /* 0 would be: not known */
        j->step.n_remembered = j->step.n_remembered > 0 ? j->step.n_remembered : 1;
    }
}

/* --- the witness -------------------------------------------------------------------------------- */

static struct witness *find_witness(const struct sched *s, const char *db)
{
    for (size_t i = 0; i < s->n_witnesses; i++) {
        if (strcmp(s->witnesses[i].db, db) == 0) {
            return &s->witnesses[i];
        }
    }
    return NULL;
}

static struct witness of_task(const struct task_record *task)
{
    return (struct witness){
        .job_id = task->job_id,
        .task_id = task->id,
        .finish_ms = task->finish_ms,
        .txn = id_of(task->txn_id),
    };
}

static void put_witness(struct sched *s, const char *db, const struct task_record *task)
{
    struct witness *w = find_witness(s, db);
    if (w == NULL) {
        s->witnesses = xrealloc_array(s->witnesses, s->n_witnesses + 1, sizeof(*s->witnesses));
        w = &s->witnesses[s->n_witnesses++];
        *w = (struct witness){.db = xstrdup(db)};
    }
    char *owned = w->db;
    *w = of_task(task);
    w->db = owned;
}

void sched_txn_succeeded(struct job *j, const struct task_record *task)
{
    if (task->txn_id != NULL) {
        put_witness(j->sched, j->rec.target_db, task);
    }
}

static void set_witness(struct job *j, const struct witness *w)
{
    j->witness = *w;
    j->witness.db = NULL;
    j->step.has_witness = w->task_id != 0;
    j->step.witness_ms = w->finish_ms;
}

void sched_txn_begin(struct job *j)
{
    static const struct witness none = {0};
    const struct witness *w = find_witness(j->sched, j->rec.target_db);
    set_witness(j, w != NULL ? w : &none);
}

/*
 * Did the i-th task end before that INTENT for certain? Of the same job, by its id. Of another one
 * when a next task had begun by then. Which of two tasks began first no clock tells, since it may
 * have jumped, but the newest transaction that was known: that only rises, unless the FE comes back
 * from an old image. So both have to say it.
 */
static bool is_before(const struct job *j, size_t i, const struct task_record *open)
{
    const struct task_record *success = &j->tasks[i]->rec;
    const struct task_record *next = i + 1 < j->n_tasks ? &j->tasks[i + 1]->rec : &j->task;
    if (success->job_id == open->job_id) {
        return success->id < open->id;
    }
    return next->id > success->id && next->txn_before < open->txn_before &&
           success->finish_ms < open->create_ms;
}

/* The newest of the job that is before `open`, or before nothing with NULL; none: NULL. */
static const struct task_record *last_success(const struct job *j, const struct task_record *open)
{
    for (size_t i = j->n_tasks; i-- > 0;) {
        const struct task_record *t = &j->tasks[i]->rec;
        if (t->state == TASK_SUCCESS && t->txn_id != NULL &&
            (open == NULL || is_before(j, i, open))) {
            return t;
        }
    }
    return NULL;
}

static void restore_witness(struct sched *s, struct job *j)
{
    struct witness best = {0};
    for (size_t i = 0; i < s->n_jobs; i++) {
        if (strcmp(s->jobs[i]->rec.target_db, j->rec.target_db) != 0) {
            continue;
        }
        const struct task_record *t = last_success(s->jobs[i], &j->task);
        if (t != NULL && (best.task_id == 0 || t->finish_ms > best.finish_ms)) {
            best = of_task(t);
        }
    }
    set_witness(j, &best);
}

static void see_tasks(struct sched *s, const struct job *j)
{
    for (size_t i = 0; i < j->n_tasks; i++) {
        const struct task_record *t = &j->tasks[i]->rec;
        sched_txn_see(s, t->txn_id);
        s->newest_txn = t->txn_before > s->newest_txn ? t->txn_before : s->newest_txn;
    }
    sched_txn_see(s, j->task.txn_id);
    s->newest_txn = j->task.txn_before > s->newest_txn ? j->task.txn_before : s->newest_txn;
}

void sched_txn_restore(struct sched *s)
{
    for (size_t i = 0; i < s->n_jobs; i++) {
        const struct job *j = s->jobs[i];
        const struct task_record *t = last_success(j, NULL);
        const struct witness *w = find_witness(s, j->rec.target_db);
        see_tasks(s, j);
        if (t != NULL && (w == NULL || t->finish_ms > w->finish_ms)) {
            put_witness(s, j->rec.target_db, t);
        }
    }
    for (size_t i = 0; i < s->n_jobs; i++) {
        if (s->jobs[i]->task.id != 0) {
            restore_witness(s, s->jobs[i]);
        }
    }
}

void sched_txn_fini(struct sched *s)
{
    for (size_t i = 0; i < s->n_witnesses; i++) {
        free(s->witnesses[i].db);
    }
    free(s->witnesses);
    s->witnesses = NULL;
    s->n_witnesses = 0;
}

/* --- answers ------------------------------------------------------------------------------------ */

void sched_answer_fini(struct answer *a)
{
    free(a->text);
    *a = (struct answer){0};
}

void sched_answer_set(struct answer *a, const struct run *run)
{
    const char *text = run->label_report.evidence;
    if (text == NULL && err_is_set(&run->err)) {
        text = run->err.msg;
    }
    sched_answer_fini(a);
    *a = (struct answer){
        .is_given = true,
        .state = run->label_state,
        .wall_ms = clock_wall_ms(),
        .text = text != NULL ? xstrdup(text) : NULL,
    };
}
