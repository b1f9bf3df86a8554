/* What of a job other threads and users see: its view and its sentences. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

/* Of a job that is PAUSED as by the user; kept with the job, so that it is known again. */
static const char resolved[] = "The task in doubt was resolved; RESUME JOB goes on";
static const char altered[] = "The job was altered; RESUME JOB goes on";

static char *copy_text(const char *text)
{
    return text != NULL ? xstrdup(text) : NULL;
}

struct job_view *sched_job_view(struct job *j)
{
    if (j->view != NULL) {
        return job_view_ref(j->view);
    }
    struct job_view *v = xcalloc(1, sizeof(*v));
    atomic_init(&v->n_refs, 1);
    job_record_copy(&j->rec, &v->rec);
    if (j->rec.offset != NULL && j->body != NULL) {
        free(v->rec.offset);
        v->rec.offset = j->body->ops->show_offset(j->rec.offset);
    }
    v->end_offset = copy_text(j->end_offset);
    v->runtime_msg = copy_text(j->runtime_msg);
    v->tasks = xcalloc(j->n_tasks + 1, sizeof(struct task_view *));
    for (size_t i = 0; i < j->n_tasks; i++) {
        v->tasks[v->n_tasks++] = task_view_ref(j->tasks[i]);
    }
    if (j->task.id != 0) {
        v->tasks[v->n_tasks++] = task_view_create(&j->task);
    }
    v->guarantee = sched_job_guarantee(j);
    v->watch = j->watch;
    v->bad = bad_view_ref(sched_files_view(j));
    v->evidence = sched_job_evidence(j);
    j->view = job_view_ref(v);
    return v;
}

enum guarantee sched_job_guarantee(const struct job *j)
{
    return j->body != NULL ? spec_guarantee(j->body->spec) : GUARANTEE_LABEL;
}

/* "Doris said UNKNOWN at …: …", of a label; the caller owns it. */
static char *answer_text(const struct answer *a)
{
    if (!a->is_given) {
        return xstrdup("it was not asked");
    }
    _cleanup_free_ char *when = explain_time(a->wall_ms);
    return xasprintf("Doris said %s at %s%s%s", label_state_name(a->state), when,
                     a->text != NULL ? ": " : "", a->text != NULL ? a->text : "");
}

static char *witness_text(const struct job *j)
{
    if (j->witness.task_id == 0) {
        return xstrdup("No earlier success of this database is known whose label could tell how "
                       "far back Doris remembers");
    }
    _cleanup_free_ char *said = answer_text(&j->witness_answer);
    return xasprintf("Of label %" PRId64 "_%" PRId64 ", the newest success of the database before "
                     "it, %s",
                     j->witness.job_id, j->witness.task_id, said);
}

char *sched_job_window_text(const struct job *j)
{
    const struct step_config *config = &j->sched->options.step;
    bool is_of_fe = j->step.fe_window_ms > 0 && j->step.fe_window_ms < config->label_window_ms;
    _cleanup_free_ char *time = explain_span_ms(step_window_ms(&j->step, config));
    return xasprintf("%s (%s) and fewer than %" PRId64 " transactions (%s)", time,
                     is_of_fe ? "a quarter of the FE's streaming_label_keep_max_second"
                              : "scheduler.label_window",
                     step_window_txns(&j->step),
                     j->step.fe_max_txns > 0 ? "a quarter of the FE's label_num_threshold"
                                             : "a quarter of Doris's default, the FE's own is not "
                                               "known");
}

/* Of the open task itself: what became of its label, or the answer that its load was refused with. */
static char *said_text(const struct job *j)
{
    if (!j->task_answer.is_given && err_is_set(&j->last_err)) {
        return xasprintf("To its load Doris said: %s", j->last_err.msg);
    }
    _cleanup_free_ char *said = answer_text(&j->task_answer);
    return xasprintf("Of its label, %s", said);
}

/* How much of the label window is used up; the caller owns it. */
static char *used_text(const struct job *j)
{
    const struct answer *answer = &j->task_answer;
    int64_t age_ms = answer->is_given ? answer->wall_ms - j->task.create_ms : -1;
    _cleanup_free_ char *age = age_ms >= 0 ? explain_span_ms(age_ms) : NULL;
    _cleanup_free_ char *remembered =
        j->step.n_remembered > 0
            ? xasprintf(", and the database remembers %" PRId64, j->step.n_remembered)
            : NULL;
    return xasprintf("%s%s%s%" PRId64 " transactions were seen since the last proof%s",
                     age != NULL ? "it was asked " : "", age != NULL ? age : "",
                     age != NULL ? " after the task began, " : "",
                     j->step.newest_txn - j->step.proof_txn, remembered != NULL ? remembered : "");
}

/* What was asked, and answered; the caller owns it. */
static char *findings_text(const struct job *j)
{
    const char *kept =
        j->rec.fail_msg != NULL ? strstr(j->rec.fail_msg, SCHED_EVIDENCE_MARK) : NULL;
    if (!j->task_answer.is_given && kept != NULL) { /* of an earlier life, stored with the job */
        return xstrdup(kept + strlen(SCHED_EVIDENCE_MARK));
    }
    const struct answer *answer = &j->task_answer;
    bool is_known = j->step.fail_code == FAIL_LABEL_TAKEN;
    bool is_by_label = !is_known && (sched_job_guarantee(j) == GUARANTEE_LABEL ||
                                     (answer->is_given && answer->state == LABEL_UNKNOWN));
    _cleanup_free_ char *said = said_text(j);
    if (!is_by_label) {
        return xstrdup(said); /* labels of others and their window prove nothing here */
    }
    _cleanup_free_ char *witness = witness_text(j);
    _cleanup_free_ char *window = sched_job_window_text(j);
    _cleanup_free_ char *used = used_text(j);
    return xasprintf("%s. %s. A label that Doris does not know counts as not loaded within %s; %s",
                     said, witness, window, used);
}

char *sched_job_evidence(const struct job *j)
{
    if (j->step.phase != PHASE_DOUBT || j->task.id == 0) {
        return NULL;
    }
    _cleanup_free_ char *findings = findings_text(j);
    _cleanup_free_ char *begun = explain_time(j->task.create_ms);
    return xasprintf("Task %" PRId64 ", range %s, label %s of database %s, begun %s. %s",
                     j->task.id, sched_job_range(j), j->task.label, j->rec.target_db, begun,
                     findings);
}

const char *sched_job_range(const struct job *j)
{
    return j->task.running_offset != NULL ? j->task.running_offset : j->task.range;
}

static char *doubt_text(const struct job *j, const char *what, const char *advice)
{
    _cleanup_free_ char *quoted = quote_name(j->rec.name);
    _cleanup_free_ char *name = quote_text(j->rec.name);
    _cleanup_free_ char *findings = findings_text(j);
    return xasprintf("%s Task %" PRId64 ", label %s, range %s. Look into %s.%s whether these rows "
                     "are there. If they are: ALTER JOB %s RESOLVE TASK %" PRId64 " AS COMMITTED; "
                     "if not: ALTER JOB %s RESOLVE TASK %" PRId64 " AS ABORTED. Then "
                     "RESUME JOB WHERE jobName = %s%s%s%s",
                     what, j->task.id, j->task.label, sched_job_range(j), j->rec.target_db,
                     j->rec.target_table, quoted, j->task.id, quoted, j->task.id, name, advice,
                     SCHED_EVIDENCE_MARK, findings);
}

/* Refused for its rows, or for what only a user can change. */
static char *run_error_text(const struct job *j)
{
    const struct step_config *config = &j->sched->options.step;
    _cleanup_free_ char *quoted = quote_name(j->rec.name);
    _cleanup_free_ char *name = quote_text(j->rec.name);
    if (j->step.fail_code == FAIL_GET_REMOTE_DATA) {
        return xasprintf("Failed to fetch meta, %s", j->last_err.msg);
    }
    if (j->step.fail_code == FAIL_TOO_MANY_ROWS && j->step.sets_aside &&
        j->step.n_bad >= config->max_bad) {
        return xasprintf("%" PRId64 " files in a row were set aside and none was loaded between "
                         "them: rather than the files, the statement or the table is at fault, so "
                         "no more are set aside. RESUME JOB WHERE jobName = %s goes on and sets "
                         "aside up to %" PRId64 " more; ALTER JOB %s RETRY ALL FILES tries those "
                         "again. Last error: %s",
                         j->step.n_bad, name, config->max_bad, quoted, j->last_err.msg);
    }
    if (j->task.id != 0) {
        return xasprintf("%s; task %" PRId64 ", range %s", j->last_err.msg, j->task.id,
                         sched_job_range(j));
    }
    return xstrdup(j->last_err.msg);
}

/* The error that had PAUSED the job already stays readable. */
static char *held_text(const struct job *j, const char *text)
{
    return j->rec.fail_msg != NULL ? xasprintf("%s (before: %s)", text, j->rec.fail_msg)
                                   : xstrdup(text);
}

char *sched_job_altered_text(const struct job *j)
{
    return held_text(j, altered);
}

char *sched_job_reason_text(const struct job *j, enum step_reason reason)
{
    switch (reason) {
    case WHY_NONE: return NULL;
    case WHY_RUN_ERROR: return run_error_text(j);
    case WHY_MANUAL: return held_text(j, "Job is paused by the user; RESUME JOB goes on");
    case WHY_BUDGET_SPENT:
        return xasprintf("Auto resume failed after %" PRId64 " attempts. Last error: %s",
                         j->step.n_resumes, j->last_err.msg);
    case WHY_LABEL_TAKEN:
        return doubt_text(j,
                          sched_job_guarantee(j) == GUARANTEE_LABEL
                              ? "Doris knows the label of a task that was never sent: the store "
                                "may come from an older backup, or somebody else uses its labels."
                              : "Doris has the label of a task that was never sent, or an offset "
                                "row of it or of a later one: the store may come from an older "
                                "backup, or somebody else uses its labels or writes to the offset "
                                "table.",
                          "");
    case WHY_LABEL_FORGOTTEN:
        return doubt_text(j,
                          "A load was interrupted and Doris does not know its label: it was never "
                          "loaded, or loaded and forgotten since.",
                          "; RESUME JOB alone asks Doris again");
    case WHY_STORE: return xasprintf("The store refused a write: %s", j->last_err.msg);
    case WHY_STALE:
        return xstrdup("Another Sluice has taken over this store; this one stopped the job. "
                       "Stop one of the two");
    case WHY_RESOLVED: return xstrdup(resolved);
    }
    return NULL;
}

const char *sched_job_pause_text(const struct job *j)
{
    const char *msg = j->rec.fail_msg != NULL ? j->rec.fail_msg : "";
    if (strcmp(msg, resolved) == 0) {
        return "after RESOLVE TASK";
    }
    return strncmp(msg, altered, sizeof(altered) - 1) == 0 ? "after ALTER JOB" : "by the user";
}

char *sched_job_label_text(const struct job *j, const struct run *run)
{
    switch (run->label_state) {
    case LABEL_UNREACHABLE:
        return xasprintf("Waiting for the FE to tell what became of task %" PRId64 ": %s",
                         j->task.id, run->err.msg);
    case LABEL_COMMITTED:
        return xasprintf("Waiting for Doris to publish task %" PRId64 ", label %s is COMMITTED",
                         j->task.id, run->label);
    case LABEL_PREPARE:
    case LABEL_PRECOMMITTED:
        return xasprintf("Waiting for an interrupted statement of task %" PRId64 ", label %s is "
                         "%s; it ends by itself, and with doris.http set Sluice aborts it when "
                         "that takes long",
                         j->task.id, run->label, label_state_name(run->label_state));
    case LABEL_UNKNOWN:
    case LABEL_ABSENT:
    case LABEL_ABORTED:
        if (j->step.is_canceled) {
            return xasprintf("Task %" PRId64 " is being canceled. While a statement of it whose "
                             "answer was lost may still begin, Doris is asked for label %s again; "
                             "%s",
                             j->task.id, run->label,
                             j->step.state == JOB_PAUSED
                                 ? "RESUME JOB takes the task up again at once"
                                 : "PAUSE JOB and then RESUME JOB take the cancellation back");
        }
        if (j->step.is_changed || j->step.is_data_error) {
            return xasprintf("Task %" PRId64 " was not loaded (%s) and is closed as soon as no "
                             "statement of it can be left whose answer was lost; until then Doris "
                             "is asked for label %s again",
                             j->task.id, j->last_err.msg, run->label);
        }
        break;
    case LABEL_VISIBLE: break;
    }
    return NULL;
}
