/* base/: spans, numbers, buffers, errors, and messages between threads. */
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/msgq.h"
#include "base/span.h"
#include "base/xmalloc.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        bool is_number;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"10s", false, 0},
        {"0x10", false, 0},
        {"007", true, 7},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        int64_t n = 42;
        bool is_number = span_to_int64(span_of(cases[i].text), INT64_MIN, INT64_MAX, &n);
        assert_int_equal(is_number, cases[i].is_number);
        assert_true(n == (is_number ? cases[i].value : 42)); /* untouched on failure */
    }
    int64_t n = 0;
    assert_false(span_to_int64(SPAN_LIT("11"), 1, 10, &n));
    assert_true(span_to_int64(SPAN_LIT("10"), 1, 10, &n));
}

static void test_span_order_is_that_of_bytes(void **state)
{
    /* U+FF01 sorts before U+10000 in UTF-8, behind it in UTF-16: keys follow UTF-8. */
    assert_true(span_cmp(SPAN_LIT("\xef\xbc\x81"), SPAN_LIT("\xf0\x90\x80\x80")) < 0);
    assert_true(span_cmp(SPAN_LIT("a"), SPAN_LIT("ab")) < 0);
    assert_true(span_cmp(SPAN_LIT("ab"), SPAN_LIT("ab")) == 0);
    assert_true(span_cmp(SPAN_LIT(""), SPAN_LIT("a")) < 0);
    assert_true(span_ieq(SPAN_LIT("JoB"), SPAN_LIT("job")));
    assert_false(span_ieq(SPAN_LIT("job"), SPAN_LIT("jobs")));
    struct span s = span_trim(SPAN_LIT(" \t x y\r\n"));
    assert_true(span_eq_text(s, "x y"));
}

static void test_buf_is_sticky_at_its_maximum(void **state)
{
    struct buf b = buf_with_max(10);
    buf_append_text(&b, "12345");
    buf_append_text(&b, "67890");
    assert_true(buf_ok(&b));
    assert_int_equal(b.len, 10);
    buf_append_char(&b, 'x');
    assert_false(buf_ok(&b));
    buf_reset(&b);
    buf_append_text(&b, "abc");
    assert_true(buf_ok(&b));
    assert_string_equal(buf_text(&b), "abc");
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_false(buf_ok(&b));
    buf_fini(&b);
}

static void test_buf_consume_and_take(void **state)
{
    struct buf b = buf_with_max(1 << 20);
    for (int i = 0; i < 1000; i++) {
        buf_printf(&b, "%04d", i);
    }
    buf_consume(&b, 4 * 999);
    assert_true(span_eq_text(buf_span(&b), "0999"));
    char *text = buf_take_text(&b);
    assert_string_equal(text, "0999");
    assert_int_equal(b.len, 0);
    free(text);
    buf_fini(&b);
}

static void test_err_cut_keeps_utf8_whole(void **state)
{
    struct err err = {0};
    char text[ERR_MSG_SIZE + 100];
    for (size_t i = 0; i + 2 < sizeof(text); i += 2) {
        memcpy(text + i, "\xc3\xa9", 2);
    }
    text[sizeof(text) - 2] = '\0';
    assert_false(err_set(&err, 1234, "HY000", "x%s", text));
    size_t n = strlen(err.msg);
    assert_true(n < ERR_MSG_SIZE);
    assert_int_equal((unsigned char)err.msg[n - 1], 0xa9);
    assert_int_equal(err.code, 1234);
    assert_false(err_prefix(&err, "before: "));
    assert_memory_equal(err.msg, "before: x", 9);
    assert_int_equal(err.code, 1234);
}

static void test_clock_text(void **state)
{
    char text[CLOCK_TEXT_SIZE];
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    clock_format_wall(INT64_C(1758538737484), text);
    assert_string_equal(text, "2025-09-22 10:58:57");
}

enum { N_SENDERS = 4, N_EACH = 20000 };

struct number {
    struct msg m;
    int sender;
    int n;
};

struct receiver {
    struct event_base *base;
    struct msgq *q;
    int next[N_SENDERS];
    int n_received;
};

static void free_number(struct msg *m)
{
    free(m);
}

static void on_number(struct msg *m, void *arg)
{
    struct receiver *r = arg;
    struct number *number = (struct number *)m;
    assert_int_equal(number->n, r->next[number->sender]); /* in each sender's order */
    r->next[number->sender]++;
    r->n_received++;
    free(m);
    if (r->n_received == N_SENDERS * N_EACH) {
        (void)event_base_loopbreak(r->base);
    }
}

struct sender {
    struct msgq *q;
    int index;
    pthread_t thread;
};

static void *send_numbers(void *arg)
{
    struct sender *s = arg;
    for (int i = 0; i < N_EACH; i++) {
        struct number *number = xcalloc(1, sizeof(*number));
        number->m.destroy = free_number;
        number->sender = s->index;
        number->n = i;
        (void)msgq_send(s->q, &number->m);
    }
    return NULL;
}

static void test_msgq_between_threads(void **state)
{
    struct err err = {0};
    struct receiver r = {.base = event_base_new()};
    struct sender senders[N_SENDERS];
    struct timeval deadline = {.tv_sec = 30};
    r.q = msgq_create(r.base, on_number, &r, &err);
    assert_non_null(r.q);
    for (int i = 0; i < N_SENDERS; i++) {
        senders[i] = (struct sender){.q = r.q, .index = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_numbers, &senders[i]), 0);
    }
    (void)event_base_loopexit(r.base, &deadline);
    (void)event_base_dispatch(r.base);
    for (int i = 0; i < N_SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
    }
    assert_int_equal(r.n_received, N_SENDERS * N_EACH);

    struct number *left = xcalloc(1, sizeof(*left));
    left->m.destroy = free_number;
    assert_true(msgq_send(r.q, &left->m)); /* destroyed with the queue */
    msgq_close(r.q);
    struct number *refused = xcalloc(1, sizeof(*refused));
    refused->m.destroy = free_number;
    assert_false(msgq_send(r.q, &refused->m)); /* destroyed at once */
    msgq_destroy(r.q);
    event_base_free(r.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_span_order_is_that_of_bytes),
        cmocka_unit_test(test_buf_is_sticky_at_its_maximum),
        cmocka_unit_test(test_buf_consume_and_take),
        cmocka_unit_test(test_err_cut_keeps_utf8_whole),
        cmocka_unit_test(test_clock_text),
        cmocka_unit_test(test_msgq_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
