#include <assert.h>

#include "base/xmalloc.h"
#include "parser/parts.h"

bool job_is_scheduled(const struct parse *p)
{
    struct lex lex = lex_of(p->lex.text);
    struct tok before = {0};
    for (struct tok t = lex_next(&lex); t.kind != TOK_END && t.kind != TOK_ERROR;
         before = t, t = lex_next(&lex)) {
        if (!tok_is_word(&before, "ON")) {
            continue;
        }
        if (tok_is_word(&t, "SCHEDULE") || tok_is_word(&t, "STREAMING")) {
            return tok_is_word(&t, "SCHEDULE");
        }
    }
    return false;
}

bool job_parse_name(struct parse *p, const char *shape, char **ret)
{
    struct parse_path path = {0};
    struct tok name = p->tok;
    struct tok after = lex_peek(&p->lex);
    /* PROPERTIES is a legal name, but here it shows that the name was forgotten. */
    bool is_forgotten = tok_is_word(&name, "PROPERTIES") && tok_is_op(&after, "(");
    if (is_forgotten) {
        return parse_mismatch(p, "a job name", shape);
    }
    if (name.kind == TOK_QUOTED && name.text.n == 2) {
        return parse_fail(p, &name, "Give the job a name.", "Job name can not be empty");
    }
    if (name.kind == TOK_STRING) {
        return parse_mismatch(p, "a job name",
                              "CREATE and ALTER take the name bare or in back-quotes; PAUSE, "
                              "RESUME and DROP take it as a string.");
    }
    bool is_ok = parse_path(p, "a job name", shape, &path);
    if (is_ok) {
        *ret = take_ptr(path.parts[path.n - 1]);
    }
    parse_path_fini(&path);
    return is_ok;
}

/* WHERE jobName = 'n' and what may stand in such a condition. */

static bool parse_equals(struct parse *p, const char *shape)
{
    return parse_take_op(p, "=") || parse_take_op(p, "==") || parse_mismatch(p, "'='", shape);
}

/* The key and the '=', with Doris's sentence for any other key. */
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
    return parse_equals(p, shape);
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

bool job_parse_where(struct parse *p, const char *expecting, const char *shape, char **ret)
{
    if (!parse_take_word(p, "WHERE")) {
        return parse_mismatch(p, expecting, shape);
    }
    return parse_key(p, shape) && parse_job_value(p, shape, ret);
}

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

static bool parse_status(struct parse *p, const struct verb *verb, struct stmt_job_ref *ret)
{
    bool is_drop = verb->kind == STMT_DROP_JOB;
    if (is_drop && parse_take_word(p, "IF")) {
        ret->if_exists = true;
        if (!parse_expect_word(p, "EXISTS", verb->shape)) {
            return false;
        }
    }
    const char *expecting = is_drop && !ret->if_exists ? "{'IF', 'WHERE'}" : "'WHERE'";
    return job_parse_where(p, expecting, verb->shape, &ret->name) &&
           parse_expect_end(p, verb->shape);
}

/* Two words that stmt_parse() has seen. */
static void take_head(struct parse *p, const char *second)
{
    parse_next(p);
    assert(parse_is_word(p, second));
    (void)second;
    parse_next(p);
}

enum stmt_verdict job_parse_status(struct parse *p, struct stmt *ret)
{
    const struct verb *verb = verb_of(&p->tok);
    struct stmt_job_ref job = {0};
    assert(verb != NULL);
    take_head(p, "JOB");
    if (!parse_status(p, verb, &job)) {
        free(job.name);
        return STMT_BAD;
    }
    *ret = (struct stmt){.kind = verb->kind, .u.job = job};
    return STMT_OURS;
}

/* Tasks. */

static const char RESOLVE_SHAPE[] =
    "Write ALTER JOB name RESOLVE TASK id AS COMMITTED or ... AS ABORTED.";
static const char CANCEL_SHAPE[] = "Write CANCEL TASK WHERE jobName = 'name' AND taskId = id.";
static const char TASK_ADVICE[] = "Take the TaskId from tasks(\"type\"=\"insert\").";

static bool set_task_id(struct parse *p, const struct tok *id, struct span digits, int64_t *ret)
{
    return span_to_int64(digits, 1, INT64_MAX, ret) ||
           parse_fail(p, id, TASK_ADVICE, "%s is no task id", parse_show(id).text);
}

/* An integer, or one in quotes: drivers that bind parameters may send it so. */
static bool parse_task_id(struct parse *p, const char *shape, int64_t *ret)
{
    struct tok id = p->tok;
    _cleanup_free_ char *text = NULL;
    if (id.kind == TOK_STRING) {
        return parse_string(p, "the task id", shape, &text) &&
               set_task_id(p, &id, span_of(text), ret);
    }
    if (id.kind != TOK_INT) {
        return parse_mismatch(p, "INTEGER_VALUE", shape);
    }
    parse_next(p);
    return set_task_id(p, &id, id.text, ret);
}

bool job_parse_resolve(struct parse *p, struct stmt_job_ref *ret)
{
    if (!parse_expect_word(p, "TASK", RESOLVE_SHAPE) ||
        !parse_task_id(p, RESOLVE_SHAPE, &ret->task_id) ||
        !parse_expect_word(p, "AS", RESOLVE_SHAPE)) {
        return false;
    }
    ret->is_committed = parse_is_word(p, "COMMITTED");
    if (!parse_take_word(p, "COMMITTED") && !parse_take_word(p, "ABORTED")) {
        return parse_mismatch(p, "{'COMMITTED', 'ABORTED'}", RESOLVE_SHAPE);
    }
    return parse_expect_end(p, RESOLVE_SHAPE);
}

void job_ref_fini(struct stmt_job_ref *job)
{
    free(job->name);
    free(job->file);
    *job = (struct stmt_job_ref){0};
}

/* Files that were set aside. */

static const char FILES_SHAPE[] =
    "Write ALTER JOB name RETRY | SKIP FILE 'key' or ALTER JOB name RETRY | SKIP ALL FILES.";
static const char KEY_ADVICE[] =
    "Take the key from column Quarantine of jobs(\"type\"=\"insert\") or "
    "from EXPLAIN JOB.";

/* The whole key, as it is shown. */
static bool parse_key_of_file(struct parse *p, struct stmt_job_ref *ret)
{
    struct tok key = p->tok;
    if (!parse_string(p, "the file's key", FILES_SHAPE, &ret->file)) {
        return false;
    }
    return *ret->file != '\0' || parse_fail(p, &key, KEY_ADVICE, "The file's key can not be empty");
}

bool job_parse_files(struct parse *p, struct stmt_job_ref *ret)
{
    if (parse_take_word(p, "ALL")) {
        return parse_expect_word(p, "FILES", FILES_SHAPE) && parse_expect_end(p, FILES_SHAPE);
    }
    if (!parse_take_word(p, "FILE")) {
        return parse_mismatch(p, "{'FILE', 'ALL'}", FILES_SHAPE);
    }
    return parse_key_of_file(p, ret) && parse_expect_end(p, FILES_SHAPE);
}

/* jobName = 'n' or taskId = i, whichever is still missing. */
static bool parse_condition(struct parse *p, struct stmt_job_ref *ret)
{
    struct tok key = p->tok;
    _cleanup_free_ char *name = NULL;
    const char *expecting = ret->name != NULL  ? "'taskId'"
                            : ret->task_id > 0 ? "'jobName'"
                                               : "{'jobName', 'taskId'}";
    if (!parse_name(p, expecting, CANCEL_SHAPE, &name)) {
        return false;
    }
    bool is_task = span_ieq_text(span_of(name), "taskId");
    bool is_job = span_ieq_text(span_of(name), "jobName");
    if (!is_task && !is_job) {
        return parse_fail(p, &key, CANCEL_SHAPE, "Current not support left child of where: %s",
                          parse_show(&key).text);
    }
    if (is_task ? ret->task_id > 0 : ret->name != NULL) {
        return parse_fail(p, &key, CANCEL_SHAPE, "%s is given twice", parse_show(&key).text);
    }
    return parse_equals(p, CANCEL_SHAPE) &&
           (is_task ? parse_task_id(p, CANCEL_SHAPE, &ret->task_id)
                    : parse_job_value(p, CANCEL_SHAPE, &ret->name));
}

enum stmt_verdict job_parse_cancel(struct parse *p, struct stmt *ret)
{
    struct stmt_job_ref job = {0};
    assert(parse_is_word(p, "CANCEL"));
    take_head(p, "TASK");
    bool is_ok = parse_expect_word(p, "WHERE", CANCEL_SHAPE) && parse_condition(p, &job) &&
                 parse_expect_word(p, "AND", CANCEL_SHAPE) && parse_condition(p, &job) &&
                 parse_expect_end(p, CANCEL_SHAPE);
    if (!is_ok) {
        free(job.name);
        return STMT_BAD;
    }
    assert(job.name != NULL && job.task_id > 0);
    *ret = (struct stmt){.kind = STMT_CANCEL_TASK, .u.job = job};
    return STMT_OURS;
}
