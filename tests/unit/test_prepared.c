/* Local prepared statements: ids, what an EXECUTE binds, long data, cursors, and every bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/packet.h"
#include "proxy/prepared.h"
#include "proxy/result.h"

enum { ERR_WRONG_ARGUMENTS = 1210 };

#define HEAD       "\x17\0\0\0\0\0\1\0\0\0" /* the id is not looked at again */
#define SPAN(text) ((struct span){text, sizeof(text) - 1})

static struct prepared *add(struct prepared_set *set, const char *text)
{
    struct err err = {0};
    struct prepared *st = prepared_add(set, span_of(text), &err);
    assert_non_null(st);
    return st;
}

/* The bound text, or the error's. */
static char *bind_with(struct prepared_set *set, struct prepared *st, struct span payload,
                       uint64_t capabilities)
{
    struct err err = {0};
    struct buf out = buf_with_max(PREPARED_BOUND_MAX);
    bool has_cursor = false;
    if (!prepared_bind(set, st, payload, capabilities, &out, &has_cursor, &err)) {
        buf_fini(&out);
        assert_int_not_equal(err.code, 0);
        return xstrdup(err.msg);
    }
    assert_int_equal(has_cursor, (payload.p[5] & 1) != 0);
    return buf_take_text(&out);
}

static void check_bind(const char *text, struct span payload, const char *expected)
{
    struct prepared_set *set = prepared_create();
    struct prepared *st = add(set, text);
    _cleanup_free_ char *bound = bind_with(set, st, payload, 0);
    if (strstr(bound, expected) == NULL) {
        fail_msg("%s: %s", text, bound);
    }
    prepared_destroy(set);
}

static void test_values(void **state)
{
    (void)state;
    check_bind("a", SPAN(HEAD), "a");
    check_bind("? b", SPAN(HEAD "\0\1\x01\0\xfb"), "-5 b");
    check_bind("? b", SPAN(HEAD "\0\1\x01\x80\xfb"), "251 b");
    check_bind("?", SPAN(HEAD "\0\1\x02\0\xff\xff"), "-1");
    check_bind("?", SPAN(HEAD "\0\1\x03\0\0\0\0\x80"), "-2147483648");
    check_bind("?", SPAN(HEAD "\0\1\x08\x80\xff\xff\xff\xff\xff\xff\xff\xff"),
               "18446744073709551615");
    check_bind("?", SPAN(HEAD "\0\1\x08\0\0\0\0\0\0\0\0\x80"), "-9223372036854775808");
    check_bind("?", SPAN(HEAD "\0\1\x05\0\0\0\0\0\0\0\xf0\x3f"), "1");
    check_bind("?", SPAN(HEAD "\0\1\x05\0\0\0\0\0\0\0\xe0\xbf"), "-0.5");
    check_bind("?", SPAN(HEAD "\0\1\x04\0\xcd\xcc\xcc\x3d"), "0.1");
    check_bind("?", SPAN(HEAD "\0\1\x04\0\0\0\x80\x7f"), "not a finite number");
    check_bind("?", SPAN(HEAD "\0\1\x06\0"), "NULL");
    check_bind("?", SPAN(HEAD "\1\1\x08\0"), "NULL");
    check_bind("?", SPAN(HEAD "\0\1\x0a\0\0"), "'0000-00-00'");
    check_bind("?", SPAN(HEAD "\0\1\x0c\0\0"), "'0000-00-00 00:00:00'");
    check_bind("?", SPAN(HEAD "\0\1\x0c\0\4\xea\7\2\3"), "'2026-02-03 00:00:00'");
    check_bind("?", SPAN(HEAD "\0\1\x0b\0\x08\1\2\0\0\0\3\4\5"), "'-51:04:05'");
    check_bind("?", SPAN(HEAD "\0\1\x0b\0\0"), "'00:00:00'");
    check_bind("?", SPAN(HEAD "\0\1\xfe\0\4it's"), "'it''s'");
    check_bind("?", SPAN(HEAD "\0\1\xf6\0\4-1.5"), "-1.5");
    check_bind("?",
               SPAN(HEAD "\0\1\xf6\0\5"
                         "1 or1"),
               "'1 or1'");
    check_bind("?+?", SPAN(HEAD "\2\1\x01\0\x01\0\7"), "7+NULL");
}

static void test_malformed(void **state)
{
    static const struct span payloads[] = {
        SPAN("\x17\0\0\0\0\0\1\0\0"),
        SPAN(HEAD),
        SPAN(HEAD "\0"),
        SPAN(HEAD "\0\0"),
        SPAN(HEAD "\0\1\x03"),
        SPAN(HEAD "\0\1\x03\0\1\2\3"),
        SPAN(HEAD "\0\1\xfe\0\xfb"),
        SPAN(HEAD "\0\1\xfe\0\5abc"),
        SPAN(HEAD "\0\1\xfe\0\xff"),
        SPAN(HEAD "\0\1\xfe\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff"),
        SPAN(HEAD "\0\1\x0c\0\3\1\1\1"),
        SPAN(HEAD "\0\1\x0c\0\x0c\1\1\1\1\1\1\1\1\1\1\1\1"),
        SPAN(HEAD "\0\1\x0b\0\7\1\1\1\1\1\1\1"),
        SPAN(HEAD "\0\1\x99\0\1"),
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
        check_bind("?", payloads[i], "Incorrect arguments to mysqld_stmt_execute: ");
    }
}

/* Types are kept from one EXECUTE to the next; attributes stand behind the parameters. */
static void test_types_and_attributes(void **state)
{
    struct prepared_set *set = prepared_create();
    struct prepared *st = add(set, "?");
    (void)state;
    _cleanup_free_ char *first = bind_with(set, st, SPAN(HEAD "\0\1\x01\0\5"), 0);
    _cleanup_free_ char *second = bind_with(set, st, SPAN(HEAD "\0\0\6"), 0);
    assert_string_equal(first, "5");
    assert_string_equal(second, "6");
    _cleanup_free_ char *with = bind_with(set, st,
                                          SPAN("\x17\0\0\0\0\x08\1\0\0\0"
                                               "\2\0\1\x01\0\0\xfe\0\1a\7\2bc"),
                                          CAP_QUERY_ATTRIBUTES);
    assert_string_equal(with, "7");
    _cleanup_free_ char *few =
        bind_with(set, st, SPAN("\x17\0\0\0\0\x08\1\0\0\0\0"), CAP_QUERY_ATTRIBUTES);
    assert_non_null(strstr(few, "another number of parameters"));
    prepared_destroy(set);
}

static void test_long_data(void **state)
{
    struct prepared_set *set = prepared_create();
    struct prepared *st = add(set, "? ?");
    (void)state;
    prepared_long_data(set, st, SPAN("\x18\0\0\0\0\1\0it"));
    prepared_long_data(set, st, SPAN("\x18\0\0\0\0\1\0's"));
    _cleanup_free_ char *both = bind_with(set, st, SPAN(HEAD "\0\1\x01\0\xfc\0\5"), 0);
    assert_string_equal(both, "5 'it''s'");
    prepared_long_data(set, st, SPAN("\x18\0\0\0\0\2\0x"));
    _cleanup_free_ char *none = bind_with(set, st, SPAN(HEAD "\0\1\x01\0\x01\0\5\6"), 0);
    assert_non_null(strstr(none, "none of the statement's"));
    _cleanup_free_ char *after = bind_with(set, st, SPAN(HEAD "\0\1\x01\0\x01\0\5\6"), 0);
    assert_string_equal(after, "5 6");
    char *big = xcalloc(1, (1 << 20) + 7);
    for (int i = 0; i < 20; i++) { /* more than PREPARED_LONG_MAX: lost, and bounded */
        prepared_long_data(set, st, (struct span){big, (1 << 20) + 7});
    }
    _cleanup_free_ char *lost = bind_with(set, st, SPAN(HEAD "\0\1\xfc\0\x01\0\6"), 0);
    assert_non_null(strstr(lost, "these are larger"));
    prepared_long_data(set, st, SPAN("\x18\0\0\0\0\0\0"));
    prepared_reset(set, st);
    _cleanup_free_ char *reset = bind_with(set, st, SPAN(HEAD "\0\1\x01\0\x01\0\5\6"), 0);
    assert_string_equal(reset, "5 6");
    free(big);
    prepared_destroy(set);
}

static void test_ids(void **state)
{
    struct prepared_set *set = prepared_create();
    struct err err = {0};
    uint32_t ids[PREPARED_MAX];
    (void)state;
    assert_false(prepared_is_ours(set, PREPARED_LAST));
    assert_true(prepared_is_empty(set));
    for (size_t i = 0; i < PREPARED_MAX; i++) {
        ids[i] = prepared_id(add(set, "x"));
        assert_true(ids[i] >= PREPARED_FIRST && ids[i] != PREPARED_LAST);
        assert_int_equal(prepared_id(prepared_find(set, PREPARED_LAST)), ids[i]);
    }
    for (size_t i = 0; i < PREPARED_MAX; i++) {
        assert_int_equal(prepared_id(prepared_find(set, ids[i])), ids[i]);
    }
    assert_null(prepared_add(set, SPAN_LIT("x"), &err));
    assert_int_equal(err.code, 1461);
    assert_string_equal(err.sqlstate, "42000");
    prepared_remove(set, prepared_find(set, ids[7]));
    assert_null(prepared_find(set, ids[7]));
    uint32_t again = prepared_id(add(set, "y"));
    assert_int_not_equal(again, ids[7]);
    assert_null(prepared_find(set, ids[7]));
    prepared_last_is_fe(set);
    assert_false(prepared_is_ours(set, PREPARED_LAST));
    assert_null(prepared_find(set, PREPARED_LAST));
    assert_true(prepared_is_ours(set, ids[7]) && !prepared_is_ours(set, 5));
    prepared_last_failed(set);
    assert_true(prepared_is_ours(set, PREPARED_LAST));
    assert_null(prepared_find(set, PREPARED_LAST));
    prepared_clear(set);
    assert_true(prepared_is_empty(set));
    assert_null(prepared_find(set, again));
    assert_int_not_equal(prepared_id(add(set, "z")), ids[0]);
    prepared_destroy(set);
}

static void test_text_bound(void **state)
{
    struct prepared_set *set = prepared_create();
    struct err err = {0};
    char *text = xcalloc(1, 1 << 20);
    size_t n = 0;
    (void)state;
    while (prepared_add(set, (struct span){text, 1 << 20}, &err) != NULL) {
        n++;
    }
    assert_int_equal(n, PREPARED_TEXTS_MAX >> 20);
    assert_int_equal(err.code, 1461);
    memset(text, '?', 1 << 20);
    prepared_clear(set);
    assert_null(prepared_add(set, (struct span){text, 70000}, &err));
    assert_int_equal(err.code, 1390);
    free(text);
    prepared_destroy(set);
}

static void put_result(struct buf *packets, int n_rows)
{
    static const struct result_form form = {.sequence = 1, .format = RESULT_FORMAT_CURSOR};
    static const struct result_column column = {"a", RESULT_INT};
    struct result r;
    result_begin(&r, packets, &form);
    result_columns(&r, &column, 1);
    for (int i = 0; i < n_rows; i++) {
        const struct result_cell cell = {.type = RESULT_INT, .text = SPAN_LIT("x"), .integer = i};
        result_row(&r, &cell, 1);
    }
    result_end(&r);
}

static void test_cursor(void **state)
{
    struct prepared_set *set = prepared_create();
    struct prepared *st = add(set, "x");
    struct err err = {0};
    _cleanup_buf_ struct buf packets = buf_with_max(1 << 20);
    _cleanup_buf_ struct buf out = buf_with_max(1 << 20);
    (void)state;
    assert_false(prepared_fetch(set, st, 1, 0, &out, &err));
    assert_int_equal(err.code, 1421);
    put_result(&packets, 3);
    size_t n_all = packets.len;
    assert_true(prepared_open_cursor(set, st, &packets, &err));
    assert_int_equal(packets.len, n_all - 3 * 14);
    assert_memory_equal(packets.data + packets.len - 5, "\xfe\0\0\x40\0", 5);
    assert_true(prepared_fetch(set, st, 2, 0, &out, &err));
    assert_int_equal(out.len, 2 * 14 + 9);
    assert_int_equal(out.data[3], 1);
    assert_int_equal(out.data[14 + 3], 2);
    assert_memory_equal(out.data + 28, "\5\0\0\3\xfe\0\0\x40\0", 9);
    buf_reset(&out);
    assert_true(prepared_fetch(set, st, 2, CAP_DEPRECATE_EOF, &out, &err));
    assert_int_equal(out.len, 14 + 11);
    assert_memory_equal(out.data + 14, "\7\0\0\2\xfe\0\0\x80\0\0\0", 11);
    assert_false(prepared_fetch(set, st, 1, 0, &out, &err));
    prepared_destroy(set);
}

/* All cursors of a session together. */
static void test_cursor_bound(void **state)
{
    struct prepared_set *set = prepared_create();
    struct err err = {0};
    int n = 0;
    bool is_ok = true;
    (void)state;
    for (; is_ok && n < 100; n++) {
        struct buf packets = buf_with_max(64 << 20);
        put_result(&packets, 300000);
        is_ok = prepared_open_cursor(set, add(set, "x"), &packets, &err);
        buf_fini(&packets);
    }
    assert_int_equal(n, 16); /* 4.2 MB each */
    assert_non_null(strstr(err.msg, "64 MB"));
    prepared_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_types_and_attributes),
        cmocka_unit_test(test_long_data),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_text_bound),
        cmocka_unit_test(test_cursor),
        cmocka_unit_test(test_cursor_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
