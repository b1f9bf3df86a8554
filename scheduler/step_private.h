/*
 * What the parts of step() share: step.c (the life of a job: ticks, plans, writes, what users ask
 * for), step_task.c (the open task: sent, asked for, resolved), step_files.c (the search for bad
 * files). Only they include this.
 */
#ifndef SCHEDULER_STEP_PRIVATE_H
#define SCHEDULER_STEP_PRIVATE_H

#include "scheduler/step.h"

static inline bool step_is_active(const struct step_job *job)
{
    return job->state == JOB_PENDING || job->state == JOB_RUNNING;
}

/* Is the open task to be loaded? Else it is to be closed, as soon as that is safe. */
static inline bool step_is_wanted(const struct step_job *job)
{
    return step_is_active(job) && !job->is_canceled && !job->is_changed;
}

static inline struct step_out step_act(enum step_action action)
{
    return (struct step_out){.action = action};
}

static inline struct step_out step_arm(int64_t delay_ms)
{
    return (struct step_out){.action = ACT_ARM, .delay_ms = delay_ms};
}

/* step.c: the one setter of the job's state */
void step_move(struct step_job *job, enum job_state to);
/* Makes the job PAUSED in memory; the caller adds the action that stores it. */
enum step_reason step_pause(struct step_job *job, enum fail_code code, enum step_reason reason,
                            const struct step_config *config);
struct step_out step_pause_and_store(struct step_job *job, enum fail_code code,
                                     enum step_reason reason, const struct step_config *config);
/* The timer of a job that will resume by itself. */
struct step_out step_arm_resume(const struct step_job *job, const struct step_config *config);
/* Each wait in a row is longer, up to a few seconds. */
struct step_out step_wait_in(struct step_job *job, enum step_phase phase);
/*
 * A PAUSED job has nothing under way. One that resumes by itself takes its open task up again then;
 * another asks for it until it can be closed, or is loaded.
 */
struct step_out step_rest(struct step_job *job, const struct step_config *config);

/* step_task.c */
struct step_out step_task_load(struct step_job *job); /* the store was written just now */
/* What is found out about the task from now on is at least so new. */
void step_task_note_ask(struct step_job *job, struct step_time now);
/* Asks for the label, unless it is known that the task is loaded. */
struct step_out step_task_ask(struct step_job *job);
/* The timer of PHASE_RETRY. */
struct step_out step_task_on_retry(struct step_job *job, struct step_time now,
                                   const struct step_config *config);
struct step_out step_task_on_loaded(struct step_job *job, const struct step_event *event,
                                    const struct step_config *config);
struct step_out step_task_on_label(struct step_job *job, enum label_state label,
                                   struct step_time now, const struct step_config *config);
struct step_out step_task_on_witness(struct step_job *job, enum label_state label,
                                     struct step_time now, const struct step_config *config);

/* step_files.c: after what became of the open task was stored, before it is closed. */
void step_files_loaded(struct step_job *job);
void step_files_failed(struct step_job *job); /* for its rows, and the job goes on */
bool step_files_check(const struct step_job *job);

#endif
