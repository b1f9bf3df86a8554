/*
 * What the relay spends on looking at a statement: reads statements (a number of bytes, a newline,
 * so many bytes, again and again) from stdin, and prints a line for each: its bytes, the ns that the
 * look takes, and whether it was passed on (foreign), parsed and passed on (parsed), or taken (ours).
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/xmalloc.h"
#include "parser/stmt.h"
#include "proxy/guess.h"
#include "tests/bench/net.h"

enum {
    N_BATCHES = 7,    /* the median counts */
    BATCH_NS = 20000, /* long enough for the clock */
    MAX_STATEMENT = 64 << 20,
    MAX_LOOKS = 1 << 20,
    PIECE_SIZE = 1448, /* of a segment in an Ethernet: texts come so, at worst */
};

enum verdict { FOREIGN, PARSED, OURS };
static const char *const verdict_names[] = {"foreign", "parsed", "ours"};

/* Is it shown to the parser? As session_command.c does it, with KILL as for several FEs. */
static bool is_offered(struct span text)
{
    struct guess_place place = {0};
    for (size_t n = PIECE_SIZE; n < text.n; n += PIECE_SIZE) {
        enum guess guess = guess_is_local_on((struct span){text.p, n}, &place, false);
        if (guess == GUESS_NO && text.n > GUESS_SCRIPT_MAX_SIZE) {
            return false;
        }
    }
    enum guess guess = guess_is_local_on(text, &place, true);
    if (guess == GUESS_NO && text.n <= GUESS_SCRIPT_MAX_SIZE && guess_is_hidden(text)) {
        return true;
    }
    return guess == GUESS_YES || guess_is_kill(text);
}

static enum verdict look(struct span text)
{
    if (!is_offered(text)) {
        return FOREIGN;
    }
    struct err err = {0};
    struct stmt stmt = {0};
    enum stmt_verdict parsed = stmt_parse(text, &stmt, &err);
    if (parsed == STMT_OURS) {
        stmt_fini(&stmt);
    }
    return parsed == STMT_FOREIGN ? PARSED : OURS;
}

static int64_t now_ns(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now); /* this clock is always there */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t time_looks(struct span text, int n)
{
    int64_t started = now_ns();
    for (int i = 0; i < n; i++) {
        enum verdict v = look(text);
        __asm__ volatile("" : : "r"(v) : "memory"); /* so that no call is left out */
    }
    return now_ns() - started;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double ns_of(struct span text)
{
    double batches[N_BATCHES];
    int n = 1;
    while (n < MAX_LOOKS && time_looks(text, n) < BATCH_NS) {
        n *= 2;
    }
    for (int i = 0; i < N_BATCHES; i++) {
        batches[i] = (double)time_looks(text, n) / n;
    }
    qsort(batches, N_BATCHES, sizeof(batches[0]), compare);
    return batches[N_BATCHES / 2];
}

int main(void)
{
    char line[32];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        size_t n = (size_t)net_number(line, MAX_STATEMENT, "the length of a statement");
        char *bytes = xcalloc(1, n + 1);
        if (fread(bytes, 1, n, stdin) != n) {
            net_die("the statement of %zu bytes is cut off", n);
        }
        struct span text = {bytes, n};
        (void)printf("%zu %.1f %s\n", n, ns_of(text), verdict_names[look(text)]);
        free(bytes);
    }
    return 0;
}
