#include <assert.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "sources/fe_pool.h"
#include "sources/fe_traits.h"

enum {
    N_SLOTS = 32,                /* each is one of the connections that the FE lets a user have */
    LONGEST_IDLE_US = 30000000,  /* far below Doris's wait_timeout and any firewall's */
    PING_TIMEOUT_US = 3000000,   /* of an idle connection: a fresh one is soon made */
    SETUP_TIMEOUT_US = 30000000, /* of SET and USE, which an FE answers out of memory */
    TRAITS_AGE_S = 60,           /* an FE may be upgraded, or set up anew, behind our back */
    VERSION_LIMIT = 1 << 20,
    MOST_OPENS = 5,     /* in the time that an FE takes to let connections go */
    OPEN_PAUSE_MS = 20, /* between them */
    FRESH_US = 1000000, /* who answered so lately serves: a thousand jobs need not ask each */
};

struct idle {
    struct fe_conn *conn; /* owned */
    char *key;            /* owned; of its recipe */
    int64_t since_us;
};

/* Traits, of which the version is written last: what goes with it is at least as new. */
struct known {
    _Atomic int64_t version; /* (second it was asked for) * VERSION_LIMIT + version; 0 = never */
    _Atomic int64_t label_keep_s;
    _Atomic int64_t label_num;
    _Atomic int64_t answered_us; /* monotonic; 0 = never, or it has failed since */
};

struct fe_pool {
    const struct fe_address *addresses; /* borrowed */
    size_t n;
    const struct fe_login *login; /* borrowed */
    atomic_size_t preferred;      /* index of the address that worked last */
    _Atomic(struct idle *) slots[N_SLOTS];
    atomic_size_t next_victim; /* the slot that gives way when all are full */
    struct known *known;       /* per address; owned */
};

struct fe_pool *fe_pool_create(const struct fe_address *addresses, size_t n,
                               const struct fe_login *login)
{
    assert(n >= 1);
    struct fe_pool *p = xcalloc(1, sizeof(*p));
    p->addresses = addresses;
    p->n = n;
    p->login = login;
    p->known = xcalloc(n, sizeof(*p->known));
    return p;
}

static void idle_destroy(struct idle *i)
{
    if (i != NULL) {
        fe_conn_destroy(i->conn);
        free(i->key);
        free(i);
    }
}

void fe_pool_destroy(struct fe_pool *p)
{
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < N_SLOTS; i++) {
        idle_destroy(atomic_exchange(&p->slots[i], NULL));
    }
    free(p->known);
    free(p);
}

static size_t index_of(const struct fe_pool *p, const struct fe_conn *c)
{
    size_t at = (size_t)(fe_conn_address(c) - p->addresses);
    assert(at < p->n);
    return at;
}

static void note_answer(struct fe_pool *p, size_t at)
{
    atomic_store(&p->known[at].answered_us, clock_mono_us());
}

static void note_failure(struct fe_pool *p, size_t at)
{
    atomic_store(&p->known[at].answered_us, 0);
}

/*
 * Into any free slot. When there is none another one gives way, in turn: or else those of recipes
 * that nobody asks for any more would keep all others out for as long as they last. Takes i.
 */
static void keep(struct fe_pool *p, struct idle *i)
{
    for (size_t k = 0; k < N_SLOTS; k++) {
        struct idle *expected = NULL;
        if (atomic_compare_exchange_strong(&p->slots[k], &expected, i)) {
            return;
        }
    }
    size_t victim = atomic_fetch_add(&p->next_victim, 1) % N_SLOTS;
    idle_destroy(atomic_exchange(&p->slots[victim], i));
}

void fe_pool_put(struct fe_pool *p, const struct fe_recipe *recipe, struct fe_conn *c)
{
    struct idle *i = xcalloc(1, sizeof(*i));
    note_answer(p, index_of(p, c));
    i->conn = c;
    i->key = xstrdup(fe_recipe_key(recipe));
    i->since_us = clock_mono_us();
    keep(p, i);
}

/* An idle connection of this recipe, or NULL. Closes those that are idle for too long. */
static struct fe_conn *take_idle(struct fe_pool *p, const char *key)
{
    for (size_t k = 0; k < N_SLOTS; k++) {
        struct idle *i = atomic_exchange(&p->slots[k], NULL);
        if (i == NULL) {
            continue;
        }
        if (clock_mono_us() - i->since_us > LONGEST_IDLE_US) {
            idle_destroy(i);
        } else if (strcmp(i->key, key) == 0) {
            struct fe_conn *c = take_ptr(i->conn);
            idle_destroy(i);
            return c;
        } else {
            keep(p, i);
        }
    }
    return NULL;
}

static struct fe_conn *open_any(struct fe_pool *p, const struct fe_wait *wait, struct err *err)
{
    size_t first = atomic_load(&p->preferred);
    for (size_t i = 0; i < p->n; i++) {
        size_t at = (first + i) % p->n;
        struct fe_conn *c = fe_conn_open(&p->addresses[at], p->login, wait, err);
        if (c != NULL) {
            atomic_store(&p->preferred, at);
            note_answer(p, at);
            *err = (struct err){0};
            return c;
        }
        if (err->code == ERR_TOO_MANY_USER_CONNECTIONS) {
            note_answer(p, at); /* it serves, all those that we have */
        } else {
            note_failure(p, at);
        }
        bool is_over = err->code == ERR_ACCESS_DENIED || clock_mono_us() >= wait->deadline_us;
        if (is_over || err->code == ERR_QUERY_INTERRUPTED) {
            return NULL;
        }
    }
    if (p->n > 1) {
        (void)err_prefix(err, "none of the %zu FEs answered; the last one tried: ", p->n);
    }
    return NULL;
}

void fe_pool_avoid(struct fe_pool *p, const struct fe_conn *c)
{
    size_t at = index_of(p, c);
    note_failure(p, at);
    /* Unless another runner has already moved on. */
    (void)atomic_compare_exchange_strong(&p->preferred, &at, (at + 1) % p->n);
}

/* The same, but for no longer than `limit_us`: an FE that hangs must not take all of a load's time. */
static struct fe_wait at_most(const struct fe_wait *wait, int64_t limit_us)
{
    int64_t end_us = clock_mono_us() + limit_us;
    return (struct fe_wait){
        .deadline_us = end_us < wait->deadline_us ? end_us : wait->deadline_us,
        .cancel = wait->cancel,
    };
}

/* The FE lets the account have no more: those that are idle give way. True when there were any. */
static bool make_room(struct fe_pool *p, const struct err *err)
{
    bool is_any = false;
    for (size_t k = 0; k < N_SLOTS && err->code == ERR_TOO_MANY_USER_CONNECTIONS; k++) {
        struct idle *i = atomic_exchange(&p->slots[k], NULL);
        is_any = is_any || i != NULL;
        idle_destroy(i);
    }
    return is_any;
}

/* The FE counts a connection until it has read its end: a moment later than we do. */
static struct fe_conn *open_soon(struct fe_pool *p, const struct fe_wait *wait, struct err *err)
{
    struct pollfd stop = {.fd = wait->cancel != NULL ? wait->cancel->fd : -1, .events = POLLIN};
    struct fe_conn *c = NULL;
    bool is_full = true;
    for (int i = 0; i < MOST_OPENS && c == NULL && is_full; i++) {
        if (poll(&stop, 1, OPEN_PAUSE_MS) > 0) {
            return NULL; /* canceled; the error of the first try stays */
        }
        c = open_any(p, wait, err);
        is_full = c == NULL && err->code == ERR_TOO_MANY_USER_CONNECTIONS;
    }
    return c;
}

struct fe_conn *fe_pool_take(struct fe_pool *p, const struct fe_recipe *recipe,
                             const struct fe_wait *wait, struct err *err)
{
    struct fe_conn *idle = NULL;
    while ((idle = take_idle(p, fe_recipe_key(recipe))) != NULL) {
        struct fe_wait brief = at_most(wait, PING_TIMEOUT_US);
        if (fe_conn_ping(idle, &brief, err) == FE_OK) {
            note_answer(p, index_of(p, idle));
            return idle;
        }
        note_failure(p, index_of(p, idle));
        fe_conn_destroy(idle); /* closed by the FE meanwhile: look for another one */
        *err = (struct err){0};
    }
    _cleanup_fe_conn_ struct fe_conn *c = open_any(p, wait, err);
    if (c == NULL && make_room(p, err)) {
        c = open_soon(p, wait, err);
    }
    if (c == NULL) {
        return NULL;
    }
    struct fe_wait brief = at_most(wait, SETUP_TIMEOUT_US);
    if (fe_recipe_apply(recipe, c, &brief, err) != FE_OK) {
        fe_pool_avoid(p, c);
        return NULL;
    }
    return take_ptr(c);
}

static bool know(const struct known *k, int64_t now_s, struct fe_traits *ret)
{
    int64_t version = atomic_load(&k->version);
    if (version == 0 || now_s - version / VERSION_LIMIT >= TRAITS_AGE_S) {
        return false;
    }
    *ret = (struct fe_traits){
        .version = (int)(version % VERSION_LIMIT),
        .label_keep_s = atomic_load(&k->label_keep_s),
        .label_num = atomic_load(&k->label_num),
    };
    return true;
}

enum fe_result fe_pool_traits(struct fe_pool *p, struct fe_conn *c, const struct fe_wait *wait,
                              struct fe_traits *ret, struct err *err)
{
    struct known *k = &p->known[index_of(p, c)];
    int64_t now_s = clock_mono_ms() / 1000;
    if (know(k, now_s, ret)) {
        return FE_OK;
    }
    enum fe_result result = fe_traits_ask(c, wait, ret, err);
    if (ret->version >= 0 && (result == FE_OK || result == FE_REFUSED)) {
        atomic_store(&k->label_keep_s, ret->label_keep_s);
        atomic_store(&k->label_num, ret->label_num);
        atomic_store(&k->version, now_s * VERSION_LIMIT + ret->version);
        return FE_OK;
    }
    return result;
}

bool fe_pool_recall(const struct fe_pool *p, struct fe_traits *ret)
{
    const struct known *k = &p->known[atomic_load(&p->preferred)];
    int64_t answered_us = atomic_load(&k->answered_us);
    int64_t now_us = clock_mono_us();
    return answered_us != 0 && now_us - answered_us < FRESH_US && know(k, now_us / 1000000, ret);
}
