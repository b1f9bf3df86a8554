/*
 * The scheduler's shell around step(), as sched_job.c has it, over a simulated store and world: it
 * carries out each action, loses everything but the store in a crash, and begins again from there.
 */
#ifndef TESTS_SIM_SHELL_H
#define TESTS_SIM_SHELL_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/step.h"
#include "tests/sim/world.h"

/* Planted in the shell, one per invariant: a simulator that finds none of them proves nothing. */
enum bug {
    BUG_NONE,
    BUG_COMMITTED_IS_VISIBLE, /* the offset moves before the rows are there */
    BUG_LOST_IS_NOT_SENT,     /* a lost answer is taken for "never sent" */
    BUG_UNKNOWN_IS_ABSENT,    /* a label the FE does not know is taken for "not loaded" */
    BUG_NEW_LABEL_ON_RETRY,   /* every try has a label of its own */
    BUG_NEW_RANGE_ON_RETRY,   /* a retry takes what is there now */
    BUG_INTENT_NOT_DURABLE,   /* the INTENT is lost in a crash */
    BUG_TASK_IDS_REUSED,      /* the id counter is lost in a crash */
    BUG_ERROR_IS_NOT_LOADED,  /* an ERR packet ends the task without asking */
    BUG_COMMIT_TWICE,         /* the store adds the range again */
    BUG_NO_FENCE_ON_CLOSE,    /* a canceled task is closed although a straggler may live */
    BUG_WITNESS_ALWAYS_KNOWN, /* the witness is never asked */
    BUG_COMMIT_ON_USED,       /* "label used" is taken for "loaded" */
    BUG_CANCELED_IS_NOT_SENT, /* a canceled statement is taken for one that never was */
    BUG_HOLD_IS_IGNORED,      /* a PAUSE of a job that is PAUSED by an error does nothing */
    N_BUGS,
};
extern const char *const bug_names[N_BUGS];

/* What survives a crash. */
struct sim_store {
    enum job_state state;
    enum fail_code fail_code;
    int64_t n_resumes;
    int offset; /* last unit committed */
    int64_t last_task;
    int64_t committed_task;
    int64_t committed_ms; /* wall clock */
    int64_t task;         /* open, 0 = none */
    struct range range;
    int64_t intent_ms;
};

struct shell {
    struct world *world;
    enum bug bug;
    struct step_config config;
    struct sim_store store;
    struct step_job job;
    struct range planned;
    enum step_action run; /* under way; ACT_NONE = none */
    bool is_canceled;     /* the run's cancel flag */
    int statement;        /* of ACT_LOAD */
    int64_t timer_ms;     /* true time, -1 = not set */
    int n_crashes_left;
    int n_store_failures_left;
    int n_loads; /* for BUG_NEW_LABEL_ON_RETRY */
    int64_t n_doubts;
    int64_t n_crashes;
    int64_t n_cancels;
    int64_t n_holds; /* PAUSEs of a job that was PAUSED already */
    bool is_held;    /* the store knows that the user paused it, and he has not resumed it since */
};

void shell_init(struct shell *s, struct world *w, enum bug bug);
/* One turn: the run ends if it can, the timer fires if it is due. False: nothing to do now. */
bool shell_turn(struct shell *s);
/* Everything volatile is lost; begins again from the store. */
void shell_crash(struct shell *s);
void shell_pause(struct shell *s); /* also one that an error has PAUSED */
void shell_resume(struct shell *s);
void shell_cancel(struct shell *s); /* CANCEL TASK */
/* The user looks into the table and decides; only when no statement of the label runs. */
void shell_resolve(struct shell *s);

#endif
