/* Which range comes next, whatever the job's discovery. Runner threads. */
#ifndef SOURCES_S3_PLAN_H
#define SOURCES_S3_PLAN_H

#include "scheduler/source.h"

/* As source_ops.plan. */
enum plan_result s3_plan(struct source *s, const struct plan_request *request, struct plan *ret,
                         struct err *err);

#endif
