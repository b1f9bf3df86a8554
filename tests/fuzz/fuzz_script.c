/*
 * A text of several statements. The parts must lie in the text in order, and what is between them
 * must be blanks, comments and ';' alone; the last one is told in time; and what is one part for a
 * text without statements of ours has the same tokens.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "parser/script.h"
#include "parser/stmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool claim_none(struct span statement)
{
    (void)statement;
    return false;
}

/* Half of the statements, by their length: pure, as it must be. */
static bool claim_some(struct span statement)
{
    return statement.n % 2 == 0;
}

static void check_gap(struct span gap)
{
    struct lex lex = lex_of(gap);
    struct tok t = lex_next(&lex);
    while (tok_is_op(&t, ";")) {
        t = lex_next(&lex);
    }
    assert(t.kind == TOK_END);
}

static size_t check(struct span text, script_claim_fn claim)
{
    struct script script = script_of(text, claim);
    struct script_part part = {.is_last = false};
    const char *at = text.p;
    size_t n = 0;
    bool was_last = false;
    bool was_foreign = false;
    while (script_next(&script, &part)) {
        assert(!was_last && part.text.n > 0);
        assert(part.text.p >= at && part.text.p + part.text.n <= text.p + text.n);
        check_gap(span_between(at, part.text.p));
        assert(part.is_ours || !was_foreign); /* foreign parts in a row are one */
        assert(!part.is_ours || claim(part.text));
        at = part.text.p + part.text.n;
        was_last = part.is_last;
        was_foreign = !part.is_ours;
        n++;
    }
    assert(n == 0 || was_last);
    return n;
}

/* What the text is as a whole agrees with what its parts are. */
static void check_verdict(struct span text)
{
    struct script script = script_of(text, stmt_claims);
    struct script_part part;
    size_t n = 0;
    size_t n_ours = 0;
    while (script_next(&script, &part)) {
        struct stmt s;
        struct err err = {0};
        enum stmt_verdict verdict = stmt_parse_part(text, part.text, &s, &err);
        n++;
        n_ours += part.is_ours;
        assert(!part.is_ours || verdict == STMT_OURS || verdict == STMT_BAD);
        if (verdict == STMT_OURS) {
            stmt_fini(&s);
        }
    }
    struct stmt s;
    struct err err = {0};
    enum stmt_verdict whole = stmt_parse(text, &s, &err);
    if (whole == STMT_OURS) {
        stmt_fini(&s);
    }
    assert(n_ours == 0 || (whole == STMT_SCRIPT) == (n > 1));
    assert(n_ours == 0 || whole != STMT_FOREIGN);
    /* A procedure may hold what alone were ours. */
    assert(n_ours > 0 || whole == STMT_FOREIGN || whole == STMT_SCRIPT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {size > 0 ? (const char *)data : "", size};
    assert(check(text, claim_none) <= 1);
    (void)check(text, claim_some);
    (void)check(text, stmt_claims);
    check_verdict(text);
    return 0;
}
