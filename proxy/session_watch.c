#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "proxy/config.h"
#include "proxy/session.h"
#include "proxy/tune.h"
#include "proxy/worker_session.h"

uint64_t session_untaken(const struct session *s)
{
    int in_kernel = 0;
    if (ioctl(s->client.fd, SIOCOUTQ, &in_kernel) != 0 || in_kernel < 0) {
        in_kernel = 0; /* not a socket that counts */
    }
    return relay_pending(&s->client) + (uint64_t)in_kernel;
}

/* All are confirmed until more is sent. */
static uint64_t untaken(const struct session *s)
{
    return s->watch.taken == s->n_replied ? 0 : session_untaken(s);
}

static void stamp(struct session *s, int64_t now_ms)
{
    struct session_watch *w = &s->watch;
    uint64_t moved = s->n_from_client + s->n_replied;
    uint64_t n_untaken = untaken(s);
    uint64_t taken = s->n_replied - n_untaken;
    /*
     * Who still reads a reply is not idle, nor is who cannot go on with a long command, LOCAL INFILE
     * say, as the FE takes no more of it.
     */
    bool is_clients_turn = s->state == SESSION_READY && track_is_clients_turn(&s->track) &&
                           n_untaken == 0 && relay_pending(&s->server) == 0;
    if (moved != w->moved || !is_clients_turn) {
        w->moved_ms = now_ms;
    }
    if (taken != w->taken || n_untaken == 0) {
        w->taken_ms = now_ms;
    }
    w->moved = moved;
    w->taken = taken;
    w->client_heard_ms =
        n_untaken > 0 ? tune_heard_ms(s->client.fd, w->client_heard_ms, now_ms) : now_ms;
    /* It may owe us something while it has something to do. */
    w->server_heard_ms = s->state == SESSION_LOCAL || !track_is_idle(&s->track)
                             ? tune_heard_ms(s->server.fd, w->server_heard_ms, now_ms)
                             : now_ms;
}

/* A limit of 0 is none. */
static bool is_over(int64_t since_ms, int64_t now_ms, int64_t limit_ms)
{
    return limit_ms > 0 && now_ms - since_ms >= limit_ms;
}

void session_watch(struct session *s, int64_t now_ms)
{
    const struct config *c = worker_config(s->worker);
    if (s->state != SESSION_READY && s->state != SESSION_LOCAL) {
        return; /* the others have timers of their own */
    }
    if (!s->watch.is_server_tuned) {
        tune_server_to_last(s->server.fd, c); /* a short session ends before it pays for that */
        s->watch.is_server_tuned = true;
    }
    stamp(s, now_ms);
    if (is_over(s->watch.taken_ms, now_ms, c->write_timeout_ms)) {
        session_drop(s, SESSION_ENDING_WRITE_TIMEOUT,
                     "the client took nothing of what waits for it for proxy.write_timeout");
    } else if (is_over(s->watch.client_heard_ms, now_ms, tune_patience_ms(c))) {
        session_drop(s, SESSION_ENDING_CLIENT_LOST,
                     "the client's host confirms nothing any more (proxy.keepalive)");
    } else if (is_over(s->watch.server_heard_ms, now_ms, tune_patience_ms(c))) {
        session_lose_server(s);
    } else if (is_over(s->watch.moved_ms, now_ms, c->idle_timeout_ms)) {
        session_end_as(s, SESSION_ENDING_IDLE_TIMEOUT, "%s for proxy.idle_timeout",
                       session_command_is_idle(s)
                           ? "the client asked nothing"
                           : "the client sent nothing more of a command it had begun");
    }
}
