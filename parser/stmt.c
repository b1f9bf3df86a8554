#include <assert.h>

#include "base/xmalloc.h"
#include "parser/parts.h"

void stmt_fini(struct stmt *s)
{
    switch (s->kind) {
    case STMT_CREATE_JOB:
    case STMT_EXPLAIN_CREATE: create_fini(&s->u.create); break;
    case STMT_ALTER_JOB: alter_fini(&s->u.alter); break;
    case STMT_PAUSE_JOB:
    case STMT_RESUME_JOB:
    case STMT_DROP_JOB:
    case STMT_RESOLVE_TASK:
    case STMT_CANCEL_TASK:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB: free(s->u.job.name); break;
    case STMT_VIEW_QUERY: free(s->u.view.sql); break;
    }
    *s = (struct stmt){0};
}

struct stmt_insert *stmt_insert(struct stmt *s)
{
    switch (s->kind) {
    case STMT_CREATE_JOB:
    case STMT_EXPLAIN_CREATE: return &s->u.create.insert;
    case STMT_ALTER_JOB: return s->u.alter.has_insert ? &s->u.alter.insert : NULL;
    case STMT_PAUSE_JOB:
    case STMT_RESUME_JOB:
    case STMT_DROP_JOB:
    case STMT_RESOLVE_TASK:
    case STMT_CANCEL_TASK:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB:
    case STMT_VIEW_QUERY: break;
    }
    return NULL;
}

/* What the first two tokens of a statement promise. */
enum head { HEAD_FOREIGN, HEAD_CREATE, HEAD_STATUS, HEAD_ALTER, HEAD_QUERY };

static const struct {
    const char *word;
    enum head head;
    bool wants_job; /* only before JOB */
} HEADS[] = {
    {"CREATE", HEAD_CREATE, true}, {"ALTER", HEAD_ALTER, true}, {"PAUSE", HEAD_STATUS, true},
    {"RESUME", HEAD_STATUS, true}, {"DROP", HEAD_STATUS, true}, {"SELECT", HEAD_QUERY, false},
    {"WITH", HEAD_QUERY, false},
};

static enum head head_of(const struct tok *first, const struct lex *behind)
{
    if (tok_is_op(first, "(")) {
        return HEAD_QUERY;
    }
    for (size_t i = 0; i < ARRAY_SIZE(HEADS); i++) {
        if (tok_is_word(first, HEADS[i].word)) {
            struct tok second = lex_peek(behind);
            bool is_it = !HEADS[i].wants_job || tok_is_word(&second, "JOB");
            return is_it ? HEADS[i].head : HEAD_FOREIGN;
        }
    }
    return HEAD_FOREIGN;
}

/*
 * The quick look at a text of which most is not ours: find out, without tokenizing it, that no
 * statement of it can be. Wrong answers are allowed in one direction only: a doubt means "look".
 *
 * A ';' may be inside a string, so it says little; what follows it says more.
 */

/* Of HEADS, of comments and of a parenthesis. */
static const char FIRST_BYTES[] = "cCaApPrRdDsSwW(-/#";

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span skip_blanks(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s = (struct span){s.p + 1, s.n - 1};
    }
    return s;
}

static bool is_comment_start(struct span s)
{
    return s.n > 0 && (s.p[0] == '-' || s.p[0] == '/' || s.p[0] == '#');
}

enum follow { FOLLOW_FOREIGN, FOLLOW_QUERY, FOLLOW_JOB };

/* What may begin here, behind a ';'. */
static enum follow follow_of(struct span s)
{
    s = skip_blanks(s);
    if (s.n == 0 || memchr(FIRST_BYTES, s.p[0], sizeof(FIRST_BYTES) - 1) == NULL) {
        return FOLLOW_FOREIGN;
    }
    if (is_comment_start(s)) {
        return FOLLOW_JOB;
    }
    if (s.p[0] == '(') {
        return FOLLOW_QUERY;
    }
    for (size_t i = 0; i < ARRAY_SIZE(HEADS); i++) {
        size_t n = strlen(HEADS[i].word);
        if (!span_istarts_with(s, HEADS[i].word) || (s.n > n && lex_is_letter(s.p[n]))) {
            continue;
        }
        if (!HEADS[i].wants_job) {
            return FOLLOW_QUERY;
        }
        struct span rest = skip_blanks((struct span){s.p + n, s.n - n});
        return span_istarts_with(rest, "JOB") || is_comment_start(rest) ? FOLLOW_JOB
                                                                        : FOLLOW_FOREIGN;
    }
    return FOLLOW_FOREIGN;
}

/* Could a statement behind the first be ours? */
static bool may_follow_ours(struct span text)
{
    const char *end = text.p + text.n;
    bool is_query_seen = false; /* and no call of jobs() or tasks() is anywhere */
    for (const char *p = memchr(text.p, ';', text.n); p != NULL;
         p = memchr(p, ';', (size_t)(end - p))) {
        while (p < end && *p == ';') {
            p++;
        }
        enum follow follow = follow_of(span_between(p, end));
        if (follow == FOLLOW_JOB) {
            return true;
        }
        if (follow == FOLLOW_QUERY && !is_query_seen) {
            is_query_seen = true;
            if (view_is_candidate(text)) {
                return true;
            }
        }
    }
    return false;
}

static enum stmt_verdict parse_one(struct span whole, struct span statement, struct stmt *ret,
                                   struct err *err)
{
    struct parse p = parse_of(whole, statement, err);
    enum stmt_verdict verdict = STMT_FOREIGN;
    switch (head_of(&p.tok, &p.lex)) {
    case HEAD_FOREIGN: break;
    case HEAD_CREATE:
        verdict = create_parse(&p, &ret->u.create);
        ret->kind = STMT_CREATE_JOB;
        break;
    case HEAD_STATUS: verdict = job_parse_status(&p, ret); break;
    case HEAD_ALTER:
        verdict = job_parse_alter(&p, &ret->u.job);
        ret->kind = STMT_RESOLVE_TASK;
        break;
    case HEAD_QUERY:
        verdict = view_is_candidate(statement) ? view_parse(&p, &ret->u.view) : STMT_FOREIGN;
        ret->kind = STMT_VIEW_QUERY;
        break;
    }
    return verdict;
}

static enum stmt_verdict parse_all(struct span text, struct stmt *ret, struct err *err)
{
    struct lex lex = lex_of(text);
    struct span statement;
    struct err why = {0};
    struct stmt s = {0};
    enum stmt_verdict verdict = STMT_FOREIGN; /* of the first that is not foreign */
    size_t n = 0;
    while (verdict == STMT_FOREIGN && lex_statement(&lex, &statement)) {
        verdict = parse_one(text, statement, &s, &why);
        n++;
    }
    if (verdict != STMT_FOREIGN && (n > 1 || lex_statement(&lex, &statement))) {
        if (verdict == STMT_OURS) {
            stmt_fini(&s);
        }
        return STMT_SCRIPT;
    }
    if (verdict == STMT_OURS) {
        *ret = s;
    } else if (verdict == STMT_BAD) {
        *err = why;
    }
    return verdict;
}

enum stmt_verdict stmt_parse_part(struct span whole, struct span statement, struct stmt *ret,
                                  struct err *err)
{
    struct err why = {0};
    struct stmt s = {0};
    enum stmt_verdict verdict = parse_one(whole, statement, &s, &why);
    if (verdict == STMT_OURS) {
        *ret = s;
    } else if (verdict == STMT_BAD) {
        *err = why;
    }
    return verdict;
}

bool stmt_claims(struct span statement)
{
    struct err err = {0};
    struct stmt s = {0};
    enum stmt_verdict verdict = parse_one(statement, statement, &s, &err);
    if (verdict == STMT_OURS) {
        stmt_fini(&s);
    }
    return verdict != STMT_FOREIGN;
}

/* Clients of the C library sometimes send the NUL behind their text. */
static struct span without_nul(struct span text)
{
    while (text.n > 0 && text.p[text.n - 1] == '\0') {
        text.n--;
    }
    return text;
}

enum stmt_verdict stmt_parse(struct span text, struct stmt *ret, struct err *err)
{
    text = without_nul(text);
    struct lex lex = lex_of(text);
    struct tok first = lex_first(&lex);
    if (first.kind == TOK_END || first.kind == TOK_ERROR) {
        return STMT_FOREIGN;
    }
    struct span rest = {text.p + first.at, text.n - first.at};
    enum head head = head_of(&first, &lex);
    bool is_job = head != HEAD_FOREIGN && head != HEAD_QUERY;
    if (is_job) {
        return parse_all(text, ret, err);
    }
    bool is_view = head == HEAD_QUERY && view_is_candidate(rest);
    return is_view || may_follow_ours(rest) ? parse_all(text, ret, err) : STMT_FOREIGN;
}
