/*
 * The FE's reply to a part of a text of several statements, on its way to the client, for whom it is
 * a piece of one longer reply: packets get the sequence ids that come next there, and its last OK or
 * EOF says that more results follow. Or nothing of it is shown but an ERR, for a client that gets
 * the last result alone. Driven by the session's tracker; pure, and holds at most the start of one
 * packet (28 bytes) back.
 *
 *     FE      | 1 | 2 | 3 | 4 EOF |          | 1 ask for a file |    2, 3: file   | 4 OK |
 *     client  | 6 | 7 | 8 | 9 EOF + more |   | 6 ask for a file |    7, 8: file   | 9 OK |
 */
#ifndef PROXY_REWRITE_H
#define PROXY_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/packet.h"
#include "proxy/track.h"

struct buf;

enum rewrite_mode {
    REWRITE_SHOW,
    REWRITE_HIDE, /* all but the ERR that ends it, and the question for a file */
    REWRITE_DROP, /* all */
};

/* Private but for next_sequence and has_failed. */
struct rewrite {
    struct track *track; /* borrowed; fed here */
    enum rewrite_mode mode;
    uint16_t status;       /* or-ed into that of the last OK or EOF */
    uint8_t next_sequence; /* of what the client gets next */
    uint8_t shift;         /* of the last packet shown: the client's id less the FE's */
    bool has_failed;       /* an ERR was the end */
    bool is_shown;         /* the packet whose bytes come now */
    bool is_continued;     /* the last packet was full */
    uint32_t left;         /* of the payload, behind the head */
    uint8_t n_head;
    uint8_t head[PACKET_HEADER_SIZE + TRACK_PREFIX_SIZE];
};

enum rewrite_step { REWRITE_MORE, REWRITE_DONE };

/* `t`, idle, takes the command next; `sequence` is what its reply must begin with. */
void rewrite_init(struct rewrite *rw, struct track *t, enum rewrite_mode mode, uint8_t sequence,
                  uint16_t status);
/* The FE's bytes; *ret_used of them belong to the reply. What the client gets is appended. */
enum rewrite_step rewrite_feed(struct rewrite *rw, const char *p, size_t n, struct buf *out,
                               size_t *ret_used);
/* The header of a packet of the client's file is changed to what the FE expects. */
void rewrite_file_header(struct rewrite *rw, char header[PACKET_HEADER_SIZE]);
/* The client has got whole packets. */
static inline bool rewrite_is_between_packets(const struct rewrite *rw)
{
    return !rw->is_shown || (rw->left == 0 && !rw->is_continued);
}

#endif
