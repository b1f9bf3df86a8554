/*
 * The placeholders of a prepared statement: a '?' outside of strings, quoted names and comments.
 * Sluice binds a value by writing it as a literal in the place of its '?'; what runs then is a
 * plain text. Pure; any thread.
 */
#ifndef PARSER_PARAMS_H
#define PARSER_PARAMS_H

#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

/* The place of the next '?' from `at` on, which is not inside a string; text.n when none is left. */
size_t params_next(struct span text, size_t at);
size_t params_count(struct span text);
/*
 * Appends text[from .. at) and `literal` in the place of the '?' at text[at]; blanks keep it from
 * melting with its neighbours. Go on with from = at + 1.
 */
void params_put(struct span text, size_t from, size_t at, struct span literal, struct buf *out);
/* Appends a value as a string literal that the lexer reads back as these very bytes. */
void params_quote(struct span value, struct buf *out);
/*
 * The text as it might run, every '?' filled with something that may stand there, to find out what
 * it is and whether it is right before any value is known.
 */
void params_sample(struct span text, struct buf *out);

#endif
