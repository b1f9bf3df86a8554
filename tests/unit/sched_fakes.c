#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_fakes.h"

enum { STUCK_MAX_MS = 20 * 1000, ASKS_TO_PUBLISH = 2 };

/* --- the source ------------------------------------------------------------------------------- */

struct source {
    int64_t n_units;
    bool has_end;
};

static struct source *source_create(const struct job_spec *spec, struct err *err)
{
    const char *text = spec_prop_get(spec->props, spec->n_props, "units");
    struct source *s = xcalloc(1, sizeof(*s));
    s->has_end = text[0] == 'e';
    if (!span_to_int64(span_of(text + (s->has_end ? 1 : 0)), 0, FAKE_UNITS, &s->n_units)) {
        (void)err_say(err, "units: %s", text);
        free(s);
        return NULL;
    }
    return s;
}

static void source_destroy(struct source *s)
{
    free(s);
}

static bool source_check(struct source *s, int64_t deadline_us, const struct cancel *cancel,
                         bool *ret_is_empty, struct err *err)
{
    (void)deadline_us;
    (void)cancel;
    (void)err;
    *ret_is_empty = s->n_units == 0;
    return true;
}

static enum plan_result source_plan(struct source *s, const struct plan_request *request,
                                    struct plan *ret, struct err *err)
{
    const char *offset = request->offset;
    int64_t at = 0;
    if (offset != NULL && !span_to_int64(span_of(offset), 0, FAKE_UNITS, &at)) {
        (void)err_say(err, "offset: %s", offset);
        return PLAN_FAIL;
    }
    if (at >= s->n_units) {
        return s->has_end ? PLAN_END : PLAN_EMPTY;
    }
    ret->range = xasprintf("%lld", (long long)at + 1);
    ret->offset_after = xstrdup(ret->range);
    ret->running_offset = xstrdup(ret->range);
    ret->n_files = 1;
    return PLAN_RANGE;
}

/* "<unit> <label>", which is all that the sink wants to know. */
static char *source_rewrite(const struct source *s, const char *range, const char *label,
                            struct err *err)
{
    (void)s;
    (void)err;
    return xasprintf("%s %s", range, label != NULL ? label : "");
}

static enum plan_result source_explain(struct source *s, const struct plan_request *request,
                                       struct plan *ret, struct explain *e)
{
    struct err err = {0};
    explain_add(e, "source", "%lld units", (long long)s->n_units);
    return source_plan(s, request, ret, &err);
}

static bool source_parse_offset(const char *text, char **ret_offset, struct err *err)
{
    (void)err;
    *ret_offset = xstrdup(text);
    return true;
}

static bool source_is_later(const char *offset, const char *than)
{
    int64_t a = 0;
    int64_t b = 0;
    return span_to_int64(span_of(offset), 0, FAKE_UNITS, &a) &&
           span_to_int64(span_of(than), 0, FAKE_UNITS, &b) && a > b;
}

static char *source_show_offset(const char *offset)
{
    return xstrdup(offset);
}

const struct source_ops fake_source_ops = {
    .tvf = "s3",
    .create = source_create,
    .destroy = source_destroy,
    .check = source_check,
    .plan = source_plan,
    .rewrite = source_rewrite,
    .explain = source_explain,
    .parse_offset = source_parse_offset,
    .is_later = source_is_later,
    .show_offset = source_show_offset,
};

bool fake_make_spec(const struct job_record *job, int64_t default_interval_s,
                    struct job_spec **ret_spec, struct err *err)
{
    if (strncmp(job->sql, "bad", 3) == 0) {
        return err_say(err, "not understood");
    }
    struct job_spec *spec = xcalloc(1, sizeof(*spec));
    spec->insert.sql = xstrdup(job->sql);
    spec->insert.sql_len = strlen(job->sql);
    spec->insert.target_db = xstrdup(job->target_db);
    spec->insert.target_table = xstrdup(job->target_table);
    spec->insert.tvf = xstrdup("s3");
    spec->props = xcalloc(1, sizeof(*spec->props));
    spec->n_props = 1;
    spec->props[0] = (struct spec_prop){.key = xstrdup("units"), .value = xstrdup(job->properties)};
    spec->max_interval_s = default_interval_s;
    *ret_spec = spec;
    return true;
}

/* --- Doris ------------------------------------------------------------------------------------ */

struct sink {
    struct fake_doris d; /* never made: a struct sink is a struct fake_doris here */
};

static struct fake_doris *doris_of(struct sink *k)
{
    return &k->d;
}

void fake_doris_init(struct fake_doris *d)
{
    *d = (struct fake_doris){.go_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    pthread_mutex_init(&d->lock, NULL);
}

void fake_doris_fini(struct fake_doris *d)
{
    close_p(&d->go_fd);
    pthread_mutex_destroy(&d->lock);
}

void fake_doris_script(struct fake_doris *d, const enum fake_load *loads, size_t n)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < n; i++) {
        d->script[i] = loads[i];
    }
    d->n_script = n;
    d->i_script = 0;
    pthread_mutex_unlock(&d->lock);
}

void fake_doris_let_go(struct fake_doris *d)
{
    uint64_t one = 1;
    ssize_t n = write(d->go_fd, &one, sizeof(one));
    (void)n; /* EAGAIN: readable already */
}

void fake_doris_set_deaf(struct fake_doris *d, const char *db)
{
    pthread_mutex_lock(&d->lock);
    d->deaf_db = db;
    pthread_mutex_unlock(&d->lock);
}

void fake_doris_set_check_stuck(struct fake_doris *d, bool is_stuck)
{
    pthread_mutex_lock(&d->lock);
    d->is_check_stuck = is_stuck;
    pthread_mutex_unlock(&d->lock);
}

void fake_doris_forget_labels(struct fake_doris *d)
{
    pthread_mutex_lock(&d->lock);
    for (size_t i = 0; i < d->n_labels; i++) {
        d->labels[i].is_forgotten = true;
    }
    pthread_mutex_unlock(&d->lock);
}

void fake_doris_set_outage(struct fake_doris *d, int n)
{
    pthread_mutex_lock(&d->lock);
    d->n_traits_to_fail = n;
    pthread_mutex_unlock(&d->lock);
}

int fake_doris_n_blocked(struct fake_doris *d)
{
    pthread_mutex_lock(&d->lock);
    int n = d->n_blocked;
    pthread_mutex_unlock(&d->lock);
    return n;
}

bool fake_doris_has_exactly(struct fake_doris *d, int table, int64_t n)
{
    bool is_right = true;
    pthread_mutex_lock(&d->lock);
    for (int64_t unit = 1; unit <= FAKE_UNITS; unit++) {
        bool has_one = d->rows[table][unit] == 1 || d->is_empty[table][unit];
        is_right &= unit <= n ? has_one : d->rows[table][unit] == 0;
    }
    is_right &= d->wrong == NULL;
    pthread_mutex_unlock(&d->lock);
    return is_right;
}

/* The newest that is remembered; NULL when none. */
static struct fake_label *find_label(struct fake_doris *d, const char *name)
{
    for (size_t i = d->n_labels; i-- > 0;) {
        if (!d->labels[i].is_forgotten && strcmp(d->labels[i].name, name) == 0) {
            return &d->labels[i];
        }
    }
    return NULL;
}

static void publish(struct fake_doris *d, struct fake_label *l)
{
    l->state = LABEL_VISIBLE;
    d->rows[l->table][l->unit]++;
    if (d->rows[l->table][l->unit] > 1) {
        d->wrong = "a unit was loaded twice";
    }
}

static struct fake_label *begin_txn(struct fake_doris *d, const struct load_request *r)
{
    const char *blank = strchr(r->sql, ' ');
    struct fake_label *l = &d->labels[d->n_labels++ % FAKE_LABELS];
    *l = (struct fake_label){.state = LABEL_PREPARE};
    (void)snprintf(l->name, sizeof(l->name), "%s", r->label); /* labels are short */
    l->table = r->spec->insert.target_table[1] - '0';
    if (!span_to_int64(span_between(r->sql, blank), 1, FAKE_UNITS, &l->unit) ||
        strcmp(blank + 1, r->label) != 0) {
        d->wrong = "a statement that no source made";
    }
    return l;
}

static enum fake_load next_load(struct fake_doris *d)
{
    return d->i_script < d->n_script ? d->script[d->i_script++] : FAKE_OK;
}

/* True when it was let go, false when it was canceled. */
static bool wait_blocked(struct fake_doris *d, const struct cancel *cancel)
{
    struct pollfd fds[2] = {{.fd = d->go_fd, .events = POLLIN},
                            {.fd = cancel->fd, .events = POLLIN}};
    pthread_mutex_lock(&d->lock);
    d->n_blocked++;
    pthread_mutex_unlock(&d->lock);
    int n = poll(fds, 2, STUCK_MAX_MS);
    pthread_mutex_lock(&d->lock);
    d->n_blocked--;
    if (n <= 0) {
        d->wrong = "nobody ended a run that was stuck";
    }
    pthread_mutex_unlock(&d->lock);
    return (fds[1].revents & POLLIN) == 0;
}

static enum load_result say_lost(struct err *err)
{
    (void)err_say(err, "the answer was lost");
    return LOAD_LOST;
}

static enum load_result end_txn(struct fake_doris *d, struct fake_label *l, enum fake_load what,
                                struct load_report *ret, struct err *err)
{
    switch (what) {
    case FAKE_OK:
        publish(d, l);
        ret->txn_id = xstrdup("1");
        ret->stat.scanned_rows = 1;
        return LOAD_VISIBLE;
    case FAKE_COMMITTED:
        l->state = LABEL_COMMITTED;
        ret->txn_id = xstrdup("1");
        return LOAD_COMMITTED;
    case FAKE_BAD_ROWS:
    case FAKE_REFUSED:
        l->state = LABEL_ABORTED;
        ret->is_data_error = what == FAKE_BAD_ROWS;
        (void)err_say(err, "refused");
        return LOAD_REFUSED;
    case FAKE_LOST_LOADED: publish(d, l); return say_lost(err);
    case FAKE_LOST_COMMITTED: l->state = LABEL_COMMITTED; return say_lost(err);
    case FAKE_LOST_ABORTED: l->state = LABEL_ABORTED; return say_lost(err);
    case FAKE_LOST_PREPARED:
    case FAKE_EMPTY:
    case FAKE_REFUSED_EARLY:
    case FAKE_NOT_SENT:
    case FAKE_LOST_UNSEEN:
    case FAKE_BLOCKED: break;
    }
    return say_lost(err);
}

static enum load_result load_locked(struct fake_doris *d, const struct load_request *r,
                                    enum fake_load what, struct load_report *ret, struct err *err)
{
    struct fake_label *old = find_label(d, r->label);
    if (what == FAKE_NOT_SENT) {
        (void)err_say(err, "cannot connect");
        return LOAD_NOT_SENT;
    }
    if (what == FAKE_LOST_UNSEEN) {
        return say_lost(err);
    }
    if (old != NULL && old->state != LABEL_ABORTED) {
        (void)err_say(err, "label used");
        return LOAD_LABEL_USED;
    }
    if (what == FAKE_REFUSED_EARLY) {
        (void)err_say(err, "table is not there");
        return LOAD_REFUSED;
    }
    struct fake_label *l = begin_txn(d, r);
    if (what == FAKE_EMPTY) {
        d->is_empty[l->table][l->unit] = true;
        d->n_labels--;
        return LOAD_EMPTY;
    }
    return end_txn(d, l, what, ret, err);
}

static enum load_result sink_load(struct sink *k, const struct load_request *r,
                                  struct load_report *ret, struct err *err)
{
    struct fake_doris *d = doris_of(k);
    pthread_mutex_lock(&d->lock);
    enum fake_load what = next_load(d);
    pthread_mutex_unlock(&d->lock);
    if (what == FAKE_BLOCKED) {
        what = wait_blocked(d, r->cancel) ? FAKE_OK : FAKE_LOST_ABORTED;
    }
    pthread_mutex_lock(&d->lock);
    enum load_result result = load_locked(d, r, what, ret, err);
    pthread_mutex_unlock(&d->lock);
    return result;
}

static enum label_state sink_label(struct sink *k, const struct label_request *request,
                                   struct label_report *ret, struct err *err)
{
    const char *db = request->db;
    const char *label = request->label;
    struct fake_doris *d = doris_of(k);
    enum label_state state = LABEL_UNKNOWN;
    pthread_mutex_lock(&d->lock);
    struct fake_label *l = find_label(d, label);
    if (d->deaf_db != NULL && strcmp(d->deaf_db, db) == 0) {
        (void)err_say(err, "no answer");
        state = LABEL_UNREACHABLE;
    } else if (l != NULL) {
        if (l->state == LABEL_COMMITTED && ++l->n_asked >= ASKS_TO_PUBLISH) {
            publish(d, l);
        }
        state = l->state;
        ret->txn_id = xstrdup("1");
    }
    pthread_mutex_unlock(&d->lock);
    return state;
}

static bool sink_fence(struct sink *k, const char *db, const char *label, int64_t deadline_us,
                       const struct cancel *cancel, struct err *err)
{
    struct fake_doris *d = doris_of(k);
    (void)db;
    (void)deadline_us;
    (void)cancel;
    (void)err;
    pthread_mutex_lock(&d->lock);
    struct fake_label *l = find_label(d, label);
    if (l != NULL && l->state == LABEL_PREPARE) {
        l->state = LABEL_ABORTED;
    }
    pthread_mutex_unlock(&d->lock);
    return true;
}

static void sink_explain(struct sink *k, const struct sink_explain *request, struct explain *e)
{
    struct fake_doris *d = doris_of(k);
    pthread_mutex_lock(&d->lock);
    bool is_stuck = d->is_check_stuck;
    pthread_mutex_unlock(&d->lock);
    e->section = EXPLAIN_RIGHTS;
    explain_add(e, "service account", "%s",
                request->sql != NULL ? request->sql : "nothing to plan");
    if (is_stuck && !wait_blocked(d, request->cancel)) {
        explain_fail(e, "FE", "canceled");
    }
}

static bool sink_check(struct sink *k, const struct job_spec *spec, const char *sql,
                       int64_t deadline_us, const struct cancel *cancel, struct fe_traits *ret,
                       struct err *err)
{
    struct fake_doris *d = doris_of(k);
    (void)spec;
    (void)sql;
    (void)deadline_us;
    pthread_mutex_lock(&d->lock);
    bool is_stuck = d->is_check_stuck;
    pthread_mutex_unlock(&d->lock);
    ret->version = 4001;
    return !is_stuck || wait_blocked(d, cancel) || err_say(err, "canceled");
}

static bool sink_traits(struct sink *k, int64_t deadline_us, const struct cancel *cancel,
                        struct fe_traits *ret, struct err *err)
{
    struct fake_doris *d = doris_of(k);
    (void)deadline_us;
    (void)cancel;
    pthread_mutex_lock(&d->lock);
    bool is_down = d->n_traits_to_fail > 0;
    d->n_traits_to_fail -= is_down;
    pthread_mutex_unlock(&d->lock);
    ret->version = 4001;
    return !is_down || err_say(err, "no FE");
}

const struct sink_ops fake_sink_ops = {
    .name = "fake",
    .load = sink_load,
    .label = sink_label,
    .fence = sink_fence,
    .check = sink_check,
    .explain = sink_explain,
    .traits = sink_traits,
};

/* --- the store -------------------------------------------------------------------------------- */

struct store {
    struct fake_store f; /* as struct sink above */
};

static struct store *real_of(const struct store *st)
{
    return st->f.real;
}

/* True: this write is refused without being carried out. */
static bool is_refused(struct store *st, bool *ret_is_late, struct err *err)
{
    int64_t i = ++st->f.n_writes;
    bool is_hit = i >= st->f.fail_from && i <= st->f.fail_to;
    *ret_is_late = is_hit && st->f.is_late && i == st->f.fail_from;
    if (is_hit) {
        (void)err_say(err, "the disk is full");
    }
    return is_hit && !*ret_is_late;
}

/* A late refusal is a lie: what was written is written. */
static enum store_result told(bool is_late, enum store_result result)
{
    return is_late ? STORE_FAIL : result;
}

static int64_t store_epoch(const struct store *st)
{
    return store_sqlite_ops.epoch(real_of(st));
}

static bool store_load(struct store *st, store_load_fn each, void *arg, struct err *err)
{
    return store_sqlite_ops.load(real_of(st), each, arg, err);
}

static enum store_result store_job_insert(struct store *st, const struct job_record *job,
                                          struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_insert(real_of(st), job, err));
}

static enum store_result store_job_delete(struct store *st, int64_t job_id, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_delete(real_of(st), job_id, err));
}

static enum store_result store_job_update(struct store *st, int64_t job_id,
                                          const struct job_update *u, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_update(real_of(st), job_id, u, err));
}

static enum store_result store_job_alter(struct store *st, const struct job_record *job,
                                         struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.job_alter(real_of(st), job, err));
}

static enum store_result store_task_begin(struct store *st, const struct task_record *task,
                                          struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.task_begin(real_of(st), task, err));
}

/* Committed ids rise, per job, over all restarts. */
static void note_commit(struct fake_store *f, const struct task_record *task)
{
    size_t i = 0;
    while (i < f->n_jobs && f->job_ids[i] != task->job_id) {
        i++;
    }
    f->is_wrong |= i < f->n_jobs && task->id <= f->last_task_ids[i];
    f->n_jobs += i == f->n_jobs;
    f->job_ids[i] = task->job_id;
    f->last_task_ids[i] = task->id;
}

static enum store_result store_task_commit(struct store *st, const struct task_record *task,
                                           int64_t expected, const struct file_marks *marks,
                                           struct err *err)
{
    bool is_late = false;
    if (is_refused(st, &is_late, err)) {
        return STORE_FAIL;
    }
    enum store_result result = store_sqlite_ops.task_commit(real_of(st), task, expected, marks, err);
    if (result == STORE_OK) {
        note_commit(&st->f, task);
    }
    return told(is_late, result);
}

static enum store_result store_task_end(struct store *st, int64_t job_id, int64_t task_id,
                                        const struct task_end *end, struct err *err)
{
    bool is_late = false;
    return is_refused(st, &is_late, err)
               ? STORE_FAIL
               : told(is_late, store_sqlite_ops.task_end(real_of(st), job_id, task_id, end, err));
}

const struct store_ops fake_store_ops = {
    .scheme = "fake",
    .epoch = store_epoch,
    .load = store_load,
    .job_insert = store_job_insert,
    .job_delete = store_job_delete,
    .job_update = store_job_update,
    .job_alter = store_job_alter,
    .task_begin = store_task_begin,
    .task_commit = store_task_commit,
    .task_end = store_task_end,
};
