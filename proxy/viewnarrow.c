#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "proxy/viewcols.h"
#include "proxy/viewnarrow.h"

struct narrow {
    struct lex lex; /* behind the call */
    enum view_table table;
    struct span alias;
    bool is_alone; /* no other table stands in this FROM: a bare column is the call's */
    struct viewnarrow *ret;
};

static struct span bare(const struct tok *t)
{
    return t->kind == TOK_QUOTED ? (struct span){t->text.p + 1, t->text.n - 2} : t->text;
}

/* What ends a WHERE, on its level. */
static bool is_behind_where(const struct tok *t)
{
    static const char *const WORDS[] = {"GROUP",   "HAVING",    "ORDER", "LIMIT",
                                        "QUALIFY", "WINDOW",    "UNION", "EXCEPT",
                                        "MINUS",   "INTERSECT", "INTO",  NULL};
    return t->kind == TOK_END || t->kind == TOK_ERROR || tok_is_op(t, ")") ||
           tok_is_one_of(t, WORDS);
}

/* The next token of this level; what stands in parentheses is passed. */
static struct tok next_here(struct lex *lex)
{
    struct tok t = lex_next(lex);
    int depth = tok_is_op(&t, "(") ? 1 : 0;
    while (depth > 0 && t.kind != TOK_END && t.kind != TOK_ERROR) {
        t = lex_next(lex);
        depth += tok_is_op(&t, "(") ? 1 : tok_is_op(&t, ")") ? -1 : 0;
        if (depth == 0) {
            t = (struct tok){.kind = TOK_OP, .at = t.at, .text = SPAN_LIT("()")};
        }
    }
    return t;
}

/* Up to behind WHERE; false when there is none. */
static bool find_where(struct narrow *n)
{
    struct tok t = next_here(&n->lex);
    while (!is_behind_where(&t) && !tok_is_word(&t, "WHERE")) {
        if (tok_is_op(&t, ",") || tok_is_word(&t, "JOIN") || tok_is_word(&t, "LATERAL")) {
            n->is_alone = false;
        }
        t = next_here(&n->lex);
    }
    return tok_is_word(&t, "WHERE");
}

/*
 * Is the WHERE one chain of ANDs? Of BETWEEN and CASE the ANDs would be others, and a word that is
 * also a name (t.window) may not be its end.
 */
static bool is_chain(struct lex lex)
{
    static const char *const OTHERS[] = {"OR", "XOR", "CASE", "BETWEEN", NULL};
    static const char *const NAMES[] = {"QUALIFY", "WINDOW", NULL};
    struct tok t = next_here(&lex);
    while (!is_behind_where(&t)) {
        if (tok_is_one_of(&t, OTHERS) || tok_is_op(&t, "||")) {
            return false;
        }
        t = next_here(&lex);
    }
    return !tok_is_one_of(&t, NAMES);
}

static bool is_id(const struct narrow *n, size_t column)
{
    return n->table == VIEW_JOBS ? column == JOBS_ID
                                 : column == TASKS_TASK_ID || column == TASKS_JOB_ID;
}

/* A term of `n_toks` tokens: [alias.]column = value */
static void take_term(struct narrow *n, const struct tok *toks, size_t n_toks)
{
    bool has_alias = n_toks == 5 && tok_is_name(&toks[0]) && tok_is_op(&toks[1], ".") &&
                     span_ieq(bare(&toks[0]), n->alias);
    const struct tok *t = has_alias ? toks + 2 : toks;
    if (!(has_alias || (n_toks == 3 && n->is_alone)) || !tok_is_name(&t[0]) ||
        !tok_is_op(&t[1], "=")) {
        return;
    }
    size_t column = viewcols_find(n->table, bare(&t[0]));
    bool is_digits = t[2].kind == TOK_INT && column != SIZE_MAX && is_id(n, column);
    if (column == SIZE_MAX || n->ret->n == VIEWNARROW_MAX ||
        (t[2].kind != TOK_STRING && !is_digits)) {
        return;
    }
    size_t length = 0;
    char *value = is_digits ? span_dup(t[2].text) : tok_unquote(&t[2], &length);
    if (memchr(value, '\\', strlen(value)) != NULL || (!is_digits && strlen(value) != length) ||
        (!is_digits && memchr(t[2].text.p, '\\', t[2].text.n) != NULL)) {
        free(value); /* what a backslash means depends on sql_mode */
        return;
    }
    n->ret->terms[n->ret->n++] = (struct viewnarrow_term){.column = column, .value = value};
}

static void take_terms(struct narrow *n)
{
    struct tok toks[5];
    size_t n_toks = 0;
    struct tok t = next_here(&n->lex);
    for (;;) {
        bool is_end = is_behind_where(&t);
        if (is_end || tok_is_word(&t, "AND") || tok_is_op(&t, "&&")) {
            take_term(n, toks, n_toks);
            n_toks = 0;
        } else {
            toks[n_toks < ARRAY_SIZE(toks) ? n_toks : 0] = t;
            n_toks++; /* of a longer term only the number counts */
        }
        if (is_end) {
            return;
        }
        t = next_here(&n->lex);
    }
}

/* Is the call the first and only table behind its FROM, as far as what precedes it tells? */
static bool is_behind_from(struct span text, size_t at)
{
    struct lex lex = lex_of(text);
    struct tok prev = {.kind = TOK_END};
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR && t.at < at) {
        prev = t;
        t = lex_next(&lex);
    }
    return tok_is_word(&prev, "FROM");
}

void viewnarrow_find(struct span text, const struct stmt_view_place *place, struct viewnarrow *ret)
{
    struct narrow n = {
        .lex = {.text = text, .at = place->end},
        .table = place->is_tasks ? VIEW_TASKS : VIEW_JOBS,
        .alias = span_of(place->alias),
        .is_alone = is_behind_from(text, place->at),
        .ret = ret,
    };
    *ret = (struct viewnarrow){0};
    if (place->alias == NULL) {
        struct tok t = lex_next(&n.lex);
        t = tok_is_word(&t, "AS") ? lex_next(&n.lex) : t;
        n.alias = bare(&t);
    }
    if (find_where(&n) && is_chain(n.lex)) {
        take_terms(&n);
    }
}

void viewnarrow_fini(struct viewnarrow *narrow)
{
    for (size_t i = 0; i < narrow->n; i++) {
        free(narrow->terms[i].value);
    }
    *narrow = (struct viewnarrow){0};
}
