#include <assert.h>

#include "base/xmalloc.h"
#include "proxy/ask.h"
#include "proxy/guess.h"
#include "proxy/packet.h"
#include "proxy/result.h"
#include "proxy/session.h"
#include "proxy/worker_session.h"

enum {
    LOCAL_MAX_SIZE = 1 << 20, /* payload; longer statements are the FE's business */
    /* A whole LOCAL_MAX_SIZE command fits, with reading still on; then one more read may come. */
    HELD_HIGH_MARK = LOCAL_MAX_SIZE + (64 << 10),
    HELD_MAX_SIZE = HELD_HIGH_MARK + 2 * WORKER_SCRATCH_SIZE,
};

/* What to do with the packet that begins at a place in the client's stream. */
enum fate {
    FATE_PASS,  /* to the FE */
    FATE_MORE,  /* hold it until there is more of it */
    FATE_WAIT,  /* hold it until the earlier commands are answered */
    FATE_OFFER, /* show it to the local side */
    FATE_ENDED, /* the session has ended */
};

/*
 * The statement of a COM_QUERY or COM_STMT_PREPARE whose payload begins with `payload`. With
 * QUERY_ATTRIBUTES (MySQL 8.0.23) COM_QUERY has two counts in front; a statement that really has
 * attributes is left to the FE.
 */
static enum guess find_text(const struct session *s, struct span payload, bool is_whole,
                            struct span *ret_text)
{
    struct packet_reader r = packet_reader_of(payload);
    uint64_t agreed = s->capabilities & s->greeting.offered;
    uint8_t command = packet_get_u8(&r);
    if (command == COM_QUERY && (agreed & CAP_QUERY_ATTRIBUTES) != 0) {
        uint64_t n_attributes = packet_get_lenenc(&r);
        (void)packet_get_lenenc(&r);
        if (r.is_bad) {
            return is_whole ? GUESS_NO : GUESS_MORE;
        }
        if (n_attributes > 0) {
            return GUESS_NO;
        }
    }
    *ret_text = packet_get_bytes(&r, packet_left(&r));
    return GUESS_YES;
}

static enum fate decide_statement(const struct session *s, struct span rest, uint32_t length)
{
    struct span text = {0};
    size_t n = rest.n - PACKET_HEADER_SIZE;
    bool is_whole = n >= length;
    struct span payload = {rest.p + PACKET_HEADER_SIZE, is_whole ? length : n};
    if (length > LOCAL_MAX_SIZE) {
        return FATE_PASS;
    }
    enum guess guess = find_text(s, payload, is_whole, &text);
    if (guess == GUESS_YES) {
        guess = guess_is_local(text, is_whole);
    }
    if (guess == GUESS_NO && length <= GUESS_SCRIPT_MAX_SIZE) {
        guess = !is_whole ? GUESS_MORE : guess_is_script(text) ? GUESS_YES : GUESS_NO;
    }
    if (guess == GUESS_NO) {
        return FATE_PASS;
    }
    if (guess == GUESS_MORE || !is_whole) {
        return FATE_MORE;
    }
    return track_is_idle(&s->track) ? FATE_OFFER : FATE_WAIT;
}

static enum fate decide_change_user(struct session *s, struct span rest, uint32_t length)
{
    struct err err = {0};
    struct span user = {0};
    if (length <= HANDSHAKE_MAX_SIZE && rest.n < PACKET_HEADER_SIZE + (size_t)length) {
        return FATE_MORE;
    }
    if (!track_is_idle(&s->track)) {
        return FATE_WAIT; /* one change at a time, so that the OK is known to be this one's */
    }
    if (length > HANDSHAKE_MAX_SIZE) {
        (void)err_set(&err, ERR_HANDSHAKE, "08S01",
                      "the client's COM_CHANGE_USER has %u bytes; Sluice takes up to %d", length,
                      HANDSHAKE_MAX_SIZE);
        session_fail(s, &err);
        return FATE_ENDED;
    }
    struct span payload = {rest.p + PACKET_HEADER_SIZE, length};
    if (!handshake_read_change_user(payload, &user, &err)) {
        session_fail(s, &err);
        return FATE_ENDED;
    }
    free(s->user_asked);
    s->user_asked = span_dup(user);
    return FATE_PASS;
}

static enum fate decide(struct session *s, struct span rest)
{
    enum track_client next = track_client_next(&s->track, rest);
    if (next != TRACK_CLIENT_COMMAND) {
        return next == TRACK_CLIENT_MORE ? FATE_MORE : FATE_PASS;
    }
    if (s->must_forward) {
        s->must_forward = false;
        return FATE_PASS;
    }
    if (track_is_full(&s->track)) {
        return FATE_WAIT;
    }
    uint32_t length = packet_length(rest.p);
    uint8_t command = length > 0 ? (uint8_t)rest.p[PACKET_HEADER_SIZE] : COM_SLEEP;
    if (command == COM_CHANGE_USER) {
        return decide_change_user(s, rest, length);
    }
    bool is_statement = command == COM_QUERY || command == COM_STMT_PREPARE;
    if (!is_statement || packet_sequence(rest.p) != 0) {
        return FATE_PASS;
    }
    return decide_statement(s, rest, length);
}

/* Shows a command to the local side. It may answer at once: then the state is READY again. */
static void offer(struct session *s, struct span packet)
{
    struct err err = {0};
    struct span text = {0};
    struct span payload = {packet.p + PACKET_HEADER_SIZE, packet.n - PACKET_HEADER_SIZE};
    bool is_prepare = (uint8_t)payload.p[0] == COM_STMT_PREPARE;
    (void)find_text(s, payload, true, &text); /* found before, or it would not be offered */
    s->local_size = packet.n;
    session_move(s, SESSION_LOCAL);
    s->n_nested++;
    switch (local_accept(s, text, is_prepare, &err)) {
    case LOCAL_FOREIGN: session_reply_forward(s); break;
    case LOCAL_ERROR: session_reply_err(s, &err); break;
    case LOCAL_TAKEN: break;
    }
    s->n_nested--;
}

/*
 * Works through the client's bytes; returns how many are dealt with. The rest is to be held: an
 * incomplete command that may be ours, one that waits, or the LOCAL one.
 *
 *     p        sent         pos             n
 *     |=========|============|··············|
 *      in the FE  passed, not     undecided
 *       socket     written yet
 */
static size_t consume(struct session *s, const char *p, size_t n)
{
    size_t pos = 0;
    size_t sent = 0;
    while (pos < n && (s->state == SESSION_READY || s->state == SESSION_LOGIN)) {
        if (s->n_skip > 0) {
            assert(s->n_skip <= n - pos && sent == pos);
            pos += s->n_skip;
            sent = pos;
            s->n_skip = 0;
            continue;
        }
        struct span rest = {p + pos, n - pos};
        if (!s->has_response && !session_login_response(s, rest)) {
            break;
        }
        size_t body = track_client_body(&s->track, rest.n);
        if (body > 0) {
            pos += body;
            continue;
        }
        enum fate fate = decide(s, rest);
        if (fate == FATE_PASS) {
            track_client_take(&s->track, rest);
            pos += PACKET_HEADER_SIZE;
        } else if (fate == FATE_OFFER) {
            session_to_server(s, p + sent, pos - sent);
            sent = pos;
            if (session_is_open(s)) {
                offer(s, (struct span){rest.p, PACKET_HEADER_SIZE + packet_length(rest.p)});
            }
        } else {
            break;
        }
    }
    session_to_server(s, p + sent, pos - sent);
    return pos;
}

static void hold(struct session *s, const char *p, size_t n)
{
    if (n == 0 || !session_is_open(s)) {
        return;
    }
    buf_append(&s->held, p, n);
    if (!buf_ok(&s->held)) { /* reading stops far below */
        session_end(s, "more than %d bytes of the client's wait", HELD_MAX_SIZE);
    }
}

void session_command_client_bytes(struct session *s, const char *p, size_t n)
{
    if (s->held.len > 0 || s->state == SESSION_LOCAL) {
        hold(s, p, n);
        session_command_resume(s);
        return;
    }
    s->held.max = HELD_MAX_SIZE;
    size_t used = consume(s, p, n);
    hold(s, p + used, n - used);
}

void session_command_resume(struct session *s)
{
    if (s->held.len == 0 || (s->state != SESSION_READY && s->state != SESSION_LOGIN)) {
        return;
    }
    size_t used = consume(s, s->held.data, s->held.len);
    if (used == s->held.len) {
        buf_fini(&s->held); /* an idle session holds no memory */
    } else {
        buf_consume(&s->held, used);
    }
}

bool session_command_has_room(const struct session *s)
{
    return s->held.len <= HELD_HIGH_MARK;
}

bool session_command_is_idle(const struct session *s)
{
    return s->state == SESSION_READY && s->held.len == 0 && track_is_idle(&s->track);
}

/* --- the FE's bytes --------------------------------------------------------------------------- */

static void on_ask_bytes(struct session *s, const char *p, size_t n)
{
    size_t used = 0;
    enum ask_step step = ask_feed(s->ask, p, n, &used);
    if (step == ASK_MORE) {
        return;
    }
    if (step == ASK_BROKEN) {
        struct err err = {0};
        (void)err_set(&err, ERR_SERVER_LOST, "HY000",
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
        session_end(s, "the FE sent more than its answer to a question of Sluice's own");
    }
}

void session_command_server_bytes(struct session *s, const char *p, size_t n)
{
    if (s->state != SESSION_LOCAL) {
        /* Sent first, looked at afterwards: the client works on it in the meantime. */
        if (session_to_client(s, p, n)) {
            track_server(&s->track, p, n);
        }
    } else if (s->ask != NULL) {
        on_ask_bytes(s, p, n);
    } else {
        session_end(s, "the FE sent something although it was not asked");
    }
}

/* --- proxy/local.h ---------------------------------------------------------------------------- */

/* The LOCAL command is over: it is skipped, or goes to the FE, when `held` is worked on. */
static void local_done(struct session *s)
{
    assert(s->ask == NULL);
    s->local_size = 0;
    session_move(s, SESSION_READY);
    if (s->n_nested == 0) {
        session_settle(s);
    }
}

static void answered_here(struct session *s)
{
    worker_count(&worker_own_counters(s->worker)->local_statements);
    s->n_skip = s->local_size;
    local_done(s);
}

void session_reply_packets(struct session *s, struct buf *packets)
{
    assert(buf_ok(packets));
    if (s->state != SESSION_LOCAL) { /* the session ended meanwhile */
        buf_fini(packets);
        return;
    }
    s->n_replied += packets->len;
    if (!relay_send_buf(&s->client, packets)) {
        session_end(s, "the client's connection broke");
        return;
    }
    answered_here(s);
}

void session_reply_ok(struct session *s, uint64_t affected, const char *info)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    result_ok(&out, 1, affected, info);
    session_reply_packets(s, &out);
}

void session_reply_err(struct session *s, const struct err *err)
{
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    result_err(&out, 1, err);
    session_reply_packets(s, &out);
}

void session_reply_forward(struct session *s)
{
    if (s->state == SESSION_LOCAL) {
        s->must_forward = true;
        local_done(s);
    }
}

void session_ask(struct session *s, const char *sql, answer_fn on_answer, void *arg)
{
    if (s->state != SESSION_LOCAL) { /* the session ended meanwhile: no answer will come */
        return;
    }
    assert(s->ask == NULL);
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    size_t at = packet_begin(&out, 0);
    packet_put_u8(&out, COM_QUERY);
    if ((s->capabilities & s->greeting.offered & CAP_QUERY_ATTRIBUTES) != 0) {
        packet_put_lenenc(&out, 0); /* no attributes, in one set */
        packet_put_lenenc(&out, 1);
    }
    buf_append_text(&out, sql);
    (void)packet_end(&out, at); /* the FE's reply tells the next sequence id */
    assert(buf_ok(&out));
    for (size_t pos = 0; pos < out.len;) {
        track_client_take(&s->track, (struct span){out.data + pos, out.len - pos});
        pos += PACKET_HEADER_SIZE;
        pos += track_client_body(&s->track, out.len - pos);
    }
    s->ask = ask_create(&s->track, ASK_MAX_SIZE);
    s->on_answer = on_answer;
    s->answer_arg = arg;
    session_to_server(s, out.data, out.len);
}

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

struct local **session_local(struct session *s)
{
    return &s->local;
}

uint64_t session_capabilities(const struct session *s)
{
    /* Doris honours DEPRECATE_EOF although it does not offer it: facts/doris-ports.md A1. */
    return s->capabilities & (s->greeting.offered | CAP_DEPRECATE_EOF);
}
