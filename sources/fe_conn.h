/*
 * One connection to one FE, over MariaDB Connector/C. Every call ends at the deadline or when the
 * cancel flag is raised, wherever it is (only the resolver's own time-out bounds a DNS name): the
 * library's non-blocking calls run, and poll(2) waits for the socket and the flag together.
 *
 *     fe_conn_open() --> fe_conn_run()*                        small statements, with rows
 *                    --> fe_conn_send(), fe_conn_receive()*    the INSERT, whose fate matters
 *                    --> fe_conn_destroy()
 *
 * Nothing is ever sent twice and nothing reconnects by itself. TLS is as struct fe_login has it;
 * passwords go out only hashed or encrypted, never in clear text. A connection is used by one
 * thread at a time.
 */
#ifndef SOURCES_FE_CONN_H
#define SOURCES_FE_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"
#include "base/xmalloc.h"

struct cancel;

struct fe_address {
    const char *host; /* no brackets around IPv6 */
    int port;
};

enum fe_tls {
    FE_TLS_OFF,
    FE_TLS_PREFERRED, /* where the FE offers it */
    FE_TLS_REQUIRED,
    FE_TLS_VERIFY, /* and its certificate has to be good for the address's host */
};

/* Borrowed by every connection made with it. */
struct fe_login {
    const char *user;
    const char *password;
    enum fe_tls tls;
    const char *tls_ca;         /* PEM file of authorities; NULL or "": the system's */
    int64_t connect_timeout_ms; /* for TCP, TLS and the login together */
    bool announces;             /* begins with a PROXY protocol header (v1, UNKNOWN) */
};

/* How long a call may take, and what ends it early. */
struct fe_wait {
    int64_t deadline_us;         /* monotonic */
    const struct cancel *cancel; /* NULL: nothing does */
};

enum fe_result {
    FE_OK,
    FE_REFUSED, /* an ERR packet: err is what the FE says, untouched; the connection is fine */
    FE_UNSENT,  /* the time was up before a byte of the statement could leave */
    FE_LOST,    /* the link broke, or what came is not the MySQL protocol */
    FE_STOPPED, /* the deadline passed or the flag was raised */
};

struct fe_conn;
struct fe_row;

/* A column of the current row by its name, letter case ignored; NULL when absent or SQL NULL. */
const char *fe_row_get(const struct fe_row *row, const char *column);
/* The first column; NULL for SQL NULL. */
const char *fe_row_first(const struct fe_row *row);

typedef void (*fe_row_fn)(const struct fe_row *row, void *arg);

/* A column of a result set, as the FE describes it on the wire. */
struct fe_field {
    const char *name; /* borrowed for the call */
    int type;         /* MySQL's number: enum enum_field_types */
    unsigned long length;
    unsigned decimals;
};

typedef void (*fe_field_fn)(const struct fe_field *field, void *arg);

/*
 * NULL: err names the account, the FE, and what to look at in the configuration. `address` and
 * `login` are borrowed until fe_conn_destroy().
 */
struct fe_conn *fe_conn_open(const struct fe_address *address, const struct fe_login *login,
                             const struct fe_wait *wait, struct err *err);
/* Never blocks for long; the FE may go on with a statement that runs. NULL is accepted. */
void fe_conn_destroy(struct fe_conn *c);
DEFINE_CLEANUP(struct fe_conn *, fe_conn_destroy)
#define _cleanup_fe_conn_ _cleanup_(fe_conn_destroy_p)

/*
 * A statement and all of its answer; `each`, unless NULL, sees every row. After FE_LOST and
 * FE_STOPPED the connection is good for nothing but fe_conn_destroy().
 */
enum fe_result fe_conn_run(struct fe_conn *c, const char *sql, fe_row_fn each, void *arg,
                           const struct fe_wait *wait, struct err *err);

/* The columns of the statement's result, in their order; its rows are of no interest. */
enum fe_result fe_conn_describe(struct fe_conn *c, const char *sql, fe_field_fn each, void *arg,
                                const struct fe_wait *wait, struct err *err);

/*
 * FE_OK: all of it was handed to the kernel. FE_LOST, FE_STOPPED: a part may have left. Never
 * FE_REFUSED.
 */
enum fe_result fe_conn_send(struct fe_conn *c, struct span sql, const struct fe_wait *wait,
                            struct err *err);
/*
 * The answer to what was sent: FE_OK for an OK packet (see below). After FE_STOPPED the call may be
 * made again with more time. A result set is FE_LOST.
 */
enum fe_result fe_conn_receive(struct fe_conn *c, const struct fe_wait *wait, struct err *err);
/* Of the last OK packet. Borrowed until the next statement; NULL when it had no info. */
const char *fe_conn_info(const struct fe_conn *c);
uint64_t fe_conn_affected(const struct fe_conn *c);
uint64_t fe_conn_warnings(const struct fe_conn *c);
/* All of the last FE_REFUSED's text, which may be longer than err holds. Borrowed. */
const char *fe_conn_error_text(const struct fe_conn *c);

/* Is an idle connection still alive? FE_OK or FE_LOST, FE_STOPPED. */
enum fe_result fe_conn_ping(struct fe_conn *c, const struct fe_wait *wait, struct err *err);
/*
 * KILL QUERY for what runs on c, over a second connection to the same address. An address must
 * belong to one FE, not to a load balancer: connection ids are numbered by each FE for itself.
 */
bool fe_conn_kill(const struct fe_conn *c, const struct fe_wait *wait, struct err *err);

const struct fe_address *fe_conn_address(const struct fe_conn *c);

#endif
