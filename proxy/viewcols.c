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

struct column {
    const char *name;
    column_fn put;
    bool is_word; /* an upper-case word of Doris's; compared without regard to letter case */
};

static const struct column jobs_columns[] = {
    {"Id", job_id, false},
    {"Name", job_name, false},
    {"Definer", job_definer, false},
    {"ExecuteType", job_execute_type, true},
    {"RecurringStrategy", put_empty, false},
    {"Status", job_status, true},
    {"ExecuteSql", job_execute_sql, false},
    {"CreateTime", job_create_time, false},
    {"SucceedTaskCount", job_n_succeeded, false},
    {"FailedTaskCount", job_n_failed, false},
    {"CanceledTaskCount", job_n_canceled, false},
    {"Comment", job_comment, false},
    {"Properties", job_properties, false},
    {"CurrentOffset", job_current_offset, false},
    {"EndOffset", job_end_offset, false},
    {"LoadStatistic", job_statistic, false},
    {"ErrorMsg", job_error, false},
    {"JobRuntimeMsg", job_runtime_msg, false},
    {"Lag", put_empty, false},
    {"LastTaskSuccessTime", job_last_success, false},
};

static const struct column tasks_columns[] = {
    {"TaskId", task_id, false},
    {"JobId", job_id, false},
    {"JobName", job_name, false},
    {"Label", task_label, false},
    {"Status", task_status, true},
    {"ErrorMsg", task_error, false},
    {"CreateTime", task_create_time, false},
    {"StartTime", task_start_time, false},
    {"FinishTime", task_finish_time, false},
    {"TrackingUrl", task_tracking_url, false},
    {"LoadStatistic", task_statistic, false},
    {"User", job_definer, false},
    {"FirstErrorMsg", task_first_error, false},
    {"RunningOffset", task_running_offset, false},
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
    return tables[table].columns[i].is_word;
}

const char *viewcols_absent(enum view_table table)
{
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
