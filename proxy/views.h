/*
 * The thread that answers queries over jobs() and tasks(): any SELECT, run by SQLite over a
 * snapshot, within a bound of time and size, so that neither the relay nor the scheduler waits for
 * a user's cross join.
 */
#ifndef PROXY_VIEWS_H
#define PROXY_VIEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/msgq.h"
#include "proxy/grants.h"
#include "proxy/result.h"
#include "scheduler/view.h"

/* Owned by whoever has it; sent to the thread, it comes back to reply_to with the outputs. */
struct view_request {
    struct msg_call call;  /* first; the sender sets call.run for the way back */
    struct msgq *reply_to; /* borrowed: outlives the thread */
    uint64_t session_id;
    struct snapshot *snapshot; /* owned */
    struct grants grants;      /* owned */
    char *sql;                 /* owned; as parser/stmt.h rewrote it */
    struct result_form form;   /* of the answer */
    bool is_prepare;           /* it is not run: only `names` are wanted */
    bool is_ok;
    struct err err;
    struct buf packets; /* the whole result set */
    char **names;       /* owned: of the columns, with is_prepare */
    size_t n_names;
};

struct view_request *view_request_create(struct msgq *reply_to, uint64_t session_id);
void view_request_destroy(struct view_request *r); /* NULL is accepted */

struct views;

/* Starts the thread. */
struct views *views_create(struct err *err);
/* Ends and joins it. NULL is accepted. */
void views_destroy(struct views *v);
/* From any thread; ownership moves. */
void views_send(struct views *v, struct view_request *r);
/* The work itself; blocks for at most the bound. Any thread. */
void views_answer(struct view_request *r);

#endif
