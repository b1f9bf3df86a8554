/*
 * What of a job's SELECT is computed over the rows it is given: LIMIT, GROUP BY, DISTINCT, aggregate
 * and window functions. A job gives it the rows of one batch of files after the other, so that each
 * batch has its own 10 first rows, its own sum. Pure; any thread.
 */
#ifndef PROXY_BATCHWISE_H
#define PROXY_BATCHWISE_H

#include "parser/stmt.h"

/*
 * "LIMIT, GROUP BY, sum()", each once; NULL when there is none. Only what works on the rows of the
 * table function counts: not a subquery over other tables. The caller owns the text.
 */
char *batchwise_find(const struct stmt_insert *insert);

#endif
