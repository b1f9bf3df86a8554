/*
 * Follows a query token by token, far enough to know where tables stand: FROM and JOIN at any depth
 * of parentheses and sub-queries, names of WITH queries, and the FROM that is no clause (EXTRACT,
 * TRIM, IS DISTINCT FROM). It knows nothing of expressions. Private to parser/; no allocation; the
 * state is good for one query and borrows its text.
 */
#ifndef PARSER_QUERY_H
#define PARSER_QUERY_H

#include "parser/parse.h"

enum { QUERY_MAX_DEPTH = 128, QUERY_MAX_CTES = 64 };

enum query_step {
    QUERY_PLAIN,    /* nothing to see */
    QUERY_TABLE,    /* this name is a table or table function: call query_table() */
    QUERY_NO_TABLE, /* a table must stand here and does not */
    QUERY_UNBALANCED,
    QUERY_TOO_DEEP,
};

enum query_cte { QUERY_CTE_NONE, QUERY_CTE_NAME, QUERY_CTE_NAMED, QUERY_CTE_BODY, QUERY_CTE_END };

struct query_frame {
    bool is_query;    /* SELECT was seen: FROM is a clause */
    bool is_first;    /* no token of this parenthesis was seen yet */
    bool in_from;     /* a comma or JOIN announces the next table */
    bool wants_table; /* the next name is a table */
    bool is_lateral;  /* behind LATERAL VIEW: commas separate columns */
    enum query_cte cte;
    struct span cte_name; /* between its name and its end */
    size_t n_outer;       /* so many of the names are known outside of this parenthesis, too */
};

struct query {
    struct query_frame frames[QUERY_MAX_DEPTH];
    size_t depth; /* open parentheses; frames[depth] is the current one */
    struct span ctes[QUERY_MAX_CTES];
    size_t n_ctes;
    bool is_hint;        /* inside the [...] of JOIN [shuffle] */
    bool after_dot;      /* the last token was a '.': a keyword is a name */
    bool after_distinct; /* the last token was DISTINCT */
};

struct query_table {
    struct tok first; /* first part of the name */
    struct tok name;  /* last part */
    size_t n_parts;
    bool is_function; /* a '(' follows */
};

/* Starts at the first token of a query (SELECT, WITH or a parenthesis). */
void query_init(struct query *q);
/* The same for what follows a WITH query list: its names stay known. */
void query_restart(struct query *q);
/* Tells of one token, in order; every token but those that query_table() and parse_props() take. */
enum query_step query_feed(struct query *q, const struct tok *t);
/* After QUERY_TABLE, with the name in hand: takes it, and leaves what follows in hand. */
void query_table(struct query *q, struct parse *p, struct query_table *ret);
/* The end of the text: is everything closed? */
enum query_step query_end(const struct query *q);
/* A WITH query that is complete has this name, here: one of another parenthesis is no more known. */
bool query_is_cte(const struct query *q, const struct tok *name);
/* The same, letter for letter: Doris tells Dim from dim. */
bool query_is_exactly_cte(const struct query *q, const struct tok *name);
/* Turns the three bad steps into an error about the token in hand. False. */
bool query_fail(struct parse *p, enum query_step step);

#endif
