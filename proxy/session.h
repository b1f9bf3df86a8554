/*
 * A session: one client's connection and the FE connection that belongs to it alone.
 *
 *     CONNECTING ──> GREETING ──> LOGIN ──> READY <──> LOCAL
 *       │  ^            │           │         │          │
 *       │  └─ next FE ──┤           │         │          │      any of them
 *       v               v           v         v          v
 *     FLUSHING: what is still unsent goes out ──> LINGERING: so that the client reads our ERR
 *       │                                            │
 *       └──────────────────> DEAD <──────────────────┘   destroyed at the end of the loop turn
 *
 *     CONNECTING  no byte from the FE yet         LOGIN   password exchange, relayed
 *     GREETING    part of its greeting is here    READY   commands and replies, relayed
 *                                                 LOCAL   the local side answers (proxy/local.h)
 *
 * Owned by its worker; everything here runs on the worker's thread. This header is for worker.c
 * and the session*.c files; the local side has proxy/local.h.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "base/err.h"
#include "proxy/handshake.h"
#include "proxy/listener.h"
#include "proxy/local.h"
#include "proxy/relay.h"
#include "proxy/track.h"

struct ask;

enum session_state {
    SESSION_CONNECTING,
    SESSION_GREETING,
    SESSION_LOGIN,
    SESSION_READY,
    SESSION_LOCAL,
    SESSION_FLUSHING,
    SESSION_LINGERING,
    SESSION_DEAD,
};

struct session {
    struct worker *worker; /* borrowed */
    uint64_t id;
    LIST_ENTRY(session) in_worker; /* all, or the dead ones */
    LIST_ENTRY(session) in_bucket; /* of the worker's table of ids; while is_findable */
    bool is_findable;
    enum session_state state; /* session_move() only */

    struct relay_end client;
    struct relay_end server;
    struct event timer; /* what it is for follows from the state */
    struct address peer;

    /* session_login.c */
    size_t backend;                     /* the one connected to, or being tried */
    size_t n_tried;                     /* backends that failed */
    struct buf tries;                   /* "host:port: reason" of those, for the error */
    struct buf early;                   /* the part of the FE's greeting that has come */
    struct handshake_greeting greeting; /* valid from LOGIN on */
    int64_t login_deadline_ms;          /* monotonic */
    bool has_response;                  /* the handshake response is sent on; track is valid */
    char *user;                         /* owned; accepted by the FE */
    char *user_asked;                   /* owned; sent to the FE, not accepted yet */
    uint64_t capabilities;              /* of the client */

    /* session_command.c */
    struct track track;
    struct buf held;   /* the client's bytes that wait; the LOCAL command is first */
    size_t local_size; /* LOCAL: bytes of the command, header included */
    size_t n_skip;     /* bytes at the front of `held` that were answered here */
    bool must_forward; /* the next command was shown to the local side: it goes to the FE */
    unsigned n_nested; /* calls into the local side on the stack: it must find us unchanged */
    struct ask *ask;   /* owned; a question is out */
    answer_fn on_answer;
    void *answer_arg;
    struct local *local; /* owned, by way of local_destroy() */

    bool is_client_eof; /* it sends no more, but still gets its replies */
    uint64_t n_replied; /* bytes to the client; tells progress from a stall */
    uint64_t n_replied_before;
    bool has_told_err; /* our own ERR was the last thing sent */
};

/* Takes fd. session_login_start() sets it going. */
struct session *session_create(struct worker *w, uint64_t id, int fd, const struct address *peer);
void session_destroy(struct session *s);
/* The worker drains: ends now if idle; if not, once it is. */
void session_drain(struct session *s);
/* Ends now, with an ERR where the client waits for a reply. */
void session_kill(struct session *s);

/* --- among the session*.c files --------------------------------------------------------------- */

static inline bool session_is_open(const struct session *s)
{
    return s->state <= SESSION_LOCAL;
}
void session_move(struct session *s, enum session_state to);
void session_set_timer(struct session *s, int64_t ms);
/* Ends the session once what is unsent is sent, and logs the reason. Once; later calls do nothing. */
void session_end(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same after an ERR packet in the place of the reply that the client waits for. */
void session_fail(struct session *s, const struct err *err);
/* Sends to the peers; a failure ends the session when it should. */
bool session_to_client(struct session *s, const char *p, size_t n);
void session_to_server(struct session *s, const char *p, size_t n);
/* After anything happened: what waited may go on, idle sessions may end, reading is adjusted. */
void session_settle(struct session *s);
/* "127.0.0.1:9030" of the current backend. */
void session_backend_text(const struct session *s, char ret_text[ADDRESS_TEXT_SIZE]);
/* The callbacks that relay_open() wants for the FE's socket. */
void session_open_server(struct session *s, int fd);

/* session_login.c */
/* Connects to an FE. The session may have ended when this returns. */
void session_login_start(struct session *s);
/* The FE's bytes while CONNECTING or GREETING. */
void session_login_server_bytes(struct session *s, const char *p, size_t n);
/* The FE cannot be used: the next one is tried, or the client gets the error. */
void session_login_next(struct session *s, const char *reason);
/* The client's first bytes; false: not whole yet, or the session has ended. */
bool session_login_response(struct session *s, struct span bytes);
/* The FE has accepted or refused a login or a COM_CHANGE_USER. */
void session_login_outcome(struct session *s);

/* session_command.c */
void session_command_client_bytes(struct session *s, const char *p, size_t n);
void session_command_server_bytes(struct session *s, const char *p, size_t n);
/* Goes on with what is held, if it may. */
void session_command_resume(struct session *s);
/* May more of the client's bytes be held? */
bool session_command_has_room(const struct session *s);
/* No reply is due, nothing is held, nothing runs here. */
bool session_command_is_idle(const struct session *s);

#endif
