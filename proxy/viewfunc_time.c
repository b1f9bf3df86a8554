/* The clock, parts of dates, and sums with them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { DAY_S = 86400 };
#define UNITS_MAX    INT64_C(400000000000) /* seconds in 10000 years, and more */
#define UNIXTIME_MAX INT64_C(253402243199) /* Doris's */

enum { NOW, TODAY, CLOCK, UTC };
enum {
    PART_DATE,
    PART_TIME,
    PART_YEAR,
    PART_QUARTER,
    PART_MONTH,
    PART_DAY,
    PART_HOUR,
    PART_MINUTE,
    PART_SECOND,
    PART_WEEKDAY,
    PART_DAY_OF_WEEK,
    PART_DAY_OF_YEAR,
    PART_DAYS,
    PART_LAST_DAY,
    PART_CAST,
};

/* Ordered: what is behind DAY has no time of day. */
enum unit { SECOND, MINUTE, HOUR, DAY, WEEK, MONTH, QUARTER, YEAR, N_UNITS };

static const char *const unit_names[N_UNITS] = {"SECOND", "MINUTE", "HOUR",    "DAY",
                                                "WEEK",   "MONTH",  "QUARTER", "YEAR"};
static const int unit_sizes[N_UNITS] = {1, 60, 3600, DAY_S, 7 * DAY_S, 1, 3, 12}; /* s; months */

static enum unit find_unit(struct span name)
{
    int i = 0;
    while (i < N_UNITS && !span_ieq_text(name, unit_names[i])) {
        i++;
    }
    return i;
}

/* --- the clock -------------------------------------------------------------------------------- */

static void put_clock(sqlite3_context *to, int64_t local_s)
{
    struct viewtime t;
    char text[VIEWTIME_TEXT_SIZE];
    if (!viewtime_of_seconds(local_s, &t)) {
        return;
    }
    t.is_date = viewfunc_what(to) == TODAY;
    viewtime_format(&t, text);
    viewfunc_put_text(to, viewfunc_what(to) == CLOCK ? text + sizeof("YYYY-MM-DD") : text);
}

static void run_now(sqlite3_context *to, int n, sqlite3_value **args)
{
    const struct viewfunc_env *env = viewfunc_env_of(to);
    int64_t now_s = env->now_us / 1000000;
    (void)n; /* a number of digits of the second: 0 is what the columns have */
    (void)args;
    put_clock(to, viewfunc_what(to) == UTC ? now_s : viewzone_local_s(env->zone, now_s));
}

static void run_unix_timestamp(sqlite3_context *to, int n, sqlite3_value **args)
{
    const struct viewfunc_env *env = viewfunc_env_of(to);
    struct viewtime t;
    if (n == 0) {
        sqlite3_result_int64(to, env->now_us / 1000000);
    } else if (viewfunc_time_of(args[0], &t)) {
        int64_t utc_s = viewzone_utc_s(env->zone, viewtime_seconds(&t));
        if (t.us == 0) {
            sqlite3_result_int64(to, utc_s);
        } else {
            sqlite3_result_double(to, (double)utc_s + t.us / 1e6);
        }
    }
}

static void run_from_unixtime(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_is_number(args[0])) {
        return;
    }
    int64_t utc_s = sqlite3_value_int64(args[0]);
    if (utc_s < 0 || utc_s > UNIXTIME_MAX ||
        !viewtime_of_seconds(viewzone_local_s(viewfunc_env_of(to)->zone, utc_s), &t)) {
        return;
    }
    if (n == 1) {
        viewfunc_put_time(to, &t);
        return;
    }
    struct buf out = viewfunc_buf(to);
    if (viewfunc_format_time(&t, viewfunc_span(args[1]), &out)) {
        viewfunc_put_buf(to, &out);
    }
    buf_fini(&out);
}

static void run_convert_tz(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[0], &t)) {
        return;
    }
    struct viewzone *from = viewzone_create((const char *)sqlite3_value_text(args[1]));
    struct viewzone *into = viewzone_create((const char *)sqlite3_value_text(args[2]));
    int64_t utc_s = viewzone_utc_s(from, viewtime_seconds(&t));
    if (from != NULL && into != NULL && viewtime_of_seconds(viewzone_local_s(into, utc_s), &t)) {
        viewfunc_put_time(to, &t);
    }
    viewzone_destroy(from);
    viewzone_destroy(into);
}

/* --- parts ------------------------------------------------------------------------------------ */

static void put_time_of_day(sqlite3_context *to, const struct viewtime *t)
{
    char text[VIEWTIME_TEXT_SIZE];
    struct viewtime whole = *t;
    whole.is_date = false;
    viewtime_format(&whole, text);
    viewfunc_put_text(to, text + sizeof("YYYY-MM-DD"));
}

static int64_t part_of(const struct viewtime *t, int part)
{
    int64_t days = viewtime_days(t->year, t->month, t->day);
    switch (part) {
    case PART_YEAR: return t->year;
    case PART_QUARTER: return (t->month + 2) / 3;
    case PART_MONTH: return t->month;
    case PART_DAY: return t->day;
    case PART_HOUR: return t->hour;
    case PART_MINUTE: return t->minute;
    case PART_SECOND: return t->second;
    case PART_WEEKDAY: return viewtime_weekday(days);
    case PART_DAY_OF_WEEK: return (viewtime_weekday(days) + 1) % 7 + 1; /* 1 is Sunday */
    case PART_DAY_OF_YEAR: return days - viewtime_days(t->year, 1, 1) + 1;
    default: return days + 719528; /* since the year 0 */
    }
}

static void run_part(sqlite3_context *to, int n, sqlite3_value **args)
{
    int part = viewfunc_what(to);
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[0], &t)) {
        return;
    }
    switch (part) {
    case PART_TIME: put_time_of_day(to, &t); break;
    case PART_DATE:
    case PART_LAST_DAY:
        t.is_date = true;
        t.day = part == PART_DATE ? t.day : viewtime_month_days(t.year, t.month);
        viewfunc_put_time(to, &t);
        break;
    case PART_CAST:
        t.is_date = false;
        viewfunc_put_time(to, &t);
        break;
    default: sqlite3_result_int64(to, part_of(&t, part));
    }
}

/* The beginning of the unit that the time is in. */
static void run_trunc(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[0], &t)) {
        return;
    }
    enum unit unit = find_unit(viewfunc_span(args[1]));
    if (unit == N_UNITS) {
        sqlite3_result_error(to, "date_trunc() does not know this unit", -1);
        return;
    }
    int64_t past = viewtime_weekday(viewtime_days(t.year, t.month, t.day));
    if (unit == WEEK &&
        !viewtime_of_seconds((viewtime_days(t.year, t.month, t.day) - past) * DAY_S, &t)) {
        return;
    }
    t.us = 0;
    t.second = unit >= MINUTE ? 0 : t.second;
    t.minute = unit >= HOUR ? 0 : t.minute;
    t.hour = unit >= DAY ? 0 : t.hour;
    t.day = unit >= MONTH ? 1 : t.day;
    t.month = unit == YEAR ? 1 : unit == QUARTER ? (t.month - 1) / 3 * 3 + 1 : t.month;
    viewfunc_put_time(to, &t);
}

/* --- sums ------------------------------------------------------------------------------------- */

static bool add_months(struct viewtime *t, int64_t n)
{
    int64_t months = t->year * INT64_C(12) + t->month - 1 + n;
    if (months < 0 || months > 9999 * 12 + 11) {
        return false;
    }
    t->year = (int)(months / 12);
    t->month = (int)(months % 12) + 1;
    int last = viewtime_month_days(t->year, t->month);
    t->day = t->day < last ? t->day : last;
    return true;
}

static bool add_units(struct viewtime *t, int64_t n, enum unit unit)
{
    if (unit >= N_UNITS || n > UNITS_MAX || n < -UNITS_MAX) {
        return false;
    }
    if (unit >= MONTH) {
        return add_months(t, n * unit_sizes[unit]);
    }
    struct viewtime sum;
    if (!viewtime_of_seconds(viewtime_seconds(t) + n * unit_sizes[unit], &sum)) {
        return false;
    }
    sum.us = t->us;
    sum.is_date = t->is_date && unit >= DAY;
    *t = sum;
    return true;
}

bool viewfunc_add_interval(struct viewtime *t, int64_t n, struct span unit)
{
    return add_units(t, n, find_unit(unit));
}

/* "3 DAY", as viewsql.h writes INTERVAL 3 DAY, or a number of days. False: it is neither. */
static bool read_interval(sqlite3_value *value, int64_t *ret_n, enum unit *ret_unit)
{
    struct span text = viewfunc_span(value);
    const char *blank = memchr(text.p, ' ', text.n);
    if (blank == NULL) {
        *ret_n = sqlite3_value_int64(value);
        *ret_unit = DAY;
        return viewfunc_is_number(value);
    }
    *ret_unit = find_unit(span_between(blank + 1, text.p + text.n));
    return span_to_int64(span_between(text.p, blank), -UNITS_MAX, UNITS_MAX, ret_n) &&
           *ret_unit < N_UNITS;
}

/* `what` is 1 or -1. */
static void run_add_interval(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    int64_t amount = 0;
    enum unit unit = N_UNITS;
    if (viewfunc_has_null(n, args)) {
        return;
    }
    if (!read_interval(args[1], &amount, &unit)) {
        sqlite3_result_error(to, "this INTERVAL is not understood", -1);
    } else if (viewfunc_time_of(args[0], &t) && add_units(&t, amount * viewfunc_what(to), unit)) {
        viewfunc_put_time(to, &t);
    }
}

/* days_add(t, n) and so on; `what` is the unit, or -1 - unit to take away. */
static void run_add_units(sqlite3_context *to, int n, sqlite3_value **args)
{
    int what = viewfunc_what(to);
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[0], &t)) {
        return;
    }
    int64_t amount = sqlite3_value_int64(args[1]);
    bool is_sane = amount <= UNITS_MAX && amount >= -UNITS_MAX;
    if (is_sane && add_units(&t, what >= 0 ? amount : -amount, what >= 0 ? what : -1 - what)) {
        viewfunc_put_time(to, &t);
    }
}

static void run_timestampadd(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[2], &t)) {
        return;
    }
    if (viewfunc_add_interval(&t, sqlite3_value_int64(args[1]), viewfunc_span(args[0]))) {
        viewfunc_put_time(to, &t);
    }
}

/* --- differences ------------------------------------------------------------------------------ */

static int64_t micros_of(const struct viewtime *t)
{
    return viewtime_seconds(t) * 1000000 + t->us;
}

/* a - b in whole units, towards zero. */
static int64_t difference(const struct viewtime *a, const struct viewtime *b, enum unit unit)
{
    if (unit < MONTH) {
        return (micros_of(a) - micros_of(b)) / (INT64_C(1000000) * unit_sizes[unit]);
    }
    int64_t months = (a->year - b->year) * INT64_C(12) + a->month - b->month;
    int64_t rest_a = micros_of(a) - viewtime_days(a->year, a->month, 1) * DAY_S * 1000000;
    int64_t rest_b = micros_of(b) - viewtime_days(b->year, b->month, 1) * DAY_S * 1000000;
    months -= months > 0 && rest_a < rest_b;
    months += months < 0 && rest_a > rest_b;
    return months / unit_sizes[unit];
}

static void run_diff(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime a;
    struct viewtime b;
    if (!viewfunc_has_null(n, args) && viewfunc_time_of(args[0], &a) &&
        viewfunc_time_of(args[1], &b)) {
        sqlite3_result_int64(to, difference(&a, &b, viewfunc_what(to)));
    }
}

static void run_timestampdiff(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime a;
    struct viewtime b;
    if (viewfunc_has_null(n, args)) {
        return;
    }
    enum unit unit = find_unit(viewfunc_span(args[0]));
    if (unit == N_UNITS) {
        sqlite3_result_error(to, "timestampdiff() does not know this unit", -1);
    } else if (viewfunc_time_of(args[1], &a) && viewfunc_time_of(args[2], &b)) {
        sqlite3_result_int64(to, difference(&b, &a, unit));
    }
}

/* In days of the calendar. */
static void run_datediff(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime a;
    struct viewtime b;
    if (!viewfunc_has_null(n, args) && viewfunc_time_of(args[0], &a) &&
        viewfunc_time_of(args[1], &b)) {
        sqlite3_result_int64(to, viewtime_days(a.year, a.month, a.day) -
                                     viewtime_days(b.year, b.month, b.day));
    }
}

/* "-12:34:56"; Doris ends at 838:59:59. */
static void put_duration(sqlite3_context *to, int64_t seconds)
{
    static const int64_t max = 838 * 3600 + 59 * 60 + 59;
    char text[32];
    int64_t size = seconds < 0 ? -seconds : seconds;
    size = size < max ? size : max;
    (void)snprintf(text, sizeof(text), "%s%02d:%02d:%02d", seconds < 0 ? "-" : "",
                   (int)(size / 3600), (int)(size / 60 % 60), (int)(size % 60)); /* it fits */
    viewfunc_put_text(to, text);
}

static void run_timediff(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime a;
    struct viewtime b;
    if (!viewfunc_has_null(n, args) && viewfunc_time_of(args[0], &a) &&
        viewfunc_time_of(args[1], &b)) {
        put_duration(to, difference(&a, &b, SECOND));
    }
}

static void run_sec_to_time(sqlite3_context *to, int n, sqlite3_value **args)
{
    if (!viewfunc_has_null(n, args) && viewfunc_is_number(args[0])) {
        double seconds = sqlite3_value_double(args[0]);
        put_duration(to, fabs(seconds) < 1e9 ? (int64_t)seconds
                         : seconds < 0       ? -1000000000
                                             : 1000000000);
    }
}

#define UNIT_FUNCTIONS(plural, unit)                                                               \
    {.name = plural "_add", .n_args = 2, .run = run_add_units, .what = (unit)},                    \
        {.name = plural "_sub", .n_args = 2, .run = run_add_units, .what = -1 - (unit)},           \
    {                                                                                              \
        .name = plural "_diff", .n_args = 2, .run = run_diff, .what = (unit)                       \
    }

const struct viewfunc viewfunc_time[] = {
    {.name = "now", .n_args = 0, .run = run_now, .what = NOW},
    {.name = "now", .n_args = 1, .run = run_now, .what = NOW},
    {.name = "sysdate", .n_args = 0, .run = run_now, .what = NOW},
    {.name = "curdate", .n_args = 0, .run = run_now, .what = TODAY},
    {.name = "curtime", .n_args = 0, .run = run_now, .what = CLOCK},
    {.name = "utc_timestamp", .n_args = 0, .run = run_now, .what = UTC},
    {.name = "unix_timestamp", .n_args = 0, .run = run_unix_timestamp},
    {.name = "unix_timestamp", .n_args = 1, .run = run_unix_timestamp},
    {.name = "from_unixtime", .n_args = 1, .run = run_from_unixtime},
    {.name = "from_unixtime", .n_args = 2, .run = run_from_unixtime},
    {.name = "convert_tz", .n_args = 3, .run = run_convert_tz},
    {.name = "date", .n_args = 1, .run = run_part, .what = PART_DATE},
    {.name = "to_date", .n_args = 1, .run = run_part, .what = PART_DATE},
    {.name = "time", .n_args = 1, .run = run_part, .what = PART_TIME},
    {.name = "timestamp", .n_args = 1, .run = run_part, .what = PART_CAST},
    {.name = "year", .n_args = 1, .run = run_part, .what = PART_YEAR},
    {.name = "quarter", .n_args = 1, .run = run_part, .what = PART_QUARTER},
    {.name = "month", .n_args = 1, .run = run_part, .what = PART_MONTH},
    {.name = "day", .n_args = 1, .run = run_part, .what = PART_DAY},
    {.name = "dayofmonth", .n_args = 1, .run = run_part, .what = PART_DAY},
    {.name = "hour", .n_args = 1, .run = run_part, .what = PART_HOUR},
    {.name = "minute", .n_args = 1, .run = run_part, .what = PART_MINUTE},
    {.name = "second", .n_args = 1, .run = run_part, .what = PART_SECOND},
    {.name = "weekday", .n_args = 1, .run = run_part, .what = PART_WEEKDAY},
    {.name = "dayofweek", .n_args = 1, .run = run_part, .what = PART_DAY_OF_WEEK},
    {.name = "dayofyear", .n_args = 1, .run = run_part, .what = PART_DAY_OF_YEAR},
    {.name = "to_days", .n_args = 1, .run = run_part, .what = PART_DAYS},
    {.name = "last_day", .n_args = 1, .run = run_part, .what = PART_LAST_DAY},
    {.name = "date_trunc", .n_args = 2, .run = run_trunc},
    {.name = "date_add", .n_args = 2, .run = run_add_interval, .what = 1},
    {.name = "adddate", .n_args = 2, .run = run_add_interval, .what = 1},
    {.name = "date_sub", .n_args = 2, .run = run_add_interval, .what = -1},
    {.name = "subdate", .n_args = 2, .run = run_add_interval, .what = -1},
    {.name = "->>", .n_args = 2, .run = run_add_interval, .what = 1},
    {.name = "timestampadd", .n_args = 3, .run = run_timestampadd},
    {.name = "timestampdiff", .n_args = 3, .run = run_timestampdiff},
    {.name = "datediff", .n_args = 2, .run = run_datediff},
    {.name = "timediff", .n_args = 2, .run = run_timediff},
    {.name = "sec_to_time", .n_args = 1, .run = run_sec_to_time},
    UNIT_FUNCTIONS("seconds", SECOND),
    UNIT_FUNCTIONS("minutes", MINUTE),
    UNIT_FUNCTIONS("hours", HOUR),
    UNIT_FUNCTIONS("days", DAY),
    UNIT_FUNCTIONS("weeks", WEEK),
    UNIT_FUNCTIONS("months", MONTH),
    UNIT_FUNCTIONS("years", YEAR),
    {0},
};
