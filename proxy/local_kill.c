#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/xmalloc.h"
#include "parser/kill.h"
#include "proxy/backends.h"
#include "proxy/kill_decide.h"
#include "proxy/killer.h"
#include "proxy/local_kill.h"
#include "proxy/session.h"
#include "proxy/worker_session.h"

enum {
    MOST_FOUND = BACKENDS_MAX, /* an FE gives a number to one connection at a time */
    ERR_KILL_DENIED = 1095,    /* ER_KILL_DENIED_ERROR */
};

/* A KILL that is being looked into. */
struct local_kill {
    struct kill_stmt stmt;
    size_t backend; /* where it is to be run */
};

struct found {
    size_t backend;
    char *user; /* owned */
    struct address peer;
    bool is_busy;
};

/* Goes from worker to worker, and back to the one that asks. */
struct search {
    struct msg_call call;         /* first */
    struct worker_shared *shared; /* borrowed */
    struct msgq *home;            /* borrowed: the asker's */
    size_t n_visited;             /* workers */
    uint64_t session_id;          /* of the asker */
    uint32_t id;
    size_t n;
    struct found found[MOST_FOUND];
};

static void destroy_search(struct msg *m)
{
    struct search *search = (struct search *)m;
    for (size_t i = 0; i < search->n; i++) {
        free(search->found[i].user);
    }
    free(search);
}

void local_kill_destroy(struct local_kill *k)
{
    free(k);
}

/* --- the answer ------------------------------------------------------------------------------- */

static void end_forward(struct session *s)
{
    local_kill_destroy(take_ptr(s->kill));
    session_reply_forward(s);
}

static void end_err(struct session *s, const struct err *err)
{
    local_kill_destroy(take_ptr(s->kill));
    session_reply_err(s, err);
}

/* NULL when the session is gone, or its KILL is. */
static struct session *find_asker(struct worker *w, uint64_t id)
{
    struct session *s = worker_find_session(w, id);
    return s != NULL && s->kill != NULL ? s : NULL;
}

static void on_killed(void *receiver, struct msg_call *call)
{
    struct killer_request *r = (struct killer_request *)call;
    struct session *s = find_asker(receiver, r->session_id);
    if (s != NULL && r->is_ok) {
        local_kill_destroy(take_ptr(s->kill));
        session_reply_ok(s, 0, NULL);
    } else if (s != NULL) {
        end_err(s, &r->err);
    }
    killer_request_destroy(r);
}

static void send_kill(struct session *s)
{
    struct killer_request *r = killer_request_create(worker_msgq(s->worker), s->id);
    r->call.run = on_killed;
    r->backend = s->kill->backend;
    r->stmt = s->kill->stmt;
    killer_send(worker_shared(s->worker)->killer, r);
}

/* Doris: the same user, or ADMIN (FE qe/…/KillUtils.java). */
static bool is_admin(const struct answer *grants)
{
    for (size_t row = 0; !grants->is_error && row < grants->n_rows; row++) {
        for (size_t i = 0; i < grants->n_columns; i++) {
            const char *cell = grants->cells[row * grants->n_columns + i];
            if (strcasecmp(grants->columns[i], "GlobalPrivs") == 0 && cell != NULL &&
                strcasestr(cell, "Admin_priv") != NULL) {
                return true;
            }
        }
    }
    return false;
}

static void on_grants(struct session *s, const struct answer *answer, void *arg)
{
    struct err err = {0};
    (void)arg;
    if (is_admin(answer)) {
        send_kill(s);
        return;
    }
    (void)err_set(&err, ERR_KILL_DENIED, "HY000", "You are not owner of thread or query: %" PRIu32,
                  s->kill->stmt.id);
    end_err(s, &err);
}

static void fail_ambiguous(struct session *s, const struct found *a, const struct found *b)
{
    struct err err = {0};
    const struct backends *backends = worker_shared(s->worker)->backends;
    (void)err_say(&err,
                  "Sluice cannot tell which connection KILL %" PRIu32
                  " means: the FE %s has one of "
                  "that number, of user '%s', and the FE %s has one of user '%s'. Connect to the "
                  "right FE itself and KILL it there",
                  s->kill->stmt.id, backends_text(backends, a->backend), a->user,
                  backends_text(backends, b->backend), b->user);
    end_err(s, &err);
}

static bool is_same_host(const struct address *a, const struct address *b)
{
    if (a->to.any.sa_family != b->to.any.sa_family) {
        return false;
    }
    if (a->to.any.sa_family == AF_INET6) {
        return memcmp(&a->to.v6.sin6_addr, &b->to.v6.sin6_addr, sizeof(a->to.v6.sin6_addr)) == 0;
    }
    return a->to.v4.sin_addr.s_addr == b->to.v4.sin_addr.s_addr;
}

static void decide(struct session *s, const struct search *search)
{
    struct kill_party parties[MOST_FOUND] = {0};
    size_t first = 0;
    size_t second = 0;
    for (size_t i = 0; i < search->n; i++) {
        const struct found *f = &search->found[i];
        parties[i] = (struct kill_party){
            .backend = f->backend,
            .is_same_user = strcmp(f->user, session_user(s)) == 0,
            .is_same_host = is_same_host(&f->peer, &s->peer),
            .is_busy = f->is_busy,
        };
    }
    switch (kill_decide(parties, search->n, s->backend, &first, &second)) {
    case KILL_FORWARD: end_forward(s); return;
    case KILL_AMBIGUOUS: fail_ambiguous(s, &search->found[first], &search->found[second]); return;
    case KILL_REMOTE: break;
    }
    s->kill->backend = search->found[first].backend;
    if (parties[first].is_same_user) {
        send_kill(s);
    } else {
        session_ask(s, "SHOW GRANTS", on_grants, NULL);
    }
}

/* --- the search ------------------------------------------------------------------------------- */

static void look_at(struct session *s, void *arg)
{
    struct search *search = arg;
    bool is_in_use = s->state == SESSION_READY || s->state == SESSION_LOCAL;
    if (!is_in_use || s->greeting.connection_id != search->id || search->n == MOST_FOUND) {
        return;
    }
    bool is_asker = s->id == search->session_id; /* it is busy with the KILL only */
    search->found[search->n++] = (struct found){
        .backend = s->backend,
        .user = xstrdup(session_user(s)),
        .peer = s->peer,
        .is_busy = !is_asker && (s->state == SESSION_LOCAL || !track_is_idle(&s->track)),
    };
}

static void on_home(void *receiver, struct msg_call *call)
{
    struct search *search = (struct search *)call;
    struct session *s = find_asker(receiver, search->session_id);
    if (s != NULL) {
        decide(s, search);
    }
    destroy_search(&search->call.m);
}

static void on_visit(void *receiver, struct msg_call *call);

/* To the next worker that still runs; from the last one home. */
static void send_on(struct search *search)
{
    const struct worker_shared *shared = search->shared;
    search->call.run = on_visit;
    while (search->n_visited < shared->n_workers) {
        struct worker *next = shared->workers[search->n_visited++];
        if (msgq_offer(worker_msgq(next), &search->call.m)) {
            return;
        }
    }
    search->call.run = on_home;
    (void)msgq_send(search->home, &search->call.m); /* closed: the asker is gone, too */
}

static void on_visit(void *receiver, struct msg_call *call)
{
    struct search *search = (struct search *)call;
    worker_each_session(receiver, look_at, search);
    send_on(search);
}

static enum local_verdict accept_kill(struct session *s, const struct kill_stmt *stmt)
{
    assert(s->kill == NULL);
    s->kill = xcalloc(1, sizeof(*s->kill));
    s->kill->stmt = *stmt;
    struct search *search = xcalloc(1, sizeof(*search));
    search->call.m.destroy = destroy_search;
    search->shared = worker_shared(s->worker);
    search->home = worker_msgq(s->worker);
    search->session_id = s->id;
    search->id = stmt->id;
    send_on(search);
    return LOCAL_TAKEN;
}

/* With one FE, or without the other workers and the thread, its numbers are the only ones. */
static bool is_needed(const struct session *s)
{
    const struct worker_shared *shared = worker_shared(s->worker);
    return backends_count(shared->backends) > 1 && shared->killer != NULL && shared->n_workers > 0;
}

enum local_verdict local_kill_accept(struct session *s, struct span sql, struct err *err)
{
    struct kill_stmt stmt = {0};
    (void)err; /* what the FE would refuse is left to it */
    return is_needed(s) && kill_parse(sql, &stmt) ? accept_kill(s, &stmt) : LOCAL_FOREIGN;
}

enum local_verdict local_kill_accept_id(struct session *s, uint32_t id, struct err *err)
{
    struct kill_stmt stmt = {.id = id};
    (void)err;
    return is_needed(s) ? accept_kill(s, &stmt) : LOCAL_FOREIGN;
}
