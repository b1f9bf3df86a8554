#include <assert.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "tests/fuzz/session_rig.h"

enum { FE_OUT_MAX = 8 << 20 };

#define STATUS_AUTOCOMMIT 0x0002

static void put_packet(struct buf *out, uint8_t *sequence, const void *payload, size_t n)
{
    size_t at = packet_begin(out, *sequence);
    buf_append(out, payload, n);
    *sequence = packet_end(out, at);
}

/* A literal as a packet. */
#define PUT(f, text) put_packet(&(f)->out, &(f)->next_sequence, text, sizeof(text) - 1)

#define DEFINITION "\3def\0\0\0\1a\1a\x0c\x3f\0\1\0\0\0\3\0\0\0\0\0"

static bool is_deprecated(const struct fe *f)
{
    return (f->agreed & CAP_DEPRECATE_EOF) != 0;
}

static void put_eof(struct fe *f, uint8_t status)
{
    const char classic[] = {'\xfe', 0, 0, (char)status, 0};
    const char modern[] = {'\xfe', 0, 0, (char)status, 0, 0, 0};
    if (is_deprecated(f) && (f->offered & CAP_DEPRECATE_EOF) != 0) {
        put_packet(&f->out, &f->next_sequence, modern, sizeof(modern));
    } else {
        put_packet(&f->out, &f->next_sequence, classic, sizeof(classic));
    }
}

static void put_ok(struct fe *f, uint8_t status)
{
    const char ok[] = {0, 0, 0, (char)status, 0, 0, 0};
    put_packet(&f->out, &f->next_sequence, ok, sizeof(ok));
}

static void put_error(struct fe *f)
{
    PUT(f, "\xff\x28\x04#42000no");
}

static uint8_t choose(struct fe *f)
{
    return f->choices[f->n_chosen++ % sizeof(f->choices)];
}

static void put_definitions(struct fe *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        PUT(f, DEFINITION);
    }
    if (n > 0 && !is_deprecated(f)) {
        put_eof(f, STATUS_AUTOCOMMIT);
    }
}

/* `choice`: 2 bits columns - 1, 2 bits rows, more results. */
static void put_result_set(struct fe *f, uint8_t choice, uint8_t status)
{
    unsigned n_columns = (choice & 3U) + 1;
    const char head[] = {(char)n_columns, 1};
    bool has_flag = (f->agreed & (CAP_MARIA_CACHE_META | CAP_OPTIONAL_METADATA)) != 0;
    put_packet(&f->out, &f->next_sequence, head, has_flag ? 2 : 1);
    put_definitions(f, n_columns);
    for (unsigned i = 0; i < (choice >> 2U & 3U); i++) {
        char row[8] = {0};
        for (unsigned column = 0; column < n_columns; column++) {
            row[2 * column] = 1;
            row[2 * column + 1] = 'v';
        }
        put_packet(&f->out, &f->next_sequence, row, 2 * (size_t)n_columns);
    }
    put_eof(f, status);
}

static void reply_query(struct fe *f)
{
    uint8_t choice = choose(f);
    switch (choice >> 5U) {
    case 0: put_ok(f, STATUS_AUTOCOMMIT); break;
    case 1: put_error(f); break;
    case 2:
        PUT(f, "\xfb/etc/hostname");
        f->state = FE_FILE;
        break;
    case 3:
        put_result_set(f, choice, STATUS_AUTOCOMMIT | STATUS_MORE_RESULTS);
        put_ok(f, STATUS_AUTOCOMMIT);
        break;
    case 4:
        put_ok(f, STATUS_AUTOCOMMIT | STATUS_MORE_RESULTS);
        put_result_set(f, choice, STATUS_AUTOCOMMIT);
        break;
    case 5:
        PUT(f, "\xff\xff\xff\1\1\1"); /* MariaDB's progress report */
        put_ok(f, STATUS_AUTOCOMMIT);
        break;
    default: put_result_set(f, choice, STATUS_AUTOCOMMIT); break;
    }
}

static void reply_prepare(struct fe *f)
{
    uint8_t choice = choose(f);
    if ((choice & 0x80) != 0) {
        put_error(f);
        return;
    }
    const char ok[] = {0, 1, 0, 0, 0, (char)(choice & 3), 0, (char)(choice >> 2 & 3),
                       0, 0, 0, 0, 1};
    bool has_flag = (f->agreed & CAP_OPTIONAL_METADATA) != 0;
    put_packet(&f->out, &f->next_sequence, ok, sizeof(ok) - !has_flag);
    put_definitions(f, choice >> 2 & 3);
    put_definitions(f, choice & 3);
}

static void reply_execute(struct fe *f)
{
    uint8_t choice = choose(f);
    if ((choice & 0xc0) == 0xc0 && !is_deprecated(f)) { /* a cursor: no rows */
        PUT(f, "\1");
        PUT(f, DEFINITION);
        put_eof(f, STATUS_AUTOCOMMIT | STATUS_CURSOR_EXISTS);
    } else {
        f->n_chosen--;
        reply_query(f);
    }
}

static void reply_fields(struct fe *f)
{
    for (unsigned i = 0; i < (choose(f) & 3U); i++) {
        PUT(f, DEFINITION);
    }
    put_eof(f, STATUS_AUTOCOMMIT);
}

static void reply_login(struct fe *f)
{
    switch (choose(f) & 7) {
    case 6: put_error(f); break;
    case 7:
        PUT(f, "\xfemysql_native_password\0abcdefghijklmnopqrst");
        f->state = FE_AUTH;
        return;
    default: put_ok(f, STATUS_AUTOCOMMIT); break;
    }
    f->state = FE_COMMAND;
}

static void reply_command(struct fe *f, uint8_t command)
{
    switch (command) {
    case COM_STMT_CLOSE:
    case COM_STMT_SEND_LONG_DATA: break;
    case COM_QUIT: put_ok(f, 0); break; /* Doris answers it */
    case COM_STATISTICS: PUT(f, "Uptime: 1"); break;
    case COM_STMT_PREPARE: reply_prepare(f); break;
    case COM_STMT_EXECUTE: reply_execute(f); break;
    case COM_STMT_FETCH:
        PUT(f, "\0\0\1\0");
        put_eof(f, STATUS_AUTOCOMMIT);
        break;
    case COM_FIELD_LIST: reply_fields(f); break;
    case COM_CHANGE_USER: reply_login(f); break;
    case COM_SET_OPTION: put_eof(f, STATUS_AUTOCOMMIT); break;
    case COM_QUERY:
    case COM_PROCESS_INFO:
    case COM_STMT_BULK_EXECUTE: reply_query(f); break;
    case COM_BINLOG_DUMP:
        PUT(f, "\0event");
        f->state = FE_STREAM;
        break;
    default: (choose(f) & 1) != 0 ? put_error(f) : put_ok(f, STATUS_AUTOCOMMIT); break;
    }
}

static void on_packet(struct fe *f, struct span payload, uint8_t sequence)
{
    bool is_continuation = f->is_continued;
    f->is_continued = payload.n == PACKET_MAX_PAYLOAD;
    f->next_sequence = (uint8_t)(sequence + 1);
    if (is_continuation) {
        return;
    }
    switch (f->state) {
    case FE_LOGIN:
        if (payload.n >= 4) {
            struct packet_reader r = packet_reader_of(payload);
            f->agreed = f->offered & (packet_get_u32(&r) | ~(uint64_t)UINT32_MAX);
        }
        reply_login(f);
        break;
    case FE_AUTH:
        put_ok(f, STATUS_AUTOCOMMIT);
        f->state = FE_COMMAND;
        break;
    case FE_COMMAND: reply_command(f, payload.n > 0 ? (uint8_t)payload.p[0] : COM_SLEEP); break;
    case FE_FILE:
        if (payload.n == 0) {
            put_ok(f, STATUS_AUTOCOMMIT);
            f->state = FE_COMMAND;
        }
        break;
    case FE_STREAM:
        put_eof(f, STATUS_AUTOCOMMIT);
        f->state = FE_COMMAND;
        break;
    }
}

void fe_read(struct fe *f, struct span received)
{
    while (received.n - f->seen >= PACKET_HEADER_SIZE) {
        const char *p = received.p + f->seen;
        size_t length = packet_length(p);
        if (received.n - f->seen - PACKET_HEADER_SIZE < length) {
            return;
        }
        on_packet(f, (struct span){p + PACKET_HEADER_SIZE, length}, packet_sequence(p));
        f->seen += PACKET_HEADER_SIZE + length;
    }
}

void fe_start(struct fe *f, uint64_t offered, const uint8_t choices[4])
{
    struct buf out = f->out; /* its memory stays */
    out.max = FE_OUT_MAX;
    buf_reset(&out);
    *f = (struct fe){.offered = offered, .agreed = offered, .out = out};
    memcpy(f->choices, choices, sizeof(f->choices));
    size_t at = packet_begin(&f->out, 0);
    buf_append(&f->out,
               "\x0a"
               "5.7.99\0"
               "\x2a\0\0\0"
               "abcdefgh\0",
               8 + 4 + 9);
    packet_put_u16(&f->out, (uint16_t)offered);
    packet_put_u8(&f->out, 33);
    packet_put_u16(&f->out, STATUS_NONE);
    packet_put_u16(&f->out, (uint16_t)(offered >> 16));
    packet_put_u8(&f->out, 21);
    buf_append(&f->out, "\0\0\0\0\0\0", 6);
    packet_put_u32(&f->out, (uint32_t)(offered >> 32));
    buf_append(&f->out,
               "ijklmnopqrst\0"
               "mysql_native_password\0",
               13 + 22);
    f->next_sequence = packet_end(&f->out, at);
}

/* --- macros ------------------------------------------------------------------------------------- */

struct macro {
    uint8_t sequence;
    uint8_t n;
    const char *payload;
};

#define MACRO(sequence, payload)                                                                   \
    {                                                                                              \
        sequence, sizeof(payload) - 1, payload                                                     \
    }
#define QUERY(text) MACRO(0, "\x03" text)

/* In the order of their numbers: a corpus is written in them, so new ones go to the end. */
static const struct macro client_macros[] = {
    QUERY("SELECT 1"),
    QUERY("SHOW SLUICE JOB PING"),
    QUERY("SHOW SLUICE JOB ERROR"),
    QUERY("SHOW SLUICE JOB ASK SELECT 1"),
    QUERY("SHOW SLUICE JOB LATE"),
    QUERY("SHOW SLUICE JOB FORWARD"),
    QUERY("SHOW SLUICE JOB TWICE"),
    QUERY("SELECT 1; SHOW SLUICE JOB PING"),
    QUERY("SHOW SLUICE JOB PING; SELECT 1; SHOW SLUICE JOB LATE"),
    QUERY("SELECT 1; SELECT 2"),
    QUERY("KILL 5"),
    QUERY("KILL QUERY 5"),
    QUERY(""),
    MACRO(0, "\x16SELECT ?"),
    MACRO(0, "\x16SHOW SLUICE JOB PING"),
    MACRO(0, "\x17\1\0\0\0\0\1\0\0\0"),
    MACRO(0, "\x17\1\0\0\0\1\1\0\0\0"),
    MACRO(0, "\x17\xff\xff\xff\xff\0\1\0\0\0"),
    MACRO(0, "\x1c\1\0\0\0\2\0\0\0"),
    MACRO(0, "\x18\1\0\0\0\0\0long"),
    MACRO(0, "\x19\1\0\0\0"),
    MACRO(0, "\x19\0\0\0\xf0"),
    MACRO(0, "\x1a\1\0\0\0"),
    MACRO(0, "\x1b\0\0"),
    MACRO(0, "\xfa\1\0\0\0\0\0"),
    MACRO(0, "\x11other\0\0db\0\x21\0mysql_native_password\0"),
    MACRO(0, "\x11"),
    MACRO(0, "\x1f"),
    MACRO(0, "\x02"
             "db"),
    MACRO(0, "\x04t\0"),
    MACRO(0, "\x09"),
    MACRO(0, "\x0e"),
    MACRO(0, "\x0c\5\0\0\0"),
    MACRO(0, "\x12\4\0\0\0\0\0\1\0\0\0"),
    MACRO(0, "\x01"),
    MACRO(0, "\x77what"),
    MACRO(0, ""),
    MACRO(2, "a line of a file\n"),
    MACRO(3, ""),
    MACRO(3, "12345678901234567890"),
    MACRO(9, "\x03SELECT 9"),
    QUERY("SHOW SLUICE JOB ROWS"),
    QUERY("SELECT 8; SHOW SLUICE JOB ROWS; SELECT 8; SHOW SLUICE JOB FORWARD"),
    QUERY("SHOW SLUICE JOB TWICE; SHOW SLUICE JOB ERROR; SELECT 8"),
    MACRO(0, "\x16SHOW SLUICE JOB ROWS ?"),
    MACRO(0, "\x16SHOW SLUICE JOB FORWARD"),
    MACRO(0, "\x16SHOW SLUICE JOB ERROR"),
    MACRO(0, "\x17\0\0\0\xf0\0\1\0\0\0\0\1\xfd\0\1x"),
    MACRO(0, "\x17\0\0\0\xf0\1\1\0\0\0\0\1\xfd\0\1x"),
    MACRO(0, "\x17\1\0\0\xf0\0\1\0\0\0"),
    MACRO(0, "\x1c\0\0\0\xf0\1\0\0\0"),
    MACRO(0, "\x18\0\0\0\xf0\0\0long"),
    MACRO(0, "\x1a\0\0\0\xf0"),
    MACRO(0, "\xfa\0\0\0\xf0\0\0"),
    MACRO(0, "\x1c\xff\xff\xff\xff\1\0\0\0"),
};

/* The server's, with the sequence id that is due; EOF and definitions are in both dialects. */
static const struct macro server_macros[] = {
    MACRO(0, "\0\0\0\2\0\0\0"),
    MACRO(0, "\0\0\0\x0a\0\0\0"),
    MACRO(0, "\xff\x28\x04#42000no"),
    MACRO(0, "\xff\x17\x04#HY000Unsupported command"),
    MACRO(0, "\xff\xff\xff\1\1\1"),
    MACRO(0, "\xfe\0\0\2\0"),
    MACRO(0, "\xfe\0\0\x0a\0"),
    MACRO(0, "\xfe\0\0\x42\0"),
    MACRO(0, "\xfe\0\0\2\0\0\0"),
    MACRO(0, "\xfe\0\0\x0a\0\0\0"),
    MACRO(0, "\1"),
    MACRO(0, "\1\0"),
    MACRO(0, "\2\1"),
    MACRO(0, "\xfc\xff\xff"),
    MACRO(0, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1"),
    MACRO(0, DEFINITION),
    MACRO(0, "\1v"),
    MACRO(0, "\xfb"),
    MACRO(0, "\xfb/etc/hostname"),
    MACRO(0, "\0\1\0\0\0\1\0\1\0\0\0\0\1"),
    MACRO(0, "\0\1\0\0\0\0\0\0\0\0\0\0"),
    MACRO(0, "\0\1\0\0\0\xff\xff\xff\xff\0\0\0"),
    MACRO(0, "\xfemysql_native_password\0abcdefghijklmnopqrst"),
    MACRO(0, "\xfemysql_clear_password\0"),
    MACRO(0, "\xfe"),
    MACRO(0, "\1\3"),
    MACRO(0, "\1\4"),
    MACRO(0, ""),
    MACRO(0, "\x0a"
             "5.7.99\0"),
};

void fe_put_macro(struct fe *f, struct buf *out, uint8_t number)
{
    const struct macro *m = &server_macros[number % ARRAY_SIZE(server_macros)];
    put_packet(out, &f->next_sequence, m->payload, m->n);
}

enum { MACRO_RESPONSE = 0xff, MACRO_TLS_REQUEST = 0xfe };

void client_put_macro(struct buf *out, uint8_t number, uint64_t capabilities)
{
    if (number != MACRO_RESPONSE && number != MACRO_TLS_REQUEST) {
        const struct macro *m = &client_macros[number % ARRAY_SIZE(client_macros)];
        uint8_t sequence = m->sequence;
        put_packet(out, &sequence, m->payload, m->n);
        return;
    }
    size_t at = packet_begin(out, 1);
    bool is_tls = number == MACRO_TLS_REQUEST;
    packet_put_u32(out, (uint32_t)capabilities | (is_tls ? (uint32_t)CAP_SSL : 0));
    packet_put_u32(out, 1U << 24);
    packet_put_u8(out, 33);
    for (int i = 0; i < 19; i++) {
        packet_put_u8(out, 0);
    }
    packet_put_u32(out, (uint32_t)(capabilities >> 32));
    if (!is_tls) {
        buf_append(out, "user\0\0mysql_native_password\0", 28);
    }
    (void)packet_end(out, at);
}
