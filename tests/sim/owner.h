/*
 * An owner of the store: the scheduler's shell around step(), as sched_job.c and run.c have it, over
 * the simulated store and world. It carries out each action, loses everything but the store in a
 * crash, and begins again from there. There may be two: one that runs on, or is frozen and wakes
 * later, although another has taken over the store.
 */
#ifndef TESTS_SIM_OWNER_H
#define TESTS_SIM_OWNER_H

#include "tests/sim/sim_store.h"

/* A load, from turn to turn; an owner may be frozen between any two. */
enum stage { STAGE_VERIFY, STAGE_SEND, STAGE_WAIT, STAGE_COMMIT };

struct counts {
    int64_t files, crashes, doubts, cancels, holds, takeovers, zombies, stale, aside, retried,
        changed, rolled_back, resolved, alters, untold, ghosts, autos, drops, overwritten, emptied,
        steps;
};

struct sim {
    struct world world;
    struct sim_store store;
    enum bug bug;
    struct counts counts;
    struct owner *current; /* the newest that opened the store, NULL: it is dead */
};

struct owner {
    struct sim *sim;
    int index;
    bool is_alive;
    int64_t frozen_until_ms;
    int64_t starts_ms; /* when a dead one is started again, 0 = not */
    int64_t skew_ms;   /* of its wall clock */
    int64_t epoch;
    struct record mem;
    struct step_job job;
    struct range planned;
    enum step_action run; /* under way; ACT_NONE = none */
    bool is_canceled;     /* the run's cancel flag */
    enum stage stage;     /* of ACT_LOAD */
    int statement;
    int64_t verified_ms; /* what the source was then is what is loaded */
    bool is_label_asked; /* of ACT_ASK with an offset row: the first of two questions */
    enum label_state asked;
    bool is_row_there;
    int64_t n_remembered; /* as the FE told with that label */
    int64_t answer_ms;    /* when the second one is answered: a SELECT may wait in a queue */
    int64_t timer_ms;     /* -1 = not set */
    int64_t newest_txn;   /* that it was told of */
    int n_loads;
    bool has_label;   /* of the open task: Doris recorded it */
    bool is_plan_bad; /* PLAN_ASIDE */
    bool has_failed;  /* the last write of a task was refused */
};

/* Opens the store, and takes it over from whoever has it. */
void owner_open(struct owner *o);
void owner_crash(struct owner *o);
/* The job in its memory is what is stored: after CREATE JOB; or is none any more. */
void owner_begin(struct owner *o);
/* One turn: the run goes on if it can, the timer fires if it is due. False: nothing to do now. */
bool owner_turn(struct owner *o);
void owner_feed(struct owner *o, struct step_event event);
struct step_event owner_event(const struct owner *o, enum step_event_kind kind);
int64_t owner_wall_ms(const struct owner *o);
/* Of the open task. */
int64_t owner_label(const struct owner *o);
enum written owner_write(struct owner *o, struct write *w);
/* PAUSE or RESUME: the job moves only when its new state is stored. */
void owner_change(struct owner *o, enum step_event_kind kind);
/* What would have resumed by itself waits for RESUME JOB from now on. */
void owner_follow_alter(struct owner *o);
void owner_learn_txn(struct owner *o, int64_t id);

/* owner_run.c: what a run finds out. False: it is not over yet. */
void run_start(struct owner *o, enum step_action action);
bool run_turn(struct owner *o);
void run_cancel(struct owner *o);

#endif
