/*
 * A session: one client's connection and the FE connection that belongs to it alone.
 *
 *     HEADER ──> CONNECTING ──> GREETING ──> LOGIN ──> READY <──> LOCAL
 *       │          │  ^            │           │         │          │
 *       │          │  └─ next FE ──┤           │         │          │      any of them
 *       v          v               v           v         v          v
 *     FLUSHING: what is still unsent goes out ──> LINGERING: so that the client reads our ERR
 *       │                                            │
 *       └──────────────────> DEAD <──────────────────┘   destroyed at the end of the loop turn
 *
 *     HEADER      the PROXY protocol header that a load balancer sends first is not whole yet
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
#include "proxy/authflow.h"
#include "proxy/guess.h"
#include "proxy/handshake.h"
#include "proxy/listener.h"
#include "proxy/local.h"
#include "proxy/relay.h"
#include "proxy/session_ending.h"
#include "proxy/track.h"

struct announced;
struct ask;
struct local_kill;
struct session_user;

enum session_state {
    SESSION_HEADER,
    SESSION_CONNECTING,
    SESSION_GREETING,
    SESSION_LOGIN,
    SESSION_READY,
    SESSION_LOCAL,
    SESSION_FLUSHING,
    SESSION_LINGERING,
    SESSION_DEAD,
};

/*
 * What session_watch() saw of a session when it last looked. Looking every now and then instead of
 * noting the time of each command: a command costs two additions, and no clock.
 */
struct session_watch {
    uint64_t moved;             /* bytes that came from the client and for it */
    uint64_t taken;             /* bytes that the client's host has confirmed */
    int64_t moved_ms, taken_ms; /* monotonic: since when they are what they are */
    int64_t client_heard_ms;    /* when its host confirmed something, or had nothing to confirm */
    int64_t server_heard_ms;
    bool is_server_tuned; /* the FE's socket has keepalive */
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
    struct event timer;  /* what it is for follows from the state */
    struct address peer; /* the client: as a trusted load balancer announced it, if one did */
    struct announced *announced; /* owned; session_announce.c: NULL unless it was announced */

    /* session_login.c */
    size_t backend;                     /* the one connected to, or being tried */
    uint64_t tried;                     /* a set of backends: those that failed */
    bool has_entered;                   /* it counts as a session of the backend */
    uint32_t backend_token;             /* of backends_enter() */
    struct buf tries;                   /* "host:port: reason" of those, for the error */
    struct buf early;                   /* a part of a packet of the FE's, until it is whole */
    struct handshake_greeting greeting; /* valid from LOGIN on */
    int64_t login_deadline_ms;          /* monotonic */
    bool has_response;                  /* the handshake response is sent on; track is valid */
    char *user;                         /* owned; accepted by the FE */
    char *user_asked;                   /* owned; sent to the FE, not accepted yet */
    uint64_t n_resets;                  /* see session_resets() */
    uint64_t capabilities;              /* of the client */
    struct authflow auth;               /* session_auth.c */

    /* session_command.c */
    struct track track;
    struct buf held;   /* the client's bytes that wait; the LOCAL command is first */
    size_t local_size; /* LOCAL: bytes of the command, header included */
    size_t n_skip;     /* of the client's bytes that come next: they were dealt with here */
    struct guess_place guessed; /* how far the statement in `held` was looked at */
    bool must_forward; /* the next command was shown to the local side: it goes to the FE */
    unsigned n_nested; /* calls into the local side on the stack: it must find us unchanged */
    struct ask *ask;   /* owned; a question is out */
    answer_fn on_answer;
    void *answer_arg;
    struct local *local;               /* owned, by way of local_destroy() */
    struct session_script *script;     /* owned; session_script.c: several statements are run */
    struct session_prepared *prepared; /* owned; session_prepared.c: NULL while there are none */
    struct local_kill *kill;           /* owned; local_kill.c: a KILL is being looked into */

    struct session_user *admitted; /* session_limits.c: counted as this user's */
    struct session_watch watch;
    uint64_t n_from_client; /* bytes */

    bool is_client_eof; /* it sends no more, but still gets its replies */
    uint64_t n_replied; /* bytes to the client; tells progress from a stall */
    uint64_t n_replied_before;
    uint64_t n_untaken_before; /* FLUSHING: the same */
    bool has_told_err;         /* our own ERR was the last thing sent */
};

/* Takes fd. session_login_start() sets it going. */
struct session *session_create(struct worker *w, uint64_t id, int fd, const struct address *peer);
void session_destroy(struct session *s);
/* The worker drains: ends now if idle; if not, once it is. */
void session_drain(struct session *s);
/* proxy.drain_timeout has passed: it ends, with an ERR where the client waits for a reply. */
void session_cut(struct session *s);
/* The same, and nothing is waited for: it is dead afterwards. */
void session_kill(struct session *s);
/* From time to time: ends it when it is idle, or its client stuck, for too long. */
void session_watch(struct session *s, int64_t now_ms);
/*
 * Bytes for the client that its host has not confirmed: ours and the kernel's, which may be so many
 * that a slow reader's progress is seen there alone.
 */
uint64_t session_untaken(const struct session *s);
const char *session_state_name(enum session_state state);

/* --- among the session*.c files --------------------------------------------------------------- */

static inline bool session_is_open(const struct session *s)
{
    return s->state <= SESSION_LOCAL;
}
void session_move(struct session *s, enum session_state to);
void session_set_timer(struct session *s, int64_t ms);
/* Ends the session once what is unsent is sent, and logs the reason. Once; later calls do nothing. */
void session_end_as(struct session *s, enum session_ending ending, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same at once: the client, which takes nothing, is reset, and its unsent bytes are dropped. */
void session_drop(struct session *s, enum session_ending ending, const char *reason);
/* The same after an ERR packet in the place of the reply that the client waits for. */
void session_fail(struct session *s, const struct err *err);
/* Sends to the peers; a failure ends the session when it should. */
bool session_to_client(struct session *s, const char *p, size_t n);
void session_to_server(struct session *s, const char *p, size_t n);
/* After anything happened: what waited may go on, idle sessions may end, reading is adjusted. */
void session_settle(struct session *s);
/* "127.0.0.1:9030" of the current backend. */
void session_backend_text(const struct session *s, char ret_text[ADDRESS_TEXT_SIZE]);
/* The FE's host does not answer any more. */
void session_lose_server(struct session *s);
/* The callbacks that relay_open() wants for the FE's socket. */
void session_open_server(struct session *s, int fd);

/* session_login.c */
/*
 * Once, after session_create(): waits for the PROXY header where one is due, or goes on to
 * session_login_connect(). The session may have ended when either returns.
 */
void session_login_start(struct session *s);
/* Connects to an FE. */
void session_login_connect(struct session *s);
/* The session ends: it counts no longer as one of its FE's. */
void session_login_leave(struct session *s);
/* The FE's bytes while CONNECTING or GREETING. */
void session_login_server_bytes(struct session *s, const char *p, size_t n);
/* The FE cannot be used: the next one is tried, or the client gets the error. */
void session_login_next(struct session *s, const char *reason);
/*
 * The client's first bytes: what asks for TLS, or its response, which goes to the FE. How many are
 * dealt with; 0: not whole yet, or the session has ended.
 */
size_t session_login_response(struct session *s, struct span bytes);
/* The FE's part of the TLS handshake is not good. */
void session_login_tls_failed(struct session *s, const char *why);
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
