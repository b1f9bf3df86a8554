/*
 * Dates, times of day and time zones for queries over jobs() and tasks(). A local time is a count of
 * seconds as if the clock on the wall were UTC's. Any thread; a zone is read-only.
 */
#ifndef PROXY_VIEWTIME_H
#define PROXY_VIEWTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct buf;

/* Years 0 to 9999, as Doris has them. */
struct viewtime {
    int year;
    int month;
    int day;
    int hour;
    int minute;
    int second;
    int us;
    bool is_date; /* it has no time of day */
};

/* Of the proleptic Gregorian calendar, since 1970-01-01. */
int64_t viewtime_days(int year, int month, int day);
int viewtime_month_days(int year, int month);
int64_t viewtime_seconds(const struct viewtime *t);
/* False outside of the years 0 to 9999. */
bool viewtime_of_seconds(int64_t local_s, struct viewtime *ret);
/* 0 is Monday. */
int viewtime_weekday(int64_t days);

/*
 * "2026-11-22", "2026-11-22 10:20:30", with 'T', with a fraction, with one-digit parts, or
 * "20261122[102030]". False for anything else, and for days that no calendar has.
 */
bool viewtime_parse(struct span text, struct viewtime *ret);

enum { VIEWTIME_TEXT_SIZE = 32 };
/* As Doris shows it: a date, or a date and time, with a fraction when there is one. */
void viewtime_format(const struct viewtime *t, char ret_text[VIEWTIME_TEXT_SIZE]);

struct viewzone;

/*
 * "Asia/Shanghai", "+08:00", "CST" (which is China's in Doris). NULL, "SYSTEM" and what is neither a
 * name of the time zone database on this machine nor an offset: the zone of the process.
 */
struct viewzone *viewzone_create(const char *name);
void viewzone_destroy(struct viewzone *z); /* NULL is accepted */
/* NULL is the zone of the process, here and below. */
int64_t viewzone_local_s(const struct viewzone *z, int64_t utc_s);
/* Of the two instants of an hour that comes twice, either. */
int64_t viewzone_utc_s(const struct viewzone *z, int64_t local_s);
/* "YYYY-MM-DD HH:MM:SS"; empty for years beyond 9999. */
void viewzone_format_ms(const struct viewzone *z, int64_t wall_ms,
                        char ret_text[VIEWTIME_TEXT_SIZE]);

#endif
