/*
 * A COM_QUERY of several statements, some of them ours: parts run one after the other, each of them
 * here or at the FE, and their results are one reply to the client.
 *
 *     start ──> next part ──ours──> local_accept() ... session_script_reply() ──┐
 *                ^   |    └─FE's──> COM_QUERY ... rewrite.h on its way back ────┤
 *                |   └─ none is left: the command is answered                   |
 *                └──────────────────────────────────────────────────────────────┘  an ERR is the end
 *
 * A client without MULTI_STATEMENTS gets the last result alone, as from Doris (facts A7).
 */
#include <assert.h>

#include "base/xmalloc.h"
#include "parser/script.h"
#include "proxy/packet.h"
#include "proxy/rewrite.h"
#include "proxy/session.h"
#include "proxy/session_parts.h"

enum script_kind {
    SCRIPT_PARTS,
    SCRIPT_SINGLE,  /* one text, for the FE */
    SCRIPT_BARRIER, /* COM_PING, of which the client sees nothing */
};

struct session_script {
    enum script_kind kind;
    char *payload;     /* owned: of the COM_QUERY, which the spans point into */
    char *replaced;    /* owned: what runs in the place of the part, or NULL */
    struct span head;  /* what a COM_QUERY has in front of its text */
    struct span whole; /* text */
    struct script cut;
    struct script_part part;
    bool is_multi;    /* every result is shown */
    bool is_running;  /* the part has not ended */
    bool is_at_fe;    /* the FE runs it */
    bool is_fe_done;  /* it has; but the client may still send a file that it does not want */
    bool has_failed;  /* an ERR was sent */
    uint8_t sequence; /* of what the client gets next */
    struct rewrite rewrite;
};

void session_script_destroy(struct session_script *sc)
{
    if (sc != NULL) {
        free(sc->payload);
        free(sc->replaced);
        free(sc);
    }
}

static bool is_shown(const struct session_script *sc)
{
    return sc->is_multi || sc->part.is_last;
}

static uint16_t status_of(const struct session_script *sc)
{
    return sc->is_multi && !sc->part.is_last ? STATUS_MORE_RESULTS : STATUS_NONE;
}

void session_script_form(const struct session *s, struct result_form *form)
{
    form->sequence = s->script->sequence;
    form->status = status_of(s->script);
}

/* --- the parts ---------------------------------------------------------------------------------- */

static void send_part(struct session *s, enum rewrite_mode mode)
{
    struct session_script *sc = s->script;
    sc->is_at_fe = true;
    sc->is_fe_done = false;
    rewrite_init(&sc->rewrite, &s->track, mode, sc->sequence, status_of(sc));
    session_local_command(s, sc->head, sc->part.text);
}

static void send_statements(struct session *s)
{
    send_part(s, is_shown(s->script) ? REWRITE_SHOW : REWRITE_HIDE);
}

static void start_part(struct session *s)
{
    struct session_script *sc = s->script;
    struct err err = {0};
    sc->is_running = true;
    if (!sc->part.is_ours) {
        s->n_resets += local_knows_rights(s->local) && guess_changes_rights(sc->part.text, true);
        send_statements(s);
        return;
    }
    struct local_text text = {.whole = sc->whole, .sql = sc->part.text, .use = LOCAL_PART};
    session_local_verdict(s, local_accept(s, &text, &err), &err);
}

static void finish(struct session *s)
{
    enum script_kind kind = s->script->kind;
    session_script_destroy(take_ptr(s->script));
    if (kind == SCRIPT_BARRIER) {
        session_local_done(s);
    } else {
        session_local_answered(s);
    }
}

void session_script_run(struct session *s)
{
    s->n_nested++; /* what ends meanwhile is seen here */
    while (s->script != NULL && s->state == SESSION_LOCAL && !s->script->is_running) {
        struct session_script *sc = s->script;
        bool is_over = sc->has_failed || sc->part.is_last;
        if (is_over || !script_next(&sc->cut, &sc->part)) {
            finish(s);
        } else {
            start_part(s);
        }
    }
    s->n_nested--;
}

static struct session_script *create(struct session *s, enum script_kind kind)
{
    assert(s->script == NULL && s->state == SESSION_LOCAL);
    s->script = xcalloc(1, sizeof(*s->script));
    s->script->kind = kind;
    s->script->sequence = 1;
    return s->script;
}

void session_script_start(struct session *s, struct span payload, struct span text)
{
    struct session_script *sc = create(s, SCRIPT_PARTS);
    size_t n_head = payload.n - text.n;
    assert(text.p == payload.p + n_head);
    sc->payload = xmemdup0(payload.p, payload.n);
    sc->head = (struct span){sc->payload, n_head};
    sc->whole = (struct span){sc->payload + n_head, text.n};
    sc->cut = script_of(sc->whole, local_claims);
    sc->is_multi = (s->capabilities & CAP_MULTI_STATEMENTS) != 0;
    session_script_run(s);
}

/* One command for the FE, as if it were the last part of a text. */
static void start_single(struct session *s, enum script_kind kind, struct span head,
                         struct span text, enum rewrite_mode mode)
{
    struct session_script *sc = create(s, kind);
    sc->payload = xmemdup0(text.n > 0 ? text.p : "", text.n);
    sc->head = head;
    sc->part = (struct script_part){.text = {sc->payload, text.n}, .is_last = true};
    sc->is_running = true;
    send_part(s, mode);
}

void session_script_single(struct session *s, struct span text)
{
    static const char head[] = {COM_QUERY, 0, 1}; /* no attributes, in one set */
    bool has_counts = (s->capabilities & s->greeting.offered & CAP_QUERY_ATTRIBUTES) != 0;
    struct span used = {head, has_counts ? sizeof(head) : 1};
    start_single(s, SCRIPT_SINGLE, used, text, REWRITE_SHOW);
}

void session_script_barrier(struct session *s)
{
    static const char ping[] = {COM_PING};
    session_move(s, SESSION_LOCAL);
    start_single(s, SCRIPT_BARRIER, (struct span){ping, sizeof(ping)}, SPAN_LIT(""), REWRITE_DROP);
}

/* --- a part of ours is answered ------------------------------------------------------------------ */

static uint8_t sequence_behind(struct span packets)
{
    uint8_t sequence = 0;
    for (size_t at = 0; at < packets.n;) {
        sequence = packet_sequence(packets.p + at);
        at += PACKET_HEADER_SIZE + packet_length(packets.p + at);
    }
    return (uint8_t)(sequence + 1);
}

void session_script_reply(struct session *s, struct buf *packets, enum session_reply kind)
{
    struct session_script *sc = s->script;
    assert(sc->is_running && !sc->is_at_fe && packets->len > 0);
    sc->has_failed = kind == SESSION_REPLY_ERR;
    sc->is_running = false;
    if (!is_shown(sc) && !sc->has_failed) {
        buf_fini(packets);
    } else {
        sc->sequence = sequence_behind(buf_span(packets));
        if (!session_local_send(s, packets)) {
            return;
        }
    }
    if (s->n_nested == 0) {
        session_settle(s); /* which goes on with the next part */
    }
}

void session_script_forward(struct session *s)
{
    assert(s->script->is_running && !s->script->is_at_fe);
    send_statements(s);
}

void session_script_replace(struct session *s, struct span text)
{
    struct session_script *sc = s->script;
    assert(sc->is_running && !sc->is_at_fe);
    free(sc->replaced);
    sc->replaced = span_dup(text);
    sc->part.text = (struct span){sc->replaced, text.n};
    send_statements(s);
}

/* --- a part is with the FE ------------------------------------------------------------------------ */

bool session_script_is_at_fe(const struct session *s)
{
    return s->script != NULL && s->script->is_at_fe && s->script->kind != SCRIPT_BARRIER;
}

bool session_script_place_of_err(const struct session *s, uint8_t *ret_sequence)
{
    const struct session_script *sc = s->script;
    if (!sc->is_at_fe) {
        *ret_sequence = sc->sequence;
        return true;
    }
    *ret_sequence = sc->rewrite.next_sequence;
    return rewrite_is_between_packets(&sc->rewrite);
}

/* The part ends when the FE has said all and the client, if it sends a file, has sent it. */
static void end_part_if_done(struct session *s)
{
    struct session_script *sc = s->script;
    if (sc->is_fe_done && track_is_client_done(&s->track)) {
        sc->is_at_fe = false;
        sc->is_running = false;
        sc->has_failed = sc->rewrite.has_failed;
        sc->sequence = sc->rewrite.next_sequence;
    }
}

void session_script_server_bytes(struct session *s, const char *p, size_t n)
{
    struct session_script *sc = s->script;
    if (!sc->is_at_fe || sc->is_fe_done) {
        session_end_as(s, SESSION_ENDING_PROTOCOL,
                       "the FE sent something although it was not asked");
        return;
    }
    _cleanup_buf_ struct buf out = buf_with_max(n + sizeof(sc->rewrite.head));
    size_t used = 0;
    sc->is_fe_done = rewrite_feed(&sc->rewrite, p, n, &out, &used) == REWRITE_DONE;
    assert(buf_ok(&out));
    if (out.len > 0 && !session_to_client(s, out.data, out.len)) {
        return;
    }
    if (used < n) {
        session_end_as(s, SESSION_ENDING_PROTOCOL,
                       "the FE sent more than the results of its part of a text of several "
                       "statements");
        return;
    }
    end_part_if_done(s); /* session_settle() goes on */
}

void session_script_client_bytes(struct session *s)
{
    struct session_script *sc = s->script;
    size_t pos = 0;
    if (!sc->is_at_fe || track_is_client_done(&s->track)) {
        return;
    }
    buf_consume(&s->held, s->local_size); /* the command itself: we have a copy */
    s->local_size = 0;
    while (pos < s->held.len && !track_is_client_done(&s->track)) {
        size_t n = s->held.len - pos;
        size_t body = track_client_body(&s->track, n);
        if (body == 0 && n < PACKET_HEADER_SIZE) {
            break;
        }
        if (body == 0) {
            rewrite_file_header(&sc->rewrite, s->held.data + pos);
            track_client_take(&s->track, (struct span){s->held.data + pos, n});
            body = PACKET_HEADER_SIZE;
        }
        pos += body;
    }
    session_to_server(s, s->held.data, pos);
    buf_consume(&s->held, pos);
    if (s->held.len == 0) {
        buf_fini(&s->held); /* an idle session holds no memory */
    }
    if (session_is_open(s)) {
        end_part_if_done(s);
    }
}
