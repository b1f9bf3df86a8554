#include <assert.h>

#include "base/xmalloc.h"
#include "parser/params.h"
#include "proxy/binary.h"
#include "proxy/packet.h"
#include "proxy/prepared.h"
#include "proxy/result.h"

enum {
    MAX_PARAMS = 65535,
    GENERATIONS = (1 << 18) - 1, /* the last one would make PREPARED_LAST */
    FLAG_CURSOR = 0x01,
    FLAG_PARAMETER_COUNT = 0x08, /* with QUERY_ATTRIBUTES */

    ERR_WRONG_ARGUMENTS = 1210,
    ERR_UNKNOWN_STMT_HANDLER = 1243,
    ERR_PS_MANY_PARAM = 1390,
    ERR_STMT_HAS_NO_OPEN_CURSOR = 1421,
    ERR_MAX_PREPARED_STMT_COUNT_REACHED = 1461,
};

struct prepared {
    uint32_t id;
    char *text; /* owned */
    size_t n_text;
    size_t n_params;
    uint16_t *types;       /* owned; NULL until an EXECUTE has sent them */
    struct buf *long_data; /* owned, one a parameter; NULL until there is some */
    size_t n_long;         /* bytes of all of it */
    bool is_long_lost;     /* some of it could not be kept */
    bool has_cursor;
    struct buf rows; /* packets; from rows_at on they wait for COM_STMT_FETCH */
    size_t rows_at;
};

enum last { LAST_FE, LAST_OURS, LAST_FAILED };

struct prepared_set {
    struct prepared **slots; /* owned; a statement's id tells its slot */
    size_t n_slots;
    size_t n_used;
    uint32_t generation;
    enum last last;
    uint32_t last_id; /* LAST_OURS */
    size_t n_texts;   /* bytes of all statements */
    size_t n_long;
    size_t n_rows;
};

struct prepared_set *prepared_create(void)
{
    return xcalloc(1, sizeof(struct prepared_set));
}

static void destroy_one(struct prepared *st)
{
    for (size_t i = 0; st->long_data != NULL && i < st->n_params; i++) {
        buf_fini(&st->long_data[i]);
    }
    free(st->long_data);
    buf_fini(&st->rows);
    free(st->types);
    free(st->text);
    free(st);
}

void prepared_clear(struct prepared_set *set)
{
    for (size_t i = 0; i < set->n_slots; i++) {
        if (set->slots[i] != NULL) {
            destroy_one(set->slots[i]);
        }
    }
    free(set->slots);
    *set = (struct prepared_set){.generation = set->generation};
}

void prepared_destroy(struct prepared_set *set)
{
    if (set != NULL) {
        prepared_clear(set);
        free(set);
    }
}

bool prepared_is_empty(const struct prepared_set *set)
{
    return set->n_used == 0;
}

/* --- one statement more or less --------------------------------------------------------------- */

static size_t free_slot(struct prepared_set *set)
{
    size_t i = 0;
    while (i < set->n_slots && set->slots[i] != NULL) {
        i++;
    }
    if (i == set->n_slots) {
        size_t n = set->n_slots > 0 ? 2 * set->n_slots : 8;
        set->slots = xrealloc_array(set->slots, n, sizeof(struct prepared *));
        memset(set->slots + i, 0, (n - i) * sizeof(struct prepared *));
        set->n_slots = n;
    }
    return i;
}

static bool check_room(const struct prepared_set *set, struct span text, size_t n_params,
                       struct err *err)
{
    if (set->n_used == PREPARED_MAX) {
        return err_set(
            err, ERR_MAX_PREPARED_STMT_COUNT_REACHED, "42000",
            "Can't create more than %d prepared job statements and jobs() queries in one "
            "connection; close some",
            PREPARED_MAX);
    }
    if (text.n > PREPARED_TEXTS_MAX - set->n_texts) {
        return err_set(err, ERR_MAX_PREPARED_STMT_COUNT_REACHED, "42000",
                       "The prepared job statements and jobs() queries of this connection have "
                       "more than %d MB of text together; close some",
                       PREPARED_TEXTS_MAX >> 20);
    }
    return n_params <= MAX_PARAMS ||
           err_set(err, ERR_PS_MANY_PARAM, "HY000",
                   "Prepared statement contains too many placeholders: %zu, at most %d", n_params,
                   MAX_PARAMS);
}

struct prepared *prepared_add(struct prepared_set *set, struct span text, struct err *err)
{
    size_t n_params = params_count(text);
    if (!check_room(set, text, n_params, err)) {
        return NULL;
    }
    struct prepared *st = xcalloc(1, sizeof(*st));
    size_t slot = free_slot(set);
    assert(slot < PREPARED_MAX);
    set->generation = (set->generation + 1) % GENERATIONS;
    st->id = PREPARED_FIRST + set->generation * PREPARED_MAX + (uint32_t)slot;
    st->text = xmemdup0(text.n > 0 ? text.p : "", text.n);
    st->n_text = text.n;
    st->n_params = n_params;
    st->rows = buf_with_max(PREPARED_ROWS_MAX);
    set->slots[slot] = st;
    set->n_used++;
    set->n_texts += text.n;
    set->last = LAST_OURS;
    set->last_id = st->id;
    return st;
}

void prepared_remove(struct prepared_set *set, struct prepared *st)
{
    size_t slot = st->id % PREPARED_MAX;
    assert(slot < set->n_slots && set->slots[slot] == st);
    prepared_reset(set, st);
    set->slots[slot] = NULL;
    set->n_used--;
    set->n_texts -= st->n_text;
    if (set->last == LAST_OURS && set->last_id == st->id) {
        set->last = LAST_FAILED;
    }
    destroy_one(st);
}

uint32_t prepared_id(const struct prepared *st)
{
    return st->id;
}

size_t prepared_n_params(const struct prepared *st)
{
    return st->n_params;
}

/* --- which one -------------------------------------------------------------------------------- */

void prepared_last_is_fe(struct prepared_set *set)
{
    set->last = LAST_FE;
}

void prepared_last_failed(struct prepared_set *set)
{
    set->last = LAST_FAILED;
}

bool prepared_is_ours(const struct prepared_set *set, uint32_t id)
{
    return id == PREPARED_LAST ? set->last != LAST_FE : id >= PREPARED_FIRST;
}

struct prepared *prepared_find(const struct prepared_set *set, uint32_t id)
{
    if (id == PREPARED_LAST) {
        if (set->last != LAST_OURS) {
            return NULL;
        }
        id = set->last_id;
    }
    size_t slot = id % PREPARED_MAX;
    struct prepared *st = slot < set->n_slots ? set->slots[slot] : NULL;
    return st != NULL && st->id == id ? st : NULL;
}

bool prepared_unknown(uint32_t id, const char *command, struct err *err)
{
    return err_set(err, ERR_UNKNOWN_STMT_HANDLER, "HY000",
                   "Unknown prepared statement handler (%u) given to %s", id, command);
}

/* --- what an EXECUTE binds -------------------------------------------------------------------- */

static void drop_long_data(struct prepared_set *set, struct prepared *st)
{
    for (size_t i = 0; st->long_data != NULL && i < st->n_params; i++) {
        buf_fini(&st->long_data[i]);
    }
    free(take_ptr(st->long_data));
    assert(set->n_long >= st->n_long);
    set->n_long -= st->n_long;
    st->n_long = 0;
    st->is_long_lost = false;
}

static void drop_rows(struct prepared_set *set, struct prepared *st)
{
    assert(set->n_rows >= st->rows.len);
    set->n_rows -= st->rows.len;
    buf_fini(&st->rows);
    st->rows = buf_with_max(PREPARED_ROWS_MAX);
    st->rows_at = 0;
    st->has_cursor = false;
}

void prepared_reset(struct prepared_set *set, struct prepared *st)
{
    drop_long_data(set, st);
    drop_rows(set, st);
}

/* command 1 | statement 4 | parameter 2 | data */
void prepared_long_data(struct prepared_set *set, struct prepared *st, struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_bytes(&r, 1 + 4);
    size_t i = packet_get_u16(&r);
    struct span data = packet_get_bytes(&r, packet_left(&r));
    if (r.is_bad || i >= st->n_params || data.n > PREPARED_LONG_MAX - set->n_long) {
        st->is_long_lost = true;
        return;
    }
    if (st->long_data == NULL) {
        st->long_data = xcalloc(st->n_params, sizeof(*st->long_data));
    }
    if (st->long_data[i].max == 0) {
        st->long_data[i] = buf_with_max(PREPARED_LONG_MAX);
    }
    buf_append_span(&st->long_data[i], data);
    assert(buf_ok(&st->long_data[i]));
    st->n_long += data.n;
    set->n_long += data.n;
}

void prepared_long_data_lost(struct prepared *st)
{
    st->is_long_lost = true;
}

static bool fail_packet(const char *what, struct err *err)
{
    return err_set(err, ERR_WRONG_ARGUMENTS, "HY000",
                   "Incorrect arguments to mysqld_stmt_execute: %s", what);
}

/* [1, then a type 2 and, with QUERY_ATTRIBUTES, a name for each] or 0: as last time */
static bool read_types(struct prepared *st, struct packet_reader *r, uint64_t n, bool has_names,
                       struct err *err)
{
    if (packet_get_u8(r) != 1) {
        return st->types != NULL || fail_packet("no parameter types were sent", err);
    }
    if (st->types == NULL) {
        st->types = xcalloc(st->n_params, sizeof(*st->types));
    }
    for (uint64_t i = 0; i < n && !r->is_bad; i++) {
        uint16_t type = packet_get_u16(r);
        if (has_names) {
            (void)packet_get_text(r);
        }
        if (i < st->n_params) {
            st->types[i] = type;
        }
    }
    return !r->is_bad || fail_packet("the packet ends within the types of its parameters", err);
}

static bool has_long_data(const struct prepared *st, size_t i)
{
    return st->long_data != NULL && st->long_data[i].max > 0;
}

static bool put_values(const struct prepared *st, struct packet_reader *r, struct span nulls,
                       struct buf *out, struct err *err)
{
    struct span text = {st->text, st->n_text};
    _cleanup_buf_ struct buf literal = buf_with_max(PREPARED_BOUND_MAX);
    size_t from = 0;
    for (size_t i = 0; i < st->n_params; i++) {
        size_t at = params_next(text, from);
        buf_reset(&literal);
        if (has_long_data(st, i)) {
            binary_long_literal(buf_span(&st->long_data[i]), &literal);
        } else if (binary_is_null(nulls, i)) {
            buf_append_text(&literal, "NULL");
        } else if (!binary_literal(r, st->types[i], &literal, err)) {
            return false;
        }
        if (!buf_ok(&literal)) {
            out->is_failed = true;
            return true;
        }
        params_put(text, from, at, buf_span(&literal), out);
        from = at + 1;
    }
    buf_append(out, text.p + from, text.n - from);
    return true;
}

/* [count] | NULL bitmap | types | values; attributes of the query stand behind the parameters. */
static bool bind(struct prepared *st, struct packet_reader *r, bool has_count, bool has_names,
                 struct buf *out, struct err *err)
{
    uint64_t n = has_count ? packet_get_lenenc(r) : st->n_params;
    if (r->is_bad || n < st->n_params || n > MAX_PARAMS) {
        return fail_packet("it has another number of parameters than the statement", err);
    }
    struct span nulls = packet_get_bytes(r, (size_t)(n + 7) / 8);
    if (r->is_bad) {
        return fail_packet("the packet ends before its parameters", err);
    }
    return read_types(st, r, n, has_names, err) && put_values(st, r, nulls, out, err);
}

/* command 1 | statement 4 | flags 1 | iterations 4 | parameters */
bool prepared_bind(struct prepared_set *set, struct prepared *st, struct span payload,
                   uint64_t capabilities, struct buf *out, bool *ret_has_cursor, struct err *err)
{
    struct packet_reader r = packet_reader_of(payload);
    (void)packet_get_bytes(&r, 1 + 4);
    unsigned flags = packet_get_u8(&r);
    (void)packet_get_u32(&r);
    if (r.is_bad) {
        return fail_packet("the packet is too short", err);
    }
    bool has_names = (capabilities & CAP_QUERY_ATTRIBUTES) != 0;
    bool is_lost = st->is_long_lost;
    bool is_ok = true;
    drop_rows(set, st);
    if (st->n_params == 0) {
        buf_append(out, st->text, st->n_text);
    } else {
        is_ok = bind(st, &r, has_names && (flags & FLAG_PARAMETER_COUNT) != 0, has_names, out, err);
    }
    drop_long_data(set, st);
    if (is_lost || (is_ok && !buf_ok(out))) {
        return err_set(err, ERR_NET_PACKET_TOO_LARGE, "08S01",
                       "A job statement or jobs() query may have %d KB with its parameters, and "
                       "the parameters sent ahead %d MB; these are larger, or are none of the "
                       "statement's",
                       PREPARED_BOUND_MAX >> 10, PREPARED_LONG_MAX >> 20);
    }
    *ret_has_cursor = (flags & FLAG_CURSOR) != 0;
    return is_ok;
}

/* --- cursors ---------------------------------------------------------------------------------- */

static size_t packet_size(struct span rest)
{
    assert(rest.n >= PACKET_HEADER_SIZE);
    return PACKET_HEADER_SIZE + packet_length(rest.p);
}

/* Behind the column count, the definitions and the packet that ends them. */
static size_t definitions_end(struct span packets)
{
    struct packet_reader r = packet_reader_of((struct span){packets.p, packets.n});
    (void)packet_get_u32(&r);
    uint64_t n = packet_get_lenenc(&r);
    size_t at = packet_size(packets);
    for (uint64_t i = 0; i < n + 1; i++) {
        at += packet_size((struct span){packets.p + at, packets.n - at});
    }
    assert(!r.is_bad && at <= packets.n);
    return at;
}

bool prepared_open_cursor(struct prepared_set *set, struct prepared *st, struct buf *packets,
                          struct err *err)
{
    size_t at = definitions_end(buf_span(packets));
    size_t n = packets->len - at;
    if (n > PREPARED_ROWS_MAX - set->n_rows) {
        return err_say(err,
                       "The cursors of this connection hold more than %d MB of jobs() rows "
                       "together; close some",
                       PREPARED_ROWS_MAX >> 20);
    }
    drop_rows(set, st);
    buf_append(&st->rows, packets->data + at, n);
    assert(buf_ok(&st->rows));
    packets->len = at;
    set->n_rows += n;
    st->has_cursor = true;
    return true;
}

/* One row, of as many packets as it has. */
static void move_row(struct prepared *st, struct result *r)
{
    bool is_continued = true;
    while (is_continued) {
        const char *p = st->rows.data + st->rows_at;
        size_t n = packet_size((struct span){p, st->rows.len - st->rows_at});
        is_continued = packet_length(p) == PACKET_MAX_PAYLOAD;
        buf_append(r->out, p, n);
        if (buf_ok(r->out)) {
            r->out->data[r->out->len - n + 3] = (char)r->sequence++;
        }
        st->rows_at += n;
    }
}

bool prepared_fetch(struct prepared_set *set, struct prepared *st, uint32_t n,
                    uint64_t capabilities, struct buf *out, struct err *err)
{
    struct result_form form = {.capabilities = capabilities, .sequence = 1};
    struct result r;
    if (!st->has_cursor) {
        return err_set(err, ERR_STMT_HAS_NO_OPEN_CURSOR, "HY000",
                       "The statement (%u) has no open cursor.", st->id);
    }
    result_begin(&r, out, &form);
    for (uint32_t i = 0; i < n && st->rows_at < st->rows.len; i++) {
        move_row(st, &r);
    }
    if (st->rows_at < st->rows.len) {
        result_eof(&r, STATUS_CURSOR_EXISTS);
    } else {
        result_eof(&r, STATUS_LAST_ROW_SENT);
        drop_rows(set, st);
    }
    return true;
}
