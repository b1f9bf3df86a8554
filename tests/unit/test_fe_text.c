#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/fe_text.h"

static void assert_made(const char *from, const char *expected)
{
    char *text = xstrdup(from);
    fe_text_make_utf8(text);
    assert_string_equal(text, expected);
    free(text);
}

static void well_formed_text_stays(void **state)
{
    static const char *const texts[] = {
        "",
        "plain\r\n\t\x7f",
        "\xc2\x80 \xdf\xbf",
        "\xe0\xa0\x80\xef\xbf\xbf",
        "\xed\x9f\xbf",
        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_made(texts[i], texts[i]);
    }
    fe_text_make_utf8(NULL);
}

static void everything_else_is_marked(void **state)
{
    assert_made("a\xff"
                "b",
                "a?b");
    assert_made("\x80", "?");
    assert_made("\xc3", "?");                /* cut off by the end */
    assert_made("\xe2\x82", "??");           /* likewise */
    assert_made("\xc0\xaf", "??");           /* overlong */
    assert_made("\xe0\x9f\xbf", "???");      /* overlong */
    assert_made("\xed\xa0\x80", "???");      /* surrogate */
    assert_made("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
    assert_made("\xf5\x80\x80\x80", "????");
    assert_made("\xc3\xc3\xa4", "?\xc3\xa4"); /* the next character is not eaten */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_text_stays),
        cmocka_unit_test(everything_else_is_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
