/* What Doris would turn into a number or a date to compare it, or to reckon with it. */
#include <stdlib.h>

#include "base/xmalloc.h"
#include "proxy/viewsql.h"
#include "proxy/viewsql_parts.h"

enum mark { MARK_NUMBER, MARK_DATE, MARK_TEXT };

/* Without operators, so that it can be put into a call. */
static bool is_single(struct tokens *t, struct range r)
{
    return viewsql_is_valid(r) && viewsql_value_end(t, r.first) == r.last &&
           !is_word(t, r.first, "INTERVAL");
}

static void mark(struct tokens *t, struct range r, enum mark as)
{
    if (!is_single(t, r) || t->items[r.first].before[0] != '\0' ||
        t->items[r.last].after[0] != '\0') {
        return;
    }
    if (as == MARK_TEXT) {
        put_before(t, r.first, "+"); /* which a column loses its affinity by */
        return;
    }
    put_before(t, r.first, as == MARK_NUMBER ? "('>n' -> " : "('>d' -> ");
    put_after(t, r.last, ")");
}

static bool may_be_text(enum operand kind)
{
    return kind == OPERAND_ANY || kind == OPERAND_UNSURE || kind == OPERAND_TEXT;
}

/* --- comparisons -------------------------------------------------------------------------------- */

/* What is compared with each other. */
struct operands {
    struct range *items; /* owned */
    size_t n;
    size_t n_of[OPERAND_ROW + 1]; /* of each kind */
    bool is_list;                 /* the first with each of an IN's */
    bool is_order;                /* by < and such */
};

static void add_operand(struct tokens *t, struct operands *o, struct range r)
{
    if ((o->n & (o->n - 1)) == 0) {
        o->items = xrealloc_array(o->items, o->n > 0 ? 2 * o->n : 1, sizeof(*o->items));
    }
    o->items[o->n++] = r;
    o->n_of[viewsql_kind(t, r)]++;
}

static void convert(struct tokens *t, const struct operands *o)
{
    size_t n_unsure = o->n_of[OPERAND_UNSURE];
    size_t n_texts = o->n_of[OPERAND_ANY] + o->n_of[OPERAND_TEXT] + n_unsure;
    size_t n_numbers = o->n_of[OPERAND_NUMBER];
    size_t n_dates = o->n_of[OPERAND_DATE];
    if (o->n_of[OPERAND_ROW] > 0) {
        return;
    }
    if ((n_dates > 0 && n_numbers > 0) || (o->n_of[OPERAND_BOOLEAN] > 0 && n_texts + n_dates > 0) ||
        (n_unsure > 0 && n_texts > n_unsure && n_dates + n_numbers == 0)) {
        t->trust = VIEWSQL_OTHER;
        return;
    }
    bool is_text = o->is_order && n_numbers + n_dates + n_texts == o->n_of[OPERAND_TEXT];
    for (size_t i = 0; i < o->n; i++) {
        enum operand kind = viewsql_kind(t, o->items[i]);
        bool is_column = kind == OPERAND_COLUMN;
        if (n_dates > 0 && kind != OPERAND_NULL) {
            mark(t, o->items[i], MARK_DATE);
        } else if (n_numbers > 0 && (may_be_text(kind) || (is_column && o->is_list && i > 0))) {
            mark(t, o->items[i], MARK_NUMBER);
        } else if (is_text && is_column) {
            mark(t, o->items[i], MARK_TEXT);
        }
    }
}

/* x IN (SELECT y ...): only x can be converted. */
static void adapt_in_query(struct tokens *t, struct range left, struct range query)
{
    enum operand kind = viewsql_kind(t, left);
    enum operand found = viewsql_kind(t, query);
    if (may_be_text(kind) && (found == OPERAND_NUMBER || found == OPERAND_DATE)) {
        mark(t, left, found == OPERAND_NUMBER ? MARK_NUMBER : MARK_DATE);
    } else if (may_be_text(found) && (kind == OPERAND_NUMBER || kind == OPERAND_DATE)) {
        t->trust = VIEWSQL_OTHER;
    }
}

static void add_list(struct tokens *t, struct operands *o, int open)
{
    int close = t->items[open].partner;
    int i = open + 1;
    while (i < close) {
        struct range item = viewsql_value_from(t, i);
        if (!viewsql_is_valid(item) || item.last >= close) {
            return; /* SQLite's error, or a condition: whose value is none of these */
        }
        add_operand(t, o, item);
        if (!is_op(t, item.last + 1, ",")) {
            return;
        }
        i = item.last + 2;
    }
}

static void add_range(struct tokens *t, struct operands *o, int i)
{
    struct range from = viewsql_value_from(t, i);
    if (viewsql_is_valid(from) && is_word(t, from.last + 1, "AND")) {
        struct range to = viewsql_value_from(t, from.last + 2);
        add_operand(t, o, from);
        if (viewsql_is_valid(to)) {
            add_operand(t, o, to);
        }
    }
}

static void add_right(struct tokens *t, struct operands *o, int i)
{
    struct range right = viewsql_value_from(t, i);
    if (viewsql_is_valid(right) && !is_word(t, i, "NULL") && !is_word(t, i, "TRUE") &&
        !is_word(t, i, "FALSE")) {
        add_operand(t, o, right);
    }
}

/* The comparison whose operator is at `i`. */
static void adapt_comparison(struct tokens *t, int i)
{
    static const char *const orders[] = {"<", ">", "<=", ">=", "BETWEEN", NULL};
    struct operands o = {.is_list = is_word(t, i, "IN"),
                         .is_order = is_one_of(t->items[i].text, orders)};
    struct range left = viewsql_value_before(t, i - 1 - is_word(t, i - 1, "NOT"));
    if (!viewsql_is_valid(left)) {
        return;
    }
    add_operand(t, &o, left);
    if (o.is_list && is_op(t, i + 1, "(") && t->items[i + 1].partner != NOWHERE) {
        if (is_word(t, i + 2, "SELECT") || is_word(t, i + 2, "WITH")) {
            adapt_in_query(t, left, (struct range){i + 1, t->items[i + 1].partner});
        } else {
            add_list(t, &o, i + 1);
        }
    } else if (is_word(t, i, "BETWEEN")) {
        add_range(t, &o, i + 1);
    } else {
        add_right(t, &o, i + 1 + (is_word(t, i, "IS") && is_word(t, i + 1, "NOT")));
    }
    if (o.n > 1) {
        convert(t, &o);
    }
    free(o.items);
}

/* CASE x WHEN y THEN ... END, whose CASE is at `i`: x = y */
static void adapt_case(struct tokens *t, int i)
{
    struct operands o = {0};
    struct range value = viewsql_value_from(t, i + 1);
    int end = viewsql_value_end(t, i);
    if (end == NOWHERE || !viewsql_is_valid(value) || !is_word(t, value.last + 1, "WHEN")) {
        return;
    }
    add_operand(t, &o, value);
    for (int k = value.last + 1; k < end; k++) {
        int behind = is_op(t, k, "(") || is_word(t, k, "CASE") ? viewsql_value_end(t, k) : NOWHERE;
        if (behind != NOWHERE) {
            k = behind;
        } else if (is_word(t, k, "WHEN")) {
            add_right(t, &o, k + 1);
        }
    }
    convert(t, &o);
    free(o.items);
}

/* --- sums and products -------------------------------------------------------------------------- */

static bool is_reckoned_with(const struct tokens *t, struct range r)
{
    bool is_signed = is_op(t, r.first - 1, "-") || is_op(t, r.first - 1, "+");
    return is_signed || viewsql_is_arithmetic(t, r.first - 1) ||
           viewsql_is_arithmetic(t, r.last + 1);
}

/* As a number: NULL when it is none, where SQLite takes 0, or the digits it begins with. */
static void reckon(struct tokens *t, struct range r)
{
    enum operand kind = viewsql_kind(t, r);
    if (kind == OPERAND_DATE) {
        t->trust = VIEWSQL_OTHER;
    } else if (may_be_text(kind) || kind == OPERAND_COLUMN) {
        mark(t, r, MARK_NUMBER);
    }
}

/* The value that begins at `i`. */
static void adapt_operand(struct tokens *t, int i)
{
    struct range r = {i, viewsql_value_end(t, i)};
    if (r.last == NOWHERE || !is_reckoned_with(t, r)) {
        return;
    }
    if (is_word(t, i, "INTERVAL")) {
        bool is_sum = is_op(t, i - 1, "+") || is_op(t, i - 1, "-");
        bool is_first = !is_sum && viewsql_is_arithmetic(t, r.last + 1);
        t->trust = is_first ? VIEWSQL_OTHER : t->trust;
    } else if (!is_word(t, r.last + 2, "INTERVAL")) {
        reckon(t, r);
    }
}

/* SQLite's % cuts what is not whole; its / does not. */
static void adapt_quotient(struct tokens *t, int i)
{
    struct range left = viewsql_value_before(t, i - 1);
    struct range right = {i + 1, viewsql_value_end(t, i + 1)};
    if (!viewsql_is_valid(left) || !viewsql_is_valid(right) || !is_single(t, left) ||
        !viewsql_is_whole(t, left) || !viewsql_is_whole(t, right)) {
        t->trust = VIEWSQL_OTHER;
    }
}

static void adapt_aggregate(struct tokens *t, int i)
{
    int first = i + 2 + is_word(t, i + 2, "DISTINCT");
    struct range r = viewsql_value_from(t, first);
    if (viewsql_is_valid(r) && r.last + 1 == t->items[i + 1].partner && is_single(t, r)) {
        reckon(t, r);
    }
}

void viewsql_adapt_comparisons(struct tokens *t)
{
    static const char *const ops[] = {"=", "==", "<>", "!=", "<", ">", "<=", ">=", NULL};
    static const char *const words[] = {"IN", "BETWEEN", "IS", NULL};
    static const char *const whole[] = {"%", "DIV", "MOD", NULL};
    viewsql_find_aliases(t);
    for (int i = 0; i + 1 < t->n; i++) {
        struct span text = t->items[i].text;
        bool is_op_here = t->items[i].kind == TOKEN_OP;
        if ((is_op_here && is_one_of(text, ops)) ||
            (viewsql_is_keyword(t, i) && is_one_of(text, words))) {
            adapt_comparison(t, i);
        } else if (viewsql_is_keyword(t, i) && is_word(t, i, "CASE")) {
            adapt_case(t, i);
        } else if (viewsql_is_arithmetic(t, i) && is_one_of(text, whole)) {
            adapt_quotient(t, i);
        } else if (is_call(t, i) && (is_word(t, i, "SUM") || is_word(t, i, "AVG"))) {
            adapt_aggregate(t, i);
        }
    }
    for (int i = 0; i < t->n; i++) {
        if (viewsql_begins_value(t, i)) {
            adapt_operand(t, i);
        }
    }
}
