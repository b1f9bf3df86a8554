/* Numbers, choices, casts. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { LEAST, GREATEST };
enum { FLOOR, CEIL, ROUND, TRUNCATE, SQRT, LN, LOG10, EXP };
enum { DIGITS_MAX = 30 };

static bool is_true(sqlite3_value *value)
{
    return sqlite3_value_type(value) != SQLITE_NULL && sqlite3_value_double(value) != 0;
}

static void run_if(sqlite3_context *to, int n, sqlite3_value **args)
{
    (void)n;
    sqlite3_result_value(to, args[is_true(args[0]) ? 1 : 2]);
}

static void run_nvl(sqlite3_context *to, int n, sqlite3_value **args)
{
    sqlite3_result_value(to, args[viewfunc_has_null(1, args) ? n - 1 : 0]);
}

/* A text and a number are compared as numbers; a text that is none equals no number. */
static void run_nullif(sqlite3_context *to, int n, sqlite3_value **args)
{
    bool is_equal = false;
    if (!viewfunc_has_null(n, args)) {
        bool are_texts = sqlite3_value_type(args[0]) == SQLITE_TEXT &&
                         sqlite3_value_type(args[1]) == SQLITE_TEXT;
        bool are_numbers = viewfunc_is_number(args[0]) && viewfunc_is_number(args[1]);
        is_equal = are_texts     ? span_eq(viewfunc_span(args[0]), viewfunc_span(args[1]))
                   : are_numbers ? sqlite3_value_double(args[0]) == sqlite3_value_double(args[1])
                                 : false;
    }
    if (!is_equal) {
        sqlite3_result_value(to, args[0]);
    }
}

static int compare(sqlite3_value *a, sqlite3_value *b, bool as_numbers)
{
    if (!as_numbers) {
        return span_cmp(viewfunc_span(a), viewfunc_span(b));
    }
    double x = sqlite3_value_double(a);
    double y = sqlite3_value_double(b);
    return (x > y) - (x < y);
}

/* As numbers when all are; as texts otherwise. */
static void run_extreme(sqlite3_context *to, int n, sqlite3_value **args)
{
    bool as_numbers = true;
    int best = 0;
    if (n == 0 || viewfunc_has_null(n, args)) {
        return;
    }
    for (int i = 0; i < n; i++) {
        as_numbers = as_numbers && sqlite3_value_type(args[i]) != SQLITE_TEXT;
    }
    for (int i = 1; i < n; i++) {
        int order = compare(args[i], args[best], as_numbers);
        best = (viewfunc_what(to) == GREATEST ? order > 0 : order < 0) ? i : best;
    }
    sqlite3_result_value(to, args[best]);
}

/* NULL by zero. */
static void run_mod(sqlite3_context *to, int n, sqlite3_value **args)
{
    for (int i = 0; i < n; i++) {
        if (sqlite3_value_type(args[i]) == SQLITE_NULL || !viewfunc_is_number(args[i])) {
            return;
        }
    }
    double by = sqlite3_value_double(args[1]);
    if (by == 0) {
        return;
    }
    bool is_whole = sqlite3_value_numeric_type(args[0]) == SQLITE_INTEGER &&
                    sqlite3_value_numeric_type(args[1]) == SQLITE_INTEGER;
    if (is_whole) {
        int64_t divisor = sqlite3_value_int64(args[1]);
        sqlite3_result_int64(to, divisor == -1 ? 0 : sqlite3_value_int64(args[0]) % divisor);
    } else {
        sqlite3_result_double(to, fmod(sqlite3_value_double(args[0]), by));
    }
}

static void put_double(sqlite3_context *to, double value)
{
    if (isfinite(value)) {
        sqlite3_result_double(to, value); /* else NULL, as in Doris */
    }
}

static double to_digits(double value, int64_t digits, double (*cut)(double))
{
    double scale = pow(10, (double)(digits < -DIGITS_MAX  ? -DIGITS_MAX
                                    : digits > DIGITS_MAX ? DIGITS_MAX
                                                          : digits));
    double scaled = value * scale;
    return isfinite(scaled) && fabs(scaled) < 9e15 ? cut(scaled) / scale : value;
}

static double compute(int what, double value, int64_t digits)
{
    switch (what) {
    case FLOOR: return to_digits(value, digits, floor);
    case CEIL: return to_digits(value, digits, ceil);
    case ROUND: return to_digits(value, digits, round);
    case TRUNCATE: return to_digits(value, digits, trunc);
    case SQRT: return sqrt(value);
    case LN: return value > 0 ? log(value) : NAN;
    case LOG10: return value > 0 ? log10(value) : NAN;
    default: return exp(value);
    }
}

/* A whole number stays one. */
static void run_number(sqlite3_context *to, int n, sqlite3_value **args)
{
    int what = viewfunc_what(to);
    if (viewfunc_has_null(n, args) || !viewfunc_is_number(args[0])) {
        return;
    }
    int64_t digits = n > 1 ? sqlite3_value_int64(args[1]) : 0;
    double value = compute(what, sqlite3_value_double(args[0]), digits);
    bool is_whole = what <= TRUNCATE && digits <= 0 && fabs(value) < 9e15;
    if (what <= TRUNCATE && digits >= 0 && sqlite3_value_numeric_type(args[0]) == SQLITE_INTEGER) {
        sqlite3_result_int64(to, sqlite3_value_int64(args[0]));
    } else if (is_whole) {
        sqlite3_result_int64(to, (sqlite3_int64)value);
    } else {
        put_double(to, value);
    }
}

static void run_abs(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (viewfunc_has_null(n, args) || !viewfunc_is_number(args[0])) {
        return;
    }
    int64_t whole = sqlite3_value_int64(args[0]);
    if (sqlite3_value_numeric_type(args[0]) == SQLITE_INTEGER && whole > INT64_MIN) {
        sqlite3_result_int64(to, whole < 0 ? -whole : whole);
    } else {
        put_double(to, fabs(sqlite3_value_double(args[0])));
    }
}

static void run_power(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (!viewfunc_has_null(n, args) && viewfunc_is_number(args[0]) && viewfunc_is_number(args[1])) {
        put_double(to, pow(sqlite3_value_double(args[0]), sqlite3_value_double(args[1])));
    }
}

/* --- CAST ------------------------------------------------------------------------------------- */

enum cast {
    CAST_INT,
    CAST_DOUBLE,
    CAST_DECIMAL,
    CAST_TEXT,
    CAST_DATE,
    CAST_DATETIME,
    CAST_BOOLEAN,
    CAST_UNKNOWN,
};

static enum cast find_cast(struct span type)
{
    static const struct {
        const char *name;
        enum cast cast;
    } types[] = {
        {"SIGNED", CAST_INT},
        {"UNSIGNED", CAST_INT},
        {"TINYINT", CAST_INT},
        {"SMALLINT", CAST_INT},
        {"INT", CAST_INT},
        {"INTEGER", CAST_INT},
        {"BIGINT", CAST_INT},
        {"LARGEINT", CAST_INT},
        {"DOUBLE", CAST_DOUBLE},
        {"FLOAT", CAST_DOUBLE},
        {"REAL", CAST_DOUBLE},
        {"DECIMAL", CAST_DECIMAL},
        {"DECIMALV2", CAST_DECIMAL},
        {"DECIMALV3", CAST_DECIMAL},
        {"NUMERIC", CAST_DECIMAL},
        {"CHAR", CAST_TEXT},
        {"VARCHAR", CAST_TEXT},
        {"STRING", CAST_TEXT},
        {"TEXT", CAST_TEXT},
        {"DATE", CAST_DATE},
        {"DATEV1", CAST_DATE},
        {"DATEV2", CAST_DATE},
        {"DATETIME", CAST_DATETIME},
        {"DATETIMEV1", CAST_DATETIME},
        {"DATETIMEV2", CAST_DATETIME},
        {"TIMESTAMP", CAST_DATETIME},
        {"BOOLEAN", CAST_BOOLEAN},
        {"BOOL", CAST_BOOLEAN},
    };
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (span_ieq_text(type, types[i].name)) {
            return types[i].cast;
        }
    }
    return CAST_UNKNOWN;
}

static void cast_to_number(sqlite3_context *to, enum cast cast, int64_t digits,
                           sqlite3_value *value)
{
    if (!viewfunc_is_number(value)) {
        return;
    }
    bool is_whole = sqlite3_value_numeric_type(value) == SQLITE_INTEGER;
    double number = sqlite3_value_double(value);
    if (cast == CAST_INT) {
        if (is_whole || fabs(number) < 9.2e18) {
            sqlite3_result_int64(to, sqlite3_value_int64(value));
        }
    } else if (is_whole && cast == CAST_DECIMAL) {
        sqlite3_result_int64(to, sqlite3_value_int64(value));
    } else {
        put_double(to, cast == CAST_DECIMAL ? to_digits(number, digits, round) : number);
    }
}

static void cast_to_time(sqlite3_context *to, enum cast cast, sqlite3_value *value)
{
    struct viewtime t;
    if (!viewfunc_time_of(value, &t)) {
        return;
    }
    t.is_date = cast == CAST_DATE;
    t.us = 0;
    viewfunc_put_time(to, &t);
}

static void cast_to_boolean(sqlite3_context *to, sqlite3_value *value)
{
    struct span text = viewfunc_span(value);
    if (span_ieq_text(text, "true") || span_ieq_text(text, "false")) {
        sqlite3_result_int(to, text.n == 4);
    } else if (viewfunc_is_number(value)) {
        sqlite3_result_int(to, sqlite3_value_double(value) != 0);
    }
}

/* The value, the type's name, and its numbers: CAST(x AS DECIMAL(10, 2)). */
static void run_cast(sqlite3_context *to, int n, sqlite3_value **args)
{
    enum cast cast = n > 1 ? find_cast(viewfunc_span(args[1])) : CAST_UNKNOWN;
    if (cast == CAST_UNKNOWN) {
        sqlite3_result_error(to, "CAST to this type is not known", -1);
        return;
    }
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span text = {0};
    switch (cast) {
    case CAST_INT:
    case CAST_DOUBLE:
    case CAST_DECIMAL:
        cast_to_number(to, cast, n > 3 ? sqlite3_value_int64(args[3]) : n > 2 ? 0 : 9, args[0]);
        break;
    case CAST_TEXT:
        text = viewfunc_span(args[0]);
        if (n > 2 && sqlite3_value_int64(args[2]) > 0) {
            text.n = viewfunc_chars_size(text, (size_t)sqlite3_value_int64(args[2]));
        }
        viewfunc_put(to, text);
        break;
    case CAST_DATE:
    case CAST_DATETIME: cast_to_time(to, cast, args[0]); break;
    case CAST_BOOLEAN: cast_to_boolean(to, args[0]); break;
    case CAST_UNKNOWN: break;
    }
}

/* --- the operator -> -------------------------------------------------------------------------- */

static bool is_midnight(const struct viewtime *t)
{
    return t->hour == 0 && t->minute == 0 && t->second == 0 && t->us == 0;
}

static void put_comparable(sqlite3_context *to, sqlite3_value *value, bool as_number)
{
    struct viewtime t;
    if (!as_number) {
        if (viewfunc_time_of(value, &t)) {
            t.is_date = t.is_date || is_midnight(&t); /* a day is its first moment */
            viewfunc_put_time(to, &t);
        }
        return;
    }
    int type = sqlite3_value_numeric_type(value);
    if (type == SQLITE_INTEGER) {
        sqlite3_result_int64(to, sqlite3_value_int64(value));
    } else if (type == SQLITE_FLOAT) {
        sqlite3_result_double(to, sqlite3_value_double(value));
    }
}

static void run_arrow(sqlite3_context *to, int n, sqlite3_value **args)
{
    (void)n;
    struct span mark = viewfunc_span(args[0]);
    if (mark.n != 2 || mark.p[0] != '>' || (mark.p[1] != 'n' && mark.p[1] != 'd')) {
        sqlite3_result_error(to, "-> is no operator of Doris's", -1);
        return;
    }
    put_comparable(to, args[1], mark.p[1] == 'n');
}

const struct viewfunc viewfunc_number[] = {
    {.name = "if", .n_args = 3, .run = run_if},
    {.name = "nullif", .n_args = 2, .run = run_nullif},
    {.name = "nvl", .n_args = 2, .run = run_nvl},
    {.name = "greatest", .n_args = -1, .run = run_extreme, .what = GREATEST},
    {.name = "least", .n_args = -1, .run = run_extreme, .what = LEAST},
    {.name = "mod", .n_args = 2, .run = run_mod},
    {.name = "floor", .n_args = 1, .run = run_number, .what = FLOOR},
    {.name = "floor", .n_args = 2, .run = run_number, .what = FLOOR},
    {.name = "ceil", .n_args = 1, .run = run_number, .what = CEIL},
    {.name = "ceil", .n_args = 2, .run = run_number, .what = CEIL},
    {.name = "ceiling", .n_args = 1, .run = run_number, .what = CEIL},
    {.name = "round", .n_args = 1, .run = run_number, .what = ROUND},
    {.name = "round", .n_args = 2, .run = run_number, .what = ROUND},
    {.name = "truncate", .n_args = 1, .run = run_number, .what = TRUNCATE},
    {.name = "truncate", .n_args = 2, .run = run_number, .what = TRUNCATE},
    {.name = "sqrt", .n_args = 1, .run = run_number, .what = SQRT},
    {.name = "ln", .n_args = 1, .run = run_number, .what = LN},
    {.name = "log10", .n_args = 1, .run = run_number, .what = LOG10},
    {.name = "exp", .n_args = 1, .run = run_number, .what = EXP},
    {.name = "abs", .n_args = 1, .run = run_abs},
    {.name = "pow", .n_args = 2, .run = run_power},
    {.name = "power", .n_args = 2, .run = run_power},
    {.name = "cast_as", .n_args = -1, .run = run_cast},
    {.name = "->", .n_args = 2, .run = run_arrow},
    {0},
};
