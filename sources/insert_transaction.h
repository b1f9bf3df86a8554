/*
 * A load with "guarantee" = "transactional": the data and the row that tells of it (insert_offsets.h)
 * in one transaction of Doris. Nothing is loaded before COMMIT was sent, and nothing that goes wrong
 * until then leaves anything behind. Runner threads.
 *
 *     BEGIN WITH LABEL l --> INSERT … SELECT (no label) --> INSERT offset row --> verify() --> COMMIT
 *        |                      |                              |                    |           |
 *        |  refused, lost, time is up, canceled, another file: ROLLBACK             |           |
 *        +-> NOT_SENT           +-> REFUSED LABEL_USED         +-> ROLLED_BACK      |           |
 *                                   ROLLED_BACK                    LABEL_USED       |           |
 *                                                                                   |           |
 *     NULL row: one of this task or a later one is there -> LABEL_USED, label() tells           |
 *                                  ROLLED_BACK, is_changed where it says so <-------+           |
 *                                  VISIBLE COMMITTED; REFUSED or LOST: ask label() <------------+
 *
 * What Doris does (3.0 to 4.1; read in its sources, never tried on a running one):
 *   - BEGIN makes no transaction, and does not look at the label: it is kept in the session, and the
 *     first INSERT begins with it (TransactionBeginCommand.java; TransactionEntry.beginTransaction;
 *     in 3.0 StmtExecutor.handleTransactionStmt). So "has already been used" is the INSERT's answer.
 *     BEGIN answers {'label':'l', 'status':'PREPARE', 'txnId':''}; inside another transaction it is
 *     ignored and answers nothing: then the connection is not used.
 *   - INSERT answers with the transaction's label, status PREPARE, and the number of its own
 *     sub-transaction, which for the first one is the transaction's (OlapTxnInsertExecutor.java). An
 *     input that is proved empty begins nothing and answers nothing (InsertIntoTableCommand.java).
 *   - A statement that fails takes back its own part only; COMMIT would commit the rest. So whatever
 *     is refused is followed by ROLLBACK.
 *   - COMMIT answers VISIBLE, or COMMITTED when publishing takes longer than commit_timeout_second;
 *     through a follower the latter is an error, "transaction commit successfully, BUT data will be
 *     visible later." (TransactionEntry.commitTransaction, waitingTxnVisible). Any other error proves
 *     nothing: what follows it is an attempt to abort.
 *   - The end of the connection rolls back; the death of the FE leaves PREPARE until the time-out.
 *   - In cloud mode no merge-on-write table may take part (TransactionEntry.beginTransaction).
 *   - All tables have to be in one database, which the target's is.
 */
#ifndef SOURCES_INSERT_TRANSACTION_H
#define SOURCES_INSERT_TRANSACTION_H

#include "sources/insert_attempt.h"

enum load_result insert_transaction_run(struct insert_attempt *a, struct err *err);

#endif
