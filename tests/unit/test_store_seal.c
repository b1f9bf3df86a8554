/* store_key.c and store_seal.c: the key file, and texts encrypted with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "scheduler/store_seal.h"

#define HEADER  "Sluice store key, version 1\n"
#define KEY_1   "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define KEY_2   "FF0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define LONGEST (1 << 20)

static const struct store_place here = {
    .table = "jobs", .column = "sql", .job_id = 12, .task_id = 3};

static void make_seal(struct store_seal *seal, const char *keys)
{
    struct err err = {0};
    _cleanup_free_ char *text = xasprintf("%s%s", HEADER, keys);
    *seal = (struct store_seal){0};
    assert_true(store_key_parse(span_of(text), "k", &seal->keys, &err));
}

static void test_round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 1000, LONGEST};
    struct store_seal seal;
    make_seal(&seal, KEY_1);
    for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
        _cleanup_free_ char *plain = xcalloc(1, sizes[i] + 1);
        memset(plain, 's', sizes[i]);
        _cleanup_free_ char *a = store_seal_close(&seal, &here, span_of(plain));
        _cleanup_free_ char *b = store_seal_close(&seal, &here, span_of(plain));
        assert_non_null(a);
        assert_non_null(b);
        assert_string_not_equal(a, b);          /* no nonce twice */
        assert_null(strstr(a, "ssssssssssss")); /* four would come by chance in base64 of a MB */
        _cleanup_free_ char *back = store_seal_open(&seal, &here, span_of(a));
        assert_non_null(back);
        assert_string_equal(back, plain);
        assert_true(span_eq_text(store_seal_key_id(span_of(a)), seal.keys.items[0].id));
    }
    store_seal_fini(&seal);
    assert_int_equal(seal.keys.n, 0);
}

static void expect_closed(struct store_seal *seal, const struct store_place *place,
                          struct span sealed, const char *why)
{
    seal->err = (struct err){0};
    char *plain = store_seal_open(seal, place, sealed);
    assert_null(plain);
    assert_true(err_is_set(&seal->err));
    if (strstr(seal->err.msg, why) == NULL) {
        print_error("\"%s\" lacks \"%s\"\n", seal->err.msg, why);
        fail();
    }
}

/* Each bit of each byte, each length, and something behind. */
static void test_changes_are_noticed(void **state)
{
    struct store_seal seal;
    make_seal(&seal, KEY_1);
    _cleanup_free_ char *sealed = store_seal_close(&seal, &here, SPAN_LIT("a secret text"));
    size_t n = strlen(sealed);
    for (size_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            _cleanup_free_ char *changed = xmemdup0(sealed, n);
            changed[i] = (char)(changed[i] ^ (1 << bit));
            expect_closed(&seal, &here, (struct span){changed, n}, "job 12 task 3 is ");
        }
        expect_closed(&seal, &here, (struct span){sealed, i}, "is not what Sluice wrote there");
    }
    static const char *const more[] = {"=", "A", "AAAA", "\n", " ", "===="};
    for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
        _cleanup_free_ char *longer = xasprintf("%s%s", sealed, more[i]);
        expect_closed(&seal, &here, span_of(longer), "is not what Sluice wrote there");
    }
    expect_closed(&seal, &here, SPAN_LIT("INSERT INTO t SELECT 1"), "is not what Sluice wrote");
    store_seal_fini(&seal);
}

static void test_a_value_opens_in_its_place_only(void **state)
{
    static const struct store_place others[] = {
        {"tasks", "sql", 12, 3}, {"jobs", "comment", 12, 3}, {"jobs", "sql", 1, 23},
        {"jobs", "sql", 12, 4},  {"jobs", "sql", 13, 3},
    };
    struct store_seal seal;
    make_seal(&seal, KEY_1);
    _cleanup_free_ char *sealed = store_seal_close(&seal, &here, SPAN_LIT("a secret text"));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        expect_closed(&seal, &others[i], span_of(sealed), "moved from elsewhere");
    }
    store_seal_fini(&seal);
}

static void test_keys(void **state)
{
    struct store_seal one, two, both;
    make_seal(&one, KEY_1);
    make_seal(&two, "# old\n\n" KEY_2);
    make_seal(&both, KEY_2 KEY_1);
    assert_string_not_equal(one.keys.items[0].id, two.keys.items[0].id);
    assert_string_equal(both.keys.items[1].id, one.keys.items[0].id);
    _cleanup_free_ char *sealed = store_seal_close(&one, &here, SPAN_LIT("text"));
    expect_closed(&two, &here, span_of(sealed), "which the key file does not hold");
    expect_closed(&two, &here, span_of(sealed), one.keys.items[0].id);
    _cleanup_free_ char *back = store_seal_open(&both, &here, span_of(sealed));
    assert_string_equal(back, "text");
    _cleanup_free_ char *again = store_seal_close(&both, &here, SPAN_LIT("text"));
    assert_true(span_eq_text(store_seal_key_id(span_of(again)), two.keys.items[0].id));
    /* Another key under the same id: the tag tells. */
    one.keys.items[0].bytes[5] ^= 1;
    expect_closed(&one, &here, span_of(sealed), "is not what Sluice wrote there");
    store_seal_fini(&one);
    store_seal_fini(&two);
    store_seal_fini(&both);
}

static const struct {
    const char *text;
    const char *why;
} NO_KEY_FILES[] = {
    {"", "is not a key file"},
    {"hello\n", "is not a key file"},
    {KEY_1, "is not a key file"},
    {"Sluice store key, version 2\n" KEY_1, "is not a key file"},
    {HEADER, "holds no key"},
    {HEADER "# nothing\n", "holds no key"},
    {HEADER "0001\n", "line 2 is not a key"},
    {HEADER KEY_1 "g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "line 3 is"},
    {HEADER KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1 KEY_1
         KEY_1 KEY_1 KEY_1,
     "more than 16 keys"},
};

static void test_what_is_no_key_file(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(NO_KEY_FILES); i++) {
        struct store_keys keys;
        struct err err = {0};
        assert_false(store_key_parse(span_of(NO_KEY_FILES[i].text), "/a/k", &keys, &err));
        assert_non_null(strstr(err.msg, "/a/k"));
        if (strstr(err.msg, NO_KEY_FILES[i].why) == NULL) {
            print_error("\"%s\" lacks \"%s\"\n", err.msg, NO_KEY_FILES[i].why);
            fail();
        }
        assert_null(strstr(err.msg, "0405")); /* a line that is no key may be most of one */
        assert_int_equal(keys.n, 0);
    }
}

static void test_key_files(void **state)
{
    char dir[] = "/tmp/sluice-key-XXXXXX";
    struct store_keys a, b;
    struct err err = {0};
    struct stat info;
    assert_non_null(mkdtemp(dir));
    _cleanup_free_ char *path = xasprintf("%s/k", dir);
    _cleanup_free_ char *other = xasprintf("%s/o", dir);
    _cleanup_free_ char *nowhere = xasprintf("%s/none/k", dir);
    assert_int_equal(store_key_read(path, &a, &err), STORE_KEY_ABSENT);
    assert_true(store_key_create(path, &err));
    assert_true(store_key_create(other, &err));
    assert_int_equal(store_key_read(path, &a, &err), STORE_KEY_OK);
    assert_int_equal(store_key_read(other, &b, &err), STORE_KEY_OK);
    assert_int_equal(a.n, 1);
    assert_memory_not_equal(a.items[0].bytes, b.items[0].bytes, STORE_KEY_SIZE);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
    assert_int_equal(info.st_nlink, 1);
    assert_false(store_key_create(path, &err)); /* never over one that is there */
    assert_non_null(strstr(err.msg, "File exists"));
    assert_int_equal(store_key_read(path, &b, &err), STORE_KEY_OK);
    assert_memory_equal(a.items[0].bytes, b.items[0].bytes, STORE_KEY_SIZE);
    static const mode_t modes[] = {0640, 0604, 0620, 0610, 0777};
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(store_key_read(path, &b, &err), STORE_KEY_FAIL);
        assert_non_null(strstr(err.msg, "may be used by others than its owner"));
        assert_non_null(strstr(err.msg, path));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(store_key_read(path, &b, &err), STORE_KEY_OK);
    assert_int_equal(store_key_read(dir, &b, &err), STORE_KEY_FAIL);
    assert_non_null(strstr(err.msg, "is not a file"));
    assert_false(store_key_create(nowhere, &err));
    assert_non_null(strstr(err.msg, "cannot be made in its directory"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(rmdir(dir), 0); /* nothing else was left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_changes_are_noticed),
        cmocka_unit_test(test_a_value_opens_in_its_place_only),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_what_is_no_key_file),
        cmocka_unit_test(test_key_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
