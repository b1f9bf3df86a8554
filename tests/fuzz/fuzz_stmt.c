/*
 * stmt_parse(), stmt_parse_insert(), secret_mask() and the splitter over arbitrary bytes. What
 * must hold whatever the bytes are is asserted here; leaks are the sanitizer's to find.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/stmt.h"
#include "tests/golden/dump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_err(const struct err *err)
{
    assert(err->code != 0 && strlen(err->sqlstate) == 5);
    assert(strncmp(err->msg, "errCode = 2, detailMessage = ", 29) == 0);
    assert(strchr(err->msg, '\n') == NULL && strlen(err->msg) < ERR_MSG_SIZE);
}

static void check_props(const struct stmt_props *props)
{
    for (size_t i = 0; i < props->n; i++) {
        assert(props->items[i].key != NULL && props->items[i].value != NULL);
        for (size_t j = 0; j < i; j++) {
            assert(!span_ieq(span_of(props->items[i].key), span_of(props->items[j].key)));
        }
    }
}

/* Every offset lies in the text; each value's literal can be replaced without touching another. */
static void check_insert(const struct stmt_insert *insert, struct span whole)
{
    size_t end = 0;
    assert(insert->text.p >= whole.p && insert->text.n > 0);
    assert(insert->text.p + insert->text.n <= whole.p + whole.n);
    assert(insert->table != NULL && insert->table[0] != '\0' && insert->tvf != NULL);
    assert(insert->catalog == NULL || insert->db != NULL);
    assert(insert->label_at > 0 && insert->label_at <= insert->label_end);
    assert(insert->label_end < insert->text.n);
    check_props(&insert->tvf_props);
    for (size_t i = 0; i < insert->tvf_props.n; i++) {
        const struct stmt_prop *p = &insert->tvf_props.items[i];
        assert(p->value_at > end && p->value_at < p->value_end);
        end = p->value_end;
    }
    assert(end < insert->text.n);
}

/* The INSERT of a job must parse alone to the same offsets: the store hands it back that way. */
static void check_again(const struct stmt_insert *insert)
{
    struct err err = {0};
    struct stmt_insert again;
    _cleanup_free_ char *copy = span_dup(insert->text);
    struct span text = {copy, insert->text.n};
    bool is_ok = stmt_parse_insert(text, &again, &err);
    assert(is_ok && span_eq(again.text, insert->text));
    assert(again.label_at == insert->label_at && again.label_end == insert->label_end);
    assert(again.tvf_props.n == insert->tvf_props.n);
    check_insert(&again, text);
    stmt_insert_fini(&again);
}

/* The canonical spelling means the same. */
static void check_canonical(const struct stmt *s)
{
    struct err err = {0};
    struct stmt again;
    _cleanup_buf_ struct buf once = buf_with_max(64 << 20);
    _cleanup_buf_ struct buf twice = buf_with_max(64 << 20);
    dump_stmt(s, &once);
    if (!dump_is_sql(s)) {
        return;
    }
    enum stmt_verdict verdict = stmt_parse(buf_span(&once), &again, &err);
    assert(verdict == STMT_OURS && again.kind == s->kind);
    dump_stmt(&again, &twice);
    assert(span_eq(buf_span(&once), buf_span(&twice)));
    stmt_fini(&again);
}

/* Each call of jobs() and tasks() can be replaced without touching another. */
static void check_view(const struct stmt_view *view)
{
    size_t end = 0;
    assert(view->uses_jobs || view->uses_tasks);
    assert(view->sql == NULL || view->sql[0] != '\0');
    assert(view->text != NULL && view->n_places > 0);
    for (size_t i = 0; i < view->n_places; i++) {
        const struct stmt_view_place *place = &view->places[i];
        assert(place->at >= end && place->at < place->end);
        assert(place->is_tasks ? view->uses_tasks : view->uses_jobs);
        end = place->end;
    }
}

/* Wherever the parser finds a secret, masking hides it, whatever stands between key and value. */
static void check_secrets(const struct stmt_insert *insert)
{
    static const char SECRET[] = "'Zz9SECRETz9'";
    for (size_t i = 0; i < insert->tvf_props.n; i++) {
        const struct stmt_prop *p = &insert->tvf_props.items[i];
        if (!secret_is_key(span_of(p->key)) || memmem(insert->text.p, insert->text.n, "Zz9", 3)) {
            continue;
        }
        _cleanup_buf_ struct buf b = buf_with_max(insert->text.n + sizeof(SECRET) + 2);
        buf_append(&b, insert->text.p, p->value_at);
        buf_append_text(&b, " ");
        buf_append_text(&b, SECRET);
        buf_append_text(&b, " ");
        buf_append(&b, insert->text.p + p->value_end, insert->text.n - p->value_end);
        _cleanup_free_ char *masked = secret_mask(buf_span(&b));
        assert(strstr(masked, "Zz9") == NULL);
    }
}

static void check_stmt(struct stmt *s, struct span whole)
{
    check_canonical(s);
    const struct stmt_insert *insert = stmt_insert(s);
    if (insert != NULL) {
        check_insert(insert, whole);
        check_again(insert);
        check_secrets(insert);
    }
    switch (s->kind) {
    case STMT_CREATE_JOB:
    case STMT_EXPLAIN_CREATE:
        assert(s->u.create.name != NULL && s->u.create.name[0] != '\0');
        check_props(&s->u.create.props);
        break;
    case STMT_ALTER_JOB:
        assert(s->u.alter.name != NULL && s->u.alter.name[0] != '\0');
        assert(s->u.alter.has_props || s->u.alter.has_insert);
        check_props(&s->u.alter.props);
        break;
    case STMT_PAUSE_JOB:
    case STMT_RESUME_JOB:
    case STMT_EXPLAIN_JOB:
    case STMT_SHOW_CREATE_JOB:
    case STMT_DROP_JOB: assert(s->u.job.name[0] != '\0'); break;
    case STMT_CANCEL_TASK:
    case STMT_DECIDE_FILE:
        assert(s->u.job.name[0] != '\0' && (s->u.job.file == NULL || s->u.job.file[0] != '\0'));
        break;
    case STMT_RESOLVE_TASK: assert(s->u.job.name[0] != '\0' && s->u.job.task_id > 0); break;
    case STMT_VIEW_QUERY: check_view(&s->u.view); break;
    }
    stmt_fini(s);
}

static void check_parse(struct span text)
{
    struct stmt s;
    struct err err = {0};
    switch (stmt_parse(text, &s, &err)) {
    case STMT_FOREIGN: assert(err.code == 0); break;
    case STMT_OURS: check_stmt(&s, text); break;
    case STMT_BAD: check_err(&err); break;
    case STMT_SCRIPT: assert(err.code == 0); break;
    }
}

static void check_parse_insert(struct span text)
{
    struct err err = {0};
    struct stmt_insert insert;
    if (stmt_parse_insert(text, &insert, &err)) {
        check_insert(&insert, text);
        stmt_insert_fini(&insert);
    } else {
        check_err(&err);
    }
}

/* The quick splitter and the tokenizer agree on where statements end. */
static void check_split(struct span text)
{
    struct lex fast = lex_of(text);
    struct lex slow = lex_of(text);
    struct span statement;
    while (lex_statement(&fast, &statement)) {
        struct tok t = lex_next(&slow);
        while (tok_is_op(&t, ";")) {
            t = lex_next(&slow);
        }
        assert(text.p + t.at == statement.p && statement.n > 0);
        while (t.kind != TOK_END && t.kind != TOK_ERROR && !tok_is_op(&t, ";")) {
            t = lex_next(&slow);
        }
        size_t end = t.kind == TOK_ERROR ? text.n : t.at;
        assert(statement.p + statement.n == text.p + end);
        slow.at = t.kind == TOK_ERROR ? text.n : slow.at;
    }
}

/*
 * A known secret, put behind the bytes, must be gone, in the SQL and in the JSON spelling. The quote
 * in front of the key keeps the bytes from becoming a part of its name.
 */
static void check_mask(struct span text)
{
    static const char SECRET[] = "Zz9SECRETz9";
    static const char *const TAILS[] = {
        "\"s3.secret_key\" = \"Zz9SECRETz9\"",
        " AWS_SECRET_KEY /* c */ = 'Zz9SECRETz9', 'x'='y'",
        "{\"password\":\"Zz9SECRETz9\"}",
    };
    _cleanup_free_ char *plain = secret_mask(text);
    assert(strlen(plain) <= text.n * 4 + 8);
    if (text.n > 0 && memmem(text.p, text.n, SECRET, sizeof(SECRET) - 1) != NULL) {
        return; /* the fuzzer found our word: it is no secret there */
    }
    for (size_t i = 0; i < ARRAY_SIZE(TAILS); i++) {
        _cleanup_buf_ struct buf b = buf_with_max(text.n + 256);
        buf_append_span(&b, text);
        buf_append_text(&b, TAILS[i]);
        _cleanup_free_ char *masked = secret_mask(buf_span(&b));
        assert(strstr(masked, SECRET) == NULL); /* a NUL hides the rest, from readers too */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    check_parse(text);
    check_parse_insert(text);
    check_split(text);
    check_mask(text);
    return 0;
}
