#include <assert.h>
#include <string.h>

#include "sources/s3_join.h"
#include "sources/s3_range.h"

static bool read_mark(struct s3_join *j, struct err *err)
{
    int result = j->ops->next(j->reader, &j->mark, err);
    j->is_over = result == 0;
    return result >= 0 || err_prefix(err, "Failed to read the files the job remembers: ");
}

static bool begin(struct s3_join *j, struct err *err)
{
    if (j->is_begun) {
        return true;
    }
    j->is_begun = true;
    if (!j->ops->begin(j->reader, j->job_id, j->from, err)) {
        return err_prefix(err, "Failed to read the files the job remembers: ");
    }
    return read_mark(j, err);
}

/* An ETag that was not sent says nothing; then the size decides. */
static bool is_same(const struct file_mark *mark, const struct s3_object *object)
{
    int64_t tag = s3_etag_tag(object->etag);
    return mark->size == object->size && (mark->tag == tag || mark->tag == 0 || tag == 0);
}

bool s3_join_next(struct s3_join *j, const struct s3_object *object, enum s3_known *ret,
                  struct err *err)
{
    const char *key = object->key;
    int order = 1;
    *ret = S3_NEW;
    if (j->reader == NULL) {
        return true;
    }
    assert(strlen(key) >= j->prefix_len);
    if (!begin(j, err)) {
        return false;
    }
    while (!j->is_over && (order = strcmp(j->mark.key, key + j->prefix_len)) < 0) {
        if (!read_mark(j, err)) {
            return false;
        }
    }
    if (!j->is_over && order == 0) {
        *ret = is_same(&j->mark, object) ? S3_SAME : j->mark.is_bad ? S3_MENDED : S3_OVERWRITTEN;
    }
    return true;
}

void s3_join_fini(struct s3_join *j)
{
    if (j->is_begun) {
        j->ops->end(j->reader);
        j->is_begun = false;
    }
}
