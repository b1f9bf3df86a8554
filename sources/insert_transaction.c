#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/quote.h"
#include "base/xmalloc.h"
#include "scheduler/spec.h"
#include "sources/insert_offsets.h"
#include "sources/insert_transaction.h"

enum {
    ROLLBACK_TIMEOUT_US = 5000000, /* beyond it the connection is closed, which does the same */
    PRUNE_TIMEOUT_US = 5000000,
};

/* How a step ended that was not the last. */
enum step {
    STEP_DONE,
    STEP_UNDO,   /* ROLLBACK, then *ret_result */
    STEP_BROKEN, /* the link is of no use any more, and its end the transaction's: *ret_result */
};

static const char *db_of(const struct insert_attempt *a)
{
    return a->request->spec->insert.target_db;
}

static enum step undo(enum load_result result, enum load_result *ret_result)
{
    *ret_result = result;
    return STEP_UNDO;
}

/* Nothing came, or nothing that is an answer: the transaction ends with the connection. */
static enum step broken(const struct insert_attempt *a, enum load_result result,
                        enum load_result *ret_result)
{
    fe_pool_avoid(a->pool, a->c);
    *ret_result = result;
    return STEP_BROKEN;
}

/* The outcome that the last OK packet tells of, if it is of this load. */
static bool read_outcome(const struct insert_attempt *a, struct insert_info *ret, struct err *err)
{
    const char *text = fe_conn_info(a->c);
    if (text == NULL) {
        return insert_attempt_baffled(a, "no outcome", err);
    }
    if (!insert_info_parse(span_of(text), ret)) {
        return insert_attempt_baffled(a, "a text that is not the outcome of a load", err);
    }
    return span_eq_text(ret->label, a->request->label) ||
           insert_attempt_baffled(a, "the outcome of another label", err);
}

static enum step begin(struct insert_attempt *a, enum load_result *ret_result, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    struct insert_info info = {0};
    _cleanup_free_ char *label = quote_name(a->request->label);
    _cleanup_free_ char *sql = xasprintf("BEGIN WITH LABEL %s", label);
    enum fe_result result = fe_conn_run(a->c, sql, NULL, NULL, &wait, err);
    if (result == FE_OK && !read_outcome(a, &info, err)) {
        (void)err_prefix(err, "no transaction was begun: ");
        return undo(LOAD_NOT_SENT, ret_result);
    }
    if (result == FE_OK) {
        return STEP_DONE;
    }
    (void)err_prefix(err, "the load %s was not sent, BEGIN failed: ", a->request->label);
    return result == FE_REFUSED ? undo(LOAD_REFUSED, ret_result)
                                : broken(a, LOAD_NOT_SENT, ret_result);
}

/* An OK packet that answers an INSERT inside the transaction. */
static enum step read_insert(struct insert_attempt *a, enum load_result *ret_result,
                             struct err *err)
{
    struct insert_info info = {0};
    if (fe_conn_info(a->c) == NULL && fe_conn_affected(a->c) == 0) {
        return STEP_DONE; /* proved empty by the planner */
    }
    if (!read_outcome(a, &info, err)) {
        return undo(LOAD_ROLLED_BACK, ret_result);
    }
    switch (info.status) {
    case INSERT_STATUS_PREPARE:
        if (a->report->txn_id == NULL) {
            a->report->txn_id = insert_attempt_text(info.txn_id);
        }
        return STEP_DONE;
    case INSERT_STATUS_ABORTED: return undo(insert_attempt_aborted(a, &info, err), ret_result);
    case INSERT_STATUS_VISIBLE:
    case INSERT_STATUS_COMMITTED:
        /* It is loaded, and nothing will ever prove it: that is for the scheduler to stop at. */
        (void)insert_attempt_baffled(a, "a status of its own, outside the transaction", err);
        return undo(LOAD_COMMITTED, ret_result);
    case INSERT_STATUS_OTHER: break;
    }
    (void)insert_attempt_baffled(a, "a status that is not known", err);
    return undo(LOAD_ROLLED_BACK, ret_result);
}

static enum step read_refusal(struct insert_attempt *a, enum load_result *ret_result,
                              struct err *err)
{
    static const char cloud[] = "Transaction load is not supported for merge on write";
    const char *text = fe_conn_error_text(a->c);
    struct fe_error_parts parts = fe_error_read(span_of(text), a->request->label);
    insert_attempt_tell(a, &parts);
    if (strstr(text, cloud) != NULL) {
        (void)err_prefix(err, "set \"guarantee\" = \"label\" by ALTER JOB: ");
    }
    return undo(parts.kind == FE_ERROR_LABEL_USED ? LOAD_LABEL_USED : LOAD_REFUSED, ret_result);
}

/* The time is up while the data's INSERT runs: its own answer decides nothing any more. */
static enum step stop(struct insert_attempt *a, enum load_result *ret_result, struct err *err)
{
    struct err why = *err;
    enum fe_result result = insert_attempt_kill(a, err);
    *err = why;
    return result == FE_OK || result == FE_REFUSED ? undo(LOAD_ROLLED_BACK, ret_result)
                                                   : broken(a, LOAD_ROLLED_BACK, ret_result);
}

static enum step await_data(struct insert_attempt *a, enum load_result *ret_result, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    switch (fe_conn_receive(a->c, &wait, err)) {
    case FE_OK: insert_attempt_count(a); return read_insert(a, ret_result, err);
    case FE_REFUSED: return read_refusal(a, ret_result, err);
    case FE_STOPPED: return stop(a, ret_result, err);
    case FE_UNSENT:
    case FE_LOST: break;
    }
    return broken(a, LOAD_ROLLED_BACK, ret_result);
}

static enum step load_data(struct insert_attempt *a, enum load_result *ret_result, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    switch (fe_conn_send(a->c, span_of(a->request->sql), &wait, err)) {
    case FE_OK: return await_data(a, ret_result, err);
    case FE_UNSENT:
        (void)err_prefix(err, "the load %s was not sent: ", a->request->label);
        return undo(LOAD_NOT_SENT, ret_result);
    case FE_REFUSED:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    return broken(a, LOAD_ROLLED_BACK, ret_result);
}

/* The FE refused the row; *err has its words. */
static void explain_no_row(const struct insert_attempt *a, struct err *err)
{
    struct span text = span_of(fe_conn_error_text(a->c));
    _cleanup_free_ char *db = quote_name(db_of(a));
    if (fe_error_is_missing_table(err->code, text)) {
        _cleanup_free_ char *create = insert_offsets_create(db_of(a), NULL);
        (void)err_prefix(err,
                         "%s.`" OFFSETS_TABLE "`, where the row of the load %s belongs, is gone: "
                         "bring it back (RECOVER TABLE), or, if no task of a job of this database "
                         "is in doubt, run %s with the target's replication; the FE says: ",
                         db, a->request->label, create);
    } else if (fe_error_is_denied(err->code, text)) {
        (void)err_prefix(err,
                         "the service account '%s' may not write %s.`" OFFSETS_TABLE "`: GRANT "
                         "SELECT_PRIV, LOAD_PRIV ON %s.`" OFFSETS_TABLE "` TO '%s'; the FE says: ",
                         a->user, db, db, a->user);
    } else {
        (void)err_prefix(
            err, "the row of the load %s could not be written into %s.`" OFFSETS_TABLE "`: ",
            a->request->label, db);
    }
}

static enum step write_row(struct insert_attempt *a, enum load_result *ret_result, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    const struct offset_row *row = &a->request->row;
    _cleanup_free_ char *sql = insert_offsets_write(db_of(a), row, clock_wall_ms());
    enum fe_result result = fe_conn_run(a->c, sql, NULL, NULL, &wait, err);
    if (result == FE_OK && fe_conn_affected(a->c) == 0) {
        (void)err_say(err,
                      "%s.`" OFFSETS_TABLE "` has a row of this task or of a later one already: "
                      "Sluice's store was restored from an older copy, or the table was changed by "
                      "hand. Its column `offset` says how far job %" PRId64
                      " had come: if that is further than this task, DROP the job and CREATE it "
                      "anew with that \"offset\"",
                      db_of(a), row->job_id);
        return undo(LOAD_LABEL_USED, ret_result);
    }
    if (result == FE_OK) {
        return read_insert(a, ret_result, err);
    }
    if (result == FE_REFUSED) {
        struct fe_error_parts parts =
            fe_error_read(span_of(fe_conn_error_text(a->c)), a->request->label);
        explain_no_row(a, err);
        return undo(parts.kind == FE_ERROR_LABEL_USED ? LOAD_LABEL_USED : LOAD_REFUSED, ret_result);
    }
    return broken(a, LOAD_ROLLED_BACK, ret_result);
}

static enum step verify(struct insert_attempt *a, enum load_result *ret_result, struct err *err)
{
    const struct load_request *request = a->request;
    if (request->verify == NULL) {
        return STEP_DONE;
    }
    switch (request->verify(request->verify_arg, err)) {
    case VERIFY_SAME: return STEP_DONE;
    case VERIFY_CHANGED: a->report->is_changed = true; break;
    case VERIFY_FAIL: break;
    }
    return undo(LOAD_ROLLED_BACK, ret_result);
}

/* True when the FE has said so. */
static bool roll_back(struct insert_attempt *a)
{
    struct err ignored = {0}; /* the end of the connection does the same */
    struct fe_wait wait = {.deadline_us = clock_mono_us() + ROLLBACK_TIMEOUT_US};
    a->is_clean = fe_conn_run(a->c, "ROLLBACK", NULL, NULL, &wait, &ignored) == FE_OK;
    return a->is_clean;
}

/* Before COMMIT was sent. */
static enum load_result finish(struct insert_attempt *a, enum step step, enum load_result result,
                               struct err *err)
{
    bool is_told = step == STEP_UNDO && roll_back(a);
    a->report->stat = (struct load_stat){0};
    if (result == LOAD_REFUSED && !is_told) {
        result = LOAD_ROLLED_BACK;
        a->report->is_data_error = false;
    }
    if (result == LOAD_ROLLED_BACK) {
        (void)err_prefix(err, "the load %s was rolled back: ", a->request->label);
    }
    return result;
}

/* Rows of tasks long done; that they are there costs space only, so a failure is no one's matter. */
static void prune(struct insert_attempt *a)
{
    struct err ignored = {0};
    struct fe_wait wait = {
        .deadline_us = clock_mono_us() + PRUNE_TIMEOUT_US,
        .cancel = a->request->cancel,
    };
    if (a->request->row.task_id % OFFSETS_KEPT == 0) {
        _cleanup_free_ char *sql = insert_offsets_prune(db_of(a), &a->request->row);
        enum fe_result result = fe_conn_run(a->c, sql, NULL, NULL, &wait, &ignored);
        a->is_clean = result == FE_OK || result == FE_REFUSED;
    }
}

static enum load_result read_commit(struct insert_attempt *a, struct err *err)
{
    struct insert_info info = {0};
    if (!read_outcome(a, &info, err)) {
        return LOAD_LOST;
    }
    if (info.txn_id.n > 0) {
        free(a->report->txn_id);
        a->report->txn_id = insert_attempt_text(info.txn_id);
    }
    a->is_clean = true;
    switch (info.status) {
    case INSERT_STATUS_VISIBLE: prune(a); return LOAD_VISIBLE;
    case INSERT_STATUS_COMMITTED: return LOAD_COMMITTED;
    case INSERT_STATUS_ABORTED: return insert_attempt_aborted(a, &info, err);
    case INSERT_STATUS_PREPARE:
    case INSERT_STATUS_OTHER: break;
    }
    a->is_clean = false;
    (void)insert_attempt_baffled(a, "a status that no COMMIT has", err);
    return LOAD_LOST;
}

static enum load_result read_commit_refusal(struct insert_attempt *a, struct err *err)
{
    struct fe_error_parts parts =
        fe_error_read(span_of(fe_conn_error_text(a->c)), a->request->label);
    if (parts.kind == FE_ERROR_COMMITTED) {
        *err = (struct err){0};
        return LOAD_COMMITTED;
    }
    a->report->stat = (struct load_stat){0};
    (void)err_prefix(err, "the load %s could not be committed: ", a->request->label);
    return LOAD_REFUSED;
}

static enum load_result await_commit(struct insert_attempt *a, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    enum fe_result result = fe_conn_receive(a->c, &wait, err);
    if (result == FE_STOPPED) {
        result = insert_attempt_last_answer(a, err);
    }
    switch (result) {
    case FE_OK: return read_commit(a, err);
    case FE_REFUSED: return read_commit_refusal(a, err);
    case FE_UNSENT:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    fe_pool_avoid(a->pool, a->c);
    (void)err_prefix(err, "the COMMIT of the load %s was sent and its outcome is not known: ",
                     a->request->label);
    return LOAD_LOST;
}

static enum load_result commit(struct insert_attempt *a, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    switch (fe_conn_send(a->c, SPAN_LIT("COMMIT"), &wait, err)) {
    case FE_OK: return await_commit(a, err);
    case FE_UNSENT: return finish(a, STEP_UNDO, LOAD_ROLLED_BACK, err);
    case FE_REFUSED:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    fe_pool_avoid(a->pool, a->c);
    (void)err_prefix(err, "the COMMIT of the load %s may have been sent: ", a->request->label);
    return LOAD_LOST;
}

enum load_result insert_transaction_run(struct insert_attempt *a, struct err *err)
{
    static enum step (*const steps[])(struct insert_attempt *, enum load_result *,
                                      struct err *) = {begin, load_data, write_row, verify};
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
        enum load_result result = LOAD_ROLLED_BACK;
        enum step step = steps[i](a, &result, err);
        if (step != STEP_DONE) {
            return finish(a, step, result, err);
        }
    }
    return commit(a, err);
}
