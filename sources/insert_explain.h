/*
 * EXPLAIN CREATE JOB at the FE: may the service account do what the job needs, does the SELECT fit the
 * target, can the FE plan the INSERT, and what guarantee holds with this FE. Runner threads.
 *
 *     login ── version ── SHOW GRANTS ── DESC target ── ADMIN SHOW FRONTEND CONFIG
 *       └── the job's session settings ── SELECT * FROM (query) LIMIT 0 ── EXPLAIN INSERT
 */
#ifndef SOURCES_INSERT_EXPLAIN_H
#define SOURCES_INSERT_EXPLAIN_H

#include "scheduler/sink.h"
#include "sources/fe_http.h"
#include "sources/fe_pool.h"

/* All borrowed. */
struct explain_question {
    struct fe_pool *pool;
    const struct fe_http *http;
    const char *user; /* the service account */
    const struct sink_explain *request;
};

/* Secrets that the FE quotes are still in the lines. */
void insert_explain(const struct explain_question *q, struct explain *e);

/* The query of an INSERT whose table function's uri was replaced; the caller owns it. Pure. */
char *insert_explain_query(const struct insert_spec *insert, const char *sql);

#endif
