/*
 * The table in the target's database that says which tasks are loaded, for jobs with
 * "guarantee" = "transactional": a row a task, written in the data's own transaction. Who finds the
 * row knows that the data is there, however long ago; no label window limits this.
 *
 *     sluice_offsets   job_id | task_id | range_crc | offset | committed_at (UTC)
 *
 * The name: Doris up to 3.0 wants a letter first (common/FeNameFormat.java, TABLE_NAME_REGEX).
 *
 * DUPLICATE KEY, not UNIQUE: a transaction with a merge-on-write table is refused in cloud mode
 * ("Transaction load is not supported for merge on write unique keys table in cloud mode",
 * transaction/TransactionEntry.java), a delete bitmap per sub-transaction is what has had bugs
 * (insert_p0/transaction/sub_txn_mow.groovy is switched off), and a key that swallows a second row
 * would hide that a task was loaded twice.
 *
 * The row is written by an INSERT … SELECT that counts the table's own rows, joined with numbers():
 *   - it writes nothing when a row of this task, or of a later one, is there. So a zombie that wakes
 *     up long after another has finished its task, and a store that was restored from an old copy,
 *     cannot commit, whatever Doris has forgotten of labels;
 *   - a constant SELECT has counted as VALUES in some versions and as a SELECT in others (parser/
 *     LogicalPlanBuilder.java, visitInsertTable), and the two may not be mixed in a transaction;
 *   - an INSERT all of whose leaves are empty relations is not run at all (InsertIntoTableCommand,
 *     leafIsEmptyRelation), which an empty table is to the planner: numbers() is a leaf that is not.
 *
 * Reading asks for strong consistency first (qe/StmtExecutor.java, syncJournalIfNeeded): a follower
 * reads by its own copy of the metadata, which may be behind. It counts rows instead of fetching
 * them, so that a limit set for every session (sql_select_limit) cannot be taken for "no row".
 */
#ifndef SOURCES_INSERT_OFFSETS_H
#define SOURCES_INSERT_OFFSETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "scheduler/sink.h"
#include "sources/fe_conn.h"

#define OFFSETS_TABLE "sluice_offsets"

/* Tasks whose rows are kept behind the newest of a job. The open task is the only one ever asked. */
enum { OFFSETS_KEPT = 1000 };

/* Statements; the caller owns them. Pure. */
char *insert_offsets_create(const char *db, const char *replication); /* NULL: Doris's default */
char *insert_offsets_write(const char *db, const struct offset_row *row, int64_t wall_ms);
char *insert_offsets_prune(const char *db, const struct offset_row *row);

/* The CRC-32 of zip files and Ethernet. Pure. */
uint32_t insert_offsets_crc(struct span text);
/*
 * `"replication_allocation" = "…"` or `"replication_num" = "…"` as a table's SHOW CREATE TABLE has
 * it: what fits the target fits the offset table. NULL when there is none. Pure.
 */
char *insert_offsets_replication(const char *create_table);

enum offsets_answer {
    OFFSETS_THERE,
    OFFSETS_ABSENT,
    OFFSETS_UNSURE, /* no row, nor one of the task that succeeded before: no proof either way */
    OFFSETS_NONE,   /* no answer: err says why, and what to do */
    OFFSETS_OTHER,  /* one that contradicts the store, which was restored, say: err likewise */
};

/* Who asks, and of what. All borrowed. */
struct offsets_question {
    struct fe_conn *c; /* not to be given to another load afterwards: its session is changed */
    const char *user;  /* the service account, for the errors */
    const char *db;
    const struct offset_row *row;
    struct fe_wait wait;
};

enum offsets_answer insert_offsets_find(const struct offsets_question *q, struct err *err);

/* Can the table be read? FE_OK or what stands against it, untouched. `row` is not looked at. */
enum fe_result insert_offsets_look(const struct offsets_question *q, struct err *err);

/*
 * Before a job is accepted: makes the table unless it is there, and tries a whole transaction that
 * is rolled back (it leaves an aborted transaction behind and nothing else).
 */
bool insert_offsets_ensure(const struct offsets_question *q, const char *target_table,
                           struct err *err);

#endif
