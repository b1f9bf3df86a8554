#include "base/err.h"
#include "base/xmalloc.h"
#include "sources/fe_data.h"
#include "sources/fe_error.h"

enum {
    CODE_BAD_TABLE = 1051,
    CODE_UNKNOWN_TABLE = 1109,
    CODE_BAD_CATALOG = 5086,
};

static const char *find(struct span in, const char *what)
{
    return in.n > 0 ? memmem(in.p, in.n, what, strlen(what)) : NULL;
}

static bool has_any(struct span in, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (find(in, texts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *find_last(struct span in, const char *what)
{
    const char *last = NULL;
    const char *hit = find(in, what);
    while (hit != NULL) {
        last = hit;
        hit = find(span_between(hit + 1, in.p + in.n), what);
    }
    return last;
}

static struct span from(struct span in, const char *at)
{
    return span_between(at, in.p + in.n);
}

static struct span skip_prefix(struct span s, size_t n)
{
    return (struct span){.p = s.p + n, .n = s.n - n};
}

/* Takes "errCode = 2, detailMessage = " off the front, as often as it stands there. */
static struct span without_code(struct span text)
{
    static const char detail[] = "detailMessage = ";
    text = span_trim(text);
    while (span_starts_with(text, "errCode = ")) {
        const char *hit = find(text, detail);
        /* The number is short: a detailMessage further on belongs to something else. */
        if (hit == NULL || hit - text.p > 32) {
            break;
        }
        text = span_trim(from(text, hit + sizeof(detail) - 1));
    }
    return text;
}

/* The part in which the FE speaks, before it quotes a row or an address. */
static struct span spoken(struct span text)
{
    static const char *const ends[] = {"first_error_msg:", "url: ", "tracking_url="};
    for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
        const char *hit = find(text, ends[i]);
        if (hit != NULL) {
            text = span_between(text.p, hit);
        }
    }
    return text;
}

static struct span number_at(struct span s)
{
    size_t n = 0;
    while (n < s.n && n < 20 && s.p[n] >= '0' && s.p[n] <= '9') {
        n++;
    }
    return (struct span){.p = s.p, .n = n};
}

/* "Label [<label>] has already been used[, relate to txn [<id>]…]", wherever it stands. */
static bool is_label_used(struct span text, const char *label, struct span *ret_txn_id)
{
    static const char relation[] = ", relate to txn [";
    const char *hit = find(text, "Label [");
    while (hit != NULL) {
        struct span rest = skip_prefix(from(text, hit), strlen("Label ["));
        if (span_starts_with(rest, label)) {
            struct span tail = skip_prefix(rest, strlen(label));
            if (span_starts_with(tail, "] has already been used")) {
                tail = skip_prefix(tail, strlen("] has already been used"));
                if (span_starts_with(tail, relation)) {
                    *ret_txn_id = number_at(skip_prefix(tail, sizeof(relation) - 1));
                }
                return true;
            }
        }
        hit = find(rest, "Label [");
    }
    return false;
}

/* Up to a blank, a quote or the end; a full stop or comma behind belongs to the sentence. */
static struct span url_at(struct span s)
{
    size_t n = 0;
    while (n < s.n && (unsigned char)s.p[n] > ' ' && s.p[n] != '\'' && s.p[n] != '"' &&
           s.p[n] != '<' && s.p[n] != '>') {
        n++;
    }
    while (n > 0 && (s.p[n - 1] == '.' || s.p[n - 1] == ',' || s.p[n - 1] == ';')) {
        n--;
    }
    return (struct span){.p = s.p, .n = n};
}

/* The address stands behind the row, so the last one counts. *ret_at: where its key begins. */
static struct span tracking_url(struct span text, const char **ret_at)
{
    static const char *const keys[] = {"url: http://", "url: https://", "tracking_url=http://",
                                       "tracking_url=https://"};
    struct span best = {0};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        const char *hit = find_last(text, keys[i]);
        if (hit != NULL && (best.p == NULL || hit > *ret_at)) {
            size_t key_len = (size_t)(strstr(keys[i], "http") - keys[i]);
            best = url_at(from(text, hit + key_len));
            *ret_at = hit;
        }
    }
    return best;
}

static struct span first_error(struct span text, const char *url_key)
{
    const char *hit = find(text, "first_error_msg:");
    if (hit == NULL) {
        return (struct span){0};
    }
    const char *end = url_key != NULL && url_key > hit ? url_key : text.p + text.n;
    struct span row = span_trim(span_between(hit + strlen("first_error_msg:"), end));
    /* ". " stands between the row and the address. */
    if (end != text.p + text.n && row.n > 0 &&
        (row.p[row.n - 1] == '.' || row.p[row.n - 1] == ',')) {
        row.n--;
    }
    return row;
}

struct fe_error_parts fe_error_read(struct span text, const char *label)
{
    struct fe_error_parts parts = {0};
    struct span own = spoken(text);
    const char *url_key = NULL;
    if (is_label_used(own, label, &parts.txn_id)) {
        parts.kind = FE_ERROR_LABEL_USED;
    } else if (span_starts_with(without_code(own), "transaction commit successfully, BUT data")) {
        parts.kind = FE_ERROR_COMMITTED;
    }
    parts.is_data_error = fe_data_is_at_fault(text, own);
    parts.is_column_error =
        find(own, "Unknown column '") != NULL && find(own, "' in 'table list'") != NULL;
    parts.tracking_url = tracking_url(text, &url_key);
    parts.first_error = first_error(text, url_key);
    return parts;
}

bool fe_error_is_unknown_label(struct span text, const char *label)
{
    static const char head[] = "transaction with label ";
    struct span s = without_code(text);
    if (!span_starts_with(s, head)) {
        return false;
    }
    s = skip_prefix(s, sizeof(head) - 1);
    return span_starts_with(s, label) &&
           span_eq_text(skip_prefix(s, strlen(label)), " does not exist");
}

bool fe_error_is_unknown_variable(int code, struct span text)
{
    return code == ERR_UNKNOWN_VARIABLE ||
           span_istarts_with(without_code(text), "Unknown system variable");
}

bool fe_error_is_denied(int code, struct span text)
{
    static const char *const texts[] = {"Access denied", "access denied", "command denied",
                                        "privilege(s) for this operation",
                                        "does not have privilege for ["};
    return code == ERR_DBACCESS_DENIED || code == ERR_ACCESS_DENIED ||
           code == ERR_TABLEACCESS_DENIED || code == ERR_SPECIFIC_ACCESS_DENIED ||
           has_any(text, texts, ARRAY_SIZE(texts));
}

bool fe_error_is_missing_database(int code, struct span text)
{
    static const char *const texts[] = {"Unknown database", "unknown database"};
    return code == ERR_BAD_DB || has_any(text, texts, ARRAY_SIZE(texts));
}

bool fe_error_is_missing_table(int code, struct span text)
{
    static const char *const texts[] = {"Unknown table", "Unknown database", "does not exist",
                                        "not found", "Unknown catalog"};
    return code == ERR_NO_SUCH_TABLE || code == ERR_BAD_DB || code == CODE_BAD_TABLE ||
           code == CODE_UNKNOWN_TABLE || code == CODE_BAD_CATALOG ||
           has_any(text, texts, ARRAY_SIZE(texts));
}
