/*
 * The sink that has Doris load by INSERT … SELECT: it connects to the FE as the service account,
 * sends the statement once, and says what came back; see scheduler/sink.h for the contract. Any
 * number of runners may call at once. fe_conn.h says how a call ends in time, insert_label.h when
 * "unknown" is believed.
 *
 *     load:  session ready --> sent --> answer            VISIBLE COMMITTED EMPTY LABEL_USED REFUSED
 *               |               |-----> link broken       LOST
 *               |               +-----> deadline, cancel: KILL QUERY, a few seconds for the answer
 *               +--> NOT_SENT                             (as above, else LOST)
 *
 * filtered_rows is the OK packet's warning count, which has 16 bits: above 65535 it is modulo 65536.
 */
#ifndef SOURCES_INSERT_SINK_H
#define SOURCES_INSERT_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "scheduler/sink.h"
#include "sources/fe_conn.h"

/* All borrowed until insert_sink_destroy(). */
struct insert_sink_options {
    const struct fe_address *addresses; /* FE MySQL addresses, each of one FE; at least one */
    size_t n_addresses;
    const char *user; /* the service account */
    const char *password;
    enum fe_tls tls;
    const char *tls_ca;    /* as in struct fe_login */
    const char *http_host; /* FE HTTP; NULL = none: no fence(), no second road for label() */
    int http_port;
    int64_t connect_timeout_ms;
    bool announces; /* see struct fe_login */
};

extern const struct sink_ops insert_sink_ops;

/* Connects to nothing yet. */
struct sink *insert_sink_create(const struct insert_sink_options *o);
/* No call may be under way. NULL is accepted. */
void insert_sink_destroy(struct sink *k);

#endif
