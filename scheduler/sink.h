/*
 * A sink has Doris load one range under a label, and can say later what became of a label. One kind
 * is one `const struct sink_ops` (sources/insert_sink.c). All calls run on runner threads, may
 * block until the deadline, and may be made by several runners at once.
 *
 * "Not loaded" is never guessed: load() distinguishes what the FE said from what is unknown, and
 * the scheduler resolves the rest through label() (scheduler/step.h).
 */
#ifndef SCHEDULER_SINK_H
#define SCHEDULER_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/cancel.h"
#include "scheduler/record.h"
#include "scheduler/source.h"
#include "scheduler/spec.h"

enum load_result {
    LOAD_VISIBLE,    /* loaded and visible */
    LOAD_COMMITTED,  /* loaded, publish pending: will become visible, never re-send */
    LOAD_EMPTY,      /* OK without a label: the planner proved the input empty, no row exists */
    LOAD_LABEL_USED, /* the FE refused: the label is there already; ask label() */
    LOAD_REFUSED,    /* the FE answered an error (err), or status ABORTED: ask label() */
    LOAD_NOT_SENT,   /* no byte of the INSERT left this process (err says why) */
    LOAD_LOST,       /* sent, and no answer came: timeout, cut link, cancel (err): ask label() */
    /*
     * Transactional only: sent, but certainly not committed and never to be: COMMIT was not sent, and
     * the connection is gone or the FE has answered the ROLLBACK (err says why).
     */
    LOAD_ROLLED_BACK,
};

/* As Doris names them (transaction/TransactionStatus.java), and two of ours. */
enum label_state {
    LABEL_UNKNOWN, /* the FE does not know it: never seen, or already forgotten */
    LABEL_PREPARE,
    LABEL_PRECOMMITTED,
    LABEL_COMMITTED,
    LABEL_VISIBLE,
    LABEL_ABORTED,
    LABEL_UNREACHABLE, /* no answer that can be trusted: err says why; ask again later */
    /*
     * Transactional only: the label was neither under way nor published late when it was asked, and
     * after that there was no offset row of the task, but one of the task that had succeeded before,
     * if any: it had not committed. No window limits this. Without that one the table was emptied,
     * or the guarantee was another one by then: LABEL_UNKNOWN, as if there were no table.
     */
    LABEL_ABSENT,
};

/* What names a task in the offset table, which lies in the target's database. */
struct offset_row {
    int64_t job_id;
    int64_t task_id;
    const char *range;  /* borrowed; its CRC-32 is stored */
    const char *offset; /* borrowed; offset_after */
    /*
     * label(): the newest task of the job that succeeded, 0 when none has. Its row has to be there, or
     * that of task_id may have gone the same way.
     */
    int64_t succeeded_id;
};

struct load_request {
    const struct job_spec *spec;
    const char *label;
    const char *sql;       /* already rewritten; label inside unless transactional */
    struct offset_row row; /* transactional: written in the data's transaction */
    /* Transactional: called before COMMIT; anything but VERIFY_SAME rolls back. */
    enum verify_result (*verify)(void *arg, struct err *err);
    void *verify_arg;
    bool
        is_proven; /* the INSERT was planned before: a column it does not find is the files' fault */
    int64_t timeout_s;           /* insert_timeout and query_timeout of the session */
    int64_t send_by_us;          /* monotonic: later than that LOAD_NOT_SENT; 0: at any time */
    int64_t deadline_us;         /* monotonic; later than the timeout above */
    const struct cancel *cancel; /* raised: KILL QUERY, wait a little, LOAD_LOST */
};

/* Texts owned; NULL when the FE said nothing. */
struct load_report {
    char *txn_id;
    char *tracking_url;
    char *first_error;
    struct load_stat stat; /* scanned_rows = loaded + filtered */
    bool is_data_error;    /* the rows or the file are at fault: trying again changes nothing */
    bool is_changed;       /* the source is not what was planned: the range is to be planned anew */
};

struct label_report {
    char *txn_id;
    char *reason;   /* why it was aborted */
    char *evidence; /* one sentence for a user: who was asked, how, and what it said */
    /*
     * With LABEL_UNKNOWN: finished transactions of the database that the FE remembers, 0 = not known.
     * Of a label it has dropped for their number there are as many as it keeps.
     */
    int64_t n_remembered;
};

/* What label() is asked about. All borrowed. */
struct label_request {
    const char *db;
    const char *label;
    const struct offset_row *row; /* NULL: guarantee "label" */
    int64_t deadline_us;
    const struct cancel *cancel;
};

/* What explain() is asked about. All borrowed. */
struct sink_explain {
    const struct job_spec *spec;
    const char *sql; /* the first range's INSERT without a label; NULL: there is none */
    int64_t label_window_ms;
    int64_t timeout_s; /* of a load's statement */
    int64_t deadline_us;
    const struct cancel *cancel;
};

struct sink;

struct sink_ops {
    const char *name;

    /* Deliberately free of the job: connects as the service account. */
    enum load_result (*load)(struct sink *k, const struct load_request *request,
                             struct load_report *ret, struct err *err);
    enum label_state (*label)(struct sink *k, const struct label_request *request,
                              struct label_report *ret, struct err *err);
    /*
     * Aborts the transaction of a label that is still PREPARE, so that a lost statement can no
     * longer commit (POST /api/{db}/_cancel). True when the FE took the request, whatever it
     * found: ask label() afterwards. False: no HTTP address, or no answer.
     */
    bool (*fence)(struct sink *k, const char *db, const char *label, int64_t deadline_us,
                  const struct cancel *cancel, struct err *err);
    /*
     * Before a job is accepted: the FE is there, the account may log in, the target exists, and,
     * with `sql` (the first range's INSERT without a label, NULL when the source is empty), the FE
     * can plan it (EXPLAIN). Fills *ret_traits. With guarantee "transactional" the FE has to know
     * transactions of several statements, and the offset table is made unless it is there.
     */
    bool (*check)(struct sink *k, const struct job_spec *spec, const char *sql, int64_t deadline_us,
                  const struct cancel *cancel, struct fe_traits *ret_traits, struct err *err);
    /*
     * For EXPLAIN CREATE JOB: whether the FE would do its part (account, rights, target, columns,
     * plan), and the guarantee that holds with it. Nothing is loaded; a failure is a line.
     */
    void (*explain)(struct sink *k, const struct sink_explain *request, struct explain *e);
    /* Version of the FE; asked again after every reconnect to another FE, else cached. */
    bool (*traits)(struct sink *k, int64_t deadline_us, const struct cancel *cancel,
                   struct fe_traits *ret, struct err *err);
};

/* Is it too late to send it? Then err says so. */
bool load_is_late(int64_t send_by_us, const char *label, struct err *err);
const char *load_result_name(enum load_result result); /* for logs */
const char *label_state_name(enum label_state state);
void load_report_fini(struct load_report *r);
void label_report_fini(struct label_report *r);

#endif
