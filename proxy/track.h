/*
 * Follows both directions of one MySQL connection without looking into bodies: which of the
 * client's packets begin a command, and where the FE's reply to it ends. Pure: fed with bytes,
 * does no I/O, allocates nothing. Owned by a session.
 *
 *             command                       last packet of the last reply due
 *     IDLE ------------> FIRST -----------------------------------------> IDLE
 *                         | column count        EOF, or nothing with DEPRECATE_EOF
 *                         +----> DEFINITIONS ---> DEFINITIONS_END ---> ROWS ---> FIRST if
 *                         |          ^   (PREPARE: parameters, then columns)     MORE_RESULTS
 *                         +----> AUTH     CHANGE_USER and login: until OK or ERR
 *                         +----> STREAM   BINLOG_DUMP: until EOF or ERR
 *
 * What no command explains (Doris's OK to QUIT, an ERR before a server goes away) is passed on
 * and changes nothing.
 */
#ifndef PROXY_TRACK_H
#define PROXY_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    TRACK_QUEUE_SIZE = 64, /* commands whose replies are outstanding */
    TRACK_PREFIX_SIZE = 24 /* of a payload: OK needs 1 + 9 + 9 + 2 */
};

enum track_state {
    TRACK_IDLE,
    TRACK_FIRST,
    TRACK_DEFINITIONS,
    TRACK_DEFINITIONS_END,
    TRACK_ROWS,
    TRACK_FIELDS,
    TRACK_AUTH,
    TRACK_STREAM,
};

enum track_auth { TRACK_AUTH_NONE, TRACK_AUTH_OK, TRACK_AUTH_REFUSED };

struct track_entry {
    uint8_t command;
    uint8_t first_sequence; /* what its reply should begin with */
};

/* Private but for `auth` and `has_quit`, which the session reads. */
struct track {
    uint64_t capabilities;
    bool is_classic;      /* EOF packets */
    bool has_quit;        /* the client said COM_QUIT */
    bool is_infile;       /* the client sends a file, until an empty packet */
    bool is_started;      /* the current reply's first packet was seen */
    bool has_replied;     /* at least one reply has ended */
    bool is_owed;         /* that was a PREPARE's, and nothing has come since */
    enum track_auth auth; /* outcome of the last login or CHANGE_USER; the session resets it */
    enum track_state state;

    /* PREPARE and result sets: definitions still to come, and of the block after this one */
    uint64_t n_definitions;
    uint64_t n_next_definitions;

    /* the FE's bytes */
    uint32_t left; /* of the current packet's payload */
    uint8_t n_head;
    uint8_t head[4 + TRACK_PREFIX_SIZE];
    bool is_continued;     /* the last packet was full: the next one belongs to it */
    uint8_t last_sequence; /* of the FE's last packet; of the client's while it sends a file */

    /* the client's bytes */
    uint32_t client_left;
    bool client_is_continued;

    uint8_t queue_first;
    uint8_t queue_count;
    uint8_t n_silent; /* entries that may stay without a reply */
    struct track_entry queue[TRACK_QUEUE_SIZE];
};

/* A value that waits for the FE's answer to the client's handshake response. */
void track_init(struct track *t, uint64_t client_capabilities, uint64_t server_capabilities);

/* The FE's bytes, as they come. */
void track_server(struct track *t, const char *p, size_t n);
/* The FE's stream stands between two packets. */
static inline bool track_is_between_packets(const struct track *t)
{
    return t->left == 0 && t->n_head == 0 && !t->is_continued;
}

enum track_client {
    TRACK_CLIENT_MORE,    /* too few bytes to tell */
    TRACK_CLIENT_DATA,    /* a packet inside an exchange: a file, a password, a continuation */
    TRACK_CLIENT_COMMAND, /* a command begins here */
};
/* How many of n bytes still belong to the packet last taken. */
size_t track_client_body(struct track *t, size_t n);
/* What begins at `rest`, which is at the start of a packet. Changes nothing. */
enum track_client track_client_next(const struct track *t, struct span rest);
/* The packet at `rest` is sent to the FE; not while track_is_full() and it is a command. */
void track_client_take(struct track *t, struct span rest);
static inline bool track_is_full(const struct track *t)
{
    return t->queue_count == TRACK_QUEUE_SIZE;
}

/* The client is not in the middle of a packet, nor of a file. */
static inline bool track_is_client_done(const struct track *t)
{
    return !t->is_infile && t->client_left == 0 && !t->client_is_continued;
}
/*
 * Every command has its whole reply, and the client owes nothing either. A reply is known to end by
 * the first bytes of its last packet, whose rest may still be on its way.
 */
static inline bool track_is_idle(const struct track *t)
{
    return t->queue_count == t->n_silent && track_is_client_done(t) && track_is_between_packets(t);
}
/*
 * Idle, and yet a packet of the FE's may be on its way: some close a PREPARE's definitions once too
 * often, or answer a command that has no reply, and nothing before that packet tells. Any later reply
 * shows that it came, or will not.
 */
static inline bool track_may_be_owed(const struct track *t)
{
    return t->is_owed || t->n_silent > 0;
}
/* Nothing goes on until the client sends more: idle, or it stopped within its only command. */
static inline bool track_is_clients_turn(const struct track *t)
{
    return track_is_idle(t) || (t->queue_count <= t->n_silent + 1 && !track_is_client_done(t));
}
/* COM_QUERY and so on; what the FE is busy with, for messages. "" when idle. */
const char *track_busy_with(const struct track *t);
/* The sequence id that the FE's next packet should have, for an ERR in its place. */
uint8_t track_next_sequence(const struct track *t);
/* Invariants, for tests: aborts when one is broken. */
void track_check(const struct track *t);

#endif
