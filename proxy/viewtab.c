#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/viewsql.h"
#include "proxy/viewtab.h"

/* A name is looked for among all this often; then it is worth sorting them. */
enum { LOOKUPS_BEFORE_SORT = 8 };

size_t viewtab_count(const struct viewtab *tab, enum view_table table)
{
    return viewcols_count(table) + viewmerge_n_extra(tab->fe[table]);
}

const char *viewtab_name(const struct viewtab *tab, enum view_table table, size_t i)
{
    size_t n_ours = viewcols_count(table);
    return i < n_ours ? viewcols_name(table, i) : viewmerge_extra_name(tab->fe[table], i - n_ours);
}

void viewtab_list_columns(const struct viewtab *tab, enum view_table table, struct buf *to)
{
    buf_printf(to, "%s() has ", viewcols_table(table));
    for (size_t k = 0; k < viewtab_count(tab, table); k++) {
        buf_printf(to, "%s%s", k > 0 ? ", " : "", viewtab_name(tab, table, k));
    }
}

void viewtab_reset(struct viewtab *tab)
{
    free(take_ptr(tab->by_name));
    tab->n_by_name_lookups = 0;
}

/* --- finding ------------------------------------------------------------------------------------ */

/* Job ids are shown as plain decimals. SIZE_MAX: there is none. */
static size_t find_id(const struct viewtab *tab, const char *text)
{
    int64_t id = 0;
    size_t from = 0;
    size_t to = tab->n_visible;
    if (!span_to_int64(span_of(text), 1, INT64_MAX, &id)) {
        return SIZE_MAX;
    }
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (tab->visible[middle]->rec.id < id) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < tab->n_visible && tab->visible[from]->rec.id == id ? from : SIZE_MAX;
}

static int compare_names(const void *a, const void *b)
{
    const struct job_view *const *x = a;
    const struct job_view *const *y = b;
    return strcmp((*x)->rec.name, (*y)->rec.name);
}

static int compare_to_name(const void *key, const void *item)
{
    const struct job_view *const *x = item;
    return strcmp(key, (*x)->rec.name);
}

/* Names are unique. */
static size_t find_name(struct viewtab *tab, const char *name)
{
    if (tab->n_by_name_lookups++ < LOOKUPS_BEFORE_SORT) {
        for (size_t i = 0; i < tab->n_visible; i++) {
            if (strcmp(tab->visible[i]->rec.name, name) == 0) {
                return i;
            }
        }
        return SIZE_MAX;
    }
    if (tab->n_visible == 0) {
        return SIZE_MAX;
    }
    size_t size = sizeof(const struct job_view *);
    if (tab->by_name == NULL) {
        tab->by_name = xcalloc(tab->n_visible, size);
        memcpy(tab->by_name, tab->visible, tab->n_visible * size);
        qsort(tab->by_name, tab->n_visible, size, compare_names);
    }
    const struct job_view **hit =
        bsearch(name, tab->by_name, tab->n_visible, size, compare_to_name);
    char id[24];
    if (hit == NULL) {
        return SIZE_MAX;
    }
    (void)snprintf(id, sizeof(id), "%" PRId64, (*hit)->rec.id); /* 20 characters at most */
    return find_id(tab, id);
}

/* The ids of a job's tasks rise. n_tasks when it has none of this id. */
static size_t find_task(const struct job_view *job, int64_t id)
{
    size_t from = 0;
    size_t to = job->n_tasks;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (job->tasks[middle]->rec.id < id) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < job->n_tasks && job->tasks[from]->rec.id == id ? from : job->n_tasks;
}

/* --- the virtual table -------------------------------------------------------------------------- */

/* What a query asks for with '='; the same order as the columns of `keys`. */
enum key { KEY_JOB_ID, KEY_JOB_NAME, KEY_TASK_ID, N_KEYS };

static const size_t keys[VIEW_TABLES][N_KEYS] = {
    [VIEW_JOBS] = {JOBS_ID, JOBS_NAME, SIZE_MAX},
    [VIEW_TASKS] = {TASKS_JOB_ID, TASKS_JOB_NAME, TASKS_TASK_ID},
};

struct vtab {
    sqlite3_vtab base; /* first: SQLite's */
    enum view_table table;
    struct viewtab *tab; /* borrowed */
};

struct cursor {
    sqlite3_vtab_cursor base; /* first: SQLite's */
    char *wanted[N_KEYS];     /* owned; NULL: any */
    int64_t task_id;          /* of wanted[KEY_TASK_ID]; 0 is none of ours */
    size_t i_job;
    size_t end_job; /* of those to be shown */
    size_t n_left;  /* tasks of the job that were not shown yet; newest first */
    size_t i_fe;    /* behind ours: the FE's */
    int64_t rowid;
};

static int vtab_connect(sqlite3 *db, void *aux, int argc, const char *const *argv,
                        sqlite3_vtab **ret, char **ret_error)
{
    struct viewtab *tab = aux;
    (void)argc;
    (void)ret_error;
    /* argv[0] is the module's name, which is the table's. */
    enum view_table table = strcmp(argv[0], "jobs") == 0 ? VIEW_JOBS : VIEW_TASKS;
    size_t n_ours = viewcols_count(table);
    sqlite3_str *sql = sqlite3_str_new(db);
    sqlite3_str_appendf(sql, "CREATE TABLE x(");
    for (size_t i = 0; i < viewtab_count(tab, table); i++) {
        bool is_word = i < n_ours && viewcols_is_word(table, i);
        const char *name = viewtab_name(tab, table, i);
        bool is_number = viewsql_is_number_column(name); /* the values are texts even so */
        sqlite3_str_appendf(
            sql, "%s\"%w\" %s%s%s", i > 0 ? ", " : "", name, is_number ? "NUMERIC" : "TEXT",
            viewcols_is_hidden(table, i) ? " HIDDEN" : "", is_word ? " COLLATE NOCASE" : "");
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

static enum key key_of(enum view_table table, int column)
{
    for (int key = 0; key < N_KEYS; key++) {
        if (column >= 0 && keys[table][key] == (size_t)column) {
            return key;
        }
    }
    return N_KEYS;
}

/*
 * Each '=' with a key is passed on as an argument, in the order of the columns; `idxNum` is the set of
 * them. SQLite compares again, so a row too many does no harm.
 */
static int vtab_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const struct vtab *v = (const struct vtab *)base;
    int found[N_KEYS] = {-1, -1, -1};
    for (int i = 0; i < info->nConstraint; i++) {
        enum key key = key_of(v->table, info->aConstraint[i].iColumn);
        bool is_equal = info->aConstraint[i].op == SQLITE_INDEX_CONSTRAINT_EQ;
        if (key < N_KEYS && is_equal && info->aConstraint[i].usable != 0 &&
            strcmp(sqlite3_vtab_collation(info, i), "BINARY") == 0) {
            found[key] = i;
        }
    }
    int n_args = 0;
    info->idxNum = 0;
    for (int key = 0; key < N_KEYS; key++) {
        if (found[key] >= 0) {
            info->idxNum |= 1 << key;
            info->aConstraintUsage[found[key]].argvIndex = ++n_args;
        }
    }
    bool is_one = (info->idxNum & (1 << KEY_JOB_ID | 1 << KEY_JOB_NAME)) != 0;
    bool is_task = v->table == VIEW_TASKS && (info->idxNum & 1 << KEY_TASK_ID) != 0;
    double jobs = is_one ? 1 : (double)v->tab->n_visible + 1;
    double rows = jobs * (v->table == VIEW_TASKS && !is_task ? 100 : 1) +
                  (is_one ? 0 : (double)viewmerge_n_rows(v->tab->fe[v->table]));
    info->estimatedCost = rows + (is_one ? 10 : 0);
    info->estimatedRows = (sqlite3_int64)rows;
    return SQLITE_OK;
}

static int cursor_open(sqlite3_vtab *v, sqlite3_vtab_cursor **ret)
{
    (void)v;
    struct cursor *c = xcalloc(1, sizeof(*c));
    *ret = &c->base;
    return SQLITE_OK;
}

static void forget_wanted(struct cursor *c)
{
    for (int key = 0; key < N_KEYS; key++) {
        free(take_ptr(c->wanted[key]));
    }
    c->task_id = 0;
}

static int cursor_close(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;
    forget_wanted(c);
    free(c);
    return SQLITE_OK;
}

/* How many tasks of the job at i_job are to be shown; with a task wanted, up to that one. */
static size_t count_tasks(const struct cursor *c, const struct viewtab *tab)
{
    const struct job_view *job = tab->visible[c->i_job];
    if (c->wanted[KEY_TASK_ID] == NULL) {
        return job->n_tasks;
    }
    size_t i = find_task(job, c->task_id);
    return i < job->n_tasks ? i + 1 : 0;
}

static bool is_wanted_of_fe(const struct cursor *c, const struct vtab *v)
{
    const struct viewmerge *m = v->tab->fe[v->table];
    for (int key = 0; key < N_KEYS; key++) {
        if (c->wanted[key] != NULL) {
            const char *cell = viewmerge_cell(m, c->i_fe, keys[v->table][key]);
            if (cell == NULL || strcmp(cell, c->wanted[key]) != 0) {
                return false;
            }
        }
    }
    return true;
}

/* On to a row that is there. */
static void settle(struct cursor *c, const struct vtab *v)
{
    while (v->table == VIEW_TASKS && c->n_left == 0 && c->i_job < c->end_job) {
        c->i_job++;
        c->n_left = c->i_job < c->end_job ? count_tasks(c, v->tab) : 0;
    }
    if (c->i_job == c->end_job) {
        size_t n = viewmerge_n_rows(v->tab->fe[v->table]);
        while (c->i_fe < n && !is_wanted_of_fe(c, v)) {
            c->i_fe++;
        }
    }
}

/* As ids are shown; ' 7' or '07' may equal one as a number. */
static bool is_plain_id(const char *text)
{
    size_t n = strspn(text, "0123456789");
    return text[0] >= '1' && text[0] <= '9' && text[n] == '\0';
}

/*
 * A key's value; false: nothing equals it. What may equal texts of several forms is not looked for:
 * SQLite compares all rows then.
 */
static bool take_key(struct cursor *c, enum key key, sqlite3_value *value)
{
    int type = sqlite3_value_type(value);
    bool is_id = key != KEY_JOB_NAME;
    bool is_text = type == SQLITE_TEXT || (type == SQLITE_INTEGER && is_id);
    const char *text = is_text ? (const char *)sqlite3_value_text(value) : NULL;
    if (text != NULL && (!is_id || is_plain_id(text))) {
        c->wanted[key] = xstrdup(text);
    }
    return type != SQLITE_NULL;
}

/* The one job that is wanted, or all. */
static void choose_jobs(struct cursor *c, struct viewtab *tab)
{
    size_t i = SIZE_MAX;
    c->i_job = 0;
    c->end_job = tab->n_visible;
    if (c->wanted[KEY_JOB_ID] == NULL && c->wanted[KEY_JOB_NAME] == NULL) {
        return;
    }
    if (c->wanted[KEY_JOB_ID] != NULL) {
        i = find_id(tab, c->wanted[KEY_JOB_ID]);
    } else {
        i = find_name(tab, c->wanted[KEY_JOB_NAME]);
    }
    c->i_job = i != SIZE_MAX ? i : 0;
    c->end_job = i != SIZE_MAX ? i + 1 : 0;
}

static int cursor_filter(sqlite3_vtab_cursor *base, int index, const char *text, int argc,
                         sqlite3_value **argv)
{
    struct cursor *c = (struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    bool is_possible = true;
    int n = 0;
    (void)text;
    forget_wanted(c);
    for (int key = 0; key < N_KEYS; key++) {
        if ((index & 1 << key) != 0) {
            assert(n < argc);
            is_possible = take_key(c, key, argv[n++]) && is_possible;
        }
    }
    if (c->wanted[KEY_TASK_ID] != NULL &&
        !span_to_int64(span_of(c->wanted[KEY_TASK_ID]), 1, INT64_MAX, &c->task_id)) {
        c->task_id = 0;
    }
    c->rowid = 0;
    c->n_left = 0;
    c->i_fe = 0;
    choose_jobs(c, v->tab);
    if (!is_possible) {
        c->end_job = c->i_job;
        c->i_fe = viewmerge_n_rows(v->tab->fe[v->table]);
        return SQLITE_OK;
    }
    if (v->table == VIEW_TASKS && c->i_job < c->end_job) {
        c->n_left = count_tasks(c, v->tab);
    }
    settle(c, v);
    return SQLITE_OK;
}

static int cursor_next(sqlite3_vtab_cursor *base)
{
    struct cursor *c = (struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    c->rowid++;
    if (c->i_job == c->end_job) {
        c->i_fe++;
    } else if (v->table == VIEW_JOBS) {
        c->i_job++;
    } else {
        c->n_left = c->wanted[KEY_TASK_ID] != NULL ? 0 : c->n_left - 1;
    }
    settle(c, v);
    return SQLITE_OK;
}

static int cursor_eof(sqlite3_vtab_cursor *base)
{
    const struct cursor *c = (const struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    return c->i_job == c->end_job && c->i_fe >= viewmerge_n_rows(v->tab->fe[v->table]);
}

static void put_cell(sqlite3_context *to, const char *cell)
{
    if (cell != NULL) {
        sqlite3_result_text(to, cell, -1, SQLITE_STATIC); /* it stays as long as the query */
    }
}

static int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *to, int column)
{
    const struct cursor *c = (const struct cursor *)base;
    const struct vtab *v = (const struct vtab *)base->pVtab;
    size_t i = (size_t)column;
    if (c->i_job == c->end_job) {
        put_cell(to, viewmerge_cell(v->tab->fe[v->table], c->i_fe, i));
        return SQLITE_OK;
    }
    if (i >= viewcols_count(v->table)) {
        put_cell(to, viewcols_absent(v->table, i));
        return SQLITE_OK;
    }
    struct view_row row = {.tab = v->tab, .job = v->tab->visible[c->i_job]};
    if (v->table == VIEW_TASKS) {
        row.task = row.job->tasks[c->n_left - 1];
    }
    viewcols_put(to, v->table, i, &row);
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

bool viewtab_attach(sqlite3 *db, struct viewtab *tab, struct err *err)
{
    for (int table = 0; table < VIEW_TABLES; table++) {
        const char *name = viewcols_table(table);
        if (sqlite3_create_module(db, name, &module, tab) != SQLITE_OK) {
            return err_say(err, "cannot make table %s: %s", name, sqlite3_errmsg(db));
        }
    }
    /* A table comes to life when a statement names it: now, before an authorizer is set. */
    if (sqlite3_exec(db, "SELECT 1 FROM jobs, tasks LIMIT 0", NULL, NULL, NULL) != SQLITE_OK) {
        return err_say(err, "cannot make the tables jobs and tasks: %s", sqlite3_errmsg(db));
    }
    return true;
}
