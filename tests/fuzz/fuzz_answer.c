/*
 * An FE's answer to a question of ours: byte 0 chooses the capabilities, byte 1 the size of the
 * reads, the rest is what the FE sends. It is collected twice, cut differently, with the same
 * outcome, and always within the cap.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/xmalloc.h"
#include "proxy/ask.h"
#include "proxy/packet.h"
#include "proxy/track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SIZE = 2048 };

static const uint64_t capability_sets[] = {
    0,
    CAP_DEPRECATE_EOF,
    CAP_MARIA_CACHE_META,
    CAP_OPTIONAL_METADATA | CAP_DEPRECATE_EOF | CAP_MARIA_EXTENDED_META,
};

struct outcome {
    struct track track;
    struct ask *ask;
    enum ask_step step;
    size_t n_used;
};

static void collect(struct outcome *o, uint64_t capabilities, const char *p, size_t n, size_t piece)
{
    track_init(&o->track, capabilities, capabilities);
    track_server(&o->track, "\7\0\0\2\0\0\0\2\0\0\0", 11);
    track_client_take(&o->track, (struct span){"\1\0\0\0\x03", 5});
    (void)track_client_body(&o->track, 1);
    o->ask = ask_create(&o->track, MAX_SIZE);
    o->step = ASK_MORE;
    o->n_used = 0;
    while (o->n_used < n && o->step == ASK_MORE) {
        size_t left = n - o->n_used;
        size_t used = 0;
        o->step = ask_feed(o->ask, p + o->n_used, left < piece ? left : piece, &used);
        assert(used <= left && (used > 0 || o->step != ASK_MORE));
        o->n_used += used;
        track_check(&o->track);
    }
}

static bool is_same_text(const char *a, const char *b)
{
    return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

static void must_agree(const struct answer *a, const struct answer *b)
{
    size_t total = 0;
    assert(a->is_error == b->is_error && a->n_columns == b->n_columns && a->n_rows == b->n_rows);
    for (size_t i = 0; i < a->n_columns; i++) {
        assert(is_same_text(a->columns[i], b->columns[i]) && a->columns[i] != NULL);
        total += strlen(a->columns[i]);
    }
    for (size_t i = 0; i < a->n_columns * a->n_rows; i++) {
        assert(is_same_text(a->cells[i], b->cells[i]));
        total += a->cells[i] != NULL ? strlen(a->cells[i]) : 0;
    }
    assert(total <= MAX_SIZE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    uint64_t capabilities = capability_sets[data[0] % ARRAY_SIZE(capability_sets)];
    struct outcome *o = xcalloc(2, sizeof(*o));
    const char *p = (const char *)data + 2;
    collect(&o[0], capabilities, p, size - 2, SIZE_MAX);
    collect(&o[1], capabilities, p, size - 2, 1 + data[1]);
    assert(o[0].step == o[1].step);
    if (o[0].step == ASK_DONE) {
        assert(o[0].n_used == o[1].n_used);
        must_agree(ask_answer(o[0].ask), ask_answer(o[1].ask));
    }
    ask_destroy(o[0].ask);
    ask_destroy(o[1].ask);
    free(o);
    return 0;
}
