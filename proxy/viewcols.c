#include <inttypes.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "proxy/viewcols.h"
#include "proxy/viewtab.h"
#include "proxy/viewtime.h"

/* "\N", what Doris shows in tasks() for a value that is not there yet. */
static const char absent[] = "\\N";

typedef void (*column_fn)(sqlite3_context *to, const struct view_row *row);

/* Of the row itself: it stays as long as the query. */
static void put_text(sqlite3_context *to, const char *text)
{
    sqlite3_result_text(to, text != NULL ? text : "", -1, SQLITE_STATIC);
}

static void put_copy(sqlite3_context *to, const char *text)
{
    sqlite3_result_text(to, text, -1, SQLITE_TRANSIENT);
}

/* What users wrote and what FEs and stores answered: any of it may quote a secret. */
static void put_masked(sqlite3_context *to, const char *text)
{
    sqlite3_result_text(to, secret_mask(span_of(text)), -1, free);
}

static void put_or_absent(sqlite3_context *to, const char *text)
{
    put_text(to, text != NULL && text[0] != '\0' ? text : absent);
}

static void put_int(sqlite3_context *to, int64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, n); /* 20 characters at most */
    put_copy(to, text);
}

static void put_time(sqlite3_context *to, const struct view_row *row, int64_t wall_ms,
                     const char *if_zero)
{
    char text[VIEWTIME_TEXT_SIZE];
    if (wall_ms == 0) {
        put_text(to, if_zero);
        return;
    }
    viewzone_format_ms(row->tab->zone, wall_ms, text);
    put_copy(to, text);
}

static void put_owned_json(sqlite3_context *to, json_t *object)
{
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    sqlite3_result_text(to, text, -1, text != NULL ? free : SQLITE_STATIC);
}

static void put_stat(sqlite3_context *to, const struct load_stat *s)
{
    char text[192];
    (void)snprintf(text, sizeof(text), /* five numbers of 20 characters fit */
                   "{\"scannedRows\":%" PRId64 ",\"loadBytes\":%" PRId64 ",\"fileNumber\":%" PRId64
                   ",\"fileSize\":%" PRId64 ",\"filteredRows\":%" PRId64 "}",
                   s->scanned_rows, s->load_bytes, s->file_number, s->file_size, s->filtered_rows);
    put_copy(to, text);
}

static void job_id(sqlite3_context *to, const struct view_row *row)
{
    put_int(to, row->job->rec.id);
}

static void job_name(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, row->job->rec.name);
}

static void job_definer(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, row->job->rec.definer);
}

static void job_execute_type(sqlite3_context *to, const struct view_row *row)
{
    (void)row;
    put_text(to, "STREAMING");
}

static void put_empty(sqlite3_context *to, const struct view_row *row)
{
    (void)row;
    put_text(to, "");
}

static void job_status(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, job_state_name(row->job->rec.state));
}

static void job_execute_sql(sqlite3_context *to, const struct view_row *row)
{
    put_masked(to, row->job->rec.sql);
}

static void job_create_time(sqlite3_context *to, const struct view_row *row)
{
    put_time(to, row, row->job->rec.create_ms, "");
}

static void job_n_succeeded(sqlite3_context *to, const struct view_row *row)
{
    put_int(to, row->job->rec.n_succeeded);
}

static void job_n_failed(sqlite3_context *to, const struct view_row *row)
{
    put_int(to, row->job->rec.n_failed);
}

static void job_n_canceled(sqlite3_context *to, const struct view_row *row)
{
    put_int(to, row->job->rec.n_canceled);
}

static void job_comment(sqlite3_context *to, const struct view_row *row)
{
    put_masked(to, row->job->rec.comment);
}

static void job_properties(sqlite3_context *to, const struct view_row *row)
{
    put_masked(to, row->job->rec.properties);
}

static void job_current_offset(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, row->job->rec.offset);
}

static void job_end_offset(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, row->job->end_offset);
}

static void job_statistic(sqlite3_context *to, const struct view_row *row)
{
    put_stat(to, &row->job->rec.stat);
}

static void job_error(sqlite3_context *to, const struct view_row *row)
{
    const struct job_record *r = &row->job->rec;
    if (r->fail_code == FAIL_NONE) {
        put_text(to, "");
        return;
    }
    _cleanup_free_ char *masked = secret_mask(span_of(r->fail_msg));
    json_t *object = json_pack("{s:s, s:s}", "code", fail_code_name(r->fail_code), "msg",
                               masked != NULL ? masked : "");
    if (object == NULL) {
        put_copy(to, masked != NULL
                         ? masked
                         : ""); /* no UTF-8, and so no JSON: better as it is than not at all */
        return;
    }
    put_owned_json(to, object);
}

static void job_runtime_msg(sqlite3_context *to, const struct view_row *row)
{
    put_masked(to, row->job->runtime_msg);
}

static void job_last_success(sqlite3_context *to, const struct view_row *row)
{
    put_time(to, row, row->job->rec.last_success_ms, "");
}

static void task_id(sqlite3_context *to, const struct view_row *row)
{
    put_int(to, row->task->rec.id);
}

static void task_label(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, row->task->rec.label);
}

static void task_status(sqlite3_context *to, const struct view_row *row)
{
    put_text(to, task_state_name(row->task->rec.state));
}

static void task_error(sqlite3_context *to, const struct view_row *row)
{
    _cleanup_free_ char *masked =
        row->task->rec.error != NULL ? secret_mask(span_of(row->task->rec.error)) : NULL;
    put_copy(to, masked != NULL && masked[0] != '\0' ? masked : absent);
}

static void task_create_time(sqlite3_context *to, const struct view_row *row)
{
    put_time(to, row, row->task->rec.create_ms, absent);
}

static void task_start_time(sqlite3_context *to, const struct view_row *row)
{
    put_time(to, row, row->task->rec.start_ms, absent);
}

static void task_finish_time(sqlite3_context *to, const struct view_row *row)
{
    put_time(to, row, row->task->rec.finish_ms, absent);
}

static void task_tracking_url(sqlite3_context *to, const struct view_row *row)
{
    put_or_absent(to, row->task->rec.tracking_url);
}

static void task_statistic(sqlite3_context *to, const struct view_row *row)
{
    put_stat(to, &row->task->rec.stat);
}

static void task_first_error(sqlite3_context *to, const struct view_row *row)
{
    put_masked(to, row->task->rec.first_error);
}

static void task_running_offset(sqlite3_context *to, const struct view_row *row)
{
    put_or_absent(to, row->task->rec.running_offset);
}

/* --- what Doris does not have ------------------------------------------------------------------- */

enum {
    QUARANTINE_MAX_FILES = 1000,        /* in the column; QuarantinedFiles counts them all */
    QUARANTINE_MAX_BYTES = 1024 * 1024, /* of their texts, before JSON escapes any of them */
};

/* SQL NULL when it is not known. */
static void put_count(sqlite3_context *to, int64_t n)
{
    if (n >= 0) {
        put_int(to, n);
    }
}

static void job_guarantee(sqlite3_context *to, const struct view_row *row)
{
    switch (row->job->guarantee) {
    case GUARANTEE_LABEL: put_text(to, "label"); return;
    case GUARANTEE_TRANSACTIONAL: put_text(to, "transactional"); return;
    }
}

static void job_n_late(sqlite3_context *to, const struct view_row *row)
{
    put_count(to, row->job->watch.n_late);
}

static void job_n_overwritten(sqlite3_context *to, const struct view_row *row)
{
    put_count(to, row->job->watch.n_overwritten);
}

static void job_n_bad(sqlite3_context *to, const struct view_row *row)
{
    const struct bad_view *bad = row->job->bad;
    put_count(to, bad != NULL ? (int64_t)bad->n_files : 0);
}

static void job_n_tracked(sqlite3_context *to, const struct view_row *row)
{
    put_count(to, row->job->rec.n_tracked);
}

/* Texts that are no UTF-8 have no place in JSON. */
static json_t *json_of(const char *text)
{
    json_t *string = json_string(text != NULL ? text : "");
    return string != NULL ? string : json_string("(not UTF-8)");
}

static json_t *bad_to_json(const struct bad_file *f, const struct viewzone *zone)
{
    char time[VIEWTIME_TEXT_SIZE];
    _cleanup_free_ char *reason = secret_mask(span_of(f->reason != NULL ? f->reason : ""));
    viewzone_format_ms(zone, f->at_ms, time);
    /* Takes both strings over; a task of 0 is none: the file's name alone is at fault. */
    return json_pack("{s:o, s:o, s:o, s:s, s:b}", "key", json_of(f->key), "reason", json_of(reason),
                     "task", f->task_id > 0 ? json_integer(f->task_id) : json_null(), "time", time,
                     "retried", (int)f->is_retried);
}

static void job_quarantine(sqlite3_context *to, const struct view_row *row)
{
    const struct bad_view *bad = row->job->bad;
    size_t n_bytes = 0;
    json_t *array = json_array();
    for (size_t i = 0; bad != NULL && i < bad->n_files && i < QUARANTINE_MAX_FILES; i++) {
        const struct bad_file *f = &bad->files[i];
        n_bytes += strlen(f->key) + (f->reason != NULL ? strlen(f->reason) : 0);
        if (n_bytes > QUARANTINE_MAX_BYTES) {
            break;
        }
        (void)json_array_append_new(array, bad_to_json(f, row->tab->zone)); /* memory only */
    }
    put_owned_json(to, array);
}

static void job_evidence(sqlite3_context *to, const struct view_row *row)
{
    put_masked(to, row->job->evidence);
}

enum column_kind {
    COLUMN_TEXT,
    COLUMN_WORD,   /* an upper-case word of Doris's; compared without regard to letter case */
    COLUMN_HIDDEN, /* not in Doris, and so not in `*`: to be named */
};

struct column {
    const char *name;
    column_fn put;
    enum column_kind kind;
};

static const struct column jobs_columns[] = {
    {"Id", job_id, COLUMN_TEXT},
    {"Name", job_name, COLUMN_TEXT},
    {"Definer", job_definer, COLUMN_TEXT},
    {"ExecuteType", job_execute_type, COLUMN_WORD},
    {"RecurringStrategy", put_empty, COLUMN_TEXT},
    {"Status", job_status, COLUMN_WORD},
    {"ExecuteSql", job_execute_sql, COLUMN_TEXT},
    {"CreateTime", job_create_time, COLUMN_TEXT},
    {"SucceedTaskCount", job_n_succeeded, COLUMN_TEXT},
    {"FailedTaskCount", job_n_failed, COLUMN_TEXT},
    {"CanceledTaskCount", job_n_canceled, COLUMN_TEXT},
    {"Comment", job_comment, COLUMN_TEXT},
    {"Properties", job_properties, COLUMN_TEXT},
    {"CurrentOffset", job_current_offset, COLUMN_TEXT},
    {"EndOffset", job_end_offset, COLUMN_TEXT},
    {"LoadStatistic", job_statistic, COLUMN_TEXT},
    {"ErrorMsg", job_error, COLUMN_TEXT},
    {"JobRuntimeMsg", job_runtime_msg, COLUMN_TEXT},
    {"Lag", put_empty, COLUMN_TEXT},
    {"LastTaskSuccessTime", job_last_success, COLUMN_TEXT},
    {"Guarantee", job_guarantee, COLUMN_HIDDEN},
    {"LateFiles", job_n_late, COLUMN_HIDDEN},
    {"OverwrittenFiles", job_n_overwritten, COLUMN_HIDDEN},
    {"QuarantinedFiles", job_n_bad, COLUMN_HIDDEN},
    {"TrackedFiles", job_n_tracked, COLUMN_HIDDEN},
    {"Quarantine", job_quarantine, COLUMN_HIDDEN},
    {"Evidence", job_evidence, COLUMN_HIDDEN},
};

static const struct column tasks_columns[] = {
    {"TaskId", task_id, COLUMN_TEXT},
    {"JobId", job_id, COLUMN_TEXT},
    {"JobName", job_name, COLUMN_TEXT},
    {"Label", task_label, COLUMN_TEXT},
    {"Status", task_status, COLUMN_WORD},
    {"ErrorMsg", task_error, COLUMN_TEXT},
    {"CreateTime", task_create_time, COLUMN_TEXT},
    {"StartTime", task_start_time, COLUMN_TEXT},
    {"FinishTime", task_finish_time, COLUMN_TEXT},
    {"TrackingUrl", task_tracking_url, COLUMN_TEXT},
    {"LoadStatistic", task_statistic, COLUMN_TEXT},
    {"User", job_definer, COLUMN_TEXT},
    {"FirstErrorMsg", task_first_error, COLUMN_TEXT},
    {"RunningOffset", task_running_offset, COLUMN_TEXT},
};

static const struct {
    const char *name;
    const struct column *columns;
    size_t n;
} tables[VIEW_TABLES] = {
    [VIEW_JOBS] = {"jobs", jobs_columns, ARRAY_SIZE(jobs_columns)},
    [VIEW_TASKS] = {"tasks", tasks_columns, ARRAY_SIZE(tasks_columns)},
};

const char *viewcols_table(enum view_table table)
{
    return tables[table].name;
}

size_t viewcols_count(enum view_table table)
{
    return tables[table].n;
}

const char *viewcols_name(enum view_table table, size_t i)
{
    return tables[table].columns[i].name;
}

bool viewcols_is_word(enum view_table table, size_t i)
{
    return tables[table].columns[i].kind == COLUMN_WORD;
}

bool viewcols_is_hidden(enum view_table table, size_t i)
{
    return i < tables[table].n && tables[table].columns[i].kind == COLUMN_HIDDEN;
}

const char *viewcols_absent(enum view_table table, size_t i)
{
    if (viewcols_is_hidden(table, i)) {
        return NULL;
    }
    return table == VIEW_TASKS ? absent : "";
}

size_t viewcols_find(enum view_table table, struct span name)
{
    for (size_t i = 0; i < tables[table].n; i++) {
        if (span_ieq_text(name, tables[table].columns[i].name)) {
            return i;
        }
    }
    return SIZE_MAX;
}

void viewcols_put(struct sqlite3_context *to, enum view_table table, size_t i,
                  const struct view_row *row)
{
    tables[table].columns[i].put(to, row);
}
