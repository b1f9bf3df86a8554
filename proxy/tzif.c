#include <ctype.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/tzif.h"
#include "proxy/viewtime.h"

enum { HEADER_SIZE = 44, DAY_S = 86400, OFFSET_MAX_S = 26 * 3600 };

/* --- the rule at the end ---------------------------------------------------------------------- */

static bool take_char(struct span *s, char c)
{
    if (s->n == 0 || s->p[0] != c) {
        return false;
    }
    *s = (struct span){s->p + 1, s->n - 1};
    return true;
}

static bool take_number(struct span *s, int max, int *ret)
{
    int value = 0;
    size_t n = 0;
    for (; n < s->n && n < 4 && isdigit((unsigned char)s->p[n]); n++) {
        value = value * 10 + (s->p[n] - '0');
    }
    *s = (struct span){s->p + n, s->n - n};
    *ret = value;
    return n > 0 && value <= max;
}

/* [+-]h[h[h]][:mm[:ss]] */
static bool take_time(struct span *s, int32_t *ret_s)
{
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    bool is_negative = take_char(s, '-');
    (void)(is_negative || take_char(s, '+')); /* either may be missing */
    bool is_ok = take_number(s, 167, &hours);
    if (is_ok && take_char(s, ':')) {
        is_ok = take_number(s, 59, &minutes);
        if (is_ok && take_char(s, ':')) {
            is_ok = take_number(s, 59, &seconds);
        }
    }
    int32_t total = hours * 3600 + minutes * 60 + seconds;
    *ret_s = is_negative ? -total : total;
    return is_ok;
}

/* ABC or <+03>; of no use here. */
static bool skip_name(struct span *s)
{
    size_t n = 0;
    if (take_char(s, '<')) {
        while (n < s->n && s->p[n] != '>') {
            n++;
        }
        *s = (struct span){s->p + n, s->n - n};
        return n > 0 && take_char(s, '>');
    }
    while (n < s->n && isalpha((unsigned char)s->p[n])) {
        n++;
    }
    *s = (struct span){s->p + n, s->n - n};
    return n >= 3;
}

/* Offsets in a rule count west of UTC. */
static bool take_west(struct span *s, int32_t *ret_east_s)
{
    int32_t west = 0;
    if (!take_time(s, &west) || west > OFFSET_MAX_S || west < -OFFSET_MAX_S) {
        return false;
    }
    *ret_east_s = -west;
    return true;
}

/* ,M3.2.0[/2] ,J60[/2] ,60[/2] */
static bool take_change(struct span *s, struct tzif_change *ret)
{
    struct tzif_change c = {.form = 'N', .time_s = 2 * 3600};
    bool is_ok = take_char(s, ',');
    if (is_ok && take_char(s, 'M')) {
        c.form = 'M';
        is_ok = take_number(s, 12, &c.month) && c.month > 0 && take_char(s, '.') &&
                take_number(s, 5, &c.week) && c.week > 0 && take_char(s, '.') &&
                take_number(s, 6, &c.day);
    } else if (is_ok) {
        c.form = take_char(s, 'J') ? 'J' : 'N';
        is_ok = take_number(s, 365, &c.day) && (c.form == 'N' || c.day > 0);
    }
    if (is_ok && take_char(s, '/')) {
        is_ok = take_time(s, &c.time_s);
    }
    *ret = c;
    return is_ok;
}

bool tzif_parse_rule(struct span text, struct tzif_rule *ret)
{
    struct tzif_rule r = {0};
    struct span s = text;
    if (!skip_name(&s) || !take_west(&s, &r.standard_s)) {
        return false;
    }
    if (s.n > 0) {
        r.has_summer = true;
        r.summer_s = r.standard_s + 3600;
        if (!skip_name(&s) || (s.n > 0 && s.p[0] != ',' && !take_west(&s, &r.summer_s)) ||
            !take_change(&s, &r.start) || !take_change(&s, &r.end) || s.n > 0) {
            return false;
        }
    }
    *ret = r;
    return true;
}

/* In seconds of the clock that is changed, as if it were UTC's. */
static int64_t change_in(const struct tzif_change *c, int year)
{
    int64_t days = viewtime_days(year, 1, 1);
    if (c->form == 'M') {
        int64_t first = viewtime_days(year, c->month, 1);
        int weekday = (viewtime_weekday(first) + 1) % 7; /* 0 is Sunday, as in the rule */
        int day = (c->day - weekday + 7) % 7 + 7 * (c->week - 1);
        while (day >= viewtime_month_days(year, c->month)) {
            day -= 7;
        }
        days = first + day;
    } else {
        bool is_leap = viewtime_month_days(year, 2) == 29;
        days += c->form == 'N' ? c->day : c->day - 1 + (is_leap && c->day >= 60);
    }
    return days * DAY_S + c->time_s;
}

static int32_t rule_offset_s(const struct tzif_rule *r, int64_t utc_s)
{
    struct viewtime t;
    if (!r->has_summer || !viewtime_of_seconds(utc_s + r->standard_s, &t)) {
        return r->standard_s;
    }
    int64_t start = change_in(&r->start, t.year) - r->standard_s;
    int64_t end = change_in(&r->end, t.year) - r->summer_s;
    bool is_summer = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;
    return is_summer ? r->summer_s : r->standard_s;
}

/* --- the file --------------------------------------------------------------------------------- */

struct header {
    char version;
    size_t n_isut;
    size_t n_isstd;
    size_t n_leap;
    size_t n_times;
    size_t n_kinds;
    size_t n_chars;
};

static uint64_t get_big(const char *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        value = value << 8 | (uint8_t)p[i];
    }
    return value;
}

static bool take_header(struct span *s, struct header *ret)
{
    if (s->n < HEADER_SIZE || memcmp(s->p, "TZif", 4) != 0) {
        return false;
    }
    size_t *const counts[] = {&ret->n_isut,  &ret->n_isstd, &ret->n_leap,
                              &ret->n_times, &ret->n_kinds, &ret->n_chars};
    ret->version = s->p[4];
    for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
        *counts[i] = (size_t)get_big(s->p + 20 + 4 * i, 4);
        if (*counts[i] > TZIF_MAX_BYTES) { /* so that products and sums of them fit */
            return false;
        }
    }
    *s = (struct span){s->p + HEADER_SIZE, s->n - HEADER_SIZE};
    return ret->n_times <= TZIF_MAX_TIMES && ret->n_kinds > 0 && ret->n_kinds <= TZIF_MAX_KINDS;
}

static size_t body_size(const struct header *h, size_t time_size)
{
    return h->n_times * (time_size + 1) + h->n_kinds * 6 + h->n_chars +
           h->n_leap * (time_size + 4) + h->n_isstd + h->n_isut;
}

/* times | a kind for each | kinds: offset 4, is summer 1, name 1 | what is of no use here */
static bool take_body(struct span *s, const struct header *h, size_t time_size, struct tzif *ret)
{
    size_t size = body_size(h, time_size);
    if (size > s->n) {
        return false;
    }
    const char *kinds = s->p + h->n_times * time_size;
    const char *offsets = kinds + h->n_times;
    ret->n_times = h->n_times;
    for (size_t i = 0; i < h->n_times; i++) {
        uint64_t raw = get_big(s->p + i * time_size, time_size);
        ret->times[i] = time_size == 4 ? (int32_t)(uint32_t)raw : (int64_t)raw;
        ret->kinds[i] = (uint8_t)kinds[i];
        if (ret->kinds[i] >= h->n_kinds || (i > 0 && ret->times[i] <= ret->times[i - 1])) {
            return false;
        }
    }
    for (size_t i = 0; i < h->n_kinds; i++) {
        ret->offsets_s[i] = (int32_t)(uint32_t)get_big(offsets + 6 * i, 4);
        if (ret->offsets_s[i] > OFFSET_MAX_S || ret->offsets_s[i] < -OFFSET_MAX_S) {
            return false;
        }
    }
    *s = (struct span){s->p + size, s->n - size};
    return true;
}

/* "\nCST-8\n"; empty when there is no rule. */
static bool take_rule(struct span *s, struct tzif *ret)
{
    if (!take_char(s, '\n')) {
        return false;
    }
    const char *end = memchr(s->p, '\n', s->n);
    if (end == NULL) {
        return false;
    }
    ret->has_rule = end > s->p;
    return !ret->has_rule || tzif_parse_rule(span_between(s->p, end), &ret->rule);
}

bool tzif_parse(struct span file, struct tzif *ret)
{
    struct span s = file;
    struct header h = {0};
    ret->has_rule = false;
    if (file.n > TZIF_MAX_BYTES || !take_header(&s, &h)) {
        return false;
    }
    if (h.version == '\0') {
        return take_body(&s, &h, 4, ret);
    }
    size_t old = body_size(&h, 4); /* the same again with short times comes first */
    if (old > s.n) {
        return false;
    }
    s = (struct span){s.p + old, s.n - old};
    return take_header(&s, &h) && take_body(&s, &h, 8, ret) && take_rule(&s, ret);
}

int32_t tzif_offset_s(const struct tzif *t, int64_t utc_s)
{
    size_t low = 0; /* times before it are not after utc_s */
    size_t high = t->n_times;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->times[middle] <= utc_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == t->n_times && t->has_rule) {
        return rule_offset_s(&t->rule, utc_s);
    }
    return t->offsets_s[low > 0 ? t->kinds[low - 1] : 0];
}
