/* SELECT ... FROM jobs() and tasks(). */
#include <stdlib.h>

#include "base/xmalloc.h"
#include "proxy/local_parts.h"
#include "proxy/views.h"
#include "proxy/worker.h"

enum step_result local_take_snapshot(struct local *l)
{
    sched_send(local_env_of(l)->sched, local_request(l, SCHED_SNAPSHOT));
    return STEP_WAIT;
}

static void on_view_reply(void *receiver, struct msg_call *call)
{
    struct view_request *r = (struct view_request *)call;
    struct local *l = local_find(receiver, r->session_id);
    if (l != NULL) {
        struct session *s = l->session;
        if (r->is_ok && r->is_prepare) {
            local_finish(l);
            session_reply_prepared(s, (const char *const *)r->names, r->n_names);
        } else if (r->is_ok) {
            local_finish(l);
            session_reply_packets(s, &r->packets);
        } else {
            (void)local_end_err(l, &r->err);
        }
    }
    view_request_destroy(r);
}

/* With no snapshot it is only prepared. */
enum step_result local_query_views(struct local *l)
{
    struct view_request *r = view_request_create(local_queue(l), session_id(l->session));
    r->call.run = on_view_reply;
    r->snapshot = take_ptr(l->snapshot);
    r->grants = l->grants;
    l->grants = (struct grants){0};
    r->sql = take_ptr(l->stmt.u.view.sql);
    r->form = session_form(l->session);
    r->is_prepare = r->snapshot == NULL;
    views_send(local_env_of(l)->views, r);
    return STEP_WAIT;
}
