#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "sources/fe_pool.h"
#include "sources/fe_version.h"

enum {
    N_SLOTS = 16,                /* as many as scheduler.runners has by default */
    LONGEST_IDLE_US = 30000000,  /* far below Doris's wait_timeout and any firewall's */
    PING_TIMEOUT_US = 3000000,   /* of an idle connection: a fresh one is soon made */
    SETUP_TIMEOUT_US = 30000000, /* of SET and USE, which an FE answers out of memory */
    VERSION_AGE_S = 60,          /* an FE may be upgraded behind our back */
    VERSION_LIMIT = 1 << 20,
};

struct idle {
    struct fe_conn *conn; /* owned */
    char *key;            /* owned; of its recipe */
    int64_t since_us;
};

struct fe_pool {
    const struct fe_address *addresses; /* borrowed */
    size_t n;
    const struct fe_login *login; /* borrowed */
    atomic_size_t preferred;      /* index of the address that worked last */
    _Atomic(struct idle *) slots[N_SLOTS];
    /* Per address: (second it was asked for) * VERSION_LIMIT + version; 0 = never. Owned. */
    _Atomic int64_t *versions;
};

struct fe_pool *fe_pool_create(const struct fe_address *addresses, size_t n,
                               const struct fe_login *login)
{
    assert(n >= 1);
    struct fe_pool *p = xcalloc(1, sizeof(*p));
    p->addresses = addresses;
    p->n = n;
    p->login = login;
    p->versions = xcalloc(n, sizeof(*p->versions));
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
    free(p->versions);
    free(p);
}

/* Into any free slot; closed when there is none. Takes i. */
static void keep(struct fe_pool *p, struct idle *i)
{
    for (size_t k = 0; k < N_SLOTS; k++) {
        struct idle *expected = NULL;
        if (atomic_compare_exchange_strong(&p->slots[k], &expected, i)) {
            return;
        }
    }
    idle_destroy(i);
}

void fe_pool_put(struct fe_pool *p, const struct fe_recipe *recipe, struct fe_conn *c)
{
    struct idle *i = xcalloc(1, sizeof(*i));
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
            *err = (struct err){0};
            return c;
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

static size_t index_of(const struct fe_pool *p, const struct fe_conn *c)
{
    size_t at = (size_t)(fe_conn_address(c) - p->addresses);
    assert(at < p->n);
    return at;
}

void fe_pool_avoid(struct fe_pool *p, const struct fe_conn *c)
{
    size_t at = index_of(p, c);
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

struct fe_conn *fe_pool_take(struct fe_pool *p, const struct fe_recipe *recipe,
                             const struct fe_wait *wait, struct err *err)
{
    struct fe_conn *idle = NULL;
    while ((idle = take_idle(p, fe_recipe_key(recipe))) != NULL) {
        struct fe_wait brief = at_most(wait, PING_TIMEOUT_US);
        if (fe_conn_ping(idle, &brief, err) == FE_OK) {
            return idle;
        }
        fe_conn_destroy(idle); /* closed by the FE meanwhile: look for another one */
        *err = (struct err){0};
    }
    _cleanup_fe_conn_ struct fe_conn *c = open_any(p, wait, err);
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

static void read_version(const struct fe_row *row, void *arg)
{
    int *version = arg;
    *version = fe_version_parse(span_of(fe_row_first(row)));
}

enum fe_result fe_pool_version(struct fe_pool *p, struct fe_conn *c, const struct fe_wait *wait,
                               int *ret_version, struct err *err)
{
    size_t at = index_of(p, c);
    int64_t now_s = clock_mono_ms() / 1000;
    int64_t known = atomic_load(&p->versions[at]);
    if (known != 0 && now_s - known / VERSION_LIMIT < VERSION_AGE_S) {
        *ret_version = (int)(known % VERSION_LIMIT);
        return FE_OK;
    }
    int version = 0;
    enum fe_result result =
        fe_conn_run(c, "SELECT @@version_comment", read_version, &version, wait, err);
    if (result == FE_OK) {
        atomic_store(&p->versions[at], now_s * VERSION_LIMIT + version);
        *ret_version = version;
    }
    return result;
}
