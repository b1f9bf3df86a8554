/*
 * What became of a label: SHOW TRANSACTION, and get_load_state where that does not answer. Every
 * state is believed but one: "unknown" is what an FE says that has not caught up, too, so it counts
 * only when the FE that said it also says over HTTP that it is ready (/api/bootstrap). Without
 * doris.http the FE's own readiness check before SHOW TRANSACTION has to do. Any thread.
 *
 *     SHOW TRANSACTION -- a state ------------------------------------------> that state
 *            |         -- does not exist, no doris.http --------------------> UNKNOWN
 *            |         -- does not exist, same host, ready -----------------> UNKNOWN
 *            +-- all else: no FE, not ready, no privilege, cloud, other host
 *                  |-- doris.http, ready --> get_load_state ----------------> what it says
 *                  +-- else ------------------------------------------------> UNREACHABLE
 *
 * With an offset row (guarantee "transactional") four of these are not the end:
 *
 *     VISIBLE -------- row of another range, or of later tasks only: UNREACHABLE --- else: VISIBLE
 *     ABORTED -------- likewise --- row there: VISIBLE (forgotten, and begun again) --- else: ABORTED
 *     UNKNOWN -------- row there: VISIBLE --- not there: ABSENT -------- no answer: UNREACHABLE
 *                        nor that of the task that succeeded before: UNKNOWN, as without a table
 *     UNREACHABLE ---- row there: VISIBLE --- not there, no answer: UNREACHABLE
 */
#ifndef SOURCES_INSERT_LABEL_H
#define SOURCES_INSERT_LABEL_H

#include "base/err.h"
#include "scheduler/sink.h"
#include "sources/fe_http.h"
#include "sources/fe_pool.h"

struct label_question {
    struct fe_pool *pool;
    const struct fe_http *http;
    const char *user; /* the service account, for the errors */
    const char *db;
    const char *label;
    const struct offset_row *row; /* NULL: guarantee "label" */
    struct fe_wait wait;
};

/* As sink_ops.label. */
enum label_state insert_label_ask(const struct label_question *q, struct label_report *ret,
                                  struct err *err);

#endif
