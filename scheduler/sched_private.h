/*
 * What the scheduler's files share: sched.c (thread, loop, messages in), sched_job.c (a job's life:
 * carrying out what step() says), sched_write.c (what of that the store gets), sched_files.c (files
 * set aside), sched_txn.c (what is known of Doris's transactions), sched_result.c (what runs brought
 * back), sched_show.c (view and sentences), sched_command.c (what users ask for), sched_alter.c
 * (ALTER JOB), sched_check.c and sched_explain.c (the two EXPLAINs). Only they include this.
 */
#ifndef SCHEDULER_SCHED_PRIVATE_H
#define SCHEDULER_SCHED_PRIVATE_H

#include <pthread.h>
#include <stdlib.h>

#include "scheduler/run.h"
#include "scheduler/sched.h"
#include "scheduler/wheel.h"

/* For EXPLAIN JOB only: what happened in this life of the process. Monotonic ms, 0 = not yet. */
struct job_trace {
    int64_t state_ms; /* of the move to the present state */
    int64_t phase_ms; /* of the move to `phase` */
    enum step_phase phase;
    int64_t due_ms;  /* when the timer was set to go off */
    int64_t plan_ms; /* of the end of the last planning */
    enum plan_result plan;
    bool is_fe_missing;       /* it could not ask the FE */
    int64_t n_files, n_bytes; /* of PLAN_RANGE */
    bool has_more;
    char *plan_error; /* owned; of PLAN_FAIL, or of the missing FE */
};

/* What may come back every few seconds for hours is logged when it changes: sched_result.c. */
enum job_news { NEWS_ANSWER, NEWS_LABEL, NEWS_WITNESS, N_JOB_NEWS };

/* The FE cannot be asked: one outage, however many jobs wait for its end. Monotonic ms. */
struct outage {
    size_t n_waiting;
    size_t n_most; /* since it began */
    size_t n_told; /* as logged last */
    int64_t since_ms;
    int64_t told_ms;
    char *reason; /* owned; as logged last */
};

/* A success whose label Doris recorded: the newest of a database, whichever job's. */
struct witness {
    char *db; /* owned; of the table in struct sched, NULL in a job */
    int64_t job_id;
    int64_t task_id; /* 0 = none */
    int64_t finish_ms;
    int64_t txn;
};

/* What Doris answered when a label was asked: the evidence, if nothing can decide. */
struct answer {
    bool is_given;
    enum label_state state;
    int64_t wall_ms;
    char *text; /* owned; the sink's evidence, else its error; NULL: nothing but the state */
};

/* One job, as the scheduler's thread has it. */
struct job {
    struct sched *sched;   /* borrowed */
    struct job_record rec; /* as stored; rec.state follows step.state */
    struct job_body *body; /* a reference; NULL when the stored SQL is not understood */
    struct step_job step;
    int64_t statement_timeout_s;
    struct task_record task;                   /* the open task, id 0 = none */
    struct task_view *tasks[STORE_TASKS_KEPT]; /* finished, oldest first */
    size_t n_tasks;
    struct run *run;   /* under way, borrowed; NULL when none */
    struct plan plan;  /* of the last PLAN_RANGE or PLAN_ASIDE, until it is stored */
    int64_t listed_us; /* monotonic, when the listing began that made it; 0: in an earlier life */
    struct bad_file *bad; /* by key */
    size_t n_bad, bad_size;
    struct bad_view *bad_view; /* NULL: to be made anew, or none is there */
    struct source_watch watch;
    int64_t n_changed;            /* loads around which a file changed, in this life */
    struct witness witness;       /* of the open task */
    struct answer task_answer;    /* of its label, the last one */
    struct answer witness_answer; /* likewise */
    struct err last_err;          /* of the last run or write that failed */
    char *end_reason; /* owned; why the open task ends, which the store did not take; or NULL */
    struct wheel_timer timer;
    char *end_offset;
    char *runtime_msg;
    struct job_view *view; /* NULL: to be made anew */
    bool is_new_insert;    /* it was altered, and nothing was loaded with it since */
    bool is_held;          /* wants to plan, waits for recovery */
    int64_t turn_ms;       /* after the start of the process: when it looks at its source first */
    bool is_paced;         /* its waits have their place between those of other jobs */
    const char *actor;     /* borrowed: who sent the statement that changes it now, NULL: nobody */
    struct job_trace trace;
    bool is_waiting;        /* one of the scheduler's outage */
    char *news[N_JOB_NEWS]; /* owned; as logged last, NULL when it is to be logged again */
};

/* EXPLAIN CREATE JOBs at a time: each may keep a runner for a minute. */
enum { SCHED_MOST_EXPLAINS = 4 };

struct sched {
    struct sched_options options;
    struct event_base *base;
    struct event *wake;      /* the wheel's next tick */
    struct event *overdue;   /* the next statement that has waited too long for a thread */
    int64_t longest_wait_ms; /* for a thread */
    int64_t send_within_ms;  /* after the decision: a load that is sent again */
    struct msgq *queue;      /* requests and finished runs */
    struct run_pool *pool;
    struct wheel wheel;
    struct job **jobs; /* by id */
    size_t n_jobs, jobs_size;
    size_t n_recovering; /* jobs whose open task of an earlier life was not asked yet */
    size_t n_checks;     /* CREATE JOBs being checked; they count against max_jobs */
    struct run *explains[SCHED_MOST_EXPLAINS]; /* under way or waiting, borrowed; NULL: free */
    struct sched_counters counters;
    struct outage outage;
    struct witness *witnesses; /* one of each database */
    size_t n_witnesses;
    int64_t newest_txn;  /* of Doris, as far as any answer told; 0 = none did */
    struct fe_traits fe; /* as read last */
    bool is_stopping;
    bool is_started;
    pthread_t thread;
};

/* sched.c */
struct step_time sched_now(void);
void sched_arm(struct sched *s, struct job *j, int64_t delay_ms);
/* How long the job waits when its source has nothing new. */
int64_t sched_idle_ms(const struct job *j);
/* What step() wants the timer armed with, so that jobs do not all go off together. */
int64_t sched_pace(struct job *j, int64_t delay_ms);
struct job *sched_find_by_name(const struct sched *s, const char *name);
void sched_add_job(struct sched *s, struct job *j);
void sched_remove_job(struct sched *s, struct job *j); /* destroys it */
/*
 * New loads push labels out of Doris's memory, which is one for each database: those that are still
 * to be asked for come first. A job that cannot be asked for holds up its own database only.
 */
bool sched_must_hold(const struct job *j);
void sched_submit(struct sched *s, struct run *run);
/* CHECK, EXPLAIN: what a statement waits for. It is given up when no thread begins in time. */
void sched_submit_asked(struct sched *s, struct run *run);
const struct source_ops *sched_find_source(const struct sched *s, const char *tvf);
/* Takes the spec, also on failure (NULL). */
struct job_body *sched_make_body(const struct sched *s, struct job_spec *spec, struct err *err);
void sched_reply(struct sched_request *r);

/* Takes `text`. */
static inline void sched_set_text(char **to, char *text)
{
    free(*to);
    *to = text;
}

/* sched_job.c */
/* The open task's share of the step's fields. */
void sched_follow_task(struct job *j);
struct job *sched_job_create(struct sched *s, const struct job_record *rec, struct job_body *body);
void sched_job_destroy(struct job *j);
/* The counters of its state, and of the reason when it is PAUSED: 1 or -1, around each change. */
void sched_job_count(const struct job *j, int64_t n);
void sched_job_event(struct job *j, const struct step_event *event);
/* What ALTER JOB changed, when it is stored. Takes the texts of `to`, and `body`. */
void sched_job_alter(struct job *j, struct job_record *to, struct job_body *body);
/* jobs().JobRuntimeMsg: takes `text`, NULL clears. */
void sched_job_say(struct job *j, char *text);
void sched_job_start(struct job *j);
/* What Doris may take for one statement of such a job. `body` may be NULL. */
int64_t sched_job_timeout_s(const struct sched *s, const struct job_body *body);
/* The task read from the store as unfinished, or a finished one, oldest first. */
void sched_job_restore_task(struct job *j, const struct task_record *task);
/* Lets the jobs plan whose database has no recovering job any more. */
void sched_job_release_held(struct sched *s);
/* PAUSE or RESUME: the job moves only when its new state is stored. */
enum store_result sched_job_change(struct job *j, enum step_event_kind kind, struct err *err);

/* sched_result.c */
void sched_job_run_done(struct job *j, struct run *run);
/* The job was paused or resumed, or is gone: what is found next is news. */
void sched_job_forget_news(struct job *j);

/* sched_write.c */
bool sched_is_write(enum step_action action);
/* Carries it out, in the store and then in memory; tells step() of it. */
struct step_event sched_write(struct job *j, enum step_action action);
struct step_event sched_stored(enum store_result result);
enum store_result sched_write_state(struct job *j, const struct step_job *wanted, const char *msg,
                                    struct err *err);
/* The oldest gives way when STORE_TASKS_KEPT are there. */
void sched_keep_finished(struct job *j, const struct task_record *task);

/* sched_files.c: bad files, in memory as they are stored. */
enum { SCHED_MOST_BAD = 10000 }; /* of a job; beyond that it pauses instead of setting more aside */
/* One more, or another of the same key. */
void sched_files_put(struct job *j, const struct bad_file *file);
void sched_files_remove(struct job *j, const char *key); /* one that is not there, too */
void sched_files_fini(struct job *j);
void sched_files_watch(struct job *j, const struct source_watch *watch); /* what a plan has seen */
/* Borrowed until one changes; NULL: there are none. */
struct bad_view *sched_files_view(struct job *j);
bool sched_files_wants_aside(const struct job *j); /* property s3.bad_files */
bool sched_files_has_room(const struct job *j, size_t n);
/* At the start: how many were set aside since the last success. */
int64_t sched_files_in_a_row(const struct job *j);
void sched_files_log(const struct job *j, const char *event, const struct bad_file *file);
bool sched_file_decide(struct job *j, struct sched_request *r);

/* sched_txn.c */
/* The step's fields that depend on Doris, before each event. */
void sched_txn_update(struct job *j);
/* `text`: an id as Doris told, NULL: none. */
void sched_txn_see(struct sched *s, const char *text);
/* The same of the open task of `j`: an id that is not above all those before it shows that the FE
 * came back from an old image. */
void sched_txn_see_own(struct job *j, const char *text);
void sched_txn_see_traits(struct sched *s, const struct run *run);
/* The job's task is a SUCCESS now. */
void sched_txn_succeeded(struct job *j, const struct task_record *task);
/* The witness of a task whose INTENT was stored now. */
void sched_txn_begin(struct job *j);
/* After all jobs were read from the store. */
void sched_txn_restore(struct sched *s);
void sched_txn_fini(struct sched *s);
void sched_answer_set(struct answer *a, const struct run *run);
void sched_answer_fini(struct answer *a);

/* sched_show.c */
struct job_view *sched_job_view(struct job *j); /* a new reference */
/* The sentence for jobs().ErrorMsg; the caller owns it. */
char *sched_job_reason_text(const struct job *j, enum step_reason reason);
/* The same of a job that ALTER JOB keeps from resuming by itself. */
char *sched_job_altered_text(const struct job *j);
/* What paused a job whose code is MANUAL_PAUSE_ERR: "by the user"; a constant. */
const char *sched_job_pause_text(const struct job *j);
enum guarantee sched_job_guarantee(const struct job *j);
/* The open task's, as users know it; a borrowed text. */
const char *sched_job_range(const struct job *j);
/* How long and over how many transactions an unknown label counts as not loaded. */
char *sched_job_window_text(const struct job *j);
/* What is known of a task in doubt; NULL: none is. The caller owns it. */
char *sched_job_evidence(const struct job *j);
#define SCHED_EVIDENCE_MARK ". Evidence: " /* before it, in the reason as stored */
/* What a task waits for, after its label was asked; NULL when that told how it ended. */
char *sched_job_label_text(const struct job *j, const struct run *run);

/* sched_explain.c */
void sched_explain_job(const struct job *j, struct explain *e);
/* After step(): what the job was before, and is now. */
void sched_trace_moved(struct job *j, enum job_state before);
void sched_trace_plan(struct job *j, const struct run *run);

/* sched_check.c */
void sched_explain_create(struct sched *s, struct sched_request *r);
void sched_explain_done(struct sched *s, struct run *run);
/* A run that no thread has begun is given up. */
void sched_explain_drop(struct sched *s, struct run *run);
/* No thread was free in time: run->err says so. */
void sched_explain_late(struct sched *s, struct run *run);
void sched_explain_forget(struct sched *s, uint64_t session_id);

/* sched_alter.c */
/* False: it is answered, refused with err or done. Else it is when its check has ended. */
bool sched_alter_begin(struct sched *s, struct sched_request *r);
bool sched_alter_finish(struct sched *s, struct sched_request *r, struct run *run);

/* sched_command.c */
/* The job that was found before the user's rights were checked, and no other of the same name. */
struct job *sched_same_job(struct sched *s, struct sched_request *r);
void sched_command(struct sched *s, struct sched_request *r);
void sched_check_done(struct sched *s, struct run *run);

#endif
