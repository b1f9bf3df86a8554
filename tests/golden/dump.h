/*
 * What a statement means, as a text: the statement in one canonical spelling, which the parser reads
 * to the same again, and below it, as comments, what the parser found inside its INSERT.
 */
#ifndef TESTS_GOLDEN_DUMP_H
#define TESTS_GOLDEN_DUMP_H

#include "base/buf.h"
#include "parser/stmt.h"

/* Appends it. */
void dump_stmt(const struct stmt *s, struct buf *out);
/* One that parses to the same? Only queries over jobs() and tasks() are not. */
bool dump_is_sql(const struct stmt *s);

#endif
