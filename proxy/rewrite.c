#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "proxy/rewrite.h"

void rewrite_init(struct rewrite *rw, struct track *t, enum rewrite_mode mode, uint8_t sequence,
                  uint16_t status)
{
    *rw = (struct rewrite){
        .track = t,
        .mode = mode,
        .status = status,
        .next_sequence = sequence,
    };
}

/* Where the status flags stand in an OK or EOF packet; 0 when it is too short for any. */
static size_t status_at(const uint8_t *packet, size_t n)
{
    struct span payload = {(const char *)packet + PACKET_HEADER_SIZE, n - PACKET_HEADER_SIZE};
    struct packet_reader r = packet_reader_of(payload);
    bool is_eof = packet_get_u8(&r) == PACKET_EOF && payload.n <= 5;
    if (is_eof) {
        (void)packet_get_u16(&r); /* warnings */
    } else {
        (void)packet_get_lenenc(&r); /* affected rows */
        (void)packet_get_lenenc(&r); /* last insert id */
    }
    size_t at = n - packet_left(&r);
    (void)packet_get_u16(&r);
    return r.is_bad ? 0 : at;
}

static void add_status(struct rewrite *rw)
{
    size_t at = status_at(rw->head, rw->n_head);
    if (at > 0) {
        rw->head[at] |= (uint8_t)(rw->status & 0xff);
        rw->head[at + 1] |= (uint8_t)(rw->status >> 8);
    }
}

/* The FE has said all; the client may still be sending a file that the FE does not want. */
static bool is_done(const struct rewrite *rw)
{
    return rw->track->queue_count == rw->track->n_silent;
}

/* What the client gets of the packet whose head is whole and which the tracker has seen. */
static void judge(struct rewrite *rw)
{
    bool has_mark = rw->n_head > PACKET_HEADER_SIZE;
    uint8_t mark = has_mark ? rw->head[PACKET_HEADER_SIZE] : 0;
    bool is_last = is_done(rw);
    rw->has_failed = is_last && has_mark && mark == PACKET_ERR;
    rw->is_shown = rw->mode == REWRITE_SHOW ||
                   (rw->mode == REWRITE_HIDE && (rw->has_failed || rw->track->is_infile));
    if (is_last && (mark == PACKET_OK || mark == PACKET_EOF) && has_mark) {
        add_status(rw);
    }
}

/* A packet that no command explains keeps its number: it belongs to an earlier reply. */
static bool is_stray(const struct rewrite *rw)
{
    static const uint8_t progress[] = {PACKET_ERR, 0xff, 0xff};
    const struct track *t = rw->track;
    bool is_progress = rw->n_head >= PACKET_HEADER_SIZE + sizeof(progress) &&
                       memcmp(rw->head + PACKET_HEADER_SIZE, progress, sizeof(progress)) == 0;
    return t->state == TRACK_FIRST && !t->is_started && !is_progress;
}

static void head_done(struct rewrite *rw, struct buf *out)
{
    uint32_t length = packet_length(rw->head);
    bool is_continuation = rw->is_continued;
    track_server(rw->track, (const char *)rw->head, rw->n_head);
    rw->left = length - (rw->n_head - (uint32_t)PACKET_HEADER_SIZE);
    rw->is_continued = length == PACKET_MAX_PAYLOAD;
    bool is_numbered = is_continuation || !is_stray(rw);
    if (!is_numbered) {
        rw->is_shown = true;
    } else if (!is_continuation) {
        judge(rw);
    }
    if (rw->is_shown && is_numbered) {
        rw->shift = (uint8_t)(rw->next_sequence - packet_sequence(rw->head));
        rw->head[3] = rw->next_sequence++;
    }
    if (rw->is_shown) {
        buf_append(out, rw->head, rw->n_head);
    }
    rw->n_head = 0;
}

/* Collects a header and the start of a payload; 0 < result <= n. */
static size_t take_head(struct rewrite *rw, const char *p, size_t n, struct buf *out)
{
    size_t wanted = PACKET_HEADER_SIZE;
    if (rw->n_head >= PACKET_HEADER_SIZE) {
        uint32_t length = packet_length(rw->head);
        wanted += length < TRACK_PREFIX_SIZE ? length : TRACK_PREFIX_SIZE;
    }
    size_t taken = wanted - rw->n_head < n ? wanted - rw->n_head : n;
    memcpy(rw->head + rw->n_head, p, taken);
    rw->n_head = (uint8_t)(rw->n_head + taken);
    bool is_whole =
        rw->n_head == wanted && (wanted > PACKET_HEADER_SIZE || packet_length(rw->head) == 0);
    if (is_whole) {
        head_done(rw, out);
    }
    return taken;
}

static size_t take_body(struct rewrite *rw, const char *p, size_t n, struct buf *out)
{
    size_t taken = rw->left < n ? rw->left : n;
    track_server(rw->track, p, taken);
    if (rw->is_shown) {
        buf_append(out, p, taken);
    }
    rw->left -= (uint32_t)taken;
    return taken;
}

enum rewrite_step rewrite_feed(struct rewrite *rw, const char *p, size_t n, struct buf *out,
                               size_t *ret_used)
{
    size_t used = 0;
    /* The tracker knows the end from a packet's first bytes: the rest belongs to it, too. */
    while (used < n && (rw->left > 0 || rw->n_head > 0 || rw->is_continued || !is_done(rw))) {
        used += rw->left > 0 ? take_body(rw, p + used, n - used, out)
                             : take_head(rw, p + used, n - used, out);
    }
    *ret_used = used;
    bool is_whole = rw->left == 0 && rw->n_head == 0 && !rw->is_continued;
    return is_whole && is_done(rw) ? REWRITE_DONE : REWRITE_MORE;
}

void rewrite_file_header(struct rewrite *rw, char header[PACKET_HEADER_SIZE])
{
    uint8_t sequence = packet_sequence(header);
    rw->next_sequence = (uint8_t)(sequence + 1);
    header[3] = (char)(sequence - rw->shift);
}
