#include <assert.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "scheduler/store_rows.h"

enum column_type {
    COLUMN_INT,
    COLUMN_BOOL,
    COLUMN_TEXT,       /* NULL is stored as NULL */
    COLUMN_TEXT_OR_NO, /* NOT NULL in the table: NULL is stored as '' */
    COLUMN_SEALED,     /* a text encrypted; NULL is stored as NULL */
    COLUMN_SEALED_OR_NO,
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
    const char *ids;       /* what SELECT finds a row's place by: job, task */
    size_t job_id_offset;  /* of the members in the record */
    size_t task_id_offset; /* NO_TASK_ID: it has none */
};

#define NO_TASK_ID SIZE_MAX

enum { LONGEST_SQL = 4096 };

#define JOB(member, type)  #member, type, offsetof(struct job_record, member)
#define TASK(member, type) #member, type, offsetof(struct task_record, member)
#define BAD(member, type)  #member, type, offsetof(struct store_bad_row, file.member)
#define STAT(record, member)                                                                       \
#member, COLUMN_INT, offsetof(record, stat) + offsetof(struct load_stat, member)

static const struct column job_columns[] = {
    {JOB(id, COLUMN_INT)},
    {JOB(name, COLUMN_TEXT)},
    {JOB(definer, COLUMN_TEXT_OR_NO)},
    {JOB(current_db, COLUMN_TEXT)},
    {JOB(target_db, COLUMN_TEXT_OR_NO)},
    {JOB(target_table, COLUMN_TEXT_OR_NO)},
    {"\"sql\"", COLUMN_SEALED_OR_NO, offsetof(struct job_record, sql)},
    {JOB(properties, COLUMN_SEALED_OR_NO)},
    {JOB(comment, COLUMN_SEALED_OR_NO)},
    {JOB(create_ms, COLUMN_INT)},
    {JOB(state, COLUMN_JOB_STATE)},
    {JOB(fail_code, COLUMN_FAIL_CODE)},
    {JOB(fail_msg, COLUMN_SEALED)},
    {JOB(n_resumes, COLUMN_INT)},
    {"\"offset\"", COLUMN_TEXT, offsetof(struct job_record, offset)},
    {JOB(last_task_id, COLUMN_INT)},
    {JOB(committed_task_id, COLUMN_INT)},
    {JOB(n_succeeded, COLUMN_INT)},
    {JOB(n_failed, COLUMN_INT)},
    {JOB(n_canceled, COLUMN_INT)},
    {JOB(last_success_ms, COLUMN_INT)},
    {JOB(n_tracked, COLUMN_INT)},
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
    {TASK(error, COLUMN_SEALED)},
    {TASK(first_error, COLUMN_SEALED)},
    {TASK(tracking_url, COLUMN_SEALED)},
    {TASK(txn_id, COLUMN_TEXT)},
    {TASK(txn_before, COLUMN_INT)},
    {TASK(is_retry, COLUMN_BOOL)},
    {STAT(struct task_record, scanned_rows)},
    {STAT(struct task_record, load_bytes)},
    {STAT(struct task_record, file_number)},
    {STAT(struct task_record, file_size)},
    {STAT(struct task_record, filtered_rows)},
};

static const struct column bad_columns[] = {
    {"job_id", COLUMN_INT, offsetof(struct store_bad_row, job_id)},
    {"id", COLUMN_INT, offsetof(struct store_bad_row, id)},
    {BAD(key, COLUMN_TEXT)},
    {BAD(etag, COLUMN_TEXT_OR_NO)},
    {BAD(size, COLUMN_INT)},
    {BAD(reason, COLUMN_SEALED_OR_NO)},
    {BAD(task_id, COLUMN_INT)},
    {BAD(at_ms, COLUMN_INT)},
    {BAD(is_retried, COLUMN_BOOL)},
};

const struct store_rows_table store_rows_jobs = {
    .name = "jobs",
    .columns = job_columns,
    .n_columns = ARRAY_SIZE(job_columns),
    .ids = "id, 0",
    .job_id_offset = offsetof(struct job_record, id),
    .task_id_offset = NO_TASK_ID,
};
const struct store_rows_table store_rows_tasks = {
    .name = "tasks",
    .columns = task_columns,
    .n_columns = ARRAY_SIZE(task_columns),
    .ids = "job_id, id",
    .job_id_offset = offsetof(struct task_record, job_id),
    .task_id_offset = offsetof(struct task_record, id),
};
/* In the place of a task's id: several bad files may be of one task, or of none. */
const struct store_rows_table store_rows_bad_files = {
    .name = "bad_files",
    .columns = bad_columns,
    .n_columns = ARRAY_SIZE(bad_columns),
    .ids = "job_id, id",
    .job_id_offset = offsetof(struct store_bad_row, job_id),
    .task_id_offset = offsetof(struct store_bad_row, id),
};

static struct store_place place_of(const struct store_rows_table *t, const struct column *c,
                                   const void *record)
{
    const char *base = record;
    bool has_task = t->task_id_offset != NO_TASK_ID;
    return (struct store_place){
        .table = t->name,
        .column = c->name,
        .job_id = *(const int64_t *)(base + t->job_id_offset),
        .task_id = has_task ? *(const int64_t *)(base + t->task_id_offset) : 0,
    };
}

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

int store_rows_bind_sealed(struct sqlite3_stmt *q, int at, struct store_seal *seal,
                           const struct store_place *place, const char *text)
{
    if (text == NULL) {
        return sqlite3_bind_null(q, at);
    }
    char *sealed = store_seal_close(seal, place, span_of(text));
    return sealed == NULL ? STORE_ROWS_SEAL
                          : sqlite3_bind_text64(q, at, sealed, strlen(sealed), free, SQLITE_UTF8);
}

static const char *text_or_no(const void *member)
{
    const char *text = *(char *const *)member;
    return text != NULL ? text : "";
}

static int bind_member(struct sqlite3_stmt *q, int at, enum column_type type,
                       struct store_seal *seal, const struct store_place *place, const void *member)
{
    switch (type) {
    case COLUMN_INT: return sqlite3_bind_int64(q, at, *(const int64_t *)member);
    case COLUMN_BOOL: return sqlite3_bind_int(q, at, *(const bool *)member);
    case COLUMN_TEXT: return bind_text(q, at, *(char *const *)member);
    case COLUMN_TEXT_OR_NO: return bind_text(q, at, text_or_no(member));
    case COLUMN_SEALED: return store_rows_bind_sealed(q, at, seal, place, *(char *const *)member);
    case COLUMN_SEALED_OR_NO: return store_rows_bind_sealed(q, at, seal, place, text_or_no(member));
    case COLUMN_JOB_STATE: return bind_text(q, at, job_state_name(*(const enum job_state *)member));
    case COLUMN_TASK_STATE:
        return bind_text(q, at, task_state_name(*(const enum task_state *)member));
    case COLUMN_FAIL_CODE: return bind_text(q, at, fail_code_name(*(const enum fail_code *)member));
    }
    return SQLITE_MISUSE;
}

int store_rows_bind(struct sqlite3_stmt *q, const struct store_rows_table *t,
                    struct store_seal *seal, const void *record)
{
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        struct store_place place = place_of(t, c, record);
        int rc =
            bind_member(q, (int)i + 1, c->type, seal, &place, (const char *)record + c->offset);
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

static int read_sealed(struct sqlite3_stmt *q, int at, struct store_seal *seal,
                       const struct store_place *place, char **ret)
{
    _cleanup_free_ char *sealed = NULL;
    int rc = read_text(q, at, &sealed);
    if (rc == SQLITE_OK && sealed != NULL) {
        *ret = store_seal_open(seal, place, span_of(sealed));
        rc = *ret != NULL ? SQLITE_OK : STORE_ROWS_SEAL;
    }
    return rc;
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
    case COLUMN_BOOL: *(bool *)member = sqlite3_column_int(q, at) != 0; return SQLITE_OK;
    case COLUMN_TEXT:
    case COLUMN_TEXT_OR_NO: return read_text(q, at, member);
    case COLUMN_JOB_STATE:
    case COLUMN_TASK_STATE:
    case COLUMN_FAIL_CODE: return read_name(q, at, type, member);
    case COLUMN_SEALED:
    case COLUMN_SEALED_OR_NO: break; /* read_row() */
    }
    return SQLITE_MISUSE;
}

static bool is_sealed(const struct column *c)
{
    return c->type == COLUMN_SEALED || c->type == COLUMN_SEALED_OR_NO;
}

/*
 * Fills a zeroed record from the current row; its texts are the caller's, also after a failure.
 * CORRUPT for a name that is no state or fail code. The ids come first: they say where a text is.
 */
static int read_row(struct sqlite3_stmt *q, const struct store_rows_table *t,
                    struct store_seal *seal, void *record)
{
    assert(sqlite3_column_count(q) == (int)t->n_columns);
    for (size_t i = 0; i < t->n_columns; i++) {
        const struct column *c = &t->columns[i];
        char *member = (char *)record + c->offset;
        struct store_place place = place_of(t, c, record);
        int rc = is_sealed(c) ? read_sealed(q, (int)i, seal, &place, (char **)(void *)member)
                              : read_member(q, (int)i, c->type, member);
        if (rc != SQLITE_OK) {
            return rc;
        }
    }
    return SQLITE_OK;
}

/* What belongs to a job. */
struct belongings {
    struct task_record *tasks;
    size_t n_tasks, tasks_size;
    struct bad_file *bad;
    size_t n_bad, bad_size;
};

static void belongings_fini(struct belongings *b)
{
    for (size_t i = 0; i < b->n_tasks; i++) {
        task_record_fini(&b->tasks[i]);
    }
    for (size_t i = 0; i < b->n_bad; i++) {
        bad_file_fini(&b->bad[i]);
    }
    free(b->tasks);
    free(b->bad);
}

static struct task_record *add_task(struct belongings *b)
{
    if (b->n_tasks == b->tasks_size) {
        b->tasks_size = b->tasks_size > 0 ? b->tasks_size * 2 : STORE_TASKS_KEPT;
        b->tasks = xrealloc_array(b->tasks, b->tasks_size, sizeof(*b->tasks));
    }
    b->tasks[b->n_tasks] = (struct task_record){0};
    return &b->tasks[b->n_tasks++];
}

static struct bad_file *add_bad(struct belongings *b)
{
    if (b->n_bad == b->bad_size) {
        b->bad_size = b->bad_size > 0 ? b->bad_size * 2 : 8;
        b->bad = xrealloc_array(b->bad, b->bad_size, sizeof(*b->bad));
    }
    b->bad[b->n_bad] = (struct bad_file){0};
    return &b->bad[b->n_bad++];
}

static int load_tasks(struct sqlite3_stmt *q, int64_t job_id, struct store_seal *seal,
                      struct belongings *ret)
{
    int rc = sqlite3_bind_int64(q, 1, job_id);
    while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        rc = read_row(q, &store_rows_tasks, seal, add_task(ret));
    }
    (void)sqlite3_reset(q); /* repeats the code of the step */
    return rc;
}

static int load_bad(struct sqlite3_stmt *q, int64_t job_id, struct store_seal *seal,
                    struct belongings *ret)
{
    int rc = sqlite3_bind_int64(q, 1, job_id);
    while (rc == SQLITE_OK && (rc = sqlite3_step(q)) == SQLITE_ROW) {
        struct store_bad_row row = {0};
        rc = read_row(q, &store_rows_bad_files, seal, &row);
        *add_bad(ret) = row.file;
    }
    (void)sqlite3_reset(q); /* repeats the code of the step */
    return rc;
}

static int load_job(const struct store_rows_queries *q, struct store_seal *seal, store_load_fn each,
                    void *arg)
{
    _cleanup_job_record_ struct job_record job = {0};
    _cleanup_(belongings_fini) struct belongings its = {0};
    int rc = read_row(q->jobs, &store_rows_jobs, seal, &job);
    if (rc == SQLITE_OK) {
        rc = load_tasks(q->tasks, job.id, seal, &its);
    }
    if (rc == SQLITE_DONE) {
        rc = load_bad(q->bad_files, job.id, seal, &its);
    }
    if (rc != SQLITE_DONE) {
        return rc;
    }
    each(&(struct store_job){.job = &job,
                             .tasks = its.tasks,
                             .n_tasks = its.n_tasks,
                             .bad = its.bad,
                             .n_bad = its.n_bad},
         arg);
    return SQLITE_OK;
}

int store_rows_load(const struct store_rows_queries *q, struct store_seal *seal, store_load_fn each,
                    void *arg)
{
    int rc = SQLITE_OK;
    while (rc == SQLITE_OK && (rc = sqlite3_step(q->jobs)) == SQLITE_ROW) {
        rc = load_job(q, seal, each, arg);
    }
    (void)sqlite3_reset(q->jobs); /* repeats the code of the step */
    return rc;
}

/* --- encrypting what is there ----------------------------------------------------------------- */

/* SELECT rowid, job id, task id, the columns … of the row behind ?1. */
static char *next_row_sql(const struct store_rows_table *t)
{
    struct buf b = buf_with_max(LONGEST_SQL);
    buf_printf(&b, "SELECT rowid, %s", t->ids);
    for (size_t i = 0; i < t->n_columns; i++) {
        if (is_sealed(&t->columns[i])) {
            buf_printf(&b, ", %s", t->columns[i].name);
        }
    }
    buf_printf(&b, " FROM %s WHERE rowid > ?1 ORDER BY rowid LIMIT 1", t->name);
    assert(buf_ok(&b));
    return buf_take_text(&b);
}

/* UPDATE of the same columns, in their order from ?2 on, of row ?1. */
static char *set_row_sql(const struct store_rows_table *t)
{
    struct buf b = buf_with_max(LONGEST_SQL);
    int n = 1;
    buf_printf(&b, "UPDATE %s SET ", t->name);
    for (size_t i = 0; i < t->n_columns; i++) {
        if (is_sealed(&t->columns[i])) {
            n++;
            buf_printf(&b, "%s%s = ?%d", n > 2 ? ", " : "", t->columns[i].name, n);
        }
    }
    buf_append_text(&b, " WHERE rowid = ?1");
    assert(buf_ok(&b));
    return buf_take_text(&b);
}

/* `from` stands on a row of next_row_sql(). */
static int seal_row(struct sqlite3_stmt *row, struct sqlite3_stmt *set,
                    const struct store_rows_table *t, enum store_rows_from from,
                    struct store_seal *seal)
{
    int at = 2;
    int rc = sqlite3_bind_int64(set, 1, sqlite3_column_int64(row, 0));
    for (size_t i = 0; i < t->n_columns && rc == SQLITE_OK; i++) {
        _cleanup_free_ char *text = NULL;
        struct store_place place = {
            .table = t->name,
            .column = t->columns[i].name,
            .job_id = sqlite3_column_int64(row, 1),
            .task_id = sqlite3_column_int64(row, 2),
        };
        if (!is_sealed(&t->columns[i])) {
            continue;
        }
        rc = from == STORE_ROWS_SEALED ? read_sealed(row, at + 1, seal, &place, &text)
                                       : read_text(row, at + 1, &text);
        if (rc == SQLITE_OK) {
            rc = store_rows_bind_sealed(set, at, seal, &place, text);
        }
        at++;
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(set);
    }
    (void)sqlite3_reset(set); /* repeats the code of the step */
    (void)sqlite3_clear_bindings(set);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int store_rows_seal_all(struct sqlite3 *db, const struct store_rows_table *t,
                        enum store_rows_from from, struct store_seal *seal)
{
    struct sqlite3_stmt *next = NULL;
    struct sqlite3_stmt *set = NULL;
    int64_t last = INT64_MIN;
    _cleanup_free_ char *next_sql = next_row_sql(t);
    _cleanup_free_ char *set_sql = set_row_sql(t);
    int rc = sqlite3_prepare_v2(db, next_sql, -1, &next, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_prepare_v2(db, set_sql, -1, &set, NULL);
    }
    while (rc == SQLITE_OK) {
        (void)sqlite3_bind_int64(next, 1, last); /* fails on a programmer's mistake only */
        rc = sqlite3_step(next);
        if (rc != SQLITE_ROW) {
            break;
        }
        last = sqlite3_column_int64(next, 0);
        rc = seal_row(next, set, t, from, seal);
        (void)sqlite3_reset(next);
    }
    (void)sqlite3_finalize(next); /* repeat the codes of the steps */
    (void)sqlite3_finalize(set);
    return rc;
}
