/*
 * The lines of EXPLAIN CREATE JOB on what is promised and what it rests on: the FE's memory of labels,
 * or the offset table. Pure; any thread.
 */
#ifndef SOURCES_INSERT_GUARANTEE_H
#define SOURCES_INSERT_GUARANTEE_H

#include "base/err.h"
#include "scheduler/sink.h"
#include "sources/fe_http.h"

/* All borrowed. */
struct insert_guarantee {
    const struct sink_explain *request;
    const struct fe_http *http;
    const struct fe_address *fe;
    const char *user;        /* the service account */
    struct fe_traits traits; /* as the FE told them just now */
    bool is_unique;          /* the target: the same rows again change nothing */
    /* Of the offset table, where the job wants it. */
    enum fe_result offsets;        /* FE_OK: it can be read */
    const struct err *offsets_err; /* else why not */
    const char *lacks;             /* what the account lacks to make and use it; NULL: nothing */
    const char *replication;       /* of the target, for the table's PROPERTIES; or NULL */
};

void insert_guarantee_explain(const struct insert_guarantee *g, struct explain *e);

#endif
