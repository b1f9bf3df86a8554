#include "base/xmalloc.h"
#include "sources/insert_info.h"

/* Doris writes labels of up to 128 bytes and error texts of some KB; the rest is not for us. */
enum { LONGEST_INFO = 1 << 20 };

/* What is still to be read; every step takes from its front. */
struct cursor {
    struct span rest;
};

static void skip_blanks(struct cursor *c)
{
    while (c->rest.n > 0 && (c->rest.p[0] == ' ' || c->rest.p[0] == '\t')) {
        c->rest.p++;
        c->rest.n--;
    }
}

static bool take_char(struct cursor *c, char wanted)
{
    skip_blanks(c);
    if (c->rest.n == 0 || c->rest.p[0] != wanted) {
        return false;
    }
    c->rest.p++;
    c->rest.n--;
    return true;
}

/* 'text' with either kind of quote; ends at the first quote of the same kind. */
static bool take_quoted(struct cursor *c, struct span *ret)
{
    skip_blanks(c);
    if (c->rest.n == 0 || (c->rest.p[0] != '\'' && c->rest.p[0] != '"')) {
        return false;
    }
    const char *from = c->rest.p + 1;
    size_t left = c->rest.n - 1;
    const char *end = left > 0 ? memchr(from, c->rest.p[0], left) : NULL;
    if (end == NULL) {
        return false;
    }
    *ret = span_between(from, end);
    c->rest = (struct span){.p = end + 1, .n = left - ret->n - 1};
    return true;
}

/* Everything up to the quote and brace that end the whole text; tolerates that they were cut off. */
static struct span take_free_text(struct cursor *c)
{
    struct span text = span_trim(c->rest);
    c->rest = (struct span){.p = text.p + text.n, .n = 0};
    if (text.n > 0 && text.p[text.n - 1] == '}') {
        text.n--;
        text = span_trim(text);
    }
    if (text.n > 0 && (text.p[0] == '\'' || text.p[0] == '"')) {
        char quote = text.p[0];
        text.p++;
        text.n--;
        if (text.n > 0 && text.p[text.n - 1] == quote) {
            text.n--;
        }
    }
    return text;
}

static enum insert_status status_of(struct span text)
{
    static const struct {
        const char *name;
        enum insert_status status;
    } table[] = {
        {"PREPARE", INSERT_STATUS_PREPARE},
        {"COMMITTED", INSERT_STATUS_COMMITTED},
        {"VISIBLE", INSERT_STATUS_VISIBLE},
        {"ABORTED", INSERT_STATUS_ABORTED},
    };
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        if (span_ieq_text(text, table[i].name)) {
            return table[i].status;
        }
    }
    return INSERT_STATUS_OTHER;
}

static bool is_number(struct span s)
{
    uint64_t ignored = 0;
    return span_to_uint64(s, &ignored);
}

/* A field given twice makes the text unreadable: which of the two would be true? */
static bool set_once(struct span *field, struct span value)
{
    if (field->p != NULL) {
        return false;
    }
    *field = value;
    return true;
}

/* One 'key':'value'; unknown keys are skipped. */
static bool take_field(struct cursor *c, struct insert_info *info)
{
    struct span key = {0};
    struct span value = {0};
    if (!take_quoted(c, &key) || !take_char(c, ':')) {
        return false;
    }
    if (span_ieq_text(key, "err")) {
        skip_blanks(c);
        info->error = take_free_text(c);
        return true;
    }
    if (!take_quoted(c, &value)) {
        return false;
    }
    if (span_ieq_text(key, "label")) {
        return set_once(&info->label, value);
    }
    if (span_ieq_text(key, "status")) {
        return set_once(&info->status_text, value);
    }
    if (span_ieq_text(key, "txnId")) {
        return set_once(&info->txn_id, value);
    }
    return true;
}

bool insert_info_parse(struct span text, struct insert_info *ret)
{
    struct insert_info info = {0};
    struct cursor c = {.rest = span_trim(text)};
    if (text.n > LONGEST_INFO || !take_char(&c, '{')) {
        return false;
    }
    do {
        if (!take_field(&c, &info)) {
            return false;
        }
    } while (take_char(&c, ','));
    if (info.error.p == NULL && (!take_char(&c, '}') || c.rest.n > 0)) {
        return false;
    }
    if (info.label.n == 0 || info.status_text.n == 0) {
        return false;
    }
    if (!is_number(info.txn_id)) {
        info.txn_id = (struct span){0};
    }
    info.status = status_of(info.status_text);
    *ret = info;
    return true;
}
