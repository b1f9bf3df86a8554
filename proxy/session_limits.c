#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/config.h"
#include "proxy/session.h"
#include "proxy/session_limits.h"
#include "proxy/worker_session.h"

struct session_user {
    struct session_user *next; /* in its bucket */
    size_t bucket;
    int64_t n_sessions;
    char name[];
};

static size_t bucket_of(const char *user)
{
    uint32_t hash = 2166136261U; /* FNV-1a */
    for (const char *p = user; *p != '\0'; p++) {
        hash = (hash ^ (uint8_t)*p) * 16777619U;
    }
    return hash % SESSION_LIMITS_BUCKETS;
}

static struct session_user *find_or_add(struct session_limits *l, const char *user)
{
    size_t bucket = bucket_of(user);
    for (struct session_user *u = l->buckets[bucket]; u != NULL; u = u->next) {
        if (strcmp(u->name, user) == 0) {
            return u;
        }
    }
    size_t size = strlen(user) + 1;
    struct session_user *u = xcalloc(1, sizeof(*u) + size);
    memcpy(u->name, user, size);
    u->bucket = bucket;
    u->next = l->buckets[bucket];
    l->buckets[bucket] = u;
    atomic_fetch_add(&l->n_users, 1);
    return u;
}

struct session_user *session_limits_add(struct session_limits *l, const char *user, int64_t max,
                                        struct err *err)
{
    (void)pthread_mutex_lock(&l->mutex); /* cannot fail on a sound mutex, nor can unlocking it */
    struct session_user *u = find_or_add(l, user);
    int64_t n = u->n_sessions;
    bool is_admitted = max == 0 || n < max;
    u->n_sessions += is_admitted ? 1 : 0;
    (void)pthread_mutex_unlock(&l->mutex);
    if (is_admitted) {
        return u;
    }
    assert(n > 0); /* max > 0: the entry was there before, and stays */
    (void)err_set(
        err, ERR_TOO_MANY_USER_CONNECTIONS, "42000",
        "Reach limit of connections. User: %s, Total: %lld, Current: %lld. Close some, or "
        "raise proxy.max_user_connections of Sluice",
        user, (long long)max, (long long)n);
    return NULL;
}

static void unlink_user(struct session_limits *l, const struct session_user *u)
{
    struct session_user **at = &l->buckets[u->bucket];
    while (*at != u) {
        at = &(*at)->next;
    }
    *at = u->next;
    atomic_fetch_sub(&l->n_users, 1);
}

void session_limits_remove(struct session_limits *l, struct session_user *u)
{
    if (u == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&l->mutex); /* as above */
    assert(u->n_sessions > 0);
    bool is_last = --u->n_sessions == 0;
    if (is_last) {
        unlink_user(l, u);
    }
    (void)pthread_mutex_unlock(&l->mutex);
    if (is_last) {
        free(u);
    }
}

bool session_admit(struct session *s, const char *user, struct err *err)
{
    struct session_limits *l = &worker_shared(s->worker)->limits;
    if (s->admitted != NULL && strcmp(s->admitted->name, user) == 0) {
        return true; /* COM_CHANGE_USER to the same user */
    }
    if (worker_is_draining(s->worker) && s->admitted == NULL) {
        return err_set(err, ERR_SERVER_SHUTDOWN, "08S01",
                       "Server shutdown in progress: Sluice is being stopped; connect again");
    }
    struct session_user *u =
        session_limits_add(l, user, worker_config(s->worker)->max_user_connections, err);
    if (u == NULL) {
        return false;
    }
    session_limits_remove(l, s->admitted);
    s->admitted = u;
    return true;
}

void session_admit_end(struct session *s)
{
    session_limits_remove(&worker_shared(s->worker)->limits, take_ptr(s->admitted));
}
