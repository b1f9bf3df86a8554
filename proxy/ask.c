#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/ask.h"
#include "proxy/packet.h"
#include "proxy/track.h"

#define CELL_NULL SIZE_MAX

struct ask {
    struct track *track; /* borrowed */
    struct answer answer;
    struct buf packet; /* payload so far, joined if it was split */
    size_t left;       /* of the current packet's payload */
    size_t n_header;
    uint8_t header[PACKET_HEADER_SIZE];
    enum track_state began_in; /* what the tracker expected when the payload began */
    bool is_in_packet;         /* began_in is valid: header or payload incomplete */
    bool is_later_result;      /* only the first result counts; others are read and dropped */
    bool is_overfull;

    struct buf text; /* column names and cells, each with a NUL */
    size_t *offsets; /* into text: columns, then cells; owned */
    size_t n_offsets;
    size_t size_offsets;
    size_t n_columns;
    size_t n_names; /* columns whose definition has come */
};

struct ask *ask_create(struct track *t, size_t max_size)
{
    struct ask *a = xcalloc(1, sizeof(*a));
    a->track = t;
    a->packet = buf_with_max(max_size);
    a->text = buf_with_max(max_size);
    return a;
}

void ask_destroy(struct ask *a)
{
    if (a == NULL) {
        return;
    }
    buf_fini(&a->packet);
    buf_fini(&a->text);
    free(a->offsets);
    free(a->answer.columns);
    free(a->answer.types);
    free(a->answer.cells);
    free(a);
}

const struct answer *ask_answer(const struct ask *a)
{
    return &a->answer;
}

/* The first error stays. */
static void set_error(struct ask *a, const struct err *err)
{
    if (!a->answer.is_error) {
        a->answer.is_error = true;
        a->answer.err = *err;
    }
}

static void set_overfull(struct ask *a)
{
    struct err err = {0};
    (void)err_say(&err,
                  "the FE's answer to a question of Sluice's own is larger than %zu MB, which "
                  "Sluice does not hold; the statement was given up",
                  a->text.max >> 20);
    a->is_overfull = true;
    set_error(a, &err);
    buf_fini(&a->text);
}

static void set_malformed(struct ask *a, const char *what)
{
    struct err err = {0};
    (void)err_say(&err, "the FE's answer to a question of Sluice's own has a malformed %s", what);
    set_error(a, &err);
}

static void add_text(struct ask *a, struct span s)
{
    if (a->answer.is_error || a->is_later_result) {
        return;
    }
    size_t max = a->text.max;
    size_t taken = a->text.len + a->n_offsets * 2 * sizeof(size_t); /* a pointer comes later */
    if (taken > max || s.n > max - taken || max - taken - s.n < 1 + 2 * sizeof(size_t)) {
        set_overfull(a);
        return;
    }
    if (a->n_offsets == a->size_offsets) {
        a->size_offsets = a->size_offsets == 0 ? 64 : a->size_offsets * 2;
        a->offsets = xrealloc_array(a->offsets, a->size_offsets, sizeof(*a->offsets));
    }
    a->offsets[a->n_offsets++] = s.p == NULL ? CELL_NULL : a->text.len;
    if (s.p != NULL) {
        buf_append_span(&a->text, s);
        buf_append_char(&a->text, '\0');
    }
}

static enum result_type type_of(uint8_t wire)
{
    switch (wire) {
    case 0x01: /* TINY, SHORT, LONG, LONGLONG, INT24, YEAR */
    case 0x02:
    case 0x03:
    case 0x08:
    case 0x09:
    case 0x0d: return RESULT_INT;
    case 0x04: /* FLOAT, DOUBLE */
    case 0x05: return RESULT_DOUBLE;
    default: return RESULT_TEXT;
    }
}

/* catalog, schema, table, original table, name, ...: length-encoded texts */
static void on_column(struct ask *a, struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    struct span name = {.p = "", .n = 0};
    for (int i = 0; i < 5; i++) {
        name = packet_get_text(&r);
    }
    if (r.is_bad || name.p == NULL) {
        set_malformed(a, "column definition");
        return;
    }
    (void)packet_get_text(&r); /* the original name */
    (void)packet_get_lenenc(&r);
    (void)packet_get_bytes(&r, 2 + 4);                  /* character set, length */
    enum result_type type = type_of(packet_get_u8(&r)); /* of less, 0: a text */
    add_text(a, name);
    if (!a->is_later_result && a->n_names < a->n_columns) {
        a->answer.types[a->n_names] = type;
    }
    a->n_names += !a->is_later_result;
}

static void on_row(struct ask *a, struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    if (!a->is_later_result && a->n_names != a->n_columns) {
        set_malformed(a, "result set: rows without column definitions");
        return;
    }
    for (size_t i = 0; i < a->n_columns && !a->answer.is_error; i++) {
        struct span cell = packet_get_text(&r);
        if (r.is_bad) {
            set_malformed(a, "row");
            return;
        }
        add_text(a, cell);
    }
}

static void on_first(struct ask *a, struct span payload)
{
    struct packet_reader r = packet_reader_of(payload);
    if (payload.n == 0 || (uint8_t)payload.p[0] == PACKET_OK) {
        return;
    }
    uint64_t n = packet_get_lenenc(&r);
    if (r.is_bad || n > ASK_MAX_COLUMNS) {
        set_malformed(a, "column count");
        return;
    }
    if (!a->is_later_result) {
        a->n_columns = (size_t)n;
        free(a->answer.types);
        a->answer.types = xcalloc(a->n_columns + 1, sizeof(*a->answer.types));
    }
}

static bool is_err(const struct ask *a, struct err *ret)
{
    struct span payload = buf_span(&a->packet);
    if (payload.n == 0 || (uint8_t)payload.p[0] != PACKET_ERR) {
        return false;
    }
    packet_get_err(payload, ret);
    return true;
}

static void on_payload(struct ask *a)
{
    struct span payload = buf_span(&a->packet);
    struct err err = {0};
    enum track_state now = a->track->state;
    if (a->began_in == TRACK_FIRST && now == TRACK_FIRST && !a->track->is_started) {
        return; /* of an earlier command: Doris's ERR to COM_STMT_SEND_LONG_DATA, say */
    }
    if (is_err(a, &err)) {
        if (err.code != PACKET_PROGRESS_CODE) {
            set_error(a, &err);
        }
        return;
    }
    switch (a->began_in) {
    case TRACK_FIRST: on_first(a, payload); break;
    case TRACK_DEFINITIONS: on_column(a, payload); break;
    case TRACK_DEFINITIONS_END:
        if (payload.n > 0 && (uint8_t)payload.p[0] != PACKET_EOF) {
            on_row(a, payload); /* the EOF was left out */
        }
        break;
    case TRACK_ROWS:
        if (now == TRACK_ROWS) {
            on_row(a, payload);
        }
        break;
    case TRACK_IDLE:
    case TRACK_FIELDS:
    case TRACK_AUTH:
    case TRACK_STREAM: break;
    }
    if (now == TRACK_FIRST && a->began_in != TRACK_IDLE && a->track->is_started) {
        a->is_later_result = true;
    }
}

static char **take_texts(struct ask *a, size_t from, size_t n)
{
    char **texts = xcalloc(n > 0 ? n : 1, sizeof(*texts));
    for (size_t i = 0; i < n; i++) {
        size_t at = a->offsets[from + i];
        texts[i] = at == CELL_NULL ? NULL : a->text.data + at;
    }
    return texts;
}

static void finish(struct ask *a)
{
    struct answer *answer = &a->answer;
    size_t n_cells = a->n_offsets > a->n_columns ? a->n_offsets - a->n_columns : 0;
    bool is_whole = a->n_names == a->n_columns && a->n_offsets >= a->n_columns &&
                    (a->n_columns == 0 ? n_cells == 0 : n_cells % a->n_columns == 0);
    if (!answer->is_error && !is_whole) {
        set_malformed(a, "result set");
    }
    if (answer->is_error) {
        return;
    }
    answer->n_columns = a->n_columns;
    answer->n_rows = a->n_columns > 0 ? n_cells / a->n_columns : 0;
    answer->columns = take_texts(a, 0, a->n_columns);
    answer->cells = take_texts(a, a->n_columns, n_cells);
}

/* Takes what belongs to the current header or payload; 0 < result <= n. */
static size_t take_bytes(struct ask *a, const char *p, size_t n)
{
    if (a->n_header < PACKET_HEADER_SIZE) {
        if (!a->is_in_packet) {
            a->is_in_packet = true;
            a->began_in = a->track->state;
        }
        a->header[a->n_header++] = (uint8_t)*p;
        a->left = a->n_header == PACKET_HEADER_SIZE ? packet_length(a->header) : 0;
        return 1;
    }
    size_t body = a->left < n ? a->left : n;
    buf_append(&a->packet, p, body); /* too large: packet.is_failed */
    a->left -= body;
    return body;
}

static void packet_done(struct ask *a)
{
    bool is_continued = packet_length(a->header) == PACKET_MAX_PAYLOAD;
    a->n_header = 0;
    if (is_continued) {
        return;
    }
    if (!buf_ok(&a->packet)) {
        set_overfull(a);
    } else {
        on_payload(a);
    }
    buf_reset(&a->packet);
    a->is_in_packet = false;
}

enum ask_step ask_feed(struct ask *a, const char *p, size_t n, size_t *ret_used)
{
    size_t used = 0;
    /* The tracker knows the end from a packet's first bytes: the rest belongs to the answer, too. */
    while (used < n && (a->is_in_packet || !track_is_idle(a->track))) {
        size_t taken = take_bytes(a, p + used, n - used);
        track_server(a->track, p + used, taken);
        used += taken;
        if (a->n_header == PACKET_HEADER_SIZE && a->left == 0) {
            packet_done(a);
        }
        if (a->track->is_infile) {
            *ret_used = used;
            return ASK_BROKEN;
        }
    }
    *ret_used = used;
    if (a->is_in_packet || !track_is_idle(a->track)) {
        return ASK_MORE;
    }
    finish(a);
    return ASK_DONE;
}
