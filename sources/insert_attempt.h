/*
 * One load on one connection, and what both ways of loading share: insert_load.c (the INSERT under a
 * label) and insert_transaction.c (the INSERT and the offset row in one transaction). Runner threads;
 * an attempt belongs to one of them.
 */
#ifndef SOURCES_INSERT_ATTEMPT_H
#define SOURCES_INSERT_ATTEMPT_H

#include "base/err.h"
#include "base/span.h"
#include "scheduler/sink.h"
#include "sources/fe_error.h"
#include "sources/fe_pool.h"
#include "sources/insert_info.h"

/* All borrowed. */
struct insert_attempt {
    struct fe_pool *pool;
    const char *user; /* the service account, for the errors */
    const struct load_request *request;
    struct fe_conn *c; /* its recipe is applied */
    struct load_report *report;
    bool is_clean; /* out: the connection is as it was, another load may have it */
};

struct fe_wait insert_attempt_wait(const struct insert_attempt *a);

/* The text copied, cut where it would be absurdly long; NULL for an empty one. */
char *insert_attempt_text(struct span s);
/* What an ERR packet's text, or the err of an OK packet, tells of a load. */
void insert_attempt_tell(struct insert_attempt *a, const struct fe_error_parts *parts);
/* Status ABORTED: the FE failed after the load and says so in an OK packet. LOAD_REFUSED. */
enum load_result insert_attempt_aborted(struct insert_attempt *a, const struct insert_info *info,
                                        struct err *err);
/* "the FE … answered the load … with <what>"; returns false. */
bool insert_attempt_baffled(const struct insert_attempt *a, const char *what, struct err *err);
/* Loaded and filtered rows, of the OK packet that came last. */
void insert_attempt_count(struct insert_attempt *a);
/*
 * The time is up: stops the statement if that is still possible, and gives its own answer a last
 * chance. FE_STOPPED when none came; *err is then what it was.
 */
enum fe_result insert_attempt_kill(struct insert_attempt *a, struct err *err);
/* The answer that is on its way, for a few seconds, whatever the cancel flag says. */
enum fe_result insert_attempt_last_answer(struct insert_attempt *a, struct err *err);

#endif
