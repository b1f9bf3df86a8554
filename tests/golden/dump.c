#include "tests/golden/dump.h"

#include <inttypes.h>

static void put_escaped(struct buf *b, char c)
{
    switch (c) {
    case '\n': buf_append_text(b, "\\n"); break;
    case '\r': buf_append_text(b, "\\r"); break;
    case '\t': buf_append_text(b, "\\t"); break;
    case '\b': buf_append_text(b, "\\b"); break;
    case '\032': buf_append_text(b, "\\Z"); break;
    case '\\': buf_append_text(b, "\\\\"); break;
    default: buf_append_char(b, c); break;
    }
}

static void put_string(struct buf *b, const char *text)
{
    buf_append_char(b, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            buf_append_char(b, '\'');
        }
        put_escaped(b, *text);
    }
    buf_append_char(b, '\'');
}

static void put_name(struct buf *b, const char *name)
{
    buf_append_char(b, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`') {
            buf_append_char(b, '`');
        }
        buf_append_char(b, *name);
    }
    buf_append_char(b, '`');
}

static void put_props(struct buf *b, const struct stmt_props *props)
{
    buf_append_text(b, "\nPROPERTIES (");
    for (size_t i = 0; i < props->n; i++) {
        buf_append_text(b, i > 0 ? ", " : "");
        put_string(b, props->items[i].key);
        buf_append_text(b, " = ");
        put_string(b, props->items[i].value);
    }
    buf_append_char(b, ')');
}

/* Comments: a line each, so nothing in them may end a line. */

static void put_comment(struct buf *b, struct span text)
{
    for (size_t i = 0; i < text.n; i++) {
        put_escaped(b, text.p[i]);
    }
    buf_append_char(b, '.'); /* a backslash at the end of a line would continue the comment */
}

static void put_cut(struct buf *b, const char *what, struct span text, size_t at, size_t end)
{
    buf_printf(b, "\n-- %s %zu to %zu", what, at, end);
    if (end > at) {
        buf_append_text(b, ": ");
        put_comment(b, (struct span){text.p + at, end - at});
    }
}

static void put_found(struct buf *b, const struct stmt_insert *insert)
{
    buf_append_text(b, "\n-- target ");
    for (size_t i = 0; i < 3; i++) {
        const char *part = i == 0 ? insert->catalog : i == 1 ? insert->db : insert->table;
        if (part != NULL) {
            put_comment(b, span_of(part));
        }
    }
    for (size_t i = 0; i < insert->n_columns; i++) {
        buf_append_text(b, i == 0 ? " columns " : " ");
        put_comment(b, span_of(insert->columns[i]));
    }
    put_cut(b, "label", insert->text, insert->label_at, insert->label_end);
    buf_printf(b, "\n-- query %zu without %zu to %zu", insert->text.n - insert->query_at,
               insert->insert_at, insert->query_at);
    buf_append_text(b, "\n-- source ");
    put_comment(b, span_of(insert->tvf));
    for (size_t i = 0; i < insert->tvf_props.n; i++) {
        const struct stmt_prop *p = &insert->tvf_props.items[i];
        buf_append_text(b, "\n--   ");
        put_comment(b, span_of(p->key));
        buf_append_char(b, ' ');
        put_comment(b, span_of(p->value));
        put_cut(b, "   ", insert->text, p->value_at, p->value_end);
    }
}

static void put_insert(struct buf *b, const struct stmt_insert *insert)
{
    buf_append_char(b, '\n');
    buf_append_span(b, insert->text);
    put_found(b, insert);
}

static void put_create(struct buf *b, const struct stmt_create *create)
{
    buf_append_text(b, create->if_not_exists ? "CREATE JOB IF NOT EXISTS " : "CREATE JOB ");
    put_name(b, create->name);
    if (create->props.n > 0) {
        put_props(b, &create->props);
    }
    buf_append_text(b, "\nON STREAMING");
    if (create->comment != NULL) {
        buf_append_text(b, "\nCOMMENT ");
        put_string(b, create->comment);
    }
    buf_append_text(b, "\nDO");
    put_insert(b, &create->insert);
}

static void put_alter(struct buf *b, const struct stmt_alter *alter)
{
    buf_append_text(b, "ALTER JOB ");
    put_name(b, alter->name);
    if (alter->has_props) {
        put_props(b, &alter->props);
    }
    if (alter->has_insert) {
        put_insert(b, &alter->insert);
    }
}

static void put_where(struct buf *b, const char *head, const struct stmt_job_ref *job)
{
    buf_append_text(b, head);
    buf_append_text(b, job->if_exists ? "IF EXISTS WHERE jobName = " : "WHERE jobName = ");
    put_string(b, job->name);
}

static void put_named(struct buf *b, const char *head, const struct stmt_job_ref *job)
{
    buf_append_text(b, head);
    put_name(b, job->name);
}

static void put_view(struct buf *b, const struct stmt_view *view)
{
    buf_append_text(b, view->sql != NULL ? view->sql : "-- for the FE");
    buf_append_text(b, "\n-- reads");
    buf_append_text(b, view->uses_jobs ? " jobs" : "");
    buf_append_text(b, view->uses_tasks ? " tasks" : "");
}

bool dump_is_sql(const struct stmt *s)
{
    return s->kind != STMT_VIEW_QUERY;
}

void dump_stmt(const struct stmt *s, struct buf *out)
{
    struct buf *b = out;
    const struct stmt_job_ref *job = &s->u.job;
    switch (s->kind) {
    case STMT_EXPLAIN_CREATE: buf_append_text(b, "EXPLAIN "); __attribute__((fallthrough));
    case STMT_CREATE_JOB: put_create(b, &s->u.create); break;
    case STMT_ALTER_JOB: put_alter(b, &s->u.alter); break;
    case STMT_PAUSE_JOB: put_where(b, "PAUSE JOB ", job); break;
    case STMT_RESUME_JOB: put_where(b, "RESUME JOB ", job); break;
    case STMT_DROP_JOB: put_where(b, "DROP JOB ", job); break;
    case STMT_RESOLVE_TASK:
        put_named(b, "ALTER JOB ", job);
        buf_printf(b, " RESOLVE TASK %" PRId64 " AS %s", job->task_id,
                   job->is_committed ? "COMMITTED" : "ABORTED");
        break;
    case STMT_DECIDE_FILE:
        put_named(b, "ALTER JOB ", job);
        buf_append_text(b, job->is_skip ? " SKIP " : " RETRY ");
        buf_append_text(b, job->file != NULL ? "FILE " : "ALL FILES");
        if (job->file != NULL) {
            put_string(b, job->file);
        }
        break;
    case STMT_CANCEL_TASK:
        put_where(b, "CANCEL TASK ", job);
        buf_printf(b, " AND taskId = %" PRId64, job->task_id);
        break;
    case STMT_EXPLAIN_JOB: put_named(b, "EXPLAIN JOB ", job); break;
    case STMT_SHOW_CREATE_JOB: put_named(b, "SHOW CREATE JOB ", job); break;
    case STMT_VIEW_QUERY: put_view(b, &s->u.view); break;
    }
}
