/*
 * "s3.discovery"="tracked": every file is remembered, and each plan looks at two stretches of the
 * listing, joined with what is remembered:
 *
 *     first offset ........ cursor ........ committed offset ........ last key of the bucket
 *                  |- a sweep, slice by slice -|------- the tail, always -------|
 *
 * The tail has what is new as a rule. The sweep finds late files, and sees overwritten ones; it
 * begins again when it is through, so that a small bucket is swept whole with every plan. The offset
 * stays the greatest key: a range of the sweep does not move it. A job's property "offset" is a
 * lower bound for good: what comes before it is not of this job.
 */
#ifndef SOURCES_S3_TRACKED_H
#define SOURCES_S3_TRACKED_H

#include "sources/s3_walk.h"

/* As source_ops.plan, of a request with a reader. */
enum plan_result s3_tracked_plan(struct source *s, const struct plan_request *request,
                                 struct plan *ret, struct err *err);
void s3_sweep_fini(struct s3_sweep *w);

#endif
