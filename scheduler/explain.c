#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "base/xmalloc.h"
#include "scheduler/explain.h"

static const char *const level_names[] = {"", "OK", "WARNING", "ERROR"};

static void add(struct explain *e, enum explain_level level, const char *item, char *text)
{
    e->lines = xrealloc_array(e->lines, e->n + 1, sizeof(*e->lines));
    e->lines[e->n++] = (struct explain_line){
        .section = e->section, .level = level, .item = xstrdup(item), .text = text};
}

void explain_add(struct explain *e, const char *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(e, EXPLAIN_FACT, item, xvasprintf(format, args));
    va_end(args);
}

void explain_warn(struct explain *e, const char *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(e, EXPLAIN_WARNING, item, xvasprintf(format, args));
    va_end(args);
}

void explain_fail(struct explain *e, const char *item, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(e, EXPLAIN_ERROR, item, xvasprintf(format, args));
    va_end(args);
}

static char *count_text(size_t n, const char *what)
{
    return xasprintf("%zu %s%s", n, what, n == 1 ? "" : "s");
}

void explain_sum_up(struct explain *e, const char *works, const char *works_not)
{
    size_t n_errors = explain_count(e, EXPLAIN_ERROR);
    size_t n_warnings = explain_count(e, EXPLAIN_WARNING);
    _cleanup_free_ char *errors = count_text(n_errors, "problem");
    _cleanup_free_ char *warnings = count_text(n_warnings, "warning");
    enum explain_level level = EXPLAIN_OK;
    char *text = NULL;
    if (n_errors > 0) {
        level = EXPLAIN_ERROR;
        text = xasprintf("%s%s%s: %s; see the lines marked ERROR", errors,
                         n_warnings > 0 ? " and " : "", n_warnings > 0 ? warnings : "", works_not);
    } else if (n_warnings > 0) {
        level = EXPLAIN_WARNING;
        text = xasprintf("%s, with %s: see the lines marked WARNING", works, warnings);
    } else {
        text = xstrdup(works);
    }
    e->section = EXPLAIN_SUMMARY;
    add(e, level, "summary", text);
}

void explain_move(struct explain *e, struct explain *from)
{
    if (from->n == 0) {
        return;
    }
    e->lines = xrealloc_array(e->lines, e->n + from->n, sizeof(*e->lines));
    for (size_t i = 0; i < from->n; i++) {
        e->lines[e->n++] = from->lines[i];
    }
    free(from->lines);
    *from = (struct explain){0};
}

void explain_sort(struct explain *e)
{
    for (size_t i = 1; i < e->n; i++) {
        struct explain_line line = e->lines[i];
        size_t at = i;
        while (at > 0 && e->lines[at - 1].section > line.section) {
            e->lines[at] = e->lines[at - 1];
            at--;
        }
        e->lines[at] = line;
    }
}

size_t explain_count(const struct explain *e, enum explain_level level)
{
    size_t n = 0;
    for (size_t i = 0; i < e->n; i++) {
        n += e->lines[i].level == level;
    }
    return n;
}

const char *explain_level_name(enum explain_level level)
{
    assert((size_t)level < ARRAY_SIZE(level_names));
    return level_names[level];
}

void explain_fini(struct explain *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->lines[i].item);
        free(e->lines[i].text);
    }
    free(e->lines);
    *e = (struct explain){0};
}

char *explain_bytes(int64_t n_bytes)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    if (n_bytes < 1000) {
        return xasprintf("%" PRId64 " bytes", n_bytes);
    }
    size_t i = 0;
    double value = (double)n_bytes / 1000;
    while (value >= 999.95 && i + 1 < ARRAY_SIZE(units)) {
        value /= 1000;
        i++;
    }
    return xasprintf("%.1f %s (%" PRId64 " bytes)", value, units[i], n_bytes);
}

/* "3 min 5 s", "2 h". */
static char *two_units(int64_t large, const char *large_name, int64_t small, const char *small_name)
{
    return small == 0
               ? xasprintf("%" PRId64 " %s", large, large_name)
               : xasprintf("%" PRId64 " %s %" PRId64 " %s", large, large_name, small, small_name);
}

char *explain_span_ms(int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 1000) {
        return xasprintf("%" PRId64 " ms", ms > 0 ? ms : 0);
    }
    if (s < 60) {
        return xasprintf("%" PRId64 " s", s);
    }
    if (s < 3600) {
        return two_units(s / 60, "min", s % 60, "s");
    }
    if (s < 86400) {
        return two_units(s / 3600, "h", s / 60 % 60, "min");
    }
    return two_units(s / 86400, "d", s / 3600 % 24, "h");
}

char *explain_time(int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm parts = {0};
    char text[64] = "";
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &parts) == 0) {
        return xasprintf("%" PRId64 " ms since 1970", wall_ms);
    }
    return xstrdup(text);
}
