#include "parser/kill.h"

#include "parser/lex.h"

bool kill_parse(struct span sql, struct kill_stmt *ret)
{
    struct lex lex = lex_of(sql);
    struct kill_stmt found = {0};
    int64_t id = 0;
    struct tok tok = lex_next(&lex);
    while (tok_is_op(&tok, ";")) {
        tok = lex_next(&lex);
    }
    if (!tok_is_word(&tok, "KILL")) {
        return false;
    }
    tok = lex_next(&lex);
    found.is_query = tok_is_word(&tok, "QUERY");
    if (found.is_query || tok_is_word(&tok, "CONNECTION")) {
        tok = lex_next(&lex);
    }
    if (tok.kind != TOK_INT || !span_to_int64(tok.text, 0, UINT32_MAX, &id)) {
        return false;
    }
    found.id = (uint32_t)id;
    do {
        tok = lex_next(&lex);
    } while (tok_is_op(&tok, ";"));
    if (tok.kind != TOK_END) {
        return false;
    }
    *ret = found;
    return true;
}
