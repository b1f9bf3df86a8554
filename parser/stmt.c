#include <assert.h>
#include <strings.h>

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
    case STMT_DECIDE_FILE:
    case STMT_CANCEL_TASK:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB: job_ref_fini(&s->u.job); break;
    case STMT_VIEW_QUERY: view_fini(&s->u.view); break;
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
    case STMT_DECIDE_FILE:
    case STMT_CANCEL_TASK:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB:
    case STMT_VIEW_QUERY: break;
    }
    return NULL;
}

/* What the first words of a statement promise; the first that fits counts. */
enum head {
    HEAD_FOREIGN,
    HEAD_CREATE,
    HEAD_ALTER,
    HEAD_STATUS,
    HEAD_CANCEL,
    HEAD_EXPLAIN,
    HEAD_SHOW_CREATE,
    HEAD_SHOW_JOBS,
    HEAD_QUERY,
    HEAD_AROUND_QUERY,
};

enum { MAX_HEAD_WORDS = 3 };

static const struct {
    const char *words[MAX_HEAD_WORDS + 1];
    enum head head;
} HEADS[] = {
    {{"SELECT"}, HEAD_QUERY},
    {{"WITH"}, HEAD_QUERY},
    {{"CREATE", "JOB"}, HEAD_CREATE},
    {{"ALTER", "JOB"}, HEAD_ALTER},
    {{"PAUSE", "JOB"}, HEAD_STATUS},
    {{"RESUME", "JOB"}, HEAD_STATUS},
    {{"DROP", "JOB"}, HEAD_STATUS},
    {{"CANCEL", "TASK"}, HEAD_CANCEL},
    {{"EXPLAIN", "CREATE", "JOB"}, HEAD_EXPLAIN},
    {{"EXPLAIN", "JOB"}, HEAD_EXPLAIN},
    {{"DESCRIBE", "CREATE", "JOB"}, HEAD_EXPLAIN},
    {{"DESCRIBE", "JOB"}, HEAD_EXPLAIN},
    {{"DESC", "CREATE", "JOB"}, HEAD_EXPLAIN},
    {{"DESC", "JOB"}, HEAD_EXPLAIN},
    {{"SHOW", "CREATE", "JOB"}, HEAD_SHOW_CREATE},
    {{"SHOW", "JOBS"}, HEAD_SHOW_JOBS},
    {{"INSERT"}, HEAD_AROUND_QUERY},
    {{"CREATE", "TABLE"}, HEAD_AROUND_QUERY},
    {{"EXPLAIN"}, HEAD_AROUND_QUERY},
    {{"DESCRIBE"}, HEAD_AROUND_QUERY},
    {{"DESC"}, HEAD_AROUND_QUERY},
};

/* Ours only if it calls jobs() or tasks(), which a look at the whole text tells. */
static bool is_about_query(enum head head)
{
    return head == HEAD_QUERY || head == HEAD_AROUND_QUERY;
}

static bool follow_words(const struct lex *behind, const char *const *words)
{
    struct lex lex = *behind;
    for (; *words != NULL; words++) {
        struct tok t = lex_next(&lex);
        if (!tok_is_word(&t, *words)) {
            return false;
        }
    }
    return true;
}

static enum head head_of(const struct tok *first, const struct lex *behind)
{
    if (tok_is_op(first, "(")) {
        return HEAD_QUERY;
    }
    for (size_t i = 0; first->kind == TOK_WORD && i < ARRAY_SIZE(HEADS); i++) {
        if (tok_is_word(first, HEADS[i].words[0]) && follow_words(behind, HEADS[i].words + 1)) {
            return HEADS[i].head;
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
static const char FIRST_BYTES[] = "cCaApPrRdDeEsSwWiI(-/#";

static struct span skip_blanks(struct span s)
{
    while (s.n > 0 && lex_is_blank(s.p[0])) {
        s = (struct span){s.p + 1, s.n - 1};
    }
    return s;
}

static bool is_comment_start(struct span s)
{
    return s.n > 0 && (s.p[0] == '-' || s.p[0] == '/' || s.p[0] == '#');
}

enum follow { FOLLOW_FOREIGN, FOLLOW_QUERY, FOLLOW_JOB };

static bool begins_with_word(struct span s, const char *word, size_t n)
{
    return s.n >= n && strncasecmp(s.p, word, n) == 0 && (s.n == n || !lex_is_letter(s.p[n]));
}

/* A comment between the words is a "perhaps". */
static bool may_begin_with(struct span s, const char *const *words)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        if (i > 0 && is_comment_start(s)) {
            return true;
        }
        size_t n = strlen(words[i]);
        if (!begins_with_word(s, words[i], n)) {
            return false;
        }
        s = skip_blanks((struct span){s.p + n, s.n - n});
    }
    return true;
}

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
        /* Most differ in their first letter, which saves the calls. */
        if ((s.p[0] | 0x20) == (HEADS[i].words[0][0] | 0x20) && may_begin_with(s, HEADS[i].words)) {
            return is_about_query(HEADS[i].head) ? FOLLOW_QUERY : FOLLOW_JOB;
        }
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
    case HEAD_ALTER: verdict = alter_parse(&p, ret); break;
    case HEAD_STATUS: verdict = job_parse_status(&p, ret); break;
    case HEAD_CANCEL: verdict = job_parse_cancel(&p, ret); break;
    case HEAD_EXPLAIN: verdict = show_parse_explain(&p, ret); break;
    case HEAD_SHOW_CREATE: verdict = show_parse_create(&p, ret); break;
    case HEAD_SHOW_JOBS: verdict = show_parse_jobs(&p, ret); break;
    case HEAD_QUERY:
    case HEAD_AROUND_QUERY:
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
    if (head != HEAD_FOREIGN && !is_about_query(head)) {
        return parse_all(text, ret, err);
    }
    bool is_view = is_about_query(head) && view_is_candidate(rest);
    return is_view || may_follow_ours(rest) ? parse_all(text, ret, err) : STMT_FOREIGN;
}
