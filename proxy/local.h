/*
 * Where the relay hands a statement to Sluice itself. The session (relay side) knows the wire; the
 * local side knows statements. Both run on the worker's thread.
 *
 *     client ---COM_QUERY--> session --local_accept()--> FOREIGN: relayed untouched
 *                               |                        ERROR:   session sends *err as ERR packet
 *                               |                        TAKEN:   the local side owns the exchange:
 *                               |<--session_ask(sql)-- it may ask the FE, on the client's own
 *                               |---on_answer(rows)-->  connection, one question at a time, while
 *                               |                        the client waits
 *                               |<--session_reply_*() -- and ends with exactly one reply
 *
 * The session may die while the local side waits for another thread: every session has an id, and
 * replies from elsewhere are looked up by it (worker_find_session) or dropped.
 */
#ifndef PROXY_LOCAL_H
#define PROXY_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

struct session;
struct local; /* per session, created on its first local statement; owned by the session */

enum local_verdict { LOCAL_FOREIGN, LOCAL_ERROR, LOCAL_TAKEN };

/* What the FE said to session_ask(): text protocol, all of it, within a cap of 16 MB. */
struct answer {
    bool is_error; /* err is what the FE said, or that the connection was lost */
    struct err err;
    size_t n_columns; /* 0 for an OK packet */
    char **columns;   /* names */
    size_t n_rows;
    char **cells; /* n_rows * n_columns texts, NULL for SQL NULL */
};

typedef void (*answer_fn)(struct session *s, const struct answer *answer, void *arg);

/* --- implemented by the local side (proxy/local.c), called by the session --------------------- */

/*
 * A COM_QUERY (is_prepare false) or COM_STMT_PREPARE text. Called only when every earlier command
 * of the session has been answered, so that the local side may talk to the FE at once.
 */
enum local_verdict local_accept(struct session *s, struct span sql, bool is_prepare,
                                struct err *err);
/* The session is ending; *local (session_local) is destroyed, pending questions are dropped. */
void local_destroy(struct local *local);

/* --- implemented by the session (proxy/session.c), called by the local side ------------------- */

struct worker;
struct worker *session_worker(struct session *s);
uint64_t session_id(const struct session *s); /* unique over all workers and time */
/* The user name of the handshake response, as the FE accepted it; without Doris's "#…" suffix. */
const char *session_user(const struct session *s);
/* Where the local side keeps its state; NULL at first. */
struct local **session_local(struct session *s);

/*
 * Sends COM_QUERY `sql` to the FE on this session's own connection and collects the answer. Only
 * between local_accept() == LOCAL_TAKEN and the reply. on_answer is called exactly once unless the
 * session dies first (then local_destroy is called instead).
 */
void session_ask(struct session *s, const char *sql, answer_fn on_answer, void *arg);

/* Each ends the local statement; exactly one of them must be called. */
void session_reply_ok(struct session *s, uint64_t affected, const char *info);
void session_reply_err(struct session *s, const struct err *err);
/* `packets`: whole packets made by result.h with sequence ids from 1; moved, not copied. */
void session_reply_packets(struct session *s, struct buf *packets);
/* The statement is not ours after all (a job the FE has itself, say): relay it untouched. */
void session_reply_forward(struct session *s);

/* Capability flags the client and the FE agreed on, for result.h; MariaDB's in the upper half. */
uint64_t session_capabilities(const struct session *s);

#endif
