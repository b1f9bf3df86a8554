/* What kind of value a part of the query has, as far as its text tells. */
#include "proxy/viewcols.h"
#include "proxy/viewsql.h"
#include "proxy/viewsql_parts.h"

enum { DEPTH_MAX = 16 };

static const char *const number_columns[] = {
    "Id",
    "JobId",
    "TaskId",
    "SucceedTaskCount",
    "FailedTaskCount",
    "CanceledTaskCount",
    "LateFiles",
    "OverwrittenFiles",
    "QuarantinedFiles",
    "TrackedFiles",
    NULL,
};

bool viewsql_is_number_column(const char *name)
{
    return is_one_of(span_of(name), number_columns);
}

static const char *const whole_functions[] = {
    "COUNT",
    "LENGTH",
    "CHAR_LENGTH",
    "CHARACTER_LENGTH",
    "OCTET_LENGTH",
    "YEAR",
    "QUARTER",
    "MONTH",
    "DAY",
    "DAYOFMONTH",
    "HOUR",
    "MINUTE",
    "SECOND",
    "WEEK",
    "WEEKDAY",
    "DAYOFWEEK",
    "DAYOFYEAR",
    "WEEKOFYEAR",
    "TO_DAYS",
    "UNIX_TIMESTAMP",
    "DATEDIFF",
    "TIMESTAMPDIFF",
    "SECONDS_DIFF",
    "MINUTES_DIFF",
    "HOURS_DIFF",
    "DAYS_DIFF",
    "WEEKS_DIFF",
    "MONTHS_DIFF",
    "YEARS_DIFF",
    "GET_JSON_INT",
    "GET_JSON_BIGINT",
    "JSON_EXTRACT_INT",
    "JSON_EXTRACT_BIGINT",
    "JSON_LENGTH",
    "INSTR",
    "LOCATE",
    "POSITION",
    "EXTRACT",
    "FIND_IN_SET",
    "FIELD",
    "ROW_NUMBER",
    "RANK",
    "DENSE_RANK",
    "NTILE",
    NULL,
};

static const char *const number_functions[] = {
    "SUM",
    "AVG",
    "GET_JSON_DOUBLE",
    "JSON_EXTRACT_DOUBLE",
    "ROUND",
    "FLOOR",
    "CEIL",
    "CEILING",
    "TRUNCATE",
    "ABS",
    "MOD",
    "SQRT",
    "LN",
    "LOG10",
    "EXP",
    "POW",
    "POWER",
    NULL,
};

/* Not FROM_UNIXTIME(): a VARCHAR, and of any format. */
static const char *const date_functions[] = {
    "NOW",         "CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "LOCALTIME",   "SYSDATE",
    "CURDATE",     "CURRENT_DATE",      "UTC_TIMESTAMP",  "DATE",        "TO_DATE",
    "DATE_ADD",    "DATE_SUB",          "ADDDATE",        "SUBDATE",     "STR_TO_DATE",
    "DATE_TRUNC",  "TIMESTAMP",         "SECONDS_ADD",    "SECONDS_SUB", "MINUTES_ADD",
    "MINUTES_SUB", "HOURS_ADD",         "HOURS_SUB",      "DAYS_ADD",    "DAYS_SUB",
    "WEEKS_ADD",   "WEEKS_SUB",         "MONTHS_ADD",     "MONTHS_SUB",  NULL,
};

static const char *const clock_words[] = {"CURRENT_TIMESTAMP", "LOCALTIMESTAMP", "LOCALTIME",
                                          "CURRENT_DATE", NULL};

/* True as long as there is work left; then the query is the FE's. */
static bool work(struct tokens *t)
{
    if (t->n_steps_left <= 0) {
        t->trust = VIEWSQL_OTHER;
        return false;
    }
    t->n_steps_left--;
    return true;
}

/* --- where a value begins and ends -------------------------------------------------------------- */

/* Grammar, not a name. Some are functions as well. */
bool viewsql_is_keyword(const struct tokens *t, int i)
{
    static const char *const words[] = {
        "SELECT",    "DISTINCT", "ALL",    "FROM",      "WHERE", "GROUP", "BY",      "HAVING",
        "ORDER",     "LIMIT",    "OFFSET", "UNION",     "ON",    "USING", "JOIN",    "INNER",
        "CROSS",     "OUTER",    "FULL",   "NATURAL",   "AS",    "AND",   "OR",      "NOT",
        "XOR",       "IN",       "IS",     "LIKE",      "RLIKE", "WHEN",  "BETWEEN", "ESCAPE",
        "INTERSECT", "EXCEPT",   "THEN",   "ELSE",      "CASE",  "END",   "OVER",    "PARTITION",
        "ROWS",      "RANGE",    "EXISTS", "SEPARATOR", "WITH",  "FOR",   "REGEXP",  "INTERVAL",
        "COLLATE",   "ASC",      "DESC",   "DIV",       "SET",   NULL,
    };
    static const char *const also_functions[] = {"LEFT", "RIGHT", "MOD", NULL};
    if (!is_kind(t, i, TOKEN_WORD) || is_op(t, i - 1, ".")) {
        return false;
    }
    return is_one_of(t->items[i].text, words) ||
           (is_one_of(t->items[i].text, also_functions) && !is_op(t, i + 1, "("));
}

static bool is_name(const struct tokens *t, int i)
{
    return (is_kind(t, i, TOKEN_WORD) && !viewsql_is_keyword(t, i)) || is_kind(t, i, TOKEN_QUOTED);
}

bool viewsql_begins_value(const struct tokens *t, int i)
{
    if (is_op(t, i, "(")) {
        return t->items[i].partner != NOWHERE && !is_name(t, i - 1);
    }
    return (is_name(t, i) && !is_op(t, i - 1, ".")) || is_kind(t, i, TOKEN_STRING) ||
           is_kind(t, i, TOKEN_NUMBER) || is_word(t, i, "CASE") || is_word(t, i, "INTERVAL");
}

static bool ends_a_value(const struct tokens *t, int i)
{
    return i >= 0 && i < t->n &&
           ((is_op(t, i, ")") && t->items[i].partner != NOWHERE) || is_name(t, i) ||
            is_kind(t, i, TOKEN_STRING) || is_kind(t, i, TOKEN_NUMBER) || is_word(t, i, "END"));
}

static bool is_sign(const struct tokens *t, int i)
{
    return is_op(t, i, "-") || is_op(t, i, "+");
}

bool viewsql_is_arithmetic(const struct tokens *t, int i)
{
    static const char *const ops[] = {"+", "-", "*", "/", "%", NULL};
    bool is_operator = (is_kind(t, i, TOKEN_OP) && is_one_of(t->items[i].text, ops)) ||
                       (viewsql_is_keyword(t, i) && (is_word(t, i, "DIV") || is_word(t, i, "MOD")));
    return is_operator && ends_a_value(t, i - 1) &&
           (viewsql_begins_value(t, i + 1) || is_sign(t, i + 1));
}

/* The last token of what CASE at `i` begins, or the first of what END ends. */
static int other_end_of_case(struct tokens *t, int i, int step)
{
    int depth = 0;
    for (int k = i; k >= 0 && k < t->n && work(t); k += step) {
        if (t->items[k].depth < t->items[i].depth) {
            return NOWHERE;
        }
        bool is_here = t->items[k].depth == t->items[i].depth && !is_op(t, k - 1, ".");
        depth += is_here && is_word(t, k, "CASE") ? step : 0;
        depth -= is_here && is_word(t, k, "END") ? step : 0;
        if (depth == 0) {
            return k;
        }
    }
    return NOWHERE;
}

/* The last token of the value that begins at `i`, without operators. NOWHERE: it is none. */
int viewsql_value_end(struct tokens *t, int i)
{
    if (!viewsql_begins_value(t, i)) {
        return NOWHERE;
    }
    if (is_op(t, i, "(")) {
        return t->items[i].partner;
    }
    if (is_word(t, i, "CASE")) {
        return other_end_of_case(t, i, 1);
    }
    if (is_word(t, i, "INTERVAL")) {
        return i + 2 < t->n ? i + 2 : NOWHERE;
    }
    while (is_op(t, i + 1, ".") && i + 2 < t->n && work(t)) {
        i += 2;
    }
    if (is_name(t, i) && is_op(t, i + 1, "(")) {
        i = t->items[i + 1].partner;
    }
    if (i != NOWHERE && is_word(t, i + 1, "OVER") && i + 2 < t->n) {
        i = is_op(t, i + 2, "(") ? t->items[i + 2].partner : i + 2;
    }
    return i;
}

/* The first token of the value that ends at `i`. */
static int value_start(struct tokens *t, int i)
{
    if (is_word(t, i, "END") && viewsql_is_keyword(t, i)) {
        return other_end_of_case(t, i, -1);
    }
    if (!ends_a_value(t, i)) {
        return NOWHERE;
    }
    if (is_word(t, i - 2, "INTERVAL") && is_name(t, i)) {
        return i - 2;
    }
    if (is_op(t, i, ")")) {
        i = t->items[i].partner;
        if (is_word(t, i - 1, "OVER") && is_op(t, i - 2, ")")) {
            i = t->items[i - 2].partner;
        }
        i -= i > 0 && is_name(t, i - 1);
    }
    while (i >= 2 && is_name(t, i) && is_op(t, i - 1, ".") && work(t)) {
        i -= 2;
    }
    return i;
}

bool viewsql_is_valid(struct range r)
{
    return r.first != NOWHERE && r.last != NOWHERE && r.first <= r.last;
}

/* With its sums and products. */
struct range viewsql_value_from(struct tokens *t, int i)
{
    struct range r = {i, NOWHERE};
    while (work(t)) {
        while (is_sign(t, i) && work(t)) {
            i++;
        }
        r.last = viewsql_value_end(t, i);
        if (r.last == NOWHERE || !viewsql_is_arithmetic(t, r.last + 1)) {
            return r;
        }
        i = r.last + 2;
    }
    return (struct range){NOWHERE, NOWHERE};
}

struct range viewsql_value_before(struct tokens *t, int i)
{
    struct range r = {value_start(t, i), i};
    while (r.first > 0 && work(t)) {
        if (viewsql_is_arithmetic(t, r.first - 1)) {
            r.first = value_start(t, r.first - 2);
        } else if (is_sign(t, r.first - 1)) {
            r.first--;
        } else {
            break;
        }
    }
    return r;
}

/* --- kinds -------------------------------------------------------------------------------------- */

static enum operand kind_of(struct tokens *t, struct range r, int depth);

static enum operand join_kinds(enum operand a, enum operand b)
{
    return a == b || b == OPERAND_NULL ? a : a == OPERAND_NULL ? b : OPERAND_ANY;
}

/* Of the arguments from the n-th on that stand in the parentheses opened at `open`. */
static enum operand kind_of_arguments(struct tokens *t, int open, int n, int depth)
{
    enum operand kind = OPERAND_NULL;
    int i = open + 1 + (is_word(t, open + 1, "DISTINCT") ? 1 : 0);
    int end = t->items[open].partner;
    for (int first = i; i <= end && work(t); i++) {
        if (i == end || (is_op(t, i, ",") && t->items[i].depth == t->items[open].depth + 1)) {
            if (n-- <= 0) {
                kind = join_kinds(kind, kind_of(t, (struct range){first, i - 1}, depth));
            }
            first = i + 1;
        }
    }
    return kind;
}

static enum operand kind_of_cast(struct tokens *t, int open)
{
    static const char *const numbers[] = {"SIGNED",    "UNSIGNED",  "TINYINT", "SMALLINT",
                                          "INT",       "INTEGER",   "BIGINT",  "LARGEINT",
                                          "DOUBLE",    "FLOAT",     "REAL",    "DECIMAL",
                                          "DECIMALV2", "DECIMALV3", "NUMERIC", NULL};
    static const char *const dates[] = {"DATE",       "DATEV1",     "DATEV2",    "DATETIME",
                                        "DATETIMEV1", "DATETIMEV2", "TIMESTAMP", NULL};
    static const char *const booleans[] = {"BOOLEAN", "BOOL", NULL};
    for (int i = t->items[open].partner - 1; i > open && work(t); i--) {
        if (t->items[i].depth == t->items[open].depth + 1 && is_word(t, i, "AS")) {
            struct span type = t->items[i + 1].text;
            return is_one_of(type, numbers)    ? OPERAND_NUMBER
                   : is_one_of(type, dates)    ? OPERAND_DATE
                   : is_one_of(type, booleans) ? OPERAND_BOOLEAN
                                               : OPERAND_TEXT;
        }
    }
    return OPERAND_ANY;
}

static enum operand kind_of_call(struct tokens *t, int i, int depth)
{
    static const struct {
        const char *name;
        int n_before; /* arguments that are not the result */
    } choices[] = {{"MAX", 0},      {"MIN", 0},   {"IF", 1},       {"IFNULL", 0}, {"NVL", 0},
                   {"COALESCE", 0}, {"LEAST", 0}, {"GREATEST", 0}, {"NULLIF", 0}, {"ANY_VALUE", 0}};
    static const char *const booleans[] = {
        "STARTS_WITH",       "ENDS_WITH",     "JSON_VALID", "JSON_EXISTS_PATH",
        "JSON_EXTRACT_BOOL", "GET_JSON_BOOL", "ISNULL",     NULL};
    struct span name = t->items[i].text;
    if (is_one_of(name, whole_functions) || is_one_of(name, number_functions)) {
        return OPERAND_NUMBER;
    }
    if (is_one_of(name, date_functions)) {
        return OPERAND_DATE;
    }
    if (is_one_of(name, booleans)) {
        return OPERAND_BOOLEAN;
    }
    if (t->items[i + 1].partner == NOWHERE) {
        return OPERAND_ANY;
    }
    if (is_word(t, i, "CAST") || is_word(t, i, "TRY_CAST")) {
        return kind_of_cast(t, i + 1);
    }
    for (size_t k = 0; k < sizeof(choices) / sizeof(choices[0]); k++) {
        if (is_word(t, i, choices[k].name)) {
            enum operand kind = kind_of_arguments(t, i + 1, choices[k].n_before, depth);
            return kind == OPERAND_COLUMN ? OPERAND_ANY : kind; /* its affinity is gone */
        }
    }
    return OPERAND_ANY;
}

/* THEN and ELSE of CASE ... END */
static enum operand kind_of_case(struct tokens *t, struct range r, int depth)
{
    enum operand kind = OPERAND_NULL;
    for (int i = r.first + 1; i < r.last && work(t); i++) {
        if (is_op(t, i, "(") && t->items[i].partner != NOWHERE) {
            i = t->items[i].partner;
        } else if (is_word(t, i, "CASE")) {
            int end = other_end_of_case(t, i, 1);
            i = end != NOWHERE ? end : i;
        } else if (is_word(t, i, "THEN") || is_word(t, i, "ELSE")) {
            struct range value = viewsql_value_from(t, i + 1);
            kind = join_kinds(kind, kind_of(t, value, depth));
            i = viewsql_is_valid(value) ? value.last : i;
        }
    }
    return kind == OPERAND_COLUMN ? OPERAND_ANY : kind;
}

static enum operand kind_of_name(struct tokens *t, struct range r)
{
    struct span name = t->items[r.last].text;
    if (t->items[r.last].kind == TOKEN_QUOTED && name.n >= 2) {
        name = (struct span){name.p + 1, name.n - 2};
    }
    bool is_column =
        viewcols_find(VIEW_JOBS, name) != SIZE_MAX || viewcols_find(VIEW_TASKS, name) != SIZE_MAX;
    for (int i = t->last_alias; i != NOWHERE && work(t); i = t->items[i].next_alias) {
        struct span alias = t->items[i].text;
        if (t->items[i].kind == TOKEN_QUOTED && alias.n >= 2) {
            alias = (struct span){alias.p + 1, alias.n - 2};
        }
        if (span_ieq(alias, name)) { /* which of both it is, the place tells */
            bool is_text = t->items[i].alias_kind == OPERAND_ANY;
            return is_column && !is_text ? OPERAND_UNSURE : t->items[i].alias_kind;
        }
    }
    return is_one_of(name, number_columns) ? OPERAND_COLUMN : OPERAND_ANY;
}

/* (SELECT x ...): of x. Of another parenthesis: of what is in it. */
static enum operand kind_of_parenthesis(struct tokens *t, int open, int depth)
{
    int i = open + 1;
    int close = t->items[open].partner;
    if (is_word(t, i, "WITH")) {
        return OPERAND_ANY;
    }
    bool is_query = is_word(t, i, "SELECT");
    i += is_query;
    i += is_query && (is_word(t, i, "DISTINCT") || is_word(t, i, "ALL"));
    struct range r = viewsql_value_from(t, i);
    if (!viewsql_is_valid(r)) {
        return OPERAND_ANY;
    }
    if (is_query) {
        bool is_value = r.last + 1 == close || is_op(t, r.last + 1, ",") ||
                        is_name(t, r.last + 1) || is_word(t, r.last + 1, "AS") ||
                        is_word(t, r.last + 1, "FROM");
        return is_value ? kind_of(t, r, depth) : OPERAND_BOOLEAN;
    }
    if (r.last + 1 == close) {
        return kind_of(t, r, depth);
    }
    return is_op(t, r.last + 1, ",") ? OPERAND_ROW : OPERAND_BOOLEAN;
}

static enum operand kind_of(struct tokens *t, struct range r, int depth)
{
    if (!viewsql_is_valid(r) || depth >= DEPTH_MAX || !work(t)) {
        return OPERAND_ANY;
    }
    int end = viewsql_value_end(t, r.first);
    if (is_word(t, r.first, "INTERVAL") ||
        (end != NOWHERE && is_word(t, end + 2, "INTERVAL") && end < r.last)) {
        return OPERAND_DATE;
    }
    if (is_sign(t, r.first) ||
        (end != NOWHERE && end < r.last && viewsql_is_arithmetic(t, end + 1))) {
        return OPERAND_NUMBER;
    }
    if (end != r.last) {
        return OPERAND_ANY;
    }
    if (is_op(t, r.first, "(")) {
        return kind_of_parenthesis(t, r.first, depth + 1);
    }
    if (is_word(t, r.first, "CASE")) {
        return kind_of_case(t, r, depth + 1);
    }
    if (is_call(t, r.first)) {
        return kind_of_call(t, r.first, depth + 1);
    }
    if (is_kind(t, r.first, TOKEN_NUMBER) || is_kind(t, r.first, TOKEN_STRING)) {
        return is_kind(t, r.first, TOKEN_NUMBER) ? OPERAND_NUMBER : OPERAND_TEXT;
    }
    if (is_kind(t, r.first, TOKEN_WORD) && is_one_of(t->items[r.first].text, clock_words)) {
        return OPERAND_DATE;
    }
    return is_word(t, r.first, "NULL") ? OPERAND_NULL : kind_of_name(t, r);
}

enum operand viewsql_kind(struct tokens *t, struct range r)
{
    return kind_of(t, r, 0);
}

bool viewsql_is_whole(struct tokens *t, struct range r)
{
    enum operand kind = viewsql_kind(t, r);
    if (kind == OPERAND_COLUMN || is_sign(t, r.first)) {
        return kind == OPERAND_COLUMN;
    }
    if (is_kind(t, r.first, TOKEN_NUMBER)) {
        struct span digits = t->items[r.first].text;
        int64_t ignored = 0;
        return r.first == r.last && span_to_int64(digits, 0, INT64_MAX, &ignored);
    }
    return is_call(t, r.first) && is_one_of(t->items[r.first].text, whole_functions);
}

/* --- aliases ------------------------------------------------------------------------------------ */

/* Twice: the query in parentheses that names a value stands behind the one that names it anew. */
void viewsql_find_aliases(struct tokens *t)
{
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 1; i < t->n && work(t); i++) {
            int as = is_word(t, i - 1, "AS") ? i - 1 : i;
            bool is_alias = is_name(t, i) && !is_op(t, i + 1, "(") && !is_op(t, i + 1, ".") &&
                            (as < i || is_op(t, i - 1, ")") || is_word(t, i - 1, "END"));
            enum operand kind =
                is_alias ? viewsql_kind(t, viewsql_value_before(t, as - 1)) : OPERAND_ANY;
            if (!is_alias) {
                continue;
            }
            if (pass == 0) {
                t->items[i].next_alias = t->last_alias;
                t->last_alias = i;
            }
            t->items[i].alias_kind = kind == OPERAND_COLUMN ? OPERAND_ANY : kind;
        }
    }
}
