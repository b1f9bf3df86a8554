#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/xmalloc.h"
#include "proxy/tzif.h"
#include "proxy/viewtime.h"

enum { DAY_S = 86400, YEAR_MAX = 9999, NAME_MAX_SIZE = 64 };

/* --- the calendar ----------------------------------------------------------------------------- */

/* Years from March on, so that the leap day is the last; 400 years have 146097 days. */
int64_t viewtime_days(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t in_era = y - era * 400;
    int64_t in_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + in_era * 365 + in_era / 4 - in_era / 100 + in_year - 719468;
}

int viewtime_month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

int64_t viewtime_seconds(const struct viewtime *t)
{
    return viewtime_days(t->year, t->month, t->day) * DAY_S + t->hour * INT64_C(3600) +
           t->minute * INT64_C(60) + t->second;
}

bool viewtime_of_seconds(int64_t local_s, struct viewtime *ret)
{
    static const int64_t first = INT64_C(-62167219200); /* 0000-01-01 */
    static const int64_t last = INT64_C(253402300799);  /* 9999-12-31 23:59:59 */
    if (local_s < first || local_s > last) {
        return false;
    }
    int64_t in_day = (local_s % DAY_S + DAY_S) % DAY_S;
    int64_t days = (local_s - in_day) / DAY_S + 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t in_era = days - era * 146097;
    int64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * in_year + 2) / 153; /* 0 is March */
    *ret = (struct viewtime){
        .year = (int)(year + era * 400 + (month >= 10)),
        .month = (int)(month < 10 ? month + 3 : month - 9),
        .day = (int)(in_year - (153 * month + 2) / 5 + 1),
        .hour = (int)(in_day / 3600),
        .minute = (int)(in_day / 60 % 60),
        .second = (int)(in_day % 60),
    };
    return true;
}

int viewtime_weekday(int64_t days)
{
    return (int)(((days + 3) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

/* --- texts ------------------------------------------------------------------------------------ */

/* One to `max` digits. */
static bool take_digits(struct span *s, size_t max, int *ret)
{
    int value = 0;
    size_t n = 0;
    for (; n < s->n && n < max && isdigit((unsigned char)s->p[n]); n++) {
        value = value * 10 + (s->p[n] - '0');
    }
    *s = (struct span){s->p + n, s->n - n};
    *ret = value;
    return n > 0;
}

static bool take_one_of(struct span *s, const char *set)
{
    if (s->n == 0 || s->p[0] == '\0' || strchr(set, s->p[0]) == NULL) {
        return false;
    }
    *s = (struct span){s->p + 1, s->n - 1};
    return true;
}

static void take_fraction(struct span *s, int *ret_us)
{
    int us = 0;
    int scale = 100000;
    while (s->n > 0 && isdigit((unsigned char)s->p[0])) {
        us += (s->p[0] - '0') * scale;
        scale /= 10;
        *s = (struct span){s->p + 1, s->n - 1};
    }
    *ret_us = us;
}

static bool is_all_digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i])) {
            return false;
        }
    }
    return true;
}

/* A text of digits alone was cut already. */
static bool take_parts(struct span *s, bool is_packed, struct viewtime *t)
{
    bool is_ok = take_digits(s, 4, &t->year) && (is_packed || take_one_of(s, "-/")) &&
                 take_digits(s, 2, &t->month) && (is_packed || take_one_of(s, "-/")) &&
                 take_digits(s, 2, &t->day);
    t->is_date = s->n == 0;
    if (!is_ok || t->is_date) {
        return is_ok;
    }
    is_ok = (is_packed || take_one_of(s, " T")) && take_digits(s, 2, &t->hour);
    if (is_ok && (is_packed || take_one_of(s, ":"))) {
        is_ok = take_digits(s, 2, &t->minute);
        if (is_ok && (is_packed || take_one_of(s, ":"))) {
            is_ok = take_digits(s, 2, &t->second);
        }
    }
    if (is_ok && take_one_of(s, ".")) {
        take_fraction(s, &t->us);
    }
    return is_ok;
}

bool viewtime_parse(struct span text, struct viewtime *ret)
{
    struct viewtime t = {0};
    struct span s = text;
    while (s.n > 0 && s.p[0] == ' ') {
        s = (struct span){s.p + 1, s.n - 1};
    }
    while (s.n > 0 && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    bool is_packed = (s.n == 8 || s.n == 14) && is_all_digits(s);
    if (!take_parts(&s, is_packed, &t) || s.n > 0 || t.month < 1 || t.month > 12 || t.day < 1 ||
        t.day > viewtime_month_days(t.year, t.month) || t.hour > 23 || t.minute > 59 ||
        t.second > 59) {
        return false;
    }
    *ret = t;
    return true;
}

static char *put_digits(char *to, int value, int n_digits)
{
    unsigned rest = (unsigned)value;
    for (int i = n_digits - 1; i >= 0; i--) {
        to[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    return to + n_digits;
}

/* By hand: a query may show 10000 of them, and snprintf() takes 0.7 us for one. */
void viewtime_format(const struct viewtime *t, char ret_text[VIEWTIME_TEXT_SIZE])
{
    char *p = put_digits(ret_text, t->year, 4);
    *p++ = '-';
    p = put_digits(p, t->month, 2);
    *p++ = '-';
    p = put_digits(p, t->day, 2);
    if (!t->is_date) {
        *p++ = ' ';
        p = put_digits(p, t->hour, 2);
        *p++ = ':';
        p = put_digits(p, t->minute, 2);
        *p++ = ':';
        p = put_digits(p, t->second, 2);
    }
    if (!t->is_date && t->us != 0) {
        *p++ = '.';
        p = put_digits(p, t->us, 6);
    }
    *p = '\0';
}

/* --- zones ------------------------------------------------------------------------------------ */

struct viewzone {
    bool is_fixed;
    int32_t fixed_s; /* east of UTC */
    struct tzif file;
};

/* [+-]h[h]:mm, up to 14 hours as in Doris. */
static bool parse_fixed(const char *name, int32_t *ret_s)
{
    struct span s = span_of(name);
    int hours = 0;
    int minutes = 0;
    bool is_negative = s.n > 0 && s.p[0] == '-';
    if (!take_one_of(&s, "+-") || !take_digits(&s, 2, &hours) || !take_one_of(&s, ":") ||
        !take_digits(&s, 2, &minutes) || s.n > 0 || hours > 14 || minutes > 59) {
        return false;
    }
    *ret_s = (hours * 3600 + minutes * 60) * (is_negative ? -1 : 1);
    return true;
}

/* No way out of the folder: letters, digits, _ + - and single slashes between them. */
static bool is_file_name(const char *name)
{
    size_t n = strlen(name);
    bool after_slash = true;
    for (size_t i = 0; i < n; i++) {
        bool is_slash = name[i] == '/';
        if ((is_slash && after_slash) ||
            (!is_slash && !isalnum((unsigned char)name[i]) && strchr("_+-", name[i]) == NULL)) {
            return false;
        }
        after_slash = is_slash;
    }
    return !after_slash && n < NAME_MAX_SIZE;
}

static bool read_file(const char *name, struct tzif *ret)
{
    _cleanup_free_ char *path = xasprintf("/usr/share/zoneinfo/%s", name);
    _cleanup_free_ char *data = xcalloc(1, TZIF_MAX_BYTES);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* nothing there may block */
    if (fd < 0) {
        return false;
    }
    size_t n = 0;
    ssize_t got = 1;
    while (got > 0 && n < TZIF_MAX_BYTES) {
        got = read(fd, data + n, TZIF_MAX_BYTES - n);
        n += got > 0 ? (size_t)got : 0;
    }
    (void)close(fd); /* only read */
    return got == 0 && tzif_parse((struct span){data, n}, ret);
}

/* "asia/shanghai", which Doris takes as well, is Asia/Shanghai. */
static void capitalize(const char *name, char ret_name[NAME_MAX_SIZE])
{
    bool at_start = true;
    size_t i = 0;
    for (; i < NAME_MAX_SIZE - 1 && name[i] != '\0'; i++) {
        unsigned char c = (unsigned char)name[i];
        ret_name[i] = (char)(at_start ? toupper(c) : tolower(c));
        at_start = isalnum(c) == 0;
    }
    ret_name[i] = '\0';
}

static bool read_named(const char *name, struct tzif *ret)
{
    char other[NAME_MAX_SIZE];
    if (strcasecmp(name, "CST") == 0) {
        return read_file("Asia/Shanghai", ret);
    }
    if (!is_file_name(name)) {
        return false;
    }
    if (read_file(name, ret)) {
        return true;
    }
    capitalize(name, other);
    return read_file(other, ret);
}

struct viewzone *viewzone_create(const char *name)
{
    if (name == NULL || strcasecmp(name, "SYSTEM") == 0) {
        return NULL;
    }
    _cleanup_free_ struct viewzone *z = xcalloc(1, sizeof(*z));
    z->is_fixed = parse_fixed(name, &z->fixed_s);
    if (!z->is_fixed && !read_named(name, &z->file)) {
        return NULL;
    }
    return take_ptr(z);
}

void viewzone_destroy(struct viewzone *z)
{
    free(z);
}

static int64_t process_offset_s(int64_t utc_s)
{
    time_t seconds = (time_t)utc_s;
    struct tm parts;
    return localtime_r(&seconds, &parts) != NULL ? parts.tm_gmtoff : 0;
}

static int64_t offset_s(const struct viewzone *z, int64_t utc_s)
{
    if (z == NULL) {
        return process_offset_s(utc_s);
    }
    return z->is_fixed ? z->fixed_s : tzif_offset_s(&z->file, utc_s);
}

int64_t viewzone_local_s(const struct viewzone *z, int64_t utc_s)
{
    return utc_s + offset_s(z, utc_s);
}

int64_t viewzone_utc_s(const struct viewzone *z, int64_t local_s)
{
    int64_t guess = local_s - offset_s(z, local_s);
    return local_s - offset_s(z, guess);
}

void viewzone_format_ms(const struct viewzone *z, int64_t wall_ms,
                        char ret_text[VIEWTIME_TEXT_SIZE])
{
    struct viewtime t;
    ret_text[0] = '\0';
    if (viewtime_of_seconds(viewzone_local_s(z, wall_ms / 1000), &t)) {
        viewtime_format(&t, ret_text);
    }
}
