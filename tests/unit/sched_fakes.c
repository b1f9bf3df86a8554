#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/span.h"
#include "base/xmalloc.h"
#include "tests/unit/sched_fakes.h"

enum { STUCK_MAX_MS = 20 * 1000, ASKS_TO_PUBLISH = 2 };

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
        bool wants_one = unit <= n && !d->is_bad[table][unit];
        is_right &= wants_one ? has_one : d->rows[table][unit] == 0;
    }
    is_right &= d->wrong == NULL;
    pthread_mutex_unlock(&d->lock);
    return is_right;
}

void fake_doris_set_bad(struct fake_doris *d, int table, int64_t unit, bool is_bad)
{
    pthread_mutex_lock(&d->lock);
    d->is_bad[table][unit] = is_bad;
    pthread_mutex_unlock(&d->lock);
}

void fake_doris_skip_txns(struct fake_doris *d, int64_t n)
{
    pthread_mutex_lock(&d->lock);
    d->n_txns += n;
    pthread_mutex_unlock(&d->lock);
}

void fake_doris_set_memory(struct fake_doris *d, int64_t keep_s, int64_t num)
{
    pthread_mutex_lock(&d->lock);
    d->label_keep_s = keep_s;
    d->label_num = num;
    pthread_mutex_unlock(&d->lock);
}

int64_t fake_doris_n_loads(struct fake_doris *d)
{
    pthread_mutex_lock(&d->lock);
    int64_t n = d->n_loads;
    pthread_mutex_unlock(&d->lock);
    return n;
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
    for (int64_t unit = l->first; unit <= l->last; unit++) {
        d->rows[l->table][unit]++;
        if (d->rows[l->table][unit] > 1) {
            d->wrong = "a unit was loaded twice";
        }
    }
}

static bool has_bad(const struct fake_doris *d, const struct fake_label *l)
{
    bool has_one = false;
    for (int64_t unit = l->first; unit <= l->last; unit++) {
        has_one |= d->is_bad[l->table][unit];
    }
    return has_one;
}

static struct fake_label *begin_txn(struct fake_doris *d, const struct load_request *r)
{
    const char *blank = strchr(r->sql, ' ');
    struct fake_label *l = &d->labels[d->n_labels++ % FAKE_LABELS];
    *l = (struct fake_label){
        .state = LABEL_PREPARE, .txn = ++d->n_txns, .has_row = r->verify != NULL};
    (void)snprintf(l->name, sizeof(l->name), "%s", r->label); /* labels are short */
    int64_t table = 0;
    bool has_table =
        span_to_int64(span_of(r->spec->insert.target_table + 1), 0, FAKE_TABLES - 1, &table);
    l->table = (int)table;
    if (!has_table || !fake_range(span_between(r->sql, blank), &l->first, &l->last) ||
        strcmp(blank + 1, l->has_row ? "" : r->label) != 0) {
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

static char *txn_text(const struct fake_label *l)
{
    return xasprintf("%lld", (long long)l->txn);
}

static enum load_result end_txn(struct fake_doris *d, struct fake_label *l, enum fake_load what,
                                struct load_report *ret, struct err *err)
{
    switch (what) {
    case FAKE_OK:
        publish(d, l);
        ret->txn_id = txn_text(l);
        ret->stat.scanned_rows = 1;
        return LOAD_VISIBLE;
    case FAKE_COMMITTED:
        l->state = LABEL_COMMITTED;
        ret->txn_id = txn_text(l);
        return LOAD_COMMITTED;
    case FAKE_BAD_ROWS:
    case FAKE_REFUSED:
        l->state = LABEL_ABORTED;
        ret->is_data_error = what == FAKE_BAD_ROWS;
        (void)err_say(err, "refused");
        return LOAD_REFUSED;
    case FAKE_ROLLED_BACK:
        l->state = LABEL_ABORTED;
        (void)err_say(err, "the link was closed before COMMIT");
        return LOAD_ROLLED_BACK;
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

static enum load_result begin_and_end(struct fake_doris *d, const struct load_request *r,
                                      enum fake_load what, struct load_report *ret, struct err *err)
{
    struct fake_label *l = begin_txn(d, r);
    if (what == FAKE_EMPTY) {
        for (int64_t unit = l->first; unit <= l->last; unit++) {
            d->is_empty[l->table][unit] = true;
        }
        d->n_labels--;
        return LOAD_EMPTY;
    }
    if (has_bad(d, l)) {
        what = FAKE_BAD_ROWS;
    } else if (r->verify != NULL && r->verify(r->verify_arg, err) != VERIFY_SAME) {
        l->state = LABEL_ABORTED;
        return LOAD_ROLLED_BACK;
    }
    return end_txn(d, l, what, ret, err);
}

static enum load_result load_locked(struct fake_doris *d, const struct load_request *r,
                                    enum fake_load what, struct load_report *ret, struct err *err)
{
    struct fake_label *old = find_label(d, r->label);
    if (what == FAKE_NOT_SENT) {
        (void)err_say(err, "cannot connect");
        return LOAD_NOT_SENT;
    }
    d->n_loads++;
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
    return begin_and_end(d, r, what, ret, err);
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

/* Forgotten labels and all: did the transaction of the row commit? */
static bool has_row(const struct fake_doris *d, const char *label)
{
    for (size_t i = 0; i < d->n_labels; i++) {
        const struct fake_label *l = &d->labels[i];
        if (l->has_row && l->state == LABEL_VISIBLE && strcmp(l->name, label) == 0) {
            return true;
        }
    }
    return false;
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
        ret->txn_id = txn_text(l);
    } else if (request->row != NULL) {
        state = has_row(d, label) ? LABEL_VISIBLE : LABEL_ABSENT;
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
    ret->label_keep_s = d->label_keep_s;
    ret->label_num = d->label_num;
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
