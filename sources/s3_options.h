/*
 * The job's properties that are the S3 source's own: which files are looked for, and what becomes of
 * those that cannot be loaded. Pure.
 *
 *     s3.discovery       ordered (default)  files behind the offset, once each, as Doris does
 *                        tracked            every file is remembered: late ones are loaded, too
 *     s3.overwritten     ignore (default)   a tracked file with another content is counted
 *                        reload             it is loaded again
 *                        error              the job pauses until a user decides about it
 *     s3.bad_files       quarantine (default)  a file that cannot be loaded is set aside
 *                        pause                 the job pauses
 *     s3.ingestion_mode  ORDERED_LIST (default)
 *                        ONE_TIME           the job is FINISHED when everything is loaded
 */
#ifndef SOURCES_S3_OPTIONS_H
#define SOURCES_S3_OPTIONS_H

#include <stdbool.h>

#include "base/err.h"
#include "scheduler/spec.h"

enum s3_overwritten { S3_OVERWRITTEN_IGNORE, S3_OVERWRITTEN_RELOAD, S3_OVERWRITTEN_ERROR };

struct s3_options {
    bool is_tracked;
    enum s3_overwritten overwritten;
    bool is_pausing; /* bad files pause the job */
    bool is_one_time;
};

bool s3_options_read(const struct job_spec *spec, struct s3_options *ret, struct err *err);

#endif
