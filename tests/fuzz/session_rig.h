/*
 * A worker with its sessions in the fuzzer's own process and thread: rig_run() plays one input, in
 * which one peer of a session is hostile and the other one well-behaved, and aborts when the
 * session breaks a promise. Sockets are AF_UNIX: the bytes go through the real session code, and a
 * conversation costs half a millisecond.
 *
 *     the client's socket  <==>  worker, session  <==>  the FE's socket
 *      client macros, raw bytes                          scripted FE, server macros, raw bytes
 *
 * An input is
 *     | FE's capabilities 1 | client's capabilities 1 | flags 1 | the FE's choices 4 | steps |
 * and a step is | kind, low 4 bits, argument, high 4 bits | parameters |, see enum rig_step.
 */
#ifndef FUZZ_SESSION_RIG_H
#define FUZZ_SESSION_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum rig_hostile { RIG_HOSTILE_CLIENT, RIG_HOSTILE_SERVER };

enum rig_step {
    RIG_RAW,    /* | n 1 | n bytes |: the hostile peer sends them */
    RIG_CLIENT, /* | macro 1 |: the client sends it, in pieces of `argument` bytes when not 0 */
    RIG_REPLY,  /* | n 1 |: the scripted FE sends n of the bytes it has to send, 255 = all */
    RIG_SERVER, /* | macro 1 |: the FE sends it, as RIG_CLIENT; only a hostile FE */
    RIG_TURN,   /* argument + 1 turns of the loop */
    RIG_CLOSE,  /* argument: see enum rig_close */
    RIG_TIMER,  /* the session's timer fires, if it is set */
    RIG_BULK,   /* | n 1 |: the hostile peer sends n KB: one packet or, argument odd, many */
    RIG_PAUSE,  /* argument bit 0: the client reads nothing from now on; bit 1: nor does the FE */
    RIG_KILL,   /* the worker kills the session */
    RIG_N_STEPS
};

enum rig_close {
    RIG_CLIENT_SHUTDOWN, /* FIN, but it still reads */
    RIG_CLIENT_GONE,     /* closed; a reset when something was unread */
    RIG_SERVER_SHUTDOWN,
    RIG_SERVER_GONE,
    RIG_N_CLOSES
};

/* Returns 0; aborts when an invariant does not hold. */
int rig_run(const uint8_t *data, size_t size, enum rig_hostile who);

/* --- session_oracle.c: what must have arrived where ------------------------------------------- */

enum oracle_extent {
    ORACLE_BEGINNING, /* more may still come */
    ORACLE_ALL        /* of the client's whole packets each is at the FE or was answered here */
};
/*
 * The client's packets must be the FE's, byte for byte and in order, but for those that may be
 * Sluice's own business on either side: statements of session_local.c and what they ask, parts of a
 * text of several statements, statements prepared here, COM_PING. Aborts when they are not.
 */
void oracle_compare(struct span client, struct span fe, enum oracle_extent extent);

/*
 * The client has what the FE sent, from the login on, and behind it at most one ERR packet; for
 * conversations in which Sluice answers nothing itself.
 */
void oracle_compare_replies(struct span fe, struct span client, enum oracle_extent extent);
/* Nothing but whole packets? */
bool oracle_is_whole(struct span packets);
/* Is any of it Sluice's own business? */
bool oracle_has_ours(struct span client);
/* Did the FE get a COM_PING of Sluice's own, whose reply is no client's? */
bool oracle_was_asked(struct span client, struct span fe);

/* --- session_cert.c -------------------------------------------------------------------------- */

enum { RIG_PATH_SIZE = 64 };
/* A key and its certificate in a new file, which the caller removes. */
void rig_write_certificate(char path[RIG_PATH_SIZE]);

/* --- session_fe.c: packets, and an FE that behaves ---------------------------------------------- */

struct fe {
    enum { FE_LOGIN, FE_AUTH, FE_COMMAND, FE_FILE, FE_STREAM } state;
    bool is_continued; /* the last packet was full */
    uint64_t offered;
    uint64_t agreed;
    size_t seen; /* bytes of its input that are worked through */
    uint8_t choices[4];
    size_t n_chosen;
    uint8_t next_sequence; /* of the FE's next packet */
    struct buf out;        /* to be sent, when the input says so */
};

/* Puts the greeting into `out`. */
void fe_start(struct fe *f, uint64_t offered, const uint8_t choices[4]);
/* Works through the whole packets of everything received so far. */
void fe_read(struct fe *f, struct span received);
/* One packet that a hostile FE may send, well-formed in itself. */
void fe_put_macro(struct fe *f, struct buf *out, uint8_t number);
/* One packet that a client may send; 0xff is its answer to the greeting. */
void client_put_macro(struct buf *out, uint8_t number, uint64_t capabilities);

#endif
