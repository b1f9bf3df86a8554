/*
 * EXPLAIN CREATE JOB of an S3 source: what the first task would load, and about how many tasks there
 * are to be. Runner threads.
 */
#ifndef SOURCES_S3_EXPLAIN_H
#define SOURCES_S3_EXPLAIN_H

#include "scheduler/source.h"

/* As source_ops.explain. */
enum plan_result s3_explain(struct source *s, const struct plan_request *request, struct plan *ret,
                            struct explain *e);

#endif
