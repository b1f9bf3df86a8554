#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/quote.h"
#include "base/secret.h"
#include "base/span.h"
#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/jobprops.h"
#include "proxy/jobspec.h"

#define DETAIL "errCode = 2, detailMessage = "

enum { NAME_MAX_BYTES = 64 * 4 }; /* 64 characters of up to four bytes */

static bool check_name(const char *name, struct err *err)
{
    if (name[0] == '\0') {
        return err_say(err,
                       DETAIL "Job name can not be empty. Give the job one: CREATE JOB name ...");
    }
    if (strncmp(name, "inner_", 6) == 0) {
        return err_say(err, DETAIL "job name can not start with inner_: Doris keeps such names for "
                                   "jobs of its own. Choose another name");
    }
    if (strlen(name) > NAME_MAX_BYTES) {
        return err_say(err,
                       DETAIL "the job name is %zu bytes long, at most %d are allowed. Choose a "
                              "shorter one",
                       strlen(name), NAME_MAX_BYTES);
    }
    return true;
}

static bool check_masks(const struct stmt_insert *insert, struct err *err)
{
    for (size_t i = 0; i < insert->tvf_props.n; i++) {
        const struct stmt_prop *p = &insert->tvf_props.items[i];
        if (!jobprops_check_mask(p->key, p->value, err)) {
            return false;
        }
    }
    return true;
}

static struct spec_prop *copy_props(const struct stmt_props *from)
{
    struct spec_prop *props = xcalloc(from->n, sizeof(*props));
    for (size_t i = 0; i < from->n; i++) {
        props[i] = (struct spec_prop){
            .key = xstrdup(from->items[i].key),
            .value = xstrdup(from->items[i].value),
            .value_at = from->items[i].value_at,
            .value_end = from->items[i].value_end,
        };
    }
    return props;
}

static char **copy_columns(const struct stmt_insert *insert)
{
    char **columns = xcalloc(insert->n_columns, sizeof(*columns));
    for (size_t i = 0; i < insert->n_columns; i++) {
        columns[i] = xstrdup(insert->columns[i]);
    }
    return columns;
}

static int64_t interval_of(const struct job_spec *spec, int64_t default_interval_s)
{
    const char *text = spec_prop_get(spec->props, spec->n_props, "max_interval");
    int64_t interval = default_interval_s;
    if (text != NULL && !span_to_int64(span_of(text), 1, INT64_MAX / 1000, &interval)) {
        interval = default_interval_s; /* cannot happen: checked at CREATE */
    }
    return interval;
}

static bool resolve_target(const struct stmt_insert *insert, const char *current_db,
                           struct err *err)
{
    if (insert->catalog != NULL && strcmp(insert->catalog, "internal") != 0) {
        return err_say(err,
                       DETAIL "the target %s.%s.%s is in an external catalog; a streaming job "
                              "loads into a table of catalog internal",
                       insert->catalog, insert->db, insert->table);
    }
    if (insert->db == NULL && (current_db == NULL || current_db[0] == '\0')) {
        return err_set(err, ERR_NO_DB, "3D000",
                       "No database selected. Write the target as db.%s, or USE a database first",
                       insert->table);
    }
    return true;
}

static struct job_spec *make_spec(const struct stmt_insert *insert, const char *current_db,
                                  const struct stmt_props *props, int64_t default_interval_s)
{
    struct job_spec *spec = xcalloc(1, sizeof(*spec));
    const char *db = insert->db != NULL ? insert->db : current_db;
    assert(db != NULL); /* resolve_target() */
    spec->insert = (struct insert_spec){
        .sql = span_dup(insert->text),
        .sql_len = insert->text.n,
        .current_db = current_db != NULL && current_db[0] != '\0' ? xstrdup(current_db) : NULL,
        .target_db = xstrdup(db),
        .target_table = xstrdup(insert->table),
        .label_at = insert->label_at,
        .label_end = insert->label_end,
        .insert_at = insert->insert_at,
        .query_at = insert->query_at,
        .columns = copy_columns(insert),
        .n_columns = insert->n_columns,
        .tvf = xstrdup(insert->tvf),
        .tvf_props = copy_props(&insert->tvf_props),
        .n_tvf_props = insert->tvf_props.n,
    };
    spec->props = copy_props(props);
    for (size_t i = 0; i < props->n; i++) {
        jobprops_normalize(&spec->props[i]);
    }
    spec->n_props = props->n;
    spec->max_interval_s = interval_of(spec, default_interval_s);
    return spec;
}

/* {"s3.max_batch_files":"2"}: texts as given, in their order; "" when there are none. */
static char *props_to_json(const struct stmt_props *props)
{
    json_t *object = json_object();
    char *text = NULL;
    for (size_t i = 0; i < props->n; i++) {
        (void)json_object_set_new(object, props->items[i].key,
                                  json_string(props->items[i].value)); /* memory only */
    }
    if (props->n > 0) {
        text = json_dumps(object, JSON_COMPACT);
    }
    json_decref(object);
    return text != NULL ? text : xstrdup("");
}

bool jobspec_from_create(const struct stmt_create *create, const char *definer,
                         const char *current_db, int64_t default_interval_s,
                         struct job_spec **ret_spec, struct job_record *ret_job, struct err *err)
{
    if (!check_name(create->name, err) || !jobprops_check(&create->props, err) ||
        !jobprops_check_together(&create->props, err) || !check_masks(&create->insert, err) ||
        !resolve_target(&create->insert, current_db, err)) {
        return false;
    }
    struct job_spec *spec =
        make_spec(&create->insert, current_db, &create->props, default_interval_s);
    *ret_spec = spec;
    *ret_job = (struct job_record){
        .name = xstrdup(create->name),
        .definer = xstrdup(definer),
        .current_db = spec->insert.current_db != NULL ? xstrdup(spec->insert.current_db) : NULL,
        .target_db = xstrdup(spec->insert.target_db),
        .target_table = xstrdup(spec->insert.target_table),
        .sql = xstrdup(spec->insert.sql),
        .properties = props_to_json(&create->props),
        .comment = xstrdup(create->comment != NULL ? create->comment : ""),
        .state = JOB_PENDING,
    };
    return true;
}

/* The stored JSON as property list; the stored text was made by props_to_json(). */
static bool props_from_json(const char *text, struct stmt_props *ret, struct err *err)
{
    json_error_t why;
    const char *key = NULL;
    json_t *value = NULL;
    json_t *object = json_loads(text[0] != '\0' ? text : "{}", 0, &why);
    if (!json_is_object(object)) {
        json_decref(object);
        return err_say(err, "its stored properties are not a JSON object: %s", why.text);
    }
    ret->items = xcalloc(json_object_size(object), sizeof(*ret->items));
    json_object_foreach(object, key, value)
    {
        const char *s = json_string_value(value);
        ret->items[ret->n++] = (struct stmt_prop){
            .key = xstrdup(key),
            .value = xstrdup(s != NULL ? s : ""),
        };
    }
    json_decref(object);
    return true;
}

static void free_props(struct stmt_props *props)
{
    for (size_t i = 0; i < props->n; i++) {
        free(props->items[i].key);
        free(props->items[i].value);
    }
    free(props->items);
    *props = (struct stmt_props){0};
}

bool jobspec_from_record(const struct job_record *job, int64_t default_interval_s,
                         struct job_spec **ret_spec, struct err *err)
{
    struct stmt_insert insert = {0};
    struct stmt_props props = {0};
    if (!stmt_parse_insert(span_of(job->sql), &insert, err)) {
        return false;
    }
    bool is_ok = resolve_target(&insert, job->current_db, err) &&
                 props_from_json(job->properties != NULL ? job->properties : "", &props, err);
    if (is_ok) {
        *ret_spec = make_spec(&insert, job->current_db, &props, default_interval_s);
    }
    free_props(&props);
    stmt_insert_fini(&insert);
    return is_ok;
}

/* --- ALTER JOB ---------------------------------------------------------------------------------- */

static bool check_paused(const struct job_record *base, struct err *err)
{
    switch (base->state) {
    case JOB_PAUSED: return true;
    case JOB_PENDING:
    case JOB_RUNNING: {
        _cleanup_free_ char *quoted = quote_text(base->name);
        return err_say(err,
                       DETAIL "Only PAUSED job can be altered: job %s is %s. PAUSE JOB WHERE "
                              "jobName = %s first",
                       base->name, job_state_name(base->state), quoted);
    }
    case JOB_STOPPED:
    case JOB_FINISHED: break;
    }
    return err_say(err,
                   DETAIL "Only PAUSED job can be altered: job %s is %s and will not run again. "
                          "DROP it and CREATE another",
                   base->name, job_state_name(base->state));
}

/* By what the names mean: db is the job's when it is not written, catalog internal is the default. */
static bool check_target(const struct stmt_insert *insert, const struct job_record *base,
                         struct err *err)
{
    bool is_internal = insert->catalog == NULL || strcmp(insert->catalog, "internal") == 0;
    const char *db = insert->db != NULL ? insert->db : base->current_db;
    if (db == NULL) {
        return err_set(err, ERR_NO_DB, "3D000",
                       "No database selected: job %s has none. Write the target as %s.%s",
                       base->name, base->target_db, insert->table);
    }
    if (is_internal && strcmp(db, base->target_db) == 0 &&
        strcmp(insert->table, base->target_table) == 0) {
        return true;
    }
    return err_say(err,
                   DETAIL "The target table cannot be modified in ALTER JOB: job %s loads into "
                          "%s.%s, the statement names %s%s%s.%s. CREATE another job for that table",
                   base->name, base->target_db, base->target_table,
                   is_internal ? "" : insert->catalog, is_internal ? "" : ".", db, insert->table);
}

static bool check_source(const struct stmt_insert *insert, const struct stmt_insert *old,
                         const struct job_record *base, struct err *err)
{
    const struct stmt_prop *uri = jobprops_find(&insert->tvf_props, "uri");
    const struct stmt_prop *old_uri = jobprops_find(&old->tvf_props, "uri");
    if (strcmp(insert->tvf, old->tvf) != 0) {
        return err_say(err,
                       DETAIL "The tvf type cannot be modified in ALTER JOB: original=%s, new=%s. "
                              "CREATE another job to load from there",
                       old->tvf, insert->tvf);
    }
    if (old_uri == NULL || (uri != NULL && strcmp(uri->value, old_uri->value) == 0)) {
        return true; /* a job without one is wrong in another way, which the source tells */
    }
    return err_say(err,
                   DETAIL "The uri property cannot be modified in ALTER JOB: job %s reads \"%s\", "
                          "the statement has %s%s%s. CREATE another job to read from there",
                   base->name, old_uri->value, uri != NULL ? "\"" : "",
                   uri != NULL ? uri->value : "none", uri != NULL ? "\"" : "");
}

static bool is_same_part(struct span a, size_t a_at, size_t a_end, struct span b, size_t b_at,
                         size_t b_end)
{
    return a_end - a_at == b_end - b_at && memcmp(a.p + a_at, b.p + b_at, a_end - a_at) == 0;
}

/* The same bytes, but for the values of secret properties of the table function. */
static bool is_same_load(const struct stmt_insert *a, const struct stmt_insert *b)
{
    size_t a_at = 0;
    size_t b_at = 0;
    if (a->tvf_props.n != b->tvf_props.n) {
        return false;
    }
    for (size_t i = 0; i < a->tvf_props.n; i++) {
        const struct stmt_prop *p = &a->tvf_props.items[i];
        const struct stmt_prop *q = &b->tvf_props.items[i];
        bool is_secret = secret_is_key(span_of(p->key));
        if (!is_same_part(a->text, a_at, is_secret ? p->value_at : p->value_end, b->text, b_at,
                          is_secret ? q->value_at : q->value_end)) {
            return false;
        }
        a_at = p->value_end;
        b_at = q->value_end;
    }
    return is_same_part(a->text, a_at, a->text.n, b->text, b_at, b->text.n);
}

static bool is_session_key(const char *key)
{
    return strncasecmp(key, "session.", 8) == 0;
}

/* Every key of `from` gets its value in `into`, new ones come last. */
static void merge_props(struct stmt_props *into, const struct stmt_props *from)
{
    into->items = xrealloc_array(into->items, into->n + from->n + 1, sizeof(*into->items));
    for (size_t i = 0; i < from->n; i++) {
        const struct stmt_prop *given = &from->items[i];
        struct stmt_prop *p = jobprops_find(into, given->key);
        if (p == NULL) {
            p = &into->items[into->n++];
        } else {
            free(p->key);
            free(p->value);
        }
        *p = (struct stmt_prop){.key = xstrdup(given->key), .value = xstrdup(given->value)};
    }
}

/* What the statement changes; false when that is nothing. */
static bool find_changes(const struct stmt_alter *alter, const struct stmt_props *old_props,
                         const struct stmt_insert *old_insert, struct jobspec_alter *ret)
{
    bool is_changed = false;
    ret->only_paces = true;
    for (size_t i = 0; i < alter->props.n; i++) {
        const struct stmt_prop *given = &alter->props.items[i];
        const struct stmt_prop *old = jobprops_find(old_props, given->key);
        bool is_same = old != NULL && strcmp(old->value, given->value) == 0;
        if (strcasecmp(given->key, "offset") == 0) {
            /* The same text as before moves a job back that has gone on since. */
            ret->moves_offset = is_changed = true;
            ret->only_paces = false;
        } else if (!is_same) {
            ret->changes_load |= is_session_key(given->key);
            ret->only_paces &= jobprops_is_pace(given->key);
            is_changed = true;
        }
    }
    if (alter->has_insert) {
        bool is_same = old_insert->tvf != NULL && span_eq(alter->insert.text, old_insert->text);
        is_changed |= !is_same;
        ret->only_paces &= is_same;
        ret->changes_load |= old_insert->tvf == NULL || !is_same_load(&alter->insert, old_insert);
    }
    return is_changed;
}

static bool check_insert(const struct stmt_alter *alter, const struct stmt_insert *old,
                         const struct job_record *base, struct err *err)
{
    return !alter->has_insert ||
           (check_target(&alter->insert, base, err) && check_masks(&alter->insert, err) &&
            (old->tvf == NULL || check_source(&alter->insert, old, base, err)));
}

/* The properties as they shall be, into `props`. */
static bool merge_rules(const struct stmt_alter *alter, const struct job_record *base,
                        struct stmt_props *props, struct jobspec_alter *ret, struct err *err)
{
    _cleanup_(free_props) struct stmt_props old = {0};
    merge_props(&old, props);
    merge_props(props, &alter->props);
    ret->changes_rules = jobprops_change_rules(&old, props);
    return jobprops_may_change(base, &old, props, err) &&
           (!ret->moves_offset || jobprops_may_move(base, props, err)) &&
           jobprops_check_together(props, err);
}

static bool make_altered(const struct stmt_alter *alter, const struct job_record *base,
                         int64_t default_interval_s, const struct stmt_insert *old,
                         struct jobspec_alter *ret, struct err *err)
{
    _cleanup_(free_props) struct stmt_props props = {0};
    const struct stmt_insert *insert = alter->has_insert ? &alter->insert : old;
    if (!jobprops_check(&alter->props, err) || !check_insert(alter, old, base, err) ||
        !props_from_json(base->properties != NULL ? base->properties : "", &props, err)) {
        return false;
    }
    if (!find_changes(alter, &props, old, ret)) {
        return err_say(err,
                       DETAIL "No properties or sql changed in ALTER JOB: job %s is like that "
                              "already. Give a property another value, or another INSERT",
                       base->name);
    }
    if (!merge_rules(alter, base, &props, ret, err)) {
        return false;
    }
    ret->spec = make_spec(insert, base->current_db, &props, default_interval_s);
    job_record_copy(base, &ret->job);
    free(ret->job.sql);
    ret->job.sql = xstrdup(ret->spec->insert.sql);
    free(ret->job.properties);
    ret->job.properties = props_to_json(&props);
    return true;
}

bool jobspec_from_alter(const struct stmt_alter *alter, const struct job_record *base,
                        int64_t default_interval_s, struct jobspec_alter *ret, struct err *err)
{
    struct jobspec_alter made = {0};
    struct stmt_insert old = {0};
    struct err why = {0};
    bool is_understood = stmt_parse_insert(span_of(base->sql), &old, &why);
    bool is_ok = check_paused(base, err);
    if (is_ok && !is_understood && !alter->has_insert) {
        is_ok = err_say(err,
                        DETAIL "The statement of job %s is not understood any more (%s). Give this "
                               "ALTER JOB an INSERT that is",
                        base->name, why.msg);
    }
    is_ok = is_ok && make_altered(alter, base, default_interval_s, &old, &made, err);
    stmt_insert_fini(&old);
    if (is_ok) {
        *ret = made;
    }
    return is_ok;
}
