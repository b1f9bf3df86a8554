#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "proxy/viewsql.h"
#include "proxy/viewsql_parts.h"

enum {
    SQL_MAX_BYTES = 256 * 1024,  /* a token takes some 100 bytes of memory */
    STEPS_MAX = 4 * 1000 * 1000, /* some 50 ms */
};

/* --- tokens ----------------------------------------------------------------------------------- */

static bool is_letter(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Behind the quotes that close; a doubled one does not. */
static size_t quoted_size(struct span s)
{
    size_t n = 1;
    while (n < s.n && (s.p[n] != s.p[0] || (n + 1 < s.n && s.p[n + 1] == s.p[0]))) {
        n += s.p[n] == s.p[0] ? 2 : 1;
    }
    return n < s.n ? n + 1 : s.n;
}

static size_t number_size(struct span s)
{
    size_t n = 0;
    while (n < s.n && (is_letter(s.p[n]) || s.p[n] == '.' ||
                       ((s.p[n] == '-' || s.p[n] == '+') && n > 0 && (s.p[n - 1] | 0x20) == 'e'))) {
        n++;
    }
    return n;
}

static size_t op_size(struct span s)
{
    static const char *const ops[] = {"<=", ">=", "<>", "!=", "==", "||", "<<", ">>"};
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        if (span_starts_with(s, ops[i])) {
            return 2;
        }
    }
    return 1;
}

static struct token next_token(struct span s)
{
    struct token t = {.partner = NOWHERE,
                      .names_column = NOWHERE,
                      .before = "",
                      .after = "",
                      .next_alias = NOWHERE};
    char c = s.p[0];
    size_t n = 0;
    if (c == '\'' || c == '"' || c == '`') {
        t.kind = c == '\'' ? TOKEN_STRING : TOKEN_QUOTED;
        n = quoted_size(s);
    } else if (isdigit((unsigned char)c) ||
               (c == '.' && s.n > 1 && isdigit((unsigned char)s.p[1]))) {
        t.kind = TOKEN_NUMBER;
        n = number_size(s);
    } else if (is_letter(c)) {
        t.kind = TOKEN_WORD;
        while (n < s.n && is_letter(s.p[n])) {
            n++;
        }
    } else {
        t.kind = TOKEN_OP;
        n = op_size(s);
    }
    t.text = (struct span){s.p, n};
    t.out = t.text;
    return t;
}

/* Each open parenthesis waits with the one around it as its partner. */
static void pair_parentheses(struct tokens *t)
{
    int open = NOWHERE;
    int depth = 0;
    for (int i = 0; i < t->n; i++) {
        struct token *k = &t->items[i];
        bool is_close = is_op(t, i, ")") && open != NOWHERE;
        depth -= is_close;
        k->depth = depth;
        if (is_op(t, i, "(")) {
            k->partner = open;
            open = i;
            depth++;
        } else if (is_close) {
            int around = t->items[open].partner;
            t->items[open].partner = i;
            k->partner = open;
            open = around;
        }
    }
    while (open != NOWHERE) { /* never closed */
        int around = t->items[open].partner;
        t->items[open].partner = NOWHERE;
        open = around;
    }
}

static struct tokens take_tokens(struct span sql)
{
    struct tokens t = {.items = xcalloc(sql.n + 1, sizeof(struct token)),
                       .last_alias = NOWHERE,
                       .n_steps_left = STEPS_MAX};
    struct span rest = span_trim(sql);
    while (rest.n > 0) {
        t.items[t.n] = next_token(rest);
        rest = span_between(rest.p + t.items[t.n].text.n, rest.p + rest.n);
        while (rest.n > 0 && isspace((unsigned char)rest.p[0])) {
            rest = (struct span){rest.p + 1, rest.n - 1};
        }
        t.n++;
    }
    pair_parentheses(&t);
    return t;
}

/* --- names of columns ------------------------------------------------------------------------- */

static bool has_alias(const struct tokens *t, int first, int last)
{
    static const char *const operators[] = {"DIV",    "MOD",    "AND", "OR", "NOT",
                                            "LIKE",   "IS",     "IN",  "IS", "BETWEEN",
                                            "REGEXP", "ESCAPE", NULL};
    for (int i = first; i < last; i++) {
        if (t->items[i].depth == t->items[first].depth && is_word(t, i, "AS")) {
            return true;
        }
    }
    bool is_name = t->items[last].kind != TOKEN_OP && t->items[last].kind != TOKEN_NUMBER &&
                   !is_word(t, last, "END") && !t->items[last].is_changed;
    return is_name && last > first && ends_value(t, last - 1) &&
           !(is_kind(t, last - 1, TOKEN_WORD) && is_one_of(t->items[last - 1].text, operators));
}

static void name_column(struct tokens *t, int first, int last)
{
    bool is_changed = false;
    for (int i = first; i <= last; i++) {
        is_changed = is_changed || t->items[i].is_changed;
    }
    if (is_changed && !has_alias(t, first, last)) {
        t->items[last].names_column = first;
    }
}

/* Of the first SELECT outside of parentheses: its names are the result's. */
static void name_columns(struct tokens *t)
{
    static const char *const ends[] = {"FROM",      "WHERE", "UNION", "EXCEPT",
                                       "INTERSECT", "ORDER", "LIMIT", NULL};
    int i = 0;
    while (i < t->n && (t->items[i].depth > 0 || !is_word(t, i, "SELECT"))) {
        i++;
    }
    i += 1 + (is_word(t, i + 1, "DISTINCT") || is_word(t, i + 1, "ALL"));
    int first = i;
    for (; i < t->n && first < t->n; i++) {
        bool is_outer = t->items[i].depth == 0;
        bool is_end = is_outer && t->items[i].kind == TOKEN_WORD &&
                      is_one_of(t->items[i].text, ends) && !t->items[i].is_changed;
        if ((is_end || (is_outer && is_op(t, i, ","))) && i > first) {
            name_column(t, first, i - 1);
            first = i + 1;
        }
        if (is_end) {
            return;
        }
    }
    if (first < t->n) {
        name_column(t, first, t->n - 1);
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_name(const struct tokens *t, int last, struct buf *out)
{
    const struct token *from = &t->items[t->items[last].names_column];
    const struct token *to = &t->items[last];
    buf_append_text(out, " AS \"");
    for (const char *p = from->text.p; p < to->text.p + to->text.n; p++) {
        buf_append(out, p, 1);
        if (*p == '"') {
            buf_append_char(out, '"');
        }
    }
    buf_append_char(out, '"');
}

static void put_tokens(const struct tokens *t, struct buf *out)
{
    for (int i = 0; i < t->n; i++) {
        const struct token *k = &t->items[i];
        bool had_blank = i > 0 && k->text.p > t->items[i - 1].text.p + t->items[i - 1].text.n;
        bool was_changed = i > 0 && t->items[i - 1].is_changed;
        if (i > 0 && !k->is_glued && (had_blank || k->is_changed || was_changed)) {
            buf_append_char(out, ' ');
        }
        buf_append_text(out, k->before);
        buf_append_span(out, k->out);
        buf_append_text(out, k->after);
        if (k->names_column != NOWHERE) {
            put_name(t, i, out);
        }
    }
}

char *viewsql_adapt(const char *sql, enum viewsql_trust *ret_trust)
{
    *ret_trust = VIEWSQL_OTHER;
    if (strlen(sql) > SQL_MAX_BYTES) {
        return xstrdup(sql);
    }
    struct tokens t = take_tokens(span_of(sql));
    viewsql_adapt_comparisons(&t);
    viewsql_adapt_grammar(&t);
    name_columns(&t);
    struct buf out = buf_with_max(SIZE_MAX); /* a few times as long as `sql` */
    put_tokens(&t, &out);
    *ret_trust = t.trust;
    free(t.items);
    return buf_take_text(&out);
}
