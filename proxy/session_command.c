#include <assert.h>

#include "base/xmalloc.h"
#include "parser/lex.h"
#include "proxy/backends.h"
#include "proxy/binary.h"
#include "proxy/guess.h"
#include "proxy/packet.h"
#include "proxy/session.h"
#include "proxy/session_auth.h"
#include "proxy/session_parts.h"
#include "proxy/worker_session.h"

enum {
    /* A whole command that may be ours fits, with reading still on; then one more read may come. */
    HELD_HIGH_MARK = SESSION_LOCAL_MAX + (64 << 10),
    HELD_MAX_SIZE = HELD_HIGH_MARK + 2 * WORKER_SCRATCH_SIZE,
};

/* What to do with the packet that begins at a place in the client's stream. */
enum fate {
    FATE_PASS,  /* to the FE */
    FATE_MORE,  /* hold it until there is more of it */
    FATE_WAIT,  /* hold it until the earlier commands are answered */
    FATE_OFFER, /* show it to the local side */
    FATE_ASK,   /* the same, but the FE may still be sending: it must give a sign first */
    FATE_ENDED, /* the session has ended */
};

enum guess session_find_text(const struct session *s, struct span payload, bool is_whole,
                             struct span *ret_text)
{
    struct packet_reader r = packet_reader_of(payload);
    uint64_t agreed = s->capabilities & s->greeting.offered;
    uint8_t command = packet_get_u8(&r);
    if (command == COM_QUERY && (agreed & CAP_QUERY_ATTRIBUTES) != 0) {
        uint64_t n_attributes = packet_get_lenenc(&r);
        (void)packet_get_lenenc(&r);
        if (n_attributes > 0 && !r.is_bad) {
            binary_skip_attributes(&r, n_attributes);
        }
        if (r.is_bad) {
            return is_whole ? GUESS_NO : GUESS_MORE;
        }
    }
    *ret_text = packet_get_bytes(&r, packet_left(&r));
    return GUESS_YES;
}

bool session_has_peers(const struct session *s)
{
    return backends_count(worker_shared(s->worker)->backends) > 1;
}

/* Of a command that is ours and will be answered: in its order, and not among the FE's packets. */
static enum fate fate_of_ours(const struct session *s)
{
    if (!track_is_idle(&s->track)) {
        return FATE_WAIT;
    }
    return track_may_be_owed(&s->track) ? FATE_ASK : FATE_OFFER;
}

/* By its first byte, which is all that most texts are looked at. */
static bool may_be_kill(struct span text)
{
    return text.n > 0 && ((*text.p | 0x20) == 'k' || !lex_is_letter(*text.p));
}

static enum guess guess_text(struct session *s, struct span text, bool is_whole, uint32_t length)
{
    enum guess guess = guess_is_local_on(text, &s->guessed, is_whole);
    if (guess == GUESS_NO && length <= GUESS_SCRIPT_MAX_SIZE) {
        guess = !is_whole ? GUESS_MORE : guess_is_hidden(text) ? GUESS_YES : GUESS_NO;
    }
    if (guess == GUESS_NO && may_be_kill(text) && session_has_peers(s) && guess_is_kill(text)) {
        guess = GUESS_YES;
    }
    return guess;
}

static enum fate decide_statement(struct session *s, struct span rest, uint32_t length)
{
    struct span text = {0};
    size_t n = rest.n - PACKET_HEADER_SIZE;
    bool is_whole = n >= length;
    struct span payload = {rest.p + PACKET_HEADER_SIZE, is_whole ? length : n};
    if (length > SESSION_LOCAL_MAX) {
        return FATE_PASS;
    }
    enum guess guess = session_find_text(s, payload, is_whole, &text);
    if (guess == GUESS_YES) {
        guess = guess_text(s, text, is_whole, length);
    }
    if (guess == GUESS_NO) {
        return FATE_PASS;
    }
    if (guess == GUESS_MORE || !is_whole) {
        return FATE_MORE;
    }
    return fate_of_ours(s);
}

static bool is_about_prepared(uint8_t command)
{
    switch (command) {
    case COM_STMT_EXECUTE:
    case COM_STMT_SEND_LONG_DATA:
    case COM_STMT_CLOSE:
    case COM_STMT_RESET:
    case COM_STMT_FETCH:
    case COM_STMT_BULK_EXECUTE: return true;
    default: return false;
    }
}

static void fail_too_large(struct session *s)
{
    struct err err = {0};
    (void)err_set(&err, ERR_NET_PACKET_TOO_LARGE, "08S01",
                  "a command about a prepared job statement or jobs() query has 16 MB and more; "
                  "Sluice takes up to %d bytes",
                  SESSION_LOCAL_MAX);
    session_fail(s, &err);
}

/* Statements were prepared here: is the command about one of them? */
static enum fate decide_prepared(struct session *s, struct span rest, uint32_t length)
{
    enum { ID_SIZE = 5 }; /* the command's byte and the statement's id */
    size_t n = rest.n - PACKET_HEADER_SIZE;
    struct span payload = {rest.p + PACKET_HEADER_SIZE, ID_SIZE};
    uint8_t command = (uint8_t)*payload.p;
    if (!is_about_prepared(command) || length < ID_SIZE) {
        return FATE_PASS;
    }
    if (n < ID_SIZE) {
        return FATE_MORE;
    }
    if (!session_prepared_is_ours(s, payload)) {
        return FATE_PASS;
    }
    if (length == PACKET_MAX_PAYLOAD) {
        fail_too_large(s);
        return FATE_ENDED;
    }
    if (length <= SESSION_LOCAL_MAX && n < length) {
        return FATE_MORE;
    }
    bool is_silent = command == COM_STMT_CLOSE || command == COM_STMT_SEND_LONG_DATA;
    return is_silent ? FATE_OFFER : fate_of_ours(s);
}

static enum fate decide_process_kill(const struct session *s, struct span rest, uint32_t length)
{
    if (length > SESSION_LOCAL_MAX || !session_has_peers(s)) {
        return FATE_PASS;
    }
    return rest.n - PACKET_HEADER_SIZE < length ? FATE_MORE : fate_of_ours(s);
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
    if (!handshake_read_change_user(payload, &user, &err) ||
        !session_auth_change_user(s, payload, &err)) {
        session_fail(s, &err);
        return FATE_ENDED;
    }
    free(s->user_asked);
    s->user_asked = span_dup(user);
    return FATE_PASS;
}

static enum fate decide_new(struct session *s, struct span rest, uint32_t length, uint8_t command)
{
    if (command == COM_CHANGE_USER) {
        return decide_change_user(s, rest, length);
    }
    if (length == 0 || packet_sequence(rest.p) != 0) {
        return FATE_PASS;
    }
    if (command == COM_QUERY || command == COM_STMT_PREPARE) {
        return decide_statement(s, rest, length);
    }
    if (s->prepared != NULL) {
        enum fate fate = decide_prepared(s, rest, length);
        if (fate != FATE_PASS) {
            return fate;
        }
    }
    return command == COM_PROCESS_KILL ? decide_process_kill(s, rest, length) : FATE_PASS;
}

/* A COM_QUERY goes to the FE. Only within the moment in which SHOW GRANTS is not asked again. */
static void look_for_rights(struct session *s, struct span rest, uint32_t length)
{
    struct span text = {0};
    size_t n = rest.n - PACKET_HEADER_SIZE;
    bool is_whole = n >= length;
    struct span payload = {rest.p + PACKET_HEADER_SIZE, is_whole ? length : n};
    bool is_seen = session_find_text(s, payload, is_whole, &text) == GUESS_YES;
    s->n_resets += !is_seen || guess_changes_rights(text, is_whole);
}

static enum fate decide_command(struct session *s, struct span rest)
{
    uint32_t length = packet_length(rest.p);
    uint8_t command = length > 0 ? (uint8_t)rest.p[PACKET_HEADER_SIZE] : COM_SLEEP;
    enum fate fate = FATE_PASS;
    if (s->track.has_quit) {
        return FATE_PASS; /* and nothing is expected of it */
    }
    if (s->must_forward) {
        s->must_forward = false;
    } else {
        fate = track_is_full(&s->track) ? FATE_WAIT : decide_new(s, rest, length, command);
    }
    if (fate == FATE_PASS && (command == COM_CHANGE_USER || command == COM_RESET_CONNECTION)) {
        s->n_resets++;
    }
    if (fate == FATE_PASS && command == COM_QUERY && local_knows_rights(s->local)) {
        look_for_rights(s, rest, length);
    }
    if (fate == FATE_PASS && s->prepared != NULL) {
        session_prepared_passed(s, command);
    }
    return fate;
}

static enum fate decide(struct session *s, struct span rest)
{
    enum track_client next = track_client_next(&s->track, rest);
    if (next != TRACK_CLIENT_COMMAND) {
        return next == TRACK_CLIENT_MORE ? FATE_MORE : FATE_PASS;
    }
    return decide_command(s, rest);
}

/* A password or the like, within a login or COM_CHANGE_USER. */
static bool is_auth_packet(const struct session *s, struct span rest)
{
    return s->auth.is_active && s->track.client_left == 0 &&
           track_client_next(&s->track, rest) == TRACK_CLIENT_DATA;
}

static void offer(struct session *s, struct span rest)
{
    size_t size = PACKET_HEADER_SIZE + (size_t)packet_length(rest.p);
    session_local_offer(s, (struct span){rest.p, size < rest.n ? size : rest.n}, size);
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
            size_t skipped = s->n_skip < n - pos ? s->n_skip : n - pos;
            assert(sent == pos);
            pos += skipped;
            sent = pos;
            s->n_skip -= skipped;
            continue;
        }
        struct span rest = {p + pos, n - pos};
        if (!s->has_response || is_auth_packet(s, rest)) {
            session_to_server(s, p + sent, pos - sent);
            size_t used = s->has_response ? session_auth_client_packet(s, rest)
                                          : session_login_response(s, rest);
            pos += used;
            sent = pos;
            if (used == 0) {
                break;
            }
            continue;
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
        } else if (fate == FATE_OFFER || fate == FATE_ASK) {
            session_to_server(s, p + sent, pos - sent);
            sent = pos;
            if (session_is_open(s) && fate == FATE_ASK) {
                session_script_barrier(s);
            } else if (session_is_open(s)) {
                offer(s, rest);
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
        session_end_as(s, SESSION_ENDING_PROTOCOL, "more than %d bytes of the client's wait",
                       HELD_MAX_SIZE);
    }
}

void session_command_client_bytes(struct session *s, const char *p, size_t n)
{
    s->held.max = HELD_MAX_SIZE;
    if (s->held.len > 0 || s->state == SESSION_LOCAL) {
        hold(s, p, n);
        session_command_resume(s);
        return;
    }
    size_t used = consume(s, p, n);
    hold(s, p + used, n - used);
}

void session_command_resume(struct session *s)
{
    if (s->held.len > 0 && s->state == SESSION_LOCAL && s->script != NULL) {
        session_script_client_bytes(s);
        session_script_run(s);
    }
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

void session_command_server_bytes(struct session *s, const char *p, size_t n)
{
    if (s->auth.is_active) {
        session_auth_server_bytes(s, p, n);
    } else if (s->state != SESSION_LOCAL) {
        /* Sent first, looked at afterwards: the client works on it in the meantime. */
        if (session_to_client(s, p, n)) {
            track_server(&s->track, p, n);
        }
    } else {
        session_local_server_bytes(s, p, n);
    }
}
