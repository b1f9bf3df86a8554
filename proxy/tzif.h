/*
 * A file of the time zone database (RFC 8536) and the POSIX TZ text at its end: the offset from UTC
 * at any instant. glibc's own reader serves one zone a process; a session of Doris's has its own.
 * Pure; any thread.
 */
#ifndef PROXY_TZIF_H
#define PROXY_TZIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { TZIF_MAX_BYTES = 64 * 1024, TZIF_MAX_TIMES = 2000, TZIF_MAX_KINDS = 256 };

/* When clocks change in each year: the n-th weekday of a month, or a day of the year. */
struct tzif_change {
    char form; /* M, J (1 to 365, no 29 February) or N (0 to 365) */
    int month;
    int week; /* 5 is the last */
    int day;
    int32_t time_s; /* on the clock that is changed */
};

/* For the time behind the last transition. */
struct tzif_rule {
    int32_t standard_s; /* east of UTC */
    int32_t summer_s;
    bool has_summer;
    struct tzif_change start; /* of summer time */
    struct tzif_change end;
};

struct tzif {
    int64_t times[TZIF_MAX_TIMES]; /* ascending, seconds since 1970 UTC */
    uint8_t kinds[TZIF_MAX_TIMES]; /* from then on */
    size_t n_times;
    int32_t offsets_s[TZIF_MAX_KINDS]; /* of a kind; the first is that before all times */
    struct tzif_rule rule;
    bool has_rule;
};

/* False when it is no such file; *ret is unspecified then. */
bool tzif_parse(struct span file, struct tzif *ret);
bool tzif_parse_rule(struct span text, struct tzif_rule *ret);
/* Seconds east of UTC. */
int32_t tzif_offset_s(const struct tzif *t, int64_t utc_s);

#endif
