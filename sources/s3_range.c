#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "sources/s3_range.h"

enum { MAX_KEY_TEXT = 3 * 8192 }; /* every byte of the longest key as %XX */

static bool bad_range(struct err *err, const char *what)
{
    return err_say(err, "the stored range of the task is damaged: %s", what);
}

static bool read_file(const json_t *file, struct s3_file *ret, struct err *err)
{
    const json_t *size = json_object_get(file, "size");
    *ret = (struct s3_file){
        .key = json_string_value(json_object_get(file, "key")),
        .etag = json_string_value(json_object_get(file, "etag")),
        .size = json_integer_value(size),
        .was_bad = json_is_true(json_object_get(file, "bad")),
    };
    if (ret->key == NULL || ret->key[0] == '\0' || ret->etag == NULL || !json_is_integer(size)) {
        return bad_range(err, "a file lacks its key, ETag or size");
    }
    return true;
}

bool s3_range_read(const char *range, struct s3_range *ret, struct err *err)
{
    _cleanup_s3_range_ struct s3_range r = {0};
    json_error_t why;
    r.root = json_loads(range, 0, &why);
    const json_t *files = json_object_get(r.root, "files");
    size_t n = json_array_size(files);
    if (n == 0) {
        return bad_range(err, r.root == NULL ? why.text : "it has no files");
    }
    r.files = xcalloc(n, sizeof(*r.files));
    for (; r.n_files < n; r.n_files++) {
        struct s3_file *f = &r.files[r.n_files];
        if (!read_file(json_array_get(files, r.n_files), f, err)) {
            return false;
        }
        if (r.n_files > 0 && strcmp(f[-1].key, f->key) >= 0) {
            return bad_range(err, "its keys do not rise");
        }
    }
    *ret = (struct s3_range){take_ptr(r.root), take_ptr(r.files), r.n_files};
    return true;
}

void s3_range_fini(struct s3_range *r)
{
    json_decref(r->root);
    free(r->files);
    *r = (struct s3_range){0};
}

void s3_marks_add(struct file_marks *marks, const struct s3_mark_rules *rules,
                  const struct file_mark *mark)
{
    size_t n = marks->n_marks;
    if ((n & (n - 1)) == 0) { /* grows at powers of two */
        marks->marks = xrealloc_array(marks->marks, n > 0 ? 2 * n : 1, sizeof(*marks->marks));
    }
    assert(strlen(mark->key) >= rules->prefix_len);
    marks->marks[n] = *mark;
    marks->marks[n].key = xstrdup(mark->key + rules->prefix_len);
    marks->n_marks++;
}

static void settle(struct file_marks *marks, const char *key)
{
    marks->settled = xrealloc_array(marks->settled, marks->n_settled + 1, sizeof(*marks->settled));
    marks->settled[marks->n_settled++] = xstrdup(key);
}

static bool add_marks(const struct s3_range *r, const struct s3_mark_rules *rules, bool is_bad,
                      struct file_marks *ret, struct err *err)
{
    for (size_t i = 0; rules->is_tracked && i < r->n_files; i++) {
        const struct s3_file *f = &r->files[i];
        if (strlen(f->key) < rules->prefix_len) {
            return bad_range(err, "a file is not below the prefix of the job's uri");
        }
        s3_marks_add(ret, rules,
                     &(struct file_mark){.key = (char *)f->key, /* copied, not kept */
                                         .tag = s3_etag_tag(f->etag),
                                         .size = f->size,
                                         .is_bad = is_bad});
    }
    return true;
}

bool s3_range_marks(const char *range, const struct s3_mark_rules *rules, struct file_marks *ret,
                    struct err *err)
{
    _cleanup_s3_range_ struct s3_range r = {0};
    _cleanup_file_marks_ struct file_marks marks = {0};
    if (!s3_range_read(range, &r, err) || !add_marks(&r, rules, false, &marks, err)) {
        return false;
    }
    for (size_t i = 0; i < r.n_files; i++) {
        if (r.files[i].was_bad) {
            settle(&marks, r.files[i].key);
        }
    }
    *ret = marks;
    marks = (struct file_marks){0};
    return true;
}

bool s3_range_bad(const char *range, const struct s3_mark_rules *rules, struct file_marks *ret,
                  struct bad_file *ret_bad, struct err *err)
{
    _cleanup_s3_range_ struct s3_range r = {0};
    _cleanup_file_marks_ struct file_marks marks = {0};
    if (!s3_range_read(range, &r, err) || !add_marks(&r, rules, true, &marks, err)) {
        return false;
    }
    if (r.n_files != 1) {
        return bad_range(err, "one file of it was to be set aside, but it has several");
    }
    *ret_bad = (struct bad_file){
        .key = xstrdup(r.files[0].key), .etag = xstrdup(r.files[0].etag), .size = r.files[0].size};
    *ret = marks;
    marks = (struct file_marks){0};
    return true;
}

/* FNV-1a: ETags are hashes themselves, and nobody gains by two that meet. */
int64_t s3_etag_tag(const char *etag)
{
    uint64_t h = UINT64_C(14695981039346656037);
    if (etag[0] == '\0') {
        return 0;
    }
    for (const char *c = etag; *c != '\0'; c++) {
        h = (h ^ (unsigned char)*c) * UINT64_C(1099511628211);
    }
    return h != 0 ? (int64_t)h : 1;
}

bool s3_is_utf8(struct span text)
{
    json_t *value = json_stringn(text.p, text.n);
    json_decref(value);
    return value != NULL;
}

/* Length of the valid UTF-8 character at the beginning of a text of at most 4 bytes; else 0. */
static size_t character_len(struct span rest)
{
    for (size_t n = 1; n <= 4 && n <= rest.n; n++) {
        if (s3_is_utf8((struct span){rest.p, n})) {
            return n;
        }
    }
    return 0;
}

char *s3_whole_key(struct span key)
{
    if (s3_is_utf8(key)) {
        return span_dup(key);
    }
    struct buf b = buf_with_max(MAX_KEY_TEXT);
    for (size_t i = 0; i < key.n;) {
        size_t n = character_len((struct span){key.p + i, key.n - i});
        if (n == 0) {
            buf_printf(&b, "%%%02X", (unsigned char)key.p[i]);
            n = 1;
        } else {
            buf_append(&b, key.p + i, n);
        }
        i += n;
    }
    return buf_take_text(&b);
}

static char *hex_of(const char *key)
{
    struct buf b = buf_with_max(MAX_KEY_TEXT);
    for (const char *c = key; *c != '\0'; c++) {
        buf_printf(&b, "%02x", (unsigned char)*c);
    }
    return buf_take_text(&b);
}

char *s3_offset_text(const char *key)
{
    json_t *root = NULL;
    if (s3_is_utf8(span_of(key))) {
        root = json_pack("{s:s}", "fileName", key);
    } else {
        _cleanup_free_ char *shown = s3_whole_key(span_of(key));
        _cleanup_free_ char *hex = hex_of(key);
        root = json_pack("{s:s, s:s}", "fileName", shown, "bytes", hex);
    }
    char *text = root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    if (text == NULL) {
        abort(); /* made of checked texts, so only memory can be missing: as in xmalloc.h */
    }
    return text;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL: not the hex digits of a key. */
static char *key_of_hex(const char *hex)
{
    struct buf b = buf_with_max(MAX_KEY_TEXT);
    size_t n = strlen(hex);
    for (size_t i = 0; i + 1 < n; i += 2) {
        int high = hex_value(hex[i]);
        int low = hex_value(hex[i + 1]);
        if (high < 0 || low < 0 || high + low == 0) {
            n = 1; /* wrong, as an odd number of digits is */
            break;
        }
        buf_append_char(&b, (char)(high * 16 + low));
    }
    if (n % 2 != 0 || !buf_ok(&b)) {
        buf_fini(&b);
        return NULL;
    }
    return buf_take_text(&b);
}

char *s3_offset_key(const char *offset, struct err *err)
{
    json_error_t why;
    json_t *root = json_loads(offset, 0, &why);
    const char *key = json_string_value(json_object_get(root, "fileName"));
    const char *hex = json_string_value(json_object_get(root, "bytes"));
    char *copy = key == NULL ? NULL : hex != NULL ? key_of_hex(hex) : xstrdup(key);
    json_decref(root);
    if (copy == NULL) {
        (void)err_say(err, "the offset %s is not {\"fileName\": \"<object key>\"}%s%s", offset,
                      root == NULL ? ": " : "", root == NULL ? why.text : "");
    }
    return copy;
}
