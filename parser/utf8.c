#include "parser/utf8.h"

/* RFC 3629: the first byte tells the length and the range of the second one. */
static size_t char_length(const unsigned char *p, size_t n)
{
    unsigned char c = p[0];
    size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (length <= 1 || length > n) {
        return length == 1 ? 1 : 0;
    }
    unsigned char low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    unsigned char high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return length;
}

size_t utf8_valid(struct span s)
{
    size_t at = 0;
    while (at < s.n) {
        size_t n = char_length((const unsigned char *)s.p + at, s.n - at);
        if (n == 0) {
            break;
        }
        at += n;
    }
    return at;
}
