/*
 * What a query's WHERE says of one call of jobs() or tasks(), as far as it is plain: column = 'value',
 * all joined by AND, on the query's own level. Rows that such a term refuses need not be sent to the
 * FE, which asks all of the WHERE again. Pure.
 */
#ifndef PROXY_VIEWNARROW_H
#define PROXY_VIEWNARROW_H

#include <stddef.h>

#include "base/span.h"
#include "parser/stmt.h"

enum { VIEWNARROW_MAX = 8 };

struct viewnarrow_term {
    size_t column; /* of viewcols.h */
    char *value;   /* owned; of a number, its digits */
};

struct viewnarrow {
    struct viewnarrow_term terms[VIEWNARROW_MAX];
    size_t n;
};

/* `text`: the statement, which `place` is of. None is a right answer, too. */
void viewnarrow_find(struct span text, const struct stmt_view_place *place, struct viewnarrow *ret);
void viewnarrow_fini(struct viewnarrow *narrow);

#endif
