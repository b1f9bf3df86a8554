/*
 * What a job needs of the FE before it is accepted: the target is there, the service account may
 * load into it, the FE can plan the INSERT, and, with "guarantee" = "transactional", the FE knows
 * such transactions and the offset table works. Runner threads.
 */
#ifndef SOURCES_INSERT_CHECK_H
#define SOURCES_INSERT_CHECK_H

#include "base/err.h"
#include "scheduler/spec.h"
#include "sources/fe_conn.h"

/* All borrowed. The connection's session is the job's, and is changed. */
struct insert_check {
    struct fe_conn *c;
    const char *user; /* the service account */
    const struct job_spec *spec;
    struct fe_wait wait;
};

/* DESC shows a table to whoever has any privilege on it, LOAD included, in every version. */
bool insert_check_target(const struct insert_check *q, struct err *err);
/* DESC needs any right and EXPLAIN, from 2.1 on, none of LOAD: without this the first load fails. */
bool insert_check_load(const struct insert_check *q, struct err *err);
bool insert_check_plan(const struct insert_check *q, const char *sql, struct err *err);
/* Nothing to do unless the job wants it. `version` as in struct fe_traits. */
bool insert_check_guarantee(const struct insert_check *q, int version, struct err *err);
/* Does an FE of this version load several statements in one transaction? 0 has to be tried. Pure. */
bool insert_check_has_transactions(int version);

#endif
