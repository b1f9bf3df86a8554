#include <stddef.h>

#include "sources/fe_text.h"

/* RFC 3629, table of well-formed sequences: what may follow which first byte. */
static const struct {
    unsigned char first_min, first_max;
    unsigned char second_min, second_max;
    unsigned char len;
} forms[] = {
    {0x01, 0x7f, 0x00, 0x00, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
    {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
    {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Bytes of the character at p, which a NUL ends at the latest; 0 when it is none. */
static size_t character_len(const unsigned char *p)
{
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (p[0] < forms[i].first_min || p[0] > forms[i].first_max) {
            continue;
        }
        for (size_t k = 1; k < forms[i].len; k++) {
            unsigned char min = k == 1 ? forms[i].second_min : 0x80;
            unsigned char max = k == 1 ? forms[i].second_max : 0xbf;
            if (p[k] < min || p[k] > max) {
                return 0;
            }
        }
        return forms[i].len;
    }
    return 0;
}

void fe_text_make_utf8(char *text)
{
    unsigned char *p = (unsigned char *)text;
    while (p != NULL && *p != '\0') {
        size_t len = character_len(p);
        if (len == 0) {
            *p = '?';
            len = 1;
        }
        p += len;
    }
}
