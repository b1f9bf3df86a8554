#include <assert.h>

#include "parser/query.h"

static struct query_frame *top(struct query *q)
{
    return &q->frames[q->depth];
}

void query_init(struct query *q)
{
    *q = (struct query){.frames = {{.is_query = true, .is_first = true}}};
}

void query_restart(struct query *q)
{
    assert(q->depth == 0);
    q->frames[0] = (struct query_frame){.is_query = true, .is_first = true};
    q->is_hint = false;
    q->after_dot = false;
    q->after_distinct = false;
}

/* Parentheses. */

static enum query_step open_paren(struct query *q)
{
    struct query_frame *parent = top(q);
    if (q->depth + 1 == QUERY_MAX_DEPTH) {
        return QUERY_TOO_DEEP;
    }
    bool is_tables = parent->wants_table; /* FROM (a JOIN b), or FROM (SELECT ...) */
    q->depth++;
    *top(q) = (struct query_frame){
        .is_first = true,
        .in_from = is_tables,
        .wants_table = is_tables,
        .n_outer = q->n_ctes,
    };
    return QUERY_PLAIN;
}

static enum query_step close_paren(struct query *q)
{
    if (q->depth == 0) {
        return QUERY_UNBALANCED;
    }
    if (top(q)->wants_table) {
        return QUERY_NO_TABLE;
    }
    q->n_ctes = top(q)->n_outer;
    q->depth--;
    struct query_frame *f = top(q);
    f->wants_table = false;
    if (f->cte == QUERY_CTE_BODY) {
        f->cte = QUERY_CTE_END;
        if (q->n_ctes < QUERY_MAX_CTES) {
            q->ctes[q->n_ctes++] = f->cte_name;
        }
    }
    return QUERY_PLAIN;
}

/* WITH a (x, y) AS (...), b AS (...). True when the token belongs to that list. */
static bool feed_cte(struct query_frame *f, const struct tok *t)
{
    switch (f->cte) {
    case QUERY_CTE_NONE: return false;
    case QUERY_CTE_NAME:
        if (tok_is_name(t) && !tok_is_word(t, "RECURSIVE")) {
            f->cte = QUERY_CTE_NAMED;
            f->cte_name = t->text;
        }
        return true;
    case QUERY_CTE_NAMED:
        if (tok_is_word(t, "AS")) {
            f->cte = QUERY_CTE_BODY;
        }
        return true;
    case QUERY_CTE_BODY: return true;
    case QUERY_CTE_END:
        f->cte = tok_is_op(t, ",") ? QUERY_CTE_NAME : QUERY_CTE_NONE;
        return f->cte == QUERY_CTE_NAME;
    }
    return false;
}

/* The words that end a FROM clause. */
static const char *const AFTER_FROM[] = {
    "WHERE", "GROUP",  "HAVING", "ORDER",     "LIMIT", "QUALIFY", "WINDOW",
    "UNION", "EXCEPT", "MINUS",  "INTERSECT", "INTO",  NULL,
};

static void feed_word(struct query *q, const struct tok *t)
{
    struct query_frame *f = top(q);
    if (tok_is_word(t, "SELECT")) {
        f->is_query = true;
        f->in_from = false;
        f->wants_table = false;
    } else if (tok_is_word(t, "FROM") && f->is_query && !q->after_distinct) {
        f->in_from = true;
        f->wants_table = true;
        f->is_lateral = false;
    } else if (tok_is_word(t, "JOIN") && f->in_from) {
        f->wants_table = true;
        f->is_lateral = false;
    } else if (tok_is_word(t, "LATERAL") && f->in_from) {
        f->is_lateral = true;
    } else if (tok_is_one_of(t, AFTER_FROM)) {
        f->in_from = false;
    }
}

/* The current frame wants a table and got this token. */
static enum query_step feed_table(struct query *q, const struct tok *t, bool is_first)
{
    struct query_frame *f = top(q);
    if (is_first &&
        (tok_is_word(t, "SELECT") || tok_is_word(t, "WITH") || tok_is_word(t, "VALUES"))) {
        f->wants_table = false;
        f->in_from = false;
        f->is_query = true;
        f->cte = tok_is_word(t, "WITH") ? QUERY_CTE_NAME : QUERY_CTE_NONE;
        return QUERY_PLAIN;
    }
    if (tok_is_op(t, "[")) {
        q->is_hint = true;
        return QUERY_PLAIN;
    }
    if (tok_is_word(t, "LATERAL")) {
        return QUERY_PLAIN;
    }
    return tok_is_name(t) && !parse_is_reserved(t) ? QUERY_TABLE : QUERY_NO_TABLE;
}

static enum query_step feed(struct query *q, const struct tok *t)
{
    assert(q->depth < QUERY_MAX_DEPTH);
    struct query_frame *f = top(q);
    bool is_first = f->is_first;
    f->is_first = false;
    if (q->is_hint) {
        q->is_hint = !tok_is_op(t, "]");
        return QUERY_PLAIN;
    }
    if (tok_is_op(t, "(")) {
        return open_paren(q);
    }
    if (tok_is_op(t, ")")) {
        return close_paren(q);
    }
    if (feed_cte(f, t)) {
        return QUERY_PLAIN;
    }
    if (f->wants_table) {
        return feed_table(q, t, is_first);
    }
    if (is_first && tok_is_word(t, "WITH")) {
        f->is_query = true;
        f->cte = QUERY_CTE_NAME;
    } else if (tok_is_op(t, ",") && f->in_from && !f->is_lateral) {
        f->wants_table = true;
    } else if (t->kind == TOK_WORD && !q->after_dot) {
        feed_word(q, t);
    }
    return QUERY_PLAIN;
}

enum query_step query_feed(struct query *q, const struct tok *t)
{
    enum query_step step = feed(q, t);
    q->after_dot = tok_is_op(t, ".");
    q->after_distinct = tok_is_word(t, "DISTINCT");
    return step;
}

void query_table(struct query *q, struct parse *p, struct query_table *ret)
{
    assert(top(q)->wants_table && tok_is_name(&p->tok));
    *ret = (struct query_table){.first = p->tok, .name = p->tok, .n_parts = 1};
    parse_next(p);
    while (parse_is_op(p, ".")) {
        parse_next(p);
        if (!tok_is_name(&p->tok)) {
            break; /* t. is Doris's to refuse */
        }
        ret->name = p->tok;
        ret->n_parts++;
        parse_next(p);
    }
    ret->is_function = parse_is_op(p, "(");
    top(q)->wants_table = false;
    q->after_dot = false;
    q->after_distinct = false;
}

enum query_step query_end(const struct query *q)
{
    const struct query_frame *f = &q->frames[q->depth];
    if (f->wants_table) {
        return QUERY_NO_TABLE;
    }
    return q->depth > 0 ? QUERY_UNBALANCED : QUERY_PLAIN;
}

static struct span bare(struct span name)
{
    return span_starts_with(name, "`") ? (struct span){name.p + 1, name.n - 2} : name;
}

bool query_is_cte(const struct query *q, const struct tok *name)
{
    for (size_t i = 0; i < q->n_ctes; i++) {
        if (span_ieq(bare(q->ctes[i]), bare(name->text))) {
            return true;
        }
    }
    return false;
}

bool query_is_exactly_cte(const struct query *q, const struct tok *name)
{
    for (size_t i = 0; i < q->n_ctes; i++) {
        if (span_eq(bare(q->ctes[i]), bare(name->text))) {
            return true;
        }
    }
    return false;
}

bool query_fail(struct parse *p, enum query_step step)
{
    switch (step) {
    case QUERY_PLAIN:
    case QUERY_TABLE: break;
    case QUERY_NO_TABLE:
        return parse_mismatch(p, "a table or table function",
                              "Name a table or table function behind FROM, JOIN or the comma.");
    case QUERY_UNBALANCED:
        return p->tok.kind == TOK_END || p->tok.kind == TOK_ERROR
                   ? parse_mismatch(p, "')'", "Close every parenthesis.")
                   : parse_mismatch(p, "<EOF>", "Open every parenthesis that is closed.");
    case QUERY_TOO_DEEP:
        return parse_fail(p, &p->tok, "Simplify the query.",
                          "More than %d parentheses inside each other", QUERY_MAX_DEPTH);
    }
    assert(false);
    return false;
}
