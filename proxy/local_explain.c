/*
 * EXPLAIN CREATE JOB, EXPLAIN JOB and SHOW CREATE JOB: the statements that tell and change nothing.
 *
 * An answer of the first two is a table of Item, Level and Value, made to be read in a terminal: a
 * long value goes on in the rows below its own, whose Item and Level are empty.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/quote.h"
#include "base/secret.h"
#include "base/xmalloc.h"
#include "parser/utf8.h"
#include "proxy/batchwise.h"
#include "proxy/config.h"
#include "proxy/job_text.h"
#include "proxy/jobprops.h"
#include "proxy/jobspec.h"
#include "proxy/local_parts.h"
#include "proxy/relay.h"
#include "proxy/result.h"
#include "proxy/worker.h"

enum { WIDTH = 100 /* bytes of a value in a row */ };

static const char *const explain_names[] = {"Item", "Level", "Value"};
static const char *const show_names[] = {"Job", "Create Job"};

/* --- the table -------------------------------------------------------------------------------- */

static struct result_cell text_cell(struct span text)
{
    return (struct result_cell){.type = RESULT_TEXT, .text = text};
}

static void put_row(struct result *r, struct span item, struct span level, struct span value)
{
    struct result_cell cells[] = {text_cell(item), text_cell(level), text_cell(value)};
    result_row(r, cells, ARRAY_SIZE(cells));
}

static size_t word_length(struct span line, size_t from)
{
    const char *blank = memchr(line.p + from, ' ', line.n - from);
    return blank != NULL ? (size_t)(blank - line.p) - from : line.n - from;
}

/* How much of a line goes into one row: to its last blank, else comma, else what is whole UTF-8. */
static size_t cut_at(struct span line)
{
    if (line.n <= WIDTH) {
        return line.n;
    }
    for (size_t n = WIDTH; n > WIDTH / 2; n--) {
        if (line.p[n] == ' ') {
            return n;
        }
    }
    for (size_t n = WIDTH; n > WIDTH / 2; n--) {
        if (line.p[n - 1] == ',') {
            return n;
        }
    }
    for (size_t n = WIDTH / 2; n > 0; n--) {
        if (line.p[n] == ' ' && word_length(line, n + 1) <= WIDTH) {
            return n; /* a word that has room in a row stays whole: a URL is to be copied */
        }
    }
    size_t n = utf8_valid((struct span){line.p, WIDTH});
    return n > WIDTH - 4 ? n : WIDTH;
}

static void put_line(struct result *r, const struct explain_line *line)
{
    _cleanup_free_ char *masked = secret_mask(span_of(line->text));
    struct span rest = span_of(masked);
    struct span item = span_of(line->item);
    struct span level = span_of(explain_level_name(line->level));
    assert(masked != NULL);
    do {
        const char *end = memchr(rest.p, '\n', rest.n);
        struct span whole = end != NULL ? span_between(rest.p, end) : rest;
        size_t n = cut_at(whole);
        put_row(r, item, level, (struct span){rest.p, n});
        bool is_at_gap = n < rest.n && (rest.p[n] == ' ' || rest.p[n] == '\n');
        rest.p += n + is_at_gap;
        rest.n -= n + is_at_gap;
        item = SPAN_LIT("");
        level = SPAN_LIT("");
    } while (rest.n > 0);
}

static void begin_table(struct result *r, struct local *l, struct buf *out,
                        const char *const *names, size_t n)
{
    struct result_form form = session_form(l->session);
    struct result_column columns[ARRAY_SIZE(explain_names)];
    for (size_t i = 0; i < n; i++) {
        columns[i] = (struct result_column){.name = names[i], .type = RESULT_TEXT};
    }
    result_begin(r, out, &form);
    result_columns(r, columns, n);
}

static enum step_result end_table(struct local *l, struct buf *out)
{
    struct session *s = l->session;
    local_finish(l);
    session_reply_packets(s, out);
    return STEP_END;
}

void local_explained(struct local *l, const struct explain *explain)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    struct result r;
    begin_table(&r, l, &out, explain_names, ARRAY_SIZE(explain_names));
    for (size_t i = 0; i < explain->n; i++) {
        put_line(&r, &explain->lines[i]);
    }
    result_end(&r);
    (void)end_table(l, &out);
}

const char *const *local_explain_columns(enum stmt_kind kind, size_t *ret_n)
{
    bool is_explain = kind == STMT_EXPLAIN_CREATE || kind == STMT_EXPLAIN_JOB;
    bool is_show = kind == STMT_SHOW_CREATE_JOB;
    *ret_n = is_explain ? ARRAY_SIZE(explain_names) : is_show ? ARRAY_SIZE(show_names) : 0;
    return is_explain ? explain_names : show_names;
}

/* --- EXPLAIN CREATE JOB ----------------------------------------------------------------------- */

static const char would[] = "CREATE JOB would create this job, and it would load";
static const char would_not[] = "CREATE JOB would be refused, or the job would not load";

/* A cell has no room for what stands before nearly every text of Doris. */
static const char *words_of(const char *msg)
{
    static const char before[] = "errCode = 2, detailMessage = ";
    return span_starts_with(span_of(msg), before) ? msg + strlen(before) : msg;
}

/*
 * Without LOAD on the target, say, nothing is told but that: neither the source nor the FE is asked
 * anything in Sluice's name for somebody who could not create the job.
 */
enum step_result local_explain_denied(struct local *l, const struct err *err)
{
    l->explain.section = EXPLAIN_RIGHTS;
    explain_fail(&l->explain, "your privileges",
                 "%s. Without it nothing else is told, and nothing is asked of the source",
                 words_of(err->msg));
    explain_sum_up(&l->explain, would, would_not);
    explain_sort(&l->explain);
    struct explain answer = l->explain;
    l->explain = (struct explain){0};
    local_explained(l, &answer);
    explain_fini(&answer);
    return STEP_END;
}

enum step_result local_explain_rights(struct local *l)
{
    const struct stmt_insert *insert = &l->stmt.u.create.insert;
    const char *db = insert->db != NULL ? insert->db : l->database;
    struct err err = {0};
    if (db == NULL) {
        return STEP_NEXT; /* which is the next step's error */
    }
    l->explain.section = EXPLAIN_RIGHTS;
    if (local_may_load(l, db, insert->table, &err)) {
        explain_add(&l->explain, "your privileges", "'%s' has LOAD on %s.%s",
                    session_user(l->session), db, insert->table);
        return STEP_NEXT;
    }
    return local_explain_denied(l, &err);
}

enum step_result local_explain_find(struct local *l)
{
    struct sched_request *r = local_request(l, SCHED_FIND);
    r->name = xstrdup(l->stmt.u.create.name);
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

enum step_result local_explain_name(struct local *l)
{
    const struct stmt_create *create = &l->stmt.u.create;
    l->explain.section = EXPLAIN_NAME;
    if (worker_config(session_worker(l->session))->on_streaming == CONFIG_STREAMING_FE) {
        explain_warn(&l->explain, "proxy.on_streaming",
                     "is fe, so CREATE JOB goes to the FE: this is what Sluice would do with it");
    }
    if (l->job_id == 0) {
        explain_add(&l->explain, "name", "%s, no job of Sluice has it", create->name);
    } else if (create->if_not_exists) {
        explain_warn(&l->explain, "name",
                     "%s: there is a job of this name already, so CREATE JOB IF NOT EXISTS would "
                     "leave it as it is and do nothing",
                     create->name);
    } else {
        _cleanup_free_ char *quoted = quote_text(create->name);
        explain_fail(&l->explain, "name",
                     "%s: there is a job of this name already. Choose another name, or DROP JOB "
                     "WHERE jobName = %s first",
                     create->name, quoted);
    }
    return STEP_NEXT;
}

static bool make_spec(const struct local *l, const struct stmt_create *create,
                      struct job_spec **ret_spec, struct job_record *ret_job, struct err *err)
{
    return jobspec_from_create(create, session_user(l->session), l->database,
                               local_env_of(l)->default_interval_s, ret_spec, ret_job, err);
}

static void add_wrong_property(struct local *l, const struct stmt_prop *wrong,
                               const struct err *err)
{
    l->explain.section = EXPLAIN_PROPERTIES;
    explain_fail(&l->explain, wrong->key, "%s", words_of(err->msg));
}

/*
 * A wrong property is a line, and what it would have said is left out: `copy` is the statement with
 * those that are right. Its list is the caller's to free.
 */
static void drop_wrong_properties(struct local *l, struct stmt_create *copy)
{
    const struct stmt_props *all = &l->stmt.u.create.props;
    struct stmt_props *right = &copy->props;
    struct err err = {0};
    *right = (struct stmt_props){.items = xcalloc(all->n, sizeof(*all->items))};
    for (size_t i = 0; i < all->n; i++) {
        struct stmt_props alone = {.items = &all->items[i], .n = 1};
        if (jobprops_check(&alone, &err)) {
            right->items[right->n++] = all->items[i];
        } else {
            add_wrong_property(l, &all->items[i], &err);
        }
    }
    const struct stmt_prop *misplaced = NULL;
    while ((misplaced = jobprops_find_misplaced(right, &err)) != NULL) {
        size_t at = (size_t)(misplaced - right->items);
        add_wrong_property(l, misplaced, &err);
        memmove(&right->items[at], &right->items[at + 1],
                (--right->n - at) * sizeof(*right->items));
    }
}

static bool make_tolerant_spec(struct local *l, struct job_spec **ret_spec,
                               struct job_record *ret_job, struct err *err)
{
    struct stmt_create copy = l->stmt.u.create;
    struct stmt_create bare = copy;
    struct job_spec *spec = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    bare.props = (struct stmt_props){0};
    if (!make_spec(l, &bare, &spec, &job, err)) {
        return false; /* it is not for its properties */
    }
    job_spec_destroy(spec);
    drop_wrong_properties(l, &copy);
    bool is_ok = make_spec(l, &copy, ret_spec, ret_job, err);
    free(copy.props.items);
    return is_ok;
}

static void look_at_batches(struct local *l)
{
    _cleanup_free_ char *found = batchwise_find(&l->stmt.u.create.insert);
    if (found != NULL) {
        l->explain.section = EXPLAIN_STATEMENT;
        explain_warn(&l->explain, "SELECT",
                     "%s: computed for each batch of files, not over all of them", found);
    }
}

enum step_result local_explain_create(struct local *l)
{
    struct err err = {0};
    struct job_spec *spec = NULL;
    _cleanup_job_record_ struct job_record job = {0};
    if (!make_tolerant_spec(l, &spec, &job, &err)) {
        return local_end_err(l, &err);
    }
    look_at_batches(l);
    struct sched_request *r = local_request(l, SCHED_CHECK);
    r->job = job;
    job = (struct job_record){0};
    r->spec = spec;
    r->explain = l->explain;
    l->explain = (struct explain){0};
    l->is_checking = true;
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

void local_checked(struct local *l, struct explain *explain)
{
    explain_sum_up(explain, would, would_not);
    explain_sort(explain);
    local_explained(l, explain);
}

void local_explain_forget(struct local *l)
{
    if (l->is_checking) {
        l->is_checking = false;
        sched_send(local_env_of(l)->sched, local_request(l, SCHED_FORGET));
    }
}

/* --- EXPLAIN JOB, SHOW CREATE JOB ------------------------------------------------------------- */

enum step_result local_explain_job(struct local *l)
{
    struct sched_request *r = local_request(l, SCHED_EXPLAIN);
    r->name = xstrdup(l->stmt.u.job.name);
    r->job_id = l->job_id;
    sched_send(local_env_of(l)->sched, r);
    return STEP_WAIT;
}

enum step_result local_show_create(struct local *l)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    _cleanup_free_ char *text = job_text(&l->job);
    _cleanup_free_ char *masked = secret_mask(span_of(text));
    struct result r;
    begin_table(&r, l, &out, show_names, ARRAY_SIZE(show_names));
    struct result_cell cells[] = {text_cell(span_of(l->job.name)), text_cell(span_of(masked))};
    result_row(&r, cells, ARRAY_SIZE(cells));
    result_end(&r);
    return end_table(l, &out);
}
