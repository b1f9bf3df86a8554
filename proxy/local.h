/*
 * Where the relay hands a statement to Sluice itself. The session (relay side) knows the wire; the
 * local side knows statements. Both run on the worker's thread.
 *
 *     client ---COM_QUERY--> session --local_accept()--> FOREIGN: relayed untouched
 *                               |                        ERROR:   session sends *err as ERR packet
 *                               |                        SCRIPT:  several: session cuts the text
 *                               |                                 (parser/script.h), shows each part
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
#include "proxy/result.h"

struct session;
struct local; /* per session, created on its first local statement; owned by the session */

enum local_verdict {
    LOCAL_FOREIGN,
    LOCAL_ERROR,
    LOCAL_TAKEN,
    LOCAL_SCRIPT, /* several statements, and not all are foreign; only for LOCAL_WHOLE */
};

/* What is to be done with a text. */
enum local_use {
    LOCAL_WHOLE,   /* run it: a COM_QUERY's */
    LOCAL_PART,    /* run it: a statement of several, as parser/script.h cut them */
    LOCAL_BOUND,   /* run it: a COM_STMT_EXECUTE's, with its parameters; FOREIGN after a reload */
    LOCAL_PREPARE, /* is it right, which columns has it? Ends with session_reply_prepared() */
};

struct local_text {
    struct span whole; /* what the client sent: errors tell places in it */
    struct span sql;   /* all or a part of it; gone when local_accept() returns */
    enum local_use use;
};

/* What the FE said to session_ask(): text protocol, all of it, within a cap of 16 MB. */
struct answer {
    bool is_error; /* err is what the FE said, or that the connection was lost */
    struct err err;
    size_t n_columns; /* 0 for an OK packet */
    char **columns;   /* names */
    enum result_type *types;
    size_t n_rows;
    char **cells; /* n_rows * n_columns texts, NULL for SQL NULL */
};

typedef void (*answer_fn)(struct session *s, const struct answer *answer, void *arg);

/* --- implemented by the local side (proxy/local.c), called by the session --------------------- */

/*
 * Called only when every earlier command of the session has been answered, so that the local side
 * may talk to the FE at once.
 */
enum local_verdict local_accept(struct session *s, const struct local_text *text, struct err *err);
/* Is this one statement ours, or meant for us? Pure. */
bool local_claims(struct span sql);
/* The session is ending; *local (session_local) is destroyed, pending questions are dropped. */
void local_destroy(struct local *local);

/* Would a statement be spared SHOW GRANTS now? NULL is accepted. */
bool local_knows_rights(const struct local *local);

/* --- implemented by the session (proxy/session.c), called by the local side ------------------- */

struct worker;
struct worker *session_worker(struct session *s);
uint64_t session_id(const struct session *s); /* unique over all workers and time */
/* The user name of the handshake response, as the FE accepted it; without Doris's "#…" suffix. */
const char *session_user(const struct session *s);
/* "root@10.0.0.7", for logs and for what users are told; the caller owns it. */
char *session_who(const struct session *s);
/*
 * Rises with every COM_CHANGE_USER and COM_RESET_CONNECTION, and with a statement that may change
 * his rights while local_knows_rights(): what was known of the user is void.
 */
uint64_t session_resets(const struct session *s);
/* Where the local side keeps its state; NULL at first. */
struct local **session_local(struct session *s);

/*
 * Sends COM_QUERY `sql` to the FE on this session's own connection and collects the answer. It must
 * change nothing, and nothing may have been changed before: when the FE is lost meanwhile the client
 * is told so. Only between local_accept() == LOCAL_TAKEN and the reply. on_answer is called exactly
 * once unless the session dies first (then local_destroy is called instead).
 */
void session_ask(struct session *s, const char *sql, answer_fn on_answer, void *arg);

/* Each ends the local statement; exactly one of them must be called. */
void session_reply_ok(struct session *s, uint64_t affected, const char *info);
void session_reply_err(struct session *s, const struct err *err);
/* `packets`: a result set made by result.h in the session's form; moved, not copied. */
void session_reply_packets(struct session *s, struct buf *packets);
/* To LOCAL_PREPARE: it is right; the names of its columns. */
void session_reply_prepared(struct session *s, const char *const *names, size_t n);
/* The FE answers it, with another text in its place. Not while the answer must be binary. */
void session_reply_query(struct session *s, struct span sql);
/* The statement is not ours after all (a job the FE has itself, say): relay it untouched. */
void session_reply_forward(struct session *s);

/* How the answer to the statement at hand must look; valid until the reply. */
struct result_form session_form(const struct session *s);

#endif
