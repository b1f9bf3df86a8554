#include <string.h>
#include <strings.h>

#include "base/xmalloc.h"
#include "proxy/guess.h"

static const char *const first_words[] = {
    "alter", "cancel", "create", "drop", "explain", "pause", "resume", "select", "show", "with",
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

static bool is_letter(char c)
{
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'z';
}

/* A parenthesis or a comment may stand before the first word. */
static bool begins_otherwise(char c)
{
    return c == '(' || c == '/' || c == '-' || c == '#';
}

static enum guess guess_first_word(struct span text, bool is_whole)
{
    size_t n = 0;
    while (n < text.n && is_letter(text.p[n])) {
        n++;
    }
    struct span word = {.p = text.p, .n = n};
    bool may_grow = n == text.n && !is_whole;
    for (size_t i = 0; i < ARRAY_SIZE(first_words); i++) {
        if (span_ieq_text(word, first_words[i])) {
            return GUESS_YES;
        }
        if (may_grow && n < strlen(first_words[i]) && strncasecmp(first_words[i], word.p, n) == 0) {
            return GUESS_MORE;
        }
    }
    return GUESS_NO;
}

/* Is `needle` (lower case) around a letter at `rare` in it, anywhere in the text? */
static bool has_word(struct span text, const char *needle, size_t rare)
{
    size_t n = strlen(needle);
    char letters[2] = {needle[rare], (char)(needle[rare] & ~0x20)};
    for (size_t i = 0; i < sizeof(letters); i++) {
        const char *p = text.p;
        const char *end = text.p + text.n;
        while (p < end && (p = memchr(p, letters[i], (size_t)(end - p))) != NULL) {
            if ((size_t)(p - text.p) >= rare && (size_t)(end - p) >= n - rare &&
                strncasecmp(p - rare, needle, n) == 0) {
                return true;
            }
            p++;
        }
    }
    return false;
}

/* 'j' and 'k' are rare letters: memchr() runs through the rest at many bytes a cycle. */
static bool has_our_word(struct span text)
{
    return has_word(text, "job", 0) || has_word(text, "task", 3);
}

static struct span skip_blanks(struct span text)
{
    while (text.n > 0 && (is_blank(*text.p) || *text.p == ';')) {
        text.p++;
        text.n--;
    }
    return text;
}

bool guess_is_script(struct span text)
{
    const char *mark = text.n > 0 ? memchr(text.p, ';', text.n) : NULL;
    return mark != NULL && has_our_word(skip_blanks(span_between(mark, text.p + text.n)));
}

enum guess guess_is_local(struct span text, bool is_whole)
{
    struct span rest = skip_blanks(text);
    if (rest.n == 0) {
        return is_whole ? GUESS_NO : GUESS_MORE;
    }
    enum guess first = GUESS_YES;
    if (!begins_otherwise(*rest.p)) {
        first = guess_first_word(rest, is_whole);
    }
    if (first != GUESS_YES) {
        return first;
    }
    if (has_our_word(rest)) {
        return GUESS_YES;
    }
    return is_whole ? GUESS_NO : GUESS_MORE;
}
