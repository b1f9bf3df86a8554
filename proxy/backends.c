#include <arpa/inet.h>
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/xmalloc.h"
#include "proxy/backends.h"
#include "proxy/config.h"

enum {
    RETRY_MS = 30000, /* an FE that failed and that nobody asks about */
    N_HOSTS = 4096,   /* slots of the table of client hosts */
    COUNT_BITS = 24,  /* of a slot: sessions */
    INDEX_BITS = 8,   /* of a slot: the FE */
    REASON_WORDS = BACKENDS_REASON_SIZE / sizeof(uint64_t),
};

/* A text that threads write and read without a lock: readers try again when it changed meanwhile. */
struct shared_text {
    _Atomic uint32_t version; /* odd: somebody writes */
    _Atomic uint64_t words[REASON_WORDS];
};

struct backend {
    struct address address;
    char *host; /* owned */
    int port;
    char text[ADDRESS_TEXT_SIZE];
    char numeric_host[INET6_ADDRSTRLEN];
    _Atomic int state; /* enum backend_state */
    _Atomic int64_t since_ms;
    _Atomic int64_t failed_mono_ms; /* when a session could not connect */
    _Atomic uint32_t n_failures;    /* of sessions */
    _Atomic bool is_doubted;
    _Atomic int64_t n_sessions;
    struct shared_text reason;
};

struct backends {
    struct backend *items; /* owned */
    size_t n;
    bool is_checked;
    /* Client hosts: tag 32 | FE 8 | sessions 24. Without sessions a slot is free for any host. */
    _Atomic uint64_t hosts[N_HOSTS];
};

/* --- life ------------------------------------------------------------------------------------- */

struct backends *backends_create(void)
{
    return xcalloc(1, sizeof(struct backends));
}

void backends_destroy(struct backends *b)
{
    if (b == NULL) {
        return;
    }
    for (size_t i = 0; i < b->n; i++) {
        free(b->items[i].host);
    }
    free(b->items);
    free(b);
}

static void write_host(const struct address *a, char ret[INET6_ADDRSTRLEN])
{
    const void *from = a->to.any.sa_family == AF_INET6 ? (const void *)&a->to.v6.sin6_addr
                                                       : (const void *)&a->to.v4.sin_addr;
    (void)inet_ntop(a->to.any.sa_family, from, ret,
                    INET6_ADDRSTRLEN); /* two families, both known */
}

static int port_of(const struct address *a)
{
    bool is_v6 = a->to.any.sa_family == AF_INET6;
    return ntohs(is_v6 ? a->to.v6.sin6_port : a->to.v4.sin_port);
}

void backends_add_address(struct backends *b, const char *host, const struct address *address)
{
    assert(b->n < BACKENDS_MAX);
    b->items = xrealloc_array(b->items, b->n + 1, sizeof(*b->items));
    struct backend *to = &b->items[b->n++];
    *to = (struct backend){.address = *address, .host = xstrdup(host), .port = port_of(address)};
    address_format(address, to->text);
    write_host(address, to->numeric_host);
    atomic_store(&to->since_ms, clock_wall_ms());
}

static bool is_known(const struct backends *b, const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    address_format(address, text);
    for (size_t i = 0; i < b->n; i++) {
        if (strcmp(b->items[i].text, text) == 0) {
            return true;
        }
    }
    return false;
}

bool backends_add(struct backends *b, const struct host_port *from, struct err *err)
{
    _cleanup_free_ struct address *found = NULL;
    size_t n_found = 0;
    if (!address_resolve(from, &found, &n_found, err)) {
        return false;
    }
    for (size_t i = 0; i < n_found; i++) {
        if (is_known(b, &found[i])) {
            continue; /* two names of one FE, which is tried, asked and counted once */
        }
        if (b->n == BACKENDS_MAX) {
            return err_say(err, "the host names resolve to more than %d addresses; name fewer FEs",
                           BACKENDS_MAX);
        }
        backends_add_address(b, from->host, &found[i]);
    }
    return true;
}

static struct backend *at(const struct backends *b, size_t i)
{
    assert(i < b->n);
    return &b->items[i];
}

size_t backends_count(const struct backends *b)
{
    return b->n;
}

const struct address *backends_address(const struct backends *b, size_t i)
{
    return &at(b, i)->address;
}

const char *backends_host(const struct backends *b, size_t i)
{
    return at(b, i)->host;
}

const char *backends_text(const struct backends *b, size_t i)
{
    return at(b, i)->text;
}

const char *backends_numeric_host(const struct backends *b, size_t i)
{
    return at(b, i)->numeric_host;
}

int backends_port(const struct backends *b, size_t i)
{
    return at(b, i)->port;
}

struct fe_address backends_fe_address(const struct backends *b, size_t i,
                                      const struct fe_login *login)
{
    const struct backend *to = at(b, i);
    return (struct fe_address){
        .host = login->tls == FE_TLS_VERIFY ? to->host : to->numeric_host,
        .port = to->port,
    };
}

/* --- the choice ------------------------------------------------------------------------------- */

static int rank(enum backend_state state)
{
    switch (state) {
    case BACKEND_UP: return 0;
    case BACKEND_UNKNOWN: return 1;
    case BACKEND_DOWN: return 2;
    }
    assert(!"a state that is not in the list");
    return 2;
}

size_t backends_choose(const enum backend_state *states, size_t n, size_t preferred, uint64_t tried)
{
    size_t best = n;
    assert(n <= BACKENDS_MAX);
    for (size_t i = 0; i < n; i++) {
        if ((tried >> i & 1) != 0) {
            continue;
        }
        int order = best == n ? -1 : rank(states[i]) - rank(states[best]);
        if (order < 0 || (order == 0 && i == preferred)) {
            best = i;
        }
    }
    return best;
}

/* The state as far as trying goes. */
static enum backend_state state_now(const struct backends *b, const struct backend *to,
                                    int64_t now_ms)
{
    enum backend_state state = (enum backend_state)atomic_load(&to->state);
    bool is_stale = !b->is_checked && now_ms - atomic_load(&to->failed_mono_ms) > RETRY_MS;
    return state == BACKEND_DOWN && is_stale ? BACKEND_UNKNOWN : state;
}

/* FNV-1a over the address without its port. */
static uint32_t hash_host(const struct address *a)
{
    bool is_v6 = a->to.any.sa_family == AF_INET6;
    const uint8_t *p =
        is_v6 ? (const uint8_t *)&a->to.v6.sin6_addr : (const uint8_t *)&a->to.v4.sin_addr;
    size_t n = is_v6 ? sizeof(a->to.v6.sin6_addr) : sizeof(a->to.v4.sin_addr);
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * 16777619U;
    }
    return hash;
}

static uint32_t tag_of(uint64_t slot)
{
    return (uint32_t)(slot >> (COUNT_BITS + INDEX_BITS));
}

static size_t index_of(uint64_t slot)
{
    return (size_t)(slot >> COUNT_BITS & ((1U << INDEX_BITS) - 1));
}

static uint64_t count_of(uint64_t slot)
{
    return slot & ((1U << COUNT_BITS) - 1);
}

size_t backends_next(const struct backends *b, const struct address *client, uint64_t tried)
{
    enum backend_state states[BACKENDS_MAX];
    int64_t now_ms = clock_mono_ms();
    uint32_t hash = hash_host(client);
    uint64_t slot = atomic_load(&b->hosts[hash % N_HOSTS]);
    bool is_known = count_of(slot) > 0 && tag_of(slot) == hash;
    for (size_t i = 0; i < b->n; i++) {
        states[i] = state_now(b, &b->items[i], now_ms);
    }
    return backends_choose(states, b->n, is_known ? index_of(slot) : SIZE_MAX, tried);
}

static void recover(struct backends *b, struct backend *to);

uint32_t backends_enter(struct backends *b, size_t i, const struct address *client)
{
    uint32_t hash = hash_host(client);
    _Atomic uint64_t *at_slot = &b->hosts[hash % N_HOSTS];
    uint64_t fresh = (uint64_t)hash << (COUNT_BITS + INDEX_BITS) | (uint64_t)i << COUNT_BITS;
    uint64_t old = atomic_load(at_slot);
    uint64_t wanted = 0;
    atomic_fetch_add(&at(b, i)->n_sessions, 1);
    recover(b, at(b, i));
    do {
        uint64_t count = count_of(old);
        bool is_same = (old ^ fresh) >> COUNT_BITS == 0;
        if (count > 0 && (!is_same || count == (1U << COUNT_BITS) - 1)) {
            return 0; /* another host's, or this host's at another FE: those came first */
        }
        wanted = fresh | (count + 1);
    } while (!atomic_compare_exchange_weak(at_slot, &old, wanted));
    return hash % N_HOSTS + 1;
}

void backends_leave(struct backends *b, size_t i, uint32_t token)
{
    atomic_fetch_sub(&at(b, i)->n_sessions, 1);
    if (token > 0) {
        assert(count_of(atomic_load(&b->hosts[token - 1])) > 0);
        atomic_fetch_sub(&b->hosts[token - 1], 1); /* the count is in the lowest bits */
    }
}

int64_t backends_sessions(const struct backends *b, size_t i)
{
    return atomic_load(&at(b, i)->n_sessions);
}

/* --- health ----------------------------------------------------------------------------------- */

/* When two write at once, one of them is as good as the other: the second gives up. */
static void set_text(struct shared_text *t, const char *text)
{
    uint64_t words[REASON_WORDS] = {0};
    uint32_t version = atomic_load(&t->version);
    if ((version & 1) != 0 || !atomic_compare_exchange_strong(&t->version, &version, version + 1)) {
        return;
    }
    (void)snprintf((char *)words, sizeof(words), "%s", text); /* cut when long */
    for (size_t i = 0; i < REASON_WORDS; i++) {
        atomic_store(&t->words[i], words[i]);
    }
    atomic_store(&t->version, version + 2);
}

static void get_text(const struct shared_text *t, char ret[BACKENDS_REASON_SIZE])
{
    uint64_t words[REASON_WORDS];
    uint32_t before = 0;
    uint32_t after = 0;
    do {
        before = atomic_load(&t->version);
        for (size_t i = 0; i < REASON_WORDS; i++) {
            words[i] = atomic_load(&t->words[i]);
        }
        after = atomic_load(&t->version);
    } while (before != after || (before & 1) != 0);
    memcpy(ret, words, BACKENDS_REASON_SIZE);
    ret[BACKENDS_REASON_SIZE - 1] = '\0';
}

void backends_set_checked(struct backends *b)
{
    b->is_checked = true;
}

/* True for the one caller that changed it. */
static bool change(struct backend *to, enum backend_state state)
{
    if (atomic_exchange(&to->state, (int)state) == (int)state) {
        return false;
    }
    atomic_store(&to->since_ms, clock_wall_ms());
    return true;
}

static void go_down(struct backend *to, const char *reason)
{
    set_text(&to->reason, reason);
    if (change(to, BACKEND_DOWN)) {
        log_warn("fe.down", "fe", to->text, "host", to->host, "reason", reason, NULL);
    }
}

void backends_failed(struct backends *b, size_t i, const char *reason)
{
    struct backend *to = at(b, i);
    atomic_store(&to->failed_mono_ms, clock_mono_ms());
    atomic_fetch_add(&to->n_failures, 1);
    atomic_store(&to->is_doubted, true);
    go_down(to, reason);
}

/* A session got through. Where somebody asks, it is for him to say so. */
static void recover(struct backends *b, struct backend *to)
{
    if (!b->is_checked && atomic_load(&to->state) == BACKEND_DOWN && change(to, BACKEND_UNKNOWN)) {
        atomic_store(&to->is_doubted, false);
        log_info("fe.up", "fe", to->text, "host", to->host, NULL);
    }
}

uint32_t backends_begin_check(const struct backends *b, size_t i)
{
    return atomic_load(&at(b, i)->n_failures);
}

void backends_is_up(struct backends *b, size_t i, uint32_t seen)
{
    struct backend *to = at(b, i);
    if (atomic_load(&to->n_failures) != seen) {
        return;
    }
    atomic_store(&to->is_doubted, false);
    if (change(to, BACKEND_UP)) {
        log_info("fe.up", "fe", to->text, "host", to->host, NULL);
    }
}

void backends_is_down(struct backends *b, size_t i, const char *reason)
{
    go_down(at(b, i), reason);
}

bool backends_is_doubted(const struct backends *b, size_t i)
{
    return atomic_load(&at(b, i)->is_doubted);
}

void backends_health(const struct backends *b, size_t i, struct backend_health *ret)
{
    const struct backend *from = at(b, i);
    *ret = (struct backend_health){
        .state = (enum backend_state)atomic_load(&from->state),
        .since_ms = atomic_load(&from->since_ms),
    };
    if (ret->state == BACKEND_DOWN) {
        get_text(&from->reason, ret->reason);
    }
}

const char *backends_state_name(enum backend_state state)
{
    static const char *const names[] = {
        [BACKEND_UNKNOWN] = "unknown", [BACKEND_UP] = "up", [BACKEND_DOWN] = "down"};
    assert((size_t)state < ARRAY_SIZE(names));
    return names[state];
}
