/* What result.c writes, byte for byte, and read back by the collector of ask.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/xmalloc.h"
#include "proxy/ask.h"
#include "proxy/packet.h"
#include "proxy/result.h"
#include "proxy/track.h"

enum { OUT_MAX = 64 << 20, SMALL_MAX = 4096 };

static const uint64_t forms[] = {
    0,
    CAP_DEPRECATE_EOF,
    CAP_MARIA_CACHE_META,
    CAP_MARIA_CACHE_META | CAP_MARIA_EXTENDED_META | CAP_DEPRECATE_EOF,
    CAP_OPTIONAL_METADATA,
};

/* A tracker that waits for the reply to a COM_QUERY. */
static void begin_query(struct track *t, uint64_t capabilities)
{
    track_init(t, capabilities, capabilities);
    track_server(t, "\7\0\0\2\0\0\0\2\0\0\0", 11);
    t->auth = TRACK_AUTH_NONE;
    track_client_take(t, (struct span){"\1\0\0\0\x03", 5});
    (void)track_client_body(t, 1);
}

static struct ask *read_back(struct track *t, struct span answer, size_t piece, size_t max)
{
    struct ask *a = ask_create(t, max);
    enum ask_step step = ASK_MORE;
    size_t at = 0;
    while (at < answer.n) {
        size_t n = answer.n - at < piece ? answer.n - at : piece;
        size_t used = 0;
        assert_int_equal(step, ASK_MORE);
        step = ask_feed(a, answer.p + at, n, &used);
        assert_int_equal(used, n);
        at += n;
    }
    assert_int_equal(step, ASK_DONE);
    assert_true(track_is_idle(t));
    return a;
}

/* As rows of the text protocol are easiest to write. */
static void put_row(struct result *r, const struct span *texts, size_t n)
{
    struct result_cell cells[4] = {{0}};
    for (size_t i = 0; i < n; i++) {
        cells[i].text = texts[i];
    }
    result_row(r, cells, n);
}

static void put_sample(struct buf *out, uint64_t capabilities)
{
    static const struct result_column columns[] = {
        {"Id", RESULT_INT}, {"Name", RESULT_TEXT}, {"Share", RESULT_DOUBLE}};
    struct result r;
    result_begin(&r, out, &(const struct result_form){.capabilities = capabilities, .sequence = 1});
    result_columns(&r, columns, 3);
    put_row(&r, (const struct span[]){SPAN_LIT("1"), SPAN_LIT("é\"'"), SPAN_LIT("0.5")}, 3);
    put_row(&r, (const struct span[]){SPAN_LIT("2"), {0}, SPAN_LIT("")}, 3);
    result_end(&r);
}

static void test_result_set_is_read_back(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 1 << 20};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(forms) * ARRAY_SIZE(pieces); i++) {
        _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
        struct track t;
        uint64_t capabilities = forms[i / ARRAY_SIZE(pieces)];
        put_sample(&out, capabilities);
        assert_true(buf_ok(&out));
        begin_query(&t, capabilities);
        struct ask *a = read_back(&t, buf_span(&out), pieces[i % ARRAY_SIZE(pieces)], SMALL_MAX);
        const struct answer *answer = ask_answer(a);
        assert_false(answer->is_error);
        assert_int_equal(answer->n_columns, 3);
        assert_int_equal(answer->n_rows, 2);
        assert_string_equal(answer->columns[1], "Name");
        assert_string_equal(answer->cells[0], "1");
        assert_string_equal(answer->cells[1], "é\"'");
        assert_string_equal(answer->cells[3], "2");
        assert_null(answer->cells[4]);
        assert_string_equal(answer->cells[5], "");
        ask_destroy(a);
    }
}

static void test_bytes_classic(void **state)
{
    static const char wanted[] = "\1\0\0\1\1"
                                 "\x18\0\0\2\3def\0\0\0\1n\1n\x0c\x3f\0\x14\0\0\0\x08\x80\0\0\0\0"
                                 "\5\0\0\3\xfe\0\0\0\0"
                                 "\3\0\0\4\2"
                                 "42"
                                 "\1\0\0\5\xfb"
                                 "\5\0\0\6\xfe\0\0\0\0";
    _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
    struct result r;
    (void)state;
    result_begin(&r, &out, &(const struct result_form){.capabilities = 0, .sequence = 1});
    result_columns(&r, &(const struct result_column){"n", RESULT_INT}, 1);
    put_row(&r, &SPAN_LIT("42"), 1);
    put_row(&r, &(struct span){0}, 1);
    result_end(&r);
    assert_int_equal(out.len, sizeof(wanted) - 1);
    assert_memory_equal(out.data, wanted, out.len);
}

static void test_bytes_deprecated(void **state)
{
    static const char end[] = "\7\0\0\3\xfe\0\0\0\0\0\0";
    _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
    struct result r;
    (void)state;
    result_begin(&r, &out,
                 &(const struct result_form){.capabilities = CAP_DEPRECATE_EOF, .sequence = 1});
    result_columns(&r, &(const struct result_column){"n", RESULT_INT}, 1);
    result_end(&r);
    assert_memory_equal(out.data + out.len - (sizeof(end) - 1), end, sizeof(end) - 1);
}

static void test_ok_and_err(void **state)
{
    _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
    struct err err = {0};
    const struct result_form form = {.sequence = 1};
    (void)state;
    result_ok(&out, &form, 300, NULL);
    assert_int_equal(out.len, 13);
    assert_memory_equal(out.data, "\x09\0\0\1\0\xfc\x2c\1\0\0\0\0\0", out.len);
    buf_reset(&out);
    result_ok(&out, &form, 0, "hi");
    assert_memory_equal(out.data, "\x0a\0\0\1\0\0\0\0\0\0\0\2hi", out.len);
    buf_reset(&out);
    (void)err_set(&err, 1105, "HY000", "no");
    result_err(&out, 3, &err);
    assert_memory_equal(out.data, "\x0b\0\0\3\xff\x51\4#HY000no", out.len);
}

static void test_row_of_17_mb(void **state)
{
    enum { CELL_SIZE = 17 << 20 };
    _cleanup_buf_ struct buf out = buf_with_max(OUT_MAX);
    char *cell = xcalloc(1, CELL_SIZE);
    struct track t;
    struct result r;
    (void)state;
    memset(cell, 'x', CELL_SIZE);
    result_begin(&r, &out, &(const struct result_form){.capabilities = 0, .sequence = 1});
    result_columns(&r, &(const struct result_column){"c", RESULT_TEXT}, 1);
    put_row(&r, &(struct span){cell, CELL_SIZE}, 1);
    result_end(&r);
    assert_true(buf_ok(&out));
    begin_query(&t, 0);
    struct ask *a = read_back(&t, buf_span(&out), 65536, OUT_MAX);
    assert_false(ask_answer(a)->is_error);
    assert_int_equal(strlen(ask_answer(a)->cells[0]), CELL_SIZE);
    ask_destroy(a);

    /* Above the cap the answer is an error, but it is read to its end. */
    begin_query(&t, 0);
    a = read_back(&t, buf_span(&out), 65536, ASK_MAX_SIZE);
    assert_true(ask_answer(a)->is_error);
    assert_non_null(strstr(ask_answer(a)->err.msg, "16 MB"));
    ask_destroy(a);
    free(cell);
}

static void test_cap_counts_small_cells(void **state)
{
    enum { N_ROWS = 100000, MAX = 1 << 20 };
    _cleanup_buf_ struct buf out = buf_with_max(OUT_MAX);
    struct track t;
    struct result r;
    (void)state;
    result_begin(&r, &out, &(const struct result_form){.capabilities = 0, .sequence = 1});
    result_columns(&r, &(const struct result_column){"c", RESULT_TEXT}, 1);
    for (int i = 0; i < N_ROWS; i++) {
        put_row(&r, &(struct span){0}, 1); /* one byte here, a pointer there */
    }
    result_end(&r);
    begin_query(&t, 0);
    struct ask *a = read_back(&t, buf_span(&out), 65536, MAX);
    assert_true(ask_answer(a)->is_error);
    ask_destroy(a);
}

static const struct answer *ask_bytes(struct ask **ret, const char *p, size_t n)
{
    static struct track t;
    begin_query(&t, 0);
    *ret = read_back(&t, (struct span){p, n}, 3, SMALL_MAX);
    return ask_answer(*ret);
}

static void test_other_answers(void **state)
{
    static const char ok[] = "\7\0\0\1\0\0\0\2\0\0\0";
    static const char err[] = "\x0b\0\0\1\xff\x28\4#42000no";
    static const char late_err[] = "\1\0\0\1\1"
                                   "\x17\0\0\2\3def\0\0\0\1a\0\x0c\x3f\0\1\0\0\0\3\0\0\0\0\0"
                                   "\5\0\0\3\xfe\0\0\0\0"
                                   "\x0b\0\0\4\xff\x28\4#42000no";
    static const char more[] = "\7\0\0\1\0\0\0\x0a\0\0\0"
                               "\7\0\0\2\0\0\0\2\0\0\0";
    static const char bad_row[] = "\1\0\0\1\1"
                                  "\x17\0\0\2\3def\0\0\0\1a\0\x0c\x3f\0\1\0\0\0\3\0\0\0\0\0"
                                  "\5\0\0\3\xfe\0\0\0\0"
                                  "\2\0\0\4\x09x"
                                  "\5\0\0\5\xfe\0\0\0\0";
    static const char no_definitions[] = "\2\0\0\1\1\0"
                                         "\5\0\0\2\xfe\0\0\0\0"
                                         "\1\0\0\3\xfb"
                                         "\5\0\0\4\xfe\0\0\0\0";
    struct ask *a = NULL;
    (void)state;
    const struct answer *answer = ask_bytes(&a, ok, sizeof(ok) - 1);
    assert_false(answer->is_error);
    assert_int_equal(answer->n_columns, 0);
    ask_destroy(a);
    answer = ask_bytes(&a, err, sizeof(err) - 1);
    assert_true(answer->is_error);
    assert_int_equal(answer->err.code, 1064);
    assert_string_equal(answer->err.msg, "no");
    ask_destroy(a);
    assert_true(ask_bytes(&a, late_err, sizeof(late_err) - 1)->is_error);
    ask_destroy(a);
    assert_false(ask_bytes(&a, more, sizeof(more) - 1)->is_error);
    ask_destroy(a);
    answer = ask_bytes(&a, bad_row, sizeof(bad_row) - 1);
    assert_true(answer->is_error);
    assert_non_null(strstr(answer->err.msg, "malformed"));
    ask_destroy(a);

    struct track t;
    begin_query(&t, CAP_MARIA_CACHE_META);
    a = read_back(&t, (struct span){no_definitions, sizeof(no_definitions) - 1}, 4, SMALL_MAX);
    assert_true(ask_answer(a)->is_error);
    ask_destroy(a);
}

static void test_only_the_first_result_counts(void **state)
{
    _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
    struct track t;
    struct result r;
    (void)state;
    result_begin(&r, &out, &(const struct result_form){.capabilities = 0, .sequence = 1});
    result_columns(&r, &(const struct result_column){"a", RESULT_TEXT}, 1);
    put_row(&r, &SPAN_LIT("first"), 1);
    result_end(&r);
    out.data[out.len - 2] = STATUS_MORE_RESULTS;
    result_columns(&r, (const struct result_column[]){{"b", RESULT_TEXT}, {"c", RESULT_TEXT}}, 2);
    put_row(&r, (const struct span[]){SPAN_LIT("x"), SPAN_LIT("y")}, 2);
    result_end(&r);
    begin_query(&t, 0);
    struct ask *a = read_back(&t, buf_span(&out), 5, SMALL_MAX);
    assert_false(ask_answer(a)->is_error);
    assert_int_equal(ask_answer(a)->n_columns, 1);
    assert_int_equal(ask_answer(a)->n_rows, 1);
    assert_string_equal(ask_answer(a)->cells[0], "first");
    ask_destroy(a);
}

static void test_infile_breaks_a_question(void **state)
{
    static const char infile[] = "\3\0\0\1\xfb/x";
    struct track t;
    size_t used = 0;
    (void)state;
    begin_query(&t, 0);
    struct ask *a = ask_create(&t, SMALL_MAX);
    assert_int_equal(ask_feed(a, infile, sizeof(infile) - 1, &used), ASK_BROKEN);
    ask_destroy(a);
}

/* NULL bitmap from bit 2 on, little-endian numbers, texts with their length. */
static void test_binary_rows(void **state)
{
    static const struct result_form form = {
        .sequence = 250, .status = STATUS_MORE_RESULTS, .format = RESULT_FORMAT_BINARY};
    static const struct result_column columns[] = {
        {"i", RESULT_INT}, {"t", RESULT_TEXT}, {"d", RESULT_DOUBLE}};
    static const struct result_cell rows[][3] = {
        {{RESULT_INT, SPAN_LIT("-2"), -2, 0},
         {RESULT_TEXT, SPAN_LIT("abc"), 0, 0},
         {RESULT_DOUBLE, SPAN_LIT("0.5"), 0, 0.5}},
        {{RESULT_INT, {NULL, 0}, 0, 0},
         {RESULT_TEXT, SPAN_LIT(""), 0, 0},
         {RESULT_DOUBLE, {NULL, 0}, 0, 0}},
    };
    _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
    struct result r;
    (void)state;
    result_begin(&r, &out, &form);
    result_columns(&r, columns, 3);
    size_t at = out.len;
    assert_int_equal(out.data[3], (char)250);
    assert_memory_equal(out.data + at - 9, "\5\0\0\xfe\xfe\0\0\x08\0", 9);
    result_row(&r, rows[0], 3);
    assert_memory_equal(out.data + at,
                        "\x16\0\0\xff\0\0\xfe\xff\xff\xff\xff\xff\xff\xff\3"
                        "abc\0\0\0\0\0\0\xe0\x3f",
                        26);
    at = out.len;
    result_row(&r, rows[1], 3);
    assert_memory_equal(out.data + at, "\3\0\0\0\0\x14\0", 7);
    at = out.len;
    result_end(&r);
    assert_int_equal(out.len, at + 9);
    assert_memory_equal(out.data + at, "\5\0\0\1\xfe\0\0\x08\0", 9);
}

/* The bitmap grows with every eight columns, two bits late. */
static void test_null_bitmap(void **state)
{
    static const size_t sizes[] = {1, 5, 6, 7, 13, 14, 15, 70};
    static const struct result_form form = {.sequence = 1, .format = RESULT_FORMAT_BINARY};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct result_cell cells[70] = {{0}};
        _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
        struct result r;
        size_t n_bytes = (sizes[i] + 7 + 2) / 8;
        result_begin(&r, &out, &form);
        result_row(&r, cells, sizes[i]);
        assert_int_equal(out.len, 4 + 1 + n_bytes);
        for (size_t bit = 0; bit < n_bytes * 8; bit++) {
            bool is_set = ((uint8_t)out.data[5 + bit / 8] >> (bit % 8) & 1) != 0;
            assert_int_equal(is_set, bit >= 2 && bit < sizes[i] + 2);
        }
    }
}

/* As the tracker understands it, in every form. */
static void test_prepared_is_understood(void **state)
{
    static const struct result_column columns[] = {{"a", RESULT_TEXT}, {"b", RESULT_TEXT}};
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(forms) * 4; i++) {
        struct result_form form = {.capabilities = forms[i / 4], .sequence = 1};
        _cleanup_buf_ struct buf out = buf_with_max(SMALL_MAX);
        struct track t;
        track_init(&t, forms[i / 4], forms[i / 4]);
        track_server(&t, "\7\0\0\2\0\0\0\2\0\0\0", 11);
        track_client_take(&t, (struct span){"\1\0\0\0\x16", 5});
        (void)track_client_body(&t, 1);
        result_prepared(&out, &form, 0xf0000001, i % 2 * 3, columns, i / 2 % 2 * 2);
        assert_memory_equal(out.data + 4, "\0\1\0\0\xf0", 5);
        for (size_t at = 0; at < out.len; at++) {
            assert_false(track_is_idle(&t) && track_is_between_packets(&t));
            track_server(&t, out.data + at, 1);
        }
        assert_true(track_is_idle(&t) && track_is_between_packets(&t));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_set_is_read_back),
        cmocka_unit_test(test_bytes_classic),
        cmocka_unit_test(test_bytes_deprecated),
        cmocka_unit_test(test_ok_and_err),
        cmocka_unit_test(test_row_of_17_mb),
        cmocka_unit_test(test_cap_counts_small_cells),
        cmocka_unit_test(test_other_answers),
        cmocka_unit_test(test_only_the_first_result_counts),
        cmocka_unit_test(test_binary_rows),
        cmocka_unit_test(test_null_bitmap),
        cmocka_unit_test(test_prepared_is_understood),
        cmocka_unit_test(test_infile_breaks_a_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
