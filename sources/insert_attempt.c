#include "base/clock.h"
#include "sources/insert_attempt.h"

enum {
    KILL_TIMEOUT_US = 3000000, /* for KILL QUERY, from connecting on */
    LAST_ANSWER_US = 5000000,  /* for the statement's own answer after it */
    LONGEST_TEXT = 16 << 10,   /* of a first error or a tracking URL */
};

struct fe_wait insert_attempt_wait(const struct insert_attempt *a)
{
    return (struct fe_wait){
        .deadline_us = a->request->deadline_us,
        .cancel = a->request->cancel,
    };
}

char *insert_attempt_text(struct span s)
{
    s.n = s.n < LONGEST_TEXT ? s.n : LONGEST_TEXT;
    return s.n > 0 ? span_dup(s) : NULL;
}

static void replace(char **text, struct span by)
{
    free(*text);
    *text = insert_attempt_text(by);
}

void insert_attempt_tell(struct insert_attempt *a, const struct fe_error_parts *parts)
{
    a->report->is_data_error =
        parts->is_data_error || (parts->is_column_error && a->request->is_proven);
    replace(&a->report->tracking_url, parts->tracking_url);
    replace(&a->report->first_error, parts->first_error);
    if (a->report->txn_id == NULL) {
        a->report->txn_id = insert_attempt_text(parts->txn_id);
    }
}

enum load_result insert_attempt_aborted(struct insert_attempt *a, const struct insert_info *info,
                                        struct err *err)
{
    struct fe_error_parts parts = fe_error_read(info->error, a->request->label);
    insert_attempt_tell(a, &parts);
    a->report->stat = (struct load_stat){0};
    (void)err_say(err, "%.*s",
                  SPAN_ARG(info->error.n > 0
                               ? info->error
                               : SPAN_LIT("the FE aborted the load without a reason")));
    return LOAD_REFUSED;
}

bool insert_attempt_baffled(const struct insert_attempt *a, const char *what, struct err *err)
{
    const struct fe_address *fe = fe_conn_address(a->c);
    return err_set(err, ERR_FE_LOST, "08S01", "the FE %s:%d answered the load %s with %s", fe->host,
                   fe->port, a->request->label, what);
}

void insert_attempt_count(struct insert_attempt *a)
{
    uint64_t affected = fe_conn_affected(a->c);
    uint64_t filtered = fe_conn_warnings(a->c);
    if (affected <= INT64_MAX - filtered) {
        a->report->stat.scanned_rows = (int64_t)(affected + filtered);
        a->report->stat.filtered_rows = (int64_t)filtered;
    }
}

enum fe_result insert_attempt_last_answer(struct insert_attempt *a, struct err *err)
{
    struct err why = *err;
    struct fe_wait last = {.deadline_us = clock_mono_us() + LAST_ANSWER_US};
    enum fe_result result = fe_conn_receive(a->c, &last, err);
    if (result == FE_STOPPED) {
        *err = why;
    } else if (result == FE_OK) {
        *err = (struct err){0};
    }
    return result;
}

enum fe_result insert_attempt_kill(struct insert_attempt *a, struct err *err)
{
    struct err ignored = {0}; /* KILL is best effort: the answer decides, else the label */
    struct fe_wait kill = {.deadline_us = clock_mono_us() + KILL_TIMEOUT_US};
    (void)fe_conn_kill(a->c, &kill, &ignored);
    return insert_attempt_last_answer(a, err);
}
