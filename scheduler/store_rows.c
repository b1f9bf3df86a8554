#include <assert.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "scheduler/store_rows.h"

enum column_type {
    COLUMN_INT,
    COLUMN_TEXT,       /* NULL is stored as NULL */
    COLUMN_TEXT_OR_NO, /* NOT NULL in the table: NULL is stored as '' */
    COLUMN_JOB_STATE,
    COLUMN_TASK_STATE,
    COLUMN_FAIL_CODE,
};

struct column {
    const char *name; /* as SQL wants it */
    enum column_type type;
    size_t offset; /* of the member in the record */
};

struct store_rows_table {
    const char *name;
    const struct column *columns;
    size_t n_columns;
};

enum { LONGEST_SQL = 4096 };

#define JOB(member, type)  #member, type, offsetof(struct job_record, member)
#define TASK(member, type) #member, type, offsetof(struct task_record, member)
#define STAT(record, member)                                                                       \
#member, COLUMN_INT, offsetof(record, stat) + offsetof(struct load_stat, member)

static const struct column job_columns[] = {
    {JOB(id, COLUMN_INT)},
    {JOB(name, COLUMN_TEXT)},
    {JOB(definer, COLUMN_TEXT_OR_NO)},
    {JOB(current_db, COLUMN_TEXT)},
    {JOB(target_db, COLUMN_TEXT_OR_NO)},
    {JOB(target_table, COLUMN_TEXT_OR_NO)},
    {"\"sql\"", COLUMN_TEXT, offsetof(struct job_record, sql)},
    {JOB(properties, COLUMN_TEXT_OR_NO)},
    {JOB(comment, COLUMN_TEXT_OR_NO)},
    {JOB(create_ms, COLUMN_INT)},
    {JOB(state, COLUMN_JOB_STATE)},
    {JOB(fail_code, COLUMN_FAIL_CODE)},
    {JOB(fail_msg, COLUMN_TEXT)},
    {JOB(n_resumes, COLUMN_INT)},
    {"\"offset\"", COLUMN_TEXT, offsetof(struct job_record, offset)},
    {JOB(last_task_id, COLUMN_INT)},
    {JOB(committed_task_id, COLUMN_INT)},
    {JOB(n_succeeded, COLUMN_INT)},
    {JOB(n_failed, COLUMN_INT)},
    {JOB(n_canceled, COLUMN_INT)},
    {JOB(last_success_ms, COLUMN_INT)},
    {STAT(struct job_record, scanned_rows)},
    {STAT(struct job_record, load_bytes)},
    {STAT(struct job_record, file_number)},
    {STAT(struct job_record, file_size)},
    {STAT(struct job_record, filtered_rows)},
};

static const struct column task_columns[] = {
    {TASK(job_id, COLUMN_INT)},
    {TASK(id, COLUMN_INT)},
    {TASK(label, COLUMN_TEXT_OR_NO)},
    {TASK(state, COLUMN_TASK_STATE)},
    {"\"range\"", COLUMN_TEXT, offsetof(struct task_record, range)},
    {TASK(offset_after, COLUMN_TEXT)},
    {TASK(running_offset, COLUMN_TEXT)},
    {TASK(create_ms, COLUMN_INT)},
    {TASK(start_ms, COLUMN_INT)},
    {TASK(finish_ms, COLUMN_INT)},
    {TASK(error, COLUMN_TEXT)},
    {TASK(first_error, COLUMN_TEXT)},
    {TASK(tracking_url, COLUMN_TEXT)},
    {TASK(txn_id, COLUMN_TEXT)},
    {STAT(struct task_record, scanned_rows)},
    {STAT(struct task_record, load_bytes)},
    {STAT(struct task_record, file_number)},
    {STAT(struct task_record, file_size)},
    {STAT(struct task_record, filtered_rows)},
};

const struct store_rows_table store_rows_jobs = {"jobs", job_columns, ARRAY_SIZE(job_columns)};
const struct store_rows_table store_rows_tasks = {"tasks", task_columns, ARRAY_SIZE(task_columns)};

static void append_names(struct buf *b, const struct store_rows_table *t)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        buf_printf(b, "%s%s", i > 0 ? ", " : "", t->columns[i].name);
    }
}

char *store_rows_insert_sql(const struct store_rows_table *t)
{
    struct buf b = buf_with_max(LONGEST_SQL);
    buf_printf(&b, "INSERT INTO %s (", t->name);
    append_names(&b, t);
    buf_append_text(&b, ") VALUES (");
    for (size_t i = 0; i < t->n_columns; i++) {
        buf_append_text(&b, i > 0 ? ", ?" : "?");
    }
    buf_append_char(&b, ')');
    assert(buf_ok(&b)); /* the tables are ours and short */
    return buf_take_text(&b);
}

char *store_rows_select_sql(const struct store_rows_table *t, const char *tail)
{
    struct buf b = buf_with_max(LONGEST_SQL);
    buf_append_text(&b, "SELECT ");
    append_names(&b, t);
    buf_printf(&b, " FROM %s %s", t->name, tail);
    assert(buf_ok(&b));
    return buf_take_text(&b);
}

static int bind_text(struct sqlite3_stmt *q, int at, const char *text)
{
    return text == NULL
               ? sqlite3_bind_null(q, at)
               : sqlite3_bind_text64(q, at, text, strlen(text), SQLITE_STATIC, SQLITE_UTF8);
}

static int bind_member(struct sqlite3_stmt *q, int at, enum column_type type, const void *member)
{
    switch (type) {
    case COLUMN_INT: return sqlite3_bind_int64(q, at, *(const int64_t *)member);
    case COLUMN_TEXT: return bind_text(q, at, *(char *const *)member);
    case COLUMN_TEXT_OR_NO: {
        const char *text = *(char *const *)member;
        return bind_text(q, at, text != NULL ? text : "");
    }
    case COLUMN_JOB_STATE: return bind_text(q, at, job_state_name(*(const enum job_state *)member));
    case COLUMN_TASK_STATE:
        return bind_text(q, at, task_state_name(*(const enum task_state *)member));
    case COLUMN_FAIL_CODE: return bind_text(q, at, fail_code_name(*(const enum fail_code *)member));
    }
    return SQLITE_MISUSE;
}

int store_rows_bind(struct sqlite3_stmt *q, const struct store_rows_table *t, const void *record)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        int rc = bind_member(q, (int)i + 1, c->type, (const char *)record + c->offset);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

/* *ret is NULL for a NULL; SQLite's NULL for want of memory is told apart by its length. */
static int read_text(struct sqlite3_stmt *q, int at, char **ret)
{
    if (sqlite3_column_type(q, at) == SQLITE_NULL) {
        *ret = NULL;
        return SQLITE_OK;
    }
    const char *text = (const char *)sqlite3_column_text(q, at);
    if (text == NULL) {
        return SQLITE_NOMEM;
    }
    *ret = xmemdup0(text, (size_t)sqlite3_column_bytes(q, at));
    return SQLITE_OK;
}

static int read_name(struct sqlite3_stmt *q, int at, enum column_type type, void *member)
{
    const char *name = (const char *)sqlite3_column_text(q, at);
    bool is_known = false;
    if (name == NULL) {
        return SQLITE_CORRUPT;
    }
    if (type == COLUMN_JOB_STATE) {
        is_known = job_state_from_name(name, member);
    } else if (type == COLUMN_TASK_STATE) {
        is_known = task_state_from_name(name, member);
    } else {
        is_known = fail_code_from_name(name, member);
    }
    return is_known ? SQLITE_OK : SQLITE_CORRUPT;
}

static int read_member(struct sqlite3_stmt *q, int at, enum column_type type, void *member)
{
    switch (type) {
    case COLUMN_INT: *(int64_t *)member = sqlite3_column_int64(q, at); return SQLITE_OK;
    case COLUMN_TEXT:
    case COLUMN_TEXT_OR_NO: return read_text(q, at, member);
    case COLUMN_JOB_STATE:
    case COLUMN_TASK_STATE:
    case COLUMN_FAIL_CODE: return read_name(q, at, type, member);
    }
    return SQLITE_MISUSE;
}

/*
 * Fills a zeroed record from the current row; its texts are the caller's, also after a failure.
 * CORRUPT for a name that is no state or fail code.
 */
static int read_row(struct sqlite3_stmt *q, const struct store_rows_table *t, void *record)
{
    assert(sqlite3_column_count(q) == (int)t->n_columns);
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        int rc = read_member(q, (int)i, c->type, (char *)record + c->offset);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

struct task_list {
    struct task_record *items;
    size_t n, size;
};

static void task_list_fini(struct task_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        task_record_fini(&list->items[i]);
    }
    free(list->items);
}

static struct task_record *add_task(struct task_list *list)
{
    if (list->n == list->size) {
        list->size = list->size > 0 ? list->size * 2 : STORE_TASKS_KEPT;
        list->items = xrealloc_array(list->items, list->size, sizeof(*list->items));
    }
    list->items[list->n] = (struct task_record){0};
    return &list->items[list->n++];
}

static int load_tasks(struct sqlite3_stmt *q, int64_t job_id, struct task_list *ret)
{
    int rc = sqlite3_bind_int64(q, 1, job_id);
    while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        rc = read_row(q, &store_rows_tasks, add_task(ret));
    }
    (void)sqlite3_reset(q); /* repeats the code of the step */
    return rc;
}

static int load_job(struct sqlite3_stmt *jobs, struct sqlite3_stmt *tasks, store_load_fn each,
                    void *arg)
{
    _cleanup_job_record_ struct job_record job = {0};
    _cleanup_(task_list_fini) struct task_list list = {0};
    int rc = read_row(jobs, &store_rows_jobs, &job);
    if (rc == SQLITE_OK) {
        rc = load_tasks(tasks, job.id, &list);
    }
    if (rc != SQLITE_DONE) {
        return rc;
    }
    each(&job, list.items, list.n, arg);
    return SQLITE_OK;
}

int store_rows_load(struct sqlite3_stmt *jobs, struct sqlite3_stmt *tasks, store_load_fn each,
                    void *arg)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && (rc = sqlite3_step(jobs)) == SQLITE_ROW) {
        rc = load_job(jobs, tasks, each, arg);
    }
    (void)sqlite3_reset(jobs); /* repeats the code of the step */
    return rc;
}
