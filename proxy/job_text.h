/*
 * A job as the statement that makes it again: what SHOW CREATE JOB answers. Pure; any thread.
 */
#ifndef PROXY_JOB_TEXT_H
#define PROXY_JOB_TEXT_H

#include "scheduler/record.h"

/*
 * CREATE JOB with the properties as they were given, the comment, and the INSERT byte for byte,
 * secrets included: mask it before it is shown. The caller owns the text.
 */
char *job_text(const struct job_record *job);

#endif
