/*
 * Are the files of a range still what they were when it was planned? Asked by listing them again,
 * in as few requests as it takes: each begins just below the next file that is looked for, and
 * serves all files of the range that are on its page. So files that lie close together take one
 * request, and files far apart in a large bucket one small request each. Runner threads.
 */
#ifndef SOURCES_S3_VERIFY_H
#define SOURCES_S3_VERIFY_H

#include "scheduler/source.h"

/* As source_ops.verify. */
enum verify_result s3_verify(struct source *s, const char *range, int64_t deadline_us,
                             const struct cancel *cancel, struct err *err);

#endif
