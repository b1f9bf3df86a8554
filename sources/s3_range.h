/*
 * The texts that the S3 source stores: ranges, offsets, and what identifies a file's content. The
 * range of a task, made by s3_batch.h:
 *
 *     {"form":"list", "dir":"in/", "files":[{"key":"in/a.csv","etag":"…","size":12}, …]}
 *     {"form":"exact", "pattern":"in/a[*].csv", "files":[{"key":"in/a*.csv", …, "bad":true}]}
 *
 * "bad": the file was set aside when the range was planned. Pure; any thread.
 */
#ifndef SOURCES_S3_RANGE_H
#define SOURCES_S3_RANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/files.h"

struct s3_file {
    const char *key;  /* borrowed from the range */
    const char *etag; /* likewise; "" when the service sent none */
    int64_t size;
    bool was_bad;
};

struct s3_range {
    json_t *root;          /* owned */
    struct s3_file *files; /* owned; keys rise */
    size_t n_files;        /* at least one */
};

/* False: the text is no range: the store was changed by hand. */
bool s3_range_read(const char *range, struct s3_range *ret, struct err *err);
void s3_range_fini(struct s3_range *r);

/*
 * As source_ops.marks: what to remember of a range that was loaded, or set aside. Tracked keys are
 * stored without their first `prefix_len` bytes; is_tracked says whether any are.
 */
struct s3_mark_rules {
    bool is_tracked;
    size_t prefix_len;
};
bool s3_range_marks(const char *range, const struct s3_mark_rules *rules, struct file_marks *ret,
                    struct err *err);
bool s3_range_bad(const char *range, const struct s3_mark_rules *rules, struct file_marks *ret,
                  struct bad_file *ret_bad, struct err *err);

/* One more mark, of a key that is not shorter than the prefix. */
void s3_marks_add(struct file_marks *marks, const struct s3_mark_rules *rules,
                  const struct file_mark *mark);

/* 64 bits of the ETag; 0 for the empty one, which says nothing. */
int64_t s3_etag_tag(const char *etag);
bool s3_is_utf8(struct span text);
/* The key as a user sees and names it: UTF-8, with what is not UTF-8 as %XX. Owned by the caller. */
char *s3_whole_key(struct span key);

/*
 * {"fileName": key}; of a key that is not UTF-8 {"fileName": shown, "bytes": hex}. The caller owns
 * the text.
 */
char *s3_offset_text(const char *key);
/* The key of such a text, NULL and err when it is not one. The caller owns it. */
char *s3_offset_key(const char *offset, struct err *err);

#define _cleanup_s3_range_ _cleanup_(s3_range_fini)

#endif
