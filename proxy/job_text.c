#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "parser/stmt.h"
#include "proxy/job_text.h"

static void append_quoted(struct buf *b, const char *text, char quote)
{
    buf_append_char(b, quote);
    for (const char *p = text; *p != '\0'; p++) {
        /* Doubled marks end where they should in every sql_mode; back-quotes know nothing else. */
        if (*p == quote || (*p == '\\' && quote != '`')) {
            buf_append_char(b, *p);
        }
        buf_append_char(b, *p);
    }
    buf_append_char(b, quote);
}

static void append_properties(struct buf *b, const char *properties)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_t *object = properties != NULL ? json_loads(properties, 0, NULL) : NULL;
    if (json_object_size(object) > 0) {
        const char *before = "\nPROPERTIES (\n    ";
        json_object_foreach(object, key, value)
        {
            const char *text = json_string_value(value);
            buf_append_text(b, before);
            append_quoted(b, key, '"');
            buf_append_text(b, " = ");
            append_quoted(b, text != NULL ? text : "", '"');
            before = ",\n    ";
        }
        buf_append_text(b, "\n)");
    }
    json_decref(object);
}

/* A target without a database is of the one that was current. */
static void append_database(struct buf *b, const struct job_record *job)
{
    struct stmt_insert insert = {0};
    struct err err = {0};
    if (job->current_db == NULL || !stmt_parse_insert(span_of(job->sql), &insert, &err)) {
        return;
    }
    /* A name that would end the comment is left out. */
    if (insert.db == NULL && strstr(job->current_db, "*/") == NULL) {
        buf_append_text(b, "/* USE ");
        append_quoted(b, job->current_db, '`');
        buf_append_text(b, " first: the target has no database of its own */\n");
    }
    stmt_insert_fini(&insert);
}

char *job_text(const struct job_record *job)
{
    struct buf b = buf_with_max(SIZE_MAX / 2); /* as long as the statement was */
    append_database(&b, job);
    buf_append_text(&b, "CREATE JOB ");
    append_quoted(&b, job->name, '`');
    append_properties(&b, job->properties);
    buf_append_text(&b, "\nON STREAMING");
    if (job->comment != NULL && job->comment[0] != '\0') {
        buf_append_text(&b, "\nCOMMENT ");
        append_quoted(&b, job->comment, '"');
    }
    buf_append_text(&b, "\nDO\n");
    buf_append_text(&b, job->sql);
    return buf_take_text(&b);
}
