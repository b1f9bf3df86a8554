/*
 * The properties of a job: which there are, what values they take (messages as in Doris's
 * StreamingJobProperties.java), which go together, and what a change of one means. Pure; any thread.
 */
#ifndef PROXY_JOBPROPS_H
#define PROXY_JOBPROPS_H

#include <stdbool.h>

#include "base/err.h"
#include "parser/stmt.h"
#include "scheduler/record.h"
#include "scheduler/spec.h"

/* Each property for itself. */
bool jobprops_check(const struct stmt_props *props, struct err *err);
/* A secret that is the mask which SHOW CREATE JOB prints; of a table function's properties, too. */
bool jobprops_check_mask(const char *key, const char *value, struct err *err);
/* All properties of a job, as it shall be: one that wants another one, which is not there. */
bool jobprops_check_together(const struct stmt_props *props, struct err *err);
const struct stmt_prop *jobprops_find_misplaced(const struct stmt_props *props, struct err *err);

/* In any letter case; NULL when absent. */
struct stmt_prop *jobprops_find(const struct stmt_props *props, const char *key);
/* A word among several is spelled as the sources and sinks compare it. */
void jobprops_normalize(struct spec_prop *prop);

/* Does a change concern neither source nor FE, so that there is nobody to ask? */
bool jobprops_is_pace(const char *key);
/*
 * What rules how tasks are found or judged: guarantee, discovery, mode. Does `to` differ from `from` in
 * one, as far as it means something else? Not to be changed while a task is open.
 */
bool jobprops_change_rules(const struct stmt_props *from, const struct stmt_props *to);
/*
 * False, with the reason: `base` has loaded under rules that `to` would change, and files would be
 * loaded twice or never.
 */
bool jobprops_may_change(const struct job_record *base, const struct stmt_props *from,
                         const struct stmt_props *to, struct err *err);
/* Likewise: has property "offset" of an ALTER JOB a meaning? */
bool jobprops_may_move(const struct job_record *base, const struct stmt_props *to, struct err *err);

#endif
