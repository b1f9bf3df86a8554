#include <assert.h>

#include "base/xmalloc.h"
#include "parser/parts.h"

static const char SHAPE[] =
    "Write ALTER JOB name [PROPERTIES (...)] [INSERT INTO table SELECT ... FROM S3(...)].";

void alter_fini(struct stmt_alter *alter)
{
    free(alter->name);
    parse_props_fini(&alter->props);
    stmt_insert_fini(&alter->insert);
    *alter = (struct stmt_alter){0};
}

/* PROPERTIES before and after ON STREAMING, which says nothing, but copies of a CREATE have it. */
static bool parse_options(struct parse *p, bool *has_streaming, struct stmt_alter *ret)
{
    for (;;) {
        if (!*has_streaming && parse_take_word(p, "ON")) {
            *has_streaming = true;
            if (!parse_take_word(p, "STREAMING")) {
                return parse_mismatch(p, "{'STREAMING', 'SCHEDULE'}", SHAPE);
            }
        } else if (parse_take_word(p, "PROPERTIES")) {
            ret->has_props = true;
            if (!parse_props(p, 0, &ret->props)) {
                return false;
            }
        } else {
            return true;
        }
    }
}

/* INSERT, or what Doris's grammar allows in its place and its checks refuse. */
static bool is_dml(const struct tok *t)
{
    static const char *const WORDS[] = {"INSERT", "WITH", "UPDATE", "DELETE",   "MERGE", "LOAD",
                                        "EXPORT", "COPY", "SELECT", "TRUNCATE", NULL};
    return tok_is_one_of(t, WORDS);
}

static const char *expecting_of(bool has_streaming, const struct stmt_alter *alter)
{
    if (has_streaming) {
        return "{'PROPERTIES', 'DO', 'INSERT'}";
    }
    return alter->has_props ? "{'PROPERTIES', 'ON', 'DO', 'INSERT'}"
                            : "{'PROPERTIES', 'ON', 'DO', 'INSERT', 'RESOLVE', 'RETRY', 'SKIP'}";
}

/* Nothing but options, or what cannot follow them. */
static bool parse_end(struct parse *p, bool has_streaming, const struct stmt_alter *alter)
{
    if (p->tok.kind != TOK_END) {
        return parse_mismatch(p, expecting_of(has_streaming, alter), SHAPE);
    }
    return alter->props.n > 0 ||
           parse_fail(p, &p->tok, SHAPE, "No properties or sql changed in ALTER JOB");
}

static enum stmt_verdict parse_body(struct parse *p, struct stmt_alter *ret)
{
    bool has_streaming = false;
    bool is_ok = parse_options(p, &has_streaming, ret);
    if (is_ok && parse_is_word(p, "FROM")) {
        return STMT_FOREIGN; /* FROM source (...) TO DATABASE db: the FE's own */
    }
    if (is_ok && (parse_take_word(p, "DO") || is_dml(&p->tok))) {
        ret->has_insert = insert_parse(p, &ret->insert);
        return ret->has_insert ? STMT_OURS : STMT_BAD;
    }
    if (is_ok && parse_end(p, has_streaming, ret)) {
        return STMT_OURS;
    }
    return job_is_scheduled(p) ? STMT_FOREIGN : STMT_BAD;
}

/* Behind the name; takes it along. */
static enum stmt_verdict parse_resolve(struct parse *p, char *name, struct stmt *ret)
{
    struct stmt_job_ref job = {.name = name};
    if (!job_parse_resolve(p, &job)) {
        job_ref_fini(&job);
        return STMT_BAD;
    }
    *ret = (struct stmt){.kind = STMT_RESOLVE_TASK, .u.job = job};
    return STMT_OURS;
}

/* Likewise. */
static enum stmt_verdict parse_files(struct parse *p, char *name, struct stmt *ret)
{
    struct stmt_job_ref job = {.name = name, .is_skip = parse_is_word(p, "SKIP")};
    parse_next(p);
    if (!job_parse_files(p, &job)) {
        job_ref_fini(&job);
        return STMT_BAD;
    }
    *ret = (struct stmt){.kind = STMT_DECIDE_FILE, .u.job = job};
    return STMT_OURS;
}

enum stmt_verdict alter_parse(struct parse *p, struct stmt *ret)
{
    struct stmt_alter alter = {0};
    assert(parse_is_word(p, "ALTER"));
    parse_next(p);
    assert(parse_is_word(p, "JOB"));
    parse_next(p);
    (void)parse_take_word(p, "FOR"); /* as the proposal has it; a reserved word, so no name */
    if (!job_parse_name(p, SHAPE, &alter.name)) {
        return job_is_scheduled(p) ? STMT_FOREIGN : STMT_BAD;
    }
    if (parse_take_word(p, "RESOLVE")) {
        return parse_resolve(p, alter.name, ret);
    }
    if (parse_is_word(p, "RETRY") || parse_is_word(p, "SKIP")) {
        return parse_files(p, alter.name, ret);
    }
    enum stmt_verdict verdict = parse_body(p, &alter);
    if (verdict == STMT_OURS) {
        assert(alter.props.n > 0 || alter.has_insert);
        *ret = (struct stmt){.kind = STMT_ALTER_JOB, .u.alter = alter};
    } else {
        alter_fini(&alter);
    }
    return verdict;
}
