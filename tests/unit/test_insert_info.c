#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "sources/insert_info.h"

static void assert_span(struct span s, const char *expected)
{
    char *text = span_dup(s);
    assert_string_equal(text, expected);
    free(text);
}

static struct insert_info parse(const char *text)
{
    struct insert_info info = {0};
    if (!insert_info_parse(span_of(text), &info)) {
        fail_msg("refused: %s", text);
    }
    return info;
}

static void assert_refused(const char *text)
{
    struct insert_info info = {.status = INSERT_STATUS_ABORTED};
    if (insert_info_parse(span_of(text), &info)) {
        fail_msg("accepted: %s", text);
    }
    assert_int_equal(info.status, INSERT_STATUS_ABORTED); /* untouched */
}

static void reads_what_doris_writes(void **state)
{
    struct insert_info info = parse("{'label':'17_3', 'status':'VISIBLE', 'txnId':'4012'}");
    assert_span(info.label, "17_3");
    assert_span(info.status_text, "VISIBLE");
    assert_span(info.txn_id, "4012");
    assert_int_equal(info.error.n, 0);
    assert_int_equal(info.status, INSERT_STATUS_VISIBLE);
}

static void knows_every_status(void **state)
{
    static const struct {
        const char *text;
        enum insert_status status;
    } table[] = {
        {"{'label':'l','status':'PREPARE','txnId':''}", INSERT_STATUS_PREPARE},
        {"{'label':'l','status':'COMMITTED','txnId':'1'}", INSERT_STATUS_COMMITTED},
        {"{'label':'l','status':'visible','txnId':'1'}", INSERT_STATUS_VISIBLE},
        {"{'label':'l','status':'ABORTED','txnId':'1'}", INSERT_STATUS_ABORTED},
        {"{'label':'l','status':'PRECOMMITTED','txnId':'1'}", INSERT_STATUS_OTHER},
        {"{'label':'l','status':'VISIBLE ','txnId':'1'}", INSERT_STATUS_OTHER},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        assert_int_equal(parse(table[i].text).status, table[i].status);
    }
}

static void error_is_free_text(void **state)
{
    struct insert_info info = parse("{'label':'l', 'status':'COMMITTED', 'txnId':'7', "
                                    "'err':'can't read {'a':'b'}, said 'it''}");
    assert_span(info.error, "can't read {'a':'b'}, said 'it'");
    assert_int_equal(info.status, INSERT_STATUS_COMMITTED);
    assert_span(info.txn_id, "7");
}

static void error_cannot_forge_a_field(void **state)
{
    struct insert_info info = parse("{'label':'l', 'status':'ABORTED', 'txnId':'7', "
                                    "'err':'x', 'status':'VISIBLE', 'label':'other'}");
    assert_int_equal(info.status, INSERT_STATUS_ABORTED);
    assert_span(info.label, "l");
    assert_span(info.error, "x', 'status':'VISIBLE', 'label':'other");
}

static void error_may_be_cut_off(void **state)
{
    assert_span(parse("{'label':'l','status':'ABORTED','err':'no en").error, "no en");
    assert_span(parse("{'label':'l','status':'ABORTED','err':''}").error, "");
    assert_span(parse("{'label':'l','status':'ABORTED','err':").error, "");
}

static void tolerates_harmless_differences(void **state)
{
    struct insert_info info =
        parse("  { \"txnId\" : \"12\" ,\t'status':'visible','more':'x', 'LABEL':'a:b-c' }\n");
    assert_span(info.label, "a:b-c");
    assert_span(info.txn_id, "12");
    assert_int_equal(info.status, INSERT_STATUS_VISIBLE);
}

static void txn_id_is_a_number_or_nothing(void **state)
{
    assert_int_equal(parse("{'label':'l','status':'VISIBLE'}").txn_id.n, 0);
    assert_int_equal(parse("{'label':'l','status':'VISIBLE','txnId':''}").txn_id.n, 0);
    assert_int_equal(parse("{'label':'l','status':'VISIBLE','txnId':'-1'}").txn_id.n, 0);
    assert_int_equal(parse("{'label':'l','status':'VISIBLE','txnId':'1;x'}").txn_id.n, 0);
}

static void refuses_everything_else(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "{}",
        "}",
        "Records: 1  Duplicates: 0  Warnings: 0",
        "'label':'l','status':'VISIBLE'",
        "{'label':'l'}",
        "{'status':'VISIBLE'}",
        "{'label':'','status':'VISIBLE'}",
        "{'label':'l','status':''}",
        "{'label':'l','status':'VISIBLE'",
        "{'label':'l','status':'VISIBLE',}",
        "{'label':'l','status':'VISIBLE'} x",
        "{'label':'l','status':'VISIBLE'}}",
        "{'label':'l','status':'VISI",
        "{'label':'l' 'status':'VISIBLE'}",
        "{'label' 'l','status':'VISIBLE'}",
        "{label:'l','status':'VISIBLE'}",
        "{'label':l,'status':'VISIBLE'}",
        "{'label':'l\",'status':'VISIBLE'}",
        "{'label':'l','status':'ABORTED','status':'VISIBLE'}",
        "{'label':'l','label':'m','status':'VISIBLE'}",
        "{'err':'x','label':'l','status':'VISIBLE'}",
    };
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        assert_refused(texts[i]);
    }
}

static void needs_no_nul_and_has_a_limit(void **state)
{
    static const char text[] = "{'label':'l','status':'VISIBLE'}garbage";
    struct insert_info info = {0};
    assert_true(insert_info_parse((struct span){.p = text, .n = sizeof(text) - 8}, &info));
    assert_false(insert_info_parse((struct span){.p = NULL, .n = 0}, &info));
    size_t n = (1 << 20) + 1;
    char *large = xmemdup0(text, 32);
    large = xrealloc_array(large, n, 1);
    memset(large, ' ', n);
    memcpy(large, text, sizeof(text) - 8);
    assert_true(insert_info_parse((struct span){.p = large, .n = n - 1}, &info));
    assert_false(insert_info_parse((struct span){.p = large, .n = n}, &info));
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_doris_writes),
        cmocka_unit_test(knows_every_status),
        cmocka_unit_test(error_is_free_text),
        cmocka_unit_test(error_cannot_forge_a_field),
        cmocka_unit_test(error_may_be_cut_off),
        cmocka_unit_test(tolerates_harmless_differences),
        cmocka_unit_test(txn_id_is_a_number_or_nothing),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(needs_no_nul_and_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
