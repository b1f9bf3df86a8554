#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/local.h"
#include "proxy/viewmerge.h"
#include "proxy/viewnarrow.h"

enum { MAX_COLUMNS = 64 + VIEWMERGE_MAX_EXTRA };

struct viewmerge {
    enum view_table table;
    size_t n_rows;
    size_t n_from;            /* columns of the FE's */
    size_t from[MAX_COLUMNS]; /* by our column: which of the FE's; SIZE_MAX: it has none */
    size_t n_extra;
    char *extra[VIEWMERGE_MAX_EXTRA]; /* owned */
    char *text;                       /* owned: all cells */
    const char **cells;               /* owned; into text, NULL for SQL NULL */
};

/* --- the question ------------------------------------------------------------------------------- */

/* A key with a value that is one text only, and the same in quotes under every sql_mode. */
static bool is_plain_term(enum view_table table, const struct viewnarrow_term *term)
{
    bool is_id = table == VIEW_JOBS ? term->column == JOBS_ID
                                    : term->column == TASKS_TASK_ID || term->column == TASKS_JOB_ID;
    bool is_name = term->column == (table == VIEW_JOBS ? (size_t)JOBS_NAME : TASKS_JOB_NAME);
    size_t n_digits = strspn(term->value, "0123456789");
    return is_id ? term->value[0] != '0' && n_digits > 0 && term->value[n_digits] == '\0'
                 : is_name && strpbrk(term->value, "'\\") == NULL;
}

/* With one call only: of several, each is about other rows. */
static void put_where(enum view_table table, const struct stmt_view *view, struct buf *out)
{
    const struct stmt_view_place *only = NULL;
    size_t n = 0;
    for (size_t i = 0; i < view->n_places; i++) {
        if (view->places[i].is_tasks == (table == VIEW_TASKS)) {
            only = &view->places[i];
            n++;
        }
    }
    if (n != 1) {
        return;
    }
    struct viewnarrow narrow = {0};
    const char *before = " WHERE ";
    viewnarrow_find(span_of(view->text), only, &narrow);
    for (size_t i = 0; i < narrow.n; i++) {
        if (is_plain_term(table, &narrow.terms[i])) {
            buf_append_text(out, before);
            buf_append_text(out, viewcols_name(table, narrow.terms[i].column));
            buf_append_text(out, " = '");
            buf_append_text(out, narrow.terms[i].value);
            buf_append_text(out, "'");
            before = " AND ";
        }
    }
    viewnarrow_fini(&narrow);
}

/* A LIMIT of one's own goes before sql_select_limit, where the hint is not taken. */
void viewmerge_question(enum view_table table, const struct stmt_view *view, struct buf *out)
{
    buf_append_text(out, "SELECT /*+ SET_VAR(sql_select_limit=9223372036854775807,"
                         "dry_run_query=false) */ * FROM ");
    buf_append_text(out, viewcols_table(table));
    buf_append_text(out, "(\"type\"=\"insert\")");
    put_where(table, view, out);
    buf_append_text(out, " LIMIT 1000000000");
}

void viewmerge_destroy(struct viewmerge *m)
{
    if (m == NULL) {
        return;
    }
    for (size_t i = 0; i < m->n_extra; i++) {
        free(m->extra[i]);
    }
    free(m->text);
    free(m->cells);
    free(m);
}

/* --- what the FE's error means ------------------------------------------------------------------ */

static bool says_one_of(const struct err *err, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        if (strcasestr(err->msg, *texts) != NULL) {
            return true;
        }
    }
    return false;
}

/*
 * No such function: an FE before 2.1, by either planner. "only ADMIN priv": before PR 56965 Doris
 * showed its jobs to nobody else, so that there are none which this user may see.
 */
static bool has_none(const struct err *err)
{
    static const char *const texts[] = {
        "Could not find table function", "Could not find function",     "Can not found function",
        "Can not find function",         "only ADMIN priv can operate", NULL,
    };
    enum { ERR_SP_DOES_NOT_EXIST = 1305 };
    return err->code == ERR_SP_DOES_NOT_EXIST || err->code == ERR_PARSE || says_one_of(err, texts);
}

static bool fail(enum view_table table, const char *why, uint16_t code, const char *sqlstate,
                 struct err *err)
{
    const char *name = viewcols_table(table);
    return err_set(err, code, sqlstate,
                   "%s() cannot be answered completely: the FE was asked for its own %s and %s. "
                   "EXPLAIN JOB name and SHOW CREATE JOB name tell about a job of Sluice's without "
                   "it",
                   name, name, why);
}

static bool fail_answer(enum view_table table, const struct answer *answer, struct err *err)
{
    const struct err *theirs = &answer->err;
    _cleanup_free_ char *why = xasprintf("answered: %s", theirs->msg);
    return fail(table, why, theirs->code, theirs->sqlstate, err);
}

/* --- the answer --------------------------------------------------------------------------------- */

/* Two columns of one name cannot be asked for; SQLite's tables have none. */
static bool is_extra(const struct viewmerge *m, const char *name)
{
    for (size_t i = 0; i < m->n_extra; i++) {
        if (strcasecmp(m->extra[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void map_columns(struct viewmerge *m, const struct answer *answer)
{
    size_t n_ours = viewcols_count(m->table);
    assert(n_ours + VIEWMERGE_MAX_EXTRA <= MAX_COLUMNS);
    for (size_t i = 0; i < MAX_COLUMNS; i++) {
        m->from[i] = SIZE_MAX;
    }
    for (size_t i = 0; i < answer->n_columns; i++) {
        size_t ours = viewcols_find(m->table, span_of(answer->columns[i]));
        if (ours != SIZE_MAX) {
            m->from[ours] = i;
        } else if (m->n_extra < VIEWMERGE_MAX_EXTRA && !is_extra(m, answer->columns[i])) {
            m->from[n_ours + m->n_extra] = i;
            m->extra[m->n_extra++] = xstrdup(answer->columns[i]);
        }
    }
}

static void copy_cells(struct viewmerge *m, const struct answer *answer)
{
    size_t n = answer->n_rows * answer->n_columns;
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += answer->cells[i] != NULL ? strlen(answer->cells[i]) + 1 : 0;
    }
    m->text = xcalloc(size > 0 ? size : 1, 1);
    m->cells = xcalloc(n > 0 ? n : 1, sizeof(*m->cells));
    char *to = m->text;
    for (size_t i = 0; i < n; i++) {
        if (answer->cells[i] != NULL) {
            size_t length = strlen(answer->cells[i]) + 1;
            memcpy(to, answer->cells[i], length);
            m->cells[i] = to;
            to += length;
        }
    }
    m->n_rows = answer->n_rows;
    m->n_from = answer->n_columns;
}

bool viewmerge_read(enum view_table table, const struct answer *answer, struct viewmerge **ret,
                    struct err *err)
{
    if (answer->is_error) {
        *ret = NULL;
        return has_none(&answer->err) || fail_answer(table, answer, err);
    }
    struct viewmerge *m = xcalloc(1, sizeof(*m));
    m->table = table;
    map_columns(m, answer);
    /* The columns that every Doris has: without them this is the answer to something else. */
    bool has_keys = table == VIEW_JOBS
                        ? m->from[JOBS_ID] != SIZE_MAX && m->from[JOBS_NAME] != SIZE_MAX
                        : m->from[TASKS_TASK_ID] != SIZE_MAX && m->from[TASKS_JOB_ID] != SIZE_MAX;
    if (!has_keys) {
        viewmerge_destroy(m);
        return fail(table,
                    "answered something else. If this session has dry_run_query = true, SET "
                    "dry_run_query = false",
                    ERR_UNKNOWN, "HY000", err);
    }
    copy_cells(m, answer);
    *ret = m;
    return true;
}

size_t viewmerge_n_rows(const struct viewmerge *m)
{
    return m != NULL ? m->n_rows : 0;
}

size_t viewmerge_n_extra(const struct viewmerge *m)
{
    return m != NULL ? m->n_extra : 0;
}

const char *viewmerge_extra_name(const struct viewmerge *m, size_t i)
{
    assert(i < viewmerge_n_extra(m));
    return m->extra[i];
}

const char *viewmerge_cell(const struct viewmerge *m, size_t row, size_t column)
{
    assert(row < m->n_rows && column < viewcols_count(m->table) + m->n_extra);
    size_t from = m->from[column];
    return from != SIZE_MAX ? m->cells[row * m->n_from + from] : viewcols_absent(m->table, column);
}
