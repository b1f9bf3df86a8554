/*
 * The thread that runs KILL at an FE under the service account, for sessions whose own FE is another
 * one. That the user may do it has been found out before (local_kill.h).
 */
#ifndef PROXY_KILLER_H
#define PROXY_KILLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/msgq.h"
#include "parser/kill.h"
#include "sources/fe_conn.h"

struct backends;
struct killer;

/* Owned by whoever has it; sent to the thread, it comes back to reply_to with the outcome. */
struct killer_request {
    struct msg_call call;  /* first; the sender sets call.run for the way back */
    struct msgq *reply_to; /* borrowed: outlives the thread */
    uint64_t session_id;
    size_t backend;
    struct kill_stmt stmt;
    bool is_ok;
    struct err err;
};

struct killer_request *killer_request_create(struct msgq *reply_to, uint64_t session_id);
void killer_request_destroy(struct killer_request *r); /* NULL is accepted */

/* Starts the thread. Both are borrowed until killer_destroy(). */
struct killer *killer_create(struct backends *backends, const struct fe_login *login,
                             struct err *err);
/* Ends and joins it, wherever it is. NULL is accepted. */
void killer_destroy(struct killer *k);
/* From any thread; ownership moves. */
void killer_send(struct killer *k, struct killer_request *r);

#endif
