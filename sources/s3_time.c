#include <stdbool.h>

#include "sources/s3_time.h"

/* The `n` digits at text.p + at; false when one of them is none. */
static bool digits(struct span text, size_t at, size_t n, int64_t *ret)
{
    int64_t value = 0;
    for (size_t i = at; i < at + n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') {
            return false;
        }
        value = value * 10 + (text.p[i] - '0');
    }
    *ret = value;
    return true;
}

/* Days since the epoch of a date of the Gregorian calendar; years begin in March here. */
static int64_t days_since_epoch(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3;
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* Up to three digits count; false when something else than digits and a 'Z' is there. */
static bool fraction(struct span text, size_t at, int64_t *ret_ms)
{
    int64_t weight = 100;
    *ret_ms = 0;
    if (at < text.n && text.p[at] == '.') {
        for (at++; at < text.n && text.p[at] >= '0' && text.p[at] <= '9'; at++) {
            *ret_ms += weight * (text.p[at] - '0');
            weight /= 10;
        }
    }
    return at + 1 == text.n && text.p[at] == 'Z';
}

int64_t s3_time_ms(struct span text)
{
    static const char FORM[] = "0000-00-00T00:00:00";
    int64_t year = 0;
    int64_t month = 0;
    int64_t day = 0;
    int64_t hour = 0;
    int64_t minute = 0;
    int64_t second = 0;
    int64_t ms = 0;
    if (text.n < sizeof(FORM) || text.p[4] != '-' || text.p[7] != '-' || text.p[10] != 'T' ||
        text.p[13] != ':' || text.p[16] != ':' || !digits(text, 0, 4, &year) ||
        !digits(text, 5, 2, &month) || !digits(text, 8, 2, &day) || !digits(text, 11, 2, &hour) ||
        !digits(text, 14, 2, &minute) || !digits(text, 17, 2, &second) ||
        !fraction(text, sizeof(FORM) - 1, &ms)) {
        return 0;
    }
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 ||
        second > 60) {
        return 0;
    }
    return (days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) *
               1000 +
           ms;
}
