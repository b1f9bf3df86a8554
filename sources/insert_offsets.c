#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/quote.h"
#include "base/xmalloc.h"
#include "sources/fe_error.h"
#include "sources/insert_offsets.h"

enum {
    CRC_POLYNOMIAL = 0xedb88320,
    TIME_SIZE = 32,
    LONGEST_REPLICATION = 200,
};

/* --- statements ------------------------------------------------------------------------------- */

uint32_t insert_offsets_crc(struct span text)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < text.n; i++) {
        crc ^= (unsigned char)text.p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? (uint32_t)CRC_POLYNOMIAL : 0);
        }
    }
    return ~crc;
}

static char *table_name(const char *db)
{
    _cleanup_free_ char *quoted = quote_name(db);
    return xasprintf("%s.`" OFFSETS_TABLE "`", quoted);
}

/* Short: the mysql client shows the first 512 bytes of an error, and this stands in one. */
char *insert_offsets_create(const char *db, const char *replication)
{
    _cleanup_free_ char *table = table_name(db);
    _cleanup_free_ char *properties =
        replication != NULL ? xasprintf(" PROPERTIES (%s)", replication) : xstrdup("");
    return xasprintf(
        "CREATE TABLE IF NOT EXISTS %s (job_id BIGINT NOT NULL, task_id BIGINT NOT NULL, "
        "range_crc BIGINT NOT NULL, `offset` STRING, committed_at DATETIME) DUPLICATE "
        "KEY(job_id, task_id) COMMENT 'written by Sluice' DISTRIBUTED BY HASH(job_id) BUCKETS 1%s",
        table, properties);
}

/* In UTC, whatever the zones of Sluice and of the session are. */
static void format_time(int64_t wall_ms, char ret[TIME_SIZE])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    (void)gmtime_r(&seconds, &parts); /* fails for years beyond any int only */
    if (strftime(ret, TIME_SIZE, "%Y-%m-%d %H:%M:%S", &parts) == 0) {
        ret[0] = '\0';
    }
}

char *insert_offsets_write(const char *db, const struct offset_row *row, int64_t wall_ms)
{
    char at[TIME_SIZE];
    _cleanup_free_ char *table = table_name(db);
    _cleanup_free_ char *offset = row->offset != NULL ? quote_text(row->offset) : xstrdup("NULL");
    format_time(wall_ms, at);
    return xasprintf("INSERT INTO %s (`job_id`, `task_id`, `range_crc`, `offset`, `committed_at`) "
                     "SELECT %" PRId64 ", %" PRId64 ", %" PRIu32 ", %s, '%s' FROM numbers('number' "
                     "= '1') AS `one` CROSS JOIN (SELECT COUNT(*) AS `n` FROM %s WHERE `job_id` = "
                     "%" PRId64 " AND `task_id` >= %" PRId64 ") AS `done` WHERE `done`.`n` = 0",
                     table, row->job_id, row->task_id, insert_offsets_crc(span_of(row->range)),
                     offset, at, table, row->job_id, row->task_id);
}

char *insert_offsets_prune(const char *db, const struct offset_row *row)
{
    _cleanup_free_ char *table = table_name(db);
    return xasprintf("DELETE FROM %s WHERE `job_id` = %" PRId64 " AND `task_id` < %" PRId64, table,
                     row->job_id, row->task_id - OFFSETS_KEPT);
}

char *insert_offsets_replication(const char *create_table)
{
    static const char *const keys[] = {"\"replication_allocation\" = \"",
                                       "\"replication_num\" = \""};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *at = create_table != NULL ? strstr(create_table, keys[i]) : NULL;
        const char *value = at != NULL ? at + strlen(keys[i]) : NULL;
        const char *end = value != NULL ? strpbrk(value, "\"\\\n") : NULL;
        if (end != NULL && *end == '"' && end - at < LONGEST_REPLICATION) {
            return span_dup(span_between(at, end + 1));
        }
    }
    return NULL;
}

/* --- is the row there? ------------------------------------------------------------------------ */

/* One row of numbers; has_all tells whether it came as it was asked for. */
struct counts {
    int n_rows;
    bool has_all;
    int64_t n;
    int64_t low; /* 0 where n is */
    int64_t high;
};

static bool to_number(const char *cell, int64_t *ret)
{
    return cell != NULL && span_to_int64(span_of(cell), INT64_MIN, INT64_MAX, ret);
}

static void read_counts(const struct fe_row *row, void *arg)
{
    struct counts *c = arg;
    c->n_rows++;
    c->has_all = c->n_rows == 1 && to_number(fe_row_get(row, "n"), &c->n) && c->n >= 0 &&
                 (c->n == 0 || (to_number(fe_row_get(row, "low"), &c->low) &&
                                to_number(fe_row_get(row, "high"), &c->high)));
}

/* The rows of a job by `condition`, and least and greatest of `column` among them. */
static enum fe_result count_where(const struct offsets_question *q, const char *column,
                                  const char *condition, struct counts *ret, struct err *err)
{
    _cleanup_free_ char *table = table_name(q->db);
    _cleanup_free_ char *sql =
        xasprintf("SELECT COUNT(*) AS `n`, MIN(`%s`) AS `low`, MAX(`%s`) AS `high` FROM %s WHERE "
                  "`job_id` = %" PRId64 " AND %s",
                  column, column, table, q->row->job_id, condition);
    *ret = (struct counts){0};
    enum fe_result result = fe_conn_run(q->c, sql, read_counts, ret, &q->wait, err);
    if (result == FE_OK && !ret->has_all) {
        const struct fe_address *a = fe_conn_address(q->c);
        (void)err_say(err,
                      "the FE %s:%d did not answer with one row of counts (is dry_run_query or "
                      "sql_select_limit set for all sessions?)",
                      a->host, a->port);
        return FE_LOST;
    }
    return result;
}

static enum fe_result count(const struct offsets_question *q, const char *column,
                            const char *relation, struct counts *ret, struct err *err)
{
    _cleanup_free_ char *condition = xasprintf("`task_id` %s %" PRId64, relation, q->row->task_id);
    return count_where(q, column, condition, ret, err);
}

/* A session in which nothing that is visible somewhere can be missed. */
static enum fe_result read_strongly(const struct offsets_question *q, struct err *err)
{
    /* In cloud mode an FE may read by a version that it has cached, and a BE by an older one yet. */
    static const char *const optional[] = {
        "SET skip_missing_version = false",
        "SET skip_bad_tablet = false",
        "SET cloud_partition_version_cache_ttl_ms = 0",
        "SET cloud_table_version_cache_ttl_ms = 0",
        "SET query_freshness_tolerance_ms = -1",
    };
    enum fe_result result =
        fe_conn_run(q->c, "SET enable_strong_consistency_read = true", NULL, NULL, &q->wait, err);
    for (size_t i = 0; i < ARRAY_SIZE(optional) && result == FE_OK; i++) {
        result = fe_conn_run(q->c, optional[i], NULL, NULL, &q->wait, err);
        if (result == FE_REFUSED &&
            fe_error_is_unknown_variable(err->code, span_of(fe_conn_error_text(q->c)))) {
            *err = (struct err){0};
            result = FE_OK;
        }
    }
    return result;
}

static enum offsets_answer explain_failure(const struct offsets_question *q, enum fe_result result,
                                           struct err *err)
{
    struct span text = span_of(fe_conn_error_text(q->c));
    _cleanup_free_ char *table = table_name(q->db);
    if (result == FE_REFUSED && fe_error_is_denied(err->code, text)) {
        (void)err_prefix(err,
                         "the service account '%s' may not read %s, which tells what was loaded: "
                         "GRANT SELECT_PRIV, LOAD_PRIV ON %s TO '%s'; the FE says: ",
                         q->user, table, table, q->user);
    } else if (result == FE_REFUSED && fe_error_is_missing_table(err->code, text)) {
        (void)err_prefix(err,
                         "%s, which tells what was loaded, is gone: bring it back (RECOVER TABLE). "
                         "Made anew it is empty and tells of no task that is open: look into the "
                         "target first; the FE says: ",
                         table);
    } else {
        (void)err_prefix(err, "%s, which tells what was loaded, could not be read: ", table);
    }
    return OFFSETS_NONE;
}

static enum offsets_answer judge(const struct offsets_question *q, const struct counts *exact,
                                 struct err *err)
{
    int64_t crc = insert_offsets_crc(span_of(q->row->range));
    if (exact->low == crc && exact->high == crc) {
        return OFFSETS_THERE;
    }
    _cleanup_free_ char *table = table_name(q->db);
    (void)err_say(err,
                  "%s has a row of task %" PRId64 " of job %" PRId64
                  " with another range (CRC %" PRId64 " instead of %" PRId64
                  "): the table was changed by hand, or Sluice's store was "
                  "restored from an older copy; compare that row with the files in the target",
                  table, q->row->task_id, q->row->job_id, exact->low, crc);
    return OFFSETS_OTHER;
}

static enum offsets_answer say_later(const struct offsets_question *q, const struct counts *later,
                                     struct err *err)
{
    _cleanup_free_ char *table = table_name(q->db);
    (void)err_say(
        err,
        "%s has no row of task %" PRId64 " of job %" PRId64 " but rows of later ones up to "
        "%" PRId64 ": Sluice's store was restored from an older copy, or the table was "
        "changed by hand; its column `offset` says how far the job had come: DROP the job "
        "and CREATE it anew with that \"offset\"",
        table, q->row->task_id, q->row->job_id, later->high);
    return OFFSETS_OTHER;
}

/*
 * No row: not committed, as long as nobody has emptied the table, or put another in its place. The row
 * of the task before tells, looked for together with the one that is missing, at one moment.
 */
static enum offsets_answer judge_absence(const struct offsets_question *q, struct err *err)
{
    const struct offset_row *row = q->row;
    struct counts found = {0};
    if (row->succeeded_id == 0) {
        return OFFSETS_ABSENT;
    }
    _cleanup_free_ char *condition =
        xasprintf("`task_id` IN (%" PRId64 ", %" PRId64 ")", row->succeeded_id, row->task_id);
    enum fe_result result = count_where(q, "task_id", condition, &found, err);
    if (result != FE_OK) {
        return explain_failure(q, result, err);
    }
    if (found.n > 0 && found.high == row->task_id) {
        _cleanup_free_ char *table = table_name(q->db);
        (void)err_say(err,
                      "the row of task %" PRId64 " of job %" PRId64 " came into %s while it "
                      "was read",
                      row->task_id, row->job_id, table);
        return OFFSETS_NONE;
    }
    return found.n > 0 ? OFFSETS_ABSENT : OFFSETS_UNSURE;
}

enum offsets_answer insert_offsets_find(const struct offsets_question *q, struct err *err)
{
    struct counts found = {0};
    enum fe_result result = read_strongly(q, err);
    if (result == FE_OK) {
        result = count(q, "range_crc", "=", &found, err);
    }
    if (result == FE_OK && found.n > 0) {
        return judge(q, &found, err);
    }
    if (result == FE_OK) {
        result = count(q, "task_id", ">", &found, err);
    }
    if (result != FE_OK) {
        return explain_failure(q, result, err);
    }
    return found.n > 0 ? say_later(q, &found, err) : judge_absence(q, err);
}

/* --- before a job is accepted ----------------------------------------------------------------- */

static void read_create(const struct fe_row *row, void *arg)
{
    char **replication = arg;
    free(*replication);
    *replication = insert_offsets_replication(fe_row_get(row, "Create Table"));
}

/* `what_not`: what the account may not do if it may not make the table, for the error. */
static bool make_table(const struct offsets_question *q, const char *target_table,
                       const char *what_not, struct err *err)
{
    struct err ignored = {0}; /* without it Doris's default number of replicas holds */
    _cleanup_free_ char *replication = NULL;
    _cleanup_free_ char *db = quote_name(q->db);
    _cleanup_free_ char *target = quote_name(target_table);
    _cleanup_free_ char *show = xasprintf("SHOW CREATE TABLE %s.%s", db, target);
    (void)fe_conn_run(q->c, show, read_create, &replication, &q->wait, &ignored);
    _cleanup_free_ char *create = insert_offsets_create(q->db, replication);
    enum fe_result result = fe_conn_run(q->c, create, NULL, NULL, &q->wait, err);
    if (result == FE_OK) {
        return true;
    }
    if (result == FE_REFUSED && fe_error_is_denied(err->code, span_of(fe_conn_error_text(q->c)))) {
        return err_prefix(err,
                          "transactional needs %s.`" OFFSETS_TABLE
                          "`, which '%s' (doris.user) may %s: run %s; and GRANT SELECT_PRIV, "
                          "LOAD_PRIV ON %s.`" OFFSETS_TABLE "` TO '%s'; the FE says: ",
                          db, q->user, what_not, create, db, q->user);
    }
    return err_prefix(err,
                      "\"guarantee\" = \"transactional\" needs the table %s.`" OFFSETS_TABLE
                      "`, which could not be made (%s): ",
                      db, create);
}

enum fe_result insert_offsets_look(const struct offsets_question *q, struct err *err)
{
    static const struct offset_row none = {.range = ""};
    struct counts ignored = {0};
    struct offsets_question question = *q;
    question.row = &none;
    return count(&question, "range_crc", "=", &ignored, err);
}

/* BEGIN, the row, ROLLBACK: rights, columns, and whether the FE can do it at all. */
static bool rehearse(const struct offsets_question *q, struct err *err)
{
    struct err ignored = {0};
    _cleanup_free_ char *table = table_name(q->db);
    _cleanup_free_ char *write = insert_offsets_write(q->db, q->row, 0);
    enum fe_result result = fe_conn_run(q->c, "BEGIN", NULL, NULL, &q->wait, err);
    if (result == FE_OK) {
        result = fe_conn_run(q->c, write, NULL, NULL, &q->wait, err);
    }
    bool is_written = result == FE_OK && fe_conn_affected(q->c) == 1;
    if (result == FE_OK) {
        result = fe_conn_run(q->c, "ROLLBACK", NULL, NULL, &q->wait, err);
    } else if (result == FE_REFUSED) {
        /* The transaction is still open; should this fail, its end is that of the connection. */
        (void)fe_conn_run(q->c, "ROLLBACK", NULL, NULL, &q->wait, &ignored);
    }
    if (result == FE_OK) {
        return is_written ||
               err_say(err, "the FE took a row for %s and did not write it (job 0, task 0)", table);
    }
    if (result == FE_REFUSED && fe_error_is_denied(err->code, span_of(err->msg))) {
        return err_prefix(err,
                          "the service account '%s' may not write %s: GRANT LOAD_PRIV, SELECT_PRIV "
                          "ON %s TO '%s'; the FE says: ",
                          q->user, table, table, q->user);
    }
    return err_prefix(err,
                      "\"guarantee\" = \"transactional\" was tried with a row of %s in a "
                      "transaction that is rolled back, and failed: ",
                      table);
}

bool insert_offsets_ensure(const struct offsets_question *q, const char *target_table,
                           struct err *err)
{
    enum fe_result result = insert_offsets_look(q, err);
    struct span text = span_of(fe_conn_error_text(q->c));
    bool is_denied = result == FE_REFUSED && fe_error_is_denied(err->code, text);
    bool is_missing = result == FE_REFUSED && fe_error_is_missing_table(err->code, text);
    if (is_denied || is_missing) { /* who may not read it may not be told that it is missing */
        *err = (struct err){0};
        if (!make_table(q, target_table, is_denied ? "neither read nor create" : "not create",
                        err)) {
            return false;
        }
        result = insert_offsets_look(q, err);
    }
    if (result != FE_OK) {
        (void)explain_failure(q, result, err);
        return false;
    }
    return rehearse(q, err);
}
