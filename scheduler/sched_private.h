/*
 * What the scheduler's files share: sched.c (thread, loop, messages in), sched_job.c (a job's life:
 * carrying out what step() says), sched_show.c (its view and sentences), sched_command.c (what
 * users ask for). Only they include this.
 */
#ifndef SCHEDULER_SCHED_PRIVATE_H
#define SCHEDULER_SCHED_PRIVATE_H

#include <pthread.h>

#include "scheduler/run.h"
#include "scheduler/sched.h"
#include "scheduler/wheel.h"

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
    struct run *run;     /* under way, borrowed; NULL when none */
    struct plan plan;    /* of the last PLAN_RANGE, until its INTENT is stored */
    struct err last_err; /* of the last run or write that failed */
    struct wheel_timer timer;
    char *end_offset;
    char *runtime_msg;
    struct job_view *view; /* NULL: to be made anew */
    bool is_held;          /* wants to plan, waits for recovery */
};

struct sched {
    struct sched_options options;
    struct event_base *base;
    struct event *wake; /* the wheel's next tick */
    struct msgq *queue; /* requests and finished runs */
    struct run_pool *pool;
    struct wheel wheel;
    struct job **jobs; /* by id */
    size_t n_jobs, jobs_size;
    size_t n_recovering; /* jobs whose open task of an earlier life was not asked yet */
    size_t n_checks;     /* CREATE JOBs being checked; they count against max_jobs */
    struct sched_counters counters;
    bool is_stopping;
    bool is_started;
    pthread_t thread;
};

/* sched.c */
struct step_time sched_now(void);
void sched_arm(struct sched *s, struct job *j, int64_t delay_ms);
struct job *sched_find_by_name(const struct sched *s, const char *name);
void sched_add_job(struct sched *s, struct job *j);
void sched_remove_job(struct sched *s, struct job *j); /* destroys it */
/*
 * New loads push labels out of Doris's memory, which is one for each database: those that are still
 * to be asked for come first. A job that cannot be asked for holds up its own database only.
 */
bool sched_must_hold(const struct job *j);
void sched_submit(struct sched *s, struct run *run);
const struct source_ops *sched_find_source(const struct sched *s, const char *tvf);
/* Takes the spec, also on failure (NULL). */
struct job_body *sched_make_body(const struct sched *s, struct job_spec *spec, struct err *err);
void sched_reply(struct sched_request *r);

/* sched_job.c */
struct job *sched_job_create(struct sched *s, const struct job_record *rec, struct job_body *body);
void sched_job_destroy(struct job *j);
void sched_job_event(struct job *j, const struct step_event *event);
void sched_job_run_done(struct job *j, struct run *run);
void sched_job_start(struct job *j);
/* The task read from the store as unfinished, or a finished one, oldest first. */
void sched_job_restore_task(struct job *j, const struct task_record *task);
/* Lets the jobs plan whose database has no recovering job any more. */
void sched_job_release_held(struct sched *s);
/* PAUSE or RESUME: the job moves only when its new state is stored. */
enum store_result sched_job_change(struct job *j, enum step_event_kind kind, struct err *err);

/* sched_show.c */
struct job_view *sched_job_view(struct job *j); /* a new reference */
/* The sentence for jobs().ErrorMsg; the caller owns it. */
char *sched_job_reason_text(const struct job *j, enum step_reason reason);
/* What a task waits for, after its label was asked; NULL when that told how it ended. */
char *sched_job_label_text(const struct job *j, const struct run *run);

/* sched_command.c */
void sched_command(struct sched *s, struct sched_request *r);
void sched_check_done(struct sched *s, struct run *run);

#endif
