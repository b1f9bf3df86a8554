#include <string.h>

#include "parser/script.h"

struct script script_of(struct span text, script_claim_fn claim)
{
    while (text.n > 0 && text.p[text.n - 1] == '\0') {
        text.n--; /* clients of the C library sometimes send it */
    }
    return (struct script){.lex = lex_of(text), .claim = claim};
}

/* BEGIN ... END, and not BEGIN [WORK | TRANSACTION | WITH LABEL x] of a transaction. */
static bool opens_block(const struct tok *first, const struct lex *behind)
{
    static const char *const TRANSACTION[] = {"WORK", "TRANSACTION", "WITH", NULL};
    static const char *const ROUTINES[] = {"PROCEDURE", "FUNCTION", "TRIGGER",
                                           "EVENT",     "PACKAGE",  NULL};
    static const char *const NO_ROUTINES[] = {"TABLE", "VIEW", "DATABASE", "JOB", "INDEX", NULL};
    struct lex lex = *behind;
    struct tok t = lex_next(&lex);
    if (tok_is_word(first, "DECLARE")) {
        return true;
    }
    if (tok_is_word(first, "BEGIN")) {
        return tok_is_name(&t) && !tok_is_one_of(&t, TRANSACTION);
    }
    /* CREATE [OR REPLACE] [DEFINER = user@host] [AGGREGATE] PROCEDURE */
    for (int i = 0; i < 8 && tok_is_word(first, "CREATE"); i++) {
        if (tok_is_one_of(&t, ROUTINES)) {
            return true;
        }
        if (t.kind == TOK_END || tok_is_one_of(&t, NO_ROUTINES)) {
            return false;
        }
        t = lex_next(&lex);
    }
    return false;
}

static bool is_block_start(struct span statement)
{
    struct lex lex = lex_of(statement);
    struct tok first = lex_next(&lex);
    return opens_block(&first, &lex);
}

/*
 * Where the next statement's bytes begin: behind the last ';' with nothing but blanks and comments
 * before it, and behind blanks. A comment belongs to the statement that follows.
 */
static size_t begin_of(const struct script *s)
{
    struct span text = s->lex.text;
    struct lex lex = s->lex;
    size_t at = lex.at;
    struct tok t = lex_next(&lex);
    while (tok_is_op(&t, ";")) {
        at = tok_end(&t);
        t = lex_next(&lex);
    }
    while (at < text.n && lex_is_blank(text.p[at])) {
        at++;
    }
    return at;
}

static size_t end_of(const struct script *s, struct span statement)
{
    return (size_t)(statement.p - s->lex.text.p) + statement.n;
}

/* The foreign statements from `begin` on; `first` is the one that was just taken. */
static size_t take_run(struct script *s, struct span first)
{
    size_t end = end_of(s, first);
    struct lex ahead = s->lex;
    struct span next = first;
    while (!(s->is_block = s->is_block || is_block_start(next)) && lex_statement(&ahead, &next) &&
           !s->claim(next)) {
        end = end_of(s, next);
        s->lex = ahead;
    }
    if (s->is_block) {
        end = s->lex.text.n;
        s->lex.at = end;
    }
    return end;
}

bool script_next(struct script *s, struct script_part *ret)
{
    struct span text = s->lex.text;
    struct span statement = {0};
    struct script_part part = {0};
    size_t begin = begin_of(s);
    if (!lex_statement(&s->lex, &statement)) {
        return false;
    }
    part.is_ours = s->claim(statement);
    size_t end = part.is_ours ? end_of(s, statement) : take_run(s, statement);
    if (part.is_ours) {
        begin = (size_t)(statement.p - text.p);
    }
    part.text = span_between(text.p + begin, text.p + end);
    struct lex ahead = s->lex;
    part.is_last = !lex_statement(&ahead, &statement);
    *ret = part;
    return true;
}
