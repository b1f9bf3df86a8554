#include <inttypes.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/viewtab.h"

/* "\N", what Doris shows in tasks() for a value that is not there yet. */
static const char absent[] = "\\N";

/* One row under a cursor. */
struct row {
    const struct job_view *job;
    const struct task_view *task; /* NULL in jobs */
};

typedef void (*column_fn)(sqlite3_context *to, const struct row *row);

static void put_text(sqlite3_context *to, const char *text)
{
    sqlite3_result_text(to, text != NULL ? text : "", -1, SQLITE_TRANSIENT);
}

static void put_or_absent(sqlite3_context *to, const char *text)
{
    put_text(to, text != NULL && text[0] != '\0' ? text : absent);
}

static void put_int(sqlite3_context *to, int64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRId64, n); /* 20 characters at most */
    put_text(to, text);
}

static void put_time(sqlite3_context *to, int64_t wall_ms, const char *if_zero)
{
    char text[CLOCK_TEXT_SIZE];
    if (wall_ms == 0) {
        put_text(to, if_zero);
        return;
    }
    clock_format_wall(wall_ms, text);
    put_text(to, text);
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
    put_text(to, text);
}

static void job_id(sqlite3_context *to, const struct row *row)
{
    put_int(to, row->job->rec.id);
}

static void job_name(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->rec.name);
}

static void job_definer(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->rec.definer);
}

static void job_execute_type(sqlite3_context *to, const struct row *row)
{
    (void)row;
    put_text(to, "STREAMING");
}

static void put_empty(sqlite3_context *to, const struct row *row)
{
    (void)row;
    put_text(to, "");
}

static void job_status(sqlite3_context *to, const struct row *row)
{
    put_text(to, job_state_name(row->job->rec.state));
}

static void job_execute_sql(sqlite3_context *to, const struct row *row)
{
    char *masked = stmt_mask_secrets(span_of(row->job->rec.sql));
    sqlite3_result_text(to, masked, -1, free);
}

static void job_create_time(sqlite3_context *to, const struct row *row)
{
    put_time(to, row->job->rec.create_ms, "");
}

static void job_n_succeeded(sqlite3_context *to, const struct row *row)
{
    put_int(to, row->job->rec.n_succeeded);
}

static void job_n_failed(sqlite3_context *to, const struct row *row)
{
    put_int(to, row->job->rec.n_failed);
}

static void job_n_canceled(sqlite3_context *to, const struct row *row)
{
    put_int(to, row->job->rec.n_canceled);
}

static void job_comment(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->rec.comment);
}

static void job_properties(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->rec.properties);
}

static void job_current_offset(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->rec.offset);
}

static void job_end_offset(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->end_offset);
}

static void job_statistic(sqlite3_context *to, const struct row *row)
{
    put_stat(to, &row->job->rec.stat);
}

static void job_error(sqlite3_context *to, const struct row *row)
{
    const struct job_record *r = &row->job->rec;
    if (r->fail_code == FAIL_NONE) {
        put_text(to, "");
        return;
    }
    _cleanup_free_ char *masked = stmt_mask_secrets(span_of(r->fail_msg));
    json_t *object = json_pack("{s:s, s:s}", "code", fail_code_name(r->fail_code), "msg",
                               masked != NULL ? masked : "");
    if (object == NULL) {
        put_text(to, masked); /* no UTF-8, and so no JSON: better as it is than not at all */
        return;
    }
    put_owned_json(to, object);
}

static void job_runtime_msg(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->job->runtime_msg);
}

static void job_last_success(sqlite3_context *to, const struct row *row)
{
    put_time(to, row->job->rec.last_success_ms, "");
}

static void task_id(sqlite3_context *to, const struct row *row)
{
    put_int(to, row->task->rec.id);
}

static void task_label(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->task->rec.label);
}

static void task_status(sqlite3_context *to, const struct row *row)
{
    put_text(to, task_state_name(row->task->rec.state));
}

static void task_error(sqlite3_context *to, const struct row *row)
{
    _cleanup_free_ char *masked =
        row->task->rec.error != NULL ? stmt_mask_secrets(span_of(row->task->rec.error)) : NULL;
    put_or_absent(to, masked);
}

static void task_create_time(sqlite3_context *to, const struct row *row)
{
    put_time(to, row->task->rec.create_ms, absent);
}

static void task_start_time(sqlite3_context *to, const struct row *row)
{
    put_time(to, row->task->rec.start_ms, absent);
}

static void task_finish_time(sqlite3_context *to, const struct row *row)
{
    put_time(to, row->task->rec.finish_ms, absent);
}

static void task_tracking_url(sqlite3_context *to, const struct row *row)
{
    put_or_absent(to, row->task->rec.tracking_url);
}

static void task_statistic(sqlite3_context *to, const struct row *row)
{
    put_stat(to, &row->task->rec.stat);
}

static void task_first_error(sqlite3_context *to, const struct row *row)
{
    put_text(to, row->task->rec.first_error);
}

static void task_running_offset(sqlite3_context *to, const struct row *row)
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

static const struct table {
    const char *name;
    const struct column *columns;
    size_t n_columns;
    bool has_tasks;
} tables[] = {
    {"jobs", jobs_columns, ARRAY_SIZE(jobs_columns), false},
    {"tasks", tasks_columns, ARRAY_SIZE(tasks_columns), true},
};

void viewtab_list_columns(struct buf *to)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        buf_printf(to, "%s%s() has ", i > 0 ? "; " : "", tables[i].name);
        for (size_t k = 0; k < tables[i].n_columns; k++) {
            buf_printf(to, "%s%s", k > 0 ? ", " : "", tables[i].columns[k].name);
        }
    }
}

/* --- the virtual table ------------------------------------------------------------------------ */

struct vtab {
    sqlite3_vtab base; /* first: SQLite's */
    const struct table *table;
    const struct viewtab *tab; /* borrowed */
};

struct cursor {
    sqlite3_vtab_cursor base; /* first: SQLite's */
    size_t i_job;
    size_t n_left; /* tasks of the job that were not shown yet; newest first */
    int64_t rowid;
};

static int vtab_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **ret, char **ret_error)
{
    const struct viewtab *tab = aux;
    (void)argc;
    (void)ret_error;
    /* argv[0] is the module's name, which is the table's. */
    const struct table *table = strcmp(argv[0], "jobs") == 0 ? &tables[0] : &tables[1];
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendf(sql, "CREATE TABLE x(");
    for (size_t i = 0; i < table->n_columns; i++) {
        sqlite3_str_appendf(sql, "%s\"%w\" TEXT%s", i > 0 ? ", " : "", table->columns[i].name,
                            table->columns[i].is_word ? " COLLATE NOCASE" : "");
    }
    sqlite3_str_appendf(sql, ")");
    char *text = sqlite3_str_finish(sql);
    int rc = text != NULL ? sqlite3_declare_vtab(db, text) : SQLITE_NOMEM;
    sqlite3_free(text);
    if (rc == SQLITE_OK) {
        struct vtab *v = xcalloc(1, sizeof(*v));
        v->table = table;
        v->tab = tab;
        *ret = &v->base;
    }
    return rc;
}

static int vtab_disconnect(sqlite3_vtab *v)
{
    free(v);
    return SQLITE_OK;
}

/* Always the whole table: SQLite does the rest. */
static int vtab_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const struct vtab *v = (const struct vtab *)base;
    info->estimatedCost = (double)v->tab->n_visible * (v->table->has_tasks ? 100 : 1);
    info->estimatedRows = (sqlite3_int64)info->estimatedCost;
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret)
{
    (void)v;
    struct cursor *c = xcalloc(1, sizeof(*c));
    *ret = &c->base;
    return SQLITE_OK;
}

static int cursor_close(sqlite3_vtab_cursor *c)
{
    free(c);
    return SQLITE_OK;
}

/* In tasks: on to a job that has tasks. */
static void settle(struct cursor *c, const struct vtab *v)
{
    if (!v->table->has_tasks) {
        return;
    }
    while (c->n_left == 0 && c->i_job < v->tab->n_visible) {
        c->i_job++;
        c->n_left = c->i_job < v->tab->n_visible ? v->tab->visible[c->i_job]->n_tasks : 0;
    }
}

static int cursor_filter(sqlite3_vtab_cursor *base, int index, const char *text, int argc,
                         sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    (void)index;
    (void)text;
    (void)argc;
    (void)argv;
    c->i_job = 0;
    c->rowid = 0;
    c->n_left = v->tab->n_visible > 0 ? v->tab->visible[0]->n_tasks : 0;
    settle(c, v);
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    c->rowid++;
    if (!v->table->has_tasks) {
        c->i_job++;
        return SQLITE_OK;
    }
    c->n_left--;
    settle(c, v);
    return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *c = (const struct cursor *)base;
    return c->i_job >= ((const struct vtab *)base->pVtab)->tab->n_visible;
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *to, int i)
{
    const struct cursor *c = (const struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    struct row row = {.job = v->tab->visible[c->i_job]};
    if (v->table->has_tasks) {
        row.task = row.job->tasks[c->n_left - 1];
    }
    v->table->columns[i].put(to, &row);
    return SQLITE_OK;
}

static int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = ((const struct cursor *)base)->rowid;
    return SQLITE_OK;
}

static const sqlite3_module module = {
    .xConnect = vtab_connect, /* and no xCreate: the tables exist by their modules' names */
    .xBestIndex = vtab_best_index,
    .xDisconnect = vtab_disconnect,
    .xDestroy = vtab_disconnect,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
};

bool viewtab_attach(sqlite3 *db, const struct viewtab *tab, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
        /* SQLite hands `tab` back to vtab_connect(), which only reads it. */
        if (sqlite3_create_module(db, tables[i].name, &module, (void *)tab) != SQLITE_OK) {
            return err_say(err, "cannot make table %s: %s", tables[i].name, sqlite3_errmsg(db));
        }
    }
    /* A table comes to life when a statement names it: now, before an authorizer is set. */
    if (sqlite3_exec(db, "SELECT 1 FROM jobs, tasks LIMIT 0", NULL, NULL, NULL) != SQLITE_OK) {
        return err_say(err, "cannot make the tables jobs and tasks: %s", sqlite3_errmsg(db));
    }
    return true;
}
