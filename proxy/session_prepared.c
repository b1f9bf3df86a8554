/*
 * Statements that a client prepares and that are ours: proxy/prepared.h keeps them, and an EXECUTE
 * runs as the text that it stands for, by the same way as a COM_QUERY; only the form of the answer
 * differs.
 */
#include <assert.h>

#include "base/xmalloc.h"
#include "parser/params.h"
#include "proxy/packet.h"
#include "proxy/prepared.h"
#include "proxy/session.h"
#include "proxy/session_parts.h"

struct session_prepared {
    struct prepared_set *set; /* owned */
    enum { PREPARED_NOTHING, PREPARED_PREPARES, PREPARED_EXECUTES } doing;
    struct prepared *current; /* of `set`, while something is done */
    bool has_cursor;          /* the EXECUTE asks for one */
    struct buf bound;         /* the text it runs as */
};

void session_prepared_destroy(struct session_prepared *p)
{
    if (p != NULL) {
        prepared_destroy(p->set);
        buf_fini(&p->bound);
        free(p);
    }
}

void session_prepared_done(struct session *s)
{
    struct session_prepared *p = s->prepared;
    p->doing = PREPARED_NOTHING;
    p->current = NULL;
    p->has_cursor = false;
    buf_fini(&p->bound);
}

void session_prepared_form(const struct session *s, struct result_form *form)
{
    const struct session_prepared *p = s->prepared;
    if (p->doing == PREPARED_EXECUTES) {
        form->format = p->has_cursor ? RESULT_FORMAT_CURSOR : RESULT_FORMAT_BINARY;
    }
}

bool session_prepared_is_ours(const struct session *s, struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_u8(&r);
    uint32_t id = packet_get_u32(&r);
    return !r.is_bad && prepared_is_ours(s->prepared->set, id);
}

void session_prepared_passed(struct session *s, uint8_t command)
{
    if (command == COM_STMT_PREPARE) {
        prepared_last_is_fe(s->prepared->set);
    } else if (command == COM_RESET_CONNECTION || command == COM_CHANGE_USER) {
        /* Its counter goes on: a late COM_STMT_CLOSE of a former statement must not hit a new one. */
        prepared_clear(s->prepared->set);
    }
}

/* --- PREPARE ------------------------------------------------------------------------------------ */

static bool add(struct session *s, struct span text, struct err *err)
{
    struct session_prepared *p = s->prepared;
    if (p == NULL) {
        p = xcalloc(1, sizeof(*p));
        p->set = prepared_create();
        s->prepared = p;
    }
    assert(p->doing == PREPARED_NOTHING);
    p->current = prepared_add(p->set, text, err);
    if (p->current == NULL) {
        prepared_last_failed(p->set);
        return false;
    }
    p->doing = PREPARED_PREPARES;
    return true;
}

void session_prepared_prepare(struct session *s, struct span text)
{
    struct err err = {0};
    _cleanup_buf_ struct buf sample = buf_with_max(PREPARED_TEXTS_MAX);
    params_sample(text, &sample);
    struct span sql = buf_ok(&sample) ? buf_span(&sample) : text;
    if (!local_claims(sql)) {
        session_reply_forward(s);
        return;
    }
    if (!add(s, text, &err)) {
        session_reply_err(s, &err);
        return;
    }
    struct local_text shown = {.whole = sql, .sql = sql, .use = LOCAL_PREPARE};
    session_local_verdict(s, local_accept(s, &shown, &err), &err);
}

void session_reply_prepared(struct session *s, const char *const *names, size_t n)
{
    if (s->state != SESSION_LOCAL) { /* the session ended meanwhile */
        return;
    }
    assert(s->prepared != NULL && s->prepared->doing == PREPARED_PREPARES);
    const struct prepared *st = s->prepared->current;
    struct result_form form = session_form(s);
    _cleanup_buf_ struct buf out = buf_with_max(RELAY_OUT_MAX);
    _cleanup_free_ struct result_column *columns = xcalloc(n > 0 ? n : 1, sizeof(*columns));
    for (size_t i = 0; i < n; i++) {
        columns[i] = (struct result_column){.name = names[i], .type = RESULT_TEXT};
    }
    result_prepared(&out, &form, prepared_id(st), prepared_n_params(st), columns, n);
    session_reply_packets(s, &out);
}

/* --- the commands ------------------------------------------------------------------------------- */

static void execute(struct session *s, struct prepared *st, struct span payload)
{
    struct session_prepared *p = s->prepared;
    struct err err = {0};
    bool has_cursor = false;
    p->bound = buf_with_max(PREPARED_BOUND_MAX);
    if (!prepared_bind(p->set, st, payload, s->capabilities & s->greeting.offered, &p->bound,
                       &has_cursor, &err)) {
        session_reply_err(s, &err);
        return;
    }
    p->doing = PREPARED_EXECUTES;
    p->current = st;
    p->has_cursor = has_cursor;
    struct span sql = buf_span(&p->bound);
    struct local_text text = {.whole = sql, .sql = sql, .use = LOCAL_BOUND};
    session_local_verdict(s, local_accept(s, &text, &err), &err);
}

static void fetch(struct session *s, struct prepared *st, struct span payload)
{
    struct err err = {0};
    struct packet_reader r = packet_reader_of(payload);
    _cleanup_buf_ struct buf out = buf_with_max(PREPARED_ROWS_MAX + 64);
    (void)packet_get_bytes(&r, 1 + 4);
    uint32_t n = packet_get_u32(&r);
    if (prepared_fetch(s->prepared->set, st, n, session_form(s).capabilities, &out, &err)) {
        session_reply_packets(s, &out);
    } else {
        session_reply_err(s, &err);
    }
}

static void reply_unsupported(struct session *s)
{
    struct err err = {0};
    (void)err_set(&err, ERR_UNSUPPORTED_PS, "HY000",
                  "Job statements and queries over jobs() and tasks() cannot be executed in bulk "
                  "(COM_STMT_BULK_EXECUTE). Execute them one by one: useBulkStmts=false in MariaDB "
                  "Connector/J");
    session_reply_err(s, &err);
}

static void reply_too_large(struct session *s, size_t size)
{
    struct err err = {0};
    (void)err_set(&err, ERR_NET_PACKET_TOO_LARGE, "08S01",
                  "The command about a prepared job statement or jobs() query has %zu bytes; "
                  "Sluice takes up to %d",
                  size, SESSION_LOCAL_MAX);
    session_reply_err(s, &err);
}

static void reply_unknown(struct session *s, uint32_t id, const char *command)
{
    struct err err = {0};
    (void)prepared_unknown(id, command, &err);
    session_reply_err(s, &err);
}

static const char *handler_of(uint8_t command)
{
    switch (command) {
    case COM_STMT_FETCH: return "mysqld_stmt_fetch";
    case COM_STMT_RESET: return "mysqld_stmt_reset";
    case COM_STMT_BULK_EXECUTE: return "mysqld_stmt_bulk_execute";
    default: return "mysqld_stmt_execute";
    }
}

/* COM_STMT_CLOSE and COM_STMT_SEND_LONG_DATA have no reply, whatever is wrong with them. */
static void run_silent(struct session *s, struct prepared *st, struct span payload, bool is_whole)
{
    bool is_close = (uint8_t)payload.p[0] == COM_STMT_CLOSE;
    if (st != NULL && is_close) {
        prepared_remove(s->prepared->set, st);
    } else if (st != NULL && is_whole) {
        prepared_long_data(s->prepared->set, st, payload);
    } else if (st != NULL) {
        prepared_long_data_lost(st);
    }
    session_local_silent(s);
}

void session_prepared_command(struct session *s, struct span payload, size_t size)
{
    struct packet_reader r = packet_reader_of(payload);
    uint8_t command = packet_get_u8(&r);
    uint32_t id = packet_get_u32(&r);
    struct prepared *st = prepared_find(s->prepared->set, id);
    assert(!r.is_bad); /* it was known for ours by its id */
    if (command == COM_STMT_CLOSE || command == COM_STMT_SEND_LONG_DATA) {
        run_silent(s, st, payload, payload.n == size);
    } else if (st == NULL) {
        reply_unknown(s, id, handler_of(command));
    } else if (payload.n < size) {
        reply_too_large(s, size);
    } else if (command == COM_STMT_EXECUTE) {
        execute(s, st, payload);
    } else if (command == COM_STMT_FETCH) {
        fetch(s, st, payload);
    } else if (command == COM_STMT_RESET) {
        prepared_reset(s->prepared->set, st);
        session_reply_ok(s, 0, NULL);
    } else {
        reply_unsupported(s);
    }
}

/* --- the local side's answer --------------------------------------------------------------------- */

static void drop_refused(struct session_prepared *p)
{
    prepared_remove(p->set, take_ptr(p->current));
    p->doing = PREPARED_NOTHING;
}

void session_prepared_reply(struct session *s, struct buf *packets, enum session_reply kind)
{
    struct session_prepared *p = s->prepared;
    struct err err = {0};
    if (p->doing == PREPARED_PREPARES && kind == SESSION_REPLY_ERR) {
        drop_refused(p);
    }
    bool is_opened = p->doing == PREPARED_EXECUTES && p->has_cursor && kind == SESSION_REPLY_RESULT;
    if (is_opened && !prepared_open_cursor(p->set, p->current, packets, &err)) {
        buf_reset(packets);
        result_err(packets, 1, &err);
        assert(buf_ok(packets));
    }
}

/*
 * The statement turned out to be the FE's. A PREPARE goes there as it came; what was executed goes
 * as a text: such statements have no rows, so that the answer looks the same.
 */
bool session_prepared_forward(struct session *s)
{
    struct session_prepared *p = s->prepared;
    if (p->doing == PREPARED_PREPARES) {
        drop_refused(p);
    }
    if (p->doing != PREPARED_EXECUTES) {
        return false;
    }
    session_script_single(s, buf_span(&p->bound));
    return true;
}
