#include <assert.h>
#include <expat.h>
#include <stdlib.h>

#include "base/buf.h"
#include "sources/s3_list.h"
#include "sources/s3_time.h"

/* The elements read; all others are skipped. `path` is what encloses them, root first. */
enum element {
    EL_OTHER,
    EL_TRUNCATED,
    EL_ENCODING,
    EL_CONTENTS,
    EL_KEY,
    EL_ETAG,
    EL_SIZE,
    EL_MODIFIED,
    EL_CODE,
    EL_MESSAGE,
    EL_REGION,
};

static const struct {
    enum element parent; /* EL_OTHER: directly below the root */
    bool is_error;       /* of <Error>, not of <ListBucketResult> */
    const char *name;
    enum element element;
} ELEMENTS[] = {
    {EL_OTHER, false, "IsTruncated", EL_TRUNCATED},
    {EL_OTHER, false, "EncodingType", EL_ENCODING},
    {EL_OTHER, false, "Contents", EL_CONTENTS},
    {EL_CONTENTS, false, "Key", EL_KEY},
    {EL_CONTENTS, false, "ETag", EL_ETAG},
    {EL_CONTENTS, false, "Size", EL_SIZE},
    {EL_CONTENTS, false, "LastModified", EL_MODIFIED},
    {EL_OTHER, true, "Code", EL_CODE},
    {EL_OTHER, true, "Message", EL_MESSAGE},
    {EL_OTHER, true, "Region", EL_REGION},
};

struct reader {
    XML_Parser parser;
    struct s3_page *page;
    enum element path[S3_MAX_DEPTH]; /* path[0] is the root, EL_OTHER */
    size_t depth;
    bool is_error_root;
    bool is_list_root;
    bool has_truncated;
    bool is_url_encoded;
    struct buf text;         /* of the element being read */
    struct s3_object object; /* the <Contents> being read */
    bool has_size;
    bool is_refused; /* by us; err tells why */
    struct err *err;
};

static void refuse(struct reader *r, const char *why)
{
    if (!r->is_refused) {
        r->is_refused = true;
        (void)err_say(r->err, "the list reply cannot be used: %s (line %lu)", why,
                      (unsigned long)XML_GetCurrentLineNumber(r->parser));
        (void)XML_StopParser(r->parser, XML_FALSE); /* fails only when it is stopped already */
    }
}

static enum element look_up(const struct reader *r, const char *name)
{
    enum element parent = r->path[r->depth - 1];
    if (r->depth > 1 && parent == EL_OTHER) {
        return EL_OTHER; /* below an element that is skipped */
    }
    for (size_t i = 0; i < ARRAY_SIZE(ELEMENTS); i++) {
        if (ELEMENTS[i].parent == parent && ELEMENTS[i].is_error == r->is_error_root &&
            strcmp(ELEMENTS[i].name, name) == 0) {
            return ELEMENTS[i].element;
        }
    }
    return EL_OTHER;
}

static void start_root(struct reader *r, const char *name)
{
    r->is_error_root = strcmp(name, "Error") == 0;
    r->is_list_root = strcmp(name, "ListBucketResult") == 0;
    if (!r->is_error_root && !r->is_list_root) {
        refuse(r, "it is neither a ListBucketResult nor an Error");
    }
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = arg;
    enum element element = EL_OTHER;
    (void)attributes; /* none means anything to us */
    if (r->depth == S3_MAX_DEPTH) {
        refuse(r, "its elements are nested too deeply");
        return;
    }
    if (r->depth == 0) {
        start_root(r, name);
    } else {
        element = look_up(r, name);
    }
    r->path[r->depth++] = element;
    buf_reset(&r->text);
    if (element == EL_CONTENTS && r->page->n_objects == S3_MAX_PAGE_OBJECTS) {
        refuse(r, "it holds more than 10000 objects");
    }
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int len)
{
    struct reader *r = arg;
    if (r->depth == 0 || r->path[r->depth - 1] == EL_OTHER) {
        return;
    }
    buf_append(&r->text, text, (size_t)len);
    if (!buf_ok(&r->text)) {
        refuse(r, "the text of an element is too long");
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The form that encoding-type=url asks for: %XX, and '+' for a blank. NULL: malformed, or a NUL. */
static char *decode_key(struct span s, bool is_url_encoded)
{
    struct buf b = buf_with_max(S3_MAX_TEXT);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_url_encoded && c == '+') {
            c = ' ';
        } else if (is_url_encoded && c == '%') {
            int high = s.n - i > 2 ? hex_value(s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? hex_value(s.p[i + 2]) : -1;
            c = high < 0 || low < 0 ? '\0' : (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            buf_fini(&b);
            return NULL;
        }
        buf_append_char(&b, c);
    }
    return buf_take_text(&b);
}

static struct span unquoted(struct span s)
{
    s = span_trim(s);
    if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"') {
        return (struct span){s.p + 1, s.n - 2};
    }
    return s;
}

/* A text is given once; a second one must not leak the first. */
static void put_text(char **to, char *text)
{
    free(*to);
    *to = text;
}

static void object_fini(struct s3_object *o)
{
    free(o->key);
    free(o->etag);
    *o = (struct s3_object){0};
}

static void end_contents(struct reader *r)
{
    struct s3_page *page = r->page;
    if (r->object.key == NULL || r->object.key[0] == '\0' || !r->has_size) {
        refuse(r, "an object lacks its key or size");
        return;
    }
    if (r->object.etag == NULL) {
        r->object.etag = xstrdup("");
    }
    if ((page->n_objects & (page->n_objects - 1)) == 0) { /* grows at powers of two */
        size_t size = page->n_objects > 0 ? page->n_objects * 2 : 1;
        page->objects = xrealloc_array(page->objects, size, sizeof(*page->objects));
    }
    page->objects[page->n_objects++] = r->object;
    r->object = (struct s3_object){0};
    r->has_size = false;
}

static void end_element(struct reader *r, enum element element)
{
    struct span text = buf_span(&r->text);
    struct s3_page *page = r->page;
    switch (element) {
    case EL_OTHER: break;
    case EL_TRUNCATED:
        r->has_truncated = true;
        page->is_truncated = span_ieq_text(span_trim(text), "true");
        if (!page->is_truncated && !span_ieq_text(span_trim(text), "false")) {
            refuse(r, "IsTruncated is neither true nor false");
        }
        break;
    case EL_ENCODING:
        /* Before the keys or behind them: keys are decoded when the page is complete. */
        r->is_url_encoded = span_ieq_text(span_trim(text), "url");
        break;
    case EL_CONTENTS: end_contents(r); break;
    case EL_KEY: put_text(&r->object.key, span_dup(text)); break;
    case EL_ETAG: put_text(&r->object.etag, span_dup(unquoted(text))); break;
    case EL_SIZE:
        r->has_size = span_to_int64(span_trim(text), 0, INT64_MAX, &r->object.size);
        if (!r->has_size) {
            refuse(r, "the size of an object is not a number");
        }
        break;
    case EL_MODIFIED: r->object.modified_ms = s3_time_ms(span_trim(text)); break;
    case EL_CODE: put_text(&page->error_code, span_dup(span_trim(text))); break;
    case EL_MESSAGE: put_text(&page->error_message, span_dup(span_trim(text))); break;
    case EL_REGION: put_text(&page->error_region, span_dup(span_trim(text))); break;
    }
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    struct reader *r = arg;
    (void)name; /* expat has checked that it is the open one */
    assert(r->depth > 0);
    end_element(r, r->path[--r->depth]);
    buf_reset(&r->text);
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_subset)
{
    (void)name;
    (void)system_id;
    (void)public_id;
    (void)has_subset;
    refuse(arg, "it has a DOCTYPE, which no S3 service sends");
}

static bool decode_keys(struct reader *r)
{
    struct s3_page *page = r->page;
    for (size_t i = 0; i < page->n_objects; i++) {
        struct s3_object *o = &page->objects[i];
        char *key = decode_key(span_of(o->key), r->is_url_encoded);
        if (key == NULL) {
            _cleanup_free_ char *shown = s3_shown_key(span_of(o->key));
            return err_say(
                r->err, "the list reply cannot be used: the key \"%s\" is wrongly encoded", shown);
        }
        put_text(&o->key, key);
    }
    return true;
}

static bool finish(struct reader *r, bool is_parsed)
{
    if (r->is_refused) {
        return false;
    }
    if (!is_parsed) {
        return err_say(r->err, "the list reply is not complete XML: %s at line %lu",
                       XML_ErrorString(XML_GetErrorCode(r->parser)),
                       (unsigned long)XML_GetCurrentLineNumber(r->parser));
    }
    if (r->is_list_root && !r->has_truncated) {
        return err_say(r->err, "the list reply cannot be used: it does not say IsTruncated");
    }
    if (r->is_error_root && r->page->error_code == NULL) {
        r->page->error_code = xstrdup("unnamed");
    }
    return decode_keys(r);
}

bool s3_page_parse(struct span xml, struct s3_page *ret, struct err *err)
{
    struct s3_page page = {0};
    struct reader r = {.page = &page, .text = buf_with_max(S3_MAX_TEXT), .err = err};
    r.parser = XML_ParserCreate("UTF-8");
    if (r.parser == NULL || xml.n > INT32_MAX) {
        XML_ParserFree(r.parser);
        return err_say(err, "the list reply is too large to be read");
    }
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    bool is_parsed =
        XML_Parse(r.parser, xml.p != NULL ? xml.p : "", (int)xml.n, XML_TRUE) == XML_STATUS_OK;
    bool is_ok = finish(&r, is_parsed);
    XML_ParserFree(r.parser);
    buf_fini(&r.text);
    object_fini(&r.object);
    if (!is_ok) {
        s3_page_fini(&page);
    }
    *ret = page;
    return is_ok;
}

void s3_page_fini(struct s3_page *page)
{
    for (size_t i = 0; i < page->n_objects; i++) {
        object_fini(&page->objects[i]);
    }
    free(page->objects);
    free(page->error_code);
    free(page->error_message);
    free(page->error_region);
    *page = (struct s3_page){0};
}

/* Length of the valid UTF-8 sequence at key[at], 0 when there is none. */
static size_t utf8_len(struct span key, size_t at)
{
    unsigned char c = (unsigned char)key.p[at];
    size_t n = c < 0x80 ? 1 : c >= 0xf5 || c < 0xc2 ? 0 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (n > key.n - at) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)key.p[at + i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return n;
}

char *s3_shown_key(struct span key)
{
    enum { MAX_SHOWN = 200, LONGEST_STEP = 4 + 3 }; /* a character, and the dots */
    struct buf b = buf_with_max(MAX_SHOWN);
    size_t i = 0;
    while (i < key.n && b.len <= MAX_SHOWN - LONGEST_STEP) {
        unsigned char c = (unsigned char)key.p[i];
        size_t n = utf8_len(key, i);
        if (n == 0 || c < ' ' || c == 0x7f) {
            buf_printf(&b, "%%%02X", c);
            i++;
        } else {
            buf_append(&b, key.p + i, n);
            i += n;
        }
    }
    buf_append_text(&b, i < key.n ? "..." : "");
    return buf_take_text(&b);
}

bool s3_page_check(const struct s3_page *page, struct span prefix, const char *start_after,
                   struct err *err)
{
    struct span last = span_of(start_after);
    for (size_t i = 0; i < page->n_objects; i++) {
        struct span key = span_of(page->objects[i].key);
        bool has_prefix = key.n >= prefix.n && span_eq((struct span){key.p, prefix.n}, prefix);
        if (last.p != NULL && span_cmp(key, last) <= 0) {
            _cleanup_free_ char *shown = s3_shown_key(key);
            _cleanup_free_ char *before = s3_shown_key(last);
            return err_say(err,
                           "the listing is not in byte order: key \"%s\" came after \"%s\"; "
                           "such a store cannot be followed by an offset",
                           shown, before);
        }
        if (!has_prefix) {
            _cleanup_free_ char *shown = s3_shown_key(key);
            _cleanup_free_ char *wanted = s3_shown_key(prefix);
            return err_say(err,
                           "the listing is wrong: key \"%s\" does not begin with \"%s\", which "
                           "was asked for",
                           shown, wanted);
        }
        last = key;
    }
    if (page->is_truncated && page->n_objects == 0) {
        return err_say(err, "the listing makes no progress: an empty page says that more follows");
    }
    return true;
}
