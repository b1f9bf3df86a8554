/*
 * What the code under test logs meanwhile: standard error goes to a file. A failure in between is
 * not seen, so assert after heard_end() what was counted before. For tests only.
 */
#ifndef TESTS_UNIT_HEARD_H
#define TESTS_UNIT_HEARD_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

struct heard {
    int old_stderr;
    FILE *file;
};

static inline struct heard heard_begin(void)
{
    struct heard h = {.old_stderr = dup(STDERR_FILENO), .file = tmpfile()};
    assert_true(h.old_stderr >= 0);
    assert_non_null(h.file);
    assert_true(fcntl(fileno(h.file), F_SETFL, O_APPEND) == 0); /* it is read in between */
    assert_true(dup2(fileno(h.file), STDERR_FILENO) >= 0);
    log_set_level(LOG_INFO);
    return h;
}

/* Lines with all the texts; NULL for fewer than three. */
static inline int heard_lines(const struct heard *h, const char *a, const char *b, const char *c)
{
    char line[4096];
    int n = 0;
    rewind(h->file);
    while (fgets(line, sizeof(line), h->file) != NULL) {
        n += strstr(line, a) != NULL && (b == NULL || strstr(line, b) != NULL) &&
             (c == NULL || strstr(line, c) != NULL);
    }
    return n;
}

static inline void heard_end(struct heard *h)
{
    log_set_level(LOG_ERROR);
    assert_true(dup2(h->old_stderr, STDERR_FILENO) >= 0);
    assert_int_equal(close(h->old_stderr), 0);
    assert_int_equal(fclose(h->file), 0);
}

#endif
