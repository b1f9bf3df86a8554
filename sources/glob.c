#include <assert.h>
#include <stdlib.h>

#include "base/xmalloc.h"
#include "sources/glob.h"

/*
 * A pattern is a list of tokens. Matching keeps the set of positions of the text that can be
 * reached so far, as one byte a position, and moves it through the list token by token: no
 * backtracking, so no pattern can be expensive.
 */
enum token_kind {
    TOKEN_TEXT,
    TOKEN_STAR,
    TOKEN_STARS,
    TOKEN_ANY,
    TOKEN_SET,
    TOKEN_NUMBER,
    TOKEN_ONE_OF
};

struct set_range {
    uint32_t from;
    uint32_t to; /* inclusive */
};

struct token_list {
    struct token *items; /* owned */
    size_t n;
};

struct token {
    enum token_kind kind;
    union {
        struct {
            char *p; /* owned */
            size_t n;
        } text;
        struct {
            struct set_range *ranges; /* owned */
            size_t n;
            bool is_negated;
        } set;
        struct {
            uint64_t from;
            uint64_t to; /* inclusive */
        } number;
        struct {
            struct token_list *lists; /* owned */
            size_t n;
        } one_of;
    } u;
};

struct glob {
    char *pattern; /* owned */
    size_t prefix_len;
    struct token_list list;
};

struct parser {
    struct span pattern;
    size_t at;
    struct err *err;
};

static void list_fini(struct token_list *list);

static void token_fini(struct token *t)
{
    switch (t->kind) {
    case TOKEN_TEXT: free(t->u.text.p); break;
    case TOKEN_SET: free(t->u.set.ranges); break;
    case TOKEN_ONE_OF:
        for (size_t i = 0; i < t->u.one_of.n; i++) {
            list_fini(&t->u.one_of.lists[i]);
        }
        free(t->u.one_of.lists);
        break;
    case TOKEN_STAR:
    case TOKEN_STARS:
    case TOKEN_ANY:
    case TOKEN_NUMBER: break;
    }
}

static void list_fini(struct token_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        token_fini(&list->items[i]);
    }
    free(list->items);
    *list = (struct token_list){0};
}

static struct token *list_add(struct token_list *list, enum token_kind kind)
{
    list->items = xrealloc_array(list->items, list->n + 1, sizeof(*list->items));
    struct token *t = &list->items[list->n++];
    *t = (struct token){.kind = kind};
    return t;
}

static void list_add_char(struct token_list *list, char c)
{
    struct token *t = list->n > 0 ? &list->items[list->n - 1] : NULL;
    if (t == NULL || t->kind != TOKEN_TEXT) {
        t = list_add(list, TOKEN_TEXT);
    }
    t->u.text.p = xrealloc_array(t->u.text.p, t->u.text.n + 1, 1);
    t->u.text.p[t->u.text.n++] = c;
}

/*
 * The character at text[at]: its code point and, returned, its length in bytes. A byte that begins
 * no valid UTF-8 sequence is a character of its own beyond Unicode.
 */
static size_t char_at(struct span text, size_t at, uint32_t *ret)
{
    assert(at < text.n);
    unsigned char c = (unsigned char)text.p[at];
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 0;
    uint32_t value = n == 1 ? c : n == 2 ? c & 0x1fU : n == 3 ? c & 0x0fU : c & 0x07U;
    bool is_valid = n > 0 && n <= text.n - at;
    for (size_t i = 1; is_valid && i < n; i++) {
        unsigned char next = (unsigned char)text.p[at + i];
        is_valid = (next & 0xc0) == 0x80;
        value = value << 6 | (next & 0x3fU);
    }
    if (!is_valid) {
        *ret = 0x110000U + c;
        return 1;
    }
    *ret = value;
    return n;
}

static bool fail(struct parser *p, size_t at, const char *why)
{
    return err_say(p->err, "the pattern \"%.*s\" is wrong at character %zu: %s",
                   SPAN_ARG(p->pattern), at + 1, why);
}

static void set_add(struct token *t, uint32_t from, uint32_t to)
{
    t->u.set.ranges = xrealloc_array(t->u.set.ranges, t->u.set.n + 1, sizeof(*t->u.set.ranges));
    t->u.set.ranges[t->u.set.n++] = (struct set_range){.from = from, .to = to};
}

/* One character of a set, or a range a-b; p->at is on it and known to be before the end. */
static bool parse_set_item(struct parser *p, struct token *t)
{
    struct span s = p->pattern;
    uint32_t from = 0;
    uint32_t to = 0;
    size_t at = p->at;
    p->at += char_at(s, p->at, &from);
    to = from;
    if (p->at + 1 < s.n && s.p[p->at] == '-' && s.p[p->at + 1] != ']') {
        p->at++;
        p->at += char_at(s, p->at, &to);
    }
    if (from == '/' || to == '/') {
        return fail(p, at, "a set [...] cannot hold '/'");
    }
    if (from > to) {
        return fail(p, at, "the range runs backwards");
    }
    set_add(t, from, to);
    return true;
}

static bool parse_set(struct parser *p, struct token_list *list)
{
    struct span s = p->pattern;
    size_t start = p->at++;
    struct token *t = list_add(list, TOKEN_SET);
    if (p->at < s.n && s.p[p->at] == '^') {
        return fail(p, p->at, "Doris versions disagree on [^...]; write [!...] for \"none of\"");
    }
    if (p->at < s.n && s.p[p->at] == '!') {
        t->u.set.is_negated = true;
        p->at++;
    }
    while (p->at < s.n && (s.p[p->at] != ']' || t->u.set.n == 0)) {
        if (!parse_set_item(p, t)) {
            return false;
        }
    }
    if (p->at == s.n) {
        return fail(p, start, "'[' has no ']'");
    }
    p->at++;
    return true;
}

/* Does `element` read a..b with decimal a and b? */
static bool is_number_range(struct span element, uint64_t *ret_from, uint64_t *ret_to)
{
    for (size_t i = 0; i + 1 < element.n; i++) {
        if (element.p[i] == '.' && element.p[i + 1] == '.') {
            struct span from = {element.p, i};
            struct span to = {element.p + i + 2, element.n - i - 2};
            return span_to_uint64(from, ret_from) && span_to_uint64(to, ret_to);
        }
    }
    return false;
}

static struct span element_at(const struct parser *p)
{
    size_t end = p->at;
    while (end < p->pattern.n && p->pattern.p[end] != ',' && p->pattern.p[end] != '}') {
        end++;
    }
    return (struct span){p->pattern.p + p->at, end - p->at};
}

static bool parse_plain(struct parser *p, struct token_list *list)
{
    struct span s = p->pattern;
    char c = s.p[p->at];
    if (c == '*') {
        bool is_double = p->at + 1 < s.n && s.p[p->at + 1] == '*';
        p->at += is_double ? 2 : 1;
        (void)list_add(list, is_double ? TOKEN_STARS : TOKEN_STAR); /* needs no filling */
        return true;
    }
    if (c == '?') {
        p->at++;
        (void)list_add(list, TOKEN_ANY); /* needs no filling */
        return true;
    }
    if (c == '[') {
        return parse_set(p, list);
    }
    if (c == '\\') {
        if (++p->at == s.n) {
            return fail(p, p->at - 1, "nothing follows '\\'");
        }
        c = s.p[p->at];
    }
    list_add_char(list, c);
    p->at++;
    return true;
}

static bool parse_element(struct parser *p, struct token_list *list)
{
    struct span s = p->pattern;
    struct span element = element_at(p);
    uint64_t from = 0;
    uint64_t to = 0;
    if (is_number_range(element, &from, &to)) {
        struct token *t = list_add(list, TOKEN_NUMBER);
        t->u.number.from = from < to ? from : to;
        t->u.number.to = from < to ? to : from;
        p->at += element.n;
        return true;
    }
    while (p->at < s.n && s.p[p->at] != ',' && s.p[p->at] != '}') {
        if (s.p[p->at] == '{') {
            return fail(p, p->at, "braces cannot be nested");
        }
        if (!parse_plain(p, list)) {
            return false;
        }
    }
    return true;
}

static bool parse_one_of(struct parser *p, struct token_list *list)
{
    struct span s = p->pattern;
    size_t start = p->at;
    struct token *t = list_add(list, TOKEN_ONE_OF);
    do {
        p->at++; /* '{' or ',' */
        t->u.one_of.lists =
            xrealloc_array(t->u.one_of.lists, t->u.one_of.n + 1, sizeof(*t->u.one_of.lists));
        struct token_list *element = &t->u.one_of.lists[t->u.one_of.n++];
        *element = (struct token_list){0};
        if (!parse_element(p, element)) {
            return false;
        }
    } while (p->at < s.n && s.p[p->at] == ',');
    if (p->at == s.n) {
        return fail(p, start, "'{' has no '}'");
    }
    p->at++;
    return true;
}

static size_t literal_len(struct span pattern)
{
    size_t n = 0;
    while (n < pattern.n && (pattern.p[n] == '\0' || strchr("*?[{\\", pattern.p[n]) == NULL)) {
        n++;
    }
    return n;
}

struct glob *glob_create(struct span pattern, struct err *err)
{
    struct parser p = {.pattern = pattern, .err = err};
    if (pattern.n > GLOB_MAX_PATTERN) {
        (void)err_say(err, "the pattern of the uri is %zu bytes long; at most %d are allowed",
                      pattern.n, GLOB_MAX_PATTERN);
        return NULL;
    }
    struct glob *g = xcalloc(1, sizeof(*g));
    g->pattern = span_dup(pattern);
    g->prefix_len = literal_len(pattern);
    while (p.at < pattern.n) {
        bool is_one_of = pattern.p[p.at] == '{';
        if (is_one_of ? !parse_one_of(&p, &g->list) : !parse_plain(&p, &g->list)) {
            glob_destroy(g);
            return NULL;
        }
    }
    return g;
}

void glob_destroy(struct glob *g)
{
    if (g == NULL) {
        return;
    }
    list_fini(&g->list);
    free(g->pattern);
    free(g);
}

struct span glob_literal_prefix(const struct glob *g)
{
    return (struct span){g->pattern, g->prefix_len};
}

/* Positions 0 .. text.n that a match may have reached. */
struct places {
    unsigned char is_on[GLOB_MAX_TEXT + 1];
};

static bool list_step(const struct token_list *list, struct span text, struct places *at);

static bool set_has(const struct token *t, uint32_t c)
{
    for (size_t i = 0; i < t->u.set.n; i++) {
        if (c >= t->u.set.ranges[i].from && c <= t->u.set.ranges[i].to) {
            return true;
        }
    }
    return false;
}

static void step_text(const struct token *t, struct span text, struct places *at)
{
    size_t n = t->u.text.n;
    /* From the end, so that a place set here is not taken for one to start from. */
    for (size_t i = text.n + 1; i-- > 0;) {
        bool is_match = i >= n && at->is_on[i - n] && memcmp(text.p + i - n, t->u.text.p, n) == 0;
        at->is_on[i] = is_match;
    }
}

static void step_star(enum token_kind kind, struct span text, struct places *at)
{
    for (size_t i = 0; i < text.n; i++) {
        if (at->is_on[i] && (kind == TOKEN_STARS || text.p[i] != '/')) {
            at->is_on[i + 1] = 1;
        }
    }
}

static void step_char(const struct token *t, struct span text, struct places *at)
{
    for (size_t i = text.n + 1; i-- > 0;) {
        uint32_t c = 0;
        size_t n = 0;
        bool is_on = at->is_on[i] != 0;
        at->is_on[i] = 0;
        if (!is_on || i == text.n) {
            continue;
        }
        n = char_at(text, i, &c);
        if (c != '/' && (t->kind == TOKEN_ANY || set_has(t, c) != t->u.set.is_negated)) {
            at->is_on[i + n] = 1;
        }
    }
}

static void step_number_from(const struct token *t, struct span text, size_t i, struct places *ret)
{
    uint64_t value = 0;
    size_t start = i;
    while (i < text.n && text.p[i] >= '0' && text.p[i] <= '9') {
        if (i > start && text.p[start] == '0') {
            return; /* a leading zero */
        }
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.p[i] - '0'), &value)) {
            return;
        }
        i++;
        if (value >= t->u.number.from && value <= t->u.number.to) {
            ret->is_on[i] = 1;
        }
    }
}

static void step_number(const struct token *t, struct span text, struct places *at)
{
    struct places next;
    memset(next.is_on, 0, text.n + 1);
    for (size_t i = 0; i < text.n; i++) {
        if (at->is_on[i]) {
            step_number_from(t, text, i, &next);
        }
    }
    memcpy(at->is_on, next.is_on, text.n + 1);
}

static void step_one_of(const struct token *t, struct span text, struct places *at)
{
    struct places all;
    memset(all.is_on, 0, text.n + 1);
    for (size_t i = 0; i < t->u.one_of.n; i++) {
        struct places one;
        memcpy(one.is_on, at->is_on, text.n + 1);
        if (list_step(&t->u.one_of.lists[i], text, &one)) {
            for (size_t k = 0; k <= text.n; k++) {
                all.is_on[k] |= one.is_on[k];
            }
        }
    }
    memcpy(at->is_on, all.is_on, text.n + 1);
}

/* Moves the places through the list; false as soon as none is left. One level of recursion. */
static bool list_step(const struct token_list *list, struct span text, struct places *at)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct token *t = &list->items[i];
        switch (t->kind) {
        case TOKEN_TEXT: step_text(t, text, at); break;
        case TOKEN_STAR:
        case TOKEN_STARS: step_star(t->kind, text, at); break;
        case TOKEN_ANY:
        case TOKEN_SET: step_char(t, text, at); break;
        case TOKEN_NUMBER: step_number(t, text, at); break;
        case TOKEN_ONE_OF: step_one_of(t, text, at); break;
        }
        if (memchr(at->is_on, 1, text.n + 1) == NULL) {
            return false;
        }
    }
    return true;
}

bool glob_match(const struct glob *g, struct span text)
{
    struct places at;
    if (text.n > GLOB_MAX_TEXT || text.n < g->prefix_len ||
        (g->prefix_len > 0 && memcmp(text.p, g->pattern, g->prefix_len) != 0)) {
        return false;
    }
    memset(at.is_on, 0, text.n + 1);
    at.is_on[0] = 1;
    return list_step(&g->list, text, &at) && at.is_on[text.n];
}
