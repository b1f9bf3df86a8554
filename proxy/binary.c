#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parser/lex.h"
#include "parser/params.h"
#include "proxy/binary.h"

enum { ERR_WRONG_ARGUMENTS = 1210 };

enum kind {
    KIND_UNKNOWN,
    KIND_NULL,
    KIND_INT,
    KIND_FLOAT,
    KIND_DOUBLE,
    KIND_NUMBER, /* a decimal number as text */
    KIND_TEXT,
    KIND_DATE, /* with a time of day or without */
    KIND_TIME,
};

/* By the type's low byte; `size` of the integers. */
static const struct shape {
    uint8_t kind;
    uint8_t size;
} shapes[256] = {
    [0x00] = {KIND_NUMBER, 0}, /* DECIMAL */
    [0x01] = {KIND_INT, 1},    [0x02] = {KIND_INT, 2},           [0x03] = {KIND_INT, 4},
    [0x04] = {KIND_FLOAT, 0},  [0x05] = {KIND_DOUBLE, 0},        [0x06] = {KIND_NULL, 0},
    [0x07] = {KIND_DATE, 0},                            /* TIMESTAMP */
    [0x08] = {KIND_INT, 8},    [0x09] = {KIND_INT, 4},  /* INT24 */
    [0x0a] = {KIND_DATE, 0},                            /* DATE */
    [0x0b] = {KIND_TIME, 0},   [0x0c] = {KIND_DATE, 0}, /* DATETIME */
    [0x0d] = {KIND_INT, 2},                             /* YEAR */
    [0x0e] = {KIND_DATE, 0},                            /* NEWDATE */
    [0x0f] = {KIND_TEXT, 0},                            /* VARCHAR */
    [0x10] = {KIND_TEXT, 0},                            /* BIT */
    [0xf4] = {KIND_INT, 1},                             /* BOOL */
    [0xf5] = {KIND_TEXT, 0},                            /* JSON */
    [0xf6] = {KIND_NUMBER, 0}, [0xf7 ... 0xff] = {KIND_TEXT, 0}, /* ENUM, SET, BLOBs, VAR_STRING, STRING, GEOMETRY */
};

static uint64_t get_uint(struct packet_reader *r, unsigned n)
{
    struct span s = packet_get_bytes(r, n);
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        value |= (uint64_t)(uint8_t)s.p[i] << (8 * i);
    }
    return value;
}

static void put_int(struct packet_reader *r, uint16_t type, unsigned size, struct buf *out)
{
    uint64_t value = get_uint(r, size);
    unsigned unused = 64 - 8 * size;
    if ((type & BINARY_UNSIGNED) != 0) {
        buf_printf(out, "%" PRIu64, value);
    } else {
        buf_printf(out, "%" PRId64, (int64_t)(value << unused) >> unused);
    }
}

/* The shortest text that reads back as this value. */
static void put_shortest(double value, bool is_float, struct buf *out)
{
    char text[40]; /* a sign, 17 digits, a point, an exponent of 5 */
    for (int digits = is_float ? 6 : 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, value);
        double back = strtod(text, NULL);
        if (is_float ? (float)back == (float)value : back == value) {
            break;
        }
    }
    buf_append_text(out, text);
}

/*
 * A whole number is written as one: clients whose language has one kind of number send every number
 * as a double, and mean an id or a LIMIT.
 */
static bool put_double(double value, bool is_float, struct buf *out)
{
    if (!isfinite(value)) {
        return false;
    }
    if (fabs(value) < 9007199254740992.0 && value == floor(value)) {
        buf_printf(out, "%" PRId64, (int64_t)value);
    } else {
        put_shortest(value, is_float, out);
    }
    return true;
}

static bool put_float(struct packet_reader *r, enum kind kind, struct buf *out)
{
    uint64_t bits = get_uint(r, kind == KIND_FLOAT ? 4 : 8);
    uint32_t short_bits = (uint32_t)bits;
    float value = 0;
    double wide = 0;
    if (kind == KIND_FLOAT) {
        memcpy(&value, &short_bits, sizeof(value));
        return put_double((double)value, true, out);
    }
    memcpy(&wide, &bits, sizeof(wide));
    return put_double(wide, false, out);
}

/* 0, 4, 7 or 11 bytes: year 2, month, day, hour, minute, second, microseconds 4 */
static void put_date(struct packet_reader *r, uint16_t type, struct buf *out)
{
    struct packet_reader v = packet_reader_of(packet_get_bytes(r, packet_get_u8(r)));
    size_t n = packet_left(&v);
    bool is_date = (type & 0xff) == 0x0a || (type & 0xff) == 0x0e;
    unsigned year = n > 0 ? packet_get_u16(&v) : 0;
    unsigned month = n > 0 ? packet_get_u8(&v) : 0;
    unsigned day = n > 0 ? packet_get_u8(&v) : 0;
    buf_printf(out, "'%04u-%02u-%02u", year, month, day);
    if (n > 4 || !is_date) {
        unsigned hour = n > 4 ? packet_get_u8(&v) : 0;
        unsigned minute = n > 4 ? packet_get_u8(&v) : 0;
        unsigned second = n > 4 ? packet_get_u8(&v) : 0;
        buf_printf(out, " %02u:%02u:%02u", hour, minute, second);
    }
    if (n > 7) {
        buf_printf(out, ".%06u", packet_get_u32(&v));
    }
    buf_append_char(out, '\'');
    r->is_bad = r->is_bad || v.is_bad || packet_left(&v) > 0;
}

/* 0, 8 or 12 bytes: is negative 1, days 4, hour, minute, second, microseconds 4 */
static void put_time(struct packet_reader *r, struct buf *out)
{
    struct packet_reader v = packet_reader_of(packet_get_bytes(r, packet_get_u8(r)));
    size_t n = packet_left(&v);
    bool is_negative = n > 0 && packet_get_u8(&v) != 0;
    uint64_t hours = n > 0 ? (uint64_t)packet_get_u32(&v) * 24 : 0;
    hours += n > 0 ? packet_get_u8(&v) : 0;
    unsigned minute = n > 0 ? packet_get_u8(&v) : 0;
    unsigned second = n > 0 ? packet_get_u8(&v) : 0;
    buf_printf(out, "'%s%02" PRIu64 ":%02u:%02u", is_negative ? "-" : "", hours, minute, second);
    if (n > 8) {
        buf_printf(out, ".%06u", packet_get_u32(&v));
    }
    buf_append_char(out, '\'');
    r->is_bad = r->is_bad || v.is_bad || packet_left(&v) > 0;
}

static bool is_number(struct span s)
{
    if (s.n > 0 && *s.p == '-') {
        s = (struct span){s.p + 1, s.n - 1};
    }
    struct lex lex = lex_of(s);
    struct tok t = lex_next(&lex);
    return (t.kind == TOK_INT || t.kind == TOK_NUMBER) && t.text.n == s.n;
}

/* False when the packet has no text there. */
static void put_text(struct packet_reader *r, enum kind kind, struct buf *out)
{
    struct span text = packet_get_text(r);
    if (text.p == NULL || r->is_bad) {
        r->is_bad = true; /* NULL belongs into the bitmap */
    } else if (kind == KIND_NUMBER && is_number(text)) {
        buf_append_span(out, text);
    } else {
        params_quote(text, out);
    }
}

void binary_long_literal(struct span value, struct buf *out)
{
    params_quote(value, out);
}

bool binary_is_null(struct span bitmap, size_t i)
{
    return ((uint8_t)bitmap.p[i / 8] >> (i % 8) & 1) != 0;
}

bool binary_literal(struct packet_reader *r, uint16_t type, struct buf *out, struct err *err)
{
    const struct shape *shape = &shapes[type & 0xff];
    bool is_finite = true;
    switch ((enum kind)shape->kind) {
    case KIND_UNKNOWN:
        return err_set(err, ERR_WRONG_ARGUMENTS, "HY000",
                       "Incorrect arguments to mysqld_stmt_execute: parameter type 0x%02x is "
                       "unknown to Sluice",
                       type & 0xffU);
    case KIND_NULL: buf_append_text(out, "NULL"); break;
    case KIND_INT: put_int(r, type, shape->size, out); break;
    case KIND_FLOAT:
    case KIND_DOUBLE: is_finite = put_float(r, (enum kind)shape->kind, out); break;
    case KIND_NUMBER:
    case KIND_TEXT: put_text(r, (enum kind)shape->kind, out); break;
    case KIND_DATE: put_date(r, type, out); break;
    case KIND_TIME: put_time(r, out); break;
    }
    if (!is_finite) {
        return err_set(err, ERR_WRONG_ARGUMENTS, "HY000",
                       "Incorrect arguments to mysqld_stmt_execute: a parameter is not a finite "
                       "number");
    }
    return !r->is_bad || err_set(err, ERR_WRONG_ARGUMENTS, "HY000",
                                 "Incorrect arguments to mysqld_stmt_execute: the packet ends "
                                 "within its parameters");
}

static void skip_value(struct packet_reader *r, uint16_t type)
{
    const struct shape *shape = &shapes[type & 0xff];
    switch ((enum kind)shape->kind) {
    case KIND_UNKNOWN: r->is_bad = true; break;
    case KIND_NULL: break;
    case KIND_INT: (void)packet_get_bytes(r, shape->size); break;
    case KIND_FLOAT: (void)packet_get_bytes(r, 4); break;
    case KIND_DOUBLE: (void)packet_get_bytes(r, 8); break;
    case KIND_NUMBER:
    case KIND_TEXT: (void)packet_get_text(r); break;
    case KIND_DATE:
    case KIND_TIME: (void)packet_get_bytes(r, packet_get_u8(r)); break;
    }
}

void binary_skip_attributes(struct packet_reader *r, uint64_t n)
{
    if (n > packet_left(r)) { /* each has three bytes, and more */
        r->is_bad = true;
        return;
    }
    struct span nulls = packet_get_bytes(r, (size_t)(n + 7) / 8);
    r->is_bad = packet_get_u8(r) != 1 || r->is_bad; /* types are always sent */
    struct packet_reader types = *r;
    for (uint64_t i = 0; i < n && !r->is_bad; i++) {
        (void)packet_get_u16(r);
        (void)packet_get_text(r);
    }
    for (uint64_t i = 0; i < n && !r->is_bad; i++) {
        uint16_t type = packet_get_u16(&types);
        (void)packet_get_text(&types);
        if (!binary_is_null(nulls, (size_t)i)) {
            skip_value(r, type);
        }
    }
}
