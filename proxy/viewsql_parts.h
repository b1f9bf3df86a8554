/* What the files of viewsql.h share: a query as tokens, and what is written for each. Private to them. */
#ifndef PROXY_VIEWSQL_PARTS_H
#define PROXY_VIEWSQL_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "proxy/viewsql.h"

enum kind { TOKEN_WORD, TOKEN_QUOTED, TOKEN_STRING, TOKEN_NUMBER, TOKEN_OP };

enum { NOWHERE = -1 };

/* What a value is compared as. */
enum operand {
    OPERAND_ANY,    /* not known, or a text */
    OPERAND_UNSURE, /* a text or something else: an alias that is a column's name, too */
    OPERAND_COLUMN, /* one that is declared as NUMERIC: SQLite converts what it is compared with */
    OPERAND_NUMBER,
    OPERAND_TEXT,
    OPERAND_DATE,
    OPERAND_BOOLEAN,
    OPERAND_NULL,
    OPERAND_ROW, /* (a, b) */
};

/* Tokens, both ends included. NOWHERE: there is no such value. */
struct range {
    int first;
    int last;
};

struct token {
    enum kind kind;
    struct span text;
    int partner; /* of a parenthesis, or NOWHERE */
    int depth;   /* of parentheses around it */
    /* What is written: */
    const char *before;
    struct span out;
    const char *after;
    bool is_changed;
    bool is_glued;    /* no blank before it */
    int names_column; /* the token at which the column begins that ends here, or NOWHERE */
    int next_alias;   /* of an alias: another one, or NOWHERE */
    enum operand alias_kind;
};

struct tokens {
    struct token *items; /* owned */
    int n;
    int last_alias;       /* or NOWHERE */
    int64_t n_steps_left; /* of the search for kinds: then the query is the FE's */
    enum viewsql_trust trust;
};

static inline bool is_op(const struct tokens *t, int i, const char *op)
{
    return i >= 0 && i < t->n && t->items[i].kind == TOKEN_OP && span_eq_text(t->items[i].text, op);
}

static inline bool is_word(const struct tokens *t, int i, const char *word)
{
    return i >= 0 && i < t->n && t->items[i].kind == TOKEN_WORD &&
           span_ieq_text(t->items[i].text, word);
}

static inline bool is_kind(const struct tokens *t, int i, enum kind kind)
{
    return i >= 0 && i < t->n && t->items[i].kind == kind;
}

static inline bool is_one_of(struct span text, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (span_ieq_text(text, words[i])) {
            return true;
        }
    }
    return false;
}

static inline bool is_call(const struct tokens *t, int i)
{
    return is_kind(t, i, TOKEN_WORD) && is_op(t, i + 1, "(") && !is_op(t, i - 1, ".");
}

static inline void put(struct tokens *t, int i, const char *text)
{
    t->items[i].out = span_of(text);
    t->items[i].is_changed = true;
}

static inline void put_before(struct tokens *t, int i, const char *text)
{
    t->items[i].before = text;
    t->items[i].is_changed = true;
}

static inline void put_after(struct tokens *t, int i, const char *text)
{
    t->items[i].after = text;
    t->items[i].is_changed = true;
}

/* Can a value end with it? */
static inline bool ends_value(const struct tokens *t, int i)
{
    return i >= 0 && (t->items[i].kind != TOKEN_OP || is_op(t, i, ")"));
}

/* viewsql_types.c */
bool viewsql_is_keyword(const struct tokens *t, int i);
bool viewsql_is_arithmetic(const struct tokens *t, int i);
bool viewsql_begins_value(const struct tokens *t, int i);
/* The last token of the value that begins at `i`, without the operators behind it, or NOWHERE. */
int viewsql_value_end(struct tokens *t, int i);
/* With sums and products: the operand of a comparison. */
struct range viewsql_value_from(struct tokens *t, int i);
struct range viewsql_value_before(struct tokens *t, int i);
bool viewsql_is_valid(struct range r);
enum operand viewsql_kind(struct tokens *t, struct range r);
/* Is it sure that it is a whole number? */
bool viewsql_is_whole(struct tokens *t, struct range r);
/* SELECT COUNT(*) AS n: from then on n is a number. */
void viewsql_find_aliases(struct tokens *t);

/* What SQLite's grammar lacks: marks the tokens. */
void viewsql_adapt_grammar(struct tokens *t);
/* Where a text is compared as a number or a date. Before the grammar. */
void viewsql_adapt_comparisons(struct tokens *t);

#endif
