#include <assert.h>

#include "base/xmalloc.h"
#include "parser/parts.h"

static const char SHAPE[] =
    "Write CREATE JOB name [PROPERTIES (...)] ON STREAMING [COMMENT '...'] DO "
    "INSERT INTO table SELECT ... FROM S3(...).";

void create_fini(struct stmt_create *create)
{
    free(create->name);
    free(create->comment);
    parse_props_fini(&create->props);
    stmt_insert_fini(&create->insert);
    *create = (struct stmt_create){0};
}

static bool parse_if_not_exists(struct parse *p, struct stmt_create *ret)
{
    if (!parse_take_word(p, "IF")) {
        return true;
    }
    ret->if_not_exists = true;
    return parse_expect_word(p, "NOT", SHAPE) && parse_expect_word(p, "EXISTS", SHAPE);
}

static bool parse_comment(struct parse *p, struct stmt_create *ret)
{
    if (ret->comment != NULL) {
        return parse_fail(p, &p->tok, "Give one COMMENT.", "COMMENT is given twice");
    }
    parse_next(p);
    return parse_string(p, "the comment", "Write COMMENT 'text'.", &ret->comment);
}

/* PROPERTIES and COMMENT in any order; both may stand before and after ON STREAMING. */
static bool parse_options(struct parse *p, struct stmt_create *ret)
{
    for (;;) {
        if (parse_is_word(p, "COMMENT")) {
            if (!parse_comment(p, ret)) {
                return false;
            }
        } else if (parse_take_word(p, "PROPERTIES")) {
            if (!parse_props(p, 0, &ret->props)) {
                return false;
            }
        } else {
            return true;
        }
    }
}

static bool parse_head(struct parse *p, struct stmt_create *ret)
{
    if (!parse_if_not_exists(p, ret) || !job_parse_name(p, SHAPE, &ret->name) ||
        !parse_options(p, ret)) {
        return false;
    }
    if (!parse_take_word(p, "ON")) {
        return parse_mismatch(p, "{'PROPERTIES', 'COMMENT', 'ON'}", SHAPE);
    }
    return parse_take_word(p, "STREAMING") || parse_mismatch(p, "{'STREAMING', 'SCHEDULE'}", SHAPE);
}

static enum stmt_verdict parse_body(struct parse *p, struct stmt_create *ret)
{
    if (!parse_options(p, ret)) {
        return STMT_BAD;
    }
    if (parse_is_word(p, "FROM")) {
        return STMT_FOREIGN; /* FROM source (...) TO DATABASE db: the FE's own */
    }
    if (!parse_take_word(p, "DO")) {
        (void)parse_mismatch(p, "{'PROPERTIES', 'COMMENT', 'DO'}", SHAPE); /* fills err */
        return STMT_BAD;
    }
    return insert_parse(p, &ret->insert) ? STMT_OURS : STMT_BAD;
}

enum stmt_verdict create_parse(struct parse *p, struct stmt_create *ret)
{
    struct stmt_create create = {0};
    enum stmt_verdict verdict = STMT_BAD;
    assert(parse_is_word(p, "CREATE"));
    parse_next(p);
    assert(parse_is_word(p, "JOB"));
    parse_next(p);
    if (parse_head(p, &create)) {
        verdict = parse_body(p, &create);
    } else if (job_is_scheduled(p)) {
        verdict = STMT_FOREIGN;
    }
    if (verdict == STMT_OURS) {
        assert(create.name != NULL && create.name[0] != '\0');
        *ret = create;
    } else {
        create_fini(&create);
    }
    return verdict;
}
