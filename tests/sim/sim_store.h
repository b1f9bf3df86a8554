/*
 * The store as scheduler/store.h promises it: what survives a crash, changed by compare-and-set in
 * one piece. A write may be refused, and a crash may come right before it or right after it. One
 * that was refused may be in the file all the same, unless another one has taken its place (fsync
 * says EIO, and the frame is whole): who opens the store next finds it, or not.
 */
#ifndef TESTS_SIM_SIM_STORE_H
#define TESTS_SIM_SIM_STORE_H

#include "scheduler/step.h"
#include "tests/sim/bugs.h"
#include "tests/sim/world.h"

enum bad { BAD_NONE, BAD_ASIDE, BAD_RETRIED };
enum overwritten { OVERWRITTEN_IGNORE, OVERWRITTEN_RELOAD, OVERWRITTEN_ERROR };

/* What is remembered of a file, beside what it is now: s3_join.h. */
enum known { KNOWN_GONE, KNOWN_NEW, KNOWN_SAME, KNOWN_MENDED, KNOWN_OVERWRITTEN };

/* A success whose label Doris recorded. */
struct success {
    int64_t ms;     /* wall clock, as stored */
    int64_t serial; /* the world's: when it finished */
    int64_t finished_ms;
    int64_t next_before; /* newest transaction known when its job began the next task */
    bool is_there;
};

/* One job, as it is stored, and as its owner has it in memory. */
struct record {
    int job;              /* its id: another one for each CREATE JOB */
    enum job_state state; /* STOPPED: there is none, by DROP JOB */
    enum fail_code fail_code;
    int64_t n_resumes;
    int offset; /* last file passed, in the order of keys */
    int64_t last_task;
    int64_t committed_task;
    int64_t newest_txn;           /* seen by any job when something was stored last */
    struct success witness;       /* of the open task: the newest before its INTENT */
    struct success own;           /* the job's last */
    struct success other[2];      /* the last of another job of the database, newest first */
    struct success newest;        /* of this job or any other one of the database */
    bool is_transactional;        /* property guarantee */
    bool sets_aside;              /* property s3.bad_files */
    bool is_once;                 /* property s3.ingestion_mode */
    bool is_tracking;             /* property s3.discovery */
    enum overwritten overwritten; /* property s3.overwritten */
    int64_t task;                 /* open, 0 = none */
    struct range range;
    int64_t intent_ms;
    int64_t txn_before;
    int8_t tracked[MAX_UNITS + 1]; /* version that was passed, 0 = none */
    int8_t bad[MAX_UNITS + 1];
    uint64_t aside;                  /* bit of each file that is BAD_ASIDE */
    uint64_t is_bad;                 /* bit of each file that is tracked as a bad one */
    uint64_t is_overwritten;         /* bit of each that was set aside for that */
    int8_t bad_tasks[MAX_UNITS + 1]; /* 0: its name */
};

enum write_kind {
    WRITE_JOB,
    WRITE_INTENT,
    WRITE_COMMIT,
    WRITE_FAILED,
    WRITE_CANCELED,
    WRITE_BAD,
    WRITE_ASIDE,
    WRITE_ALTER,
    WRITE_FILE,
    WRITE_DROP,
    WRITE_CREATE,
};

/* What is to be written; the record is the writer's, with what it expects to find. */
struct write {
    enum write_kind kind;
    int64_t epoch;
    const struct step_job *job;
    struct range range; /* INTENT, ASIDE */
    int64_t wall_ms;    /* INTENT, COMMIT */
    int64_t newest_txn;
    struct success success; /* COMMIT */
    bool is_resolved;       /* COMMIT, FAILED: by the user */
    int unit;               /* FILE; ALTER: the offset, -1 = unchanged */
    enum bad decision;      /* FILE: BAD_RETRIED, or BAD_NONE: skip */
    struct record altered;  /* ALTER: the properties */
    bool is_resumed;        /* JOB: by the user */
    bool is_auto;           /* JOB: resumed by itself, at the cost of the budget */
};

enum written { WRITTEN, WRITE_STALE, WRITE_REFUSED, WRITE_CRASH };

struct sim_store {
    struct world *world;
    enum bug bug;
    int64_t epoch;
    struct record rec;
    bool is_held; /* oracle: the user paused it, which is stored, and has not resumed it since */
    bool has_stale_mark; /* oracle: a stale owner's write was accepted */
    bool is_failing;     /* it refuses more often than not */
    bool has_ghost;      /* a write that was refused, and is in the file for all that */
    struct write ghost;
    struct step_job ghost_job;
    int64_t max_resumes; /* as configured */
    int64_t n_auto;      /* oracle: automatic resumes since the last success, or the user's */
    int n_crashes_left;
    int n_failures_left;
    int64_t n_aside;
    int64_t n_retried;
    int64_t n_stale;
    int64_t n_ghosts;
    int64_t n_autos;
    int64_t n_drops;
    int64_t n_overwritten;
};

void store_init(struct sim_store *st, struct world *w, enum bug bug);
/* WRITTEN: *rec has changed as the store has. */
enum written store_write(struct sim_store *st, struct record *rec, const struct write *write);
/* As CREATE JOB stores it, after `old` was dropped; what is known of other jobs stays. */
void record_create(const struct record *old, struct world *w, struct record *ret);
enum known record_known(const struct record *rec, const struct world *w, int unit);
/* Is the file the next plan's business? Of one that is tried again only the user says so. */
bool record_wants(const struct record *rec, enum known known);
/* The next owner opens it. */
void store_open(struct sim_store *st);
const char *write_name(enum write_kind kind);

#endif
