/*
 * What the files of the local side share: local.c (which statement, in which steps), local_ask.c
 * (questions to the FE), local_change.c (CREATE, ALTER, PAUSE, RESUME, DROP JOB, tasks),
 * local_view.c (queries over jobs() and tasks()), local_explain.c (EXPLAIN and SHOW CREATE JOB).
 * Only they include this. All on the worker's thread.
 */
#ifndef PROXY_LOCAL_PARTS_H
#define PROXY_LOCAL_PARTS_H

#include "parser/stmt.h"
#include "proxy/grants.h"
#include "proxy/local.h"
#include "proxy/local_env.h"
#include "proxy/viewmerge.h"
#include "scheduler/sched.h"

/*
 * A statement is a list of steps. A step is done at once (STEP_NEXT), or waits for the FE or for
 * another thread and continues from there (STEP_WAIT), or has replied (STEP_END).
 */
enum step_result { STEP_NEXT, STEP_WAIT, STEP_END };

struct local {
    struct session *session; /* borrowed: owns us */
    bool is_busy;
    char *text; /* the statement; stmt has spans into it */
    struct stmt stmt;
    size_t i_step;
    struct grants grants;    /* of the user, as the FE told last; kept between statements */
    int64_t grants_asked_ms; /* monotonic */
    uint64_t grants_resets;  /* session_resets() then */
    char *database;          /* SELECT DATABASE(), NULL when none is selected */
    int64_t job_id;          /* of the job the statement names, 0 = not ours */
    struct job_record job;   /* a copy of it as found; target_db NULL = not ours */
    struct snapshot *snapshot;
    struct explain explain;            /* EXPLAIN CREATE JOB: the lines that are known so far */
    bool is_checking;                  /* its SCHED_CHECK is under way */
    bool is_prepare;                   /* the statement is only prepared */
    struct viewmerge *fe[VIEW_TABLES]; /* the FE's own jobs and tasks */
    char *time_zone;                   /* SELECT @@time_zone, NULL when nobody asked */
};

typedef enum step_result (*step_fn)(struct local *l);

/* local.c */
const struct local_env *local_env_of(const struct local *l);
struct msgq *local_queue(const struct local *l);
/* Forgets the statement; the session's next one begins clean. */
void local_finish(struct local *l);
enum step_result local_end_ok(struct local *l);
/* Secrets in the text are masked. */
enum step_result local_end_err(struct local *l, const struct err *err);
/* The next step and those behind it, until one waits or has replied. */
void local_go_on(struct local *l);
/* The local side of a session that waits for another thread; NULL when it is gone. */
struct local *local_find(struct worker *w, uint64_t session_id);
/* A request whose answer goes on with the statement, see take_reply() in local.c. */
struct sched_request *local_request(struct local *l, enum sched_op op);

/* local_ask.c: steps */
/* Behind what tells the target: the job, or CREATE's current database. */
enum step_result local_ask_grants(struct local *l);
/* Ends with ERR 1142 without LOAD on the target. */
enum step_result local_check_load(struct local *l);
enum step_result local_ask_database(struct local *l);
/* Tasks run as doris.user: ends unless the user himself may read the tables of the INSERT's query. */
enum step_result local_ask_tables(struct local *l);
/* CREATE JOB: ends when the FE has a job of this name. */
enum step_result local_ask_fe_name(struct local *l);
/* EXPLAIN CREATE JOB: whether it has one is a line. */
enum step_result local_ask_fe_name_explain(struct local *l);
/* Not ours: is it the FE's? Then the statement is relayed, else the error is the answer. */
enum step_result local_ask_fe_jobs(struct local *l);
/* The statement has ended: `grants` stay for the next one, or go. */
void local_keep_grants(struct local *l);
bool local_may_load(const struct local *l, const char *db, const char *table, struct err *err);

/* local_change.c: steps */
enum step_result local_find_existing(struct local *l);
enum step_result local_skip_if_existing(struct local *l);
enum step_result local_send_create(struct local *l);
enum step_result local_find_job(struct local *l);
enum step_result local_send_change(struct local *l);
enum step_result local_send_alter(struct local *l);

/* local_view.c: steps */
enum step_result local_ask_own_jobs(struct local *l);
enum step_result local_ask_own_tasks(struct local *l);
enum step_result local_ask_time_zone(struct local *l);
enum step_result local_take_snapshot(struct local *l);
enum step_result local_query_views(struct local *l);

/* local_explain.c: steps */
enum step_result local_explain_rights(struct local *l);
/* Ends with that alone: the user lacks a privilege. */
enum step_result local_explain_denied(struct local *l, const struct err *err);
enum step_result local_explain_find(struct local *l);
enum step_result local_explain_name(struct local *l);
enum step_result local_explain_create(struct local *l);
enum step_result local_explain_job(struct local *l);
enum step_result local_show_create(struct local *l);
/* The scheduler's answers to SCHED_CHECK and SCHED_EXPLAIN. */
void local_checked(struct local *l, struct explain *explain);
void local_explained(struct local *l, const struct explain *explain);
/* The session is gone: nobody waits for SCHED_CHECK any more. */
void local_explain_forget(struct local *l);
/* What these statements answer with; *ret_n is 0 for all others. */
const char *const *local_explain_columns(enum stmt_kind kind, size_t *ret_n);

#endif
