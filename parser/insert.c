#include <assert.h>
#include <ctype.h>

#include "base/xmalloc.h"
#include "parser/parts.h"
#include "parser/query.h"

static const char SHAPE[] =
    "A streaming job runs INSERT INTO [db.]table [(columns)] SELECT ... FROM "
    "one table function such as S3(...).";

/* More is no job definition but an attack on the FE that is asked about each. */
enum { MAX_TABLES = 64 };

static void fini_table(struct stmt_table *table)
{
    free(table->catalog);
    free(table->db);
    free(table->table);
}

void stmt_insert_fini(struct stmt_insert *insert)
{
    free(insert->catalog);
    free(insert->db);
    free(insert->table);
    free(insert->tvf);
    for (size_t i = 0; i < insert->n_columns; i++) {
        free(insert->columns[i]);
    }
    free(insert->columns);
    for (size_t i = 0; i < insert->n_tables; i++) {
        fini_table(&insert->tables[i]);
    }
    free(insert->tables);
    parse_props_fini(&insert->tvf_props);
    *insert = (struct stmt_insert){0};
}

/* Reads a query from its first token to the end of the statement, looking for the one source. */

static bool take_source(struct parse *p, const struct query_table *table, size_t base,
                        struct stmt_insert *ret)
{
    size_t n = 0;
    assert(table->is_function && parse_is_op(p, "("));
    if (ret->tvf != NULL) {
        return parse_fail(p, &table->first,
                          "Keep one table function and load from the others in jobs of their own.",
                          "Only support one source in insert streaming job");
    }
    if (table->n_parts > 1) {
        return parse_fail(p, &table->first, SHAPE, "A table function has no database before it");
    }
    ret->tvf = tok_unquote(&table->name, &n);
    for (char *c = ret->tvf; *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return parse_props(p, base, &ret->tvf_props);
}

static bool is_same_name(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Takes the table over, unless it is there already. */
static void add_table(struct stmt_insert *insert, struct stmt_table table)
{
    for (size_t i = 0; i < insert->n_tables; i++) {
        const struct stmt_table *t = &insert->tables[i];
        if (is_same_name(t->catalog, table.catalog) && is_same_name(t->db, table.db) &&
            is_same_name(t->table, table.table)) {
            fini_table(&table);
            return;
        }
    }
    insert->tables = xrealloc_array(insert->tables, insert->n_tables + 1, sizeof(table));
    insert->tables[insert->n_tables++] = table;
}

/* The name that query_table() took, once more. */
static bool take_table(struct parse *p, const struct query_table *table, struct stmt_insert *ret)
{
    struct parse again = *p;
    struct parse_path path = {0};
    again.lex.at = table->first.at;
    parse_next(&again);
    if (!parse_path(&again, "a table name", SHAPE, &path)) {
        parse_path_fini(&path);
        return false;
    }
    if (ret->n_tables == MAX_TABLES) {
        parse_path_fini(&path);
        return parse_fail(p, &table->first, "Make a view of some of them.",
                          "The query of a job reads more than %d tables", MAX_TABLES);
    }
    add_table(ret, (struct stmt_table){
                       .table = take_ptr(path.parts[path.n - 1]),
                       .db = path.n > 1 ? take_ptr(path.parts[path.n - 2]) : NULL,
                       .catalog = path.n > 2 ? take_ptr(path.parts[path.n - 3]) : NULL,
                   });
    parse_path_fini(&path);
    return true;
}

/*
 * A comma behind LATERAL VIEW f(x) v AS a, b announces one more column, or the next table: only what
 * can be nothing but a column is one.
 */
static bool is_column_next(const struct parse *p)
{
    static const char *const BEHIND[] = {
        "WHERE",     "GROUP", "HAVING", "ORDER", "LIMIT",   "UNION",   "EXCEPT", "JOIN", "INNER",
        "INTERSECT", "LEFT",  "RIGHT",  "FULL",  "LATERAL", "NATURAL", "CROSS",  "ON",   NULL,
    };
    struct lex ahead = p->lex;
    struct tok name = lex_next(&ahead);
    struct tok after = lex_next(&ahead);
    return tok_is_name(&name) && (after.kind == TOK_END || tok_is_op(&after, ",") ||
                                  tok_is_op(&after, ")") || tok_is_one_of(&after, BEHIND));
}

/* query_feed(), but no table is overlooked: what it takes for grammar may be an alias to the FE. */
static enum query_step feed(struct parse *p, struct query *q)
{
    static const char *const MAY_BE_ALIAS[] = {"WINDOW", "QUALIFY", "MINUS", NULL};
    if (p->tok.kind == TOK_ERROR) {
        return QUERY_UNBALANCED;
    }
    struct query_frame *f = &q->frames[q->depth];
    bool stays_in_from = f->in_from && tok_is_one_of(&p->tok, MAY_BE_ALIAS);
    if (f->in_from && f->is_lateral && parse_is_op(p, ",")) {
        f->is_lateral = is_column_next(p);
    }
    enum query_step step = query_feed(q, &p->tok);
    f->in_from = f->in_from || stays_in_from;
    return step;
}

/* One token of a query, or a whole table or table function. */
static bool take_query_token(struct parse *p, struct query *q, size_t base, struct stmt_insert *ret)
{
    struct query_table table;
    enum query_step step = feed(p, q);
    if (step == QUERY_PLAIN) {
        parse_next(p);
        return true;
    }
    if (step != QUERY_TABLE) {
        return query_fail(p, step);
    }
    query_table(q, p, &table);
    if (table.is_function) {
        return take_source(p, &table, base, ret);
    }
    bool is_cte = table.n_parts == 1 && query_is_exactly_cte(q, &table.name);
    return is_cte || take_table(p, &table, ret);
}

/* `q` has read the WITH before the INSERT, whose names are known here. */
static bool parse_query(struct parse *p, struct query *q, size_t base, struct stmt_insert *ret)
{
    static const char *const STARTS[] = {"SELECT", "WITH", "VALUES", NULL};
    struct tok first = p->tok;
    ret->query_at = first.at - base;
    if (!tok_is_one_of(&first, STARTS) && !tok_is_op(&first, "(")) {
        return parse_mismatch(p, "{'SELECT', 'WITH', '('}", SHAPE);
    }
    query_restart(q);
    while (p->tok.kind != TOK_END) {
        if (!take_query_token(p, q, base, ret)) {
            return false;
        }
    }
    enum query_step step = query_end(q);
    if (step != QUERY_PLAIN) {
        return query_fail(p, step);
    }
    if (ret->tvf == NULL) {
        return parse_fail(p, &first, SHAPE,
                          "The query of an insert streaming job reads no table function");
    }
    return true;
}

/* WITH x AS (...), y AS (...) before INSERT; may hold the source. */
static bool parse_ctes(struct parse *p, struct query *q, size_t base, struct stmt_insert *ret)
{
    while (!(q->depth == 0 && q->frames[0].cte == QUERY_CTE_END && !parse_is_op(p, ","))) {
        if (p->tok.kind == TOK_END) {
            return parse_mismatch(p, "'INSERT'", SHAPE);
        }
        if (!take_query_token(p, q, base, ret)) {
            return false;
        }
        if (q->depth == 0 && q->frames[0].cte == QUERY_CTE_NONE) {
            return parse_mismatch(p, "'INSERT'", SHAPE);
        }
    }
    return true;
}

/* The head: table, partitions, label, columns, hints, in Doris's order. */

static bool parse_target(struct parse *p, struct stmt_insert *ret)
{
    struct parse_path path = {0};
    bool is_ok = parse_path(p, "a table name", SHAPE, &path);
    if (is_ok) {
        ret->table = take_ptr(path.parts[path.n - 1]);
        ret->db = path.n > 1 ? take_ptr(path.parts[path.n - 2]) : NULL;
        ret->catalog = path.n > 2 ? take_ptr(path.parts[path.n - 3]) : NULL;
    }
    parse_path_fini(&path);
    return is_ok;
}

/* (a, b), [a, b]: names between the token in hand and `close`. */
static bool skip_names(struct parse *p, const char *close)
{
    do {
        parse_next(p);
        if (!tok_is_name(&p->tok)) {
            return parse_mismatch(p, "a name", "List names separated by commas.");
        }
        parse_next(p);
    } while (parse_is_op(p, ","));
    return parse_expect_op(p, close, "List names separated by commas.");
}

/* (a, b) behind the table. */
static bool take_columns(struct parse *p, struct stmt_insert *ret)
{
    static const char ADVICE[] = "List names separated by commas.";
    do {
        size_t n = 0;
        parse_next(p);
        if (!tok_is_name(&p->tok)) {
            return parse_mismatch(p, "a name", ADVICE);
        }
        ret->columns = xrealloc_array(ret->columns, ret->n_columns + 1, sizeof(*ret->columns));
        ret->columns[ret->n_columns++] = tok_unquote(&p->tok, &n);
        parse_next(p);
    } while (parse_is_op(p, ","));
    return parse_expect_op(p, ")", ADVICE);
}

static bool skip_partitions(struct parse *p)
{
    static const char ADVICE[] = "Write PARTITION (p1, p2) behind the table.";
    (void)parse_take_word(p, "TEMPORARY"); /* optional */
    if (!parse_take_word(p, "PARTITION") && !parse_take_word(p, "PARTITIONS")) {
        return parse_mismatch(p, "{'PARTITION', 'PARTITIONS'}", ADVICE);
    }
    if (!parse_is_op(p, "(")) {
        _cleanup_free_ char *name = NULL;
        return parse_name(p, "a partition name", ADVICE, &name);
    }
    struct tok inside = lex_peek(&p->lex);
    if (!tok_is_op(&inside, "*")) {
        return skip_names(p, ")");
    }
    parse_next(p);
    parse_next(p);
    return parse_expect_op(p, ")", ADVICE);
}

/* WITH LABEL x, and not WITH label AS (SELECT ...). */
static bool is_label(const struct parse *p)
{
    struct lex ahead = p->lex;
    struct tok word = lex_next(&ahead);
    struct tok name = lex_next(&ahead);
    return parse_is_word(p, "WITH") && tok_is_word(&word, "LABEL") && !tok_is_word(&name, "AS") &&
           !tok_is_op(&name, "(");
}

static bool parse_label(struct parse *p, size_t base, struct stmt_insert *ret)
{
    _cleanup_free_ char *label = NULL;
    ret->label_at = p->last_end - base;
    ret->label_end = ret->label_at;
    if (!is_label(p)) {
        return true;
    }
    ret->label_at = p->tok.at - base;
    parse_next(p);
    parse_next(p);
    ret->label_end = tok_end(&p->tok) - base;
    return parse_name(p, "a label", "Write WITH LABEL `label`; sluice puts its own in its place.",
                      &label);
}

/* An opening parenthesis is a list of columns unless a query stands in it. */
static bool is_columns(const struct parse *p)
{
    struct tok inside = lex_peek(&p->lex);
    return parse_is_op(p, "(") && !tok_is_op(&inside, "(") && !tok_is_word(&inside, "SELECT") &&
           !tok_is_word(&inside, "WITH") && !tok_is_word(&inside, "VALUES");
}

static bool parse_columns_and_hints(struct parse *p, struct stmt_insert *ret)
{
    if (is_columns(p) && !take_columns(p, ret)) {
        return false;
    }
    if (is_label(p)) {
        return parse_fail(p, &p->tok, "Write it between the table and the column list.",
                          "mismatched input 'WITH' expecting {'SELECT', '['}: WITH LABEL is in "
                          "the wrong place");
    }
    return !parse_is_op(p, "[") || skip_names(p, "]");
}

static bool parse_head(struct parse *p, size_t base, struct stmt_insert *ret)
{
    if (!parse_target(p, ret)) {
        return false;
    }
    bool is_partition = parse_is_word(p, "PARTITION") || parse_is_word(p, "PARTITIONS") ||
                        parse_is_word(p, "TEMPORARY");
    if (is_partition && !skip_partitions(p)) {
        return false;
    }
    return parse_label(p, base, ret) && parse_columns_and_hints(p, ret);
}

/* Doris's words, which come before any look at the query. */
static bool fail_not_insert(struct parse *p)
{
    if (p->tok.kind == TOK_ERROR || p->tok.kind == TOK_END) {
        return parse_mismatch(p, "'INSERT'", SHAPE);
    }
    return parse_fail(p, &p->tok, SHAPE, "Only support insert command, not '%s'",
                      parse_show(&p->tok).text);
}

static bool parse_insert_into(struct parse *p)
{
    if (!parse_is_word(p, "INSERT")) {
        return fail_not_insert(p);
    }
    parse_next(p);
    if (parse_is_word(p, "OVERWRITE")) {
        return parse_fail(p, &p->tok,
                          "It would replace the rows of earlier tasks: use INSERT INTO.",
                          "Only support insert command, not INSERT OVERWRITE");
    }
    return parse_expect_word(p, "INTO", SHAPE);
}

/*
 * To some Doris a comment ends elsewhere: 2.0 neither nests them nor continues a line behind a
 * backslash, and a hint is made of tokens. What is a comment to us must not be code, and perhaps
 * tables, to the FE, so that what they do not agree about is refused.
 */
static bool is_hint_closed(struct span inside)
{
    struct lex lex = lex_of(inside);
    struct tok t = lex_next(&lex);
    while (t.kind != TOK_END && t.kind != TOK_ERROR) {
        t = lex_next(&lex);
    }
    return t.kind == TOK_END && memchr(inside.p, '#', inside.n) == NULL &&
           memmem(inside.p, inside.n, "--", 2) == NULL;
}

/* Behind the block comment at the start of `rest`; NULL when Doris may see another end. */
static const char *block_end(struct span rest)
{
    const char *end = rest.p + rest.n;
    const char *p = rest.p + 2;
    const char *close = memmem(p, (size_t)(end - p), "*/", 2);
    if (close == NULL || memmem(p, (size_t)(close - p), "/*", 2) != NULL) {
        return NULL;
    }
    while (lex_is_blank(*p)) {
        p++;
    }
    return *p == '+' && !is_hint_closed(span_between(p + 1, close)) ? NULL : close + 2;
}

/* The same for a line comment. */
static const char *line_end(struct span rest)
{
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '\n' && rest.p[n] != '\r') {
        n++;
    }
    return n < rest.n && rest.p[n] == '\n' && rest.p[n - 1] == '\\' ? NULL : rest.p + n;
}

/* The blanks and comments between two tokens. */
static bool is_gap_plain(struct span gap)
{
    const char *end = gap.p + gap.n;
    const char *p = gap.p;
    while (p != NULL && p < end) {
        bool is_line = *p == '#' || *p == '-';
        bool is_block = *p == '/';
        p = is_line    ? line_end(span_between(p, end))
            : is_block ? block_end(span_between(p, end))
                       : p + 1;
    }
    return p != NULL;
}

/* From offset `base` to where the INSERT ends. */
static bool check_comments(struct parse *p, size_t base)
{
    struct lex lex = p->lex;
    size_t at = base;
    lex.at = base;
    while (at < p->last_end) {
        struct tok t = lex_next(&lex);
        if (!is_gap_plain((struct span){p->lex.text.p + at, t.at - at})) {
            return parse_fail(p, &t, "Leave them out of the INSERT of a job.",
                              "Before this is a comment within a comment, a line comment that ends "
                              "with a backslash, or a hint with an open quote or a comment");
        }
        at = tok_end(&t);
    }
    return true;
}

bool insert_parse(struct parse *p, struct stmt_insert *ret)
{
    size_t base = p->tok.at;
    struct query q;
    query_init(&q);
    assert(ret->table == NULL && ret->tvf == NULL && ret->tvf_props.n == 0 && ret->n_columns == 0);
    if (parse_is_word(p, "WITH") && !parse_ctes(p, &q, base, ret)) {
        return false;
    }
    ret->insert_at = p->tok.at - base;
    if (!parse_insert_into(p) || !parse_head(p, base, ret) || !parse_query(p, &q, base, ret) ||
        !check_comments(p, base)) {
        return false;
    }
    ret->text = (struct span){p->lex.text.p + base, p->last_end - base};
    assert(ret->table != NULL && ret->tvf != NULL);
    assert(ret->label_at <= ret->label_end && ret->label_end < ret->text.n);
    return true;
}

bool stmt_parse_insert(struct span text, struct stmt_insert *ret, struct err *err)
{
    struct lex lex = lex_of(text);
    struct span statement = {text.n > 0 ? text.p : "", 0};
    struct span second = {0};
    struct stmt_insert insert = {0};
    (void)lex_statement(&lex, &statement); /* an empty one gets the parser's error */
    struct parse p = parse_of(text.n > 0 ? text : statement, statement, err);
    bool is_ok = insert_parse(&p, &insert);
    if (is_ok && lex_statement(&lex, &second)) {
        is_ok = err_say(err, "errCode = 2, detailMessage = a job runs one INSERT, and another "
                             "statement follows it. Make it a job of its own.");
    }
    if (!is_ok) {
        stmt_insert_fini(&insert);
        return false;
    }
    *ret = insert;
    return true;
}
