#include "base/clock.h"
#include "sources/s3_aside.h"
#include "sources/s3_back.h"
#include "sources/s3_fill.h"
#include "sources/s3_plan.h"
#include "sources/s3_tracked.h"

/* What comes behind the offset; also of a tracked job, before it has anything to remember with. */
static enum plan_result plan_ordered(struct source *s, const struct plan_request *request,
                                     struct plan *ret, struct err *err)
{
    _cleanup_s3_fill_ struct s3_fill f = {0};
    const char *offset = request->offset != NULL ? request->offset : s->first_offset;
    _cleanup_free_ char *key = offset != NULL ? s3_offset_key(offset, err) : NULL;
    if (offset != NULL && key == NULL) {
        return PLAN_FAIL;
    }
    s3_fill_init(&f, s, request, key);
    switch (s3_fill_run(&f, ret, err)) {
    case S3_FILL_RANGE: return PLAN_RANGE;
    case S3_FILL_ASIDE: return PLAN_ASIDE;
    case S3_FILL_PAUSE: /* only where a pause was asked for */
    case S3_FILL_NOTHING: return s->options.is_one_time ? PLAN_END : PLAN_EMPTY;
    case S3_FILL_FAIL: break;
    }
    return PLAN_FAIL;
}

static enum plan_result plan_next(struct source *s, const struct plan_request *request,
                                  struct plan *ret, struct err *err)
{
    const struct bad_file *retried = s3_aside_retried(s, request);
    const struct bad_file *undecided = s3_aside_undecided(request);
    if (retried != NULL) {
        return s3_aside_retry(s, request, retried, ret, err);
    }
    if (undecided != NULL && s->options.overwritten == S3_OVERWRITTEN_ERROR) {
        s3_aside_ask(undecided, err);
        return PLAN_REFUSED;
    }
    return s->options.is_tracked && request->reader != NULL ? s3_tracked_plan(s, request, ret, err)
                                                            : plan_ordered(s, request, ret, err);
}

enum plan_result s3_plan(struct source *s, const struct plan_request *request, struct plan *ret,
                         struct err *err)
{
    *ret = (struct plan){0};
    enum plan_result result = plan_next(s, request, ret, err);
    if (result == PLAN_EMPTY && !s->options.is_tracked) {
        s3_back_look(s, request, clock_mono_us());
    }
    ret->watch = s->watch;
    return result;
}
