/*
 * What the session does for the local side (proxy/local.h): it shows it a command, carries its
 * questions to the FE, and its answer to the client.
 */
#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/ask.h"
#include "proxy/listener.h"
#include "proxy/local_kill.h"
#include "proxy/packet.h"
#include "proxy/result.h"
#include "proxy/session.h"
#include "proxy/session_parts.h"
#include "proxy/worker_session.h"

/* --- a command is shown to the local side ------------------------------------------------------ */

static void offer_kill_id(struct session *s, struct span payload)
{
    struct err err = {0};
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_u8(&r);
    uint32_t id = packet_get_u32(&r);
    session_local_verdict(s, r.is_bad ? LOCAL_FOREIGN : local_kill_accept_id(s, id, &err), &err);
}

static void offer_query(struct session *s, struct span payload, struct span text)
{
    struct err err = {0};
    enum local_verdict verdict = LOCAL_FOREIGN;
    struct local_text whole = {.whole = text, .sql = text, .use = LOCAL_WHOLE};
    if (session_has_peers(s)) {
        verdict = local_kill_accept(s, text, &err);
    }
    if (verdict == LOCAL_FOREIGN) {
        verdict = local_accept(s, &whole, &err);
    }
    if (verdict == LOCAL_SCRIPT) {
        session_script_start(s, payload, text);
    } else {
        session_local_verdict(s, verdict, &err);
    }
}

void session_local_offer(struct session *s, struct span packet, size_t size)
{
    struct span text = {0};
    struct span payload = {packet.p + PACKET_HEADER_SIZE, packet.n - PACKET_HEADER_SIZE};
    assert(payload.n > 0 && size >= packet.n);
    s->local_size = size;
    session_move(s, SESSION_LOCAL);
    s->n_nested++;
    switch ((uint8_t)payload.p[0]) {
    case COM_QUERY:
        (void)session_find_text(s, payload, true, &text); /* found before, or not offered */
        offer_query(s, payload, text);
        break;
    case COM_STMT_PREPARE:
        (void)session_find_text(s, payload, true, &text);
        session_prepared_prepare(s, text);
        break;
    case COM_PROCESS_KILL: offer_kill_id(s, payload); break;
    default: session_prepared_command(s, payload, size - PACKET_HEADER_SIZE); break;
    }
    s->n_nested--;
}

void session_local_verdict(struct session *s, enum local_verdict verdict, const struct err *err)
{
    switch (verdict) {
    case LOCAL_FOREIGN: session_reply_forward(s); break;
    case LOCAL_ERROR: session_reply_err(s, err); break;
    case LOCAL_TAKEN: break;
    case LOCAL_SCRIPT: assert(!"several statements where one was cut out"); break;
    }
}

/* --- the end of a command ---------------------------------------------------------------------- */

void session_local_done(struct session *s)
{
    assert(s->ask == NULL && s->script == NULL);
    if (s->prepared != NULL) {
        session_prepared_done(s);
    }
    s->local_size = 0;
    session_move(s, SESSION_READY);
    if (s->n_nested == 0) {
        session_settle(s);
    }
}

void session_local_answered(struct session *s)
{
    worker_count(&worker_own_counters(s->worker)->local_statements);
    s->n_skip = s->local_size;
    session_local_done(s);
}

void session_local_silent(struct session *s)
{
    s->n_skip = s->local_size;
    session_local_done(s);
}

/* --- answers ------------------------------------------------------------------------------------ */

struct result_form session_form(const struct session *s)
{
    /* DEPRECATE_EOF counts where it was offered only: the C library claims it to every server. */
    struct result_form form = {
        .capabilities = s->capabilities & s->greeting.offered,
        .sequence = 1,
        .status = STATUS_NONE,
        .format = RESULT_FORMAT_TEXT,
    };
    if (s->script != NULL) {
        session_script_form(s, &form);
    } else if (s->prepared != NULL) {
        session_prepared_form(s, &form);
    }
    return form;
}

bool session_local_send(struct session *s, struct buf *packets)
{
    size_t n = packets->len;
    s->n_replied += n;
    worker_add(&worker_own_counters(s->worker)->to_clients, n);
    if (relay_send_buf(&s->client, packets)) {
        return true;
    }
    session_end_as(s, SESSION_ENDING_CLIENT_LOST, "the client's connection broke");
    return false;
}

static void reply(struct session *s, struct buf *packets, enum session_reply kind)
{
    assert(buf_ok(packets));
    if (s->state != SESSION_LOCAL) { /* the session ended meanwhile */
        buf_fini(packets);
        return;
    }
    if (s->script != NULL) {
        session_script_reply(s, packets, kind);
        return;
    }
    if (s->prepared != NULL) {
        session_prepared_reply(s, packets, kind);
    }
    if (session_local_send(s, packets)) {
        session_local_answered(s);
    }
}

void session_reply_packets(struct session *s, struct buf *packets)
{
    reply(s, packets, SESSION_REPLY_RESULT);
}

void session_reply_ok(struct session *s, uint64_t affected, const char *info)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    struct result_form form = session_form(s);
    result_ok(&out, &form, affected, info);
    reply(s, &out, SESSION_REPLY_OK);
}

void session_reply_err(struct session *s, const struct err *err)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    result_err(&out, session_form(s).sequence, err);
    reply(s, &out, SESSION_REPLY_ERR);
}

void session_reply_query(struct session *s, struct span sql)
{
    if (s->state != SESSION_LOCAL) { /* the session ended meanwhile */
        return;
    }
    if (s->script != NULL) {
        session_script_replace(s, sql);
    } else {
        session_script_single(s, sql);
    }
}

void session_reply_forward(struct session *s)
{
    if (s->state != SESSION_LOCAL) {
        return;
    }
    if (s->script != NULL) {
        session_script_forward(s);
    } else if (s->prepared == NULL || !session_prepared_forward(s)) {
        s->must_forward = true;
        session_local_done(s);
    }
}

/* --- questions ---------------------------------------------------------------------------------- */

void session_local_command(struct session *s, struct span head, struct span text)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    size_t at = packet_begin(&out, 0);
    buf_append_span(&out, head);
    buf_append_span(&out, text);
    (void)packet_end(&out, at); /* the FE's reply tells the next sequence id */
    assert(buf_ok(&out));
    for (size_t pos = 0; pos < out.len;) {
        track_client_take(&s->track, (struct span){out.data + pos, out.len - pos});
        pos += PACKET_HEADER_SIZE;
        pos += track_client_body(&s->track, out.len - pos);
    }
    session_to_server(s, out.data, out.len);
}

void session_ask(struct session *s, const char *sql, answer_fn on_answer, void *arg)
{
    if (s->state != SESSION_LOCAL) { /* the session ended meanwhile: no answer will come */
        return;
    }
    assert(s->ask == NULL);
    static const char head[] = {COM_QUERY, 0, 1}; /* no attributes, in one set */
    bool has_counts = (s->capabilities & s->greeting.offered & CAP_QUERY_ATTRIBUTES) != 0;
    s->on_answer = on_answer;
    s->answer_arg = arg;
    s->ask = ask_create(&s->track, ASK_MAX_SIZE);
    session_local_command(s, (struct span){head, has_counts ? sizeof(head) : 1}, span_of(sql));
}

static void on_ask_bytes(struct session *s, const char *p, size_t n)
{
    size_t used = 0;
    enum ask_step step = ask_feed(s->ask, p, n, &used);
    if (step == ASK_MORE) {
        return;
    }
    if (step == ASK_BROKEN) {
        struct err err = {0};
        (void)err_set(&err, ERR_FE_LOST, "08S01",
                      "the FE asked for a local file in answer to a question of Sluice's own; the "
                      "connection was given up");
        session_fail(s, &err);
        return;
    }
    struct ask *done = take_ptr(s->ask);
    s->n_nested++;
    s->on_answer(s, ask_answer(done), s->answer_arg);
    s->n_nested--;
    ask_destroy(done);
    if (used < n && session_is_open(s)) {
        session_end_as(s, SESSION_ENDING_PROTOCOL,
                       "the FE sent more than its answer to a question of Sluice's own");
    }
}

void session_local_server_bytes(struct session *s, const char *p, size_t n)
{
    if (s->ask != NULL) {
        on_ask_bytes(s, p, n);
    } else if (s->script != NULL) {
        session_script_server_bytes(s, p, n);
    } else {
        session_end_as(s, SESSION_ENDING_PROTOCOL,
                       "the FE sent something although it was not asked");
    }
}

/* --- who ---------------------------------------------------------------------------------------- */

struct worker *session_worker(struct session *s)
{
    return s->worker;
}

uint64_t session_id(const struct session *s)
{
    return s->id;
}

const char *session_user(const struct session *s)
{
    return s->user != NULL ? s->user : "";
}

char *session_who(const struct session *s)
{
    char host[ADDRESS_TEXT_SIZE];
    address_format(&s->peer, host);
    const char *colon = strrchr(host, ':'); /* what follows, the port, tells nothing tomorrow */
    assert(colon != NULL);
    return xasprintf("%s@%.*s", session_user(s), (int)(colon - host), host);
}

uint64_t session_resets(const struct session *s)
{
    return s->n_resets;
}

struct local **session_local(struct session *s)
{
    return &s->local;
}
