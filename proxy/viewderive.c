#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "proxy/viewderive.h"
#include "proxy/viewnarrow.h"
#include "proxy/viewtab.h"

/* A set of columns, of each table. */
struct used {
    bool *is_used[VIEW_TABLES]; /* owned */
};

struct derive {
    sqlite3 *db;
    const struct viewtab *tab;
    const struct stmt_view *view;
    struct used used;
    size_t n_rows;
    struct buf *out;
};

/* --- which columns ------------------------------------------------------------------------------ */

static void use_name(struct derive *d, struct span name)
{
    for (int table = 0; table < VIEW_TABLES; table++) {
        for (size_t i = 0; i < viewtab_count(d->tab, table); i++) {
            if (span_ieq_text(name, viewtab_name(d->tab, table, i))) {
                d->used.is_used[table][i] = true;
            }
        }
    }
}

static void use_all(struct derive *d)
{
    for (int table = 0; table < VIEW_TABLES; table++) {
        for (size_t i = 0; i < viewtab_count(d->tab, table); i++) {
            d->used.is_used[table][i] |= !viewcols_is_hidden(table, i);
        }
    }
}

/* Not of COUNT(*), nor a multiplication. */
static bool is_all_columns(const struct tok *t, const struct tok *prev, const struct tok *prev2)
{
    bool is_count = tok_is_op(prev, "(") && tok_is_word(prev2, "COUNT");
    return tok_is_op(t, "*") && !is_count && !tok_is_op(prev, ")") && prev->kind != TOK_INT &&
           prev->kind != TOK_NUMBER;
}

/* Any word of the text may be a column: one too many does no harm. */
static void find_used(struct derive *d)
{
    struct lex lex = lex_of(span_of(d->view->text));
    struct tok prev = {.kind = TOK_END};
    struct tok prev2 = {.kind = TOK_END};
    for (int table = 0; table < VIEW_TABLES; table++) {
        d->used.is_used[table] = xcalloc(viewtab_count(d->tab, table), sizeof(bool));
        d->used.is_used[table][0] = true; /* a table has a column, if only COUNT(*) is asked for */
    }
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR) {
        if (is_all_columns(&t, &prev, &prev2) || tok_is_word(&t, "NATURAL")) {
            use_all(d);
        } else if (t.kind == TOK_WORD) {
            use_name(d, t.text);
        } else if (t.kind == TOK_QUOTED) {
            use_name(d, (struct span){t.text.p + 1, t.text.n - 2});
        }
        prev2 = prev;
        prev = t;
        t = lex_next(&lex);
    }
}

/* --- rows --------------------------------------------------------------------------------------- */

static void put_hex(struct buf *out, struct span value)
{
    static const char digits[] = "0123456789ABCDEF";
    buf_append_text(out, "UNHEX('");
    for (size_t i = 0; i < value.n; i++) {
        uint8_t c = (uint8_t)value.p[i];
        char pair[2] = {digits[c >> 4], digits[c & 15]};
        buf_append(out, pair, sizeof(pair));
    }
    buf_append_text(out, "')");
}

static void put_value(struct buf *out, struct span value)
{
    if (value.p == NULL) {
        buf_append_text(out, "NULL");
    } else if (memchr(value.p, '\'', value.n) != NULL || memchr(value.p, '\\', value.n) != NULL) {
        put_hex(out, value);
    } else {
        buf_append_char(out, '\'');
        buf_append_span(out, value);
        buf_append_char(out, '\'');
    }
}

/* `name`, with its back-quotes doubled: the FE may have named a column so. */
static void put_name(struct buf *out, const char *name)
{
    buf_append_char(out, '`');
    for (; *name != '\0'; name++) {
        buf_append_text(out, *name == '`' ? "`" : "");
        buf_append_char(out, *name);
    }
    buf_append_char(out, '`');
}

/* A SELECT of one row; the first one names the columns, and says that they are STRINGs. */
static void put_row(struct derive *d, enum view_table table, sqlite3_stmt *row, bool is_first)
{
    int column = 0;
    buf_append_text(d->out, "SELECT ");
    for (size_t i = 0; i < viewtab_count(d->tab, table); i++) {
        if (!d->used.is_used[table][i]) {
            continue;
        }
        /* text first: the length is that of the converted value */
        struct span value = {.p = ""};
        if (row != NULL) {
            value.p = (const char *)sqlite3_column_text(row, column);
            value.n = value.p != NULL ? (size_t)sqlite3_column_bytes(row, column) : 0;
        }
        buf_append_text(d->out, column > 0 ? ", " : "");
        buf_append_text(d->out, is_first ? "CAST(" : "");
        put_value(d->out, value);
        if (is_first) {
            buf_append_text(d->out, " AS STRING) AS ");
            put_name(d->out, viewtab_name(d->tab, table, i));
        }
        column++;
    }
}

/* WHERE without FROM is not heeded by every Doris. */
static void put_no_rows(struct derive *d, enum view_table table)
{
    buf_append_text(d->out, "SELECT * FROM (");
    put_row(d, table, NULL, true);
    buf_append_text(d->out, ") AS no_row WHERE 1 = 0");
}

/* The rows of a call as a query of SQLite's. NULL: SQLite's error. */
static sqlite3_stmt *prepare_rows(struct derive *d, const struct stmt_view_place *place)
{
    enum view_table table = place->is_tasks ? VIEW_TASKS : VIEW_JOBS;
    struct viewnarrow narrow = {0};
    sqlite3_stmt *rows = NULL;
    sqlite3_str *sql = sqlite3_str_new(d->db);
    const char *before = "SELECT ";
    for (size_t i = 0; i < viewtab_count(d->tab, table); i++) {
        if (d->used.is_used[table][i]) {
            sqlite3_str_appendf(sql, "%s\"%w\"", before, viewtab_name(d->tab, table, i));
            before = ", ";
        }
    }
    sqlite3_str_appendf(sql, " FROM %s", viewcols_table(table));
    viewnarrow_find(span_of(d->view->text), place, &narrow);
    before = " WHERE ";
    for (size_t i = 0; i < narrow.n; i++) {
        const struct viewnarrow_term *term = &narrow.terms[i];
        sqlite3_str_appendf(sql, "%s\"%w\" = %Q", before, viewcols_name(table, term->column),
                            term->value);
        before = " AND ";
    }
    viewnarrow_fini(&narrow);
    char *text = sqlite3_str_finish(sql);
    int rc = text != NULL ? sqlite3_prepare_v2(d->db, text, -1, &rows, NULL) : SQLITE_NOMEM;
    sqlite3_free(text);
    return rc == SQLITE_OK ? rows : NULL;
}

static bool fail_size(struct err *err)
{
    return err_set(err, ERR_NET_PACKET_TOO_LARGE, "08S01",
                   "The FE has to run this query over jobs() or tasks(), because it names other "
                   "tables too, or has what only the FE knows; but the rows of jobs() and tasks() "
                   "that have to be written into its text are more than %d, or more than %d MB. "
                   "Select fewer columns of them, or narrow each by WHERE alias.column = 'value', "
                   "or ask for them in a query of their own",
                   VIEWDERIVE_MAX_ROWS, VIEWDERIVE_MAX_BYTES >> 20);
}

static bool put_rows(struct derive *d, const struct stmt_view_place *place, struct err *err)
{
    enum view_table table = place->is_tasks ? VIEW_TASKS : VIEW_JOBS;
    sqlite3_stmt *rows = prepare_rows(d, place);
    bool is_first = true;
    int rc = rows != NULL ? sqlite3_step(rows) : sqlite3_errcode(d->db);
    buf_append_char(d->out, '(');
    while (rc == SQLITE_ROW && buf_ok(d->out) && d->n_rows < VIEWDERIVE_MAX_ROWS) {
        buf_append_text(d->out, is_first ? "" : " UNION ALL ");
        put_row(d, table, rows, is_first);
        is_first = false;
        d->n_rows++;
        rc = sqlite3_step(rows);
    }
    (void)sqlite3_finalize(rows); /* repeats the error of the last step */
    if (rc == SQLITE_ROW || !buf_ok(d->out)) {
        return fail_size(err);
    }
    if (rc != SQLITE_DONE) {
        return err_say(err, "the rows of %s() cannot be read: %s", viewcols_table(table),
                       sqlite3_errstr(rc));
    }
    if (is_first) {
        put_no_rows(d, table);
    }
    buf_append_char(d->out, ')');
    return true;
}

/* --- the text ----------------------------------------------------------------------------------- */

static bool put_text(struct derive *d, struct err *err)
{
    const struct stmt_view *view = d->view;
    size_t n = strlen(view->text);
    size_t at = 0;
    for (size_t i = 0; i < view->n_places; i++) {
        const struct stmt_view_place *place = &view->places[i];
        assert(place->at >= at && place->end <= n);
        buf_append(d->out, view->text + at, place->at - at);
        if (!put_rows(d, place, err)) {
            return false;
        }
        if (place->alias != NULL) {
            buf_append_text(d->out, " AS ");
            put_name(d->out, place->alias);
        }
        at = place->end;
        bool would_melt = at < n && lex_is_letter(view->text[at]);
        buf_append_text(d->out, would_melt ? " " : "");
    }
    buf_append(d->out, view->text + at, n - at);
    return buf_ok(d->out) || fail_size(err);
}

bool viewderive_text(struct sqlite3 *db, const struct viewtab *tab, const struct stmt_view *view,
                     struct buf *out, struct err *err)
{
    struct derive d = {.db = db, .tab = tab, .view = view, .out = out};
    assert(out->max == VIEWDERIVE_MAX_BYTES && out->len == 0);
    find_used(&d);
    bool is_ok = put_text(&d, err);
    for (int table = 0; table < VIEW_TABLES; table++) {
        free(d.used.is_used[table]);
    }
    return is_ok;
}
