/*
 * The user's INSERT made into one task's INSERT: the literal of the S3() call's uri is replaced by
 * one that names exactly the task's files, WITH LABEL is put in its place, and every other byte
 * stays. Pure functions; any thread.
 */
#ifndef SOURCES_S3_REWRITE_H
#define SOURCES_S3_REWRITE_H

#include "base/err.h"
#include "base/span.h"
#include "scheduler/spec.h"

/* The key part of the uri for a range (s3_batch.h); the caller owns it, NULL on failure. */
char *s3_range_pattern(const char *range, struct err *err);

/*
 * `uri` is the property of insert->tvf_props to replace, `head` the part of its value before the
 * key; they stay as the user wrote them. `label` NULL: none is put, and one of the user's
 * stays; "": that one is taken out, too. The caller owns the text.
 */
char *s3_rewrite(const struct insert_spec *insert, const struct spec_prop *uri, struct span head,
                 const char *range, const char *label, struct err *err);

#endif
