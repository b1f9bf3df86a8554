/*
 * A job's tracked files in memory, with a reader of them (scheduler/files.h): for tests of sources.
 * Include it in one test file.
 */
#ifndef TESTS_UNIT_FAKE_READER_H
#define TESTS_UNIT_FAKE_READER_H

#include <assert.h>
#include <string.h>

#include "scheduler/files.h"

struct file_reader {
    struct file_mark *marks; /* by key */
    size_t n;
    size_t at;
    bool is_begun;
    long n_begun;
    bool is_broken; /* the next call fails */
};

static size_t reader_place(const struct file_reader *r, const char *key)
{
    size_t at = 0;
    while (at < r->n && strcmp(r->marks[at].key, key) < 0) {
        at++;
    }
    return at;
}

/* As the store does it: added, or changed. */
static void reader_put(struct file_reader *r, const struct file_mark *mark)
{
    size_t at = reader_place(r, mark->key);
    if (at == r->n || strcmp(r->marks[at].key, mark->key) != 0) {
        r->marks = xrealloc_array(r->marks, r->n + 1, sizeof(*r->marks));
        memmove(r->marks + at + 1, r->marks + at, (r->n - at) * sizeof(*r->marks));
        r->marks[at].key = xstrdup(mark->key);
        r->n++;
    }
    r->marks[at].tag = mark->tag;
    r->marks[at].size = mark->size;
    r->marks[at].is_bad = mark->is_bad;
}

static void reader_clear(struct file_reader *r)
{
    assert(!r->is_begun);
    for (size_t i = 0; i < r->n; i++) {
        free(r->marks[i].key);
    }
    free(r->marks);
    *r = (struct file_reader){0};
}

static bool reader_begin(struct file_reader *r, int64_t job_id, const char *from, struct err *err)
{
    assert(!r->is_begun);
    (void)job_id;
    r->is_begun = true;
    r->n_begun++;
    r->at = from != NULL ? reader_place(r, from) : 0;
    return !r->is_broken || err_say(err, "the disk is gone");
}

static int reader_next(struct file_reader *r, struct file_mark *ret, struct err *err)
{
    (void)err;
    assert(r->is_begun);
    if (r->at == r->n) {
        return 0;
    }
    *ret = r->marks[r->at++];
    return 1;
}

static void reader_end(struct file_reader *r)
{
    assert(r->is_begun);
    r->is_begun = false;
}

static const struct file_reader_ops READER_OPS = {
    .begin = reader_begin, .next = reader_next, .end = reader_end};

#endif
