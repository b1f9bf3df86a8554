/*
 * A scheduler under test between the fakes of sched_fakes.h. Unless it has its own thread, the test
 * turns its loop, and every invariant is checked after every turn.
 */
#ifndef TESTS_UNIT_SCHED_RIG_H
#define TESTS_UNIT_SCHED_RIG_H

#include "base/clock.h"
#include "scheduler/sched_private.h"
#include "tests/unit/sched_fakes.h"
#include "tests/unit/store_fixture.h"

enum { DEADLINE_MS = 15 * 1000, N_RUNNERS = 3, LONG_DRAIN_MS = 10 * 1000 };

struct rig {
    struct fixture file;
    struct fake_doris doris;
    struct fake_store store;
    struct event_base *base; /* of the answers */
    struct msgq *replies;
    struct sched_request *answered; /* the last ones, newest first by call.m.next */
    size_t n_answered;
    struct step_config step;
    int64_t max_jobs;
    size_t n_runners;
    int64_t interval_s;
    struct sched *s;
    bool has_thread;
};

struct rig *rig_create(bool has_thread);
void rig_destroy(struct rig *g);
void rig_begin(struct rig *g);
void rig_end(struct rig *g, int64_t drain_ms);
/* A crash, and the next start: nothing more is written, nothing is drained. */
void rig_crash(struct rig *g);
/* The same, with another number of runners. */
void rig_set_runners(struct rig *g, size_t n);
/* Waits for something to happen, and looks at everything. */
void rig_turn(struct rig *g);

#define rig_until(g, condition)                                                                    \
    do {                                                                                           \
        int64_t deadline_ms_ = clock_mono_ms() + DEADLINE_MS;                                      \
        while (!(condition)) {                                                                     \
            rig_turn(g);                                                                           \
            if (clock_mono_ms() > deadline_ms_) {                                                  \
                fail_msg("never came true: %s", #condition);                                       \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* The answer's error, "" when it is yes. Valid until the next one. */
const char *rig_ask(struct rig *g, struct sched_request *r);
struct sched_request *rig_request(struct rig *g, enum sched_op op, const char *name);
struct sched_request *rig_create_request(struct rig *g, const char *name, const char *db, int table,
                                         const char *units);
void rig_create_job(struct rig *g, const char *name, const char *db, int table, const char *units);
const char *rig_change(struct rig *g, enum sched_op op, const char *name);
/* `key` NULL: all files. */
const char *rig_file(struct rig *g, const char *name, const char *key, bool is_retry);
const char *rig_resolve(struct rig *g, const char *name, int64_t task_id, bool is_committed);
struct job *rig_job(const struct rig *g, const char *name);
/* Committed up to there, and no task is open. */
bool rig_has_offset(const struct rig *g, const char *name, const char *offset);

#define SCRIPT(g, ...)                                                                             \
    fake_doris_script(&(g)->doris, (const enum fake_load[]){__VA_ARGS__},                          \
                      ARRAY_SIZE(((const enum fake_load[]){__VA_ARGS__})))

#endif
