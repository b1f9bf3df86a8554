#include <assert.h>

#include "base/secret.h"
#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "proxy/result.h"

enum {
    TYPE_DOUBLE = 0x05,
    TYPE_LONGLONG = 0x08,
    TYPE_STRING = 0xfe, /* as Doris has it for VARCHAR */
    CHARSET_UTF8 = 45,  /* utf8mb4_general_ci: Doris says 33, with which some clients lose emoji */
    CHARSET_BINARY = 63,
    FLAG_BINARY = 0x80,
    DECIMALS_FLOATING = 31, /* a double without a fixed number of digits */
};

/* The fixed part of a column definition, by result_type. */
static const struct {
    uint8_t type;
    uint8_t decimals;
    uint16_t charset;
    uint16_t flags;
    uint32_t width;
} shapes[] = {
    [RESULT_TEXT] = {TYPE_STRING, 0, CHARSET_UTF8, 0, 65535 * 4},
    [RESULT_INT] = {TYPE_LONGLONG, 0, CHARSET_BINARY, FLAG_BINARY, 20},
    [RESULT_DOUBLE] = {TYPE_DOUBLE, DECIMALS_FLOATING, CHARSET_BINARY, FLAG_BINARY, 22},
};

void result_begin(struct result *r, struct buf *out, const struct result_form *form)
{
    *r = (struct result){.out = out, .form = *form, .sequence = form->sequence};
}

static bool has_eof(const struct result *r)
{
    return (r->form.capabilities & CAP_DEPRECATE_EOF) == 0;
}

static void put_eof(struct result *r, uint16_t status)
{
    size_t at = packet_begin(r->out, r->sequence);
    packet_put_u8(r->out, PACKET_EOF);
    packet_put_u16(r->out, 0); /* warnings */
    packet_put_u16(r->out, status);
    r->sequence = packet_end(r->out, at);
}

/* `info` is written as Doris does: a length-encoded text, and only when there is one. */
static uint8_t put_ok(struct buf *out, const struct result *r, uint8_t mark, uint16_t status,
                      uint64_t affected, const char *info)
{
    size_t at = packet_begin(out, r->sequence);
    packet_put_u8(out, mark);
    packet_put_lenenc(out, affected);
    packet_put_lenenc(out, 0); /* last insert id */
    packet_put_u16(out, status);
    packet_put_u16(out, 0); /* warnings */
    if (info != NULL && *info != '\0') {
        packet_put_text(out, span_of(info));
    }
    return packet_end(out, at);
}

void result_eof(struct result *r, uint16_t status)
{
    if (has_eof(r)) {
        put_eof(r, status);
    } else {
        r->sequence = put_ok(r->out, r, PACKET_EOF, status, 0, NULL);
    }
}

static void put_column(struct result *r, const struct result_column *column)
{
    size_t at = packet_begin(r->out, r->sequence);
    packet_put_text(r->out, SPAN_LIT("def"));
    packet_put_text(r->out, SPAN_LIT("")); /* schema */
    packet_put_text(r->out, SPAN_LIT("")); /* table */
    packet_put_text(r->out, SPAN_LIT("")); /* original table */
    packet_put_text(r->out, span_of(column->name));
    packet_put_text(r->out, span_of(column->name)); /* original name */
    if ((r->form.capabilities & CAP_MARIA_EXTENDED_META) != 0) {
        packet_put_text(r->out, SPAN_LIT(""));
    }
    packet_put_lenenc(r->out, 12); /* bytes to follow */
    packet_put_u16(r->out, shapes[column->type].charset);
    packet_put_u32(r->out, shapes[column->type].width);
    packet_put_u8(r->out, shapes[column->type].type);
    packet_put_u16(r->out, shapes[column->type].flags);
    packet_put_u8(r->out, shapes[column->type].decimals);
    packet_put_u16(r->out, 0);
    r->sequence = packet_end(r->out, at);
}

static void put_columns(struct result *r, const struct result_column *columns, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        put_column(r, &columns[i]);
    }
}

void result_columns(struct result *r, const struct result_column *columns, size_t n)
{
    size_t at = packet_begin(r->out, r->sequence);
    packet_put_lenenc(r->out, n);
    if ((r->form.capabilities & (CAP_MARIA_CACHE_META | CAP_OPTIONAL_METADATA)) != 0) {
        packet_put_u8(r->out, 1); /* the definitions follow */
    }
    r->sequence = packet_end(r->out, at);
    put_columns(r, columns, n);
    if (r->form.format == RESULT_FORMAT_CURSOR) {
        result_eof(r, r->form.status | STATUS_CURSOR_EXISTS);
    } else if (has_eof(r)) {
        put_eof(r, r->form.status);
    }
}

static void put_text_row(struct result *r, const struct result_cell *cells, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (cells[i].text.p == NULL) {
            packet_put_u8(r->out, PACKET_INFILE); /* the same byte marks NULL in a row */
        } else {
            packet_put_text(r->out, cells[i].text);
        }
    }
}

static void put_u64(struct buf *out, uint64_t value)
{
    packet_put_u32(out, (uint32_t)value);
    packet_put_u32(out, (uint32_t)(value >> 32));
}

static void put_value(struct buf *out, const struct result_cell *cell)
{
    uint64_t bits = 0;
    static_assert(sizeof(bits) == sizeof(cell->number), "the wire's double is ours");
    switch (cell->type) {
    case RESULT_TEXT: packet_put_text(out, cell->text); return;
    case RESULT_INT: put_u64(out, (uint64_t)cell->integer); return;
    case RESULT_DOUBLE:
        memcpy(&bits, &cell->number, sizeof(bits));
        put_u64(out, bits);
        return;
    }
}

/* 0 | a bit for each NULL, the first at bit 2 | the other values */
static void put_binary_row(struct result *r, const struct result_cell *cells, size_t n)
{
    packet_put_u8(r->out, PACKET_OK);
    for (size_t first = 0; first < n + 2; first += 8) {
        unsigned bits = 0;
        for (size_t i = first < 2 ? 2 : first; i < first + 8 && i < n + 2; i++) {
            bits |= cells[i - 2].text.p == NULL ? 1U << (i - first) : 0;
        }
        packet_put_u8(r->out, (uint8_t)bits);
    }
    for (size_t i = 0; i < n; i++) {
        if (cells[i].text.p != NULL) {
            put_value(r->out, &cells[i]);
        }
    }
}

void result_row(struct result *r, const struct result_cell *cells, size_t n)
{
    size_t at = packet_begin(r->out, r->sequence);
    if (r->form.format == RESULT_FORMAT_TEXT) {
        put_text_row(r, cells, n);
    } else {
        put_binary_row(r, cells, n);
    }
    r->sequence = packet_end(r->out, at);
}

void result_end(struct result *r)
{
    if (r->form.format != RESULT_FORMAT_CURSOR) {
        result_eof(r, r->form.status);
    }
}

void result_ok(struct buf *out, const struct result_form *form, uint64_t affected, const char *info)
{
    struct result r;
    result_begin(&r, out, form);
    (void)put_ok(out, &r, PACKET_OK, form->status, affected, info); /* nothing follows */
}

void result_err(struct buf *out, uint8_t sequence, const struct err *err)
{
    struct err shown = {0};
    _cleanup_free_ char *masked = secret_mask(span_of(err->msg));
    (void)err_set(&shown, err->code, err->sqlstate, "%s", masked);
    packet_put_err(out, sequence, &shown, PACKET_ERR_FULL);
}

/* 0 | statement 4 | columns 2 | parameters 2 | 0 | warnings 2 | [the definitions follow 1] */
void result_prepared(struct buf *out, const struct result_form *form, uint32_t statement,
                     size_t n_params, const struct result_column *columns, size_t n_columns)
{
    static const struct result_column param = {"?", RESULT_TEXT};
    struct result r;
    assert(n_params <= UINT16_MAX && n_columns <= UINT16_MAX);
    result_begin(&r, out, form);
    size_t at = packet_begin(out, r.sequence);
    packet_put_u8(out, PACKET_OK);
    packet_put_u32(out, statement);
    packet_put_u16(out, (uint16_t)n_columns);
    packet_put_u16(out, (uint16_t)n_params);
    packet_put_u8(out, 0);
    packet_put_u16(out, 0);
    if ((form->capabilities & CAP_OPTIONAL_METADATA) != 0) {
        packet_put_u8(out, 1);
    }
    r.sequence = packet_end(out, at);
    for (size_t i = 0; i < n_params; i++) {
        put_column(&r, &param);
    }
    if (n_params > 0 && has_eof(&r)) {
        put_eof(&r, form->status);
    }
    put_columns(&r, columns, n_columns);
    if (n_columns > 0 && has_eof(&r)) {
        put_eof(&r, form->status);
    }
}
