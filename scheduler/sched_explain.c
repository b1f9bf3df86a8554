/*
 * EXPLAIN JOB: why a job is or is not moving, from what the scheduler knows. Nothing is asked of
 * anybody, so it answers at once, also while the FE or the source hangs.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/sched_private.h"

enum { MOST_FILES = 50 }; /* of those set aside, in lines */

/* --- what is noted as it happens ---------------------------------------------------------------- */

void sched_trace_moved(struct job *j, enum job_state before)
{
    int64_t now_ms = sched_now().mono_ms;
    if (j->step.state != before) {
        j->trace.state_ms = now_ms;
    }
    if (j->step.phase != j->trace.phase || j->trace.phase_ms == 0) {
        j->trace.phase = j->step.phase;
        j->trace.phase_ms = now_ms;
    }
}

void sched_trace_plan(struct job *j, const struct run *run)
{
    struct job_trace *t = &j->trace;
    t->plan_ms = sched_now().mono_ms;
    t->plan = run->plan_result;
    t->is_fe_missing = !run->is_ok;
    t->n_files = run->plan.n_files;
    t->n_bytes = run->plan.n_bytes;
    t->has_more = run->plan.has_more;
    sched_set_text(&t->plan_error, err_is_set(&run->err) ? xstrdup(run->err.msg) : NULL);
}

/* --- the lines ---------------------------------------------------------------------------------- */

/* "2024-05-01 12:00:00 UTC, 3 min 5 s ago"; the caller owns it. */
static char *ago(int64_t wall_ms)
{
    _cleanup_free_ char *time = explain_time(wall_ms);
    _cleanup_free_ char *span = explain_span_ms(clock_wall_ms() - wall_ms);
    return xasprintf("%s, %s ago", time, span);
}

/* "for 12 s (since …)", of a monotonic time in this life of the process. */
static char *since(int64_t mono_ms)
{
    int64_t span_ms = sched_now().mono_ms - mono_ms;
    _cleanup_free_ char *span = explain_span_ms(span_ms);
    _cleanup_free_ char *time = explain_time(clock_wall_ms() - span_ms);
    return xasprintf("for %s (since %s)", span, time);
}

static char *left(int64_t due_mono_ms)
{
    int64_t ms = due_mono_ms - sched_now().mono_ms;
    return ms > 0 ? xasprintf("in %" PRId64 ".%" PRId64 " s", ms / 1000, ms / 100 % 10)
                  : xstrdup("now");
}

/* "1 file, 12 bytes"; the caller owns it. */
static char *files_text(int64_t n_files, int64_t n_bytes)
{
    _cleanup_free_ char *bytes = explain_bytes(n_bytes);
    return xasprintf("%" PRId64 " file%s, %s", n_files, n_files == 1 ? "" : "s", bytes);
}

/* Is the job PAUSED by a problem? Its reason is an ERROR, and further lines on it are not: one each. */
static bool has_reason(const struct job *j)
{
    return j->step.state == JOB_PAUSED && j->step.fail_code != FAIL_MANUAL_PAUSE;
}

/* The evidence of a doubt has a line of its own. The caller owns it. */
static char *reason_text(const struct job *j)
{
    const char *msg = j->rec.fail_msg != NULL ? j->rec.fail_msg : "no reason was stored";
    const char *evidence =
        j->step.phase == PHASE_DOUBT && j->task.id != 0 ? strstr(msg, SCHED_EVIDENCE_MARK) : NULL;
    return evidence != NULL ? xasprintf("%.*s", (int)(evidence - msg), msg) : xstrdup(msg);
}

static void add_state(const struct job *j, struct explain *e)
{
    const char *code = fail_code_name(j->step.fail_code);
    if (j->trace.state_ms == 0) {
        explain_add(e, "state", "%s since before this start of Sluice",
                    job_state_name(j->step.state));
    } else {
        _cleanup_free_ char *for_ms = since(j->trace.state_ms);
        explain_add(e, "state", "%s %s", job_state_name(j->step.state), for_ms);
    }
    if (j->step.state == JOB_PAUSED) {
        _cleanup_free_ char *reason = reason_text(j);
        (has_reason(j) ? explain_fail : explain_add)(e, "reason", "%s: %s", code, reason);
    }
}

/* The caller owns it. */
static char *resume_statement(const struct job *j)
{
    _cleanup_free_ char *name = quote_text(j->rec.name);
    return xasprintf("RESUME JOB WHERE jobName = %s", name);
}

static void add_automatic_resume(const struct job *j, struct explain *e)
{
    const struct step_config *config = &j->sched->options.step;
    _cleanup_free_ char *resume = resume_statement(j);
    if (!wheel_timer_is_set(&j->timer)) {
        explain_add(e, "what resumes it",
                    "by itself, after what is still under way (see phase); %s does it at once",
                    resume);
        return;
    }
    _cleanup_free_ char *in = left(j->trace.due_ms);
    if (j->step.fail_code == FAIL_STORE) {
        explain_add(e, "what resumes it",
                    "by itself %s, as often as it takes for the store to accept writes; %s does it "
                    "at once, PAUSE JOB prevents it",
                    in, resume);
        return;
    }
    explain_add(e, "what resumes it",
                "by itself %s, attempt %" PRId64 " of %" PRId64
                "; %s does it at once and begins to "
                "count anew, PAUSE JOB prevents it",
                in, j->step.n_resumes + 1, config->max_resumes, resume);
}

/* What stands before the RESUME JOB, and behind it. `is_over`: no automatic attempt is left. */
static void advice_of(enum fail_code code, bool is_over, const char **ret_before,
                      const char **ret_behind)
{
    *ret_before = "";
    *ret_behind = "";
    switch (code) {
    case FAIL_TOO_MANY_ROWS:
        *ret_behind = ", after the rows, the target or session.insert_max_filter_ratio and "
                      "session.enable_insert_strict were changed (ALTER JOB): the same files are "
                      "loaded again";
        return;
    case FAIL_CANNOT_RESUME:
        *ret_behind = is_over ? ", once the cause is gone: the automatic attempts are over"
                              : ", once you have decided as the reason says: it does not resume by "
                                "itself";
        return;
    case FAIL_IN_DOUBT:
        *ret_before = "your decision, see \"decide\"; or ";
        *ret_behind = ", which asks Doris for the label once more";
        return;
    case FAIL_LABEL_TAKEN: *ret_before = "your decision, see \"decide\", and then "; return;
    case FAIL_MANUAL_PAUSE:
    case FAIL_NONE:
    case FAIL_INTERNAL:
    case FAIL_GET_REMOTE_DATA:
    case FAIL_STORE: return;
    }
}

static void add_resume(const struct job *j, struct explain *e)
{
    if (j->step.state != JOB_PAUSED) {
        return;
    }
    if (j->body == NULL) {
        explain_add(e, "what resumes it",
                    "nothing: its statement is not understood. DROP it and create it again");
    } else if (step_is_resumable(j->step.fail_code)) {
        add_automatic_resume(j, e);
    } else {
        _cleanup_free_ char *resume = resume_statement(j);
        const char *before = NULL;
        const char *behind = NULL;
        bool is_over = j->step.n_resumes >= j->sched->options.step.max_resumes;
        advice_of(j->step.fail_code, is_over, &before, &behind);
        explain_add(e, "what resumes it", "%s%s%s", before, resume, behind);
    }
}

static const char *waits_for_runner(const struct job *j)
{
    bool is_waiting = j->run != NULL && !run_pool_has_begun(j->sched->pool, j->run);
    return is_waiting
               ? "; it waits for one of the threads of scheduler.runners: those it may have are "
                 "busy"
               : "";
}

static void add_idle(const struct job *j, const char *for_ms, struct explain *e)
{
    switch (j->step.state) {
    case JOB_FINISHED: explain_add(e, "phase", "finished: the source has come to its end"); return;
    case JOB_STOPPED: explain_add(e, "phase", "stopped"); return;
    case JOB_PAUSED:
        explain_add(e, "phase", "idle %s: nothing is done while the job is PAUSED%s", for_ms,
                    j->task.id != 0 ? "; its open task is taken up again first" : "");
        return;
    case JOB_PENDING:
    case JOB_RUNNING: break;
    }
    if (!wheel_timer_is_set(&j->timer)) {
        explain_add(e, "phase", "idle %s", for_ms);
        return;
    }
    _cleanup_free_ char *in = left(j->trace.due_ms);
    const char *why = "";
    if (j->trace.is_fe_missing) {
        why = ", because the FE could not be asked";
    } else if (j->trace.plan_ms != 0 && j->trace.plan == PLAN_EMPTY) {
        why = ", because the source had nothing new";
    }
    explain_add(e, "phase",
                "idle%s: the next look at the source is %s (max_interval %" PRId64 " s)", why, in,
                j->step.max_interval_ms / 1000);
}

static void add_planning(const struct job *j, const char *for_ms, struct explain *e)
{
    if (j->is_held) {
        explain_add(e, "phase",
                    "waiting to plan %s: after a start, jobs of database %s whose interrupted task "
                    "is not decided come first, since new loads push labels out of Doris's memory",
                    for_ms, j->rec.target_db);
        return;
    }
    explain_add(e, "phase", "planning %s: listing the source for what is new%s", for_ms,
                waits_for_runner(j));
}

static void add_loading(const struct job *j, const char *for_ms, struct explain *e)
{
    int64_t end_ms = j->trace.phase_ms + j->step.statement_life_ms;
    _cleanup_free_ char *in = left(end_ms);
    explain_add(e, "phase",
                "loading task %" PRId64 " %s, label %s, attempt %" PRId64 "%s%s. Doris may take "
                "%" PRId64 " s (scheduler.task_timeout, session.insert_timeout); Sluice asks for "
                "the label %s at the latest",
                j->task.id, for_ms, j->task.label, j->step.n_tries,
                j->step.is_canceled ? "; it is being canceled" : "", waits_for_runner(j),
                j->statement_timeout_s, in);
}

static void add_waiting(const struct job *j, const char *for_ms, struct explain *e)
{
    _cleanup_free_ char *in = left(j->trace.due_ms);
    const char *text = j->runtime_msg;
    if (j->step.is_committed && text == NULL) {
        text = "Doris has committed the load and will publish it";
    }
    explain_add(e, "phase",
                "waiting for the outcome of task %" PRId64 ", label %s; it is asked again %s",
                j->task.id, j->task.label, in);
    (j->step.is_committed ? explain_add : explain_warn)(
        e, "waits for", "%s%s", text != NULL ? text : "an answer about the label that decides",
        j->step.is_canceled ? ". The task is to be canceled, and is once it is certain that "
                              "it was not loaded"
                            : "");
    (void)for_ms;
}

static void add_asking(const struct job *j, const char *for_ms, struct explain *e)
{
    bool is_witness = j->step.phase == PHASE_WITNESS;
    explain_add(e, "phase", "asking Doris %s what became of %s %" PRId64 "%s%s", for_ms,
                is_witness ? "the label of the last success of the database, task" : "task",
                is_witness ? j->witness.task_id : j->task.id,
                is_witness ? ": if it is remembered, the open task's label would be, too" : "",
                waits_for_runner(j));
    if (j->step.is_recovering) {
        explain_add(e, "waits for",
                    "a task of an earlier life of Sluice is decided before anything is planned");
    }
}

static void add_doubt(const struct job *j, struct explain *e)
{
    _cleanup_free_ char *quoted = quote_name(j->rec.name);
    _cleanup_free_ char *db = quote_name(j->rec.target_db);
    _cleanup_free_ char *table = quote_name(j->rec.target_table);
    _cleanup_free_ char *resume = resume_statement(j);
    (has_reason(j) ? explain_add : explain_fail)(e, "phase",
                                                 "in doubt: nothing can tell whether task %" PRId64
                                                 " was loaded, so nothing more is loaded",
                                                 j->task.id);
    explain_add(e, "range in doubt", "%s", sched_job_range(j));
    explain_add(e, "label in doubt", "%s of database %s", j->task.label, j->rec.target_db);
    _cleanup_free_ char *evidence = sched_job_evidence(j);
    if (evidence != NULL) {
        explain_add(e, "evidence", "%s", evidence);
    }
    explain_add(e, "look at",
                "the rows of that range in %s.%s, and SHOW TRANSACTION FROM %s WHERE LABEL = '%s'",
                db, table, db, j->task.label);
    explain_add(e, "decide", "rows are there: ALTER JOB %s RESOLVE TASK %" PRId64 " AS COMMITTED",
                quoted, j->task.id);
    explain_add(e, "decide", "rows are not there: ALTER JOB %s RESOLVE TASK %" PRId64 " AS ABORTED",
                quoted, j->task.id);
    explain_add(e, "decide",
                "only some are there: delete them, then AS ABORTED, which loads the range again");
    explain_add(e, "decide", "and then: %s", resume);
}

static void add_phase(const struct job *j, struct explain *e)
{
    _cleanup_free_ char *for_ms =
        since(j->trace.phase_ms != 0 ? j->trace.phase_ms : sched_now().mono_ms);
    _cleanup_free_ char *in = left(j->trace.due_ms);
    switch (j->step.phase) {
    case PHASE_IDLE: add_idle(j, for_ms, e); return;
    case PHASE_PLANNING: add_planning(j, for_ms, e); return;
    case PHASE_LOADING: add_loading(j, for_ms, e); return;
    case PHASE_ASKING:
    case PHASE_WITNESS: add_asking(j, for_ms, e); return;
    case PHASE_FENCING:
        explain_add(e, "phase",
                    "aborting %s the interrupted statement of task %" PRId64 ", label %s, by "
                    "doris.http, so that it cannot commit any more",
                    for_ms, j->task.id, j->task.label);
        return;
    case PHASE_WAITING: add_waiting(j, for_ms, e); return;
    case PHASE_RETRY:
        explain_warn(e, "phase",
                     "task %" PRId64 " was surely not loaded and is sent again %s, attempt %" PRId64
                     " of %" PRId64 "%s%s",
                     j->task.id, in, j->step.n_tries + 1, j->sched->options.step.n_tries,
                     err_is_set(&j->last_err) ? ". The last answer: " : "", j->last_err.msg);
        return;
    case PHASE_DOUBT: add_doubt(j, e); return;
    case PHASE_INTENT:
    case PHASE_ASIDE:
    case PHASE_OWNER:
    case PHASE_COMMIT:
    case PHASE_END: explain_add(e, "phase", "writing to the store %s", for_ms); return;
    }
}

static void add_open_task(const struct job *j, struct explain *e)
{
    if (j->task.id == 0) {
        return;
    }
    _cleanup_free_ char *begun = ago(j->task.create_ms);
    _cleanup_free_ char *files = files_text(j->task.stat.file_number, j->task.stat.file_size);
    explain_add(e, "open task", "%" PRId64 ", begun %s: %s, range %s", j->task.id, begun, files,
                sched_job_range(j));
}

static void add_listing(const struct job *j, struct explain *e)
{
    const struct job_trace *t = &j->trace;
    if (t->plan_ms == 0) {
        explain_add(e, "last listing", "none since this start of Sluice");
        return;
    }
    _cleanup_free_ char *when = ago(clock_wall_ms() - (sched_now().mono_ms - t->plan_ms));
    _cleanup_free_ char *files = files_text(t->n_files, t->n_bytes);
    if (t->is_fe_missing) {
        explain_warn(e, "last listing", "%s: not made, the FE could not be asked: %s", when,
                     t->plan_error != NULL ? t->plan_error : "");
        return;
    }
    switch (t->plan) {
    case PLAN_RANGE:
        explain_add(e, "last listing", "%s: found %s, for the next task; %s", when, files,
                    t->has_more ? "more were there behind it" : "nothing more behind it");
        return;
    case PLAN_EMPTY: explain_add(e, "last listing", "%s: nothing new", when); return;
    case PLAN_END:
        explain_add(e, "last listing", "%s: nothing new, and it is the end", when);
        return;
    case PLAN_ASIDE:
        explain_add(e, "last listing", "%s: found files that cannot be loaded%s", when,
                    j->n_bad > 0 ? ", see \"set aside\"" : "");
        return;
    case PLAN_REFUSED:
    case PLAN_FAIL:
        (has_reason(j) ? explain_add : explain_fail)(e, "last listing", "%s: failed: %s", when,
                                                     t->plan_error != NULL ? t->plan_error : "");
        return;
    }
}

static void add_offsets(const struct job *j, struct explain *e)
{
    _cleanup_free_ char *shown = NULL;
    if (j->rec.offset != NULL) {
        shown = j->body != NULL ? j->body->ops->show_offset(j->rec.offset) : xstrdup(j->rec.offset);
    }
    bool is_at_end = shown != NULL && j->end_offset != NULL && strcmp(shown, j->end_offset) == 0;
    explain_add(e, "committed offset", "%s",
                shown != NULL ? shown : "none: nothing was loaded yet, it begins at the beginning");
    explain_add(e, "end offset", "%s%s",
                j->end_offset != NULL ? j->end_offset
                                      : "not known: nothing was found since this start",
                is_at_end ? ", reached: the job has caught up as far as is known" : "");
}

static void add_counts(const struct job *j, struct explain *e)
{
    const struct job_record *r = &j->rec;
    if (r->last_success_ms != 0) {
        _cleanup_free_ char *when = ago(r->last_success_ms);
        explain_add(e, "last success", "%s, task %" PRId64, when, r->committed_task_id);
    } else {
        explain_add(e, "last success", "none yet");
    }
    _cleanup_free_ char *files = files_text(r->stat.file_number, r->stat.file_size);
    explain_add(e, "tasks", "%" PRId64 " succeeded, %" PRId64 " failed, %" PRId64 " canceled",
                r->n_succeeded, r->n_failed, r->n_canceled);
    explain_add(e, "loaded", "%" PRId64 " rows, of which %" PRId64 " were filtered, from %s",
                r->stat.scanned_rows, r->stat.filtered_rows, files);
    explain_add(e, "automatic resumes", "%" PRId64 " of %" PRId64 " used since the last success",
                j->step.n_resumes, j->sched->options.step.max_resumes);
}

/* --- files that are not loaded ------------------------------------------------------------------- */

static void add_aside(const struct bad_file *file, struct explain *e)
{
    _cleanup_free_ char *bytes = explain_bytes(file->size);
    _cleanup_free_ char *key = quote_text(file->key); /* as RETRY FILE and SKIP FILE want it */
    _cleanup_free_ char *when = ago(file->at_ms);
    _cleanup_free_ char *by =
        file->task_id != 0 ? xasprintf("by task %" PRId64, file->task_id) : xstrdup("unread");
    explain_add(e, "set aside", "%s (%s), %s, %s: %s%s", key, bytes, by, when, file->reason,
                file->is_retried ? ". It is tried again next" : "");
}

static void add_files_aside(const struct job *j, struct explain *e)
{
    if (j->n_bad == 0) {
        explain_add(e, "files set aside", "none");
        return;
    }
    _cleanup_free_ char *quoted = quote_name(j->rec.name);
    explain_warn(
        e, "files set aside",
        "%zu, not loaded as they are now. ALTER JOB %s RETRY FILE '...' (or RETRY ALL FILES) "
        "tries again%s, SKIP FILE '...' (or SKIP ALL FILES) leaves them out for good",
        j->n_bad, quoted, j->step.state == JOB_PAUSED ? " once the job is resumed" : "");
    for (size_t i = 0; i < j->n_bad && i < MOST_FILES; i++) {
        add_aside(&j->bad[i], e);
    }
    if (j->n_bad > MOST_FILES) {
        explain_add(e, "set aside", "and %zu more: column Quarantine of jobs() has them all",
                    j->n_bad - MOST_FILES);
    }
}

static void add_late(const struct job *j, struct explain *e)
{
    const struct source_watch *w = &j->watch;
    const char *advice = "; property s3.discovery = tracked is for such sources";
    if (w->n_late > 0) {
        explain_warn(e, "late files",
                     "%" PRId64 " seen and not loaded: they lie behind the offset, and came or "
                     "changed after the task that passed them%s",
                     w->n_late, advice);
    } else {
        explain_add(e, "late files", "%s",
                    w->n_late == 0 ? "none seen" : "not known: nothing was looked through yet");
    }
    if (w->n_overwritten > 0) {
        explain_warn(e, "overwritten files",
                     "%" PRId64 " were loaded and have another content since; property "
                     "s3.overwritten says what becomes of such",
                     w->n_overwritten);
    } else if (w->n_overwritten == 0) {
        explain_add(e, "overwritten files", "none seen");
    }
    if (j->n_changed > 0) {
        explain_warn(e, "changed files",
                     "%" PRId64 " met by loads since this start of Sluice (task.source_changed in "
                     "its log names them). Write each file once, under a key of its own",
                     j->n_changed);
    }
}

static void add_files(const struct job *j, struct explain *e)
{
    e->section = EXPLAIN_SOURCE;
    add_files_aside(j, e);
    if (j->step.n_suspects > 0) {
        explain_add(e, "search",
                    "files with bad rows are searched for: %" PRId64 " at a time, until %" PRId64
                    " more are passed",
                    j->step.max_files, j->step.n_suspects);
    }
    add_late(j, e);
    if (j->rec.n_tracked > 0) {
        explain_add(e, "tracked files", "%" PRId64 " are remembered one by one", j->rec.n_tracked);
    }
}

static void add_guarantee(const struct job *j, struct explain *e)
{
    e->section = EXPLAIN_GUARANTEE;
    if (sched_job_guarantee(j) == GUARANTEE_TRANSACTIONAL) {
        explain_add(e, "guarantee",
                    "transactional: rows and offset are written in one transaction of Doris, the "
                    "offset into %s.sluice_offsets, which tells what was loaded however long ago",
                    j->rec.target_db);
        return;
    }
    _cleanup_free_ char *window = sched_job_window_text(j);
    explain_add(e, "guarantee", "label: Doris loads a label once, as long as it remembers it");
    explain_add(e, "label window",
                "a label that Doris does not know counts as not loaded within %s; beyond that a "
                "label of the same database that was used before it has to be known still",
                window);
}

/* One sentence for those who read no further. */
static void add_summary(const struct job *j, struct explain *e)
{
    const char *name = j->rec.name;
    switch (j->step.state) {
    case JOB_FINISHED: explain_sum_up(e, "the job is finished", "the job is finished"); return;
    case JOB_STOPPED: explain_sum_up(e, "the job is stopped", "the job is stopped"); return;
    case JOB_PAUSED:
        if (j->step.fail_code == FAIL_MANUAL_PAUSE) {
            e->section = EXPLAIN_SUMMARY;
            explain_warn(e, "summary", "job %s does not move: it is PAUSED %s", name,
                         sched_job_pause_text(j));
            return;
        }
        explain_sum_up(e, "the job is PAUSED", "the job does not move");
        return;
    case JOB_PENDING:
    case JOB_RUNNING: break;
    }
    const char *what = "the job waits for Doris";
    if (j->step.phase == PHASE_LOADING) {
        what = "the job is loading";
    } else if (j->task.id == 0) {
        what = "the job looks for new files";
    }
    explain_sum_up(e, what, "the job may not move");
}

void sched_explain_job(const struct job *j, struct explain *e)
{
    e->section = EXPLAIN_NAME;
    explain_add(e, "job", "%s, id %" PRId64 ", into %s.%s, of user %s", j->rec.name, j->rec.id,
                j->rec.target_db, j->rec.target_table, j->rec.definer);
    add_state(j, e);
    add_resume(j, e);
    add_phase(j, e);
    add_open_task(j, e);
    add_listing(j, e);
    add_offsets(j, e);
    add_counts(j, e);
    add_files(j, e);
    add_guarantee(j, e);
    add_summary(j, e);
    explain_sort(e);
}
