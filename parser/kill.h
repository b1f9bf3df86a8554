/*
 * KILL [CONNECTION | QUERY] n, of which a proxy before several FEs has to know the number. Only
 * plain numbers are ours: KILL QUERY "query id", KILL USER and whatever else there may be is the
 * FE's business. Pure; any thread.
 */
#ifndef PARSER_KILL_H
#define PARSER_KILL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct kill_stmt {
    bool is_query; /* ends the statement, not the connection */
    uint32_t id;
};

/* False: it is anything else. Comments, letter case and trailing semicolons do not matter. */
bool kill_parse(struct span sql, struct kill_stmt *ret);

#endif
