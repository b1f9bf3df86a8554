#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewrows.h"

enum { NUMBER_SIZE = 40 }; /* a sign, 17 digits, a point, an exponent of 5 */

struct column {
    bool is_open;  /* an expression's: the values tell */
    bool is_known; /* one of them did */
    char number[NUMBER_SIZE];
};

struct rows {
    sqlite3_stmt *stmt;
    size_t n;
    struct column *columns;        /* owned */
    struct result_column *defined; /* owned */
    struct result_cell *cells;     /* owned; of one row */
};

static struct rows rows_of(sqlite3_stmt *stmt)
{
    size_t n = (size_t)sqlite3_column_count(stmt);
    struct rows r = {.stmt = stmt, .n = n};
    r.columns = xcalloc(n, sizeof(*r.columns));
    r.defined = xcalloc(n, sizeof(*r.defined));
    r.cells = xcalloc(n, sizeof(*r.cells));
    for (size_t i = 0; i < n; i++) {
        r.columns[i].is_open = sqlite3_column_decltype(stmt, (int)i) == NULL;
        r.defined[i] = (struct result_column){sqlite3_column_name(stmt, (int)i), RESULT_TEXT};
    }
    return r;
}

static void rows_fini(struct rows *r)
{
    free(r->cells);
    free(r->defined);
    free(r->columns);
}

/* The type that both can be shown as. */
static enum result_type join_types(enum result_type a, enum result_type b)
{
    if (a == b) {
        return a;
    }
    return a == RESULT_TEXT || b == RESULT_TEXT ? RESULT_TEXT : RESULT_DOUBLE;
}

/* Of the row in hand; NULL tells nothing. */
static void learn_types(struct rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        int value = sqlite3_column_type(r->stmt, (int)i);
        if (!r->columns[i].is_open || value == SQLITE_NULL) {
            continue;
        }
        enum result_type type = value == SQLITE_INTEGER ? RESULT_INT
                                : value == SQLITE_FLOAT ? RESULT_DOUBLE
                                                        : RESULT_TEXT;
        r->defined[i].type = r->columns[i].is_known ? join_types(r->defined[i].type, type) : type;
        r->columns[i].is_known = true;
    }
}

/* As Doris writes one: the shortest text that reads back, a whole number without ".0". */
static struct span show_double(double value, char text[NUMBER_SIZE])
{
    bool is_whole = fabs(value) < 1e15 && value == floor(value);
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, NUMBER_SIZE, "%.*g", digits, value);
        if (is_whole || strtod(text, NULL) == value) {
            break;
        }
    }
    return span_of(text);
}

static void fill_cell(struct rows *r, size_t i)
{
    struct result_cell *cell = &r->cells[i];
    int type = sqlite3_column_type(r->stmt, (int)i);
    *cell = (struct result_cell){.type = r->defined[i].type};
    if (type == SQLITE_NULL) {
        return;
    }
    if (cell->type == RESULT_INT) {
        cell->integer = sqlite3_column_int64(r->stmt, (int)i);
    } else if (cell->type == RESULT_DOUBLE) {
        cell->number = sqlite3_column_double(r->stmt, (int)i);
    }
    if (type == SQLITE_FLOAT) {
        cell->text = show_double(sqlite3_column_double(r->stmt, (int)i), r->columns[i].number);
        return;
    }
    /* text first: the length is that of the converted value */
    const char *text = (const char *)sqlite3_column_text(r->stmt, (int)i);
    size_t n = (size_t)sqlite3_column_bytes(r->stmt, (int)i);
    cell->text = (struct span){text != NULL ? text : "", text != NULL ? n : 0};
}

static bool has_open_column(const struct rows *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->columns[i].is_open) {
            return true;
        }
    }
    return false;
}

static int run_for_types(struct rows *r)
{
    int rc = SQLITE_DONE;
    while ((rc = sqlite3_step(r->stmt)) == SQLITE_ROW) {
        learn_types(r);
    }
    (void)sqlite3_reset(r->stmt); /* repeats the error of the last step */
    return rc;
}

/* The definitions stand before the rows and are as long whatever the types are. */
static void define_again(const struct rows *r, const struct result_form *form, struct buf *out)
{
    _cleanup_buf_ struct buf head = buf_with_max(out->len);
    struct result again;
    result_begin(&again, &head, form);
    result_columns(&again, r->defined, r->n);
    assert(buf_ok(&head) && head.len <= out->len);
    memcpy(out->data, head.data, head.len);
}

int viewrows_put(struct sqlite3_stmt *stmt, const struct result_form *form, struct buf *out)
{
    struct rows r = rows_of(stmt);
    struct result result;
    bool is_open = has_open_column(&r);
    bool is_text = form->format == RESULT_FORMAT_TEXT;
    assert(out->len == 0);
    int rc = is_open && !is_text ? run_for_types(&r) : SQLITE_DONE;
    if (rc == SQLITE_DONE) {
        result_begin(&result, out, form);
        result_columns(&result, r.defined, r.n);
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && buf_ok(out)) {
            if (is_text) {
                learn_types(&r);
            }
            for (size_t i = 0; i < r.n; i++) {
                fill_cell(&r, i);
            }
            result_row(&result, r.cells, r.n);
        }
        result_end(&result);
        if (is_open && is_text && buf_ok(out)) {
            define_again(&r, form, out);
        }
    }
    rows_fini(&r);
    return rc;
}
