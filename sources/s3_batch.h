/*
 * Which objects one task loads, and how Doris has to be told. Pure decisions:
 *
 *     offer objects in key order -> taken … taken, closed -> s3_batch_finish() -> struct plan
 *
 * Several files go into one S3() call as a brace list, "dir/{a.csv,b.csv}". What a brace list
 * cannot carry goes alone, as an exact uri; what Doris cannot read at all is refused with the
 * reason. The range, as it is stored with the task, is in s3_range.h. Single-threaded use.
 */
#ifndef SOURCES_S3_BATCH_H
#define SOURCES_S3_BATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "scheduler/source.h"
#include "sources/s3_list.h"
#include "sources/s3_range.h"

/* Of the rewritten uri; Doris names no limit, packets and its own plans set one. */
enum { S3_MAX_URI = 512 << 10 };
/* The first version of Doris, as in struct fe_traits, that knows brace lists. */
enum { S3_FIRST_LISTS = 2001 };

enum s3_key_form {
    S3_KEY_LIST,       /* may stand in a brace list */
    S3_KEY_EXACT,      /* alone, as an exact uri */
    S3_KEY_UNREADABLE, /* Doris cannot read such an object */
};

struct s3_batch_limits {
    int64_t max_files;
    int64_t max_bytes;
    int fe_version;  /* as in struct fe_traits */
    struct span dir; /* what the brace list stands behind: ends with '/' or is empty; borrowed */
    size_t head_len; /* length of the uri before the key */
    const struct bad_file *bad; /* set aside so far; borrowed */
    size_t n_bad;
};

struct s3_batch {
    struct s3_batch_limits limits;
    json_t *files; /* owned */
    char *first;   /* owned key */
    char *last;    /* owned key */
    char *pattern; /* owned; of an exact uri, else NULL */
    int64_t n_files;
    int64_t n_bytes;
    size_t uri_len;
    bool is_closed; /* by a limit, or by a key that must go alone */
};

enum s3_offer {
    S3_OFFER_TAKEN,      /* and the batch may be closed now */
    S3_OFFER_LATER,      /* the batch was closed before it: it begins the next one */
    S3_OFFER_UNREADABLE, /* the batch is empty and Doris cannot read this object at all */
};

/*
 * How Doris of that version takes the key. *ret_why (static text) for S3_KEY_UNREADABLE and
 * S3_KEY_EXACT says what about the name is the reason.
 */
enum s3_key_form s3_key_form(struct span key, struct span dir, int fe_version,
                             const char **ret_why);
/* The key as a pattern that matches it alone; the caller owns it. */
char *s3_key_pattern(struct span key, int fe_version);

void s3_batch_init(struct s3_batch *b, const struct s3_batch_limits *limits);
void s3_batch_fini(struct s3_batch *b);
/* *ret_why (static text) says of S3_OFFER_UNREADABLE what about the name is the reason. */
enum s3_offer s3_batch_offer(struct s3_batch *b, const struct s3_object *object,
                             const char **ret_why);
/*
 * The plan of a batch with at least one file. `next_key` is the next matching key when it is known,
 * else NULL.
 */
void s3_batch_finish(const struct s3_batch *b, const char *next_key, struct plan *ret);

#define _cleanup_s3_batch_ _cleanup_(s3_batch_fini)

#endif
