/*
 * The threads that answer queries over jobs() and tasks(): any SELECT, run by SQLite over a
 * snapshot, within a bound of time and size, so that neither the relay nor the scheduler waits for
 * a user's cross join, nor another user's small query.
 */
#ifndef PROXY_VIEWS_H
#define PROXY_VIEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/msgq.h"
#include "parser/stmt.h"
#include "proxy/grants.h"
#include "proxy/result.h"
#include "proxy/viewcols.h"
#include "scheduler/view.h"

struct viewmerge;

/* Owned by whoever has it; sent to the thread, it comes back to reply_to with the outputs. */
struct view_request {
    struct msg_call call;  /* first; the sender sets call.run for the way back */
    struct msgq *reply_to; /* borrowed: outlives the thread */
    uint64_t session_id;
    struct snapshot *snapshot;         /* owned */
    struct grants grants;              /* owned */
    struct viewmerge *fe[VIEW_TABLES]; /* owned; the FE's own rows, NULL: none */
    char *sql;               /* owned; as parser/stmt.h rewrote it; NULL: only the FE can run it */
    struct stmt_view view;   /* owned: text and places, for the FE; with none it is not asked */
    char *time_zone;         /* owned; the session's, NULL: the process's (viewtime.h) */
    struct result_form form; /* of the answer */
    bool is_prepare;         /* it is not run: only `names` are wanted */
    bool is_ok;
    struct err err;
    char *derived;      /* owned; not NULL: the FE has to run this text, and there is no result */
    struct buf packets; /* the whole result set */
    char **names;       /* owned: of the columns, with is_prepare */
    size_t n_names;
};

struct view_request *view_request_create(struct msgq *reply_to, uint64_t session_id);
void view_request_destroy(struct view_request *r); /* NULL is accepted */

struct views;

/* Starts the threads. */
struct views *views_create(struct err *err);
/* Ends and joins them. NULL is accepted. */
void views_destroy(struct views *v);
/* From any thread; ownership moves. */
void views_send(struct views *v, struct view_request *r);
/* The work itself; blocks for at most the bound. Any thread; the views' own keep their databases. */
void views_answer(struct view_request *r);

#endif
