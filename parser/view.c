#include <assert.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/parts.h"
#include "parser/query.h"

/*
 * The quick look: is there a word job, jobs or tasks with a parenthesis behind it? Every such word
 * has a j or a k, which are rare, and (c | 0x21) is 0x6b for j, k, J and K alone: eight bytes are
 * looked at together, about 0.1 µs for a KB.
 */

static bool is_view_name(struct span name)
{
    return span_ieq_text(name, "jobs") || span_ieq_text(name, "tasks") ||
           span_ieq_text(name, "job");
}

static bool is_letter_at(struct span text, size_t at, char lower)
{
    return at < text.n && (text.p[at] | 0x20) == lower;
}

/* The word job, jobs or tasks whose j or k is at `at`, apart from what is around it; or nothing. */
static struct span name_around(struct span text, size_t at)
{
    if (is_letter_at(text, at, 'j')) {
        bool is_job = is_letter_at(text, at + 1, 'o') && is_letter_at(text, at + 2, 'b');
        return (struct span){text.p + at, is_job ? 3U + is_letter_at(text, at + 3, 's') : 0};
    }
    bool is_tasks = at >= 3 && is_letter_at(text, at, 'k') && is_letter_at(text, at + 1, 's') &&
                    is_letter_at(text, at - 1, 's') && is_letter_at(text, at - 2, 'a') &&
                    is_letter_at(text, at - 3, 't');
    return is_tasks ? (struct span){text.p + at - 3, 5} : (struct span){0};
}

/* Is the j or k at `at` part of such a word? A comment behind the word is a "perhaps". */
static bool is_call_at(struct span text, size_t at)
{
    struct span name = name_around(text, at);
    if (name.n == 0) {
        return false;
    }
    size_t end = (size_t)(name.p - text.p) + name.n;
    if ((name.p > text.p && lex_is_letter(name.p[-1])) ||
        (end < text.n && lex_is_letter(text.p[end]))) {
        return false;
    }
    if (end < text.n && text.p[end] == '`') {
        end++;
    }
    while (end < text.n && (text.p[end] == ' ' || (text.p[end] >= '\t' && text.p[end] <= '\r'))) {
        end++;
    }
    static const char AFTER[] = "(/-#";
    return end < text.n && memchr(AFTER, text.p[end], sizeof(AFTER) - 1) != NULL;
}

static bool is_rare_letter(char c)
{
    return ((unsigned char)c | 0x21) == 0x6b;
}

bool view_is_candidate(struct span text)
{
    const uint64_t ones = UINT64_MAX / 0xff; /* 0x0101... */
    size_t at = 0;
    while (at < text.n) {
        uint64_t word = 0;
        size_t n = text.n - at < sizeof(word) ? text.n - at : sizeof(word);
        memcpy(&word, text.p + at, n);
        uint64_t zero_is_hit = (word | ones * 0x21) ^ ones * 0x6b;
        if (((zero_is_hit - ones) & ~zero_is_hit & ones * 0x80) != 0) {
            for (size_t i = at; i < at + n; i++) {
                if (is_rare_letter(text.p[i]) && is_call_at(text, i)) {
                    return true;
                }
            }
        }
        at += n;
    }
    return false;
}

/* The second look, at a candidate: is the word outside of strings and comments? */
static bool is_call_in_code(struct span text)
{
    static const bool STOPS[256] = {
        ['j'] = true, ['k'] = true, ['J'] = true, ['K'] = true, ['`'] = true,
    };
    size_t at = lex_skim(text, 0, STOPS);
    while (at < text.n) {
        bool is_quoted = text.p[at] == '`';
        if (is_quoted ? (is_call_at(text, at + 1) || is_call_at(text, at + 4))
                      : is_call_at(text, at)) {
            return true;
        }
        at = lex_skim(text, lex_skip(text, at), STOPS);
    }
    return false;
}

/* The rewriting. */

struct view_frame {
    bool is_list;    /* of IN (a, b) */
    bool is_between; /* the next AND belongs to a BETWEEN */
};

struct view {
    struct parse *p; /* borrowed */
    struct query q;
    struct view_frame frames[QUERY_MAX_DEPTH];
    struct buf out;
    bool wants_blank;    /* an operator became a word: it needs room */
    size_t end;          /* of the token written last */
    struct tok prev;     /* the token before the one in hand; TOK_END at the start */
    struct tok prev2;    /* and before that */
    bool is_between_and; /* prev is the AND of a BETWEEN */
    bool is_wrap;        /* prev is a parenthesis that was wrapped */
    bool is_claimed;     /* jobs() or tasks() of type insert, or of arguments nobody knows */
    bool is_for_fe;      /* another table is named, or SQLite would misread something */
    struct stmt_view_place *places; /* owned */
    size_t n_places;
    bool uses_jobs;
    bool uses_tasks;
};

static const char *const SET_OPERATORS[] = {"UNION", "EXCEPT", "INTERSECT", "MINUS", NULL};
static const char *const QUERY_STARTS[] = {"SELECT", "WITH", "VALUES", NULL};

/* Writing. */

/* `text` for token t; a blank before it where the user had one or where tokens would melt. */
static void put(struct view *v, const struct tok *t, struct span text)
{
    char last = v->out.len > 0 ? v->out.data[v->out.len - 1] : '(';
    bool is_word = lex_is_letter(last) || last == '\'' || last == '"' || last == '`';
    bool would_melt = is_word && (lex_is_letter(text.p[0]) || strchr("'\"`", text.p[0]) != NULL);
    if (v->out.len > 0 && (t->at > v->end || v->wants_blank || would_melt)) {
        buf_append_char(&v->out, ' ');
    }
    buf_append_span(&v->out, text);
    v->end = tok_end(t);
    v->wants_blank = false;
}

static void put_string(struct view *v, const struct tok *t)
{
    size_t n = 0;
    _cleanup_free_ char *text = tok_unquote(t, &n);
    _cleanup_buf_ struct buf literal = buf_with_max(2 * n + sizeof("'' ESCAPE '\\'"));
    struct tok next = lex_peek(&v->p->lex);
    bool is_pattern = tok_is_word(&v->prev, "LIKE") && memchr(text, '\\', n) != NULL;
    v->is_for_fe = v->is_for_fe || memchr(text, '\0', n) != NULL; /* '\0': no SQLite text has one */
    buf_append_char(&literal, '\'');
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\'') {
            buf_append_char(&literal, '\'');
        }
        if (text[i] != '\0') {
            buf_append_char(&literal, text[i]);
        }
    }
    buf_append_char(&literal, '\'');
    if (is_pattern && !tok_is_word(&next, "ESCAPE")) {
        buf_append_text(&literal, " ESCAPE '\\'"); /* which Doris implies */
    }
    assert(buf_ok(&literal));
    put(v, t, buf_span(&literal));
}

static void put_quoted(struct view *v, const struct tok *t)
{
    _cleanup_buf_ struct buf quoted = buf_with_max(t->text.n + 2);
    buf_append_char(&quoted, '"');
    buf_append_span(&quoted, t->text);
    buf_append_char(&quoted, '"');
    put(v, t, buf_span(&quoted));
}

/* Without the type letters that SQLite does not know: 12L, 1.5BD. */
static void put_number(struct view *v, const struct tok *t)
{
    struct span digits = t->text;
    while (digits.n > 1 && strchr("lLsSyYbBdD", digits.p[digits.n - 1]) != NULL) {
        digits.n--;
    }
    put(v, t, digits);
}

/* Bare words behind a comparison. */

static bool is_comparison(const struct tok *t)
{
    static const char *const OPS[] = {"=", "==", "<=>", "<>", "!=", "<",
                                      ">", "<=", ">=",  "!<", "!>"};
    for (size_t i = 0; i < ARRAY_SIZE(OPS); i++) {
        if (tok_is_op(t, OPS[i])) {
            return true;
        }
    }
    return false;
}

/* A word that can only be a name or a text: neither grammar, nor a function, nor part of a.b. */
static bool is_bare_word(const struct tok *t, const struct tok *next)
{
    static const char *const SPECIAL[] = {"CURRENT_DATE",
                                          "CURRENT_TIME",
                                          "CURRENT_TIMESTAMP",
                                          "LOCALTIME",
                                          "END",
                                          "ESCAPE",
                                          "LOCALTIMESTAMP",
                                          "ANY",
                                          "SOME",
                                          NULL};
    return t->kind == TOK_WORD && !parse_is_reserved(t) && !tok_is_one_of(t, SPECIAL) &&
           !tok_is_op(next, ".") && !tok_is_op(next, "(") && next->kind != TOK_STRING;
}

/*
 * Right of a comparison only: a misspelt column on its left shall stay an error of SQLite and not
 * become a text that equals nothing.
 */
static bool is_operand(const struct view *v, const struct tok *next)
{
    static const char *const WORDS[] = {"LIKE", "RLIKE", "REGEXP", "BETWEEN", NULL};
    if (is_comparison(&v->prev) || tok_is_one_of(&v->prev, WORDS) || v->is_between_and) {
        return true;
    }
    return v->frames[v->q.depth].is_list &&
           (tok_is_op(&v->prev, "(") || tok_is_op(&v->prev, ",")) &&
           (tok_is_op(next, ",") || tok_is_op(next, ")"));
}

/* CURRENT_USER, DATE '2026-01-01': SQLite would take the word for a column or a text. */
static bool is_fe_word(const struct view *v, const struct tok *t, const struct tok *next)
{
    static const char *const USERS[] = {"CURRENT_USER", "SESSION_USER", NULL};
    static const char *const TYPES[] = {"DATE", "DATEV1", "DATEV2", "TIMESTAMP", NULL};
    return !tok_is_op(&v->prev, ".") && !tok_is_op(next, ".") &&
           (tok_is_one_of(t, USERS) || (tok_is_one_of(t, TYPES) && next->kind == TOK_STRING));
}

static void put_word(struct view *v, const struct tok *t)
{
    struct tok next = lex_peek(&v->p->lex);
    v->is_for_fe = v->is_for_fe || is_fe_word(v, t, &next);
    bool after_set = tok_is_one_of(&v->prev, SET_OPERATORS);
    bool is_parameter = t->text.p[0] == '$'; /* to SQLite */
    if (is_parameter || (is_bare_word(t, &next) && is_operand(v, &next))) {
        put_quoted(v, t);
    } else if (after_set && tok_is_word(t, "DISTINCT")) {
        v->end = tok_end(t); /* SQLite's UNION is distinct and has no word for it */
    } else if (tok_is_word(t, "MINUS")) {
        put(v, t, SPAN_LIT("EXCEPT"));
    } else if (tok_is_word(t, "RLIKE")) {
        put(v, t, SPAN_LIT("REGEXP"));
    } else {
        put(v, t, t->text);
    }
}

static const struct {
    const char *from;
    const char *to;
} OPERATORS[] = {
    {"<=>", "IS"}, {"&&", "AND"}, {"||", "OR"}, {"!<", ">="}, {"!>", "<="}, {"!", "NOT"},
};

static void put_op(struct view *v, const struct tok *t)
{
    static const char KNOWN[] = " ( ) , . + - * / % < > = <= >= <> != == & | ~ ? ^ ";
    char padded[8] = " ";
    for (size_t i = 0; i < ARRAY_SIZE(OPERATORS); i++) {
        if (tok_is_op(t, OPERATORS[i].from)) {
            v->wants_blank = true;
            put(v, t, span_of(OPERATORS[i].to));
            v->wants_blank = true;
            return;
        }
    }
    assert(t->text.n <= 3);
    memcpy(padded + 1, t->text.p, t->text.n);
    padded[t->text.n + 1] = ' ';
    bool is_known = memchr(t->text.p, '\0', t->text.n) == NULL && strstr(KNOWN, padded) != NULL;
    v->is_for_fe = v->is_for_fe || !is_known;
    put(v, t, t->text);
}

/* Does a parenthesis here hold a whole operand of UNION, which SQLite does not allow? */
static bool is_operand_paren(const struct view *v)
{
    struct tok next = lex_peek(&v->p->lex);
    bool at_start = v->prev.kind == TOK_END || tok_is_one_of(&v->prev, SET_OPERATORS) ||
                    (tok_is_one_of(&v->prev2, SET_OPERATORS) &&
                     (tok_is_word(&v->prev, "ALL") || tok_is_word(&v->prev, "DISTINCT"))) ||
                    v->is_wrap;
    return at_start && (tok_is_one_of(&next, QUERY_STARTS) || tok_is_op(&next, "("));
}

/* The token in hand, which the walker has seen. */
static void put_token(struct view *v)
{
    const struct tok *t = &v->p->tok;
    struct view_frame *f = &v->frames[v->q.depth];
    bool is_open = tok_is_op(t, "(");
    bool is_wrap = is_open && is_operand_paren(v);
    bool is_between_and = f->is_between && tok_is_word(t, "AND");
    if (is_open) {
        *f = (struct view_frame){.is_list = tok_is_word(&v->prev, "IN")};
    }
    if (is_wrap) {
        put(v, t, SPAN_LIT("SELECT * FROM ("));
    } else if (t->kind == TOK_STRING) {
        put_string(v, t);
    } else if (t->kind == TOK_WORD) {
        put_word(v, t);
    } else if (t->kind == TOK_NUMBER) {
        put_number(v, t);
    } else if (t->kind == TOK_OP) {
        put_op(v, t);
    } else {
        put(v, t, t->text);
    }
    f->is_between = (f->is_between && !is_between_and) || tok_is_word(t, "BETWEEN");
    v->is_between_and = is_between_and;
    v->is_wrap = is_wrap;
}

static void advance(struct view *v)
{
    v->prev2 = v->prev;
    v->prev = v->p->tok;
    parse_next(v->p);
}

/* Tables. */

static const struct stmt_prop *find_type(const struct stmt_props *props)
{
    for (size_t i = 0; i < props->n; i++) {
        if (span_ieq_text(span_of(props->items[i].key), "type")) {
            return &props->items[i];
        }
    }
    return NULL;
}

static const char ARGS_ADVICE[] = "Write jobs(\"type\"=\"insert\") or tasks(\"type\"=\"insert\").";

/* Ours when it says type = insert; *ret_is_ours false when it is the FE's. */
static bool check_args(struct view *v, const struct query_table *table,
                       const struct stmt_props *props, bool *ret_is_ours)
{
    const struct stmt_prop *type = find_type(props);
    *ret_is_ours = true;
    if (type != NULL && !span_ieq_text(span_of(type->value), "insert")) {
        *ret_is_ours = false;
        return true;
    }
    for (size_t i = 0; i < props->n; i++) {
        if (&props->items[i] != type) {
            struct tok key = {.kind = TOK_WORD, .text = span_of(props->items[i].key)};
            return parse_fail(v->p, &table->first, ARGS_ADVICE, "'%s' is invalid property",
                              parse_show(&key).text);
        }
    }
    bool is_tasks = span_ieq_text(table->name.text, "tasks");
    return type != NULL || parse_fail(v->p, &table->first, ARGS_ADVICE, "Invalid %s metadata query",
                                      is_tasks ? "task" : "job");
}

static void add_place(struct view *v, struct stmt_view_place place)
{
    v->places = xrealloc_array(v->places, v->n_places + 1, sizeof(*v->places));
    v->places[v->n_places++] = place;
}

static void put_view(struct view *v, const struct query_table *table, bool is_job, bool is_tasks)
{
    static const char *const CLAUSES[] = {"QUALIFY", "WINDOW", NULL}; /* which are not reserved */
    const struct tok *t = &v->p->tok;                                 /* behind the parenthesis */
    bool has_alias = tok_is_word(t, "AS") ||
                     (tok_is_name(t) && !parse_is_reserved(t) && !tok_is_one_of(t, CLAUSES));
    assert(!(is_job && is_tasks) && v->p->last_end > table->first.at);
    add_place(v, (struct stmt_view_place){
                     .at = table->first.at,
                     .end = v->p->last_end,
                     .is_tasks = is_tasks,
                     .alias = has_alias  ? NULL
                              : is_tasks ? "tasks"
                              : is_job   ? "job"
                                         : "jobs",
                 });
    put(v, &table->first, is_tasks ? SPAN_LIT("tasks") : SPAN_LIT("jobs"));
    if (is_job && !has_alias) {
        buf_append_text(&v->out, " AS job");
    }
    v->end = v->p->last_end;
    v->uses_tasks = v->uses_tasks || is_tasks;
    v->uses_jobs = v->uses_jobs || !is_tasks;
}

static struct span bare_name(const struct tok *t)
{
    return t->kind == TOK_QUOTED ? (struct span){t->text.p + 1, t->text.n - 2} : t->text;
}

static bool take_view(struct view *v, const struct query_table *table, struct span name)
{
    struct stmt_props props = {0};
    bool is_ours = false;
    bool is_ok = parse_props(v->p, 0, &props) && check_args(v, table, &props, &is_ours);
    v->is_claimed = v->is_claimed || !is_ok || is_ours;
    if (is_ok && is_ours) {
        put_view(v, table, span_ieq_text(name, "job"), span_ieq_text(name, "tasks"));
    } else {
        v->is_for_fe = true;
    }
    parse_props_fini(&props);
    return is_ok;
}

static bool take_table(struct view *v)
{
    struct query_table table;
    query_table(&v->q, v->p, &table);
    struct span name = bare_name(&table.name);
    if (table.is_function && table.n_parts == 1 && is_view_name(name)) {
        if (!take_view(v, &table, name)) {
            return false;
        }
    } else {
        bool is_cte = table.n_parts == 1 && !table.is_function && query_is_cte(&v->q, &table.name);
        v->is_for_fe = v->is_for_fe || !is_cte;
        put(v, &table.first, table.first.text);
    }
    v->prev2 = v->prev;
    v->prev = table.name;
    return true;
}

/* WITH jobs AS (...): SQLite would read it where the function stands. */
static bool hides_view(const struct query_frame *f)
{
    struct span name = f->cte_name;
    if (name.n >= 2 && name.p[0] == '`') {
        name = (struct span){name.p + 1, name.n - 2};
    }
    return f->cte == QUERY_CTE_NAMED && is_view_name(name);
}

/* One token, one table, or FROM DUAL, which is nothing to Doris. False: stop, err is filled. */
static bool take_token(struct view *v)
{
    struct parse *p = v->p;
    struct tok next = lex_peek(&p->lex);
    if (parse_is_word(p, "FROM") && tok_is_word(&next, "DUAL")) {
        parse_next(p);
        parse_next(p);
        return true;
    }
    enum query_step step = p->tok.kind == TOK_ERROR ? QUERY_UNBALANCED : query_feed(&v->q, &p->tok);
    if (step == QUERY_TABLE) {
        return take_table(v);
    }
    if (step != QUERY_PLAIN) {
        return query_fail(p, step);
    }
    v->is_for_fe = v->is_for_fe || parse_is_word(p, "INTO") || hides_view(&v->q.frames[v->q.depth]);
    put_token(v);
    advance(v);
    return true;
}

/* WITH x AS (...) INSERT, UPDATE, DELETE: not a query. */
static bool is_change(const struct view *v)
{
    static const char *const WORDS[] = {"INSERT", "UPDATE", "DELETE", "MERGE", NULL};
    return v->q.depth == 0 && tok_is_one_of(&v->p->tok, WORDS) &&
           v->q.frames[0].cte == QUERY_CTE_END;
}

static bool check_whole(struct view *v)
{
    enum query_step step = query_end(&v->q);
    return step == QUERY_PLAIN || query_fail(v->p, step);
}

static enum stmt_verdict rewrite(struct view *v)
{
    bool is_ok = true;
    while (is_ok && v->p->tok.kind != TOK_END) {
        if (is_change(v)) {
            return STMT_FOREIGN;
        }
        is_ok = take_token(v);
    }
    if (!v->is_claimed) {
        return STMT_FOREIGN; /* whatever is wrong with it, the FE says */
    }
    return is_ok && check_whole(v) ? STMT_OURS : STMT_BAD;
}

/* The text is kept as a C string, and places in it count from its start. */
static enum stmt_verdict refuse_nul(struct parse *p)
{
    struct span text = p->lex.text;
    const char *nul = memchr(text.p, '\0', text.n);
    if (nul == NULL) {
        return STMT_OURS;
    }
    struct tok at = {.kind = TOK_OP, .at = (size_t)(nul - text.p), .text = {nul, 1}};
    (void)parse_fail(p, &at, "Write it without NUL; in a string that is \\0.",
                     "A query over jobs() or tasks() contains a NUL byte");
    return STMT_BAD;
}

/* Is the token in hand the first of a query? The WITH of WITH LABEL is not. */
static bool begins_query(const struct parse *p)
{
    struct tok next = lex_peek(&p->lex);
    if (parse_is_word(p, "WITH")) {
        return !tok_is_word(&next, "LABEL");
    }
    bool is_paren = tok_is_op(&p->tok, "(");
    return parse_is_word(p, "SELECT") ||
           (is_paren && (tok_is_op(&next, "(") || tok_is_one_of(&next, QUERY_STARTS)));
}

/* Takes what stands before the query of an INSERT, CREATE TABLE or EXPLAIN; false: it has none. */
static bool seek_query(struct parse *p)
{
    size_t depth = 0;
    while (p->tok.kind != TOK_END && p->tok.kind != TOK_ERROR) {
        if (depth == 0 && (begins_query(p) || parse_is_word(p, "VALUES"))) {
            return !parse_is_word(p, "VALUES");
        }
        depth += tok_is_op(&p->tok, "(");
        depth -= tok_is_op(&p->tok, ")") && depth > 0;
        parse_next(p);
    }
    return false;
}

enum stmt_verdict view_parse(struct parse *p, struct stmt_view *ret)
{
    if (!is_call_in_code(p->lex.text)) {
        return STMT_FOREIGN;
    }
    struct view v = {.p = p, .out = buf_with_max(8 * p->lex.text.n + 64)};
    v.is_for_fe = !begins_query(p);
    if (v.is_for_fe && !seek_query(p)) {
        return STMT_FOREIGN;
    }
    query_init(&v.q);
    enum stmt_verdict verdict = rewrite(&v);
    verdict = verdict == STMT_OURS ? refuse_nul(p) : verdict;
    if (verdict == STMT_OURS) {
        assert(buf_ok(&v.out));
        assert(v.n_places > 0);
        *ret = (struct stmt_view){
            .sql = v.is_for_fe ? NULL : buf_take_text(&v.out),
            .text = span_dup(p->lex.text),
            .places = take_ptr(v.places),
            .n_places = v.n_places,
            .uses_jobs = v.uses_jobs,
            .uses_tasks = v.uses_tasks,
        };
    }
    free(v.places);
    buf_fini(&v.out);
    return verdict;
}

void view_fini(struct stmt_view *view)
{
    free(view->sql);
    free(view->text);
    free(view->places);
}
