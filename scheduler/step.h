/*
 * Every decision about a job, apart from I/O: step(job, event) changes the job's state and names
 * one action. No socket, clock or disk in here; the scheduler (sched.c) carries the action out and
 * comes back with what happened. The same function runs in the unit tests and in the simulator.
 *
 * Job states (Doris's; facts: StreamingInsertJob.java):
 *
 *     CREATE --> PENDING --tick--> RUNNING --source at its end--> FINISHED
 *                   ^  ^  <-restart-- |
 *            RESUME |  | back-off     | error, PAUSE
 *                   +--+--- PAUSED <--+                     any --DROP--> STOPPED (then removed)
 *
 * Phases of the job's current run; a task is open from INTENT to its end:
 *
 *     IDLE --tick--> PLANNING --range--> INTENT --stored--> LOADING --visible--> COMMIT --stored--+
 *      ^  <---nothing new---+  \            ^ retry, same label   |  lost, refused, label used    |
 *      |                       +-unreadable names-> ASIDE         |  (rolled back: absent)        |
 *      |                                    +------------+        v                               |
 *      |                          LABEL: proved absent --+---- ASKING <--timer-- WAITING          |
 *      |                          LABEL: VISIBLE --> COMMIT      | ^ \--committed, prepare--^     |
 *      |                          LABEL: UNKNOWN --> WITNESS --+ | +-- FENCING <--prepare too long|
 *      +--- task closed: SUCCESS, FAILED, CANCELED ------------+-+---------------------------------+
 *
 * What makes it exactly-once:
 *   - the INTENT (range, label) is durable before anything is sent; the offset moves only in COMMIT,
 *     after Doris said VISIBLE;
 *   - whatever else happens to a load, its label is asked; an open task is resolved before its job
 *     plans anything;
 *   - UNKNOWN means "never seen, or forgotten". It counts as "not loaded" only with evidence: the
 *     label of an earlier success (the witness, of any job of the same database), which finished
 *     before this task's INTENT and so is forgotten earlier, is still remembered; or the last moment
 *     at which the task was surely not loaded is young, and the FE has refused the statement, or
 *     there is no witness, or it ended hours ago. Otherwise: PAUSED, IN_DOUBT. What was COMMITTED
 *     once is never "not loaded", and a label that exists although nothing was sent is never
 *     "loaded";
 *   - young is what lies within the label window by time (the configured one, or the FE's own when
 *     that is shorter) and by count: fewer transactions have begun since, by any client, than the
 *     FE surely remembers. Ids of transactions rise, so two of them bound how many lie between;
 *     what nobody told Sluice of is not seen, hence the margin of 4, and the witness goes first.
 *     An id that is lower than before (the FE came back from an old image) proves nothing;
 *   - ABSENT (guarantee "transactional") needs no window: data and offset row commit together. A
 *     load that is ROLLED_BACK was tried and cannot come back; the label is asked only when another
 *     statement, sent before it, may still live;
 *   - a statement whose answer was lost may not even have begun its transaction yet (a straggler).
 *     Doris remembers a label for longer than it takes a lost statement to begin; this is assumed.
 *     Until it must be dead, "not loaded" allows sending the same label and range again (one of the
 *     two is refused), but never closing the task, since the next task's label would not collide:
 *     the job then pauses with its task open and asks on, and RESUME takes that task up again.
 *
 * Assumed, since nothing can tell; whatever is not named here tests/sim draws at random:
 *   - a statement that was sent, or that its owner is about to send, begins its transaction or dies
 *     within statement_life_ms, and until it has, Doris remembers what its label was loaded as;
 *   - where the FE's configuration may not be read, labels are kept for longer than label_window_ms,
 *     and 2000 finished transactions of a database; where it may, nobody lowers it meanwhile;
 *   - of label_num_threshold (per database) no more than a quarter are running when something is
 *     proved, another quarter has begun since without Sluice having heard of a newer id, and a last
 *     one comes within label_window_ms while it hears of nothing at all (a restart): on a database
 *     with more than 8 transactions a second set label_window lower, or use "transactional";
 *   - the wall clocks of two lives differ by less than the label memory is longer than the window;
 *   - labels of the job are used by nobody else, and nobody cleans them (CLEAN LABEL).
 *
 * Two owners: one that was taken over learns of it at its next write, since every write is refused.
 * Until then it may send the open task once more, which is harmless as long as the new owner keeps
 * that task open, or Doris remembers its label. So nothing is sent again without a write of a moment
 * ago (PHASE_OWNER), and the new owner, who counts a statement's life from when it opened the store,
 * closes nothing before what the old one may have sent is dead.
 *
 * CANCEL TASK goes the same safe way as a PAUSE with a task open, but for the job, which goes on:
 * the statement is killed, its label asked. VISIBLE: the task is SUCCESS, nothing was canceled.
 * Surely not loaded, and no straggler can be left: CANCELED, and the next tick plans the range anew
 * under the next task id. While a straggler may live the job waits with the task open, asking; a
 * PAUSE and RESUME of the job take the cancellation back. It is not stored: after a crash the task
 * is taken up as any other. Its range is loaded either way, by this task or the next one; but after
 * a crash anything sent may still be a straggler, so that a stored cancellation would hold the job
 * up for the whole life of a statement, where taking the task up again holds up nothing.
 *
 * A source that is not any more what was planned (is_changed) closes the task in the same way.
 *
 * Files with bad rows, when the job sets them aside: a task that was refused for its rows, and never
 * for any other reason, is closed FAILED as soon as no straggler can be left, and the job goes on.
 *
 *     n files refused  -> the next plan takes n / 2 of them: one of those n is bad for certain
 *     some of them loaded -> half of those that are left of them
 *     one file refused -> ACT_STORE_BAD: FAILED, set aside and passed, in one write; the next plan
 *                         takes one file, then two, four ... until all suspects are passed
 *     max_bad set aside and none loaded between them -> the statement is at fault, not the files: at
 *                         the next one the job pauses, and nothing more is set aside
 *
 * The search lives in memory: after a crash the files that are left are tried together again.
 */
#ifndef SCHEDULER_STEP_H
#define SCHEDULER_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/record.h"
#include "scheduler/sink.h"
#include "scheduler/source.h"

enum step_phase {
    PHASE_IDLE,
    PHASE_PLANNING,
    PHASE_INTENT, /* being stored */
    PHASE_ASIDE,  /* files that were never tried, being stored */
    PHASE_OWNER,  /* before a task is sent again: being stored, does the store still take it? */
    PHASE_LOADING,
    PHASE_ASKING,  /* label() of the task */
    PHASE_WITNESS, /* label() of the last success */
    PHASE_FENCING,
    PHASE_WAITING, /* for the timer, then ASKING */
    PHASE_RETRY,   /* for the timer, then LOADING */
    PHASE_COMMIT,  /* being stored */
    PHASE_END,     /* being stored */
    PHASE_DOUBT,   /* nothing can decide; the user may */
};

struct step_config {
    int64_t max_resumes;     /* automatic ones */
    int64_t resume_delay_ms; /* first back-off */
    int64_t label_window_ms; /* an UNKNOWN younger than this counts as not loaded */
    int64_t fence_after_ms;  /* a PREPARE without a statement of ours is fenced after this */
    int64_t n_tries;         /* loads of one task before it is FAILED */
    int64_t max_bad;         /* files set aside in a row, with none loaded between them */
};

/* All a decision may look at. Read by the shell, written by step() only, but for what is marked. */
struct step_job {
    enum job_state state;
    enum step_phase phase;
    enum fail_code fail_code;
    int64_t n_resumes;
    int64_t max_interval_ms;
    int64_t statement_life_ms; /* shell: a lost statement older than this cannot commit any more */
    /* What bounds an UNKNOWN, read from the FE; 0 = not known, config and the default hold. */
    int64_t fe_window_ms; /* shell: a quarter of the FE's label memory */
    int64_t fe_max_txns;  /* shell: a quarter of the FE's label_num_threshold */
    int64_t newest_txn; /* shell, before each event: newest transaction of Doris seen by any job */
    int64_t proof_txn;  /* newest_txn at proof_ms; shell: at INTENT and load from the store */
    int64_t ask_txn;    /* newest_txn at ask_ms */
    int64_t
        n_remembered; /* shell, before EV_LABEL: label_report.n_remembered of the task's label */
    /* Bad files. */
    bool sets_aside;   /* shell: property s3.bad_files, and there is room for one more */
    int64_t n_files;   /* shell: of the open task's range, set at INTENT and load from the store */
    bool is_retry;     /* shell: of the open task, likewise: its file was set aside before */
    int64_t max_files; /* of the next plan, 0 = no limit but the job's: bad ones are searched for */
    int64_t n_suspects; /* files yet to be passed until the search is over */
    int64_t n_failing;  /* the first so many of them contain a bad one for certain, 0 = not known */
    int64_t n_bad;      /* set aside in a row; shell: at load from the store */
    /* The open task, 0 = none. */
    int64_t task_id;    /* shell: set at INTENT and at load from the store */
    int64_t intent_ms;  /* shell: wall clock of the INTENT */
    bool has_witness;   /* shell: a success before the INTENT has a label that Doris recorded */
    int64_t witness_ms; /* shell: wall clock of that success */
    int64_t n_sent;     /* statements Doris may have begun; 0 = none for certain, in any life */
    int64_t n_tries;    /* loads of the task since the job was resumed or restarted last */
    int64_t n_waits;    /* consecutive WAITING or RETRY, for the delay */
    int64_t lost_ms;    /* monotonic, of the last lost answer, 0 = none outstanding */
    int64_t owned_ms;   /* monotonic: the store took a write then, so nobody else had it */
    int64_t ask_ms;     /* monotonic, of the last ACT_ASK: what it finds out is at least so new */
    int64_t proof_ms;   /* monotonic: the task was surely not loaded then; 0 = at its INTENT */
    int64_t unowned_ms; /* monotonic: PREPARE seen first with no statement of ours, 0 = not */
    bool is_canceled;   /* by PAUSE, CANCEL TASK: close it as CANCELED when that is safe */
    bool is_changed;    /* the source is not what was planned: as is_canceled, but for good */
    bool is_data_error; /* the last load was refused for its rows */
    bool is_committed;  /* Doris said COMMITTED: whatever it forgets, never to be sent again */
    bool is_loaded;     /* Doris said VISIBLE, or proved the range empty: the store is behind */
    bool is_due;        /* it has waited to be sent again; asked once more, it is sent at once */
    bool is_refused;    /* the last statement was answered with an error */
    bool is_recovering; /* open task of an earlier life whose label was not asked yet */
    enum fail_code resolved_code; /* what the user is deciding about, while that is being stored */
};

enum step_event_kind {
    EV_START, /* read from the store, or just created */
    EV_TIMER,
    EV_PLANNED,       /* u.plan */
    EV_PLAN_CANCELED, /* the planning run ended because its cancel flag was raised */
    EV_NO_FE,  /* the planning run could not reach the FE: an outage, no failure of the job */
    EV_LOADED, /* u.load */
    EV_LABEL,  /* u.label: of the task in ASKING, of the witness in WITNESS */
    EV_FENCED,
    EV_STORED, /* u.stored: what became of the last ACT_STORE_… */
    EV_PAUSE,  /* wants step_may_pause() */
    EV_RESUME,
    EV_RESOLVE, /* u.is_committed: the user decides about an IN_DOUBT task */
    EV_CANCEL,  /* the user wants the open task of an active job canceled */
};

/*
 * Monotonic time measures what happened in this life; it does not jump. Wall-clock time is for what
 * an earlier life wrote down.
 */
struct step_time {
    int64_t wall_ms;
    int64_t mono_ms; /* > 0 */
};

struct step_event {
    enum step_event_kind kind;
    struct step_time now;
    union {
        enum plan_result plan;
        struct {
            enum load_result result;
            bool is_data_error;
            bool is_changed;
        } load;
        enum label_state label;
        enum { STORED_OK, STORED_STALE, STORED_FAIL } stored;
        bool is_committed;
    } u;
};

enum step_action {
    ACT_NONE,
    ACT_PLAN,
    ACT_STORE_INTENT,
    ACT_LOAD,
    ACT_ASK,
    ACT_ASK_WITNESS,
    ACT_FENCE,
    ACT_STORE_COMMIT,
    ACT_STORE_FAILED,   /* end the task FAILED; the job's new state goes with it */
    ACT_STORE_CANCELED, /* end the task CANCELED, likewise */
    ACT_STORE_BAD,      /* end the task FAILED, set its one file aside, and pass it */
    ACT_STORE_ASIDE,    /* set aside and pass what the plan found unreadable: there is no task */
    ACT_STORE_JOB,
    ACT_CANCEL_RUN, /* raise the cancel flag of the run under way; its end is still reported */
    ACT_ARM,        /* the timer, delay_ms */
};

/* Why a job pauses; the shell makes the sentence, with the last error of the run where one fits. */
enum step_reason {
    WHY_NONE,
    WHY_RUN_ERROR, /* the run's own error */
    WHY_MANUAL,
    WHY_BUDGET_SPENT,    /* the automatic resumes are used up; the run's own error was the last */
    WHY_LABEL_TAKEN,     /* a label that was never sent exists already */
    WHY_LABEL_FORGOTTEN, /* UNKNOWN, and no proof */
    WHY_STORE,           /* the store's error */
    WHY_STALE,           /* another owner took the store over */
    WHY_RESOLVED,        /* the user decided; RESUME goes on */
};

struct step_out {
    enum step_action action;
    int64_t delay_ms;
    enum step_reason reason; /* set when the job pauses */
};

struct step_out step(struct step_job *job, const struct step_event *event,
                     const struct step_config *config);

/* The label window in force: what is_young() goes by. */
int64_t step_window_ms(const struct step_job *job, const struct step_config *config);
int64_t step_window_txns(const struct step_job *job);

/* The table of legal moves. */
bool step_may_move(enum job_state from, enum job_state to);
/*
 * PAUSE is for a job that moves, or will by itself: one that an error has PAUSED is held by it. What
 * is in doubt stays so, since only RESOLVE or RESUME may decide about it.
 */
bool step_may_pause(const struct step_job *job);
const char *step_phase_name(enum step_phase phase);
/* min(2^n * first, 30 * first): 10, 20, 40, 80, 160, 300 s with Doris's 10 s. */
int64_t step_resume_delay_ms(int64_t n_resumes, int64_t first_ms);
bool step_is_resumable(enum fail_code code);
/* Invariants between the fields; tests call it after every step. */
bool step_check(const struct step_job *job);

#endif
