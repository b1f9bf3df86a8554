#include "proxy/packet.h"
#include "proxy/result.h"

enum {
    TYPE_DOUBLE = 0x05,
    TYPE_LONGLONG = 0x08,
    TYPE_VAR_STRING = 0xfd,
    CHARSET_UTF8 = 33, /* utf8_general_ci, what Doris's greeting and columns have */
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
    [RESULT_TEXT] = {TYPE_VAR_STRING, 0, CHARSET_UTF8, 0, 65535 * 3},
    [RESULT_INT] = {TYPE_LONGLONG, 0, CHARSET_BINARY, FLAG_BINARY, 20},
    [RESULT_DOUBLE] = {TYPE_DOUBLE, DECIMALS_FLOATING, CHARSET_BINARY, FLAG_BINARY, 22},
};

void result_begin(struct result *r, struct buf *out, uint64_t capabilities)
{
    *r = (struct result){.out = out, .capabilities = capabilities, .sequence = 1};
}

static void put_eof(struct result *r)
{
    size_t at = packet_begin(r->out, r->sequence);
    packet_put_u8(r->out, PACKET_EOF);
    packet_put_u16(r->out, 0); /* warnings */
    packet_put_u16(r->out, STATUS_NONE);
    r->sequence = packet_end(r->out, at);
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
    if ((r->capabilities & CAP_MARIA_EXTENDED_META) != 0) {
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

void result_columns(struct result *r, const struct result_column *columns, size_t n)
{
    size_t at = packet_begin(r->out, r->sequence);
    packet_put_lenenc(r->out, n);
    if ((r->capabilities & (CAP_MARIA_CACHE_META | CAP_OPTIONAL_METADATA)) != 0) {
        packet_put_u8(r->out, 1); /* the definitions follow */
    }
    r->sequence = packet_end(r->out, at);
    for (size_t i = 0; i < n; i++) {
        put_column(r, &columns[i]);
    }
    if ((r->capabilities & CAP_DEPRECATE_EOF) == 0) {
        put_eof(r);
    }
}

void result_row(struct result *r, const struct span *cells, size_t n)
{
    size_t at = packet_begin(r->out, r->sequence);
    for (size_t i = 0; i < n; i++) {
        if (cells[i].p == NULL) {
            packet_put_u8(r->out, PACKET_INFILE); /* the same byte marks NULL in a row */
        } else {
            packet_put_text(r->out, cells[i]);
        }
    }
    r->sequence = packet_end(r->out, at);
}

/* `info` is written as Doris does: a length-encoded text, and only when there is one. */
static uint8_t put_ok(struct buf *out, uint8_t sequence, uint8_t mark, uint64_t affected,
                      const char *info)
{
    size_t at = packet_begin(out, sequence);
    packet_put_u8(out, mark);
    packet_put_lenenc(out, affected);
    packet_put_lenenc(out, 0); /* last insert id */
    packet_put_u16(out, STATUS_NONE);
    packet_put_u16(out, 0); /* warnings */
    if (info != NULL && *info != '\0') {
        packet_put_text(out, span_of(info));
    }
    return packet_end(out, at);
}

void result_end(struct result *r)
{
    if ((r->capabilities & CAP_DEPRECATE_EOF) == 0) {
        put_eof(r);
    } else {
        r->sequence = put_ok(r->out, r->sequence, PACKET_EOF, 0, NULL);
    }
}

void result_ok(struct buf *out, uint8_t sequence, uint64_t affected, const char *info)
{
    (void)put_ok(out, sequence, PACKET_OK, affected, info); /* one packet: nothing follows */
}

void result_err(struct buf *out, uint8_t sequence, const struct err *err)
{
    packet_put_err(out, sequence, err, PACKET_ERR_FULL);
}
