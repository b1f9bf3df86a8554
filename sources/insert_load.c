#include "sources/insert_load.h"

static enum load_result lost(const struct insert_attempt *a, const char *what, struct err *err)
{
    (void)insert_attempt_baffled(a, what, err);
    return LOAD_LOST;
}

static enum load_result read_ok(struct insert_attempt *a, struct err *err)
{
    struct insert_info info = {0};
    const char *text = fe_conn_info(a->c);
    if (text == NULL) {
        return fe_conn_affected(a->c) == 0 ? LOAD_EMPTY
                                           : lost(a, "loaded rows but without a label", err);
    }
    if (!insert_info_parse(span_of(text), &info)) {
        return lost(a, "a text that is not the outcome of an INSERT", err);
    }
    if (!span_eq_text(info.label, a->request->label)) {
        return lost(a, "the outcome of another label", err);
    }
    a->report->txn_id = insert_attempt_text(info.txn_id);
    insert_attempt_count(a);
    switch (info.status) {
    case INSERT_STATUS_VISIBLE: return LOAD_VISIBLE;
    case INSERT_STATUS_COMMITTED: return LOAD_COMMITTED;
    case INSERT_STATUS_ABORTED: return insert_attempt_aborted(a, &info, err);
    case INSERT_STATUS_PREPARE:
        return lost(a, "status PREPARE, as inside an explicit transaction", err);
    case INSERT_STATUS_OTHER: break;
    }
    return lost(a, "a status that is not known", err);
}

static enum load_result read_refusal(struct insert_attempt *a, struct err *err)
{
    struct fe_error_parts parts =
        fe_error_read(span_of(fe_conn_error_text(a->c)), a->request->label);
    insert_attempt_tell(a, &parts);
    switch (parts.kind) {
    case FE_ERROR_LABEL_USED: return LOAD_LABEL_USED;
    case FE_ERROR_COMMITTED: *err = (struct err){0}; return LOAD_COMMITTED;
    case FE_ERROR_OTHER: break;
    }
    return LOAD_REFUSED;
}

/* The statement is on its way. */
static enum load_result await(struct insert_attempt *a, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    enum fe_result result = fe_conn_receive(a->c, &wait, err);
    if (result == FE_STOPPED) {
        result = insert_attempt_kill(a, err);
    }
    switch (result) {
    case FE_OK: return read_ok(a, err);
    case FE_REFUSED: return read_refusal(a, err);
    case FE_UNSENT:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    fe_pool_avoid(a->pool, a->c);
    (void)err_prefix(err, "the load %s was sent and its outcome is not known: ", a->request->label);
    return LOAD_LOST;
}

static enum load_result send_and_await(struct insert_attempt *a, struct err *err)
{
    struct fe_wait wait = insert_attempt_wait(a);
    switch (fe_conn_send(a->c, span_of(a->request->sql), &wait, err)) {
    case FE_OK: return await(a, err);
    case FE_UNSENT:
        (void)err_prefix(err, "the load %s was not sent: ", a->request->label);
        return LOAD_NOT_SENT;
    case FE_REFUSED:
    case FE_LOST:
    case FE_STOPPED: break;
    }
    (void)err_prefix(err, "the load %s may have been sent: ", a->request->label);
    return LOAD_LOST;
}

enum load_result insert_load_run(struct insert_attempt *a, struct err *err)
{
    if (load_is_late(a->request->send_by_us, a->request->label, err)) {
        a->is_clean = true; /* the next time it is there already */
        return LOAD_NOT_SENT;
    }
    enum load_result result = send_and_await(a, err);
    a->is_clean = result == LOAD_VISIBLE;
    return result;
}
