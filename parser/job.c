#include <assert.h>

#include "base/xmalloc.h"
#include "parser/parts.h"

/* PAUSE, RESUME and DROP JOB [IF EXISTS] WHERE jobName = 'n'. */

struct verb {
    const char *word;
    enum stmt_kind kind;
    const char *shape;
};

static const struct verb VERBS[] = {
    {"PAUSE", STMT_PAUSE_JOB, "Write PAUSE JOB WHERE jobName = 'name'."},
    {"RESUME", STMT_RESUME_JOB, "Write RESUME JOB WHERE jobName = 'name'."},
    {"DROP", STMT_DROP_JOB, "Write DROP JOB [IF EXISTS] WHERE jobName = 'name'."},
};

static const struct verb *verb_of(const struct tok *t)
{
    for (size_t i = 0; i < ARRAY_SIZE(VERBS); i++) {
        if (tok_is_word(t, VERBS[i].word)) {
            return &VERBS[i];
        }
    }
    return NULL;
}

static bool parse_where(struct parse *p, const struct verb *verb)
{
    bool is_drop = verb->kind == STMT_DROP_JOB;
    return parse_take_word(p, "WHERE") ||
           parse_mismatch(p, is_drop ? "{'IF', 'WHERE'}" : "'WHERE'", verb->shape);
}

/* The key, with Doris's sentence for any other. */
static bool parse_key(struct parse *p, const char *shape)
{
    struct tok key = p->tok;
    _cleanup_free_ char *name = NULL;
    if (!parse_name(p, "'jobName'", shape, &name)) {
        return false;
    }
    if (!span_ieq_text(span_of(name), "jobName")) {
        return parse_fail(p, &key, shape, "Current not support left child of where: %s",
                          parse_show(&key).text);
    }
    return parse_take_op(p, "=") || parse_take_op(p, "==") || parse_mismatch(p, "'='", shape);
}

static bool parse_job_value(struct parse *p, const char *shape, char **ret)
{
    struct tok value = p->tok;
    if (value.kind == TOK_END || value.kind == TOK_ERROR || value.kind == TOK_OP) {
        return parse_mismatch(p, "STRING_LITERAL", shape);
    }
    if (value.kind != TOK_STRING) {
        return parse_fail(p, &value, shape, "Value must is string, but it is %s",
                          parse_show(&value).text);
    }
    if (!parse_string(p, "the job name", shape, ret)) {
        return false;
    }
    return **ret != '\0' || parse_fail(p, &value, shape, "Value can't is null");
}

static bool parse_status(struct parse *p, const struct verb *verb, struct stmt_job_ref *ret)
{
    if (verb->kind == STMT_DROP_JOB && parse_take_word(p, "IF")) {
        ret->if_exists = true;
        if (!parse_expect_word(p, "EXISTS", verb->shape)) {
            return false;
        }
    }
    return parse_where(p, verb) && parse_key(p, verb->shape) &&
           parse_job_value(p, verb->shape, &ret->name) && parse_expect_end(p, verb->shape);
}

enum stmt_verdict job_parse_status(struct parse *p, struct stmt *ret)
{
    const struct verb *verb = verb_of(&p->tok);
    struct stmt_job_ref job = {0};
    assert(verb != NULL);
    parse_next(p);
    assert(parse_is_word(p, "JOB"));
    parse_next(p);
    if (!parse_status(p, verb, &job)) {
        free(job.name);
        return STMT_BAD;
    }
    *ret = (struct stmt){.kind = verb->kind, .u.job = job};
    return STMT_OURS;
}

/* ALTER JOB n RESOLVE TASK 7 AS COMMITTED | ABORTED. */

static const char RESOLVE_SHAPE[] =
    "Write ALTER JOB name RESOLVE TASK id AS COMMITTED or ... AS ABORTED.";

static bool parse_task_id(struct parse *p, int64_t *ret)
{
    if (p->tok.kind != TOK_INT) {
        return parse_mismatch(p, "INTEGER_VALUE", RESOLVE_SHAPE);
    }
    if (!span_to_int64(p->tok.text, 1, INT64_MAX, ret)) {
        return parse_fail(p, &p->tok, "Take the TaskId from tasks(\"type\"=\"insert\").",
                          "%s is no task id", parse_show(&p->tok).text);
    }
    parse_next(p);
    return true;
}

static bool parse_resolve(struct parse *p, struct stmt_job_ref *ret)
{
    if (!parse_expect_word(p, "TASK", RESOLVE_SHAPE) || !parse_task_id(p, &ret->task_id) ||
        !parse_expect_word(p, "AS", RESOLVE_SHAPE)) {
        return false;
    }
    ret->is_committed = parse_is_word(p, "COMMITTED");
    if (!parse_take_word(p, "COMMITTED") && !parse_take_word(p, "ABORTED")) {
        return parse_mismatch(p, "{'COMMITTED', 'ABORTED'}", RESOLVE_SHAPE);
    }
    return parse_expect_end(p, RESOLVE_SHAPE);
}

enum stmt_verdict job_parse_alter(struct parse *p, struct stmt_job_ref *ret)
{
    struct parse_path path = {0};
    struct stmt_job_ref job = {0};
    enum stmt_verdict verdict = STMT_FOREIGN;
    assert(parse_is_word(p, "ALTER"));
    parse_next(p);
    assert(parse_is_word(p, "JOB"));
    parse_next(p);
    if (parse_path(p, "a job name", RESOLVE_SHAPE, &path) && parse_take_word(p, "RESOLVE")) {
        verdict = parse_resolve(p, &job) ? STMT_OURS : STMT_BAD;
    }
    if (verdict == STMT_OURS) {
        assert(path.n > 0 && job.task_id > 0);
        job.name = take_ptr(path.parts[path.n - 1]);
        *ret = job;
    }
    parse_path_fini(&path);
    return verdict;
}
