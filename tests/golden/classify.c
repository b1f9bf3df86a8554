/*
 * What statements are to Sluice: reads them (a number of bytes, a newline, so many bytes, again and
 * again) from stdin and prints a line for each: foreign, ours or bad, or script when a part of it is
 * ours. Driven by tests/integration/test_foreign.py.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "parser/script.h"
#include "parser/stmt.h"

enum { MAX_STATEMENT = 64 << 20 };

/* A stored procedure may have a statement of ours inside, and is the FE's as a whole. */
static bool has_ours(struct span text)
{
    struct script script = script_of(text, stmt_claims);
    struct script_part part;
    while (script_next(&script, &part)) {
        if (part.is_ours) {
            return true;
        }
    }
    return false;
}

static const char *look(struct span text)
{
    struct stmt s;
    struct err err = {0};
    switch (stmt_parse(text, &s, &err)) {
    case STMT_FOREIGN: break;
    case STMT_OURS: stmt_fini(&s); return "ours";
    case STMT_BAD: return "bad";
    case STMT_SCRIPT: return has_ours(text) ? "script" : "foreign";
    }
    return "foreign";
}

int main(void)
{
    size_t n = 0;
    while (scanf("%zu", &n) == 1) {
        if (n > MAX_STATEMENT || getchar() != '\n') {
            return 1;
        }
        char *text = xcalloc(n + 1, 1);
        size_t n_read = fread(text, 1, n, stdin);
        puts(n_read == n ? look((struct span){text, n}) : "cut short");
        free(text);
        if (n_read != n) {
            return 1;
        }
    }
    return 0;
}
