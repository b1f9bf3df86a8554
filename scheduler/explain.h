/*
 * What an EXPLAIN answers: lines of item and text, each of a section and a level. Whoever adds lines
 * says first which section they belong to; explain_sort() puts the sections in order at the end.
 * Owned by one thread at a time.
 */
#ifndef SCHEDULER_EXPLAIN_H
#define SCHEDULER_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

/* In the order in which a user wants to read them. */
enum explain_section {
    EXPLAIN_SUMMARY,
    EXPLAIN_NAME,
    EXPLAIN_TARGET,
    EXPLAIN_RIGHTS,
    EXPLAIN_SOURCE,
    EXPLAIN_COLUMNS,
    EXPLAIN_GUARANTEE,
    EXPLAIN_PROPERTIES,
    EXPLAIN_STATEMENT,
};

enum explain_level {
    EXPLAIN_FACT,
    EXPLAIN_OK,      /* of the summary: nothing is wrong */
    EXPLAIN_WARNING, /* works, and perhaps not as meant */
    EXPLAIN_ERROR,   /* does not work: the text says what to do */
};

struct explain_line {
    enum explain_section section;
    enum explain_level level;
    char *item; /* owned, never NULL */
    char *text; /* owned, never NULL; secrets are masked before a user sees it */
};

struct explain {
    struct explain_line *lines; /* owned */
    size_t n;
    enum explain_section section; /* of the lines to come */
};

/* One line: a fact, a warning, a problem. */
void explain_add(struct explain *e, const char *item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void explain_warn(struct explain *e, const char *item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void explain_fail(struct explain *e, const char *item, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The line at the top, for a statement that `would` …: OK, or how much is wrong. */
void explain_sum_up(struct explain *e, const char *works, const char *works_not);
/* The lines of `from` behind those of `e`; `from` is empty afterwards. */
void explain_move(struct explain *e, struct explain *from);
/* By section; within one the order stays. */
void explain_sort(struct explain *e);
size_t explain_count(const struct explain *e, enum explain_level level);
const char *explain_level_name(enum explain_level level); /* "" for a fact */
void explain_fini(struct explain *e);

/* Numbers as people read them; the caller owns the text. */
char *explain_bytes(int64_t n_bytes); /* "3.4 MB (3565158 bytes)" */
char *explain_span_ms(int64_t ms);    /* "850 ms", "12 s", "3 min 5 s", "2 h 10 min", "3 d 4 h" */
char *explain_time(int64_t wall_ms);  /* "2024-05-01 12:00:00 UTC" */

#endif
