/*
 * The FEs of the cluster: every address that proxy.backend resolves to, in its order, with the host
 * name it came from, what is known of its health, and how many sessions it has. Made by main before
 * the threads start; afterwards the addresses never change and the rest is atomic, so that workers,
 * the health thread and the admin server share it.
 *
 *     UNKNOWN ──────────────> UP      the health thread asked (proxy/health.h)
 *        │ ^                  │ ^
 *        v │ nobody asks      v │
 *        DOWN <─────────────────┘     a session could not connect, or the health thread's question
 *                                     failed
 *
 * Where nobody asks (proxy.health_interval = 0) an FE that failed is tried again after half a minute.
 */
#ifndef PROXY_BACKENDS_H
#define PROXY_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proxy/listener.h"
#include "sources/fe_conn.h"

struct host_port;

enum backend_state { BACKEND_UNKNOWN, BACKEND_UP, BACKEND_DOWN };

enum {
    BACKENDS_MAX = 64,         /* addresses; a set of them is an uint64_t */
    BACKENDS_REASON_SIZE = 256 /* with its NUL */
};

struct backends;

struct backends *backends_create(void);
/* NULL is accepted. */
void backends_destroy(struct backends *b);
/* Resolves, which may block, and appends what is new. Before any other thread sees b. */
bool backends_add(struct backends *b, const struct host_port *from, struct err *err);
/* The same for an address that is known already. At most BACKENDS_MAX of them. */
void backends_add_address(struct backends *b, const char *host, const struct address *address);

size_t backends_count(const struct backends *b);
const struct address *backends_address(const struct backends *b, size_t i);
/* As proxy.backend has it: what a certificate is checked against. */
const char *backends_host(const struct backends *b, size_t i);
/* "10.0.0.7:9030", the address, for logs. */
const char *backends_text(const struct backends *b, size_t i);
/* "10.0.0.7", the same without brackets and port: for libraries that want a host. */
const char *backends_numeric_host(const struct backends *b, size_t i);
int backends_port(const struct backends *b, size_t i);
/*
 * Where doris.user is to log in: at the very address, or, where the certificate has to be good for
 * its host name, at the name.
 */
struct fe_address backends_fe_address(const struct backends *b, size_t i,
                                      const struct fe_login *login);

/* --- which one a new session tries ------------------------------------------------------------ */

/*
 * The pure choice: of n states the UP ones, then the UNKNOWN, then the DOWN; `preferred` (SIZE_MAX:
 * none) first among its equals, then the others in order. n when every bit of them is in `tried`.
 */
size_t backends_choose(const enum backend_state *states, size_t n, size_t preferred,
                       uint64_t tried);
/*
 * The same for now, preferring where the sessions of that client's host are: the connection that a
 * client opens to KILL another's statement should reach the same FE. backends_count() when all were
 * tried.
 */
size_t backends_next(const struct backends *b, const struct address *client, uint64_t tried);

/* A session has the FE's greeting. The token, for backends_leave(), is that of the client's host. */
uint32_t backends_enter(struct backends *b, size_t i, const struct address *client);
void backends_leave(struct backends *b, size_t i, uint32_t token);
int64_t backends_sessions(const struct backends *b, size_t i);

/* --- health; any thread ----------------------------------------------------------------------- */

/* A health thread runs: what it says counts. Before the threads start. */
void backends_set_checked(struct backends *b);
/* A session could not connect: DOWN at once. A change is logged, once, as by the next two. */
void backends_failed(struct backends *b, size_t i, const char *reason);

/*
 * The health thread asks:  seen = backends_begin_check(b, i); ... backends_is_up(b, i, seen).
 * A session that failed since then knows better than an answer that came before it.
 */
uint32_t backends_begin_check(const struct backends *b, size_t i);
void backends_is_up(struct backends *b, size_t i, uint32_t seen);
void backends_is_down(struct backends *b, size_t i, const char *reason);
/* DOWN because a session failed: that its HTTP port answers does not make it UP again. */
bool backends_is_doubted(const struct backends *b, size_t i);

struct backend_health {
    enum backend_state state;
    int64_t since_ms;                  /* wall clock */
    char reason[BACKENDS_REASON_SIZE]; /* why it is DOWN; "" otherwise */
};
void backends_health(const struct backends *b, size_t i, struct backend_health *ret);
/* "up" */
const char *backends_state_name(enum backend_state state);

#endif
