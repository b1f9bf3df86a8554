/*
 * What the files behind session_command.c have of each other: how a command that is not simply
 * relayed runs. Only for proxy/session*.c.
 *
 *     session_command.c    the client's stream: which command goes where
 *     session_local.c      LOCAL: a command is shown to the local side, asks, and is answered
 *     session_script.c     a text of several statements, part by part
 *     session_prepared.c   statements that were prepared here
 */
#ifndef PROXY_SESSION_PARTS_H
#define PROXY_SESSION_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "proxy/guess.h"
#include "proxy/local.h"
#include "proxy/result.h"

struct session;

/* session_command.c */
enum { SESSION_LOCAL_MAX = 1 << 20 /* payload; longer statements are the FE's business */ };
/*
 * The statement of a COM_QUERY or COM_STMT_PREPARE whose payload begins with `payload`. With
 * QUERY_ATTRIBUTES (MySQL 8.0.23) COM_QUERY has attributes in front, or the number 0.
 */
enum guess session_find_text(const struct session *s, struct span payload, bool is_whole,
                             struct span *ret_text);
/* There is more than one FE, so that KILL may mean another one's connection. */
bool session_has_peers(const struct session *s);

/* session_local.c */
/*
 * READY -> LOCAL: the command at `packet`, of `size` bytes with its header, is for us. Of a command
 * that is too large `packet` is the beginning. It may be answered at once: the state is READY again.
 */
void session_local_offer(struct session *s, struct span packet, size_t size);
/* What follows from it, but for LOCAL_SCRIPT. */
void session_local_verdict(struct session *s, enum local_verdict verdict, const struct err *err);
/* A COM_... of our own to the FE; its payload in two pieces. */
void session_local_command(struct session *s, struct span head, struct span text);
/* The FE's bytes while LOCAL. */
void session_local_server_bytes(struct session *s, const char *p, size_t n);
/* Moved to the client; false: the session has ended. */
bool session_local_send(struct session *s, struct buf *packets);
/* LOCAL -> READY: the command is skipped; without a reply; or (done) it is decided on again. */
void session_local_answered(struct session *s);
void session_local_silent(struct session *s);
void session_local_done(struct session *s);

enum session_reply { SESSION_REPLY_RESULT, SESSION_REPLY_OK, SESSION_REPLY_ERR };

/* session_script.c; while s->script is not NULL */
struct session_script;
/* `text` is what stands in a COM_QUERY's payload. */
void session_script_start(struct session *s, struct span payload, struct span text);
/* The whole text is the FE's: it goes there as a COM_QUERY, whatever the client's command was. */
void session_script_single(struct session *s, struct span text);
/* The FE may still owe a packet: asks it for a sign before the client's next command is looked at. */
void session_script_barrier(struct session *s);
/* NULL is accepted. */
void session_script_destroy(struct session_script *sc);
/* Goes on with the next part, if the current one has ended. */
void session_script_run(struct session *s);
void session_script_form(const struct session *s, struct result_form *form);
void session_script_reply(struct session *s, struct buf *packets, enum session_reply kind);
void session_script_forward(struct session *s);
/* The FE runs this text in the place of the part. */
void session_script_replace(struct session *s, struct span text);
void session_script_server_bytes(struct session *s, const char *p, size_t n);
/* Of what is held, the client's file is sent on. */
void session_script_client_bytes(struct session *s);
/* The FE runs a part. */
bool session_script_is_at_fe(const struct session *s);
/* Where an ERR of ours may stand. */
bool session_script_place_of_err(const struct session *s, uint8_t *ret_sequence);

/* session_prepared.c; but for the first two while s->prepared is not NULL */
struct session_prepared;
void session_prepared_prepare(struct session *s, struct span text);
/* NULL is accepted. */
void session_prepared_destroy(struct session_prepared *p);
/* Is the command, whose payload begins with `payload`, about a statement prepared here? */
bool session_prepared_is_ours(const struct session *s, struct span payload);
/* `size` of the payload, if it is not whole. */
void session_prepared_command(struct session *s, struct span payload, size_t size);
/* A command goes to the FE. */
void session_prepared_passed(struct session *s, uint8_t command);
void session_prepared_form(const struct session *s, struct result_form *form);
/* What is to be sent may change. */
void session_prepared_reply(struct session *s, struct buf *packets, enum session_reply kind);
/* False: it is not an EXECUTE that is running. */
bool session_prepared_forward(struct session *s);
void session_prepared_done(struct session *s);

#endif
