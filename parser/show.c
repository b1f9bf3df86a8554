#include <assert.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/parts.h"

/* What Doris has not: EXPLAIN of jobs, SHOW CREATE JOB, SHOW JOBS. */

static const char EXPLAIN_SHAPE[] =
    "Write EXPLAIN JOB name, or EXPLAIN JOB WHERE jobName = 'name'.";
static const char CREATE_SHAPE[] =
    "Write SHOW CREATE JOB name, or SHOW CREATE JOB WHERE jobName = 'name'.";
static const char JOBS_SHAPE[] = "Write SHOW JOBS [LIKE 'pattern'] [WHERE condition].";

/* One job, however it is named: bare, in back-quotes, as a string, or by WHERE. */
static bool parse_job(struct parse *p, const char *shape, char **ret)
{
    struct tok name = p->tok;
    if (parse_is_word(p, "WHERE")) {
        return job_parse_where(p, "'WHERE'", shape, ret) && parse_expect_end(p, shape);
    }
    if (name.kind != TOK_STRING) {
        return job_parse_name(p, shape, ret) && parse_expect_end(p, shape);
    }
    if (!parse_string(p, "the job name", shape, ret)) {
        return false;
    }
    if (**ret == '\0') {
        return parse_fail(p, &name, "Name the job.", "Job name can not be empty");
    }
    return parse_expect_end(p, shape);
}

static enum stmt_verdict parse_one_job(struct parse *p, enum stmt_kind kind, const char *shape,
                                       struct stmt *ret)
{
    struct stmt_job_ref job = {0};
    if (!parse_job(p, shape, &job.name)) {
        free(job.name);
        return STMT_BAD;
    }
    *ret = (struct stmt){.kind = kind, .u.job = job};
    return STMT_OURS;
}

/*
 * DESC job, DESC job ALL and DESC job PARTITION (p) describe a table of that name: behind DESC only
 * what is no description is ours.
 */
static bool is_description(const struct parse *p)
{
    struct lex lex = p->lex; /* behind JOB */
    struct tok name = lex_next(&lex);
    struct tok after = lex_next(&lex);
    if (tok_is_word(&name, "WHERE")) {
        return false;
    }
    bool is_name = (tok_is_name(&name) && !parse_is_reserved(&name)) || name.kind == TOK_STRING;
    return !is_name || after.kind != TOK_END;
}

enum stmt_verdict show_parse_explain(struct parse *p, struct stmt *ret)
{
    bool is_desc = !parse_is_word(p, "EXPLAIN");
    parse_next(p);
    if (parse_is_word(p, "CREATE")) {
        ret->kind = STMT_EXPLAIN_CREATE;
        return create_parse(p, &ret->u.create);
    }
    assert(parse_is_word(p, "JOB"));
    if (is_desc && is_description(p)) {
        return STMT_FOREIGN;
    }
    parse_next(p);
    return parse_one_job(p, STMT_EXPLAIN_JOB, EXPLAIN_SHAPE, ret);
}

enum stmt_verdict show_parse_create(struct parse *p, struct stmt *ret)
{
    assert(parse_is_word(p, "SHOW"));
    parse_next(p);
    parse_next(p);
    assert(parse_is_word(p, "JOB"));
    parse_next(p);
    return parse_one_job(p, STMT_SHOW_CREATE_JOB, CREATE_SHAPE, ret);
}

/*
 * SHOW JOBS becomes a query in Doris's words, which goes the way of all queries over jobs(). What the
 * user wrote behind WHERE is copied byte for byte, so that errors find their place in it.
 */

static const char JOBS_SELECT[] =
    "SELECT Id, Name, Definer, ExecuteType, Status, SucceedTaskCount, FailedTaskCount, "
    "CurrentOffset, EndOffset, LastTaskSuccessTime, ErrorMsg, JobRuntimeMsg FROM ";
static const char JOBS_VIEW[] = "jobs(\"type\"=\"insert\")";
/* Those that `*` does not have (proxy/viewcols.c), for a WHERE that names them. */
static const char HIDDEN_COLUMNS[] = ", Guarantee, LateFiles, OverwrittenFiles, QuarantinedFiles, "
                                     "TrackedFiles, Quarantine, Evidence";

static bool parse_jobs(struct parse *p, struct buf *out)
{
    struct tok pattern = {0};
    if (parse_take_word(p, "LIKE")) {
        pattern = p->tok;
        if (pattern.kind != TOK_STRING) {
            return parse_mismatch(p, "STRING_LITERAL", JOBS_SHAPE);
        }
        parse_next(p);
    }
    if (p->tok.kind != TOK_END && !parse_is_word(p, "WHERE")) {
        const char *expecting =
            pattern.text.n > 0 ? "{'WHERE', <EOF>}" : "{'LIKE', 'WHERE', <EOF>}";
        return parse_mismatch(p, expecting, JOBS_SHAPE);
    }
    buf_append_text(out, JOBS_SELECT);
    if (pattern.text.n == 0) {
        buf_append_text(out, JOBS_VIEW);
    } else {
        buf_append_text(out, "(SELECT *");
        buf_append_text(out, p->tok.kind != TOK_END ? HIDDEN_COLUMNS : "");
        buf_append_text(out, " FROM ");
        buf_append_text(out, JOBS_VIEW);
        buf_append_text(out, " WHERE Name LIKE ");
        buf_append_span(out, pattern.text);
        buf_append_text(out, ") AS jobs");
    }
    buf_append_char(out, ' ');
    return true;
}

enum stmt_verdict show_parse_jobs(struct parse *p, struct stmt *ret)
{
    _cleanup_buf_ struct buf out = buf_with_max(p->lex.text.n + 1024);
    assert(parse_is_word(p, "SHOW"));
    parse_next(p);
    assert(parse_is_word(p, "JOBS"));
    parse_next(p);
    if (!parse_jobs(p, &out)) {
        return STMT_BAD;
    }
    struct tok rest = p->tok;
    struct tok behind = lex_peek(&p->lex);
    if (rest.kind != TOK_END && behind.kind == TOK_END) {
        parse_next(p);
        (void)parse_mismatch(p, "a condition", JOBS_SHAPE); /* fills err */
        return STMT_BAD;
    }
    size_t head = out.len;
    buf_append(&out, p->lex.text.p + rest.at, p->lex.text.n - rest.at);
    assert(buf_ok(&out));
    struct parse query = parse_made(p, buf_span(&out), head);
    ret->kind = STMT_VIEW_QUERY;
    return view_parse(&query, &ret->u.view);
}
