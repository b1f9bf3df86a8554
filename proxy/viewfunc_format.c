/* Dates as texts and back: DATE_FORMAT, STR_TO_DATE, weeks. */
#include <ctype.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/viewfunc_parts.h"

enum { NAME_OF_DAY, NAME_OF_MONTH };
enum { WEEK_FROM_MONDAY = 1, WEEK_IN_YEAR = 2, WEEK_FROM_FIRST_DAY = 4 }; /* MySQL's modes */

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};

/* --- weeks ------------------------------------------------------------------------------------ */

/* The day on which the first week of a year begins. */
static int64_t first_week(int year, int mode)
{
    int64_t first = viewtime_days(year, 1, 1);
    int weekday = viewtime_weekday(first); /* 0 is the day a week begins with, below */
    weekday = (mode & WEEK_FROM_MONDAY) != 0 ? weekday : (weekday + 1) % 7;
    bool needs_whole = ((mode & WEEK_FROM_FIRST_DAY) != 0) == ((mode & WEEK_FROM_MONDAY) != 0);
    bool is_next = needs_whole ? weekday > 0 : weekday > 3; /* else four days are enough */
    return first - weekday + (is_next ? 7 : 0);
}

static int week_of(const struct viewtime *t, int mode, int *ret_year)
{
    int64_t day = viewtime_days(t->year, t->month, t->day);
    int64_t begin = first_week(t->year, mode);
    *ret_year = t->year;
    if (day < begin) {
        if ((mode & WEEK_IN_YEAR) == 0) {
            return 0;
        }
        *ret_year = t->year - 1;
        begin = first_week(*ret_year, mode);
    } else if ((mode & WEEK_IN_YEAR) != 0 && day >= first_week(t->year + 1, mode)) {
        *ret_year = t->year + 1;
        begin = first_week(*ret_year, mode);
    }
    return (int)((day - begin) / 7) + 1;
}

/* `what` is the mode when there is no second argument. */
static void run_week(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    int year = 0;
    if (!viewfunc_has_null(n, args) && viewfunc_time_of(args[0], &t)) {
        int mode = n > 1 ? sqlite3_value_int(args[1]) & 7 : viewfunc_what(to);
        sqlite3_result_int(to, week_of(&t, mode, &year));
    }
}

/* --- DATE_FORMAT ------------------------------------------------------------------------------ */

static int hour_of_12(const struct viewtime *t)
{
    return t->hour % 12 == 0 ? 12 : t->hour % 12;
}

static const char *ordinal(int day)
{
    static const char *const ends[] = {"th", "st", "nd", "rd"};
    return day % 10 <= 3 && day / 10 != 1 ? ends[day % 10] : ends[0];
}

static void put_week(const struct viewtime *t, char c, struct buf *out)
{
    int year = 0;
    bool is_monday = c == 'u' || c == 'v' || c == 'x';
    bool in_year = c != 'u' && c != 'U';
    int week = week_of(t, (is_monday ? WEEK_FROM_MONDAY : 0) | (in_year ? WEEK_IN_YEAR : 0), &year);
    if (c == 'x' || c == 'X') {
        buf_printf(out, "%04d", year);
    } else {
        buf_printf(out, "%02d", week);
    }
}

/* False for a letter that stands for nothing. */
static bool put_day(const struct viewtime *t, char c, struct buf *out)
{
    int64_t days = viewtime_days(t->year, t->month, t->day);
    int weekday = viewtime_weekday(days);
    switch (c) {
    case 'Y': buf_printf(out, "%04d", t->year); return true;
    case 'y': buf_printf(out, "%02d", t->year % 100); return true;
    case 'm': buf_printf(out, "%02d", t->month); return true;
    case 'c': buf_printf(out, "%d", t->month); return true;
    case 'M': buf_append_text(out, months[t->month - 1]); return true;
    case 'b': buf_append(out, months[t->month - 1], 3); return true;
    case 'd': buf_printf(out, "%02d", t->day); return true;
    case 'e': buf_printf(out, "%d", t->day); return true;
    case 'D': buf_printf(out, "%d%s", t->day, ordinal(t->day)); return true;
    case 'j': buf_printf(out, "%03d", (int)(days - viewtime_days(t->year, 1, 1)) + 1); return true;
    case 'W': buf_append_text(out, weekdays[weekday]); return true;
    case 'a': buf_append(out, weekdays[weekday], 3); return true;
    case 'w': buf_printf(out, "%d", (weekday + 1) % 7); return true;
    case 'u':
    case 'U':
    case 'v':
    case 'V':
    case 'x':
    case 'X': put_week(t, c, out); return true;
    default: return false;
    }
}

static bool put_time(const struct viewtime *t, char c, struct buf *out)
{
    const char *half = t->hour < 12 ? "AM" : "PM";
    switch (c) {
    case 'H': buf_printf(out, "%02d", t->hour); return true;
    case 'k': buf_printf(out, "%d", t->hour); return true;
    case 'h':
    case 'I': buf_printf(out, "%02d", hour_of_12(t)); return true;
    case 'l': buf_printf(out, "%d", hour_of_12(t)); return true;
    case 'i': buf_printf(out, "%02d", t->minute); return true;
    case 's':
    case 'S': buf_printf(out, "%02d", t->second); return true;
    case 'f': buf_printf(out, "%06d", t->us); return true;
    case 'p': buf_append_text(out, half); return true;
    case 'r':
        buf_printf(out, "%02d:%02d:%02d %s", hour_of_12(t), t->minute, t->second, half);
        return true;
    case 'T': buf_printf(out, "%02d:%02d:%02d", t->hour, t->minute, t->second); return true;
    default: return false;
    }
}

/* Doris knows three forms without a '%'. */
static struct span expand_format(struct span format)
{
    static const char *const forms[][2] = {
        {"yyyyMMdd", "%Y%m%d"},
        {"yyyy-MM-dd", "%Y-%m-%d"},
        {"yyyy-MM-dd HH:mm:ss", "%Y-%m-%d %H:%i:%s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        if (span_eq_text(format, forms[i][0])) {
            return span_of(forms[i][1]);
        }
    }
    return format;
}

bool viewfunc_format_time(const struct viewtime *t, struct span format, struct buf *out)
{
    struct span f = expand_format(format);
    for (size_t i = 0; i < f.n && buf_ok(out); i++) {
        if (f.p[i] != '%' || i + 1 == f.n) {
            buf_append_char(out, f.p[i]);
            continue;
        }
        i++;
        if (!put_day(t, f.p[i], out) && !put_time(t, f.p[i], out)) {
            buf_append_char(out, f.p[i]); /* %% and letters that stand for themselves */
        }
    }
    return true;
}

static void run_date_format(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[0], &t)) {
        return;
    }
    struct buf out = viewfunc_buf(to);
    (void)viewfunc_format_time(&t, viewfunc_span(args[1]), &out);
    viewfunc_put_buf(to, &out);
}

static void run_name(sqlite3_context *to, int n, sqlite3_value **args)
{
    struct viewtime t;
    if (viewfunc_has_null(n, args) || !viewfunc_time_of(args[0], &t)) {
        return;
    }
    int64_t days = viewtime_days(t.year, t.month, t.day);
    viewfunc_put_text(to, viewfunc_what(to) == NAME_OF_MONTH ? months[t.month - 1]
                                                             : weekdays[viewtime_weekday(days)]);
}

/* --- STR_TO_DATE ------------------------------------------------------------------------------ */

struct reading {
    struct span rest;
    struct viewtime t;
    bool is_afternoon;
    bool is_half_day; /* the hour is one of twelve */
};

static bool take_number(struct reading *r, size_t max_digits, int *ret)
{
    int value = 0;
    size_t n = 0;
    for (; n < r->rest.n && n < max_digits && isdigit((unsigned char)r->rest.p[n]); n++) {
        value = value * 10 + (r->rest.p[n] - '0');
    }
    r->rest = (struct span){r->rest.p + n, r->rest.n - n};
    *ret = value;
    return n > 0;
}

static bool take_fraction(struct reading *r)
{
    size_t before = r->rest.n;
    bool is_ok = take_number(r, 6, &r->t.us);
    for (size_t n = before - r->rest.n; n < 6; n++) {
        r->t.us *= 10;
    }
    return is_ok;
}

/* The month's name, whole or its first three letters. */
static bool take_month(struct reading *r, bool is_short)
{
    for (int i = 0; i < 12; i++) {
        size_t n = is_short ? 3 : strlen(months[i]);
        if (r->rest.n >= n && strncasecmp(r->rest.p, months[i], n) == 0) {
            r->t.month = i + 1;
            r->rest = (struct span){r->rest.p + n, r->rest.n - n};
            return true;
        }
    }
    return false;
}

static bool take_half(struct reading *r)
{
    if (r->rest.n < 2 || toupper((unsigned char)r->rest.p[1]) != 'M') {
        return false;
    }
    int c = toupper((unsigned char)r->rest.p[0]);
    r->is_afternoon = c == 'P';
    r->rest = (struct span){r->rest.p + 2, r->rest.n - 2};
    return c == 'A' || c == 'P';
}

static bool take_literal(struct reading *r, char c)
{
    if (r->rest.n == 0 || r->rest.p[0] != c) {
        return false;
    }
    r->rest = (struct span){r->rest.p + 1, r->rest.n - 1};
    return true;
}

static bool take_clock(struct reading *r)
{
    return take_number(r, 2, &r->t.hour) && take_literal(r, ':') &&
           take_number(r, 2, &r->t.minute) && take_literal(r, ':') &&
           take_number(r, 2, &r->t.second);
}

/* False when the text does not fit. */
static bool take_specifier(struct reading *r, char c)
{
    bool is_ok = true;
    r->t.is_date = r->t.is_date && strchr("HkhIlisSfprT", c) == NULL;
    r->is_half_day = r->is_half_day || strchr("hIl", c) != NULL;
    switch (c) {
    case 'Y': return take_number(r, 4, &r->t.year);
    case 'y':
        is_ok = take_number(r, 2, &r->t.year);
        r->t.year += r->t.year < 70 ? 2000 : 1900;
        return is_ok;
    case 'm':
    case 'c': return take_number(r, 2, &r->t.month);
    case 'M': return take_month(r, false);
    case 'b': return take_month(r, true);
    case 'd':
    case 'e': return take_number(r, 2, &r->t.day);
    case 'H':
    case 'k':
    case 'h':
    case 'I':
    case 'l': return take_number(r, 2, &r->t.hour);
    case 'i': return take_number(r, 2, &r->t.minute);
    case 's':
    case 'S': return take_number(r, 2, &r->t.second);
    case 'f': return take_fraction(r);
    case 'p': return take_half(r);
    case 'T': return take_clock(r);
    default: return take_literal(r, c);
    }
}

/* What the text leaves out is 1 January, at midnight; NULL when it does not fit. */
static void run_str_to_date(sqlite3_context *to, int n, sqlite3_value **args)
{
    char text[VIEWTIME_TEXT_SIZE];
    if (viewfunc_has_null(n, args)) {
        return;
    }
    struct span format = expand_format(viewfunc_span(args[1]));
    struct reading r = {.rest = span_trim(viewfunc_span(args[0])),
                        .t = {.month = 1, .day = 1, .is_date = true}};
    bool is_ok = true;
    for (size_t i = 0; is_ok && i < format.n && r.rest.n > 0; i++) {
        char c = format.p[i];
        if (c == '%' && i + 1 < format.n) {
            is_ok = format.p[++i] != '\0' && take_specifier(&r, format.p[i]);
        } else if (isspace((unsigned char)c)) {
            r.rest = span_trim(r.rest);
        } else {
            is_ok = take_literal(&r, c);
        }
    }
    if (r.is_half_day) {
        is_ok = is_ok && r.t.hour >= 1 && r.t.hour <= 12;
        r.t.hour = r.t.hour % 12 + (r.is_afternoon ? 12 : 0);
    }
    if (!is_ok || r.rest.n > 0 || r.t.hour > 23 || r.t.minute > 59 || r.t.second > 59 ||
        r.t.month < 1 || r.t.month > 12 || r.t.day < 1 ||
        r.t.day > viewtime_month_days(r.t.year, r.t.month)) {
        return;
    }
    viewtime_format(&r.t, text);
    viewfunc_put_text(to, text);
}

const struct viewfunc viewfunc_time_more[] = {
    {.name = "date_format", .n_args = 2, .run = run_date_format},
    {.name = "str_to_date", .n_args = 2, .run = run_str_to_date},
    {.name = "dayname", .n_args = 1, .run = run_name, .what = NAME_OF_DAY},
    {.name = "monthname", .n_args = 1, .run = run_name, .what = NAME_OF_MONTH},
    {.name = "week", .n_args = 1, .run = run_week, .what = 0},
    {.name = "week", .n_args = 2, .run = run_week},
    {.name = "weekofyear", .n_args = 1, .run = run_week, .what = WEEK_FROM_MONDAY | WEEK_IN_YEAR},
    {0},
};
