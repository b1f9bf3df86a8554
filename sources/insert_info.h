/*
 * The info string of the OK packet that answers an INSERT. It looks like JSON and is not:
 *
 *     {'label':'l', 'status':'VISIBLE', 'txnId':'12', 'err':'it's free text, {even}, 'this''}
 *
 * Nothing is escaped, so 'err', always last, reaches up to the closing quote and brace at the very
 * end, and nothing inside it is taken for another field. Source: Doris OlapInsertExecutor
 * .setReturnInfo, and StmtExecutor.handleInsertStmt of 2.0. Pure; any thread.
 */
#ifndef SOURCES_INSERT_INFO_H
#define SOURCES_INSERT_INFO_H

#include <stdbool.h>

#include "base/span.h"

enum insert_status {
    INSERT_STATUS_OTHER, /* one that this program does not know */
    INSERT_STATUS_PREPARE,
    INSERT_STATUS_COMMITTED,
    INSERT_STATUS_VISIBLE,
    INSERT_STATUS_ABORTED,
};

/* Spans into the parsed text; empty when the field is absent. */
struct insert_info {
    struct span label;
    struct span status_text;
    struct span txn_id; /* digits, or empty */
    struct span error;
    enum insert_status status;
};

/* False, and *ret untouched, for anything that does not carry a label and a status. */
bool insert_info_parse(struct span text, struct insert_info *ret);

#endif
