/*
 * The MySQL protocol's constants, and readers and writers of packets. Pure; any thread.
 *
 *     | length, 3 bytes, LE | sequence id, 1 byte | payload, length bytes |
 *
 * A payload of 0xFFFFFF bytes is continued in the next packet. Source: MySQL "Client/Server
 * Protocol", MariaDB "Clients & Utilities: Client/Server Protocol".
 */
#ifndef PROXY_PACKET_H
#define PROXY_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"

enum { PACKET_HEADER_SIZE = 4, PACKET_MAX_PAYLOAD = 0xFFFFFF };

enum packet_command {
    COM_SLEEP = 0x00,
    COM_QUIT = 0x01,
    COM_INIT_DB = 0x02,
    COM_QUERY = 0x03,
    COM_FIELD_LIST = 0x04,
    COM_CREATE_DB = 0x05,
    COM_DROP_DB = 0x06,
    COM_REFRESH = 0x07,
    COM_SHUTDOWN = 0x08,
    COM_STATISTICS = 0x09,
    COM_PROCESS_INFO = 0x0a,
    COM_CONNECT = 0x0b,
    COM_PROCESS_KILL = 0x0c,
    COM_DEBUG = 0x0d,
    COM_PING = 0x0e,
    COM_TIME = 0x0f,
    COM_DELAYED_INSERT = 0x10,
    COM_CHANGE_USER = 0x11,
    COM_BINLOG_DUMP = 0x12,
    COM_TABLE_DUMP = 0x13,
    COM_CONNECT_OUT = 0x14,
    COM_REGISTER_SLAVE = 0x15,
    COM_STMT_PREPARE = 0x16,
    COM_STMT_EXECUTE = 0x17,
    COM_STMT_SEND_LONG_DATA = 0x18,
    COM_STMT_CLOSE = 0x19,
    COM_STMT_RESET = 0x1a,
    COM_SET_OPTION = 0x1b,
    COM_STMT_FETCH = 0x1c,
    COM_DAEMON = 0x1d,
    COM_BINLOG_DUMP_GTID = 0x1e,
    COM_RESET_CONNECTION = 0x1f,
    COM_STMT_BULK_EXECUTE = 0xfa,
};

/* The first byte of a server's packet, where it is not data. */
enum packet_mark {
    PACKET_OK = 0x00,
    PACKET_AUTH_MORE = 0x01,
    PACKET_INFILE = 0xfb,
    PACKET_EOF = 0xfe,
    PACKET_ERR = 0xff,
};

/* Capability flags; MariaDB's extended ones are the upper half of 64 bits, as MariaDB counts. */
#define CAP_LONG_PASSWORD       (UINT64_C(1) << 0) /* MariaDB: "not a MariaDB peer" */
#define CAP_CONNECT_WITH_DB     (UINT64_C(1) << 3)
#define CAP_COMPRESS            (UINT64_C(1) << 5)
#define CAP_PROTOCOL_41         (UINT64_C(1) << 9)
#define CAP_SSL                 (UINT64_C(1) << 11)
#define CAP_SECURE_CONNECTION   (UINT64_C(1) << 15)
#define CAP_MULTI_STATEMENTS    (UINT64_C(1) << 16)
#define CAP_PLUGIN_AUTH         (UINT64_C(1) << 19)
#define CAP_AUTH_LENENC         (UINT64_C(1) << 21)
#define CAP_DEPRECATE_EOF       (UINT64_C(1) << 24)
#define CAP_OPTIONAL_METADATA   (UINT64_C(1) << 25)
#define CAP_ZSTD                (UINT64_C(1) << 26)
#define CAP_QUERY_ATTRIBUTES    (UINT64_C(1) << 27)
#define CAP_MARIA_COM_MULTI     (UINT64_C(1) << 33)
#define CAP_MARIA_EXTENDED_META (UINT64_C(1) << 35)
#define CAP_MARIA_CACHE_META    (UINT64_C(1) << 36)

enum packet_status {
    STATUS_NONE = 0x0000, /* what Doris always says but for MORE_RESULTS */
    STATUS_MORE_RESULTS = 0x0008,
    STATUS_CURSOR_EXISTS = 0x0040,
    STATUS_LAST_ROW_SENT = 0x0080,
};

/* MariaDB's progress report is an ERR packet with this number; it ends nothing. */
enum { PACKET_PROGRESS_CODE = 0xffff };

static inline uint32_t packet_length(const void *header)
{
    const uint8_t *p = header;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

static inline uint8_t packet_sequence(const void *header)
{
    return ((const uint8_t *)header)[3];
}

/* Reads fields; sticky: once something is missing is_bad is set and everything reads as 0. */
struct packet_reader {
    const uint8_t *p;
    const uint8_t *end;
    bool is_bad;
};

struct packet_reader packet_reader_of(struct span payload);
static inline size_t packet_left(const struct packet_reader *r)
{
    return (size_t)(r->end - r->p);
}
uint8_t packet_get_u8(struct packet_reader *r);
uint16_t packet_get_u16(struct packet_reader *r);
uint32_t packet_get_u32(struct packet_reader *r);
/* A length-encoded integer; the NULL mark 0xFB and the invalid 0xFF set is_bad. */
uint64_t packet_get_lenenc(struct packet_reader *r);
struct span packet_get_bytes(struct packet_reader *r, size_t n);
/* Up to a NUL, which is skipped. */
struct span packet_get_text0(struct packet_reader *r);
/* A length-encoded string; p is NULL for SQL NULL (0xFB). */
struct span packet_get_text(struct packet_reader *r);

/* Everything behind the header of an ERR packet's payload, into *ret. Never fails. */
void packet_get_err(struct span payload, struct err *ret);

/*
 *     size_t at = packet_begin(out, sequence);  packet_put_...;  sequence = packet_end(out, at);
 *
 * packet_end() splits a payload of 16 MB and more and returns the sequence id that follows. Sticky
 * through the buffer.
 */
size_t packet_begin(struct buf *out, uint8_t sequence);
uint8_t packet_end(struct buf *out, size_t at);
void packet_put_u8(struct buf *out, uint8_t value);
void packet_put_u16(struct buf *out, uint16_t value);
void packet_put_u32(struct buf *out, uint32_t value);
void packet_put_lenenc(struct buf *out, uint64_t value);
void packet_put_text(struct buf *out, struct span text);

/*
 * An ERR packet. Before the client has told its capabilities an ERR has no SQLSTATE: servers leave
 * it out there and old clients would show it as text. A number of the client libraries' own, which
 * came from one of ours, goes out as ERR_UNKNOWN.
 */
enum packet_err_form { PACKET_ERR_FULL, PACKET_ERR_BEFORE_HANDSHAKE };
void packet_put_err(struct buf *out, uint8_t sequence, const struct err *err,
                    enum packet_err_form form);

#endif
