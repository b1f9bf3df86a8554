#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "proxy/prepared.h"
#include "tests/fuzz/session_rig.h"

enum { MAX_ATTRIBUTES = 4096 };

/* The mark of session_local.c's statements, and what they ask. */
static const char mark[] = "SLUICE";
static const char *const questions[] = {"SELECT 1", "SELECT 2"};

/* Of a few MB at times, hence memchr(). */
static bool has_mark_from(struct span text, char first)
{
    enum { N = sizeof(mark) - 1 };
    for (const char *p = text.p; text.n >= N;) {
        p = memchr(p, first, text.n - N + 1);
        if (p == NULL || strncasecmp(p, mark, N) == 0) {
            return p != NULL;
        }
        p++;
        text.n = text.n - (size_t)(p - text.p);
        text.p = p;
    }
    return false;
}

static bool has_mark(struct span text)
{
    return has_mark_from(text, 'S') || has_mark_from(text, 's');
}

/* The whole packet at p; false: there is none. */
static bool next_packet(struct span *rest, struct span *ret)
{
    if (rest->n < PACKET_HEADER_SIZE || rest->n - PACKET_HEADER_SIZE < packet_length(rest->p)) {
        return false;
    }
    *ret = (struct span){rest->p, PACKET_HEADER_SIZE + (size_t)packet_length(rest->p)};
    rest->p += ret->n;
    rest->n -= ret->n;
    return true;
}

/* Is it a part of a text in which there are statements of ours? Texts are few and short. */
static bool is_part(struct span text, struct span client)
{
    struct span packet = {0};
    bool is_possible = has_mark(client);
    while (is_possible && next_packet(&client, &packet)) {
        if (packet.n > PACKET_HEADER_SIZE + text.n && has_mark(packet) &&
            memmem(packet.p, packet.n, text.p, text.n) != NULL) {
            return true;
        }
    }
    return false;
}

static bool is_text_of_ours(struct span text, struct span client)
{
    for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
        if (text.n >= strlen(questions[i]) && /* attributes may stand in front */
            span_eq_text(
                (struct span){text.p + text.n - strlen(questions[i]), strlen(questions[i])},
                questions[i])) {
            return true;
        }
    }
    /* A part has the attributes of the whole text in front. */
    for (size_t skip = 0; skip < text.n && skip <= MAX_ATTRIBUTES; skip++) {
        if (is_part((struct span){text.p + skip, text.n - skip}, client)) {
            return true;
        }
    }
    return has_mark(text);
}

static bool may_be_ours(struct span packet, struct span client)
{
    struct packet_reader r = packet_reader_of(
        (struct span){packet.p + PACKET_HEADER_SIZE, packet.n - PACKET_HEADER_SIZE});
    switch (packet_get_u8(&r)) {
    case COM_PING: return packet.n == PACKET_HEADER_SIZE + 1;
    case COM_QUERY:
    case COM_STMT_PREPARE: return is_text_of_ours(packet_get_bytes(&r, packet_left(&r)), client);
    case COM_STMT_EXECUTE:
    case COM_STMT_SEND_LONG_DATA:
    case COM_STMT_CLOSE:
    case COM_STMT_RESET:
    case COM_STMT_FETCH:
    case COM_STMT_BULK_EXECUTE: return packet_get_u32(&r) >= PREPARED_FIRST;
    default: return false;
    }
}

/* The next packet that must be the same on both sides. */
static bool next_foreign(struct span *rest, struct span client, struct span *ret)
{
    while (next_packet(rest, ret)) {
        if (!may_be_ours(*ret, client)) {
            return true;
        }
    }
    return false;
}

static void tell(const char *who, struct span packet)
{
    (void)fprintf(stderr, "%s, %zu bytes:", who, packet.n);
    for (size_t i = 0; i < packet.n && i < 64; i++) {
        (void)fprintf(stderr, " %02x", (uint8_t)packet.p[i]);
    }
    (void)fputc('\n', stderr);
}

static void tell_and_abort(const char *what, struct span sent, struct span arrived)
{
    (void)fprintf(stderr, "%s\n", what);
    tell("client", sent);
    tell("FE", arrived);
    abort();
}

/*
 * In its answer to the greeting a client's CAP_SSL is between it and Sluice. A file for a statement
 * of several, one of them ours, is numbered as that statement alone.
 */
static bool is_same(struct span sent, struct span arrived, struct span client)
{
    enum { CAPABILITY = PACKET_HEADER_SIZE + 1, NUMBER = 3, CAP_BIT = CAP_SSL >> 8 };
    if (sent.n != arrived.n || span_eq(sent, arrived)) {
        return sent.n == arrived.n;
    }
    for (size_t i = 0; i < sent.n; i++) {
        uint8_t difference = (uint8_t)(sent.p[i] ^ arrived.p[i]);
        bool is_tls = i == CAPABILITY && sent.p == client.p && difference == CAP_BIT;
        if (difference != 0 && !is_tls && (i != NUMBER || !has_mark(client))) {
            return false;
        }
    }
    return true;
}

void oracle_compare(struct span client, struct span fe, enum oracle_extent extent)
{
    struct span from = client;
    struct span sent = {0};
    struct span arrived = {0};
    while (next_foreign(&fe, client, &arrived)) {
        bool is_there = next_foreign(&from, client, &sent);
        if (!is_there || !is_same(sent, arrived, client)) {
            tell_and_abort("the FE got what the client did not send", sent, arrived);
        }
    }
    if (extent == ORACLE_ALL && next_foreign(&from, client, &sent)) {
        tell_and_abort("the FE did not get what the client sent", sent, (struct span){0});
    }
}

bool oracle_is_whole(struct span packets)
{
    struct span packet = {0};
    while (next_packet(&packets, &packet)) {
    }
    return packets.n == 0;
}

bool oracle_has_ours(struct span client)
{
    struct span packet = {0};
    if (has_mark(client)) {
        return true;
    }
    for (struct span rest = client; next_packet(&rest, &packet);) {
        uint8_t command = packet.n > PACKET_HEADER_SIZE ? (uint8_t)packet.p[PACKET_HEADER_SIZE] : 0;
        if (command != COM_PING && command != COM_QUERY && may_be_ours(packet, client)) {
            return true;
        }
    }
    return false;
}

static size_t count_pings(struct span packets)
{
    struct span packet = {0};
    size_t n = 0;
    while (next_packet(&packets, &packet)) {
        n += packet.n == PACKET_HEADER_SIZE + 1 && packet.p[PACKET_HEADER_SIZE] == COM_PING;
    }
    return n;
}

bool oracle_was_asked(struct span client, struct span fe)
{
    return count_pings(fe) > count_pings(client);
}

/* Its last packet is the one with byte n in it, and an ERR. */
static bool ends_with_error(struct span packets, size_t n)
{
    struct span packet = {0};
    const char *at = packets.p + n;
    while (next_packet(&packets, &packet)) {
        if (at < packets.p) {
            return packets.n == 0 && packet.n > PACKET_HEADER_SIZE &&
                   packet.p[PACKET_HEADER_SIZE] == '\xff';
        }
    }
    return false;
}

void oracle_compare_replies(struct span fe, struct span client, enum oracle_extent extent)
{
    struct span greeting = {0};
    struct span shown = {0};
    if (!next_packet(&fe, &greeting) || !next_packet(&client, &shown) ||
        shown.p[PACKET_HEADER_SIZE] == '\xff') {
        return; /* no greeting was good enough */
    }
    size_t n = 0;
    while (n < fe.n && n < client.n && fe.p[n] == client.p[n]) {
        n++;
    }
    bool has_error = n < client.n && ends_with_error(client, n);
    if (greeting.n != shown.n || (n < client.n && !has_error)) {
        tell_and_abort("the client got what the FE did not send",
                       (struct span){client.p + n, client.n - n},
                       (struct span){fe.p + n, fe.n - n});
    }
    if (extent == ORACLE_ALL && (n < fe.n || n < client.n)) {
        tell_and_abort("the client did not get what the FE sent",
                       (struct span){client.p + n, client.n - n},
                       (struct span){fe.p + n, fe.n - n});
    }
}
