/*
 * Cuts a text of several statements into parts: each statement of ours is a part of its own, and
 * foreign statements in a row are one part, with the very bytes the client wrote.
 *
 *     USE shop; SELECT 1 ; PAUSE JOB j; -- bye
 *     |== foreign ======|  |== ours =|           (the comment is nothing)
 *
 * Pulled one by one, nothing is allocated, linear in the length of the text. The lexer's rules hold:
 * a ';' in a string, quoted name or comment ends nothing. Pure; any thread.
 */
#ifndef PARSER_SCRIPT_H
#define PARSER_SCRIPT_H

#include <stdbool.h>

#include "base/span.h"
#include "parser/lex.h"

/* Is this one statement ours? Must be pure: it is asked up to twice. */
typedef bool (*script_claim_fn)(struct span statement);

struct script {
    struct lex lex; /* behind the parts that were taken */
    script_claim_fn claim;
    bool is_block; /* a stored procedure began: its ';' end no statement */
};

struct script_part {
    struct span text; /* without the ';' behind it */
    bool is_ours;
    bool is_last;
};

struct script script_of(struct span text, script_claim_fn claim);
/* False when no statement is left. */
bool script_next(struct script *s, struct script_part *ret);

#endif
