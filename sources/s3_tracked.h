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
 *
 * The pace of the sweep comes from the size of the listing: s3_sweep_pages(). A plan sweeps in slices
 * of ten pages or a second, with a look at the tail before each, so that what is new hardly waits.
 */
#ifndef SOURCES_S3_TRACKED_H
#define SOURCES_S3_TRACKED_H

#include "sources/s3_walk.h"

/* As source_ops.plan, of a request with a reader. */
enum plan_result s3_tracked_plan(struct source *s, const struct plan_request *request,
                                 struct plan *ret, struct err *err);
void s3_sweep_fini(struct s3_sweep *w);

/*
 * How many pages of the sweep are due with this plan. Of `n_whole` pages (0: not known yet) `n_done`
 * were looked at since the sweep began, `elapsed_us` ago. It shall be through in 50 minutes, so that
 * an hour may be promised; at least ten pages a plan, at most ten for each second of max_interval,
 * which is also the pace of a listing of unknown size. Pure.
 */
int64_t s3_sweep_pages(int64_t n_whole, int64_t n_done, int64_t elapsed_us, int64_t interval_s);
/*
 * How long the slices of one plan may take together: half of max_interval, at least a second, but no
 * more than half of the `left_us` until its deadline. Pure.
 */
int64_t s3_sweep_time_us(int64_t interval_s, int64_t left_us);

#endif
